"""Generated videos whose frames carry their own number, so that a test can tell which one it got."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from consentry.types import Picture

BITS = 8
TICKS = 90_000


def numbered(number: int, wh: tuple[int, int] = (320, 240)) -> Picture:
    """A coloured picture with `number` (0 to 255) written as black and white blocks along its top."""
    width, height = wh
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 200 // width, y * 200 // height, (x + y + 5 * number) % 200], axis=-1)
    for bit in range(BITS):
        left, right = width * bit // BITS, width * (bit + 1) // BITS
        picture[: height // 6, left:right] = 255 if number >> bit & 1 else 0
    return picture.astype(np.uint8)


def number_of(bgr: Picture) -> int:
    """The number in a picture made by `numbered`, after any lossy coding."""
    height, width = bgr.shape[:2]
    number = 0
    for bit in range(BITS):
        centre = width * (2 * bit + 1) // (2 * BITS)
        block = bgr[height // 24 : height // 8, centre - width // 40 : centre + width // 40]
        number |= int(block.mean() > 128) << bit
    return number


def jpeg(number: int, wh: tuple[int, int] = (320, 240)) -> bytes:
    """A numbered picture as JPEG."""
    return cv2.imencode(".jpg", numbered(number, wh))[1].tobytes()


def write_clip(
    path: Path,
    codec: str = "libx264",
    *,
    frames: int = 30,
    wh: tuple[int, int] = (320, 240),
    fps: int = 25,
    times_s: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    format: str | None = None,  # noqa: A002  (PyAV's own name for it)
    pix_fmt: str = "yuv420p",
    rotation_deg: float = 0.0,
    first_number: int = 0,
) -> Path:
    """Encode numbered pictures; `times_s` gives each frame's time instead of the steady `fps`."""
    if codec == "libx265":
        options = {"x265-params": "log-level=none", **(options or {})}
    with av.open(str(path), "w", format=format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = wh
        stream.pix_fmt = pix_fmt
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
        for index in range(frames if times_s is None else len(times_s)):
            frame = VideoFrame.from_ndarray(numbered(first_number + index, wh), format="bgr24")
            if times_s is None:
                frame.pts, frame.time_base = index, Fraction(1, fps)
            else:
                frame.pts, frame.time_base = round(times_s[index] * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """One second of a tone and nothing to see."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        tone = (8000 * np.sin(np.arange(16_000) * 0.1)).astype(np.int16)[None]
        for start in range(0, tone.shape[1], 1024):
            samples = np.ascontiguousarray(tone[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def packet_spans(path: Path) -> list[tuple[int, int]]:
    """Where each video packet lies in the file: offset and size in bytes."""
    with av.open(str(path)) as container:
        return [
            (packet.pos, packet.size)
            for packet in container.demux(container.streams.video[0])
            if packet.size and packet.pos is not None
        ]
