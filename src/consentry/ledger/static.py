"""A copy of a log as plain files (C2SP `tlog-tiles`), such as on a USB stick, and its verification there.

The copy holds the checkpoint, the tiles and the entries, but no payload. It is verified with the log's public
key and nothing else: no database, no data folder, no site key.
"""

from __future__ import annotations

import struct
from pathlib import Path

from sqlalchemy import Connection, select

from consentry.errors import LedgerBroken, UsageError
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note
from consentry.ledger.entry import Entry
from consentry.ledger.log import Ledger, stored_tile
from consentry.ledger.recompute import leaf_of
from consentry.ledger.tables import ENTRY
from consentry.ledger.tiles import TILE_HASHES, Tile, TileBuilder, tile_path, tile_shapes
from consentry.ledger.tree import HASH_BYTES, leaf_hash

CHECKPOINT_FILE = "checkpoint"
_LENGTH = struct.Struct(">H")
_MOST_TILE_BYTES = TILE_HASHES * HASH_BYTES
_MOST_BUNDLE_BYTES = TILE_HASHES * (_LENGTH.size + 0xFFFF)
_COMPARE = "Keep it, and compare it with other copies of this log"


def write_copy(ledger: Ledger, connection: Connection, folder: Path) -> Checkpoint:
    """Write the log into `folder`, or bring an earlier copy there up to date.

    An earlier copy is a witness too: what it holds must be the beginning of the log as it is now.

    Returns:
        The checkpoint of the copy.

    Raises:
        LedgerBroken: the log does not verify, or does not continue the earlier copy, which is then left as it
            is.
        UsageError: the folder cannot be written to.
    """
    ledger.verify(connection)
    note, head = ledger.checkpoint(connection), ledger.signed_head(connection)
    before = folder / CHECKPOINT_FILE
    try:
        if before.exists():
            old = Checkpoint.parse(open_note(before.read_text(encoding="utf-8"), ledger.verifier))
            ledger.check_extends(connection, old)
        for level, index, width in tile_shapes(head.size):
            _put(folder / tile_path(str(level), index, width), stored_tile(connection, level, index) or b"")
            if level == 0:
                _put(folder / tile_path("entries", index, width), _bundle(connection, index))
        folder.mkdir(parents=True, exist_ok=True)
        _replace(before, note.encode())  # last: an interrupted copy is still the earlier one
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the copy in {folder} cannot be written: {error}", "Give another folder") from None
    return head


def verify_copy(folder: Path, verifier: VerifierKey) -> Checkpoint:
    """See to it that a copy is whole and what the log signed.

    Args:
        folder: The copy.
        verifier: The log's public key, known from elsewhere.

    Returns:
        The checkpoint that all entries and tiles lead to.

    Raises:
        LedgerBroken: something of it was changed, or is missing.
        UsageError: there is no copy.
    """
    try:
        note = (folder / CHECKPOINT_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{folder} holds no copy of a log: {error}", "See `consentry ledger tiles`"
        ) from None
    head = Checkpoint.parse(open_note(note, verifier))
    if head.origin != verifier.name:
        raise LedgerBroken(f"the copy is of the log {head.origin}", "Give that log's key")
    builder, tiles = TileBuilder(), dict[tuple[int, int], Tile]()
    for level, index, width in tile_shapes(head.size):
        if level == 0:
            path = tile_path("entries", index, width)
            leaves = _unbundle(path, _get(folder, path, _MOST_BUNDLE_BYTES))
            if len(leaves) != width:
                raise LedgerBroken(f"{path} of the copy does not hold {width} entries", _COMPARE)
            for leaf in leaves:
                tiles |= {(tile.level, tile.index): tile for tile in builder.add(leaf_hash(leaf))}
    tiles |= {(tile.level, tile.index): tile for tile in builder.rest()}
    if builder.frontier().root() != head.root:
        raise LedgerBroken(f"the {head.size} entries of the copy do not lead to its checkpoint", _COMPARE)
    for tile in tiles.values():
        if _get(folder, tile.path, _MOST_TILE_BYTES) != tile.hashes:
            raise LedgerBroken(f"{tile.path} of the copy was changed", _COMPARE)
    return head


def _bundle(connection: Connection, index: int) -> bytes:
    """The entries under one tile of level 0, as they go into the tree, each after its length."""
    start = index * TILE_HASHES
    rows = connection.execute(
        select(ENTRY).where(ENTRY.c.seq >= start, ENTRY.c.seq < start + TILE_HASHES).order_by(ENTRY.c.seq)
    )
    leaves = [leaf_of(Entry(*row)) for row in rows]
    return b"".join(_LENGTH.pack(len(leaf)) + leaf for leaf in leaves)


def _unbundle(path: str, content: bytes) -> list[bytes]:
    leaves, start = [], 0
    while start < len(content):
        header = content[start : start + _LENGTH.size]
        end = start + _LENGTH.size + (_LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else 0)
        if len(header) != _LENGTH.size or end > len(content):
            raise LedgerBroken(f"{path} of the copy is cut off", _COMPARE)
        leaves.append(content[start + _LENGTH.size : end])
        start = end
    return leaves


def _get(folder: Path, path: str, most_bytes: int) -> bytes:
    try:
        with (folder / path).open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise LedgerBroken(f"{path} of the copy is missing: {error.strerror}", _COMPARE) from None
    if len(content) > most_bytes:
        raise LedgerBroken(f"{path} of the copy is too long", _COMPARE)
    return content


def _put(path: Path, content: bytes) -> None:
    """Write a file that never changes; one that is there already must be the same.

    Raises:
        LedgerBroken: it is not.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    elif path.read_bytes() != content:
        raise LedgerBroken(f"{path} of the earlier copy is not what the log holds now", _COMPARE)


def _replace(path: Path, content: bytes) -> None:
    begun = path.with_name(f"{path.name}.new")
    begun.write_bytes(content)
    begun.replace(path)
