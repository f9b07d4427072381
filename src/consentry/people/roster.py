"""Who is enrolled: listing, showing, giving someone their data, and the references for recognition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consentry.clock import iso_utc
from consentry.config import DEFAULT_RETENTION, Retention
from consentry.errors import ConsentInvalid
from consentry.gallery.rotation import Rotation
from consentry.gallery.rounding import rounded
from consentry.ledger.entry import Event
from consentry.people.consent import ConsentRecord, held_until_unix_s, live_consent, parse_consent
from consentry.people.declaration import require_declared
from consentry.people.seal import Kind, SealingKey
from consentry.people.site import Site
from consentry.people.templates import templates_of
from consentry.store.schema import ConsentRow, PersonRow, PhotoRow, ReceiptRow, SightingRow, TemplateRow
from consentry.types import Floats

_MS_PER_S = 1000
_S_PER_DAY = 86_400
_SIGNATURES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"RIFF", "webp"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone enrolled.

    Attributes:
        id: Random, 32 hexadecimal digits.
        name: As enrolled.
        enrolled_unix_ms: When.
        consents: What they agreed to, oldest first.
        photos: Number of photos kept.
        templates: Number of templates kept.
        why_not_live: Why no consent is in force now; None if one is.
        consent_ids: Of `consents`, in their order.
        refusal: Why their photos were refused, if they were kept without; else None.
        last_seen_unix_ms: When they were last seen, or had last to do with this site themselves.
    """

    id: str
    name: str
    enrolled_unix_ms: int
    consents: tuple[ConsentRecord, ...]
    photos: int
    templates: int
    why_not_live: str | None
    consent_ids: tuple[str, ...] = ()
    refusal: str | None = None
    last_seen_unix_ms: int = 0

    def expires_unix_s(self, retention: Retention) -> float:
        """From when on nothing of them may be there any more; see `expires_unix_s`."""
        return expires_unix_s(self.consents, self.last_seen_unix_ms, retention)


@dataclass(frozen=True, slots=True)
class Reference:
    """One template to search for, with what its person's consent allows.

    Attributes:
        person_id: Whose it is.
        name: To show when they are recognised.
        template: float32 (512,), unit norm, under `rotation`.
        purpose: What it was read for.
        consents: All of the person's records, none beyond the term of retention; `live_consent` says what
            they allow where and when.
        rotation: What a probe must be turned by before it is compared; None: nothing was turned.
    """

    person_id: str
    name: str = field(repr=False)
    template: Floats = field(repr=False)
    purpose: str
    consents: tuple[ConsentRecord, ...]
    rotation: Rotation | None = None


@dataclass(frozen=True, slots=True)
class PersonExport:
    """Everything held about one person, for that person.

    Attributes:
        document: Name, consents, templates, sightings and ledger entries; ready for JSON.
        photos: File name and original bytes of each photo.
    """

    document: dict[str, object]
    photos: tuple[tuple[str, bytes], ...]


def list_people(site: Site) -> list[Person]:
    """Everyone enrolled, in the order of enrolment.

    Raises:
        DataDamaged: something sealed does not open.
    """
    with site.read() as session:
        rows = session.scalars(select(PersonRow).order_by(PersonRow.enrolled_unix_ms, PersonRow.id)).all()
        return [_person(site, session, row) for row in rows]


def show_person(site: Site, person_id: str, *, actor: str) -> Person:
    """One person; the view is logged.

    Raises:
        NotFound: no such person.
        DataDamaged: something sealed does not open.
    """
    with site.write() as session:
        key = site.person_key(session, person_id)
        person = _person(site, session, session.get_one(PersonRow, person_id))
        site.log(
            session,
            Event.PERSON_VIEWED,
            actor=actor,
            payload={"person_id": person_id},
            subject_pseudonym=key.pseudonym(person_id),
        )
    return person


def export_person(site: Site, person_id: str, *, actor: str) -> PersonExport:
    """All that is held about one person, for that person; the export is logged and in itself.

    Of templates it tells that they are there and what they are, not their values: these serve nobody but
    someone who wants to pass for the person.

    It needs no live consent: the right to see one's own data does not end with it.

    Raises:
        NotFound: no such person.
        DataDamaged: something sealed does not open.
    """
    with site.write() as session:
        key = site.person_key(session, person_id)
        pseudonym = key.pseudonym(person_id)
        site.log(
            session,
            Event.PERSON_EXPORTED,
            actor=actor,
            payload={"person_id": person_id},
            subject_pseudonym=pseudonym,
        )
        person = _person(site, session, session.get_one(PersonRow, person_id))
        photos = tuple(_photos(site, session, person_id, key))
        document: dict[str, object] = {
            "id": person.id,
            "name": person.name,
            "enrolled": iso_utc(person.enrolled_unix_ms / _MS_PER_S),
            "last_seen": iso_utc(person.last_seen_unix_ms / _MS_PER_S),
            "photos_refused": person.refusal,
            "consents": [
                {"id": consent_id} | consent.model_dump(mode="json")
                for consent_id, consent in zip(person.consent_ids, person.consents, strict=True)
            ],
            "receipts": [
                json.loads(key.open(one.sealed_receipt, Kind.RECEIPT, one.id))
                for one in session.scalars(
                    select(ReceiptRow).where(ReceiptRow.person_id == person_id).order_by(ReceiptRow.id)
                )
            ],
            "photos": [file_name for file_name, _ in photos],
            "templates": [
                {
                    "recogniser_sha256": row.recogniser_sha256,
                    "quality": row.quality,
                    "added": iso_utc(row.added_unix_ms / _MS_PER_S),
                    "sealed_sha256": hashlib.sha256(row.sealed_template).hexdigest(),
                }
                for row in session.scalars(select(TemplateRow).where(TemplateRow.person_id == person_id))
            ],
            "sightings": [
                {
                    "camera": row.camera,
                    "first": iso_utc(row.first_unix_ms / _MS_PER_S),
                    "last": iso_utc(row.last_unix_ms / _MS_PER_S),
                    "score_cosine": rounded(row.score_cosine),
                }
                for row in session.scalars(
                    select(SightingRow).where(SightingRow.person_id == person_id).order_by(SightingRow.id)
                )
            ],
            "ledger": [
                {
                    "seq": entry.seq,
                    "time": iso_utc(entry.time_unix_ms / _MS_PER_S),
                    "event": entry.event,
                    "actor": entry.actor,
                }
                for entry in site.ledger.entries_about(session.connection(), pseudonym)
            ],
            "checkpoint": site.ledger.checkpoint(session.connection()),
        }
    return PersonExport(document, photos)


def gallery_snapshot(
    site: Site,
    *,
    purpose: str,
    recogniser_sha256: str,
    at_unix_s: float,
    retention: Retention = DEFAULT_RETENTION,
) -> list[Reference]:
    """The references that 1:N recognition may use for one purpose.

    Only of people whose consent to exactly this purpose is in force and who are not past the term of
    retention, erased yet or not. Take it again when `site.gallery_version` has grown, and ask
    `live_consent` again before each use.

    Args:
        purpose: A declared one.
        recogniser_sha256: The model that makes the probes; templates of others are left out.
        at_unix_s: When the consents must be in force, seconds since 1970 UTC.
        retention: How long someone is kept at most.

    Raises:
        NotDeclared: no declaration in force names the purpose (invariant I7).
        DataDamaged: something sealed does not open.
    """
    require_declared(site, purpose)
    references = []
    with site.read() as session:
        rotation = site.rotation(session)
        for row in session.scalars(select(PersonRow).order_by(PersonRow.enrolled_unix_ms, PersonRow.id)):
            key = site.person_key(session, row.id)
            consents = tuple(consents_in_force(session, row.id, key, retention))
            try:
                live_consent(consents, purpose=purpose, at_unix_s=at_unix_s, act="match")
            except ConsentInvalid:
                continue
            name = key.open(row.sealed_name, Kind.NAME, row.id).decode()
            references += [
                Reference(
                    person_id=row.id,
                    name=name,
                    template=template,
                    purpose=purpose,
                    consents=consents,
                    rotation=rotation,
                )
                for template in templates_of(session, row.id, key, recogniser_sha256, rotation)
            ]
    return references


def exportable(
    site: Site, *, purpose: str, at_unix_s: float, retention: Retention = DEFAULT_RETENTION
) -> frozenset[str]:
    """Ids of the people whose pictures and records may be given to somebody else, for one purpose.

    A person's own access needs no consent: see `export_person`.

    Raises:
        DataDamaged: something sealed does not open.
    """
    allowed = set()
    with site.read() as session:
        for person_id in session.scalars(select(PersonRow.id)):
            key = site.person_key(session, person_id)
            records = consents_in_force(session, person_id, key, retention)
            with suppress(ConsentInvalid):
                live_consent(records, purpose=purpose, at_unix_s=at_unix_s, act="export")
                allowed.add(person_id)
    return frozenset(allowed)


def expires_unix_s(records: Sequence[ConsentRecord], last_seen_unix_ms: int, retention: Retention) -> float:
    """From when on nothing of a person may be there any more.

    The earlier of the end of their last consent and the end of the term since they were last seen.
    """
    term_ends = last_seen_unix_ms / _MS_PER_S + retention.last_seen_days * _S_PER_DAY
    return min(held_until_unix_s(records), term_ends)


def consents_in_force(
    session: Session, person_id: str, key: SealingKey, retention: Retention
) -> list[ConsentRecord]:
    """A person's consent records, none of them beyond the moment that `expires_unix_s` names.

    Raises:
        DataDamaged: one does not open.
    """
    records = consents_of(session, person_id, key)
    end = expires_unix_s(records, last_seen(session.get_one(PersonRow, person_id)), retention)
    return [record.until_at_most(end) for record in records]


def last_seen(row: PersonRow) -> int:
    """When someone was last seen, or had last to do with the site themselves, in ms since 1970 UTC."""
    return max(row.last_seen_unix_ms, row.enrolled_unix_ms)


def consents_of(session: Session, person_id: str, key: SealingKey) -> list[ConsentRecord]:
    """A person's consent records, oldest first.

    Raises:
        DataDamaged: one does not open.
        ConsentInvalid: one has a form that this version does not know.
    """
    return [record for _, record in consents_by_id(session, person_id, key)]


def consents_by_id(session: Session, person_id: str, key: SealingKey) -> list[tuple[str, ConsentRecord]]:
    """The same with the id of each. Raises as `consents_of` does."""
    rows = session.scalars(
        select(ConsentRow)
        .where(ConsentRow.person_id == person_id)
        .order_by(ConsentRow.received_unix_ms, ConsentRow.id)
    )
    return [
        (row.id, parse_consent(key.open(row.sealed_record, Kind.CONSENT, row.id), f"consent {row.id}"))
        for row in rows
    ]


def refusal_of(row: PersonRow, key: SealingKey) -> str | None:
    """Why no photo of someone was kept; None if their photos were accepted.

    Raises:
        DataDamaged: it does not open.
    """
    return key.open(row.sealed_refusal, Kind.REFUSAL, row.id).decode() if row.sealed_refusal else None


def photo_ending(original: bytes) -> str:
    """What the name of a photo's file ends with, by its first bytes; `bin` if they say nothing."""
    return next((name for start, name in _SIGNATURES if original.startswith(start)), "bin")


def why_not_live(records: Sequence[ConsentRecord], at_unix_s: float) -> str | None:
    """Why none of a person's records is in force for its own purpose; None if one is."""
    problem: str | None = "there is no consent record"
    for record in records:
        problem = record.why_not(purpose=record.purpose, at_unix_s=at_unix_s, act="match")
        if problem is None:
            break
    return problem


def _person(site: Site, session: Session, row: PersonRow) -> Person:
    key = site.person_key(session, row.id)
    by_id = consents_by_id(session, row.id, key)
    consents = tuple(record for _, record in by_id)
    photos = select(func.count()).where(PhotoRow.person_id == row.id)
    templates = select(func.count()).where(TemplateRow.person_id == row.id)
    return Person(
        id=row.id,
        name=key.open(row.sealed_name, Kind.NAME, row.id).decode(),
        enrolled_unix_ms=row.enrolled_unix_ms,
        consents=consents,
        photos=session.execute(photos).scalar_one(),
        templates=session.execute(templates).scalar_one(),
        why_not_live=why_not_live(consents, site.clock.unix_s()),
        consent_ids=tuple(consent_id for consent_id, _ in by_id),
        refusal=refusal_of(row, key),
        last_seen_unix_ms=last_seen(row),
    )


def _photos(site: Site, session: Session, person_id: str, key: SealingKey) -> Iterator[tuple[str, bytes]]:
    rows = session.scalars(
        select(PhotoRow).where(PhotoRow.person_id == person_id).order_by(PhotoRow.added_unix_ms, PhotoRow.id)
    )
    for number, row in enumerate(rows, start=1):
        original = key.open(site.blobs.read(row.blob_sha256), Kind.PHOTO, row.id)
        yield f"photo-{number}.{photo_ending(original)}", original
