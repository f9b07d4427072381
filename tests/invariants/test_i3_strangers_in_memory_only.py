"""I3: templates of unmatched faces are never written, and are gone from memory when their track is."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from consentry.clock import SimulatedClock, SystemClock
from consentry.config import Settings
from consentry.gallery.calibration import load_calibration
from consentry.media import open_source
from consentry.people.consent import Place
from consentry.people.declaration import declare_demo
from consentry.people.scan import Needle, scan_for
from consentry.people.site import Site
from consentry.pipeline.camera import CameraPipeline
from consentry.pipeline.roster import Roster
from consentry.pipeline.watch import watch
from consentry.types import Floats, Picture
from consentry.vision.load import Engines

pytestmark = pytest.mark.models
LAST_FACE_S = 22.0


class Remembering:
    """A recogniser that tells which templates it made, and keeps only copies of their bytes."""

    def __init__(self, engines: Engines) -> None:
        self._inner = engines.recogniser
        self.made: list[bytes] = []
        self.alive: list[weakref.ref[Floats]] = []

    @property
    def sha256(self) -> str:
        """Of the real one."""
        return self._inner.sha256

    @property
    def dimensions(self) -> int:
        """Of the real one."""
        return self._inner.dimensions

    def templates(self, crops_bgr: Picture) -> Floats:
        """As the real one."""
        found = self._inner.templates(crops_bgr)
        self.made.append(found[0].tobytes())
        self.alive.append(weakref.ref(found))
        return found

    def close(self) -> None:
        """Nothing to do."""


def test_no_template_of_a_stranger_is_written_or_kept(
    demo_clip: Path, fast_engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is enrolled, so both people of the clip are strangers."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Site.open(tmp_path / "site", clock=SystemClock(), create=True) as site:
        declare_demo(site, actor="test")
    recogniser = Remembering(fast_engines)
    calibration = load_calibration(recogniser.sha256)
    pipeline = CameraPipeline(
        "c",
        fast_engines.detector,
        recogniser,
        Roster([], place=Place("c"), calibration=calibration),
        Settings(),
        SimulatedClock(),
        lambda sighting: None,
    )
    with open_source(str(demo_clip), camera="c", settings=Settings().media, clock=SystemClock()) as source:
        watch(source, pipeline, clock=SystemClock(), out=tmp_path / "out.mp4", max_seconds=14.0)
    assert len(recogniser.made) > 10
    needles = [Needle(f"template {n}", data[:64]) for n, data in enumerate(recogniser.made)]
    needles += [
        Needle(f"half {n}", np.frombuffer(data, np.float32).astype(np.float16).tobytes()[:64])
        for n, data in enumerate(recogniser.made)
    ]
    scan = scan_for(tmp_path, needles)
    assert scan.hits == ()
    gc.collect()
    # the last template made may still be a local of the pipeline's last step; none is held by a track
    assert sum(reference() is not None for reference in recogniser.alive) == 0


def test_how_many_templates_of_strangers_there_are_and_for_how_long(
    demo_clip: Path, fast_engines: Engines
) -> None:
    """Measured frame by frame: a few for each face in view, none when the last has been gone for a second."""
    recogniser = Remembering(fast_engines)
    policy = Settings().recognition
    pipeline = CameraPipeline(
        "c",
        fast_engines.detector,
        recogniser,
        Roster([], place=Place("c"), calibration=load_calibration(recogniser.sha256)),
        Settings(),
        SimulatedClock(),
        lambda sighting: None,
    )
    alive: list[tuple[float, int]] = []
    with open_source(str(demo_clip), camera="c", settings=Settings().media, clock=SystemClock()) as source:
        for frame in source:
            if frame.sequence % 2:
                continue  # half of the frames take half of the time
            for _ in pipeline.process(frame):
                pass
            alive.append((frame.time_s, sum(reference() is not None for reference in recogniser.alive)))
    assert len(recogniser.made) > 30
    tracks_at_once = 2
    assert 0 < max(count for _, count in alive) <= tracks_at_once * (policy.track_crops + 1)
    last_kept_s = max(time_s for time_s, count in alive if count)
    assert last_kept_s < LAST_FACE_S + 1.5
    assert alive[-1][1] == 0  # without the pipeline being told to finish
