"""Correction: someone's name as they say it is."""

from __future__ import annotations

from consentry.errors import UsageError
from consentry.ledger.entry import Event
from consentry.people.consent import clean_name
from consentry.people.requests import record_request
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.store.schema import PersonRow


def correct_name(site: Site, person_id: str, name: str, *, actor: str) -> str:
    """Seal another name in place of the one that is held; returns it as it is kept.

    Counted as a request for correction that was met. The consent records stay as they were given, with
    whatever name they have.

    Args:
        name: The right one.
        actor: Who does this, for the ledger, which holds neither name.

    Raises:
        NotFound: no such person.
        UsageError: it is no usable name, or the one that is held already.
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    name = clean_name(name)
    with site.write() as session:
        key = site.person_key(session, person_id)
        person = session.get_one(PersonRow, person_id)
        if key.open(person.sealed_name, Kind.NAME, person_id).decode() == name:
            raise UsageError("this is the name that is held already", "Nothing needed changing")
        person.sealed_name = key.seal(name.encode(), Kind.NAME, person_id)
        site.bump_gallery_version(session)
        site.log(
            session,
            Event.PERSON_CORRECTED,
            actor=actor,
            payload={"person_id": person_id, "corrected": "name"},
            subject_pseudonym=key.pseudonym(person_id),
        )
        record_request(site, session, "correct", "done", actor=actor)
    return name
