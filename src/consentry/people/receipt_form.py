"""What a receipt says, after ISO/IEC TS 27560, and its check with nothing but the site's public key.

A receipt is JSON: what is stated (`receipt`), the ledger entry that commits to it with its proof
(`ledger`), the key it is signed with (`vkey`) and the signature. Layout does not count, values do: what is
hashed and signed is the canonical form of RFC 8785. docs/consent.md has the table of fields.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import rfc8785
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from consentry.errors import LedgerBroken, ReceiptInvalid
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, verify_statement
from consentry.ledger.entry import Entry, Event, canonical_payload, commitment
from consentry.ledger.proof import parse_proof, verify_proof
from consentry.people.consent import ConsentNotice, ConsentScope, Line, Sha256Hex

ConsentKind = Literal["consent", "refusal", "withdrawal"]
ReceiptKind = ConsentKind | Literal["erasure"]
SIGNED_AS = "consentry receipt 1"
EVENTS: Final[dict[ReceiptKind, Event]] = {
    "consent": Event.CONSENT_GIVEN,
    "refusal": Event.CONSENT_REFUSED,
    "withdrawal": Event.CONSENT_WITHDRAWN,
    "erasure": Event.RECEIPT_ISSUED,
}
"""The entry of the ledger that each kind of receipt is about."""

_MAX_BYTES = 262_144
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]
_CHANGED = "Ask for the receipt again: this copy is not as it was issued"


class ReceiptRecord(BaseModel):
    """Which record it is about: 27560's record_id, schema_version and pii_principal_id."""

    model_config = _STRICT

    schema_version: Literal["consentry-consent-1"]
    record_id: str
    pii_principal_id: str | None
    language: str | None
    jurisdiction: str | None
    is_demo: bool


class ReceiptController(BaseModel):
    """Who answers for it, as declared."""

    model_config = _STRICT

    name: Line
    contact: Line


class ReceiptRetention(BaseModel):
    """When it ends: at the end of the consent, or earlier if the person is not seen for so many days."""

    model_config = _STRICT

    valid_until: AwareDatetime
    last_seen_days: int


class ReceiptPurpose(BaseModel):
    """What for, on what basis, which data, how and for how long."""

    model_config = _STRICT

    purpose: Line
    lawful_basis: Line
    pii_information: tuple[Line, ...]
    sensitive_category: Line
    pii_controllers: tuple[ReceiptController, ...]
    collection_method: str | None
    processing_method: Line
    storage_locations: tuple[Line, ...]
    retention_period: ReceiptRetention
    scope: ConsentScope
    may_be_shown: bool
    alternative: Line


class ReceiptEvent(BaseModel):
    """What happened, through whom, and from when to when it holds."""

    model_config = _STRICT

    event_time: AwareDatetime
    event_type: Literal["explicit"]
    event_state: Literal["given", "refused", "withdrawn"]
    entity_id: Line
    valid_from: AwareDatetime
    valid_until: AwareDatetime


class ReceiptErasure(BaseModel):
    """What was destroyed, and the number of the ledger entry of the withdrawal."""

    model_config = _STRICT

    pii_principal_id: str
    ledger_seq: int
    templates: int
    photos: int
    sightings_unnamed: int
    files_scanned: int


class ReceiptBody(BaseModel):
    """All that a receipt states. An erasure has no consent left to tell of, only what was destroyed."""

    model_config = _STRICT

    schema_version: Literal["consentry-receipt-1"]
    receipt_id: str
    kind: ReceiptKind
    issued: AwareDatetime
    site: Line
    record: ReceiptRecord | None
    privacy_notice: ConsentNotice | None
    purposes: tuple[ReceiptPurpose, ...]
    event: ReceiptEvent | None
    erasure: ReceiptErasure | None
    rights: tuple[Line, ...]
    personal_link: str | None = Field(repr=False)


class ReceiptEntry(BaseModel):
    """The leaf of the ledger's tree; see `consentry.ledger.entry.Entry`."""

    model_config = _STRICT

    seq: int
    time_unix_ms: int
    event: str
    actor: str
    subject_pseudonym: str | None
    payload_commitment: Sha256Hex


class ReceiptLedger(BaseModel):
    """The entry, what opens its commitment, and the proof that the log holds it (C2SP `tlog-proof`)."""

    model_config = _STRICT

    entry: ReceiptEntry
    salt: _Hex
    payload: dict[str, str | int | bool | list[str] | None]
    proof: str


class Receipt(BaseModel):
    """A whole receipt."""

    model_config = _STRICT

    receipt: ReceiptBody
    ledger: ReceiptLedger
    vkey: str
    signature: str


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that is what the site issued, and the state of the log that vouches for it.

    Attributes:
        body: What it states.
        entry: The ledger's entry about it.
        checkpoint: The signed state of the log that holds the entry.
    """

    body: ReceiptBody
    entry: Entry
    checkpoint: Checkpoint


def canonical(document: Any) -> bytes:
    """The form of RFC 8785 that is hashed and signed.

    Raises:
        ReceiptInvalid: it holds a number that this form cannot say.
    """
    try:
        return rfc8785.dumps(document)
    except rfc8785.CanonicalizationError as error:
        raise ReceiptInvalid(f"this is no receipt: {error}", _CHANGED) from None


def verify_receipt(receipt_bytes: bytes, vkey: str) -> VerifiedReceipt:
    """Check a receipt without the site: only its public key is needed.

    Args:
        receipt_bytes: The receipt as a JSON file.
        vkey: The site's verifier key, known from elsewhere; the one inside the receipt is not trusted.

    Raises:
        ReceiptInvalid: says which check it does not pass.
    """
    try:
        key = VerifierKey.parse(vkey.strip())
    except LedgerBroken as error:
        raise ReceiptInvalid(error.cause, error.mend) from None
    document, receipt = _read(receipt_bytes)
    if receipt.vkey != str(key):
        raise ReceiptInvalid(
            "the receipt is signed with another key than the one given",
            "Give the key of the site that issued it; `consentry ledger checkpoint --json` prints it",
        )
    signature = _signature(document.pop("signature"))
    if not verify_statement(SIGNED_AS, canonical(document), signature, key):
        raise ReceiptInvalid("the signature does not fit: the receipt was changed", _CHANGED)
    entry = Entry(**receipt.ledger.entry.model_dump())
    payload = receipt.ledger.payload
    if commitment(bytes.fromhex(receipt.ledger.salt), canonical_payload(payload)) != entry.payload_commitment:
        raise ReceiptInvalid("the ledger entry commits to something else than the receipt shows", _CHANGED)
    if payload.get("receipt_sha256") != hashlib.sha256(canonical(document["receipt"])).hexdigest():
        raise ReceiptInvalid("the ledger entry is about another receipt", _CHANGED)
    if entry.event != EVENTS[receipt.receipt.kind].value:
        raise ReceiptInvalid(
            f"the ledger entry tells of {entry.event}, the receipt of a {receipt.receipt.kind}", _CHANGED
        )
    return VerifiedReceipt(receipt.receipt, entry, _proved(receipt.ledger.proof, entry, key))


def _read(receipt_bytes: bytes) -> tuple[dict[str, Any], Receipt]:
    """The document as it stands, and the same by its fields.

    Raises:
        ReceiptInvalid: it is no receipt.
    """
    if len(receipt_bytes) > _MAX_BYTES:
        raise ReceiptInvalid("this is no receipt: it is too large", "Give the file that was handed out")
    try:
        document = json.loads(receipt_bytes.decode("utf-8"), object_pairs_hook=_without_doubles)
        receipt = Receipt.model_validate_json(receipt_bytes)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ReceiptInvalid(f"this is no receipt: {field}: {first['msg']}", _CHANGED) from None
    except (ValueError, RecursionError) as error:
        raise ReceiptInvalid(f"this is no receipt: {error}", _CHANGED) from None
    return document, receipt


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _signature(encoded: str) -> bytes:
    try:
        signature = base64.b64decode(encoded, validate=True)
    except ValueError:
        signature = b""
    if base64.b64encode(signature).decode() != encoded:
        raise ReceiptInvalid("the signature is no base64", _CHANGED)
    return signature


def _proved(proof_text: str, entry: Entry, key: VerifierKey) -> Checkpoint:
    proof = parse_proof(proof_text)
    if proof.index != entry.seq:
        raise ReceiptInvalid(f"the proof is for entry {proof.index}, not {entry.seq}", _CHANGED)
    try:
        return verify_proof(proof, entry.leaf(), key)
    except LedgerBroken as error:
        raise ReceiptInvalid(f"the checkpoint in the receipt: {error.cause}", _CHANGED) from None
