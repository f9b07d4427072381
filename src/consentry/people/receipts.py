"""Receipts: what someone takes home of their consent, refusal, withdrawal or erasure, signed by the site.

A receipt is made within the transaction of the act it tells of: its hash is in the ledger entry of that
act, and the proof that the ledger holds the entry is in the receipt. So whoever keeps a receipt also keeps
a state of the log that nobody can take back. A copy stays under the person's key and goes with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.config import Retention, Settings
from consentry.people.consent import ConsentRecord
from consentry.people.declaration import current_declaration
from consentry.people.erase import ErasureReport
from consentry.people.links import issue_link
from consentry.people.receipt_form import (
    EVENTS,
    SIGNED_AS,
    ConsentKind,
    ReceiptBody,
    ReceiptController,
    ReceiptErasure,
    ReceiptEvent,
    ReceiptPurpose,
    ReceiptRecord,
    ReceiptRetention,
    VerifiedReceipt,
    canonical,
    verify_receipt,
)
from consentry.people.seal import Kind, SealingKey
from consentry.people.site import Site
from consentry.store.schema import LedgerPayloadRow, ReceiptRow

__all__ = [
    "RIGHTS",
    "Holder",
    "Issued",
    "Terms",
    "VerifiedReceipt",
    "issue_erasure_receipt",
    "issue_receipt",
    "receipts_of",
    "verify_receipt",
]

RIGHTS: Final = (
    "To see what is held about you and who looked at it",
    "To have it corrected, and to get a copy",
    "To withdraw at any time, without a reason: everything is then destroyed, and you get proof of it",
    "To the other way named here, whatever you decide",
    "To complain to the data protection authority",
)
_HELD = ("name", "consent records", "photos given for enrolment", "face templates", "sightings")
_SENSITIVE = "biometric data for uniquely identifying a natural person"
_PROCESSING = "automated comparison of faces by software on the controller's own machines"
_STORED = ("the controller's own machines, sealed with a key of yours alone",)
_STATES: Final[dict[ConsentKind, Literal["given", "refused", "withdrawn"]]] = {
    "consent": "given",
    "refusal": "refused",
    "withdrawal": "withdrawn",
}
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a receipt says that the site's settings decide.

    Attributes:
        retention: How long someone is kept at most.
        public_url: Where the site is reached; empty: links are a path only.
    """

    retention: Retention = field(default_factory=Retention)
    public_url: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """The terms that these settings set."""
        return cls(settings.retention, settings.server.public_url)


@dataclass(frozen=True, slots=True)
class Holder:
    """The person a receipt is for, and the key their copy is sealed with."""

    person_id: str
    key: SealingKey


@dataclass(frozen=True, slots=True)
class Issued:
    """A receipt that counts once its transaction has committed.

    Attributes:
        content: The receipt, canonical JSON.
        link: The personal link in it; None if it has none.
        ledger_seq: Number of the ledger entry that commits to it.
    """

    content: bytes
    link: str | None = field(repr=False)
    ledger_seq: int


def issue_receipt(
    site: Site,
    session: Session,
    kind: ConsentKind,
    record: ConsentRecord,
    record_id: str,
    *,
    holder: Holder | None,
    with_link: bool = True,
    actor: str,
    terms: Terms,
) -> Issued:
    """Log that a consent was given, refused or withdrawn, and make the receipt of it.

    Args:
        session: The transaction of the act itself.
        kind: `consent`, `refusal` or `withdrawal`.
        record: As it is after the act.
        record_id: Its id.
        holder: Whose it is; None if nothing is kept of them.
        with_link: Whether the holder has a page to go to afterwards.
        actor: Who did it, for the ledger.

    Raises:
        LedgerBroken: the ledger cannot take it; the act must not happen.
    """
    link = None
    if holder is not None and with_link:
        link = f"{terms.public_url.rstrip('/')}/my/{issue_link(site, session, holder.person_id)}"
    person_id = holder.person_id if holder else None
    body = ReceiptBody(
        schema_version="consentry-receipt-1",
        receipt_id=uuid.uuid4().hex,
        kind=kind,
        issued=_now(site),
        site=site.ledger.origin,
        record=ReceiptRecord(
            schema_version=record.schema_version,
            record_id=record_id,
            pii_principal_id=person_id,
            language=record.language,
            jurisdiction=record.jurisdiction,
            is_demo=record.is_demo,
        ),
        privacy_notice=record.notice,
        purposes=(_purpose(site, record, terms.retention),),
        event=_event(_STATES[kind], record),
        erasure=None,
        rights=RIGHTS,
        personal_link=link,
    )
    payload: dict[str, str | None] = {"purpose": record.purpose}
    if person_id is not None:
        payload |= {"person_id": person_id, "consent_id": record_id}
    content, seq = _sign_and_log(site, session, body, payload, holder, actor=actor)
    return Issued(content, link, seq)


def issue_erasure_receipt(site: Site, report: ErasureReport, *, actor: str) -> bytes:
    """The proof of an erasure, for the person who asked for it. Nothing of it is kept but its hash.

    Raises:
        LedgerBroken: the ledger cannot take it. The erasure stands all the same.
    """
    body = ReceiptBody(
        schema_version="consentry-receipt-1",
        receipt_id=uuid.uuid4().hex,
        kind="erasure",
        issued=_now(site),
        site=site.ledger.origin,
        record=None,
        privacy_notice=None,
        purposes=(),
        event=None,
        erasure=ReceiptErasure(
            pii_principal_id=report.person_id,
            ledger_seq=report.ledger_seq,
            templates=report.templates,
            photos=report.photos,
            sightings_unnamed=report.sightings,
            files_scanned=report.files_scanned,
        ),
        rights=RIGHTS[-1:],
        personal_link=None,
    )
    with site.write() as session:
        content, _ = _sign_and_log(site, session, body, {}, None, actor=actor)
    return content


def receipts_of(site: Site, person_id: str) -> list[bytes]:
    """The receipts a person has, as JSON, newest first.

    Raises:
        NotFound: no such person.
        DataDamaged: one does not open.
    """
    with site.read() as session:
        key = site.person_key(session, person_id)
        rows = session.scalars(
            select(ReceiptRow).where(ReceiptRow.person_id == person_id).order_by(ReceiptRow.id.desc())
        )
        return [key.open(row.sealed_receipt, Kind.RECEIPT, row.id) for row in rows]


def _sign_and_log(
    site: Site,
    session: Session,
    body: ReceiptBody,
    payload: dict[str, str | None],
    holder: Holder | None,
    *,
    actor: str,
) -> tuple[bytes, int]:
    """The whole receipt, and the number of the entry that commits to it."""
    stated = body.model_dump(mode="json")
    entry = site.log(
        session,
        EVENTS[body.kind],
        actor=actor,
        payload=payload | {"receipt_sha256": hashlib.sha256(canonical(stated)).hexdigest()},
        subject_pseudonym=holder.key.pseudonym(holder.person_id) if holder else None,
    )
    opening = session.get_one(LedgerPayloadRow, entry.seq)
    proof = site.ledger.prove(session.connection(), entry.seq)
    document = {
        "receipt": stated,
        "ledger": {
            "entry": json.loads(entry.leaf()),
            "salt": opening.salt.hex(),
            "payload": json.loads(opening.payload_json),
            "proof": proof.text(),
        },
        "vkey": str(site.ledger.verifier),
    }
    signature = site.ledger.sign(SIGNED_AS, canonical(document))
    content = canonical(document | {"signature": base64.b64encode(signature).decode()})
    if holder is not None:
        receipt_id = f"{entry.seq:012d}"  # in the order of the ledger
        session.add(
            ReceiptRow(
                id=receipt_id,
                person_id=holder.person_id,
                made_unix_ms=entry.time_unix_ms,
                sealed_receipt=holder.key.seal(content, Kind.RECEIPT, receipt_id),
            )
        )
    return content, entry.seq


def _purpose(site: Site, record: ConsentRecord, retention: Retention) -> ReceiptPurpose:
    declared = current_declaration(site)
    declaration = declared.declaration if declared else None
    return ReceiptPurpose(
        purpose=record.purpose,
        lawful_basis=declaration.legal_basis if declaration else "consent",
        pii_information=_HELD,
        sensitive_category=_SENSITIVE,
        pii_controllers=(ReceiptController(name=declaration.controller, contact=declaration.contact),)
        if declaration
        else (),
        collection_method=record.collection_method,
        processing_method=_PROCESSING,
        storage_locations=_STORED,
        retention_period=ReceiptRetention(
            valid_until=record.valid_until, last_seen_days=retention.last_seen_days
        ),
        scope=record.scope,
        may_be_shown=record.may_be_shown,
        alternative=record.alternative,
    )


def _event(state: Literal["given", "refused", "withdrawn"], record: ConsentRecord) -> ReceiptEvent:
    last = record.events[-1] if record.events else None
    return ReceiptEvent(
        event_time=last.time if last else record.given_on,
        event_type="explicit",
        event_state=state,
        entity_id=last.entity if last else record.given_by,
        valid_from=record.valid_from,
        valid_until=record.valid_until,
    )


def _now(site: Site) -> datetime:
    return datetime.fromtimestamp(site.now_unix_ms() / _MS_PER_S, UTC)
