"""The 1:N index gives brute force's answer, whichever way it takes, and refuses bad input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentry.bench.search import Source, planted, sources
from consentry.errors import EngineError, UsageError
from consentry.gallery.index import MAX_CANDIDATE_SHARE, SKETCH_FROM_ROWS, Candidates, Index
from consentry.gallery.sketch import Rows, Sketch
from consentry.types import Floats

ISOTROPIC, ANISOTROPIC = sources(None)
KEY = b"a key for tests"


def unit(rng: np.random.Generator, rows: int, width: int) -> Floats:
    vectors = rng.standard_normal((rows, width))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def brute_force(templates: Floats, probe: Floats, floor_cosine: float) -> tuple[Rows, Floats]:
    wide = templates.astype(np.float64) * probe.astype(np.float64)
    scores = wide.sum(axis=1).astype(np.float32)
    order = np.lexsort((np.arange(len(scores)), -scores))
    order = order[scores[order].astype(np.float64) >= floor_cosine]
    return order, scores[order]


def assert_equal(found: Candidates, expected: tuple[Rows, Floats], limit: int | None = None) -> None:
    np.testing.assert_array_equal(found.rows, expected[0][:limit])
    np.testing.assert_array_equal(found.scores, expected[1][:limit])
    assert found.rows.dtype == np.int64
    assert found.scores.dtype == np.float32


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 80),
    width=st.sampled_from([1, 2, 7, 16]),
    floor=st.floats(-1.2, 1.2),
    limit=st.integers(1, 100),
)
@settings(deadline=None, max_examples=150)
def test_a_small_gallery_gives_brute_forces_answer(
    seed: int, rows: int, width: int, floor: float, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    templates = unit(rng, rows, width)
    templates[rows // 2 :] = templates[: rows - rows // 2]
    probe = unit(rng, 1, width)[0]
    found = Index(templates).search(probe, floor, limit)
    assert_equal(found, brute_force(templates, probe, floor), limit)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 400),
    floor=st.floats(-1.0, 1.0),
    anisotropic=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_the_sketch_gives_brute_forces_answer(seed: int, rows: int, floor: float, anisotropic: bool) -> None:
    rng, width = np.random.default_rng(seed), 512
    spread = np.exp(-np.arange(width) / 50) if anisotropic else np.ones(width)
    probe = unit(rng, 1, width)[0]
    noise = rng.standard_normal((rows, width)) * spread
    noise -= (noise @ probe)[:, None] * probe
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    cosines = np.clip(rng.normal(floor, 0.1, (rows, 1)), -1, 1)
    templates = (cosines * probe + np.sqrt(1 - cosines**2) * noise).astype(np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    index = Index(templates, key=KEY, sketch_from_rows=0)
    assert index.sketched
    assert_equal(index.search(probe, floor, rows), brute_force(templates, probe, floor))


@pytest.mark.parametrize("source", [ISOTROPIC, ANISOTROPIC], ids=lambda source: source.name)
def test_a_large_gallery_misses_no_mate_at_the_floor(source: Source) -> None:
    rng = np.random.default_rng(1)
    templates = source.gallery(rng, 20_000)
    index = Index(templates, key=KEY)
    assert index.sketched
    sketch = Sketch(templates[:2000], KEY)
    for floor in (0.45, 0.50, 0.55):
        cosines = (floor + 1e-5 + 0.01 * rng.random(100)).astype(np.float32)
        probes = source.probes(rng, templates, cosines)
        for probe, truth in zip(probes, probes @ templates.T, strict=True):
            near = np.flatnonzero(truth >= floor - 1e-3)
            rows, scores = brute_force(templates[near], probe, floor)
            assert len(rows) >= 1
            assert_equal(index.search(probe, floor, 1000), (near[rows], scores))
        assert len(sketch.candidates(probes[0], floor)) < 0.05 * 2000


def test_too_many_candidates_are_left_to_the_full_scan() -> None:
    rng = np.random.default_rng(2)
    middle = ISOTROPIC.draw(rng, 1)
    templates = planted(ISOTROPIC, rng, middle.repeat(10_000, 0), np.full(10_000, 0.5, np.float32))
    assert len(Sketch(templates[:1000], KEY).candidates(middle[0], 0.5)) > MAX_CANDIDATE_SHARE * 1000
    found = Index(templates, key=KEY).search(middle[0], 0.5, 10_000)
    assert len(found) > 2500
    assert_equal(found, brute_force(templates, middle[0], 0.5))


@pytest.mark.parametrize("floor", [-1.1, 0.0, 0.2])
def test_a_low_floor_is_answered_in_full(floor: float) -> None:
    rng = np.random.default_rng(3)
    templates = ANISOTROPIC.draw(rng, SKETCH_FROM_ROWS)
    probe = ANISOTROPIC.draw(rng, 1)[0]
    found = Index(templates, key=KEY).search(probe, floor, 20_000)
    assert_equal(found, brute_force(templates, probe, floor))


def test_sketches_begin_at_the_stated_size_and_width() -> None:
    rng = np.random.default_rng(4)
    assert not Index(unit(rng, 100, 512)).sketched
    assert Index(unit(rng, 100, 512), sketch_from_rows=100).sketched
    assert not Index(unit(rng, 100, 128), sketch_from_rows=100).sketched
    assert not Index(unit(rng, 100, 514), sketch_from_rows=100).sketched
    with pytest.raises(UsageError, match="width 128"):
        Sketch(unit(rng, 100, 128), KEY)


def test_equal_rows_come_in_order_and_the_limit_keeps_the_first() -> None:
    rng = np.random.default_rng(5)
    one, other = unit(rng, 2, 512)
    templates = np.stack([other, one, other, one, one])
    for sketch_from_rows in (0, 100):
        index = Index(templates, key=KEY, sketch_from_rows=sketch_from_rows)
        assert index.search(one, 0.9, 10).rows.tolist() == [1, 3, 4]
        assert index.search(one, 0.9, 2).rows.tolist() == [1, 3]
        assert len(set(index.search(one, 0.9, 10).scores.tolist())) == 1


def test_an_empty_gallery_finds_nothing() -> None:
    index = Index(np.zeros((0, 512), np.float32), sketch_from_rows=0)
    assert len(index) == 0
    found = index.search(unit(np.random.default_rng(6), 1, 512)[0], -1.0, 5)
    assert len(found) == 0
    assert found.rows.dtype == np.int64


def test_one_row_is_found_or_not() -> None:
    templates = unit(np.random.default_rng(7), 1, 512)
    for sketch_from_rows in (0, 100):
        index = Index(templates, sketch_from_rows=sketch_from_rows)
        assert index.search(templates[0], 0.99, 5).rows.tolist() == [0]
        assert index.search(-templates[0], 0.3, 5).rows.tolist() == []
        assert len(index.search(templates[0], 1.1, 5)) == 0


def test_scores_of_chosen_rows_equal_those_of_the_search() -> None:
    rng = np.random.default_rng(8)
    templates = unit(rng, 5000, 512)
    index = Index(templates)
    found = index.search(templates[7], -1.0, 5000)
    assert len(found) == 5000
    np.testing.assert_array_equal(index.scores(templates[7], found.rows), found.scores)
    assert len(index.scores(templates[7], np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize(
    "probe",
    [
        np.ones(511, np.float32) / np.sqrt(511, dtype=np.float32),
        np.ones((1, 512), np.float32) / np.sqrt(512, dtype=np.float32),
        np.ones(512) / np.sqrt(512),
        np.ones(512, np.float32),
        np.zeros(512, np.float32),
        np.full(512, np.nan, np.float32),
        np.full(512, np.inf, np.float32),
    ],
    ids=["width", "shape", "float64", "long", "zero", "nan", "infinite"],
)
def test_a_bad_probe_is_refused(probe: Floats) -> None:
    index = Index(unit(np.random.default_rng(9), 3, 512))
    with pytest.raises(EngineError, match="a probe must"):
        index.search(probe, 0.5, 1)
    with pytest.raises(EngineError, match="a probe must"):
        index.scores(probe, np.array([0]))


def test_a_bad_floor_limit_or_row_is_refused() -> None:
    templates = unit(np.random.default_rng(10), 3, 512)
    index = Index(templates)
    with pytest.raises(UsageError, match="not a number"):
        index.search(templates[0], float("nan"), 1)
    with pytest.raises(UsageError, match="at least 1"):
        index.search(templates[0], 0.5, 0)
    for row in (-1, 3):
        with pytest.raises(UsageError, match="outside the gallery of 3"):
            index.scores(templates[0], np.array([row]))


def test_bad_templates_are_refused_with_their_row() -> None:
    good = unit(np.random.default_rng(11), 4, 512)
    for spoil in (np.nan, np.inf, 2.0):
        bad = good.copy()
        bad[2, 5] = spoil
        with pytest.raises(EngineError, match="template 2 must have norm 1"):
            Index(bad)
    for wrong in (good[0], good.astype(np.float64), good[:, :0]):
        with pytest.raises(EngineError, match="templates must be float32"):
            Index(wrong)  # type: ignore[arg-type]


def test_a_view_that_is_not_contiguous_is_searched_correctly() -> None:
    wide = unit(np.random.default_rng(12), 50, 512)
    templates, probe = np.asfortranarray(wide), np.repeat(wide[3], 2)[::2]
    for sketch_from_rows in (0, 100):
        index = Index(templates, key=KEY, sketch_from_rows=sketch_from_rows)
        assert_equal(index.search(probe, 0.3, 50), brute_force(wide, wide[3], 0.3))


def test_two_threads_get_the_answers_of_one() -> None:
    rng = np.random.default_rng(13)
    templates = ANISOTROPIC.draw(rng, SKETCH_FROM_ROWS)
    index = Index(templates, key=KEY)
    probes = ANISOTROPIC.probes(rng, templates, np.full(100, 0.6, np.float32))
    floors = [0.2 if number % 5 == 0 else 0.5 for number in range(100)]
    alone = [index.search(probe, floor, 50) for probe, floor in zip(probes, floors, strict=True)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda probe, floor: index.search(probe, floor, 50), probes, floors))
    for one, other in zip(alone, together, strict=True):
        assert_equal(other, (one.rows, one.scores))
