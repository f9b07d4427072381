"""H.264 in MP4, written beside its place and moved there only when complete."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from consentry.errors import ConsentryError, DiskFull, MediaError, SourceNotFound, UsageError
from consentry.types import Picture

TICKS_A_SECOND = 90_000
KEYFRAME_EVERY_S = 2.0
LARGEST_SIDE_PX = 16_384
CLAIM_BYTES = 65_536
BT709 = 1


class VideoWriter:
    """Writes frames at any times to one MP4 that players can start before they have all of it.

    The file grows as `PATH.partial`. `close` completes and renames it; `abort`, a failed write, or an
    error inside `with` leaves nothing. H.264 in 4:2:0 needs even sizes: an odd one is padded by
    repeating its last column or row. Frames of another size are scaled to `frame_wh`. Colours are
    written as BT.709 (ITU-R BT.709), limited range, and say so.

    Args:
        path: Where the video goes; an existing file is replaced on `close`.
        frame_wh: Width and height in pixels.
        fps: Nominal frames per second, for the distance of keyframes and the length of the last frame.
        threads: Encoder threads, 0 for as many as the machine has cores.

    Raises:
        UsageError: a size or rate that no video can have, or `path` is a folder.
        SourceNotFound: the folder of `path` does not exist.
        DiskFull: no space left.
        MediaError: nothing can be written there.
    """

    def __init__(self, path: Path, *, frame_wh: tuple[int, int], fps: float, threads: int = 0) -> None:
        width, height = frame_wh
        if not (0 < width <= LARGEST_SIDE_PX and 0 < height <= LARGEST_SIDE_PX and 0 < fps <= 1000):
            raise UsageError(f"no video can be {width}×{height} at {fps:g} frames/s", "Check the source")
        if not path.parent.is_dir():
            raise SourceNotFound(f"the folder {path.parent} does not exist", "Make it first")
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "Name a file in it")
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._frame_wh = frame_wh
        self._first_s: float | None = None
        self._last_pts = -1
        self._frame_ticks = round(TICKS_A_SECOND / fps)
        self._open = True
        self._claim()
        self._reformatter = VideoReformatter()
        self._container = av.open(
            str(self._partial), mode="w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream = self._container.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(1000),
            options={"preset": "veryfast", "crf": "23"},
        )
        context = self._stream.codec_context
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, TICKS_A_SECOND)
        context.gop_size = max(1, round(fps * KEYFRAME_EVERY_S))
        context.thread_count = threads
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = ColorRange.MPEG

    def write(self, bgr: Picture, time_s: float) -> None:
        """Add a frame.

        Args:
            bgr: uint8 (H, W, 3).
            time_s: When it is shown, in seconds on any clock; the first frame makes the beginning.

        Raises:
            UsageError: `time_s` is not later than the frame before, `bgr` is no picture, or the writer
                is closed.
            DiskFull: no space left; nothing is left behind.
            MediaError: the frame cannot be written; nothing is left behind.
        """
        if not self._open:
            raise UsageError(f"{self._path} is already closed", "Open another")
        if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or bgr.size == 0:
            raise UsageError(f"a frame must be uint8 (H, W, 3), but is {bgr.dtype} {bgr.shape}")
        if self._first_s is None:
            self._first_s = time_s
        pts = round((time_s - self._first_s) * TICKS_A_SECOND)
        if pts <= self._last_pts:
            raise UsageError(f"frames for {self._path} must come in the order of time")
        self._last_pts = pts
        frame = self._encodable(bgr)
        frame.pts, frame.time_base, frame.duration = pts, Fraction(1, TICKS_A_SECOND), self._frame_ticks
        self._encode(frame)

    def close(self) -> None:
        """Complete the video and put it in its place; after `close` or `abort`, nothing.

        Raises:
            UsageError: no frame was written; nothing is left behind.
            DiskFull: no space left; nothing is left behind.
            MediaError: the video cannot be completed; nothing is left behind.
        """
        if not self._open:
            return
        if self._last_pts < 0:
            self.abort()
            raise UsageError(f"{self._path} would be a video without a frame", "Check the source")
        self._encode(None)
        self._open = False
        fault: ConsentryError | None = None
        try:
            self._container.close()
            _flush_to_disk(self._partial)
            self._partial.replace(self._path)
            _flush_to_disk(self._path.parent)
        except (av.FFmpegError, OSError) as error:
            self._partial.unlink(missing_ok=True)
            fault = self._fault(error)
        if fault is not None:
            raise fault

    def abort(self) -> None:
        """Leave no file behind; after `close` or `abort`, nothing."""
        if not self._open:
            return
        self._open = False
        with suppress(av.FFmpegError):
            self._container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *rest: object) -> None:
        if error_type is None:
            self.close()
        else:
            self.abort()

    def _claim(self) -> None:
        """Make sure that the file can begin: FFmpeg never closes one that it could not write a header to."""
        fault: ConsentryError | None = None
        try:
            self._partial.write_bytes(bytes(CLAIM_BYTES))
        except OSError as error:
            fault = self._fault(error)
            self._partial.unlink(missing_ok=True)
        if fault is not None:
            raise fault

    def _encodable(self, bgr: Picture) -> VideoFrame:
        """`bgr` in the size and pixel format of the video."""
        height, width = bgr.shape[:2]
        if (width, height) != self._frame_wh:
            bgr = np.asarray(cv2.resize(bgr, self._frame_wh, interpolation=cv2.INTER_AREA), np.uint8)
            width, height = self._frame_wh
        if width % 2 or height % 2:
            padded = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            bgr = np.asarray(padded, np.uint8)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
        return self._reformatter.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )

    def _encode(self, frame: VideoFrame | None) -> None:
        """Encode and write what is ready; None for all that is left. A failure aborts."""
        fault: ConsentryError | None = None
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            fault = self._fault(error)
        if fault is not None:
            self.abort()
            raise fault

    def _fault(self, error: av.FFmpegError | OSError) -> ConsentryError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return DiskFull(f"no space left to write {self._path}", "Free some, or write elsewhere")
        return MediaError(f"{self._path} cannot be written: {error.strerror}", "Check its permissions")


def _flush_to_disk(path: Path) -> None:
    """Wait until the file, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
