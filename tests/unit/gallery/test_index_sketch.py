"""The sketch's law: how often a row at the floor may be no candidate, computed and counted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtr

from consentry.bench.search import Source, planted, sources
from consentry.errors import UsageError
from consentry.gallery.sketch import (
    HIGHEST_FLOOR_COSINE,
    MISS_PROBABILITY,
    SKETCH_WIDTHS,
    Sketch,
    fidelity_moments,
    radius,
)
from consentry.types import Floats

ISOTROPIC, ANISOTROPIC = sources(None)


def fidelities(width: int, count: int) -> Floats:
    """f of uniform unit vectors, drawn and not modelled, float32 (count,)."""
    rng = np.random.default_rng(width)
    drawn = []
    for _ in range(count // 10_000):
        vectors = rng.standard_normal((10_000, width), dtype=np.float32)
        drawn.append(np.abs(vectors).sum(1) / np.linalg.norm(vectors, axis=1) / np.sqrt(width))
    return np.concatenate(drawn)


@pytest.mark.parametrize("width", [512, 1024])
def test_the_miss_probability_holds_for_the_exact_law(width: int) -> None:
    fidelity = fidelities(width, 50_000).astype(np.float64)
    mean, square = fidelity_moments(width)
    assert fidelity.mean() == pytest.approx(mean, abs=5e-4)
    assert fidelity.std() == pytest.approx(np.sqrt(square - mean**2), rel=0.02)
    for cosine in np.linspace(0.25, HIGHEST_FLOOR_COSINE, 12).tolist():
        # A coordinate u of a uniform point in n dimensions: u sqrt((n-1)/(1-u^2)) is Student t, n-1 degrees.
        cut = (radius(width, cosine) - cosine * fidelity) / np.sqrt((1 - cosine**2) * (1 - fidelity**2))
        cut = np.clip(cut, -0.999999, 0.999999)
        missed = stdtr(width - 2, cut * np.sqrt((width - 2) / (1 - cut**2))).mean()
        assert missed < MISS_PROBABILITY
        assert missed > MISS_PROBABILITY / 5


def test_the_radius_rises_with_the_floor_and_with_the_misses_allowed() -> None:
    radii = [radius(512, floor) for floor in np.linspace(0.0, 1.0, 41).tolist()]
    assert np.all(np.diff(radii) > 0)
    assert radius(512, 0.0) > -0.5
    assert radius(512, 0.5, 1e-3) > radius(512, 0.5, 1e-6) > radius(512, 0.5)


def test_the_widest_sketch_stays_within_16_bits() -> None:
    assert max(SKETCH_WIDTHS) // 4 * 255 < 2**16


@pytest.mark.parametrize("source", [ISOTROPIC, ANISOTROPIC], ids=lambda source: source.name)
@pytest.mark.parametrize("floor", [0.40, 0.55])
def test_pairs_at_the_floor_are_missed_as_seldom_as_computed(source: Source, floor: float) -> None:
    rng = np.random.default_rng(int(floor * 100))
    pairs = missed = counted = 0
    for _ in range(5):
        probe = source.draw(rng, 1)
        rows = planted(source, rng, probe.repeat(10_000, 0), np.full(10_000, floor + 1e-5, np.float32))
        assert abs(float((rows @ probe[0]).min()) - floor) < 1e-4
        sketch = Sketch(rows, rng.bytes(32))
        assert len(sketch) == 10_000
        pairs += 10_000
        missed += 10_000 - len(sketch.candidates(probe[0], floor))
        counted += 10_000 - len(sketch.candidates(probe[0], floor, miss_probability=1e-3))
    assert missed == 0
    assert 0.3e-3 < counted / pairs < 1.2e-3


def test_the_scan_is_the_inner_product_with_the_signs() -> None:
    rng = np.random.default_rng(3)
    rows, probe = ANISOTROPIC.draw(rng, 2000), ANISOTROPIC.draw(rng, 1)[0]
    sketch = Sketch(rows, b"key")
    turned = probe @ sketch._rotation.T
    _, scanned, found = sketch._scan.range_search(turned[None], -0.5)
    assert len(found) == 2000
    signs = np.where(rows[found] @ sketch._rotation.T >= 0, 1.0, -1.0)
    step = 2 * np.abs(turned.reshape(-1, 4)).sum(1).max() / np.sqrt(512) / 255
    assert step < 2 * 12 / 512 / 255
    error = scanned - signs @ turned / np.sqrt(512)
    assert np.abs(error).max() < step * np.sqrt(128) * 3
    assert error.std() < step * np.sqrt(128) / 2


def test_a_floor_the_scan_cannot_express_is_refused() -> None:
    rows = ISOTROPIC.draw(np.random.default_rng(5), 50)
    sketch = Sketch(rows, b"key")
    assert len(sketch.candidates(rows[0], 0.0)) == 50
    for floor in (-0.1, 1.1):
        with pytest.raises(UsageError, match="cannot be searched"):
            sketch.candidates(rows[0], floor)


def test_the_key_alone_sets_the_rotation() -> None:
    rows = ISOTROPIC.draw(np.random.default_rng(4), 10)
    one, same, other = Sketch(rows, b"one"), Sketch(rows, b"one"), Sketch(rows, b"other")
    np.testing.assert_array_equal(one._rotation, same._rotation)
    assert np.abs(one._rotation - other._rotation).max() > 0.05
    np.testing.assert_allclose(one._rotation @ one._rotation.T, np.eye(512), atol=1e-5)
