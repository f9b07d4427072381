"""Requests that people and authorities made: counted on the public page, without a word about who asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consentry.errors import NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.store.schema import RequestReceivedRow

RequestKind = Literal["access", "correct", "export", "erase", "object", "authority"]
"""What was asked for.

- access, correct, export, erase, object: by a person about themselves (GDPR Art. 15 to 21).
- authority: by the police, a court or another authority, whatever it wanted.
"""
RequestOutcome = Literal["open", "done", "refused"]
KINDS: tuple[RequestKind, ...] = get_args(RequestKind)
OUTCOMES: tuple[RequestOutcome, ...] = get_args(RequestOutcome)
THE_PERSON = "person"


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """One request.

    Attributes:
        id: Its number.
        kind: See `RequestKind`.
        outcome: See `RequestOutcome`.
        received_unix_ms: When it came, milliseconds since 1970 UTC.
        answered_unix_ms: When it was done or refused; None while it is open.
    """

    id: int
    kind: RequestKind
    outcome: RequestOutcome
    received_unix_ms: int
    answered_unix_ms: int | None


def record_request(
    site: Site, session: Session, kind: RequestKind, outcome: RequestOutcome, *, actor: str = THE_PERSON
) -> int:
    """Count a request and log it, in the transaction of the act that answers it; returns its number.

    Args:
        session: Of `site.write()`.
        actor: Who took it; the person themselves if they used their own page.

    Raises:
        UsageError: there is no such kind or outcome.
    """
    if kind not in KINDS:
        raise UsageError(f"“{kind}” is no kind of request", f"Choose one of {', '.join(KINDS)}")
    if outcome not in OUTCOMES:
        raise UsageError(f"“{outcome}” is no outcome", f"Choose one of {', '.join(OUTCOMES)}")
    now_unix_ms = site.now_unix_ms()
    row = RequestReceivedRow(
        kind=kind,
        received_unix_ms=now_unix_ms,
        outcome=outcome,
        answered_unix_ms=None if outcome == "open" else now_unix_ms,
    )
    session.add(row)
    session.flush()
    site.log(
        session,
        Event.REQUEST_RECEIVED,
        actor=actor,
        payload={"request": row.id, "kind": kind, "outcome": outcome},
    )
    return row.id


def answer_request(
    site: Site, session: Session, request_id: int, outcome: RequestOutcome, *, actor: str
) -> None:
    """Say how an open request was answered, and log it.

    Raises:
        NotFound: there is no such request.
        UsageError: it was answered before, or `outcome` is no answer.
    """
    row = session.get(RequestReceivedRow, request_id)
    if row is None:
        raise NotFound(f"there is no request {request_id}", "See `consentry request list`")
    if row.outcome != "open":
        raise UsageError(f"request {request_id} was answered already: {row.outcome}", "Record a new one")
    if outcome not in ("done", "refused"):
        raise UsageError(f"“{outcome}” is no answer", "Answer done or refused")
    row.outcome, row.answered_unix_ms = outcome, site.now_unix_ms()
    site.log(
        session, Event.REQUEST_ANSWERED, actor=actor, payload={"request": request_id, "outcome": outcome}
    )


def list_requests(site: Site) -> list[RequestReceived]:
    """All requests, oldest first."""
    with site.read() as session:
        rows = session.scalars(select(RequestReceivedRow).order_by(RequestReceivedRow.id)).all()
        return [
            RequestReceived(
                id=row.id,
                kind=_KIND[row.kind],
                outcome=_OUTCOME[row.outcome],
                received_unix_ms=row.received_unix_ms,
                answered_unix_ms=row.answered_unix_ms,
            )
            for row in rows
        ]


def count_requests(site: Site) -> dict[RequestKind, dict[RequestOutcome, int]]:
    """How many requests of each kind had each outcome; every kind and outcome is named, also with 0."""
    counts = {kind: dict.fromkeys(OUTCOMES, 0) for kind in KINDS}
    with site.read() as session:
        rows = session.execute(
            select(RequestReceivedRow.kind, RequestReceivedRow.outcome, func.count()).group_by(
                RequestReceivedRow.kind, RequestReceivedRow.outcome
            )
        ).all()
    for kind, outcome, count in rows:
        counts[_KIND[kind]][_OUTCOME[outcome]] = count
    return counts


_KIND: dict[str, RequestKind] = {kind: kind for kind in KINDS}
_OUTCOME: dict[str, RequestOutcome] = {outcome: outcome for outcome in OUTCOMES}
