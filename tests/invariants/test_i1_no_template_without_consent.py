"""I1: no template on disk without a live consent record for its purpose; none after withdrawal.

Each test tries to get a template past the rule, or to find one that should be gone.
"""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START,
    START_UNIX_S,
    FakeAnalyser,
    consent,
    enrolled,
    opened,
    photo,
    template,
)

from consentry.clock import SimulatedClock
from consentry.config import Retention
from consentry.errors import ConsentInvalid, DataDamaged
from consentry.people.consent import ConsentRecord, demo_consent
from consentry.people.enrol import enrol
from consentry.people.erase import withdraw
from consentry.people.retention import enforce
from consentry.people.roster import gallery_snapshot, list_people
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.site import Site
from consentry.store.database import DATABASE_FILE

BAD_CONSENTS = {
    "expired": consent(start=START - timedelta(days=101)),
    "ends this moment": consent(start=START - timedelta(days=100)),
    "not begun": consent(start=START + timedelta(seconds=1)),
    "other purpose": consent(purpose="canteen"),
    "withdrawn": consent().model_copy(update={"state": "withdrawn"}),
    "refused": consent().model_copy(update={"state": "refused"}),
    "demo": demo_consent(START_UNIX_S),
}


def _snapshot_names(site: Site) -> set[str]:
    found = gallery_snapshot(
        site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
    )
    return {reference.name for reference in found}


@pytest.mark.parametrize("record", BAD_CONSENTS.values(), ids=BAD_CONSENTS.keys())
def test_no_template_reaches_the_disk_without_a_live_consent(tmp_path: Path, record: ConsentRecord) -> None:
    with opened(tmp_path, declared=True) as site:
        analyser = FakeAnalyser()
        with pytest.raises(ConsentInvalid):
            enrol(site, analyser, name="Ada", photos=[photo(1)], consent=record, actor=ACTOR)
        assert analyser.seen == 0
        with site.read() as session:
            assert session.execute(text("SELECT count(*) FROM template")).scalar_one() == 0
        assert list(site.blobs.names()) == []


def test_templates_are_never_readable_on_disk(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Distinctive Example")
        clear = [
            *(needle for pose in (0, 1) for needle in pieces("template", template(1, pose).tobytes(), 16)),
            *(needle for pose in (0, 1) for needle in pieces("photo", photo(1, pose).original, 16)),
            Needle("name", b"Ada Distinctive"),
        ]
        assert scan_for(tmp_path, clear).hits == ()


def test_a_row_planted_without_consent_is_never_matched(tmp_path: Path) -> None:
    """Someone with the database but not the keys copies rows to enrol a person behind the program's back."""
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
    connection = sqlite3.connect(tmp_path / "data" / DATABASE_FILE)
    connection.execute("INSERT INTO person SELECT 'planted', enrolled_unix_ms, sealed_name FROM person")
    connection.execute("INSERT INTO person_key SELECT 'planted', wrapped_key FROM person_key")
    connection.commit()
    connection.close()
    with opened(tmp_path) as site, pytest.raises(DataDamaged, match="a sealed person-key does not open"):
        _snapshot_names(site)


def test_a_consent_moved_from_someone_else_does_not_count(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(days=10))
        enrolled(site, 2, "Ben Example")
        with site.write() as session:
            first = "(SELECT sealed_record FROM consent ORDER BY id LIMIT 1)"
            session.execute(text(f"UPDATE consent SET sealed_record = {first}"))
        with pytest.raises(DataDamaged, match="a sealed consent does not open"):
            _snapshot_names(site)


def test_a_person_whose_consent_row_was_deleted_is_never_matched(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        with site.write() as session:
            session.execute(text("DELETE FROM consent"))
        assert _snapshot_names(site) == set()
        assert len(enforce(site, Retention(), ACTOR).erased) == 1
        assert list_people(site) == []


@given(days=st.lists(st.floats(0.01, 1000), min_size=1, max_size=4), later_days=st.floats(0, 1100))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_dates_only_live_consents_are_matched(
    tmp_path_factory: pytest.TempPathFactory, days: list[float], later_days: float
) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path_factory.mktemp("site"), clock=clock, declared=True) as site:
        for person, duration in enumerate(days, start=1):
            enrolled(site, person, f"Person {person}", consent(days=duration))
        review = site.clock.unix_s() + 365 * 86_400
        clock.advance(min(later_days, 364) * 86_400)
        assert clock.unix_s() < review  # so that the declaration is not what stops the search
        live = {
            f"Person {person}"
            for person, duration in enumerate(days, start=1)
            if clock.unix_s() < consent(days=duration).valid_until.timestamp()
        }
        assert _snapshot_names(site) == live
        enforce(site, Retention(), ACTOR)
        assert {person.name for person in list_people(site)} == live


def test_a_copy_of_the_folder_opens_nothing_of_who_withdrew(tmp_path: Path) -> None:
    """After withdrawal even the site key opens nothing: the person's key is in no file any more."""
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        enrolled(site, 2, "Ben Example")
        withdraw(site, person_id, reason="asked", actor=ACTOR)
    with opened(tmp_path) as site:
        assert _snapshot_names(site) == {"Ben Example"}
        with site.read() as session:
            for table in ("person", "person_key", "consent", "photo", "template"):
                column = "id" if table == "person" else "person_id"
                left = f"SELECT count(*) FROM {table} WHERE {column} = :person_id"
                assert session.execute(text(left), {"person_id": person_id}).scalar_one() == 0


@pytest.mark.parametrize("moved_to_unix_ms", [-(10**17), 0, 10**17])
def test_moving_when_someone_was_last_seen_never_outlives_the_consent(
    tmp_path: Path, moved_to_unix_ms: int
) -> None:
    """Whoever edits the database can shorten the term, or stretch it to the end of the consents."""
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(days=10))
        with site.write() as session:
            moved = "UPDATE person SET last_seen_unix_ms = :at, enrolled_unix_ms = :at"
            session.execute(text(moved), {"at": moved_to_unix_ms})
        assert (_snapshot_names(site) == {"Ada Example"}) == (moved_to_unix_ms > 0)
        clock.advance(10 * 86_400)
        assert _snapshot_names(site) == set()
        assert len(enforce(site, Retention(), ACTOR).erased) == 1
