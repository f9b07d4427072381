"""Two people look at a sighting, each without knowing the other's answer (AI Act, Art. 14(5)).

An action with consequences for someone waits until two different users have said that the sighting is
who it says; once anybody said otherwise, it does not happen. Answers are in no entry of the ledger, whose
readers may have to answer themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.errors import ApprovalNeeded, NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.store.schema import ConfirmationRow, SightingRow

Answer = Literal["same", "different"]
Outcome = Literal["waiting", "confirmed", "contradicted"]
NEEDED = 2

OnConfirmed = Callable[[Session, SightingRow, tuple[str, ...]], None]
"""Told once, in the transaction of the confirmation that was still needed, with the ids of who confirmed."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What one user may know of the confirmations of a sighting.

    Attributes:
        sighting: Its number.
        mine: Their own answer; None if they have given none.
        others: The answers of the others, once they have given their own; else None, not even how many.
        outcome: What follows from all answers; None as long as `others` is.
    """

    sighting: int
    mine: Answer | None
    others: tuple[Answer, ...] | None
    outcome: Outcome | None


def confirm(
    site: Site, sighting_id: int, answer: Answer, *, user_id: str, on_confirmed: OnConfirmed
) -> Confirmation:
    """Say whether a known sighting is who it says. Nobody answers twice.

    Raises:
        NotFound: there is no such sighting.
        UsageError: it names nobody, so that there is nothing to confirm.
        ApprovalNeeded: this user has answered already.
    """
    with site.write() as session:
        row = session.get(SightingRow, sighting_id)
        if row is None:
            raise _no_sighting()
        if row.person_id is None:
            raise UsageError("this sighting names nobody", "Only known sightings are confirmed")
        before = _answers(session, sighting_id)
        if user_id in before:
            raise ApprovalNeeded("you have answered already", "Another person must confirm this")
        session.add(
            ConfirmationRow(
                sighting_id=sighting_id, user_id=user_id, answer=answer, given_unix_ms=site.now_unix_ms()
            )
        )
        site.log(
            session,
            Event.SIGHTING_CONFIRMED,
            actor=f"user:{user_id}",
            payload={"sighting": sighting_id},
            subject_pseudonym=site.person_key(session, row.person_id).pseudonym(row.person_id),
        )
        now = before | {user_id: answer}
        if _outcome(now) == "confirmed" and _outcome(before) != "confirmed":
            on_confirmed(session, row, tuple(now))
        return _as_seen_by(user_id, sighting_id, now)


def confirmation(site: Site, sighting_id: int, *, user_id: str) -> Confirmation:
    """What a user may know now.

    Raises:
        NotFound: there is no such sighting.
    """
    with site.read() as session:
        if session.get(SightingRow, sighting_id) is None:
            raise _no_sighting()
        return _as_seen_by(user_id, sighting_id, _answers(session, sighting_id))


def _answers(session: Session, sighting_id: int) -> dict[str, Answer]:
    """The answers by user, in the order they were given."""
    rows = session.scalars(
        select(ConfirmationRow).where(ConfirmationRow.sighting_id == sighting_id).order_by(ConfirmationRow.id)
    )
    return {row.user_id: "same" if row.answer == "same" else "different" for row in rows}


def _outcome(answers: dict[str, Answer]) -> Outcome:
    if "different" in answers.values():
        return "contradicted"
    return "confirmed" if len(answers) >= NEEDED else "waiting"


def _as_seen_by(user_id: str, sighting_id: int, answers: dict[str, Answer]) -> Confirmation:
    mine = answers.get(user_id)
    if mine is None:
        return Confirmation(sighting_id, None, None, None)
    others = tuple(answer for user, answer in answers.items() if user != user_id)
    return Confirmation(sighting_id, mine, others, _outcome(answers))


def _no_sighting() -> NotFound:
    return NotFound("there is no such sighting", "See /api/v1/sightings")
