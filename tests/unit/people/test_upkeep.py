"""The check of a whole installation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text
from tests.unit.people.kit import ACTOR, START_UNIX_S, consent, enrolled, opened
from tests.unit.people.test_sightings import SIGHTING

from consentry.clock import SimulatedClock
from consentry.people.erase import withdraw
from consentry.people.roster import list_people
from consentry.people.sightings import record
from consentry.people.site import Site
from consentry.people.snapshot import BACKUP_PART
from consentry.people.tombstones import tombstone_of
from consentry.people.upkeep import check_site
from consentry.store.schema import ConsentRow, PersonKeyRow, TemplateRow, TombstoneRow


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


def _without_foreign_keys(site: Site, *statements: str) -> None:
    """As someone with another program would change the file."""
    connection = sqlite3.connect(site.database.path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def _key_without_person(site: Site) -> None:
    _without_foreign_keys(site, "INSERT INTO person_key VALUES ('nobody', x'00')")


def _consent_without_person(site: Site) -> None:
    _without_foreign_keys(site, "INSERT INTO consent SELECT 'c', 'nobody', 1, sealed_record FROM consent")


def _template_without_photo(site: Site) -> None:
    _without_foreign_keys(
        site, "UPDATE template SET photo_id = 'none' WHERE id = (SELECT min(id) FROM template)"
    )


def _sighting_of_nobody(site: Site) -> None:
    record(site, SIGHTING)
    _without_foreign_keys(site, "UPDATE sighting SET decision = 'known', person_id = 'nobody'")


def _file_without_row(site: Site) -> None:
    site.blobs.write(b"stray")


def _unfinished_blob(site: Site) -> None:
    (site.blobs.folder / ("a" * 64 + ".part")).write_bytes(b"half")


def _erased_but_here(site: Site) -> None:
    site.tombstones.add({tombstone_of(_only(site)): 1})


def _erased_but_here_by_the_table(site: Site) -> None:
    with site.write() as session:
        session.add(
            TombstoneRow(person_id_sha256=tombstone_of(_only(site)), erased_unix_ms=1, compacted_unix_ms=1)
        )
    site.tombstones.add({tombstone_of(_only(site)): 1})


def _unlisted(site: Site) -> None:
    with site.write() as session:
        session.add(TombstoneRow(person_id_sha256="f" * 64, erased_unix_ms=1, compacted_unix_ms=1))


def _list_lost(site: Site) -> None:
    _unlisted(site)
    site.tombstones.path.unlink()


def _backup_part(site: Site) -> None:
    (site.data_dir / BACKUP_PART).mkdir()
    (site.data_dir / BACKUP_PART / "consentry.db").write_bytes(b"half a copy")


def _only(site: Site) -> str:
    return list_people(site)[0].id


@pytest.mark.parametrize(
    ("plant", "kind", "words"),
    [
        (_key_without_person, "database", "of person_key names a person that does not exist"),
        (_consent_without_person, "database", "of consent names a person that does not exist"),
        (_template_without_photo, "database", "of template names a photo that does not exist"),
        (_sighting_of_nobody, "database", "of sighting names a person that does not exist"),
        (_file_without_row, "stray-file", "belongs to nothing"),
        (_unfinished_blob, "stray-file", "belongs to nothing"),
        (_erased_but_here, "returned", "is here although they were erased"),
        (_erased_but_here_by_the_table, "returned", "is here although they were erased"),
        (_unlisted, "tombstone", "lacks the erasure ffffffff"),
        (_list_lost, "tombstone", "lacks the erasure ffffffff"),
        (_backup_part, "unfinished", "was left by a backup that died"),
    ],
)
def test_what_is_planted_is_found_mended_and_found_no_more(
    tmp_path: Path, plant: Callable[[Site], None], kind: str, words: str
) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        plant(site)
        (found,) = check_site(site, mend=False, actor=ACTOR)
        assert (found.kind, found.mended) == (kind, False)
        assert words in found.what
        assert "consentry check --mend" in found.mend
        (mended,) = check_site(site, mend=True, actor=ACTOR)
        assert (mended.kind, mended.what, mended.mended) == (found.kind, found.what, True)
        assert check_site(site, mend=False, actor=ACTOR) == []
        assert len(list_people(site)) == (0 if kind == "returned" else 1)


def _no_key(site: Site) -> None:
    _without_foreign_keys(site, "DELETE FROM person_key")


def _unreadable_key(site: Site) -> None:
    _without_foreign_keys(site, "UPDATE person_key SET wrapped_key = substr(wrapped_key, 1, 40)")


def _no_file(site: Site) -> None:
    site.blobs.remove(next(iter(site.blobs.names())))


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        (_no_key, {"person"}),
        (_unreadable_key, {"person"}),
        (_no_file, {"missing-blob", "person"}),
    ],
)
def test_what_a_backup_could_bring_back_is_left_alone_until_the_person_is_withdrawn(
    tmp_path: Path, plant: Callable[[Site], None], kinds: set[str]
) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        plant(site)
        found = check_site(site, mend=True, actor=ACTOR)
        assert {finding.kind for finding in found} >= kinds
        assert not any(finding.mended for finding in found)
        report = withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert report.photos == 2
        assert report.ledger_payloads >= 1
        assert check_site(site, mend=False, actor=ACTOR) == []
        assert list(site.blobs.names()) == []
