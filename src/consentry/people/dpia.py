"""The data protection impact assessment: sign-off of a document, and what has changed since."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.config import Settings
from consentry.errors import UsageError
from consentry.ledger.entry import Event
from consentry.people.configuration import canonical, changed_parts, digest, live_configuration
from consentry.people.site import Site
from consentry.store.schema import DpiaRow

_MARK = "consentry-configuration-sha256-"
_MARKED = re.compile(rf"{_MARK}([0-9a-f]{{64}})".encode())
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DpiaStatus:
    """The newest sign-off, and what has changed since.

    Attributes:
        signed_unix_ms, actor, document_sha256: When, by whom and of what; None if there never was one.
        configuration_sha256: Of the configuration as it is now.
        drift: Parts of the configuration that have changed since the sign-off.
    """

    signed_unix_ms: int | None
    actor: str | None
    document_sha256: str | None
    configuration_sha256: str
    drift: tuple[str, ...]


def mark_of(configuration_sha256: str) -> str:
    """The word by which a draft names the configuration it was made from."""
    return _MARK + configuration_sha256


def dpia_status(site: Site, settings: Settings) -> DpiaStatus:
    """What was signed off, and whether it still fits. Raises as `live_configuration` does."""
    now = live_configuration(site, settings)
    with site.read() as session:
        row = _newest(session)
        if row is None:
            return DpiaStatus(None, None, None, digest(now), ())
        before = json.loads(row.configuration_json)
        return DpiaStatus(
            signed_unix_ms=row.signed_unix_ms,
            actor=row.actor,
            document_sha256=row.document_sha256,
            configuration_sha256=digest(now),
            drift=changed_parts(before, json.loads(canonical(now))),
        )


def sign_document(site: Site, settings: Settings, content: bytes, *, actor: str) -> str:
    """Sign off the very bytes of a document; returns their SHA-256.

    Raises:
        UsageError: it was drafted from another configuration than the one in force.
    """
    drafted = _MARKED.search(content)
    if drafted and drafted[1].decode() != digest(live_configuration(site, settings)):
        raise UsageError(
            "the configuration has changed since this assessment was drafted",
            "Draft it anew with `consentry dpia draft`, complete it, and sign that",
        )
    document_sha256 = hashlib.sha256(content).hexdigest()
    sign_off(site, settings, document_sha256, actor=actor)
    return document_sha256


def sign_off(site: Site, settings: Settings, document_sha256: str, *, actor: str) -> None:
    """Record that a document assesses the configuration as it is now, and log it.

    Args:
        document_sha256: Of the document, which stays with whoever signs.

    Raises:
        UsageError: that is no SHA-256.
    """
    if _SHA256.fullmatch(document_sha256) is None:
        raise UsageError("that is no SHA-256", "Give 64 hexadecimal digits, in small letters")
    configuration = live_configuration(site, settings)
    with site.write() as session:
        session.add(
            DpiaRow(
                signed_unix_ms=site.now_unix_ms(),
                actor=actor,
                configuration_sha256=digest(configuration),
                configuration_json=canonical(configuration),
                document_sha256=document_sha256,
            )
        )
        site.log(
            session,
            Event.DPIA_SIGNED,
            actor=actor,
            payload={
                "document_sha256": document_sha256,
                "configuration_sha256": digest(configuration),
            },
        )


def note_draft(site: Site, content: bytes, *, actor: str) -> None:
    """Log that a draft was made."""
    with site.write() as session:
        site.log(
            session,
            Event.DPIA_DRAFTED,
            actor=actor,
            payload={"document_sha256": hashlib.sha256(content).hexdigest()},
        )


def _newest(session: Session) -> DpiaRow | None:
    return session.scalars(select(DpiaRow).order_by(DpiaRow.id.desc()).limit(1)).one_or_none()
