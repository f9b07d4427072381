"""From a URL to frames, and from frames to a video file.

`open_source` gives a `Source` for files, folders, RTSP, MJPEG over HTTP and webcams; `read_photo` one
picture; `VideoWriter` takes frames.
"""

from consentry.media.opening import check_address, check_source, open_source, probe
from consentry.media.photo import read_photo
from consentry.media.photo_out import encode_jpeg, write_photo
from consentry.media.source import FRAME_DROPS, Source, SourceInfo, SourceKind
from consentry.media.writer import VideoWriter

__all__ = [
    "FRAME_DROPS",
    "Source",
    "SourceInfo",
    "SourceKind",
    "VideoWriter",
    "check_address",
    "check_source",
    "encode_jpeg",
    "open_source",
    "probe",
    "read_photo",
    "write_photo",
]
