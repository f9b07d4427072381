"""The hub with a real worker process on the built-in camera: withdrawal, a dead worker, an ordered end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import text
from tests.unit.people.kit import duty, opened

from consentry.clock import SystemClock
from consentry.config import Settings, models_dir
from consentry.people.cameras import CameraReview, add_camera, remove_camera, review_camera
from consentry.people.consent import DEMO, demo_consent
from consentry.people.declaration import declare_demo
from consentry.people.enrol import Photo, enrol
from consentry.people.erase import withdraw
from consentry.people.rekey import rotate_keys
from consentry.people.sightings import recent
from consentry.people.site import Site
from consentry.pipeline.builtin import BUILTIN_URL
from consentry.server.hub import Hub
from consentry.types import Picture
from consentry.vision.analyse import PhotoAnalyst
from consentry.vision.load import Engines

pytestmark = pytest.mark.models

PATIENCE_S = 60.0
CAMERA = "demo"


class Watched:
    """A running hub, and what to wait for."""

    def __init__(self, site: Site, hub: Hub, person_id: str, engines: Engines) -> None:
        self.site, self.hub, self.person_id, self.engines = site, hub, person_id, engines
        self.clock = SystemClock()

    def wait(self, what: str, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
        """Seconds until `true` gave true."""
        begun_s, never = self.clock.monotonic_s(), threading.Event()
        while not true():
            waited_s = self.clock.monotonic_s() - begun_s
            assert waited_s < patience_s, f"{what} did not come about in {patience_s:.0f} s"
            never.wait(0.02)
        return self.clock.monotonic_s() - begun_s

    def wait_for_roster(self) -> float:
        """Seconds until the worker has the gallery as it is now."""
        version = self.site.gallery_version

        def is_known() -> bool:
            health = self.hub.live.health(CAMERA)
            return health is not None and health.roster_version >= version

        return self.wait("the new roster in the worker", is_known)

    def streaming(self) -> bool:
        """Whether frames are being analysed."""
        health = self.hub.live.health(CAMERA)
        return health is not None and health.state == "streaming" and health.frames_analysed > 0

    def shows_a_face(self) -> bool:
        """Whether the newest live picture shows a face."""
        picture = self.hub.live.picture(CAMERA)
        if picture is None:
            return False
        bgr = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
        return len(self.engines.detector.detect(np.asarray(bgr, np.uint8), min_score=0.5)) > 0


@contextmanager
def watched(folder: Path, clip: Path, engines: Engines, portrait: Picture) -> Iterator[Watched]:
    """A demo site in which Eileen Collins is enrolled, and its hub."""
    clock = SystemClock()
    with opened(folder, clock=clock) as site:
        declare_demo(site, actor="test")
        original = bytes(cv2.imencode(".png", portrait)[1])
        result = enrol(
            site,
            PhotoAnalyst(engines),
            name="Eileen Collins",
            photos=[Photo("portrait", original, portrait)],
            consent=demo_consent(clock.unix_s()),
            actor="test",
        )
        add_camera(site, name=CAMERA, url=BUILTIN_URL, duty=duty(DEMO), actor="test")
        hub = Hub(
            site,
            Settings(),
            clock,
            runtime=engines.choice.runtime,
            models_folder=models_dir(),
            builtin_video=clip,
        )
        hub.start()
        try:
            yield Watched(site, hub, result.person_id, engines)
        finally:
            hub.stop()
        assert hub.worker_pid is None


def test_someone_who_withdraws_is_covered_within_five_seconds(
    tmp_path: Path, demo_clip: Path, fast_engines: Engines, collins_bgr: Picture
) -> None:
    with watched(tmp_path, demo_clip, fast_engines, collins_bgr) as it:
        it.wait("her face in the live picture", it.shows_a_face)
        with opened(tmp_path, clock=it.clock, create=False) as elsewhere:  # as another process would
            withdraw(elsewhere, it.person_id, reason="asked", actor="test")
        assert it.wait_for_roster() < 5.0
        settle_s = Settings().redaction.lead_s + 0.5  # pictures that were on their way
        threading.Event().wait(settle_s)
        seen: set[int] = set()
        while len(seen) < 15:
            picture = it.hub.live.picture(CAMERA)
            if picture is not None and picture.number not in seen:
                seen.add(picture.number)
                assert not it.shows_a_face()
        assert it.hub.people == ()
        known_before = {item.id for item in recent(it.site, 100)}
        it.wait(
            "a sighting after it", lambda: bool({item.id for item in recent(it.site, 100)} - known_before)
        )
        assert not [item for item in recent(it.site, 100) if item.sighting.person_id is not None]


def test_the_template_key_changes_while_the_camera_runs(
    tmp_path: Path, demo_clip: Path, fast_engines: Engines, collins_bgr: Picture
) -> None:
    with watched(tmp_path, demo_clip, fast_engines, collins_bgr) as it:
        it.wait("her face in the live picture", it.shows_a_face)
        with opened(tmp_path, clock=it.clock, create=False) as elsewhere:  # as another process would
            rotate_keys(elsewhere, actor="test")
        it.wait_for_roster()
        it.wait(
            "the sighting of the track that was cut",
            lambda: any(item.sighting.person_id == it.person_id for item in recent(it.site, 100)),
        )
        it.wait("her face again", it.shows_a_face)
        digests = {
            item.sighting.gallery_digest
            for item in recent(it.site, 100)
            if item.sighting.person_id == it.person_id
        }
        it.wait(
            "a sighting of her under the new key",
            lambda: any(
                item.sighting.person_id == it.person_id and item.sighting.gallery_digest not in digests
                for item in recent(it.site, 100)
            ),
        )
        assert it.hub.restarts == 0
        assert it.hub.unrecorded == 0


def test_a_dead_worker_is_started_again_and_the_end_is_in_order(
    tmp_path: Path, demo_clip: Path, fast_engines: Engines, collins_bgr: Picture
) -> None:
    with watched(tmp_path, demo_clip, fast_engines, collins_bgr) as it:
        it.wait("frames", it.streaming)
        first = it.hub.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        it.wait("the loss", lambda: it.hub.restarts == 1)
        health = it.hub.live.health(CAMERA)
        assert health is not None
        assert health.state == "failed"
        assert it.hub.live.picture(CAMERA) is None
        it.wait("frames of the second worker", it.streaming)
        assert it.hub.worker_pid not in (None, first)
        assert it.hub.healthy
        it.wait("her face in the live picture", it.shows_a_face)
        sightings = len(recent(it.site, 100))
        it.hub.stop()
        assert len(recent(it.site, 100)) > sightings, "the track under way was not recorded at the end"
        assert it.hub.unrecorded == 0
        assert it.hub.live.closed


def test_a_camera_that_is_removed_leaves_and_its_worker_ends(
    tmp_path: Path, demo_clip: Path, fast_engines: Engines, collins_bgr: Picture
) -> None:
    with watched(tmp_path, demo_clip, fast_engines, collins_bgr) as it:
        it.wait("frames", it.streaming)
        remove_camera(it.site, CAMERA, actor="test")
        it.wait("the end of the worker", lambda: it.hub.worker_pid is None)
        assert it.hub.cameras == ()
        assert it.hub.restarts == 0
        assert it.hub.live.picture(CAMERA) is None


def test_an_overdue_camera_stops_within_seconds_and_a_review_brings_it_back(
    tmp_path: Path, demo_clip: Path, fast_engines: Engines, collins_bgr: Picture
) -> None:
    with watched(tmp_path, demo_clip, fast_engines, collins_bgr) as it:
        it.wait("frames", it.streaming)
        with it.site.write() as session:  # as if that day were past
            session.execute(text("UPDATE camera SET review_due_on = '2026-01-31'"))
        assert it.wait("the state", lambda: CAMERA in it.hub.overdue) < 5.0
        health = it.hub.health(CAMERA)
        assert health is not None
        assert health.state == "overdue"
        assert it.hub.live.picture(CAMERA) is None
        it.wait("the end of the worker", lambda: it.hub.worker_pid is None)
        due = it.site.today() + timedelta(days=30)
        review_camera(it.site, CAMERA, CameraReview(review_due_on=due), actor="test")
        it.wait("frames after the review", it.streaming)
        assert it.hub.restarts == 0
        assert it.hub.reason_off(CAMERA) == ""
