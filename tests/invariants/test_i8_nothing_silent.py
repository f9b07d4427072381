"""I8: a dropped frame, a failed analysis and "no face" are three different things, each counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consentry.clock import SimulatedClock, SystemClock
from consentry.config import Settings
from consentry.errors import EngineError
from consentry.media import FRAME_DROPS, open_source
from consentry.pipeline.anonymise import Anonymiser
from consentry.pipeline.watch import Summary, watch
from consentry.types import Faces, Picture

pytestmark = pytest.mark.models


class FailingOften:
    """A detector that fails in every fourth frame and finds nothing in the others."""

    sha256 = "0" * 64

    def __init__(self) -> None:
        self._calls = 0

    def detect(self, bgr: Picture, *, min_score: float) -> Faces:
        """Nothing, or a failure."""
        self._calls += 1
        if self._calls % 4 == 0:
            raise EngineError("injected")
        return Faces.none()

    def close(self) -> None:
        """Nothing to do."""


def lost(summary: Summary) -> int:
    """Frames that were offered and not analysed, by the counts."""
    return sum(count for cause, count in summary.drops.items() if cause in FRAME_DROPS | {"analysis_failed"})


def test_failed_analysis_is_not_no_face(demo_clip: Path) -> None:
    with open_source(str(demo_clip), camera="c", settings=Settings().media, clock=SystemClock()) as source:
        summary = watch(source, Anonymiser(FailingOften(), Settings()), clock=SimulatedClock())
    assert summary.faces == 0
    assert summary.drops == {"analysis_failed": 90}
    assert summary.frames_analysed == 270
    assert summary.frames_read == summary.frames_analysed + lost(summary)


@pytest.mark.parametrize("seed", range(4))
def test_every_frame_of_a_damaged_file_is_accounted_for(seed: int, demo_clip: Path, tmp_path: Path) -> None:
    data = bytearray(demo_clip.read_bytes())
    rng = np.random.default_rng(seed)
    for position in rng.integers(len(data) // 4, len(data) - 100, 12):
        data[position : position + 20] = rng.bytes(20)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(bytes(data))
    with open_source(str(damaged), camera="c", settings=Settings().media, clock=SystemClock()) as source:
        summary = watch(source, Anonymiser(FailingOften(), Settings()), clock=SimulatedClock())
    assert summary.frames_read == summary.frames_analysed + lost(summary)
    assert summary.frames_read > 0
