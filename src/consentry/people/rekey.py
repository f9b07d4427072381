"""Changing the template key: what leaked under the old one becomes useless, and nobody enrols anew."""

from __future__ import annotations

from dataclasses import dataclass

from consentry.errors import DataDamaged
from consentry.ledger.entry import Event
from consentry.people.rotation import add_rotation, forget_rotations_before, turn_templates
from consentry.people.site import Site
from consentry.store.pending import finish_erasures


@dataclass(frozen=True, slots=True)
class RotationReport:
    """The template key has been changed.

    Attributes:
        version: Of the rotation in use from now on.
        people, templates: How many were brought under it.
        ledger_seq: Number of the ledger entry.
    """

    version: int
    people: int
    templates: int
    ledger_seq: int


def rotate_keys(site: Site, *, actor: str) -> RotationReport:
    """Bring all templates under a new random rotation and destroy the old one's seed.

    One transaction: whatever happens, all templates are under the old rotation or all under the new one.
    A hub notices within its polling time, also in another process. Afterwards the database is rewritten, so
    that no old page stays; should the process die before that, the next `Site.open` does it.

    Args:
        actor: Who does this, for the ledger.

    Raises:
        DataDamaged: a template does not open; nothing was changed.
        EnvironmentLack: the key is changed, but the database file could not be rewritten yet.
        DiskFull: see `consentry.store`.
    """
    with site.write() as session:
        old = site.rotation(session)
        new = add_rotation(
            session,
            site.key,
            version=old.version + 1 if old is not None else 1,
            now_unix_ms=site.now_unix_ms(),
            compacted=False,
        )
        turned = turn_templates(session, lambda person: site.person_key(session, person), old, new)
        if turned.damaged:
            raise DataDamaged(
                f"{len(turned.damaged)} template(s) do not open, so the key stays as it was",
                "`consentry check` names whose they are: withdraw them or restore a backup, then try again",
            )
        forget_rotations_before(session, new.version)
        site.bump_gallery_version(session)
        entry = site.log(
            session,
            Event.KEYS_ROTATED,
            actor=actor,
            payload={"version": new.version, "templates": turned.templates, "people": turned.people},
        )
    finish_erasures(site.database, site.now_unix_ms())
    return RotationReport(new.version, turned.people, turned.templates, entry.seq)
