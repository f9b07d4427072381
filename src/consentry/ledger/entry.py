"""What one entry of the ledger says, and the bytes that go into the tree for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

import rfc8785

from consentry.errors import UsageError

Payload = Mapping[str, str | int | bool | list[str] | None]


class Event(StrEnum):
    """The acts that are logged (invariant I5)."""

    SITE_CREATED = "site.created"
    SITE_DECLARED = "site.declared"
    SITE_MENDED = "site.mended"
    PERSON_ENROLLED = "person.enrolled"
    PERSON_VIEWED = "person.viewed"
    PERSON_EXPORTED = "person.exported"
    PERSON_WITHDRAWN = "person.withdrawn"
    CAMERA_ADDED = "camera.added"
    CAMERA_REMOVED = "camera.removed"
    USER_ADDED = "user.added"
    USER_PASSWORD_RENEWED = "user.password_renewed"  # noqa: S105 - the name of an event
    SESSION_OPENED = "session.opened"
    SESSION_REFUSED = "session.refused"
    SESSION_CLOSED = "session.closed"
    VIEW_OPENED = "view.opened"
    SEARCH_MADE = "search.made"
    WATCH_STARTED = "watch.started"
    SITE_REVIEW_DUE = "site.review_due"
    NOTICE_PRINTED = "notice.printed"
    DPIA_DRAFTED = "dpia.drafted"
    DPIA_SIGNED = "dpia.signed"
    CAMERA_REVIEWED = "camera.reviewed"
    CAMERA_OVERDUE = "camera.overdue"
    CONSENT_GIVEN = "consent.given"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_EXPIRED = "consent.expired"
    RECEIPT_ISSUED = "receipt.issued"
    PHOTO_REFUSED = "photo.refused"
    PERSON_CORRECTED = "person.corrected"
    REQUEST_RECEIVED = "request.received"
    REQUEST_ANSWERED = "request.answered"
    KEYS_ROTATED = "keys.rotated"
    LEDGER_PAYLOADS_DELETED = "ledger.payloads_deleted"
    WITNESS_COSIGNED = "witness.cosigned"
    WITNESS_REFUSED = "witness.refused"
    BACKUP_MADE = "backup.made"
    BACKUP_RESTORED = "backup.restored"
    USER_CHANGED = "user.changed"
    USER_REMOVED = "user.removed"
    TOKEN_MADE = "token.made"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_AGREED = "approval.agreed"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_USED = "approval.used"
    SIGHTING_CONFIRMED = "sighting.confirmed"
    ACTION_TAKEN = "action.taken"
    BULK_EXPORTED = "bulk.exported"


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf.

    Attributes:
        seq: Position in the tree, from 0.
        time_unix_ms: When it happened, milliseconds since 1970 UTC.
        event: A value of `Event`.
        actor: Who did it: `cli:` and a user number, `user:` and an id, or `consentry`. Never a name.
        subject_pseudonym: HMAC under the key of the person it is about, hexadecimal; None if about nobody.
        payload_commitment: SHA-256 of salt and payload, hexadecimal.
    """

    seq: int
    time_unix_ms: int
    event: str
    actor: str
    subject_pseudonym: str | None
    payload_commitment: str

    def leaf(self) -> bytes:
        """The canonical JSON (RFC 8785) of all attributes."""
        return rfc8785.dumps({name: getattr(self, name) for name in _FIELDS})


_FIELDS = tuple(field.name for field in fields(Entry))


def canonical_payload(payload: Payload) -> str:
    """`payload` as canonical JSON (RFC 8785).

    Raises:
        UsageError: it holds something that JSON cannot say exactly.
    """
    try:
        return rfc8785.dumps(dict(payload)).decode()
    except rfc8785.CanonicalizationError as error:
        raise UsageError(f"a ledger entry cannot hold this payload: {error}") from None


def commitment(salt: bytes, payload_json: str) -> str:
    """SHA-256(salt ‖ payload), hexadecimal: says nothing about the payload once the random salt is gone."""
    return hashlib.sha256(salt + payload_json.encode()).hexdigest()
