"""`watch` on a real RTSP server: the demo clip over the network gives the same people."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integrations.media.rtsp import rtsp_server
from tests.unit.people.kit import PURPOSE, consent

from consentry.clock import SystemClock
from consentry.config import Settings
from consentry.gallery.calibration import load_calibration
from consentry.media import open_source
from consentry.people.consent import Place
from consentry.people.roster import Reference
from consentry.pipeline.camera import CameraPipeline
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import Sighting
from consentry.pipeline.watch import watch
from consentry.types import Picture
from consentry.vision.load import Engines

pytestmark = [pytest.mark.models, pytest.mark.rtsp]


def test_the_enrolled_person_is_recognised_over_rtsp(
    demo_clip: Path, fast_engines: Engines, crops_bgr: Picture
) -> None:
    template = fast_engines.recogniser.templates(crops_bgr)[0]
    reference = Reference("p1", "Eileen Collins", template, PURPOSE, (consent(start=datetime.now(UTC)),))
    calibration = load_calibration(fast_engines.recogniser.sha256)
    sightings: list[Sighting] = []
    pipeline = CameraPipeline(
        "rtsp",
        fast_engines.detector,
        fast_engines.recogniser,
        Roster([reference], place=Place("rtsp"), calibration=calibration),
        Settings(),
        SystemClock(),
        sightings.append,
    )
    clock = SystemClock()
    with (
        rtsp_server("--clip", str(demo_clip)) as server,
        open_source(server.url, camera="rtsp", settings=Settings().media, clock=clock) as source,
    ):
        summary = watch(source, pipeline, clock=clock, max_seconds=9.0)
    assert source.info.live
    assert source.info.kind == "rtsp"
    assert summary.frames_analysed > 30
    assert {item.name for item in sightings if item.decision == "known"} == {"Eileen Collins"}
