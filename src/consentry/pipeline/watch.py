"""One source from beginning to end: the main job without a server."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from consentry.clock import Clock
from consentry.errors import MediaError
from consentry.media import Source, VideoWriter
from consentry.pipeline.behind import WriteBehind
from consentry.pipeline.camera import Counts, Detected
from consentry.privacy.redact import Redacted
from consentry.types import Faces, Frame

FRAMES_BEHIND = 4
DETECTED_AHEAD = 1
FALLBACK_FPS = 25.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a whole run did. `seconds` is wall time; `drops` counts frames by cause."""

    frames_read: int
    frames_decoded: int
    frames_analysed: int
    faces: int
    tracks: int
    drops: dict[str, int]
    seconds: float

    def line(self) -> dict[str, Any]:
        """The last line of `watch --jsonl`."""
        return {
            "summary": {
                "frames_read": self.frames_read,
                "frames_decoded": self.frames_decoded,
                "frames_analysed": self.frames_analysed,
                "faces": self.faces,
                "tracks": self.tracks,
                "drops": self.drops,
                "seconds": self.seconds,
            }
        }


class Stages(Protocol):
    """What a source is run through: `CameraPipeline`, or `Anonymiser` where nobody is recognised."""

    counts: Counts

    def detect(self, frame: Frame) -> Faces:
        """What is in a frame; called in another thread, ahead of `process`."""

    def process(self, frame: Frame, detected: Detected | None = None) -> Iterator[Redacted]:
        """Take one frame and what was detected in it; yield those that may leave now."""

    def finish(self) -> Iterator[Redacted]:
        """The stream is over; yield the rest."""


def watch(
    source: Source,
    pipeline: Stages,
    *,
    clock: Clock,
    out: Path | None = None,
    max_seconds: float | None = None,
    end_unix_s: float = math.inf,
    on_frame: Callable[[Redacted], None] | None = None,
) -> Summary:
    """Run `source` through `pipeline` until it ends, for `max_seconds` of its own time, or to `end_unix_s`.

    With `out`, the redacted frames become a video there. A source that fails on the way, and Ctrl-C,
    still give the decisions and the video of what came before; any other error leaves no video.

    Raises:
        MediaError: the source failed.
        DiskFull: `out` could not be written.
    """
    start_s = clock.monotonic_s()
    with ExitStack() as stack:
        writer = _Output(out, source.info.fps or FALLBACK_FPS, stack) if out else None

        def deliver(ready: Iterator[Redacted]) -> None:
            for redacted in ready:
                if writer:
                    writer.put(redacted)
                if on_frame:
                    on_frame(redacted)

        failure: MediaError | None = None
        frames = _until(source, max_seconds, lambda: clock.unix_s() >= end_unix_s)
        try:
            with closing(_detected_ahead(frames, pipeline.detect)) as ahead:
                for frame, detected in ahead:
                    deliver(pipeline.process(frame, detected))
        except MediaError as error:
            failure = error
        except KeyboardInterrupt:
            source.close()  # Ctrl-C ends a watch as the end of its source would; a second one aborts
        deliver(pipeline.finish())
        if writer:
            writer.close()
        if failure is not None:
            raise failure
    counts = pipeline.counts
    drops: Counter[str] = Counter(source.drops) + counts.drops
    return Summary(
        frames_read=source.frames_read,
        frames_decoded=source.frames_decoded,
        frames_analysed=counts.frames_analysed,
        faces=counts.faces,
        tracks=counts.tracks,
        drops=dict(sorted(drops.items())),
        seconds=round(clock.monotonic_s() - start_s, 3),
    )


def _until(source: Source, max_seconds: float | None, is_over: Callable[[], bool]) -> Iterator[Frame]:
    for frame in source:
        if is_over() or (max_seconds is not None and frame.time_s >= max_seconds):
            return
        yield frame


def _detected_ahead(
    frames: Iterator[Frame], detect: Callable[[Frame], Faces]
) -> Generator[tuple[Frame, Detected]]:
    """Each frame with the call that gives its faces; the next frame is detected while this one is worked on.

    A source that fails gives the frames before first, then its error.
    """
    failure: MediaError | None = None
    waiting: deque[tuple[Frame, Future[Faces]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="detect") as thread:
        try:
            for frame in frames:
                waiting.append((frame, thread.submit(detect, frame)))
                if len(waiting) > DETECTED_AHEAD:
                    before, future = waiting.popleft()
                    yield before, future.result
        except MediaError as error:
            failure = error
        for before, future in waiting:
            yield before, future.result
    if failure is not None:
        raise failure


class _Output:
    """The redacted video, opened with the first frame because only that tells its size."""

    def __init__(self, path: Path, fps: float, stack: ExitStack) -> None:
        self._path, self._fps, self._stack = path, fps, stack
        self._writer: VideoWriter | None = None
        self._behind = WriteBehind(self._write, depth=FRAMES_BEHIND)
        stack.callback(self._abort)

    def put(self, redacted: Redacted) -> None:
        self._behind.put(redacted)

    def close(self) -> None:
        """Finish the file and put it in its place."""
        self._behind.close()
        if self._writer:
            self._writer.close()
            self._writer = None

    def _write(self, redacted: Redacted) -> None:
        if self._writer is None:
            height, width = redacted.bgr.shape[:2]
            self._writer = VideoWriter(self._path, frame_wh=(width, height), fps=self._fps)
        self._writer.write(redacted.bgr, redacted.time_s)

    def _abort(self) -> None:
        """End the thread; unless `close` has been called, leave no file."""
        self._behind.cancel()
        if self._writer:
            self._writer.abort()
            self._writer = None
