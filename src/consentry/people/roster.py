"""Who is enrolled: listing, showing, giving someone their data, and the references for recognition."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consentry.clock import iso_utc
from consentry.errors import ConsentInvalid
from consentry.ledger.entry import Event
from consentry.people.consent import ConsentRecord, live_consent, parse_consent
from consentry.people.declaration import require_declared
from consentry.people.seal import Kind, SealingKey
from consentry.people.site import Site
from consentry.people.templates import open_template, pack_template, templates_of
from consentry.store.schema import ConsentRow, PersonRow, PhotoRow, SightingRow, TemplateRow
from consentry.types import Floats

_MS_PER_S = 1000
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
    """

    id: str
    name: str
    enrolled_unix_ms: int
    consents: tuple[ConsentRecord, ...]
    photos: int
    templates: int
    why_not_live: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """One template to search for, with what its person's consent allows.

    Attributes:
        person_id: Whose it is.
        name: To show when they are recognised.
        template: float32 (512,), unit norm.
        purpose: What it was read for.
        consents: All of the person's records; `live_consent` says what they allow where and when.
    """

    person_id: str
    name: str = field(repr=False)
    template: Floats = field(repr=False)
    purpose: str
    consents: tuple[ConsentRecord, ...]


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
            "consents": [consent.model_dump(mode="json") for consent in person.consents],
            "photos": [file_name for file_name, _ in photos],
            "templates": [
                {
                    "recogniser_sha256": row.recogniser_sha256,
                    "quality": row.quality,
                    "float32_base64": base64.b64encode(pack_template(open_template(row, key))).decode(),
                }
                for row in session.scalars(select(TemplateRow).where(TemplateRow.person_id == person_id))
            ],
            "sightings": [
                {
                    "camera": row.camera,
                    "first": iso_utc(row.first_unix_ms / _MS_PER_S),
                    "last": iso_utc(row.last_unix_ms / _MS_PER_S),
                    "score_cosine": row.score_cosine,
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
        }
    return PersonExport(document, photos)


def gallery_snapshot(
    site: Site, *, purpose: str, recogniser_sha256: str, at_unix_s: float
) -> list[Reference]:
    """The references that 1:N recognition may use for one purpose.

    Only of people whose consent to exactly this purpose is in force. Take it again when
    `site.gallery_version` has grown, and ask `live_consent` again before each use.

    Args:
        purpose: A declared one.
        recogniser_sha256: The model that makes the probes; templates of others are left out.
        at_unix_s: When the consents must be in force, seconds since 1970 UTC.

    Raises:
        NotDeclared: no declaration in force names the purpose (invariant I7).
        DataDamaged: something sealed does not open.
    """
    require_declared(site, purpose)
    references = []
    with site.read() as session:
        for row in session.scalars(select(PersonRow).order_by(PersonRow.enrolled_unix_ms, PersonRow.id)):
            key = site.person_key(session, row.id)
            consents = tuple(consents_of(session, row.id, key))
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
                )
                for template in templates_of(session, row.id, key, recogniser_sha256)
            ]
    return references


def consents_of(session: Session, person_id: str, key: SealingKey) -> list[ConsentRecord]:
    """A person's consent records, oldest first.

    Raises:
        DataDamaged: one does not open.
        ConsentInvalid: one has a form that this version does not know.
    """
    rows = session.scalars(
        select(ConsentRow)
        .where(ConsentRow.person_id == person_id)
        .order_by(ConsentRow.received_unix_ms, ConsentRow.id)
    )
    return [
        parse_consent(key.open(row.sealed_record, Kind.CONSENT, row.id), f"consent {row.id}") for row in rows
    ]


def why_not_live(records: list[ConsentRecord], at_unix_s: float) -> str | None:
    """Why none of a person's records is in force for its own purpose; None if one is."""
    problem: str | None = "there is no consent record"
    for record in records:
        problem = record.why_not(purpose=record.purpose, at_unix_s=at_unix_s, act="match")
        if problem is None:
            break
    return problem


def _person(site: Site, session: Session, row: PersonRow) -> Person:
    key = site.person_key(session, row.id)
    consents = consents_of(session, row.id, key)
    photos = select(func.count()).where(PhotoRow.person_id == row.id)
    templates = select(func.count()).where(TemplateRow.person_id == row.id)
    return Person(
        id=row.id,
        name=key.open(row.sealed_name, Kind.NAME, row.id).decode(),
        enrolled_unix_ms=row.enrolled_unix_ms,
        consents=tuple(consents),
        photos=session.execute(photos).scalar_one(),
        templates=session.execute(templates).scalar_one(),
        why_not_live=why_not_live(consents, site.clock.unix_s()),
    )


def _photos(site: Site, session: Session, person_id: str, key: SealingKey) -> Iterator[tuple[str, bytes]]:
    rows = session.scalars(
        select(PhotoRow).where(PhotoRow.person_id == person_id).order_by(PhotoRow.added_unix_ms, PhotoRow.id)
    )
    for number, row in enumerate(rows, start=1):
        original = key.open(site.blobs.read(row.blob_sha256), Kind.PHOTO, row.id)
        ending = next((name for start, name in _SIGNATURES if original.startswith(start)), "bin")
        yield f"photo-{number}.{ending}", original
