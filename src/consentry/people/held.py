"""Everything held about one person, gathered for that person: what their own page shows and gives away.

Never the values of a template: they are of no use to the person and the most harmful thing to lose.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consentry.config import Retention
from consentry.errors import NotFound
from consentry.ledger.entry import Event
from consentry.people.consent import ConsentRecord
from consentry.people.requests import THE_PERSON, record_request
from consentry.people.roster import consents_by_id, expires_unix_s, last_seen, refusal_of
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.store.schema import (
    LedgerEntryRow,
    LedgerPayloadRow,
    PersonRow,
    PhotoRow,
    SightingRow,
    TemplateRow,
    UserRow,
)

_USER = "user:"
_REASONS = ("purpose", "reason")


@dataclass(frozen=True, slots=True)
class HeldConsent:
    """One consent record.

    Attributes:
        id: Of the record, random.
        record: What was agreed to.
        why_not: Why it is not in force now; None if it is.
    """

    id: str
    record: ConsentRecord
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """One ledger entry about the person: who did what to their data, when and why.

    Attributes:
        seq: Number of the entry.
        time_unix_ms: When, milliseconds since 1970 UTC.
        event: A value of `Event`.
        actor: Who, as the ledger calls them.
        role: Of the user, if it was one and there still is that user.
        why: Purpose or reason, if the entry has one that was not erased.
    """

    seq: int
    time_unix_ms: int
    event: str
    actor: str
    role: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """What is held about one person.

    Attributes:
        person_id: Their random id.
        name: As held.
        enrolled_unix_ms: Since when they are known here.
        refusal: Why no photo of them was kept, if none could be used; else None.
        ends_unix_s: When everything is erased at the latest; not finite if no consent is in force.
        consents: Oldest first.
        photos: Number of photos.
        templates: Number of templates by the SHA-256 of the model that made them.
        sightings: Number of sightings that name them.
        looks: Every ledger entry about them, newest first.
    """

    person_id: str
    name: str
    enrolled_unix_ms: int
    refusal: str | None
    ends_unix_s: float
    consents: tuple[HeldConsent, ...]
    photos: int
    templates: Mapping[str, int]
    sightings: int
    looks: tuple[Look, ...]


def is_held(site: Site, person_id: str) -> bool:
    """Whether anything is held about this person."""
    with site.read() as session:
        return session.get(PersonRow, person_id) is not None


def held_about(site: Site, person_id: str, retention: Retention) -> Held:
    """What is held about one person. Not logged: see `note_own_view`.

    Args:
        retention: How long someone is kept at most.

    Raises:
        NotFound: no such person.
        DataDamaged: something sealed does not open.
    """
    with site.read() as session:
        return read_held(site, session, person_id, retention)


def note_own_view(site: Site, person_id: str) -> None:
    """Log and count that the person looked at what is held about them. On return it is in the ledger.

    Raises:
        NotFound: no such person.
        LedgerBroken, DataDamaged, DiskFull, EnvironmentLack: it must not be shown.
    """
    with site.write() as session:
        log_own_act(site, session, person_id, Event.PERSON_VIEWED)
        record_request(site, session, "access", "done")


def log_own_act(site: Site, session: Session, person_id: str, event: Event) -> None:
    """Log what the person did with their own data. Raises as `note_own_view` does."""
    site.log(
        session,
        event,
        actor=THE_PERSON,
        payload={"person_id": person_id},
        subject_pseudonym=site.person_key(session, person_id).pseudonym(person_id),
    )


def own_photo(site: Site, person_id: str, number: int) -> bytes:
    """The original bytes of the person's photo `number`, from 1, oldest first.

    Raises:
        NotFound: no such person or photo.
        DataDamaged: it does not open.
    """
    with site.read() as session:
        key = site.person_key(session, person_id)
        photos = select(PhotoRow).where(PhotoRow.person_id == person_id)
        in_order = photos.order_by(PhotoRow.added_unix_ms, PhotoRow.id)
        row = session.scalars(in_order.offset(number - 1).limit(1)).first()
        if row is None:
            raise NotFound(f"there is no photo {number}", "Open your page anew")
        return key.open(site.blobs.read(row.blob_sha256), Kind.PHOTO, row.id)


def read_held(site: Site, session: Session, person_id: str, retention: Retention) -> Held:
    """The same as `held_about`, within the caller's view of the database."""
    now_unix_s = site.clock.unix_s()
    key = site.person_key(session, person_id)
    person = session.get_one(PersonRow, person_id)
    models = session.scalars(select(TemplateRow.recogniser_sha256).where(TemplateRow.person_id == person_id))
    consents = consents_by_id(session, person_id, key)
    return Held(
        person_id=person_id,
        name=key.open(person.sealed_name, Kind.NAME, person_id).decode(),
        enrolled_unix_ms=person.enrolled_unix_ms,
        refusal=refusal_of(person, key),
        ends_unix_s=expires_unix_s([record for _, record in consents], last_seen(person), retention),
        consents=tuple(
            HeldConsent(
                consent_id,
                record,
                record.why_not(purpose=record.purpose, at_unix_s=now_unix_s, act="match"),
            )
            for consent_id, record in consents
        ),
        photos=session.scalar(select(func.count()).where(PhotoRow.person_id == person_id)) or 0,
        templates=Counter(models),
        sightings=session.scalar(select(func.count()).where(SightingRow.person_id == person_id)) or 0,
        looks=tuple(_looks(site, session, key.pseudonym(person_id)))[::-1],
    )


def _looks(site: Site, session: Session, pseudonym: str) -> Iterator[Look]:
    """Entries about the person, oldest first."""
    entries = site.ledger.entries_about(session.connection(), pseudonym)
    roles = {f"{_USER}{user.id}": user.role for user in session.scalars(select(UserRow))}
    payloads = {
        row.seq: row.payload_json
        for row in session.scalars(
            select(LedgerPayloadRow)
            .join(LedgerEntryRow, LedgerEntryRow.seq == LedgerPayloadRow.seq)
            .where(LedgerEntryRow.subject_pseudonym == pseudonym)
        )
    }
    for entry in entries:
        yield Look(
            seq=entry.seq,
            time_unix_ms=entry.time_unix_ms,
            event=entry.event,
            actor=entry.actor,
            role=roles.get(entry.actor),
            why=_reason(payloads.get(entry.seq, "{}")),
        )


def _reason(payload_json: str) -> str | None:
    payload = json.loads(payload_json)
    return next((str(payload[name]) for name in _REASONS if payload.get(name)), None)
