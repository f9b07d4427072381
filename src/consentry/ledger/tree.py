"""The Merkle tree of RFC 6962 section 2.1 (the same hashing as RFC 9162), with its proofs.

A tree is given by its leaf hashes, 32 bytes each, in order. Nothing here reads or writes anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """What is needed to extend a tree: the roots of its perfect subtrees.

    Attributes:
        size: Number of leaves.
        peaks: One 32-byte root for each bit set in `size`, largest subtree first.

    Raises:
        ValueError: the number or the length of the peaks does not fit `size`.
    """

    size: int
    peaks: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has not {len(self.peaks)} perfect subtrees")
        if any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise ValueError("a subtree root must have 32 bytes")

    def extended(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash at the end."""
        peaks = list(self.peaks)
        joined = leaf
        remaining = self.size
        while remaining & 1:  # each set low bit is a perfect subtree of the size `joined` has now
            joined = node_hash(peaks.pop(), joined)
            remaining >>= 1
        return Frontier(self.size + 1, (*peaks, joined))

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.peaks:
            return EMPTY_ROOT
        joined = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            joined = node_hash(peak, joined)
        return joined

    def to_bytes(self) -> bytes:
        """The peaks one after the other; `size` is kept elsewhere."""
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, packed: bytes) -> Frontier:
        """The reverse of `to_bytes`.

        Raises:
            ValueError: the bytes do not fit `size`.
        """
        peaks = tuple(packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES))
        return cls(size, peaks)


def frontier_of(leaf_hashes: Iterable[bytes]) -> Frontier:
    """The frontier of the tree over these leaf hashes."""
    frontier = Frontier(0, ())
    for leaf in leaf_hashes:
        frontier = frontier.extended(leaf)
    return frontier


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes whose number is a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """The audit path of leaf `index`, from the leaf's sibling up (RFC 6962 section 2.1.1).

    Raises:
        ValueError: there is no such leaf.
    """
    return _roots(inclusion_ranges(index, len(leaf_hashes)), leaf_hashes)


def consistency_proof(old_size: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Proof that the tree over the first `old_size` leaves is a prefix of this one (RFC 6962 section 2.1.2).

    Empty when `old_size` is 0 or the whole size.

    Raises:
        ValueError: `old_size` is negative or larger than the tree.
    """
    return _roots(consistency_ranges(old_size, len(leaf_hashes)), leaf_hashes)


def _roots(ranges: Iterable[tuple[int, int]], leaf_hashes: Sequence[bytes]) -> list[bytes]:
    return [frontier_of(leaf_hashes[start:end]).root() for start, end in ranges]


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaves, from first to before last, under each hash of the audit path of leaf `index`.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[tuple[int, int]]:
    """The leaves under each hash of the proof that the tree of `old_size` is a prefix of that of `size`.

    Raises:
        ValueError: `old_size` is negative or larger than `size`.
    """
    if not 0 <= old_size <= size:
        raise ValueError(f"a tree of {size} leaves has no prefix of {old_size}")
    if old_size in {0, size}:
        return []
    ranges = []
    start, end = 0, size
    while end > old_size:
        split = start + _split(end - start)
        if old_size <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    if start > 0:  # else the verifier has this one: the old tree is perfect
        ranges.append((start, end))
    return ranges[::-1]


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows leaf hash `leaf` at `index` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    joined = leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            joined = node_hash(sibling, joined)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            joined = node_hash(joined, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and joined == root


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows the old tree to be a prefix of the new one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return old_root == EMPTY_ROOT and not proof
    if old_size == new_size:
        return old_root == new_root and not proof
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # the old tree is one of the new tree's perfect subtrees
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    joined_old = joined_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            joined_old = node_hash(sibling, joined_old)
            joined_new = node_hash(sibling, joined_new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            joined_new = node_hash(joined_new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and joined_old == old_root and joined_new == new_root
