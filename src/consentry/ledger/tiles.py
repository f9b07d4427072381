"""Tiles of a log (C2SP `tlog-tiles`): the tree cut into pieces of 256 hashes, from which proofs are made.

A tile of level 0 holds leaf hashes; one hash of level 1 and above stands for a full tile of the level below.
Nothing here reads or writes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consentry.errors import LedgerBroken
from consentry.ledger.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    consistency_ranges,
    inclusion_ranges,
    node_hash,
    perfect_root,
)

TILE_HASHES = 256
_HEIGHT = 8  # of the tree within a tile
_MIN_DIGITS = 3
_PATH = re.compile(r"(?P<index>(x[0-9]{3}/){0,4}[0-9]{3})(\.p/(?P<width>[0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """Consecutive hashes of one level.

    Attributes:
        level: 0 at the leaves.
        index: Position within its level.
        hashes: 1 to 256 of them, 32 bytes each, one after the other.
    """

    level: int
    index: int
    hashes: bytes

    @property
    def path(self) -> str:
        """Where the specification puts it."""
        return tile_path(str(self.level), self.index, len(self.hashes) // HASH_BYTES)

    def root(self) -> bytes:
        """What stands for it in the level above; it must be full."""
        return perfect_root(split_hashes(self.hashes))


def split_hashes(joined: bytes) -> list[bytes]:
    """The hashes of a tile, one by one."""
    return [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]


def tile_path(level: str, index: int, width: int) -> str:
    """Where a tile is: `tile/0/x001/x234/067`, with `.p/W` at the end if only W of 256 are there.

    Args:
        level: A number, or `entries`.
        index: Position within its level.
        width: How many hashes or entries it has.
    """
    groups = [f"{index % 1000:0{_MIN_DIGITS}}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:0{_MIN_DIGITS}}")
    partial = "" if width == TILE_HASHES else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile_path(path: str) -> tuple[int, int] | None:
    """Index and width of the tile at `x001/x234/067` or `067.p/5`; None where the specification puts none."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    index = int(found["index"].replace("/", "").replace("x", ""))
    width = int(found["width"] or TILE_HASHES)
    is_one = 0 < width <= TILE_HASHES and tile_path("0", index, width) == f"tile/0/{path}"
    return (index, width) if is_one else None


def tile_shapes(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, index and width of every tile of a tree with `size` leaves, level by level."""
    level = 0
    while size:
        for index in range(size // TILE_HASHES):
            yield level, index, TILE_HASHES
        if size % TILE_HASHES:
            yield level, size // TILE_HASHES, size % TILE_HASHES
        size //= TILE_HASHES
        level += 1


class TileBuilder:
    """Cuts a tree into tiles while its leaf hashes come in, in order."""

    def __init__(self) -> None:
        self._open: list[list[bytes]] = []  # for each level the hashes of its last tile, if not full
        self._full: list[int] = []  # for each level the number of its full tiles

    @property
    def size(self) -> int:
        """Number of leaves so far."""
        if not self._open:
            return 0
        return self._full[0] * TILE_HASHES + len(self._open[0])

    def add(self, leaf: bytes) -> list[Tile]:
        """One more leaf hash; returns the tiles that are full now, lowest first."""
        done: list[Tile] = []
        joined: bytes | None = leaf
        level = 0
        while joined is not None:
            if level == len(self._open):
                self._open.append([])
                self._full.append(0)
            hashes = self._open[level]
            hashes.append(joined)
            joined = None
            if len(hashes) == TILE_HASHES:
                done.append(Tile(level, self._full[level], b"".join(hashes)))
                joined = perfect_root(hashes)
                hashes.clear()
                self._full[level] += 1
                level += 1
        return done

    def rest(self) -> list[Tile]:
        """The last tile of each level that is not full, lowest first."""
        return [
            Tile(level, self._full[level], b"".join(hashes))
            for level, hashes in enumerate(self._open)
            if hashes
        ]

    def frontier(self) -> Frontier:
        """The frontier of the tree so far."""
        peaks: list[bytes] = []
        for hashes in reversed(self._open):
            start = 0
            for bit in range(_HEIGHT - 1, -1, -1):
                if len(hashes) >> bit & 1:
                    peaks.append(perfect_root(hashes[start : start + (1 << bit)]))
                    start += 1 << bit
        return Frontier(self.size, tuple(peaks))


class TiledTree:
    """A tree of which only tiles are read, each at most once.

    Args:
        size: Number of leaves.
        fetch: The hashes of the tile at a level and index; may hold more than `size` asks for.

    Raises:
        LedgerBroken: from every method, when a tile is missing or too short.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes | None]) -> None:
        self.size = size
        self._fetch = fetch
        self._read: dict[tuple[int, int], bytes] = {}

    def root(self, end: int | None = None) -> bytes:
        """The root over the first `end` leaves, all by default."""
        last = self.size if end is None else end
        return self._range_root(0, last) if last else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> list[bytes]:
        """See `consentry.ledger.tree.inclusion_proof`."""
        return [self._range_root(*leaves) for leaves in inclusion_ranges(index, self.size)]

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """See `consentry.ledger.tree.consistency_proof`."""
        return [self._range_root(*leaves) for leaves in consistency_ranges(old_size, self.size)]

    def _range_root(self, start: int, end: int) -> bytes:
        """The root over leaves `start` to before `end`; `start` is where such a subtree may begin."""
        parts = []
        while start < end:
            height = (end - start).bit_length() - 1
            parts.append(self._perfect(height, start >> height))
            start += 1 << height
        joined = parts.pop()
        while parts:
            joined = node_hash(parts.pop(), joined)
        return joined

    def _perfect(self, height: int, index: int) -> bytes:
        """The root of the `index`-th perfect subtree of a height."""
        level, inner = divmod(height, _HEIGHT)
        tile, offset = divmod(index << inner, TILE_HASHES)
        count = 1 << inner
        hashes = self._tile(level, tile)[offset * HASH_BYTES : (offset + count) * HASH_BYTES]
        if len(hashes) != count * HASH_BYTES:
            raise LedgerBroken(f"tile {tile} of level {level} is too short", _GET_ANOTHER)
        return perfect_root(split_hashes(hashes))

    def _tile(self, level: int, index: int) -> bytes:
        where = level, index
        if where not in self._read:
            hashes = self._fetch(level, index)
            if hashes is None:
                raise LedgerBroken(f"tile {index} of level {level} is missing", _GET_ANOTHER)
            self._read[where] = hashes
        return self._read[where]


_GET_ANOTHER = "Compare with another copy of this log; see docs/ledger.md"
