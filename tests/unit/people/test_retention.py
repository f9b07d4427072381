"""Whose time has ended is not matched from that moment on, and is destroyed by the next run of the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START,
    START_UNIX_S,
    consent,
    declaration,
    enrolled,
    opened,
)
from tests.unit.people.test_sightings import SIGHTING

from consentry.clock import SimulatedClock
from consentry.config import Retention, Settings
from consentry.errors import ConsentInvalid
from consentry.gallery.calibration import load_calibration
from consentry.models.catalogue import Catalogue
from consentry.people.consent import Act, Place
from consentry.people.consents import add_consent
from consentry.people.declaration import declare
from consentry.people.receipts import Terms
from consentry.people.retention import enforce, people_past_retention
from consentry.people.roster import Reference, gallery_snapshot, list_people
from consentry.people.sightings import recent, record
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.pipeline.roster import Roster
from consentry.pipeline.worker import recogniser_sha256

DAY_S = 86_400
THREE_YEARS = Retention(last_seen_days=1096)
TERM = Retention(last_seen_days=100)


def _declare_for_long(site: Site) -> None:
    today = START.date() + timedelta(seconds=site.clock.unix_s() - START_UNIX_S)
    declare(site, declaration(review_due_on=today + timedelta(days=1090)), actor=ACTOR)


def _references(site: Site, retention: Retention) -> list[Reference]:
    return gallery_snapshot(
        site,
        purpose=PURPOSE,
        recogniser_sha256=RECOGNISER,
        at_unix_s=site.clock.unix_s(),
        retention=retention,
    )


def _seen(site: Site, person_id: str) -> None:
    now_unix_ms = site.now_unix_ms()
    seen = replace(SIGHTING, person_id=person_id, first_unix_ms=now_unix_ms - 1000, last_unix_ms=now_unix_ms)
    record(site, seen)


def _last_entries(site: Site, count: int) -> list[tuple[str, dict[str, object]]]:
    statement = (
        "SELECT event, payload_json FROM ledger_entry LEFT JOIN ledger_payload USING (seq) "
        "ORDER BY seq DESC LIMIT ?"
    )
    with site.read() as session:
        rows = session.connection().exec_driver_sql(statement, (count,)).all()
    return [(event, json.loads(payload or "{}")) for event, payload in reversed(rows)]


def test_three_years_after_the_last_sighting(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        _declare_for_long(site)
        person_id = enrolled(site, 1, "Ada Example", consent(days=1096)).person_id
        renewal = consent(start=START + timedelta(days=1000), days=1096)
        add_consent(site, person_id, renewal.model_copy(update={"given_on": START}), ACTOR)
        clock.advance(10 * DAY_S)
        _seen(site, person_id)
        clock.advance(1000 * DAY_S)
        _declare_for_long(site)
        clock.advance(96 * DAY_S - 1)
        assert len(_references(site, THREE_YEARS)) == 2
        assert enforce(site, THREE_YEARS, ACTOR).erased == ()
        clock.advance(1)
        assert _references(site, THREE_YEARS) == []  # though the engine has not run yet
        assert people_past_retention(site, THREE_YEARS) == {person_id: "not-seen"}
        (finding,) = check_site(site, mend=False, actor=ACTOR, retention=THREE_YEARS)
        assert "not seen for as long as this site keeps people" in finding.what
        clock.advance(1)
        (erased,) = enforce(site, THREE_YEARS, ACTOR).erased
        assert (erased.person_id, erased.templates) == (person_id, 2)
        assert list_people(site) == []
        logged = dict(_last_entries(site, 3))
        assert logged["person.withdrawn"]["reason"] == "not-seen"
        assert check_site(site, mend=False, actor=ACTOR, retention=THREE_YEARS) == []


def test_the_end_of_the_last_consent(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        short = enrolled(site, 1, "Ada Example", consent(days=10)).person_id
        enrolled(site, 2, "Ben Example", consent(days=20))
        clock.advance(10 * DAY_S - 1)
        assert enforce(site, TERM, ACTOR).erased == ()
        clock.advance(1)
        assert people_past_retention(site, TERM) == {short: "consent-ended"}
        report = enforce(site, TERM, ACTOR)
        assert ([one.person_id for one in report.erased], report.consents_expired) == ([short], 1)
        assert [person.name for person in list_people(site)] == ["Ben Example"]
        (expired, _), (withdrawn, payload) = _last_entries(site, 2)
        assert (expired, withdrawn) == ("consent.expired", "person.withdrawn")
        assert payload["reason"] == "consent-ended"
        clock.advance(-20 * DAY_S)  # a clock set back erases nobody
        assert enforce(site, TERM, ACTOR).erased == ()
        assert [person.name for person in list_people(site)] == ["Ben Example"]


def test_one_consent_of_two_runs_out_and_the_person_stays(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        declare(site, declaration(PURPOSE, "canteen"), actor=ACTOR)
        person_id = enrolled(site, 1, "Ada Example", consent(days=10)).person_id
        add_consent(site, person_id, consent(purpose="canteen", days=50), ACTOR)
        clock.advance(10 * DAY_S)
        before = site.gallery_version
        report = enforce(site, TERM, ACTOR)
        assert (report.erased, report.consents_expired) == ((), 1)
        assert site.gallery_version > before
        assert _last_entries(site, 1)[0][1]["purpose"] == PURPOSE
        assert sorted(one.state for one in list_people(site)[0].consents) == ["expired", "given"]
        assert enforce(site, TERM, ACTOR).consents_expired == 0  # once
        assert list_people(site)[0].why_not_live is None


def test_a_roster_read_before_the_end_allows_nothing_after_it(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example", consent(days=300)).person_id
        references = _references(site, TERM)
    calibration = load_calibration(recogniser_sha256(Settings().vision, Catalogue.load()))
    roster = Roster(references, place=Place("door"), calibration=calibration)
    end_unix_s = START_UNIX_S + 100 * DAY_S
    acts: list[Act] = ["match", "show"]
    for act in acts:
        assert roster.allowed(person_id, act, end_unix_s - 0.001) is not None
        assert roster.allowed(person_id, act, end_unix_s) is None


def test_being_seen_and_giving_consent_extend_the_term(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example", consent(days=350)).person_id
        for act in (
            lambda: _seen(site, person_id),
            lambda: add_consent(
                site,
                person_id,
                consent(start=START + timedelta(days=180), days=300),
                ACTOR,
                terms=Terms(retention=TERM),
            ),
        ):
            clock.advance(90 * DAY_S)
            act()
            expected = clock.unix_s() + 100 * DAY_S
            assert list_people(site)[0].expires_unix_s(TERM) == expected


def test_a_sighting_from_the_future_does_not_stretch_the_term(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        record(site, replace(SIGHTING, person_id=person_id, last_unix_ms=10**15))
        assert list_people(site)[0].last_seen_unix_ms == START_UNIX_S * 1000


def test_old_sightings_are_deleted(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        _seen(site, person_id)
        clock.advance(30 * DAY_S)
        _seen(site, person_id)
        assert enforce(site, Retention(), ACTOR).sightings_deleted == 0
        clock.advance(1)
        assert enforce(site, Retention(), ACTOR).sightings_deleted == 1
        assert _last_entries(site, 1) == [("sightings.expired", {"sightings": 1})]
        assert len(recent(site, 10)) == 1
        before = _last_entries(site, 1)
        assert enforce(site, Retention(), ACTOR).sightings_deleted == 0
        assert _last_entries(site, 1) == before  # nothing done, nothing logged


def _end_of(spans: list[tuple[float, float]]) -> float:
    """Where an unbroken row of spans ends, written otherwise than in the program."""
    end = min(spans)[0]
    while longer := [stop for start, stop in spans if start <= end < stop]:
        end = max(longer)
    return end


STEPS = st.one_of(
    st.tuples(st.just("advance"), st.integers(0, 60)),
    st.tuples(st.just("back"), st.integers(1, 60)),
    st.tuples(st.just("see"), st.just(0)),
    st.tuples(st.just("renew"), st.integers(1, 200)),
    st.tuples(st.just("enforce"), st.just(0)),
)


@given(first_days=st.integers(1, 200), steps=st.lists(STEPS, max_size=12))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history(
    tmp_path_factory: pytest.TempPathFactory, first_days: int, steps: list[tuple[str, int]]
) -> None:
    """Against a model: nobody is matched at or after their end, nobody is destroyed before it."""
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path_factory.mktemp("site"), clock=clock) as site:
        _declare_for_long(site)
        person_id = enrolled(site, 1, "Ada Example", consent(days=first_days)).person_id
        spans, last_seen, alive = [(0.0, float(first_days))], 0.0, True
        for kind, days in [*steps, ("enforce", 0)]:
            now = (clock.unix_s() - START_UNIX_S) / DAY_S
            matched = alive and bool(_references(site, TERM))
            if kind in {"advance", "back"}:
                clock.advance((days if kind == "advance" else -days) * DAY_S)
            elif kind == "see" and matched:
                _seen(site, person_id)
                last_seen = max(last_seen, now)
            elif kind == "renew" and alive:
                renewed = [*spans, (now, now + days)]
                record_of = consent(start=START + timedelta(days=now), days=days)
                if now < min(_end_of(renewed), last_seen + 100):
                    add_consent(site, person_id, record_of, ACTOR, terms=Terms(retention=TERM))
                    spans, last_seen = renewed, max(last_seen, now)
                else:
                    with pytest.raises(ConsentInvalid):
                        add_consent(site, person_id, record_of, ACTOR, terms=Terms(retention=TERM))
            elif kind == "enforce":
                enforce(site, TERM, ACTOR)
                alive = alive and now < min(_end_of(spans), last_seen + 100)
                spans = [span for span in spans if span[1] > now] if alive else spans
            now = (clock.unix_s() - START_UNIX_S) / DAY_S
            in_force = any(start <= now < stop for start, stop in spans)
            may_match = alive and in_force and now < min(_end_of(spans), last_seen + 100)
            assert bool(_references(site, TERM)) == may_match
            assert [person.id for person in list_people(site)] == ([person_id] if alive else [])
