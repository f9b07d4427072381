"""Giving away the sightings of a period, after two people agreed to it."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.clock import iso_utc
from consentry.config import Retention
from consentry.errors import ConsentInvalid
from consentry.ledger.entry import Event
from consentry.people.approvals import require_agreed
from consentry.people.consent import Place, live_consent
from consentry.people.roster import consents_in_force
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.store.schema import CameraRow, PersonRow, SightingRow

COLUMNS = ("sighting", "camera", "first", "last", "decision", "name")
SIGHTINGS_FILE, CHECKPOINT_FILE = "sightings.csv", "checkpoint.txt"
_MS_PER_S = 1000


def export_sightings(site: Site, approval_id: str, retention: Retention, *, user_id: str) -> bytes:
    """The sightings of the agreed period, once; logged before it is given.

    A ZIP of `sightings.csv` and `checkpoint.txt`, the ledger's checkpoint that covers the entry about this
    very export. A name is in it only if a consent of that person, to the purpose of that camera and at that
    place, allows export now. No scores: nobody who gets this needs them.

    Raises:
        NotFound, ApprovalNeeded, Forbidden: see `require_agreed`.
        DataDamaged: something sealed does not open.
    """
    with site.write() as session:
        approval = require_agreed(site, session, approval_id, "bulk.export", user_id=user_id)
        start, end = (_unix_ms(approval.payload[name]) for name in ("start", "end"))
        rows = session.scalars(
            select(SightingRow)
            .where(SightingRow.first_unix_ms >= start, SightingRow.first_unix_ms < end)
            .order_by(SightingRow.id)
        ).all()
        name_of = _names(site, session, retention)
        written = io.StringIO()
        table = csv.writer(written)
        table.writerow(COLUMNS)
        for row in rows:
            times = (iso_utc(row.first_unix_ms / _MS_PER_S), iso_utc(row.last_unix_ms / _MS_PER_S))
            name = name_of(row.person_id, row.camera) if row.person_id else ""
            table.writerow([row.id, _plain(row.camera), *times, row.decision, _plain(name)])
        site.log(
            session,
            Event.BULK_EXPORTED,
            actor=f"user:{user_id}",
            payload={"approval": approval_id, "sightings": len(rows)},
        )
        checkpoint = site.ledger.checkpoint(session.connection())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SIGHTINGS_FILE, written.getvalue())
        archive.writestr(CHECKPOINT_FILE, checkpoint)
    return packed.getvalue()


def _names(site: Site, session: Session, retention: Retention) -> Callable[[str, str], str]:
    """Gives the name of a person seen by a camera, empty if no consent allows to give it away."""
    cameras = {row.name: row for row in session.scalars(select(CameraRow))}
    found: dict[tuple[str, str], str] = {}

    def name_of(person_id: str, camera: str) -> str:
        if (person_id, camera) not in found:
            found[person_id, camera] = ""
            there = cameras.get(camera)
            key = site.person_key(session, person_id)
            with suppress(ConsentInvalid):
                live_consent(
                    consents_in_force(session, person_id, key, retention),
                    purpose=there.purpose if there else "",
                    at_unix_s=site.clock.unix_s(),
                    place=Place(camera, there.zone if there else None),
                    act="export",
                )
                sealed = session.get_one(PersonRow, person_id).sealed_name
                found[person_id, camera] = key.open(sealed, Kind.NAME, person_id).decode()
        return found[person_id, camera]

    return name_of


def _plain(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _unix_ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * _MS_PER_S)
