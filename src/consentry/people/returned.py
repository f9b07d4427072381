"""People who were erased and are here all the same, because an old copy of the data was put back."""

from __future__ import annotations

from sqlalchemy import select

from consentry.people.erase import ErasureReport, withdraw
from consentry.people.site import Site
from consentry.people.snapshot import BACKUP_PART
from consentry.people.tombstones import Tombstones, tombstone_of
from consentry.store.check import Finding
from consentry.store.parts import clear_left_over, is_left_over
from consentry.store.schema import PersonRow, TombstoneRow

_ACTOR = "consentry"


def returned_people(site: Site) -> list[str]:
    """Ids of people who are enrolled although a tombstone says that they were erased.

    Raises:
        UsageError: the list of tombstones is another site's.
    """
    with site.read() as session:
        erased = set(session.scalars(select(TombstoneRow.person_id_sha256))) | set(site.tombstones.read())
        people = session.scalars(select(PersonRow.id).order_by(PersonRow.id)).all()
    return [person_id for person_id in people if tombstone_of(person_id) in erased]


def unlisted_tombstones(site: Site) -> Tombstones:
    """Tombstones of the database that the list outside the data folder lacks. Raises as `returned_people`."""
    listed = site.tombstones.read()
    with site.read() as session:
        rows = session.scalars(select(TombstoneRow))
        return {
            row.person_id_sha256: row.erased_unix_ms for row in rows if row.person_id_sha256 not in listed
        }


def erase_again(site: Site, *, actor: str = _ACTOR) -> list[ErasureReport]:
    """Bring the list of tombstones up to date, then erase everyone on it who is here all the same.

    Raises as `withdraw` does.
    """
    missing = unlisted_tombstones(site)
    if missing or not site.tombstones.exists():
        site.tombstones.add(missing)
    return [withdraw(site, person_id, reason="restored", actor=actor) for person_id in returned_people(site)]


def check_returned(site: Site, *, mend: bool, actor: str) -> list[Finding]:
    """Who came back, which tombstones are not listed outside, and what an interrupted backup left.

    Raises as `withdraw` does.
    """
    missing, returned = unlisted_tombstones(site), returned_people(site)
    left = site.data_dir / BACKUP_PART
    has_left = is_left_over(left)
    if mend:
        erase_again(site, actor=actor)
        clear_left_over(left)
    how = "Run `consentry check --mend`"
    findings = [
        Finding("tombstone", f"the list {site.tombstones.path} lacks the erasure {name}", how, mended=mend)
        for name in missing
    ]
    findings += [
        Finding("returned", f"person {person_id} is here although they were erased", how, mended=mend)
        for person_id in returned
    ]
    if has_left:
        findings.append(Finding("unfinished", f"{left} was left by a backup that died", how, mended=mend))
    return findings
