"""The keyed rotation keeps every cosine, and says nothing about itself."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from consentry.errors import EngineError
from consentry.gallery.rotation import DIMENSIONS, Doubles, Rotation
from consentry.types import Floats

ROOT = Path(__file__).parents[3]
FIRST = Rotation(1, bytes(range(32)))
SECOND = Rotation(2, bytes(32))
FIRST_ROW = [-0.009549717236, -0.025801737416, 0.036560319441, 0.010026386382]
LAST_ROW = [0.088337408423, -0.063806960931, -0.005830190798, 0.001681703104]


def _units(seed: int, count: int, common: float) -> Floats:
    """Unit vectors, the more alike the larger `common`."""
    rng = np.random.default_rng(seed)
    found = rng.standard_normal((count, DIMENSIONS)) + common * rng.standard_normal(DIMENSIONS)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


def test_the_matrix_of_a_seed_is_orthogonal_and_the_same_everywhere() -> None:
    matrix = FIRST.matrix
    assert np.abs(matrix @ matrix.T - np.eye(DIMENSIONS)).max() < 1e-13
    assert matrix[0, :4] == pytest.approx(FIRST_ROW, abs=1e-10)
    assert matrix[511, 508:] == pytest.approx(LAST_ROW, abs=1e-10)
    assert not matrix.flags.writeable


def test_a_turned_vector_points_anywhere() -> None:
    """Uniform over the sphere: each coordinate of a fixed vector is a coordinate of a uniform direction."""
    turned = FIRST.turn(_units(1, 1, 0.0))[0] * np.sqrt(DIMENSIONS)
    assert kstest(turned, "norm").pvalue > 0.001
    assert kstest(FIRST.matrix[:, 3] * np.sqrt(DIMENSIONS), "norm").pvalue > 0.001
    # one vector under two keys is two vectors
    cosine = float(FIRST.turn(_units(1, 1, 0.0))[0] @ SECOND.turn(_units(1, 1, 0.0))[0])
    assert abs(cosine) < 0.25


@given(seed=st.integers(0, 10_000), common=st.floats(0.0, 3.0))
@settings(max_examples=25, deadline=None)
def test_every_score_of_a_gallery_stays_within_a_millionth(seed: int, common: float) -> None:
    """As the pipeline does it: float32 in, float32 out."""
    references, probes = _units(seed, 40, common), _units(seed + 1, 40, common)
    before = references @ probes.T
    kept = FIRST.turn(references)
    for rotation in (FIRST, SECOND):
        turned = rotation.turn(probes).astype(np.float32)
        assert np.abs(kept.astype(np.float32) @ turned.T - before).max() < 1e-6
        kept = kept @ FIRST.change_to(SECOND).T


def test_turning_back_gives_the_recognisers_own_bytes_even_after_many_changes() -> None:
    raw = _units(7, 20, 0.5)
    kept = FIRST.turn(raw)
    for _ in range(100):
        kept = kept @ FIRST.change_to(SECOND).T @ SECOND.change_to(FIRST).T
    assert FIRST.turn_back(kept).astype(np.float32).tobytes() == raw.tobytes()


def test_it_goes_to_a_worker_as_its_seed_and_prints_nothing() -> None:
    sent = pickle.dumps([FIRST, FIRST])
    assert len(sent) < 300
    first, again = pickle.loads(sent)
    assert first is again
    assert (first, hash(first)) == (FIRST, hash(FIRST))
    assert first != SECOND
    assert first != Rotation(2, bytes(range(32)))
    assert np.array_equal(first.matrix, FIRST.matrix)
    assert repr(FIRST) == str(FIRST) == "Rotation(version=1, ***)"


def test_a_seed_of_another_length() -> None:
    with pytest.raises(EngineError, match="must have 32 bytes, not 16"):
        Rotation(1, bytes(16))


def test_no_page_claims_that_it_cannot_be_undone() -> None:
    """Whoever has the seed turns a template back: wherever the word stands, it is denied."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for line in page.read_text(encoding="utf-8").splitlines():
            if re.search(r"irreversib|one-way", line, re.IGNORECASE):
                assert re.search(r"\bnot\b|\bno\b|non-goals", line, re.IGNORECASE), (page, line)


def linkage(mated: Doubles, non_mated: Doubles, bins: int = 100) -> float:
    """The global measure of linkability of two sets of scores, in [0, 1]; 0 is unlinkable.

    D(s) = 2 r / (1 + r) - 1 where r, the likelihood ratio of mated to non-mated at score s, is above 1,
    else 0; the measure is its mean over mated scores (Gomez-Barrero et al. 2018, with equal priors).
    """
    edges = np.linspace(min(mated.min(), non_mated.min()), max(mated.max(), non_mated.max()), bins + 1)
    same = np.histogram(mated, edges)[0] / len(mated)
    other = np.histogram(non_mated, edges)[0] / len(non_mated)
    ratio = np.divide(same, other, out=np.full(bins, np.inf), where=other > 0)
    local = np.where(ratio > 1, 1 - 2 / (1 + ratio), 0.0)
    return float((same * local).sum())


@pytest.mark.parametrize(
    ("first", "second", "least", "most"),
    [(FIRST, FIRST, 0.9, 1.0), (FIRST, SECOND, 0.0, 0.1)],
    ids=["same key", "different keys"],
)
def test_unlinkability_over_600_people(first: Rotation, second: Rotation, least: float, most: float) -> None:
    """Two stolen galleries: do the same person's templates find each other? (ISO/IEC 24745, unlinkability)

    600 people with ten samples each in both, whose mates score about 0.6 and strangers about 0.
    """
    rng = np.random.default_rng(600)
    people = _units(600, 600, 0.3).astype(np.float64)

    def samples(rotation: Rotation) -> Doubles:
        noise = rng.standard_normal((10, *people.shape)) * np.sqrt(0.65 / DIMENSIONS)
        found = people + noise
        return rotation.turn(found / np.linalg.norm(found, axis=2, keepdims=True))

    one, other = samples(first), samples(second)
    mated = (one * other).sum(axis=2).ravel()
    non_mated = np.concatenate(
        [(one * np.roll(other, shift, axis=1)).sum(axis=2).ravel() for shift in range(1, 6)]
    )
    found = linkage(mated, non_mated)
    assert least <= found <= most, found
