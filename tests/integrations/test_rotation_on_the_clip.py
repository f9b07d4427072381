"""The built-in clip with the real models: a rotation changes no decision, a change on the way cuts once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.people.kit import PURPOSE, consent

from consentry.clock import SimulatedClock, SystemClock
from consentry.config import Settings
from consentry.gallery.calibration import load_calibration
from consentry.gallery.rotation import Rotation
from consentry.media import open_source
from consentry.people.consent import Place
from consentry.people.roster import Reference
from consentry.pipeline.camera import CameraPipeline
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import Sighting
from consentry.pipeline.watch import watch
from consentry.types import Floats, Picture
from consentry.vision.load import Engines

pytestmark = pytest.mark.models

BOTH_PEOPLE_S = 10.5
HER_ALONE_S = 7.0
CHANGE_AT_S = 4.0
KEYS = (Rotation(1, bytes(32)), Rotation(2, bytes(range(32))))
NAME = "Eileen Collins"


@pytest.fixture(scope="module")
def reference(fast_engines: Engines, crops_bgr: Picture) -> Floats:
    """Her template as the recogniser makes it."""
    (template,) = fast_engines.recogniser.templates(crops_bgr[:1])
    return np.asarray(template, np.float32)


def _roster(raw: Floats, key: Rotation | None, engines: Engines) -> Roster:
    kept = raw if key is None else key.turn(raw).astype(np.float32)
    calibration = load_calibration(engines.recogniser.sha256)
    references = [Reference("p1", NAME, kept, PURPOSE, (consent(),), key)]
    return Roster(references, place=Place("c"), calibration=calibration)


def _sightings(
    clip: Path, engines: Engines, first: Roster, then: Callable[[float], Roster], length_s: float
) -> list[Sighting]:
    """Sightings of the clip's beginning; `then` gives the roster from a picture's time on."""
    found: list[Sighting] = []
    pipeline = CameraPipeline(
        "c", engines.detector, engines.recogniser, first, Settings(), SimulatedClock(), found.append
    )
    with open_source(str(clip), camera="c", settings=Settings().media, clock=SystemClock()) as source:
        watch(
            source,
            pipeline,
            clock=SystemClock(),
            max_seconds=length_s,
            on_frame=lambda redacted: setattr(pipeline, "roster", then(redacted.time_s)),
        )
    return sorted(found, key=lambda sighting: sighting.track)


def test_no_decision_changes(demo_clip: Path, fast_engines: Engines, reference: Floats) -> None:
    without, under = (_roster(reference, key, fast_engines) for key in (None, KEYS[0]))
    plain = _sightings(demo_clip, fast_engines, without, lambda _: without, BOTH_PEOPLE_S)
    turned = _sightings(demo_clip, fast_engines, under, lambda _: under, BOTH_PEOPLE_S)
    assert {one.decision for one in plain} == {"known", "unknown"}
    assert len(plain) == len(turned)
    for one, other in zip(plain, turned, strict=True):
        assert (one.decision, one.name, one.crops) == (other.decision, other.name, other.crops)
        assert one.gallery_digest != other.gallery_digest
        assert one.score == pytest.approx(other.score, abs=1.01e-4)  # both were rounded to 4 places
        assert one.margin == pytest.approx(other.margin, abs=1.01e-4)


def test_a_change_on_the_way_cuts_her_track_and_knows_her_again(
    demo_clip: Path, fast_engines: Engines, reference: Floats
) -> None:
    old, new = (_roster(reference, key, fast_engines) for key in KEYS)
    found = _sightings(
        demo_clip, fast_engines, old, lambda time_s: old if time_s < CHANGE_AT_S else new, HER_ALONE_S
    )
    hers = [one for one in found if one.name == NAME]
    assert [one.gallery_digest for one in hers] == [old.gallery.digest, new.gallery.digest]
    assert min(one.score or 0.0 for one in hers) > 0.7
    assert hers[1].first_s - hers[0].last_s < 0.5
    assert {one.name for one in found} == {NAME}
