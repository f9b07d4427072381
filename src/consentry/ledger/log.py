"""The ledger on its tables: append, verify, prove.

Every call works inside the caller's transaction. So an entry and the rows of the act it tells of become
durable together or not at all: there is no act without its entry, and no entry of an act that failed.

The tables belong to `consentry.store`; this package may not import it, and names the columns it uses. A
test holds the two together.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, column, delete, func, insert, select, table, update

from consentry.errors import LedgerBroken, NotFound
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note, sign_note, sign_statement
from consentry.ledger.entry import Entry, Event, Payload, canonical_payload, commitment
from consentry.ledger.proof import Proof
from consentry.ledger.tree import (
    Frontier,
    consistency_proof,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)

SALT_BYTES = 32
ENTRY = table(
    "ledger_entry",
    column("seq"),
    column("time_unix_ms"),
    column("event"),
    column("actor"),
    column("subject_pseudonym"),
    column("payload_commitment"),
)
PAYLOAD = table("ledger_payload", column("seq"), column("salt"), column("payload_json"))
HEAD = table("ledger_head", column("id"), column("frontier"), column("checkpoint"))
_HEAD_ID = 1
_SEE_DOCS = "Keep this data folder as it is and see docs/consent.md, part “If the ledger does not verify”"


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What a full verification found, all of it right.

    Attributes:
        size: Number of entries.
        root: Root hash of the tree, 32 bytes.
        payloads_kept: Entries whose payload is there and matches its commitment.
        payloads_erased: Entries whose payload went with a person's withdrawal.
    """

    size: int
    root: bytes
    payloads_kept: int
    payloads_erased: int


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That one entry is in the log, checkable without the log.

    Attributes:
        leaf: The canonical JSON of the entry.
        index: Its position.
        size: Number of entries of the log.
        path: Sibling hashes from the leaf up, 32 bytes each.
        checkpoint: The signed note over the log.
    """

    leaf: bytes
    index: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: str

    def text(self) -> str:
        """The proof in the form of C2SP `tlog-proof`, version 1; the leaf goes with it separately."""
        return Proof(self.index, self.path, self.checkpoint).text()


class Ledger:
    """The log of one site.

    Args:
        origin: Its name, which is also the name of its key; without spaces and `+`.
        key: Signs the checkpoints.
    """

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        self.origin = origin
        self._key = key
        self.verifier = VerifierKey(origin, key.public_key())

    def start(self, connection: Connection) -> None:
        """Make the head of a new, empty log."""
        empty = Frontier(0, ())
        connection.execute(insert(HEAD).values(id=_HEAD_ID, frontier=b"", checkpoint=self._sign(empty)))

    def append(
        self,
        connection: Connection,
        *,
        event: Event,
        actor: str,
        time_unix_ms: int,
        payload: Payload,
        subject_pseudonym: str | None = None,
    ) -> Entry:
        """Add an entry and sign the new checkpoint; durable when the caller's transaction commits.

        Args:
            payload: What the act was about. Kept apart from the tree, deletable. Never a name.
            subject_pseudonym: Of the person it is about.

        Raises:
            LedgerBroken: the head was tampered with, so nothing may be built on it.
        """
        frontier = self._frontier(connection)
        payload_json = canonical_payload(payload)
        salt = secrets.token_bytes(SALT_BYTES)
        entry = Entry(
            seq=frontier.size,
            time_unix_ms=time_unix_ms,
            event=event.value,
            actor=actor,
            subject_pseudonym=subject_pseudonym,
            payload_commitment=commitment(salt, payload_json),
        )
        extended = frontier.extended(leaf_hash(entry.leaf()))
        connection.execute(
            insert(ENTRY).values(
                seq=entry.seq,
                time_unix_ms=entry.time_unix_ms,
                event=entry.event,
                actor=entry.actor,
                subject_pseudonym=entry.subject_pseudonym,
                payload_commitment=entry.payload_commitment,
            )
        )
        connection.execute(insert(PAYLOAD).values(seq=entry.seq, salt=salt, payload_json=payload_json))
        connection.execute(
            update(HEAD)
            .where(HEAD.c.id == _HEAD_ID)
            .values(frontier=extended.to_bytes(), checkpoint=self._sign(extended))
        )
        return entry

    def erase_payloads(self, connection: Connection, subject_pseudonym: str) -> int:
        """Delete salts and payloads of all entries about one person; returns how many.

        The tree stays whole. `verify` accepts the gap once the person's withdrawal is in the log.
        """
        about = select(ENTRY.c.seq).where(ENTRY.c.subject_pseudonym == subject_pseudonym)
        return int(connection.execute(delete(PAYLOAD).where(PAYLOAD.c.seq.in_(about))).rowcount)

    def entries_about(self, connection: Connection, subject_pseudonym: str) -> list[Entry]:
        """All entries about one person, oldest first."""
        about = ENTRY.c.subject_pseudonym == subject_pseudonym
        rows = connection.execute(select(ENTRY).where(about).order_by(ENTRY.c.seq))
        return [Entry(*row) for row in rows]

    def checkpoint(self, connection: Connection) -> str:
        """The newest signed checkpoint.

        Raises:
            LedgerBroken: it is missing, or its signature is wrong.
        """
        note = connection.execute(select(HEAD.c.checkpoint)).scalar_one_or_none()
        if note is None:
            raise LedgerBroken("the ledger has lost its checkpoint", _SEE_DOCS)
        open_note(note, self.verifier)
        return str(note)

    def verify(self, connection: Connection) -> LedgerState:
        """Recompute the whole log and compare it with its signed checkpoint.

        Raises:
            LedgerBroken: an entry was changed, removed, added or reordered, a payload does not match its
                commitment or is gone without a withdrawal, or the head does not fit.
        """
        head = self._frontier(connection)
        frontier = frontier_of(_leaf_hashes(connection))
        if frontier.size != head.size:
            raise LedgerBroken(
                f"the ledger holds {frontier.size} entries, its signed checkpoint says {head.size}", _SEE_DOCS
            )
        if frontier != head:
            raise LedgerBroken(
                f"an entry of the ledger was changed: the root over its {frontier.size} entries differs from "
                "the signed checkpoint",
                _SEE_DOCS,
            )
        kept = _verify_payloads(connection)
        return LedgerState(frontier.size, frontier.root(), kept, frontier.size - kept)

    def verify_extends(self, connection: Connection, old_note: str) -> Checkpoint:
        """Whether this log still begins with the one that an earlier checkpoint stood for.

        This is what finds a log that was rewritten and signed anew by someone who holds the site key.

        Args:
            old_note: A checkpoint of this site that was kept elsewhere.

        Raises:
            LedgerBroken: it is not this site's, or the log was rewritten or rolled back since.
        """
        old = Checkpoint.parse(open_note(old_note, self.verifier))
        state = self.verify(connection)
        if old.size > state.size:
            raise LedgerBroken(
                f"the ledger was rolled back: it had {old.size} entries once, now {state.size}", _SEE_DOCS
            )
        proof = consistency_proof(old.size, list(_leaf_hashes(connection)))
        if not verify_consistency(old.size, old.root, state.size, state.root, proof):
            raise LedgerBroken(
                f"the first {old.size} entries of the ledger are not those of the earlier checkpoint",
                _SEE_DOCS,
            )
        return old

    def prove(self, connection: Connection, seq: int) -> InclusionProof:
        """The proof that entry `seq` is in the log as its newest checkpoint signs it.

        Raises:
            NotFound: there is no such entry.
            LedgerBroken: the log does not lead to its checkpoint.
        """
        note = self.checkpoint(connection)
        head = Checkpoint.parse(open_note(note, self.verifier))
        entries = list(_entries(connection))
        if not 0 <= seq < len(entries):
            raise NotFound(f"the ledger has no entry {seq}", f"It has {len(entries)}, counted from 0")
        leaf = _leaf(entries[seq])
        path = inclusion_proof(seq, [leaf_hash(_leaf(entry)) for entry in entries])
        if not verify_inclusion(leaf_hash(leaf), seq, head.size, path, head.root):
            raise LedgerBroken(f"entry {seq} does not lead to the signed checkpoint", _SEE_DOCS)
        return InclusionProof(leaf, seq, head.size, tuple(path), note)

    def sign(self, kind: str, statement: bytes) -> bytes:
        """This log's signature on something of `kind` that is no checkpoint: see `sign_statement`."""
        return sign_statement(kind, statement, self._key)

    def _sign(self, frontier: Frontier) -> str:
        text = Checkpoint(self.origin, frontier.size, frontier.root()).text()
        return sign_note(text, self.origin, self._key)

    def _frontier(self, connection: Connection) -> Frontier:
        """The stored frontier, once it is shown to be the one that the checkpoint signs."""
        signed = Checkpoint.parse(open_note(self.checkpoint(connection), self.verifier))
        packed = connection.execute(select(HEAD.c.frontier)).scalar_one()
        try:
            frontier = Frontier.from_bytes(signed.size, packed)
        except ValueError as error:
            raise LedgerBroken(f"the head of the ledger was changed: {error}", _SEE_DOCS) from None
        if frontier.root() != signed.root or signed.origin != self.origin:
            raise LedgerBroken("the head of the ledger is not the one that was signed", _SEE_DOCS)
        return frontier


def _entries(connection: Connection) -> Iterator[Entry]:
    """All entries in order.

    Raises:
        LedgerBroken: one is missing.
    """
    for expected, row in enumerate(connection.execute(select(ENTRY).order_by(ENTRY.c.seq))):
        if row.seq != expected:
            raise LedgerBroken(f"entry {expected} of the ledger is missing", _SEE_DOCS)
        yield Entry(*row)


def _leaf(entry: Entry) -> bytes:
    try:
        return entry.leaf()
    except rfc8785.CanonicalizationError:
        raise LedgerBroken(f"entry {entry.seq} of the ledger was changed", _SEE_DOCS) from None


def _leaf_hashes(connection: Connection) -> Iterator[bytes]:
    return (leaf_hash(_leaf(entry)) for entry in _entries(connection))


def _verify_payloads(connection: Connection) -> int:
    """How many payloads are there and right."""
    withdrawn = set(
        connection.execute(
            select(ENTRY.c.subject_pseudonym).where(ENTRY.c.event == Event.PERSON_WITHDRAWN.value)
        ).scalars()
    )
    withdrawn.discard(None)
    joined = ENTRY.outerjoin(PAYLOAD, ENTRY.c.seq == PAYLOAD.c.seq)
    rows = connection.execute(
        select(
            ENTRY.c.seq,
            ENTRY.c.subject_pseudonym,
            ENTRY.c.payload_commitment,
            PAYLOAD.c.salt,
            PAYLOAD.c.payload_json,
        ).select_from(joined)
    )
    kept = 0
    for row in rows:
        if row.salt is None:
            if row.subject_pseudonym not in withdrawn:
                raise LedgerBroken(f"the payload of ledger entry {row.seq} was removed", _SEE_DOCS)
        elif commitment(row.salt, row.payload_json) != row.payload_commitment:
            raise LedgerBroken(f"the payload of ledger entry {row.seq} was changed", _SEE_DOCS)
        else:
            kept += 1
    if kept != connection.execute(select(func.count()).select_from(PAYLOAD)).scalar_one():
        raise LedgerBroken("the ledger holds a payload that belongs to no entry", _SEE_DOCS)
    return kept
