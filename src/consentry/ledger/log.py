"""The ledger on its tables: append, verify, prove.

Every call works inside the caller's transaction. So an entry and the rows of the act it tells of become
durable together or not at all: there is no act without its entry, and no entry of an act that failed.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from consentry.errors import LedgerBroken, NotFound
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note, sign_note
from consentry.ledger.cosignature import WitnessKey, cosignature_in
from consentry.ledger.entry import Entry, Event, Payload, canonical_payload, commitment
from consentry.ledger.proof import Proof
from consentry.ledger.recompute import SEE_DOCS, check_payloads, check_tiles, leaf_of, recompute
from consentry.ledger.tables import COSIGNATURE, ENTRY, HEAD, PAYLOAD, TILE
from consentry.ledger.tiles import TILE_HASHES, Tile, TiledTree
from consentry.ledger.tree import HASH_BYTES, Frontier, leaf_hash, verify_consistency, verify_inclusion

SALT_BYTES = 32
_HEAD_ID = 1
# made once: building a statement takes longer than running it
_ADD_ENTRY, _ADD_PAYLOAD, _ADD_TILE = insert(ENTRY), insert(PAYLOAD), insert(TILE)
_READ_HEAD = select(HEAD.c.frontier, HEAD.c.checkpoint).where(HEAD.c.id == _HEAD_ID)
_MOVE_HEAD = (
    update(HEAD)
    .where(HEAD.c.id == _HEAD_ID)
    .values(frontier=bindparam("frontier"), checkpoint=bindparam("checkpoint"))
)
_THIS_TILE = (TILE.c.level == bindparam("at_level"), TILE.c.tile_index == bindparam("at_index"))
_READ_TILE = select(TILE.c.hashes).where(*_THIS_TILE)
_GROW_TILE = update(TILE).where(*_THIS_TILE).values(hashes=bindparam("hashes"))


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What a full verification found, all of it right.

    Attributes:
        size: Number of entries.
        root: Root hash of the tree, 32 bytes.
        payloads_kept: Entries whose payload is there and matches its commitment.
        payloads_erased: Entries whose payload went with a withdrawal or a logged deletion.
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
        self._known_note = (
            ""  # a signature that was made or verified here stays right: it is not verified twice
        )

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
        """Add one entry at the end, sign the log anew and extend its tiles.

        Raises:
            LedgerBroken: the stored head was changed since it was signed, or the tiles do not fit it; nothing
                is built on that.
            UsageError: the payload holds something that JSON cannot say exactly.
        """
        frontier = self._frontier(connection)
        salt, payload_json = secrets.token_bytes(SALT_BYTES), canonical_payload(payload)
        entry = Entry(
            seq=frontier.size,
            time_unix_ms=time_unix_ms,
            event=event.value,
            actor=actor,
            subject_pseudonym=subject_pseudonym,
            payload_commitment=commitment(salt, payload_json),
        )
        leaf = leaf_hash(entry.leaf())
        extended = frontier.extended(leaf)
        connection.execute(_ADD_ENTRY, asdict(entry))
        connection.execute(_ADD_PAYLOAD, {"seq": entry.seq, "salt": salt, "payload_json": payload_json})
        _extend_tiles(connection, frontier.size, leaf)
        note = self._sign(extended)
        connection.execute(_MOVE_HEAD, {"frontier": extended.to_bytes(), "checkpoint": note})
        self._known_note = note
        return entry

    def erase_payloads(self, connection: Connection, subject_pseudonym: str) -> int:
        """Delete salts and payloads of all entries about one person; returns how many.

        The tree stays whole. `verify` accepts the gap once the person's withdrawal is in the log.
        """
        about = select(ENTRY.c.seq).where(ENTRY.c.subject_pseudonym == subject_pseudonym)
        return int(connection.execute(delete(PAYLOAD).where(PAYLOAD.c.seq.in_(about))).rowcount)

    def delete_payloads(self, connection: Connection, before_unix_ms: int) -> int:
        """Delete salts and payloads of all entries from before a moment; returns how many.

        What tells of such deletions is kept. The tree stays whole. `verify` accepts the gap once an entry
        `ledger.payloads_deleted` with this `before_unix_ms` in its payload is in the log.
        """
        old = select(ENTRY.c.seq).where(
            ENTRY.c.time_unix_ms < before_unix_ms, ENTRY.c.event != Event.LEDGER_PAYLOADS_DELETED.value
        )
        return int(connection.execute(delete(PAYLOAD).where(PAYLOAD.c.seq.in_(old))).rowcount)

    def entries_about(self, connection: Connection, subject_pseudonym: str) -> list[Entry]:
        """All entries about one person, oldest first."""
        about = ENTRY.c.subject_pseudonym == subject_pseudonym
        rows = connection.execute(select(ENTRY).where(about).order_by(ENTRY.c.seq))
        return [Entry(*row) for row in rows]

    def checkpoint(self, connection: Connection) -> str:
        """The newest signed checkpoint, with the cosignatures of the witnesses that have seen this very one.

        Raises:
            LedgerBroken: it is missing, or its signature is wrong.
        """
        _, note = self._head(connection)
        text = self._open(note)
        rows = connection.execute(
            select(COSIGNATURE.c.witness, COSIGNATURE.c.note)
            .where(COSIGNATURE.c.size == Checkpoint.parse(text).size)
            .order_by(COSIGNATURE.c.witness)
        )
        for witness, cosigned in rows:
            with suppress(LedgerBroken):  # `verify` is what complains
                key = WitnessKey.parse(witness)
                if open_note(cosigned, key) == text:
                    note += cosignature_in(cosigned, key)
        return note

    def signed_head(self, connection: Connection) -> Checkpoint:
        """What the newest checkpoint says.

        Raises:
            LedgerBroken: it is missing, or its signature is wrong.
        """
        _, note = self._head(connection)
        return Checkpoint.parse(self._open(note))

    def verify(self, connection: Connection) -> LedgerState:
        """Recompute the whole log from its entries and compare it with all that is stored beside them.

        Raises:
            LedgerBroken: an entry was changed, removed, added or reordered, a payload does not match its
                commitment or is gone without a withdrawal or a logged deletion, the head or a tile does not
                fit, or a witness has cosigned another history.
        """
        head = self._frontier(connection)
        found = recompute(connection)
        frontier = found.frontier
        if frontier.size != head.size:
            raise LedgerBroken(
                f"the ledger holds {frontier.size} entries, its signed checkpoint says {head.size}", SEE_DOCS
            )
        if frontier != head:
            raise LedgerBroken(
                f"an entry of the ledger was changed: the root over its {frontier.size} entries differs from "
                "the signed checkpoint",
                SEE_DOCS,
            )
        check_tiles(connection, found.tiles)
        check_payloads(connection, found)
        self._check_cosignatures(connection)
        kept = found.payloads_kept
        return LedgerState(frontier.size, frontier.root(), kept, frontier.size - kept)

    def verify_extends(self, connection: Connection, old_note: str) -> Checkpoint:
        """Verify the log, and that it still begins with the one that an earlier checkpoint stood for.

        This is what finds a log that was rewritten and signed anew by someone who holds the site key.

        Args:
            old_note: A checkpoint of this site that was kept elsewhere.

        Raises:
            LedgerBroken: it is not this site's, or the log was rewritten or rolled back since.
        """
        old = Checkpoint.parse(open_note(old_note, self.verifier))
        self.verify(connection)
        self.check_extends(connection, old)
        return old

    def check_extends(self, connection: Connection, old: Checkpoint) -> None:
        """See to it, from the tiles alone, that the log begins with what `old` stood for.

        Raises:
            LedgerBroken: the log was rewritten or rolled back since, or a tile was changed.
        """
        head = self.signed_head(connection)
        if old.size > head.size:
            raise LedgerBroken(
                f"the ledger was rolled back: it had {old.size} entries once, now {head.size}", SEE_DOCS
            )
        tree = self.tree(connection, head.size)
        if tree.root() != head.root or tree.root(old.size) != old.root:
            raise LedgerBroken(
                f"the first {old.size} entries of the ledger are not those of the earlier checkpoint",
                SEE_DOCS,
            )

    def prove(self, connection: Connection, seq: int) -> InclusionProof:
        """The proof that entry `seq` is in the log as its newest checkpoint signs it.

        Raises:
            NotFound: there is no such entry.
            LedgerBroken: the log does not lead to its checkpoint.
        """
        head = self.signed_head(connection)
        if not 0 <= seq < head.size:
            raise NotFound(f"the ledger has no entry {seq}", f"It has {head.size}, counted from 0")
        row = connection.execute(select(ENTRY).where(ENTRY.c.seq == seq)).one_or_none()
        if row is None:
            raise LedgerBroken(f"entry {seq} of the ledger is missing", SEE_DOCS)
        leaf = leaf_of(Entry(*row))
        path = self.tree(connection, head.size).inclusion_proof(seq)
        if not verify_inclusion(leaf_hash(leaf), seq, head.size, path, head.root):
            raise LedgerBroken(f"entry {seq} does not lead to the signed checkpoint", SEE_DOCS)
        return InclusionProof(leaf, seq, head.size, tuple(path), self.checkpoint(connection))

    def prove_extends(self, connection: Connection, old_size: int) -> list[bytes]:
        """The proof that the log still begins with its first `old_size` entries (RFC 6962 section 2.1.2).

        Raises:
            LedgerBroken: the log does not lead to its checkpoint.
            ValueError: the log has fewer entries than `old_size`.
        """
        head = self.signed_head(connection)
        tree = self.tree(connection, head.size)
        proof = tree.consistency_proof(old_size)
        right = verify_consistency(old_size, tree.root(old_size), head.size, head.root, proof)
        if tree.root() != head.root or not right:
            raise LedgerBroken("the tiles of the ledger do not lead to the signed checkpoint", SEE_DOCS)
        return proof

    def tree(self, connection: Connection, size: int) -> TiledTree:
        """The tree over the first `size` entries, as the stored tiles have it; nothing is verified."""

        return TiledTree(size, partial(stored_tile, connection))

    def lacks_tiles(self, connection: Connection) -> bool:
        """Whether this log is from before there were tiles."""
        has_tiles = connection.execute(select(TILE.c.level).limit(1)).first() is not None
        return not has_tiles and connection.execute(select(ENTRY.c.seq).limit(1)).first() is not None

    def build_tiles(self, connection: Connection) -> None:
        """Cut a log that lacks them into tiles.

        Raises:
            LedgerBroken: the entries do not lead to the signed checkpoint; nothing is built on them.
        """
        found = recompute(connection)
        if found.frontier != self._frontier(connection):
            raise LedgerBroken("the entries of the ledger do not lead to the signed checkpoint", SEE_DOCS)
        rows = [{"level": one.level, "tile_index": one.index, "hashes": one.hashes} for one in found.tiles]
        connection.execute(_ADD_TILE, rows)

    def _sign(self, frontier: Frontier) -> str:
        text = Checkpoint(self.origin, frontier.size, frontier.root()).text()
        return sign_note(text, self.origin, self._key)

    def _open(self, note: str) -> str:
        """The text of the stored checkpoint, its signature verified unless that was done before."""
        if note == self._known_note:
            return note.partition("\n\n")[0] + "\n"
        text = open_note(note, self.verifier)
        self._known_note = note
        return text

    def _head(self, connection: Connection) -> tuple[bytes, str]:
        """The stored frontier and checkpoint, neither of them verified."""
        row = connection.execute(_READ_HEAD).one_or_none()
        if row is None:
            raise LedgerBroken("the ledger has lost its checkpoint", SEE_DOCS)
        if not isinstance(row.frontier, bytes) or not isinstance(row.checkpoint, str):
            raise LedgerBroken("the head of the ledger was changed", SEE_DOCS)
        return row.frontier, row.checkpoint

    def _frontier(self, connection: Connection) -> Frontier:
        """The stored frontier, once it is shown to be the one that the checkpoint signs."""
        packed, note = self._head(connection)
        signed = Checkpoint.parse(self._open(note))
        try:
            frontier = Frontier.from_bytes(signed.size, packed)
        except ValueError as error:
            raise LedgerBroken(f"the head of the ledger was changed: {error}", SEE_DOCS) from None
        if frontier.root() != signed.root or signed.origin != self.origin:
            raise LedgerBroken("the head of the ledger is not the one that was signed", SEE_DOCS)
        return frontier

    def _check_cosignatures(self, connection: Connection) -> None:
        """See to it that the log begins with everything that a witness has cosigned."""
        rows = connection.execute(
            select(COSIGNATURE.c.witness, COSIGNATURE.c.size, COSIGNATURE.c.note).where(
                COSIGNATURE.c.size != 0
            )
        )
        for witness, size, note in rows:
            if not isinstance(witness, str) or not isinstance(note, str):
                raise LedgerBroken("a cosignature of the ledger was changed", SEE_DOCS)
            cosigned = Checkpoint.parse(open_note(note, WitnessKey.parse(witness)))
            if (cosigned.origin, cosigned.size) != (self.origin, size):
                raise LedgerBroken(f"the cosignature of witness {witness} was changed", SEE_DOCS)
            self.check_extends(connection, cosigned)


def _extend_tiles(connection: Connection, size: int, leaf: bytes) -> None:
    """Put the leaf hash after the `size` that are there into its tile, and what that completes above it."""
    level, position, joined = 0, size, leaf
    while True:
        index, offset = divmod(position, TILE_HASHES)
        hashes = joined
        if offset:
            before = stored_tile(connection, level, index)
            if before is None or len(before) != offset * HASH_BYTES:
                raise LedgerBroken("the tiles of the ledger do not fit its head", SEE_DOCS)
            hashes = before + joined
            connection.execute(_GROW_TILE, {"at_level": level, "at_index": index, "hashes": hashes})
        else:
            connection.execute(_ADD_TILE, {"level": level, "tile_index": index, "hashes": hashes})
        if offset != TILE_HASHES - 1:
            return
        level, position, joined = level + 1, index, Tile(level, index, hashes).root()


def stored_tile(connection: Connection, level: int, index: int) -> bytes | None:
    """The hashes of a tile as they are stored, one after the other; None if there is no such tile."""
    found = connection.execute(_READ_TILE, {"at_level": level, "at_index": index}).scalar_one_or_none()
    return None if found is None else bytes(found)
