"""What every kind of source offers: what it is, its frames, and how many were lost and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from consentry.types import Frame

SourceKind = Literal["file", "folder", "photo", "rtsp", "mjpeg", "webcam"]

FRAME_DROPS = frozenset(
    {"before_keyframe", "corrupt_packet", "corrupt_frame", "stale", "unreadable", "unconverted"}
)
"""Causes in `Source.drops` that each stand for one frame not delivered.

- before_keyframe: came before the first picture that could be decoded.
- corrupt_packet: the decoder made no picture of it.
- corrupt_frame: the decoder made a picture, but says that parts of it are invented.
- stale: a live source had a newer frame before this one was asked for.
- unreadable: a photo in a folder that is no whole picture.
- unconverted: a pixel format that cannot be turned into colour.

The other causes are events that lose no frame by themselves: `resized` (frames go on in another
size), `time_jump` (the stream's clock leapt and was bridged), `truncated` (the file ends before it
says it does).
"""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once it is open.

    Attributes:
        kind: Where the frames come from; a video over plain HTTP is a `file`.
        frame_wh: Width and height of the first frame in pixels, after rotation.
        fps: Nominal frames per second; None when the source does not say.
        codec: FFmpeg's name of the codec, e.g. `h264`, or the picture format, e.g. `jpeg`.
        live: Frames arrive in real time and old ones are dropped rather than kept waiting.
        name: The address without credentials, safe to print.
    """

    kind: SourceKind
    frame_wh: tuple[int, int]
    fps: float | None
    codec: str
    live: bool
    name: str


class Source(Protocol):
    """Frames of one camera, iterable once; a context manager that closes it.

    `time_s` and `sequence` of the frames rise strictly. After an iteration that was not cut short,
    `frames_read` is the number of frames delivered plus `drops` over `FRAME_DROPS`. A live source
    whose iteration ends although nobody closed it was ended by the other side.

    Iterating raises `MediaError`: the source was lost on the way.
    """

    @property
    def info(self) -> SourceInfo:
        """What the source is."""

    @property
    def drops(self) -> Counter[str]:
        """Losses and oddities by cause, see `FRAME_DROPS`."""

    @property
    def frames_read(self) -> int:
        """Frames the source offered so far, whole or not."""

    @property
    def frames_decoded(self) -> int:
        """Whole pictures decoded so far, delivered or stale."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Stop at once and let go of file or connection. Idempotent; any thread may call it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
