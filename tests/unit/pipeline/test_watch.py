"""Running a source to its end: by itself, by Ctrl-C, and when writing fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from consentry.clock import SimulatedClock, SystemClock
from consentry.config import Media
from consentry.errors import BadMedia, ConsentryError, EngineError
from consentry.media import VideoWriter, open_source, probe
from consentry.pipeline.camera import Counts, Detected
from consentry.pipeline.watch import watch
from consentry.privacy.redact import Redacted
from consentry.types import Faces, Frame

CLOCK = SystemClock()


class Passing:
    """Stages that let every frame through, and do something special at one of them."""

    def __init__(self, at: int = -1, error: BaseException | None = None) -> None:
        self.counts = Counts()
        self._at, self._error = at, error

    def detect(self, frame: Frame) -> Faces:
        """Nobody."""
        return Faces.none()

    def process(self, frame: Frame, detected: Detected | None = None) -> Iterator[Redacted]:
        """The frame itself."""
        assert detected is not None
        assert len(detected()) == 0
        if frame.sequence == self._at and self._error:
            raise self._error
        self.counts.frames_analysed += 1
        yield Redacted(frame.camera, frame.sequence, frame.time_s, frame.bgr, 0, (), False)

    def finish(self) -> Iterator[Redacted]:
        """Nothing waits."""
        yield from ()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds at 10 frames/s."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, frame_wh=(64, 48), fps=10) as writer:
        for number in range(20):
            writer.write(np.full((48, 64, 3), 10 * number, np.uint8), number / 10)
    return path


def frames_of(path: Path) -> int:
    """How many frames a video has."""
    with open_source(str(path), camera="c", settings=Media(), clock=CLOCK) as source:
        return sum(1 for _ in source)


def run(clip: Path, stages: Passing, out: Path, max_seconds: float | None = None) -> int:
    """Watch the clip; frames analysed."""
    with open_source(str(clip), camera="c", settings=Media(), clock=CLOCK) as source:
        return watch(source, stages, clock=CLOCK, out=out, max_seconds=max_seconds).frames_analysed


def test_the_whole_source_becomes_the_video(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert run(clip, Passing(), out) == 20
    assert frames_of(out) == 20
    assert probe(str(out), settings=Media(), clock=CLOCK).frame_wh == (64, 48)


def test_a_watch_ends_at_a_moment(clip: Path) -> None:
    clock = SimulatedClock()
    stages = Passing()

    def tick(redacted: Redacted) -> None:
        clock.advance(1.0)

    with open_source(str(clip), camera="c", settings=Media(), clock=CLOCK) as source:
        watch(source, stages, clock=clock, end_unix_s=clock.unix_s() + 5.0, on_frame=tick)
    assert 5 <= stages.counts.frames_analysed <= 7  # the next frame may have been taken already


def test_the_limit_counts_the_sources_own_time(clip: Path, tmp_path: Path) -> None:
    assert run(clip, Passing(), tmp_path / "out.mp4", max_seconds=0.95) == 10


def test_ctrl_c_keeps_what_came_before(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert run(clip, Passing(7, KeyboardInterrupt()), out) == 7
    assert frames_of(out) == 7


def test_a_source_that_fails_keeps_what_came_before_and_says_so(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with pytest.raises(BadMedia):
        run(clip, Passing(7, BadMedia("lost")), out)
    assert frames_of(out) == 7


def test_any_other_failure_leaves_no_video(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run(clip, Passing(7, ZeroDivisionError()), tmp_path / "out.mp4")
    assert list(tmp_path.glob("out*")) == []


def test_a_folder_that_is_not_there_is_refused(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "missing" / "out.mp4"
    with pytest.raises(ConsentryError):
        run(clip, Passing(), out)
    assert not out.parent.exists()


class FailingDetection(Passing):
    """Detection fails in every third frame, in the thread ahead."""

    def detect(self, frame: Frame) -> Faces:
        """Nobody, or a failure."""
        if frame.sequence % 3 == 0:
            raise EngineError("injected")
        return Faces.none()

    def process(self, frame: Frame, detected: Detected | None = None) -> Iterator[Redacted]:
        """Counts the failures that arrive with their own frame."""
        assert detected is not None
        try:
            detected()
        except EngineError:
            assert frame.sequence % 3 == 0
            self.counts.drops["analysis_failed"] += 1
        yield from ()


def test_a_failure_ahead_arrives_with_its_own_frame(clip: Path) -> None:
    stages = FailingDetection()
    before = threading.active_count()
    with open_source(str(clip), camera="c", settings=Media(), clock=CLOCK) as source:
        summary = watch(source, stages, clock=CLOCK)
    assert summary.drops == {"analysis_failed": 7}
    assert threading.active_count() == before
