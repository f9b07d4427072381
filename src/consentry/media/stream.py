"""Frames of a video stream, decoded ahead by a thread of their own.

The thread decodes; the consumer converts to colour only what it takes. A recorded source makes the
thread wait, a live one makes it drop, so that the picture asked for is always the newest.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Self

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from consentry.errors import MediaError, UsageError
from consentry.media.handover import Decoded, Handover
from consentry.media.pictures import PictureReader
from consentry.media.source import SourceInfo
from consentry.types import Frame, Picture

DECODED_AHEAD = 2
CLOSE_WAIT_S = 0.5


class StreamSource:
    """A `Source` over FFmpeg; made by `open_stream`, which has already decoded the first picture.

    Args:
        camera: Name for the frames.
        info: What the source is.
        reader: Counts what `rest` reads.
        first: The first picture.
        rest: The other pictures; closing it closes the stream.
    """

    def __init__(
        self,
        camera: str,
        info: SourceInfo,
        reader: PictureReader,
        first: Decoded,
        rest: Generator[Decoded, None, None],
    ) -> None:
        self.info = info
        self._camera = camera
        self._reader = reader
        self._rest = rest
        self._handover = Handover(1 if info.live else DECODED_AHEAD, newest_only=info.live)
        self._handover.put(first)
        self._reformatter = VideoReformatter()
        self._frame_wh = info.frame_wh
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<StreamSource {self.info.name}>"

    @property
    def drops(self) -> Counter[str]:
        """Losses and oddities by cause."""
        return self._reader.drops

    @property
    def frames_read(self) -> int:
        """Frames the source offered so far, whole or not."""
        return self._reader.frames_read

    @property
    def frames_decoded(self) -> int:
        """Whole pictures decoded so far, delivered or stale."""
        return self._reader.frames_decoded

    def __iter__(self) -> Iterator[Frame]:
        """The frames, until the stream ends or `close` is called.

        Raises:
            MediaError: the source was lost on the way.
            UsageError: iterated for a second time.
        """
        with self._lock:
            if self._thread is not None:
                raise UsageError(f"{self.info.name} has already been read", "Open it again")
            if self._closed:
                return
            self._thread = threading.Thread(target=self._decode, name=f"decode {self._camera}", daemon=True)
            self._thread.start()
        try:
            while (decoded := self._handover.get()) is not None:
                bgr = self._to_bgr(decoded)
                if bgr is not None:
                    yield Frame(self._camera, decoded.sequence, decoded.time_s, bgr)
        finally:
            self.close()

    def close(self) -> None:
        """Stop at once. Idempotent; any thread may call it.

        A connection that is silent at that moment is let go of when its read timeout has passed.
        """
        self._handover.close()
        with self._lock:
            self._closed = True
            if self._thread is None:
                self._rest.close()
        if self._thread is not None:
            self._thread.join(CLOSE_WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _decode(self) -> None:
        """What the thread does. An error that is no `MediaError` is a bug: it is raised in both threads."""
        try:
            for decoded in self._rest:
                stale = self._handover.put(decoded)
                if stale:
                    self.drops["stale"] += stale
                if self._handover.closed:
                    break
            self._handover.finish(None)
        except MediaError as error:
            self._handover.finish(error)
        finally:
            if (bug := sys.exception()) is not None:
                self._handover.finish(bug)
            self._rest.close()

    def _to_bgr(self, decoded: Decoded) -> Picture | None:
        """The picture upright and in colour, uint8 (H, W, 3); None where that cannot be done."""
        try:
            converted = self._reformatter.reformat(decoded.picture, format="bgr24", threads=1)
        except av.FFmpegError:
            self.drops["unconverted"] += 1
            return None
        bgr = _upright(np.asarray(converted.to_ndarray(), np.uint8), decoded.picture.rotation)
        frame_wh = (bgr.shape[1], bgr.shape[0])
        if frame_wh != self._frame_wh:
            self._frame_wh = frame_wh
            self.drops["resized"] += 1
        return bgr


def _upright(bgr: Picture, rotation_deg: int) -> Picture:
    """`bgr` turned counterclockwise by `rotation_deg`, rounded to quarter turns."""
    turns = {
        1: cv2.ROTATE_90_COUNTERCLOCKWISE,
        2: cv2.ROTATE_180,
        3: cv2.ROTATE_90_CLOCKWISE,
    }
    quarter = round(rotation_deg / 90) % 4
    return np.asarray(cv2.rotate(bgr, turns[quarter]), np.uint8) if quarter else bgr
