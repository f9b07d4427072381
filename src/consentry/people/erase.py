"""Withdrawal: destroys a person's key, rows and photos, and proves that nothing readable is left.

What erases is the destruction of the person's key: without it, templates, photos, name and consent are
noise wherever a copy of them may be. The scan shows that not even that noise is left in the data folder.
It cannot see what the disk itself keeps of overwritten blocks; see docs/consent.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from consentry.errors import DataDamaged, ErasureIncomplete
from consentry.ledger.entry import Event
from consentry.people.scan import PIECE_BYTES, Needle, Scan, pieces, scan_for
from consentry.people.seal import Kind, SealingKey
from consentry.people.site import Site
from consentry.people.templates import open_template
from consentry.store.pending import finish_erasures
from consentry.store.schema import (
    BlobRow,
    CameraRow,
    ConsentRow,
    DeclarationRow,
    LedgerEntryRow,
    LedgerPayloadRow,
    PersonKeyRow,
    PersonRow,
    PhotoRow,
    SightingRow,
    SiteRow,
    TemplateRow,
    TombstoneRow,
    UserRow,
)

Reason = Literal["asked", "consent-ended", "not-seen"]
MIN_NAME_BYTES = 6
"""A shorter name turns up in random bytes by chance too often to prove anything."""

_TEMPLATE_PIECES = 4
_PHOTO_PIECES = 3
_TEXT_COLUMNS: tuple[tuple[str, InstrumentedAttribute[str]], ...] = (
    ("the site's name", SiteRow.name),
    ("a declaration", DeclarationRow.document_json),
    ("a camera's name", CameraRow.name),
    ("a camera's address", CameraRow.url_redacted),
    ("a camera's purpose", CameraRow.purpose),
    ("a sighting's camera", SightingRow.camera),
    ("a user's name", UserRow.name),
    ("an actor in the ledger", LedgerEntryRow.actor),
    ("an event in the ledger", LedgerEntryRow.event),
    ("what a ledger entry is about", LedgerPayloadRow.payload_json),
)


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What was erased, and the proof.

    Attributes:
        person_id: Whose data it was; kept nowhere any more but in this report.
        ledger_seq: Number of the ledger entry.
        templates, photos: How many were destroyed.
        sightings: How many no longer name the person.
        ledger_payloads: How many payloads of ledger entries were destroyed.
        needles: Number of byte strings looked for afterwards.
        files_scanned, bytes_scanned: Where; none of them was found.
        name_also_in: Where the same letters stand for another reason, such as a declaration that names its
            controller; the search for the name was then left out, as it would have proved nothing.
    """

    person_id: str
    ledger_seq: int
    templates: int
    photos: int
    sightings: int
    ledger_payloads: int
    needles: int
    files_scanned: int
    bytes_scanned: int
    name_also_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Traces:
    """What was known of the person before: to look for it afterwards."""

    needles: tuple[Needle, ...]
    name: str
    blobs: tuple[str, ...]
    templates: int


def withdraw(site: Site, person_id: str, *, reason: Reason, actor: str) -> ErasureReport:
    """Erase one person.

    Key, rows and ledger entry change in one transaction. Should the process die after it, the next
    `Site.open` removes the blobs and rewrites the database.

    Args:
        reason: `asked` by the person, `consent-ended`, or `not-seen` for as long as the site keeps people.
        actor: Who does this, for the ledger.

    Raises:
        NotFound: no such person.
        ErasureIncomplete: something of the person is still readable in the data folder; says where.
        EnvironmentLack: everything is erased, but the database file could not be rewritten yet.
        DataDamaged, DiskFull: see `consentry.store`.
    """
    with site.write() as session:
        key = site.person_key(session, person_id)
        traces = _traces(site, session, person_id, key)
        sightings = session.execute(
            select(func.count()).where(SightingRow.person_id == person_id)
        ).scalar_one()
        pseudonym = key.pseudonym(person_id)
        payloads = site.ledger.erase_payloads(session.connection(), pseudonym)
        entry = site.log(
            session,
            Event.PERSON_WITHDRAWN,
            actor=actor,
            payload={
                "reason": reason,
                "templates": traces.templates,
                "photos": len(traces.blobs),
                "sightings": sightings,
                "ledger_payloads": payloads,
            },
            subject_pseudonym=pseudonym,
        )
        # Key, consents, photos and templates go with the person, sightings lose the id: see the schema.
        session.execute(delete(PersonRow).where(PersonRow.id == person_id))
        session.execute(delete(BlobRow).where(BlobRow.sha256.in_(traces.blobs)))
        session.add(
            TombstoneRow(
                person_id_sha256=hashlib.sha256(person_id.encode()).hexdigest(),
                erased_unix_ms=site.now_unix_ms(),
                compacted_unix_ms=None,
            )
        )
        site.bump_gallery_version(session)
        name_also_in = _name_also_in(session, traces.name) if traces.name else ()
    for blob in traces.blobs:
        site.blobs.remove(blob)
    finish_erasures(site.database, site.now_unix_ms())
    needles, scan = _prove(site, traces, look_for_name=not name_also_in)
    return ErasureReport(
        person_id=person_id,
        ledger_seq=entry.seq,
        templates=traces.templates,
        photos=len(traces.blobs),
        sightings=sightings,
        ledger_payloads=payloads,
        needles=needles,
        files_scanned=scan.files,
        bytes_scanned=scan.size_bytes,
        name_also_in=name_also_in,
    )


def _traces(site: Site, session: Session, person_id: str, key: SealingKey) -> _Traces:
    """Something damaged is no reason to keep the rest: what does not open is looked for as it is stored."""
    person = session.get_one(PersonRow, person_id)
    wrapped_key = session.get_one(PersonKeyRow, person_id).wrapped_key
    needles = [
        Needle("the person's id", person_id.encode()),
        *pieces("the wrapped key", wrapped_key, 2),
        *pieces("the sealed name", person.sealed_name, 2),
    ]
    try:
        name = key.open(person.sealed_name, Kind.NAME, person_id).decode()
    except DataDamaged:
        name = ""
    for sealed in session.scalars(select(ConsentRow.sealed_record).where(ConsentRow.person_id == person_id)):
        needles += pieces("a sealed consent", sealed, _TEMPLATE_PIECES)
    templates = session.scalars(select(TemplateRow).where(TemplateRow.person_id == person_id)).all()
    for row in templates:
        needles += _template_needles(row, key)
    photos = session.scalars(select(PhotoRow).where(PhotoRow.person_id == person_id)).all()
    for photo in photos:
        needles += _photo_needles(site, photo, key)
    return _Traces(tuple(needles), name, tuple(photo.blob_sha256 for photo in photos), len(templates))


def _template_needles(row: TemplateRow, key: SealingKey) -> list[Needle]:
    needles = pieces("a sealed template", row.sealed_template, _TEMPLATE_PIECES)
    try:
        template = open_template(row, key)
    except DataDamaged:
        return needles
    needles += pieces("a template as float32", template.tobytes(), _TEMPLATE_PIECES)
    needles += pieces("a template as float16", template.astype(np.float16).tobytes(), _TEMPLATE_PIECES)
    return needles


def _photo_needles(site: Site, photo: PhotoRow, key: SealingKey) -> list[Needle]:
    try:
        sealed = site.blobs.read(photo.blob_sha256)
        original = key.open(sealed, Kind.PHOTO, photo.id)
    except DataDamaged:
        return []
    needles = pieces("a sealed photo", sealed, _PHOTO_PIECES)
    # The first half of a photo may be headers and tables that other pictures have too.
    second_half = original[len(original) // 2 :]
    if len(second_half) > PIECE_BYTES:
        needles += pieces("a photo", second_half, _PHOTO_PIECES)
    return needles


def _name_also_in(session: Session, name: str) -> tuple[str, ...]:
    """Where the same letters are in the database for another reason."""
    found = [
        what
        for what, column in _TEXT_COLUMNS
        if session.execute(select(func.count()).where(func.instr(column, name) > 0)).scalar_one()
    ]
    in_schema = text("SELECT count(*) FROM sqlite_master WHERE instr(sql, :name) > 0")
    if session.execute(in_schema, {"name": name}).scalar_one():
        found.append("the schema of the database")
    return tuple(found)


def _prove(site: Site, traces: _Traces, *, look_for_name: bool) -> tuple[int, Scan]:
    needles = list(traces.needles)
    if look_for_name:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            encoded = traces.name.encode(encoding)
            if len(encoded) >= MIN_NAME_BYTES:
                needles.append(Needle("the name", encoded))
    scan = scan_for(site.data_dir, needles)
    if scan.hits:
        found = "; ".join(f"{hit.what} in {hit.file}" for hit in scan.hits)
        raise ErasureIncomplete(
            f"rows and key are destroyed, but the data folder still holds {found}",
            "Delete what is named there, then run `consentry check --mend`",
        )
    return len(needles), scan
