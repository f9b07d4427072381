"""Everything that the entries of a ledger lead to, computed anew from nothing but the entries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import rfc8785
from sqlalchemy import Connection, func, select

from consentry.errors import LedgerBroken
from consentry.ledger.entry import Entry, Event, commitment
from consentry.ledger.tables import ENTRY, PAYLOAD, TILE
from consentry.ledger.tiles import Tile, TileBuilder
from consentry.ledger.tree import Frontier, leaf_hash

SEE_DOCS = "Keep this data folder as it is and see docs/ledger.md, part “If the ledger does not verify”"


@dataclass(slots=True)
class _Permits:
    """What the log itself says about payloads that are gone.

    Attributes:
        withdrawn: Pseudonym of each person who withdrew, and the number of the entry that says so.
        deletions: Number of an entry that tells of a deletion, and the moment before which it deleted.
    """

    withdrawn: dict[str, int] = field(default_factory=dict)
    deletions: list[tuple[int, int]] = field(default_factory=list)

    def learn(self, entry: Entry, payload_json: str | None) -> None:
        """Take in an entry whose payload, if there, is known to be right."""
        if entry.event == Event.PERSON_WITHDRAWN.value and entry.subject_pseudonym is not None:
            self.withdrawn[entry.subject_pseudonym] = entry.seq
        if entry.event == Event.LEDGER_PAYLOADS_DELETED.value and payload_json is not None:
            self.deletions.append((entry.seq, json.loads(payload_json)["before_unix_ms"]))

    def allow(self, gap: Entry) -> bool:
        """Whether the payload of this entry may be gone; what tells of a deletion is never deleted."""
        if gap.event == Event.LEDGER_PAYLOADS_DELETED.value:
            return False
        return gap.seq < self.withdrawn.get(gap.subject_pseudonym or "", 0) or any(
            gap.seq < seq and gap.time_unix_ms < before_unix_ms for seq, before_unix_ms in self.deletions
        )


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the entries lead to.

    Attributes:
        frontier: Of the tree over them.
        tiles: All tiles of that tree, by level and index.
        payloads_kept: Entries whose payload is there and matches its commitment.
        lost: The first entry whose payload is gone though nothing in the log allows it.
        changed: The first entry whose payload does not match its commitment.
    """

    frontier: Frontier
    tiles: tuple[Tile, ...]
    payloads_kept: int
    lost: int | None
    changed: int | None


def recompute(connection: Connection) -> Recomputed:
    """Read all entries and payloads once.

    Raises:
        LedgerBroken: an entry is missing or cannot be one.
    """
    builder, permits = TileBuilder(), _Permits()
    tiles: list[Tile] = []
    gaps: list[Entry] = []
    kept, changed = 0, None
    for entry, salt, payload_json in _entries(connection):
        tiles += builder.add(leaf_hash(leaf_of(entry)))
        if salt is None:
            gaps.append(entry)
        elif _is_committed(entry, salt, payload_json):
            kept += 1
            permits.learn(entry, payload_json)
            continue
        elif changed is None:
            changed = entry.seq
        permits.learn(entry, None)
    return Recomputed(
        frontier=builder.frontier(),
        tiles=tuple(sorted(tiles + builder.rest(), key=lambda tile: (tile.level, tile.index))),
        payloads_kept=kept,
        lost=next((gap.seq for gap in gaps if not permits.allow(gap)), None),
        changed=changed,
    )


def leaf_of(entry: Entry) -> bytes:
    """The bytes that go into the tree.

    Raises:
        LedgerBroken: no entry says such a thing.
    """
    try:
        return entry.leaf()
    except rfc8785.CanonicalizationError:
        raise LedgerBroken(f"entry {entry.seq} of the ledger was changed", SEE_DOCS) from None


def check_tiles(connection: Connection, right: tuple[Tile, ...]) -> None:
    """Compare the stored tiles with the right ones.

    Raises:
        LedgerBroken: one was changed, removed or added.
    """
    stored = {
        (row.level, row.tile_index): row.hashes
        for row in connection.execute(select(TILE.c.level, TILE.c.tile_index, TILE.c.hashes))
    }
    for tile in right:
        if stored.pop((tile.level, tile.index), None) != tile.hashes:
            raise LedgerBroken(
                f"tile {tile.index} of level {tile.level} of the ledger was changed or removed", SEE_DOCS
            )
    if stored:
        level, index = min(stored)
        raise LedgerBroken(f"the ledger has a tile {index} of level {level} that no entry leads to", SEE_DOCS)


def check_payloads(connection: Connection, found: Recomputed) -> None:
    """See to it that no payload was changed, removed or added.

    Raises:
        LedgerBroken: one was.
    """
    if found.changed is not None:
        raise LedgerBroken(f"the payload of ledger entry {found.changed} was changed", SEE_DOCS)
    if found.lost is not None:
        raise LedgerBroken(f"the payload of ledger entry {found.lost} was removed", SEE_DOCS)
    if found.payloads_kept != connection.execute(select(func.count()).select_from(PAYLOAD)).scalar_one():
        raise LedgerBroken("the ledger holds a payload that belongs to no entry", SEE_DOCS)


def _is_committed(entry: Entry, salt: object, payload_json: object) -> bool:
    # SQLite keeps a value of another type than the column's, if someone puts one there
    if not isinstance(salt, bytes) or not isinstance(payload_json, str):
        return False
    return commitment(salt, payload_json) == entry.payload_commitment


def _entries(connection: Connection) -> Iterator[tuple[Entry, bytes | None, str]]:
    """All entries in order with salt and payload; the salt is None where the payload is gone.

    Raises:
        LedgerBroken: one is missing.
    """
    joined = ENTRY.outerjoin(PAYLOAD, ENTRY.c.seq == PAYLOAD.c.seq)
    rows = connection.execute(
        select(*ENTRY.c, PAYLOAD.c.salt, PAYLOAD.c.payload_json).select_from(joined).order_by(ENTRY.c.seq)
    )
    for expected, (*columns, salt, payload_json) in enumerate(rows):
        entry = Entry(*columns)
        if entry.seq != expected:
            raise LedgerBroken(f"entry {expected} of the ledger is missing", SEE_DOCS)
        yield entry, salt, payload_json
