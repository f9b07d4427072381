"""The site's side of witnesses: asks those that the operator configured, and keeps what they say.

A witness that knows another history is the one thing that shows a restored old database, or a log that was
rewritten and signed anew. What it cosigned is in the table `cosignature`, beside its refusal if it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from sqlalchemy import delete, select

from consentry.clock import Clock
from consentry.config import WitnessAddress
from consentry.errors import BadConfig, LedgerBroken
from consentry.ledger.checkpoint import split_note
from consentry.ledger.cosignature import WitnessKey, cosignature_in
from consentry.ledger.entry import Event, Payload
from consentry.ledger.witness import SIZE_TYPE, Submission
from consentry.people.site import Site
from consentry.store.schema import CosignatureRow

ANSWER_WITHIN_S = 5.0
MOST_ANSWER_BYTES = 16 * 1024
REFUSED, NOT_REACHED = "refused: ", "not reached: "
_ACTOR = "consentry"
_MOST_TRIES = 3
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class WitnessState:
    """What is known of a witness.

    Attributes:
        name: Of the witness.
        vkey: Its public key.
        size: Number of entries of the log that it cosigned last; 0: never.
        asked_unix_ms: When it was asked last, milliseconds since 1970 UTC; None: never.
        problem: Why it did not cosign then; empty if it did.
    """

    name: str
    vkey: str
    size: int
    asked_unix_ms: int | None
    problem: str

    @property
    def refused(self) -> bool:
        """Whether it knows another history, as opposed to not being there."""
        return self.problem.startswith(REFUSED)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How asking ended: a cosigned checkpoint of a size, or a problem."""

    size: int = 0
    note: str = ""
    problem: str = ""


def witness_states(site: Site, witnesses: Sequence[WitnessAddress]) -> list[WitnessState]:
    """What is known of each configured witness.

    Raises:
        BadConfig: a configured key is none.
    """
    vkeys = [str(witness_key(one)) for one in witnesses]
    with site.read() as session:
        rows = {row.witness: row for row in session.scalars(select(CosignatureRow))}
    return [_state(vkey, rows.get(vkey)) for vkey in vkeys]


def witness_problems(site: Site) -> list[str]:
    """A sentence for each witness that refused to cosign, or was not reached, when it was asked last."""
    with site.read() as session:
        rows = session.scalars(
            select(CosignatureRow).where(CosignatureRow.problem != "").order_by(CosignatureRow.witness)
        )
        return [f"{_name(row.witness)} {row.problem}" for row in rows]


def witness_refusals(site: Site) -> list[str]:
    """The part of `witness_problems` that means that the log was rolled back or rewritten."""
    return [problem for problem in witness_problems(site) if problem.partition(" ")[2].startswith(REFUSED)]


def ask_witnesses(
    site: Site, witnesses: Sequence[WitnessAddress], *, only_behind: bool = False
) -> list[WitnessState]:
    """Ask witnesses to cosign the newest checkpoint, and keep what they say.

    That a witness begins to cosign, or does so again, is logged, and that it refuses; not each cosignature,
    because its entry would make the log grow and call for the next. The cosignature is its own evidence.

    A witness that is configured no more is forgotten; that it refused stays in the ledger.

    Args:
        only_behind: Leave out those that have cosigned the newest checkpoint already.

    Returns:
        What each that was asked said.

    Raises:
        BadConfig: a configured key is none.
        LedgerBroken: the log does not lead to its checkpoint; nobody is asked.
    """
    states = []
    _forget_others(site, {str(witness_key(one)) for one in witnesses})
    with httpx.Client(timeout=ANSWER_WITHIN_S, follow_redirects=False, trust_env=False) as client:
        for one, state in zip(witnesses, witness_states(site, witnesses), strict=True):
            if not (only_behind and _is_up_to_date(site, state)):
                outcome = _ask(site, client, one.url, witness_key(one), state.size)
                states.append(_keep(site, state, outcome))
    return states


def witness_key(address: WitnessAddress) -> WitnessKey:
    """The public key of a configured witness.

    Raises:
        BadConfig: it is none.
    """
    try:
        return WitnessKey.parse(address.vkey)
    except LedgerBroken as error:
        raise BadConfig(f"setting ledger.witnesses, {address.url}: {error.cause}", error.mend) from None


def _state(vkey: str, row: CosignatureRow | None) -> WitnessState:
    if row is None:
        return WitnessState(_name(vkey), vkey, 0, None, "")
    return WitnessState(_name(vkey), vkey, row.size, row.asked_unix_ms, row.problem)


def _forget_others(site: Site, vkeys: set[str]) -> None:
    others = CosignatureRow.witness.not_in(vkeys)
    with site.read() as session:
        if session.scalars(select(CosignatureRow).where(others)).first() is None:
            return
    with site.write() as session:
        session.execute(delete(CosignatureRow).where(others))


def _is_up_to_date(site: Site, state: WitnessState) -> bool:
    with site.read() as session:
        size = site.ledger.signed_head(session.connection()).size
    return state.size == size and not state.problem


def _ask(site: Site, client: httpx.Client, url: str, key: WitnessKey, old_size: int) -> _Outcome:
    """Ask one witness, and once more if it has cosigned another size than is remembered here."""
    for _ in range(_MOST_TRIES):
        with site.read() as session:
            connection = session.connection()
            size = site.ledger.signed_head(connection).size
            if old_size > size:
                return _Outcome(
                    problem=f"{REFUSED}it has cosigned {old_size} entries of this log, which has only {size}:"
                    " the log was rolled back"
                )
            note = site.ledger.checkpoint(connection)
            proof = site.ledger.prove_extends(connection, old_size)
        try:
            answer = _post(site.clock, client, url, Submission(old_size, tuple(proof), note).text())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _Outcome(problem=f"{NOT_REACHED}{type(error).__name__}")
        if answer.status == HTTPStatus.OK:
            return _cosigned(size, note, answer.text, key)
        known = answer.known_size
        if known is None or known == old_size:
            return _Outcome(problem=_why_not(answer, old_size))
        old_size = known
    return _Outcome(problem=f"{NOT_REACHED}it says another size each time")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back."""

    status: int
    media_type: str
    text: str

    @property
    def known_size(self) -> int | None:
        """The size that the witness says it has cosigned last; None if it does not say."""
        digits = self.text.removesuffix("\n")
        if self.status != HTTPStatus.CONFLICT or self.media_type != SIZE_TYPE:
            return None
        return int(digits) if _SIZE.fullmatch(digits) else None


def _why_not(answer: _Answer, old_size: int) -> str:
    """What it means that a witness did not cosign a log that has at least what it cosigned before."""
    if answer.status in {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return (
            f"{REFUSED}it has cosigned {old_size} entries of this log, and they were others than now:"
            " the log was rewritten"
        )
    if answer.status == HTTPStatus.FORBIDDEN:
        return f"{REFUSED}it knows this log by another key"
    if answer.status == HTTPStatus.NOT_FOUND:
        return f"{NOT_REACHED}it was not told of this log: give it the log's key"
    return f"{NOT_REACHED}it answered {answer.status}"


def _post(clock: Clock, client: httpx.Client, url: str, body: str) -> _Answer:
    """The answer, of which no more than a few kilobytes are read, for no longer than a few seconds."""
    address = f"{url.rstrip('/')}/add-checkpoint"
    began_s, content = clock.monotonic_s(), b""
    with client.stream("POST", address, content=body.encode()) as response:
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MOST_ANSWER_BYTES or clock.monotonic_s() - began_s > ANSWER_WITHIN_S:
                raise httpx.ReadError("the answer does not end")
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        return _Answer(response.status_code, media_type, content.decode("utf-8", errors="replace"))


def _cosigned(size: int, note: str, answer: str, key: WitnessKey) -> _Outcome:
    """The checkpoint with the witness's line, if that line is right."""
    text, _ = split_note(note)
    try:
        line = cosignature_in(f"{text}\n{answer}", key)
    except LedgerBroken:
        return _Outcome(problem=f"{NOT_REACHED}what answers there has not the key of this witness")
    return _Outcome(size, f"{text}\n{line}")


def _keep(site: Site, before: WitnessState, outcome: _Outcome) -> WitnessState:
    """Write down what a witness said, and log it if that is news."""
    asked_unix_ms = site.now_unix_ms()
    size = outcome.size or before.size
    now = WitnessState(before.name, before.vkey, size, asked_unix_ms, outcome.problem)
    with site.write() as session:
        row = session.get(CosignatureRow, now.vkey)
        if row is None:
            row = CosignatureRow(witness=now.vkey, size=0, note="")
            session.add(row)
        row.size, row.note = (outcome.size, outcome.note) if outcome.note else (row.size, row.note)
        row.asked_unix_ms, row.problem = asked_unix_ms, outcome.problem
        news: Payload = {"witness": now.name, "size": now.size, "problem": now.problem}
        if outcome.note and (before.size == 0 or before.problem):
            site.log(session, Event.WITNESS_COSIGNED, actor=_ACTOR, payload=news)
        elif now.refused and not before.refused:
            site.log(session, Event.WITNESS_REFUSED, actor=_ACTOR, payload=news)
    return now


def _name(vkey: str) -> str:
    return vkey.partition("+")[0]
