"""Overdue reviews, undeclared purposes and empty places: the hub recognises nobody and says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START_UNIX_S,
    consent,
    declaration,
    duty,
    enrolled,
    opened,
)

from consentry.clock import SimulatedClock
from consentry.config import Settings
from consentry.people.cameras import CameraReview, add_camera, review_camera
from consentry.people.declaration import declare
from consentry.people.recognition_use import hours_by_camera
from consentry.people.site import Site
from consentry.pipeline.messages import Health, NewRoster, Stop
from consentry.server.hub import NOBODY_HERE, Hub
from consentry.server.use_meter import UseMeter
from consentry.vision.runtime import Runtime

DAY_S = 86_400.0
URL = "rtsp://admin:hunter2@192.0.2.5/"


class Looking(Hub):
    """A hub whose threads are not started: a test looks itself, and sees what a worker would be told."""

    told = NewRoster(-1, {})

    def recognised(self, camera: str) -> int:
        """How many references a worker would compare with."""
        return len(self.told.references.get(camera, ()))

    def hosted(self) -> list[str]:
        """The cameras a worker would open."""
        spec = self._spec()
        assert spec is not None
        return [camera.name for camera in spec.cameras]

    def _use_roster(self, roster: NewRoster) -> None:
        super()._use_roster(roster)
        self.told = roster


@contextmanager
def looking(folder: Path, *, declared: bool = True) -> Iterator[tuple[Site, Looking, SimulatedClock]]:
    clock = SimulatedClock(START_UNIX_S)
    with opened(folder, clock=clock, declared=declared) as site:
        hub = Looking(
            site,
            Settings(),
            clock,
            runtime=Runtime("onnxruntime", "f32", 1),
            models_folder=folder,
            builtin_video=folder / "none.mp4",
        )
        hub.recogniser_sha256 = RECOGNISER
        yield site, hub, clock


def test_an_overdue_camera_is_not_opened_until_it_is_reviewed(tmp_path: Path) -> None:
    with looking(tmp_path) as (site, hub, clock):
        enrolled(site, 1, "Ada Example", consent(days=1000))
        declare(site, declaration(review_due_on=site.today() + timedelta(days=1000)), actor=ACTOR)
        add_camera(site, name="door", url=URL, duty=duty(), actor=ACTOR)
        hub.look()
        assert (hub.hosted(), hub.recognised("door"), hub.reason_off("door")) == (["door"], 2, "")
        clock.advance(180 * DAY_S)  # the day of the review itself
        hub.look()
        assert hub.hosted() == ["door"]
        clock.advance(DAY_S)
        hub.look()
        assert (hub.hosted(), hub.recognised("door")) == ([], 0)
        health = hub.health("door")
        assert health is not None
        assert health.state == "overdue"
        assert f"due on {duty().review_due_on.isoformat()}" in health.detail
        assert "consentry camera review" in health.detail
        assert hub.reason_off("door") == health.detail
        hub.live.told(Health("door", "streaming", "", 1, 1, 1, 0, 0, {}, {}))  # from a worker on its way out
        later = hub.health("door")
        assert later is not None
        assert later.state == "overdue"
        review_camera(
            site, "door", CameraReview(review_due_on=site.today() + timedelta(days=90)), actor=ACTOR
        )
        hub.look()
        assert (hub.hosted(), hub.recognised("door"), hub.reason_off("door")) == (["door"], 2, "")
        assert hub.health("door") is None  # nothing told yet


def test_a_worker_is_told_whom_to_forget_before_it_is_told_to_stop(tmp_path: Path) -> None:
    """Else it would end its tracks by the roster of before."""

    class Listening:
        def __init__(self) -> None:
            self.heard: list[object] = []

        def send(self, message: object) -> None:
            self.heard.append(message)

    with looking(tmp_path) as (site, hub, clock):
        enrolled(site, 1, "Ada Example", consent(days=1000))
        declare(site, declaration(review_due_on=site.today() + timedelta(days=1000)), actor=ACTOR)
        add_camera(site, name="door", url=URL, duty=duty(), actor=ACTOR)
        hub.look()
        assert hub.hosted() == ["door"]
        worker = Listening()
        hub._worker = worker  # type: ignore[assignment]
        review_camera(site, "door", CameraReview(owner="Ada"), actor=ACTOR)
        hub.look()
        assert not [said for said in worker.heard if isinstance(said, Stop)]  # nothing it must open anew
        clock.advance(181 * DAY_S)
        hub.look()
        hub.look()
        assert [type(said) for said in worker.heard[-2:]] == [NewRoster, Stop]
        assert isinstance(worker.heard[-2], NewRoster)
        assert worker.heard[-2].references == {}


def test_an_overdue_declaration_empties_every_roster_at_midnight_utc(tmp_path: Path) -> None:
    with looking(tmp_path) as (site, hub, clock):
        enrolled(site, 1, "Ada Example", consent(days=1000))
        due = site.today() + timedelta(days=20)
        declare(site, declaration(review_due_on=due), actor=ACTOR)
        add_camera(site, name="door", url=URL, duty=duty(), actor=ACTOR)
        hub.look()
        midnight_s = 21 * DAY_S - START_UNIX_S % DAY_S
        clock.advance(midnight_s - 0.5)
        hub.look()
        assert hub.recognised("door") == 2
        clock.advance(0.5)
        hub.look()
        assert hub.recognised("door") == 0
        assert "was due for review" in hub.reason_off("door")
        assert hub.hosted() == ["door"]  # pictures go on, covered


@pytest.mark.parametrize(
    ("declared", "purpose", "cameras", "why"),
    [
        (False, PURPOSE, None, "has not declared"),
        (True, "canteen", None, "“canteen” is not declared"),
        (True, PURPOSE, frozenset({"gate"}), NOBODY_HERE),
        (True, PURPOSE, None, ""),
    ],
)
def test_a_camera_says_why_it_recognises_nobody(
    tmp_path: Path, declared: bool, purpose: str, cameras: frozenset[str] | None, why: str
) -> None:
    with looking(tmp_path, declared=declared) as (site, hub, _clock):
        if declared:
            enrolled(site, 1, "Ada Example", consent(cameras=cameras))
        add_camera(site, name="door", url=URL, duty=duty(purpose), actor=ACTOR)
        assert hub.reason_off("door") == "it is being started"
        hub.look()
        assert why in hub.reason_off("door")
        assert bool(hub.reason_off("door")) == bool(why)


def test_time_counts_only_between_two_messages_that_recognise() -> None:
    clock = SimulatedClock(START_UNIX_S)
    meter = UseMeter(clock)
    for seconds, recognises in ((0, True), (1, True), (1, False), (1, True), (60, True), (1, True)):
        clock.advance(seconds)
        meter.saw("door", recognises=recognises)
    assert meter.take() == {("door", "2027-01-15"): 1 + 5 + 1}
    assert meter.take() == {}


def test_hours_of_recognition_are_added_up_by_day(tmp_path: Path) -> None:
    with looking(tmp_path) as (site, hub, clock):
        enrolled(site, 1, "Ada Example")
        for name in ("door", "gate"):
            add_camera(site, name=name, url=URL, duty=duty(PURPOSE if name == "door" else "no"), actor=ACTOR)
        for day in range(2):
            clock.advance(day * DAY_S)
            hub.look()
            for _ in range(1801):
                for name in ("door", "gate"):
                    hub._take(Health(name, "streaming", "", 1, 1, 1, 0, 0, {}, {}))
                clock.advance(1.0)
        clock.advance(60)
        hub.look()
        assert hours_by_camera(site, since=site.today() - timedelta(days=1)) == pytest.approx(
            {"door": 1.0}, abs=0.01
        )
        assert hours_by_camera(site, since=site.today()) == pytest.approx({"door": 0.5}, abs=0.01)
