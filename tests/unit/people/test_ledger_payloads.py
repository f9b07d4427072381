"""Deleting old payloads: whole or not at all, and the log goes on verifying."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, START_UNIX_S, enrolled, opened

from consentry.clock import SimulatedClock
from consentry.errors import LedgerBroken, UsageError
from consentry.ledger.entry import Event
from consentry.people.erase import withdraw
from consentry.people.ledger_payloads import delete_old_payloads
from consentry.people.roster import show_person
from consentry.people.site import Site


def _kept(site: Site) -> list[tuple[int, str]]:
    with site.read() as session:
        rows = session.execute(
            text("SELECT seq, event FROM ledger_entry JOIN ledger_payload USING (seq) ORDER BY seq")
        )
        return [(int(seq), str(event)) for seq, event in rows]


def test_old_payloads_go_and_that_is_logged(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        clock.advance(3600)
        show_person(site, person_id, actor=ACTOR)
        before_unix_ms = site.now_unix_ms()
        assert delete_old_payloads(site, before_unix_ms=before_unix_ms, approval_id="a1", actor="b") == 4
        assert _kept(site) == [(4, "person.viewed"), (5, "ledger.payloads_deleted")]
        with site.read() as session:
            assert site.ledger.verify(session.connection()).payloads_erased == 4
            (payload,) = session.execute(
                text("SELECT payload_json FROM ledger_payload WHERE seq = 5")
            ).scalars()
        assert payload == f'{{"approval_id":"a1","before_unix_ms":{before_unix_ms},"deleted":4}}'
        withdraw(site, person_id, reason="asked", actor=ACTOR)  # both ways to lose a payload go together
        with site.read() as session:
            site.ledger.verify(session.connection())


def test_what_has_not_happened_yet_is_not_deleted(tmp_path: Path) -> None:
    with opened(tmp_path) as site, pytest.raises(UsageError, match="before they are written"):
        delete_old_payloads(site, before_unix_ms=site.now_unix_ms() + 1, approval_id="a1", actor="b")


def test_nothing_is_deleted_that_cannot_be_logged(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        before = _kept(site)
        clock.advance(1)
        with site.write() as session:
            session.execute(text("UPDATE ledger_head SET frontier = zeroblob(length(frontier))"))
        with pytest.raises(LedgerBroken):
            delete_old_payloads(site, before_unix_ms=site.now_unix_ms(), approval_id="a1", actor="b")
        assert _kept(site) == before == [(0, Event.SITE_CREATED.value), (1, Event.SITE_DECLARED.value)]


def test_the_ledger_of_an_older_version_gets_tiles_when_it_is_opened(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        with site.write() as session:
            session.execute(text("DELETE FROM ledger_tile"))
        with pytest.raises(LedgerBroken, match="tile 0 of level 0"), site.read() as session:
            site.ledger.verify(session.connection())
    with opened(tmp_path) as site, site.read() as session:
        assert site.ledger.verify(session.connection()).size == 2


def test_a_broken_ledger_of_an_older_version_is_opened_and_told(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site, site.write() as session:
        session.execute(text("DELETE FROM ledger_tile"))
        session.execute(text("UPDATE ledger_entry SET actor = 'x' WHERE seq = 1"))
    with opened(tmp_path) as site, pytest.raises(LedgerBroken, match="was changed"), site.read() as session:
        site.ledger.verify(session.connection())
