"""One picture from a file or from bytes, refused unless it is whole and of a sensible size."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from av.codec import CodecContext
from av.packet import Packet
from cv2.utils import logging as cv2_logging

from consentry.errors import BadMedia, MediaError, SourceNotFound
from consentry.media.photo_header import PhotoHeader, photo_header, png_is_whole
from consentry.types import Picture

LARGEST_BYTES_A_PIXEL = 8
HEADER_ALLOWANCE_BYTES = 1_000_000
MOST_SCANS = 100
_EDGE_PX = 64
_START_OF_SCAN = b"\xff\xda"

cv2_logging.setLogLevel(cv2_logging.LOG_LEVEL_SILENT)


def read_photo(path_or_bytes: Path | str | bytes, *, max_pixels: int) -> Picture:
    """The picture, uint8 (H, W, 3), BGR, turned upright by its EXIF orientation.

    JPEG, PNG, WebP, BMP, and the first picture of a GIF. The size is read from the header and checked
    before anything is decoded; JPEG and PNG are checked for damage, which a decoder would paint over.

    Args:
        path_or_bytes: The file, or what it holds.
        max_pixels: Largest width × height accepted.

    Raises:
        SourceNotFound: no such file.
        BadMedia: empty, no picture, too large, cut short or damaged.
        MediaError: the file may not be read.
    """
    if isinstance(path_or_bytes, bytes):
        return _decoded(path_or_bytes, "the photo", max_pixels)
    path = Path(path_or_bytes)
    return _decoded(_read(path, max_pixels), str(path), max_pixels)


def photo_format(path: Path) -> PhotoHeader | None:
    """What the photo in `path` says of itself; None when it is no photo. Raises as `read_photo` does."""
    return photo_header(_read_at_most(path, HEADER_ALLOWANCE_BYTES))


def _read(path: Path, max_pixels: int) -> bytes:
    """The whole file, refused before it is read when no picture of the size allowed is that large."""
    most = max_pixels * LARGEST_BYTES_A_PIXEL + HEADER_ALLOWANCE_BYTES
    data = _read_at_most(path, most + 1)
    if len(data) > most:
        raise BadMedia(f"{path} is larger than {most // 1_000_000} MB", "Give a smaller photo")
    return data


def _read_at_most(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except (FileNotFoundError, NotADirectoryError):
        fault: MediaError = SourceNotFound(f"{path} does not exist", "Check the path")
    except IsADirectoryError:
        fault = BadMedia(f"{path} is a folder, not a photo", "Name a photo in it")
    except OSError as error:
        fault = MediaError(f"{path} cannot be read: {error.strerror}", "Check its permissions and the disk")
    raise fault


def _decoded(data: bytes, name: str, max_pixels: int) -> Picture:
    if not data:
        raise BadMedia(f"{name} is empty", "Copy it again")
    header = photo_header(data)
    if header is None:
        raise BadMedia(f"{name} is no picture this program can read", "Give a JPEG, PNG, WebP, BMP or GIF")
    width, height = header.frame_wh
    if width * height > max_pixels:
        raise BadMedia(
            f"{name} has {width}×{height} pixels, the most is {max_pixels} pixels",
            "Make it smaller, or raise media.max_pixels",
        )
    if header.format == "jpeg" and data.count(_START_OF_SCAN) > MOST_SCANS:
        raise BadMedia(f"{name} has more than {MOST_SCANS} scans", "Save it again with another program")
    if width * height == 0 or not _is_whole(data, header):
        raise _damaged(name)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise _damaged(name)
    return np.asarray(bgr, np.uint8)


def _is_whole(data: bytes, header: PhotoHeader) -> bool:
    """For JPEG and PNG, whether nothing is missing or broken; the other decoders are strict themselves."""
    if header.format == "png":
        return png_is_whole(data)
    if header.format == "jpeg":
        return _jpeg_is_whole(data, header.frame_wh)
    return True


def _jpeg_is_whole(data: bytes, frame_wh: tuple[int, int]) -> bool:
    """Whether FFmpeg's decoder, told to stop at the first error, gets to the end.

    It may need no more pixels than the first header says, and what it adds at the edges.
    """
    width, height = frame_wh
    decoder = CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode", "max_pixels": str((width + _EDGE_PX) * (height + _EDGE_PX))}
    decoder.thread_count = 1
    try:
        pictures = decoder.decode(Packet(data))
    except av.FFmpegError:
        return False
    return len(pictures) == 1


def _damaged(name: str) -> BadMedia:
    return BadMedia(f"{name} is cut short or damaged", "Copy it again from where it came from")
