"""Cameras are looked at again, or they are off; what is overdue is logged once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, PURPOSE, START, START_UNIX_S, duty, opened

from consentry.clock import SimulatedClock
from consentry.errors import NotFound, UsageError
from consentry.people.cameras import (
    Camera,
    CameraReview,
    add_camera,
    find_camera,
    review_camera,
    why_overdue,
)
from consentry.people.declaration import require_declared
from consentry.people.reviews import note_overdue, reviewed_until_unix_s
from consentry.people.site import Site

URL = "rtsp://admin:hunter2@192.0.2.5/"
DUE = duty().review_due_on
DAY_S = 86_400.0


def _camera(due: date | None) -> Camera:
    return Camera("door", "rtsp://***@192.0.2.5/", PURPOSE, 0, "Example Ltd", due)


def _events(site: Site, event: str) -> list[str]:
    with site.read() as session:
        rows = session.execute(
            text(
                "SELECT payload_json FROM ledger_entry JOIN ledger_payload USING (seq) WHERE event = :event "
                "ORDER BY seq"
            ),
            {"event": event},
        )
        return [str(payload) for (payload,) in rows]


def test_a_camera_is_overdue_from_the_day_after() -> None:
    assert why_overdue(_camera(DUE), DUE) == ""
    assert f"was due on {DUE.isoformat()}" in why_overdue(_camera(DUE), DUE + timedelta(days=1))
    assert "never reviewed" in why_overdue(_camera(None), START.date())


def test_a_review_changes_only_what_it_says(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        before = add_camera(site, name="door", url=URL, duty=duty(), zone="lobby", actor=ACTOR)
        later = DUE + timedelta(days=30)
        after = review_camera(site, "door", CameraReview(review_due_on=later), actor=ACTOR)
        assert (after.purpose, after.owner, after.zone) == (before.purpose, before.owner, "lobby")
        assert find_camera(site, "door") == after
        moved = review_camera(site, "door", CameraReview(owner="Ada", purpose="gate", zone=""), actor=ACTOR)
        assert (moved.owner, moved.purpose, moved.zone, moved.review_due_on) == ("Ada", "gate", None, later)
        assert len(_events(site, "camera.reviewed")) == 2
        assert "hunter2" not in "".join(_events(site, "camera.reviewed"))


def test_what_is_no_review(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        add_camera(site, name="door", url=URL, duty=duty(), actor=ACTOR)
        with pytest.raises(NotFound, match="no camera “gate”"):
            review_camera(site, "gate", CameraReview(review_due_on=DUE), actor=ACTOR)
        with pytest.raises(UsageError, match="needs an owner"):
            review_camera(site, "door", CameraReview(owner=" "), actor=ACTOR)
        clock.advance(200 * DAY_S)
        with pytest.raises(UsageError, match="not within the next three years"):
            review_camera(site, "door", CameraReview(owner="Ada"), actor=ACTOR)  # still overdue
        with site.write() as session:  # as schema 1 left it
            session.execute(text("UPDATE camera SET review_due_on = ''"))
        with pytest.raises(UsageError, match="has no day of review yet"):
            review_camera(site, "door", CameraReview(owner="Ada"), actor=ACTOR)


def test_what_is_overdue_is_logged_once_for_each_day_missed(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        add_camera(site, name="door", url=URL, duty=duty(), actor=ACTOR)
        note_overdue(site, actor=ACTOR)
        assert _events(site, "camera.overdue") == []
        clock.advance(181 * DAY_S)
        for _ in range(3):
            note_overdue(site, actor=ACTOR)
    with opened(tmp_path, clock=clock, create=False) as site:  # a restart does not say it again
        note_overdue(site, actor=ACTOR)
        assert _events(site, "camera.overdue") == [f'{{"camera":"door","review_due_on":"{DUE.isoformat()}"}}']
        assert _events(site, "site.review_due") == []
        again = site.today() + timedelta(days=10)
        review_camera(site, "door", CameraReview(review_due_on=again), actor=ACTOR)
        clock.advance(200 * DAY_S)
        note_overdue(site, actor=ACTOR)
        note_overdue(site, actor=ACTOR)
        assert len(_events(site, "camera.overdue")) == 2
        assert len(_events(site, "site.review_due")) == 1


def test_a_watch_may_go_on_to_the_end_of_the_first_day_of_review(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        declared = require_declared(site)
    year_s = reviewed_until_unix_s(declared, None)
    assert datetime.fromtimestamp(year_s, UTC).isoformat() == "2028-01-16T00:00:00+00:00"
    half_s = reviewed_until_unix_s(declared, _camera(DUE))
    assert datetime.fromtimestamp(half_s, UTC).date() == DUE + timedelta(days=1)
