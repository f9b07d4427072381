"""The tree against the published roots, and every proof for up to 64 leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)

# The reference leaves of Certificate Transparency and the root over the first n of them.
REFERENCE_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = {
    1: ("6e340b9c", "01d"),
    2: ("fac54203", "125"),
    3: ("aeb6bcfe", "e77"),
    4: ("d37ee418", "4b7"),
    5: ("4e3bbb1f", "4d4"),
    6: ("76e67dad", "7ef"),
    7: ("ddb89be4", "c8c"),
    8: ("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328", ""),
}
LEAVES = [leaf_hash(bytes([number])) for number in range(64)]


def _root(count: int) -> bytes:
    return frontier_of(LEAVES[:count]).root()


@pytest.mark.parametrize(("count", "root"), REFERENCE_ROOTS.items())
def test_published_roots(count: int, root: tuple[str, str]) -> None:
    found = frontier_of(leaf_hash(leaf) for leaf in REFERENCE_LEAVES[:count]).root().hex()
    assert found.startswith(root[0])
    assert found.endswith(root[1])


def test_the_empty_tree() -> None:
    assert frontier_of([]).root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


def _root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1 word for word, as an oracle for the incremental form."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = _root_by_definition(leaves[:split]), _root_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_the_frontier_agrees_with_the_definition() -> None:
    for count in range(1, 65):
        assert _root(count) == _root_by_definition(LEAVES[:count])


def test_every_inclusion_proof_up_to_64() -> None:
    for size in range(1, 65):
        root = _root(size)
        for index in range(size):
            proof = inclusion_proof(index, LEAVES[:size])
            assert verify_inclusion(LEAVES[index], index, size, proof, root)
            assert not verify_inclusion(LEAVES[index], (index + 1) % 64, size, proof, root) or size == 1
            if proof:
                assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], root)
            assert not verify_inclusion(LEAVES[index], index, size, [*proof, root], root)


def test_every_consistency_proof_up_to_64() -> None:
    for new in range(65):
        for old in range(new + 1):
            proof = consistency_proof(old, LEAVES[:new])
            assert verify_consistency(old, _root(old), new, _root(new), proof)
            if 0 < old < new:
                other = leaf_hash(b"another history")
                assert not verify_consistency(old, other, new, _root(new), proof)
                assert not verify_consistency(old, _root(old), new, other, proof)
                assert not verify_consistency(old, _root(old), new, _root(new), proof[:-1])
                assert not verify_consistency(old, _root(old), new, _root(new), [*proof, other])


@given(data=st.data())
def test_a_changed_proof_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 64))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size - 1))
    flip = data.draw(st.integers(1, 255))
    inclusion = inclusion_proof(index, LEAVES[:size])
    place = data.draw(st.integers(0, len(inclusion) * 32 - 1))
    assert not verify_inclusion(LEAVES[index], index, size, _flipped(inclusion, place, flip), _root(size))
    consistency = consistency_proof(old, LEAVES[:size])
    place = data.draw(st.integers(0, len(consistency) * 32 - 1))
    assert not verify_consistency(old, _root(old), size, _root(size), _flipped(consistency, place, flip))


def _flipped(proof: list[bytes], place: int, flip: int) -> list[bytes]:
    joined = bytearray(b"".join(proof))
    joined[place] ^= flip
    return [bytes(joined[start : start + 32]) for start in range(0, len(joined), 32)]


def test_questions_without_sense() -> None:
    with pytest.raises(ValueError, match="is not in a tree of 3"):
        inclusion_proof(3, LEAVES[:3])
    with pytest.raises(ValueError, match="has no prefix of 4"):
        consistency_proof(4, LEAVES[:3])
    assert not verify_inclusion(LEAVES[0], 0, 0, [], EMPTY_ROOT)
    assert not verify_inclusion(LEAVES[0], -1, 1, [], LEAVES[0])
    assert not verify_consistency(2, _root(2), 1, _root(1), [])
    assert not verify_consistency(0, _root(1), 1, _root(1), [])
    assert not verify_consistency(3, _root(3), 5, _root(5), [])


@given(size=st.integers(0, 64))
def test_a_frontier_survives_packing(size: int) -> None:
    frontier = frontier_of(LEAVES[:size])
    assert Frontier.from_bytes(size, frontier.to_bytes()) == frontier


@pytest.mark.parametrize(("size", "packed"), [(2, b""), (1, bytes(31)), (3, bytes(32)), (1, bytes(33))])
def test_a_frontier_that_does_not_fit(size: int, packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"subtree"):
        Frontier.from_bytes(size, packed)
