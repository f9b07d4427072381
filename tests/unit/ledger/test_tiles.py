"""Tiles against the examples of the specification, and every proof made from them."""

from __future__ import annotations

import random

import pytest

from consentry.errors import LedgerBroken
from consentry.ledger.tiles import (
    TILE_HASHES,
    Tile,
    TileBuilder,
    TiledTree,
    split_hashes,
    tile_path,
    tile_shapes,
)
from consentry.ledger.tree import (
    EMPTY_ROOT,
    consistency_proof,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(number.to_bytes(4)) for number in range(70_000)]


def _tiles(size: int) -> dict[tuple[int, int], bytes]:
    builder = TileBuilder()
    tiles = [tile for leaf in LEAVES[:size] for tile in builder.add(leaf)] + builder.rest()
    assert builder.size == size
    assert builder.frontier() == frontier_of(LEAVES[:size])
    return {(tile.level, tile.index): tile.hashes for tile in tiles}


def _tree(size: int) -> TiledTree:
    tiles = _tiles(size)
    return TiledTree(size, lambda level, index: tiles.get((level, index)))


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (1, 1, "tile/0/001.p/1"),
        (999, 256, "tile/0/999"),
        (1000, 256, "tile/0/x001/000"),
        (1_234_067, 256, "tile/0/x001/x234/067"),
        (1_234_067, 255, "tile/0/x001/x234/067.p/255"),
    ],
)
def test_where_a_tile_is(index: int, width: int, path: str) -> None:
    assert tile_path("0", index, width) == path
    assert Tile(0, index, bytes(32 * width)).path == path


def test_the_tiles_of_the_specifications_example() -> None:
    shapes = list(tile_shapes(70_000))
    assert shapes[:273] == [(0, index, 256) for index in range(273)]
    assert shapes[273:] == [(0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]
    assert list(tile_shapes(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tile_shapes(0)) == []


def test_tiles_are_cut_as_specified() -> None:
    tiles = _tiles(70_000)
    shapes = {(level, index): width for level, index, width in tile_shapes(70_000)}
    assert {where: len(hashes) // 32 for where, hashes in tiles.items()} == shapes
    assert split_hashes(tiles[0, 273]) == LEAVES[273 * 256 :]
    assert split_hashes(tiles[1, 1])[16] == frontier_of(LEAVES[272 * 256 : 273 * 256]).root()
    assert tiles[2, 0] == frontier_of(LEAVES[:65536]).root()


def test_every_inclusion_proof_up_to_64() -> None:
    for size in range(1, 65):
        tree = _tree(size)
        assert tree.root() == frontier_of(LEAVES[:size]).root()
        for index in range(size):
            proof = tree.inclusion_proof(index)
            assert proof == inclusion_proof(index, LEAVES[:size])
            assert verify_inclusion(LEAVES[index], index, size, proof, tree.root())


def test_every_consistency_proof_up_to_64() -> None:
    for new in range(65):
        tree = _tree(new)
        for old in range(new + 1):
            proof = tree.consistency_proof(old)
            assert proof == consistency_proof(old, LEAVES[:new])
            assert verify_consistency(old, tree.root(old), new, tree.root(), proof)
            assert tree.root(old) == frontier_of(LEAVES[:old]).root()


@pytest.mark.parametrize("size", [255, 256, 257, 511, 512, 700, 65_537])
def test_proofs_across_tiles_and_levels(size: int) -> None:
    tree, chance = _tree(size), random.Random(size)
    root = tree.root()
    assert root == frontier_of(LEAVES[:size]).root()
    for index in [0, size - 1, *(chance.randrange(size) for _ in range(9))]:
        assert verify_inclusion(LEAVES[index], index, size, tree.inclusion_proof(index), root)
    for old in [1, TILE_HASHES - 1, chance.randrange(1, size), size - 1]:
        old_root = frontier_of(LEAVES[:old]).root()
        assert verify_consistency(old, old_root, size, root, tree.consistency_proof(old))


def test_a_proof_reads_few_tiles() -> None:
    tiles = _tiles(70_000)
    read: list[tuple[int, int]] = []

    def fetch(level: int, index: int) -> bytes | None:
        read.append((level, index))
        return tiles.get((level, index))

    TiledTree(70_000, fetch).inclusion_proof(12_345)
    assert len(read) == len(set(read)) <= 5


def test_tiles_that_are_not_there() -> None:
    assert TiledTree(0, lambda _level, _index: None).root() == EMPTY_ROOT
    with pytest.raises(LedgerBroken, match="tile 0 of level 0 is missing"):
        TiledTree(3, lambda _level, _index: None).root()
    with pytest.raises(LedgerBroken, match="tile 0 of level 0 is too short"):
        TiledTree(3, lambda _level, _index: LEAVES[0] + LEAVES[1]).inclusion_proof(0)
