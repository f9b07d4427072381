"""The check of a whole installation."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from tests.unit.people.kit import ACTOR, START_UNIX_S, consent, enrolled, opened

from consentry.clock import SimulatedClock
from consentry.people.roster import list_people
from consentry.people.upkeep import check_site
from consentry.store.schema import ConsentRow, PersonKeyRow, TemplateRow


def test_all_is_well(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        before = site.gallery_version
        assert check_site(site, mend=True, actor=ACTOR) == []
        assert site.gallery_version == before


@pytest.mark.parametrize(
    ("table", "column"),
    [(PersonKeyRow, "wrapped_key"), (TemplateRow, "sealed_template"), (ConsentRow, "sealed_record")],
)
def test_what_does_not_open_is_found_and_nobody_is_erased_for_it(
    tmp_path: Path, table: type[PersonKeyRow] | type[TemplateRow] | type[ConsentRow], column: str
) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        with site.write() as session:
            row = session.scalars(select(table)).first()
            setattr(row, column, getattr(row, column)[:-1] + b"\x00\x00")
        (finding,) = check_site(site, mend=True, actor=ACTOR)
        assert (finding.kind, finding.mended) == ("person", False)
        assert finding.what.startswith(f"person {person_id}: a sealed ")
        with site.read() as session:
            assert session.scalars(select(PersonKeyRow)).one().person_id == person_id


def test_an_ended_consent_is_found_and_mended(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(days=1))
        clock.advance(2 * 86_400)
        (found,) = check_site(site, mend=False, actor=ACTOR)
        assert (found.kind, found.mended) == ("consent", False)
        assert len(list_people(site)) == 1
        (mended,) = check_site(site, mend=True, actor=ACTOR)
        assert mended.mended
        assert list_people(site) == []
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_a_broken_ledger_is_found_and_nothing_is_mended_then(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        site.blobs.write(b"stray")
        with site.write() as session:
            session.execute(text("UPDATE ledger_entry SET actor = 'x'"))
        findings = check_site(site, mend=True, actor=ACTOR)
        assert [(finding.kind, finding.mended) for finding in findings] == [
            ("ledger", False),
            ("stray-file", False),
        ]


def test_mending_is_logged(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        site.blobs.write(b"stray")
        (finding,) = check_site(site, mend=True, actor="mender")
        assert finding.mended
        with site.read() as session:
            leaf = site.ledger.prove(session.connection(), 1).leaf
    assert b'"actor":"mender","event":"site.mended"' in leaf
