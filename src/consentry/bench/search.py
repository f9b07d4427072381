"""The 1:N search: its speed against FAISS's flat index, and the proof that it misses nothing.

Three things are measured:

    query time    ours and FAISS `IndexFlatIP`, one thread each, query by query in turn
    full proof    whole searches over many galleries, each with a fresh key, compared answer by answer
                  with a full product: rows, scores and order
    pair proof    the sketch alone. A row is a candidate or not whatever else is in the gallery, so
                  pairs of a probe and a row stand for galleries of any size; and with the miss
                  probability set to one that can be counted, the formula is checked against a count

Templates are drawn in three ways: isotropic; anisotropic, with a spectrum that decays such that
strangers' cosines have mean 0.03 and standard deviation 0.10 as real recognisers' do; and, when
templates of real faces are given, around the covariance of those. Mates are planted by mixing a row
with noise drawn in the same way, at a known cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
import numpy.typing as npt

from consentry.bench.figures import Figure, resident_mib
from consentry.clock import Clock, SystemClock
from consentry.errors import UsageError
from consentry.gallery.index import NORM_TOLERANCE, Index
from consentry.gallery.sketch import Rows, Sketch
from consentry.types import Floats

WIDTH = 512
FLOORS_COSINE = (0.40, 0.45, 0.50, 0.55)
TIMED_FLOORS_COSINE = (*FLOORS_COSINE, 0.65)
"""The last is about where the default calibration puts the floor of a million references."""

PEER = "FAISS IndexFlatIP, best 10"
PROOF_ROWS = 50_000
PROOF_SEARCHES_PER_GALLERY = 20_000
PAIRS_PER_SEARCH = 200
PAIR_ROWS = 20_000
PAIR_PROBES = 100
COUNTED_MISS = 1e-3
REAL_SHARE = 0.5
"""Share of a template drawn around real ones that comes from their covariance; the rest is isotropic."""

_BLOCK_ROWS = 50_000
_SPECTRUM_DECAY = 46.0
_MEAN_COSINE = 0.03
_HARD_BAND = 0.1


@dataclass(frozen=True, slots=True)
class Source:
    """A way to draw templates.

    Attributes:
        name: Of the figures measured with it.
        draw: `draw(rng, rows)` gives unit-norm float32 (rows, WIDTH).
        real: Templates of real faces to put into every gallery, (P, WIDTH); P is 0 for synthetic kinds.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Floats]
    real: Floats

    def gallery(self, rng: np.random.Generator, rows: int) -> Floats:
        """`rows` templates, the real ones first."""
        templates = np.empty((rows, WIDTH), np.float32)
        for start in range(0, rows, _BLOCK_ROWS):
            block = templates[start : start + _BLOCK_ROWS]
            block[:] = self.draw(rng, len(block))
        templates[: len(self.real)] = self.real[:rows]
        return templates

    def probes(self, rng: np.random.Generator, templates: Floats, cosines: Floats) -> Floats:
        """One mate for each of `cosines` (K,), of random rows of `templates`; every second real if any is."""
        chosen = rng.integers(0, len(templates), len(cosines))
        if len(self.real):
            chosen[::2] = rng.integers(0, min(len(self.real), len(templates)), len(chosen[::2]))
        return planted(self, rng, templates[chosen], cosines)


def sources(real_templates: Floats | None) -> list[Source]:
    """Isotropic, anisotropic and, with float32 (P, 512) templates of real faces, real.

    Raises:
        UsageError: `real_templates` has another width.
    """
    decay = np.exp(-np.arange(WIDTH) / (2 * _SPECTRUM_DECAY))
    spread = (decay * np.sqrt((1 - _MEAN_COSINE) / np.square(decay).sum())).astype(np.float32)
    mean = np.zeros(WIDTH, np.float32)
    mean[-1] = np.sqrt(_MEAN_COSINE)

    def isotropic(rng: np.random.Generator, rows: int) -> Floats:
        return _unit(rng.standard_normal((rows, WIDTH), dtype=np.float32))

    def anisotropic(rng: np.random.Generator, rows: int) -> Floats:
        return _unit(rng.standard_normal((rows, WIDTH), dtype=np.float32) * spread + mean)

    none = np.empty((0, WIDTH), np.float32)
    found = [Source("isotropic", isotropic, none), Source("anisotropic", anisotropic, none)]
    if real_templates is not None:
        if real_templates.ndim != 2 or real_templates.shape[1] != WIDTH or not len(real_templates):
            raise UsageError(f"real templates must be (P, {WIDTH}), but are {real_templates.shape}")
        axes = real_templates * np.float32(np.sqrt(REAL_SHARE / len(real_templates)))
        rest = np.float32(np.sqrt((1 - REAL_SHARE) / WIDTH))

        def real(rng: np.random.Generator, rows: int) -> Floats:
            weights = rng.standard_normal((rows, len(axes)), dtype=np.float32)
            return _unit(weights @ axes + rest * rng.standard_normal((rows, WIDTH), dtype=np.float32))

        found.append(Source("real", real, real_templates))
    return found


def planted(source: Source, rng: np.random.Generator, targets: Floats, cosines: Floats) -> Floats:
    """One mate of each target: `cosines` (K,) with it, else pointing where `source` points; (K, WIDTH)."""
    noise = source.draw(rng, len(targets))
    noise = _unit(noise - (noise * targets).sum(1, keepdims=True) * targets)
    return _unit(cosines[:, None] * targets + np.sqrt(1 - cosines[:, None] ** 2) * noise)


def run(
    *,
    rows: int = 1_000_000,
    queries: int = 100,
    proof_searches: int = 1_000_000,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    real_templates: Floats | None = None,
    clock: Clock | None = None,
) -> list[Figure]:
    """Measure and prove the search; about half an hour on two cores with the numbers above.

    Needs rows x 4.2 KB of memory. FAISS is set to one thread meanwhile.

    Args:
        rows: Gallery size of the timed searches, at least 1000.
        queries: Timed searches for each way of drawing templates and each floor, at least 1.
        proof_searches: Searches of the full proof; the pair proof compares 200 times as many pairs.
        seed: Of everything drawn.
        progress: Called with the share done, in [0, 1].
        real_templates: Unit-norm float32 (P, 512) of real faces; None leaves that kind out, and the
            figure `search.real_templates` then says 0.
        clock: What measures.

    Raises:
        UsageError: a number is too small, or real templates have another width.
    """
    if rows < 1000 or queries < 1 or proof_searches < 1:
        raise UsageError("the search benchmark needs at least 1000 rows, 1 query and 1 proof search")
    kinds = sources(real_templates)
    tell = progress or (lambda share: None)
    figures = [
        Figure("search.rows", rows, "templates"),
        Figure("search.real_templates", 0 if real_templates is None else len(real_templates), "templates"),
    ]
    with _one_faiss_thread():
        for number, source in enumerate(kinds):
            rng = np.random.default_rng([seed, 1, number])
            figures += _timed(source, rng, rows, queries, clock or SystemClock())
            tell(0.2 * (number + 1) / len(kinds))
        figures += _full_proof(kinds, seed, proof_searches, lambda share: tell(0.2 + 0.6 * share))
        pairs = PAIRS_PER_SEARCH * proof_searches
        figures += _pair_proof(kinds, seed, pairs, lambda share: tell(0.8 + 0.2 * share))
    return figures


def _timed(source: Source, rng: np.random.Generator, rows: int, queries: int, clock: Clock) -> list[Figure]:
    """Query time, memory and build time at full size; each answer is also compared with the full scan's."""
    templates = source.gallery(rng, rows)
    background = source.draw(rng, 1000) @ source.draw(rng, 1000).T
    before_mib = resident_mib()
    began_s = clock.monotonic_s()
    ours = Index(templates, key=rng.bytes(32), sketch_from_rows=0)
    built_s = clock.monotonic_s() - began_s
    ours_mib = resident_mib() - before_mib + templates.nbytes / 2**20
    before_mib = resident_mib()
    began_s = clock.monotonic_s()
    peer = faiss.IndexFlatIP(WIDTH)
    peer.add(templates)
    peer_built_s = clock.monotonic_s() - began_s
    peer_mib = resident_mib() - before_mib

    cosines = rng.uniform(FLOORS_COSINE[0], 0.9, queries).astype(np.float32)
    probes = source.probes(rng, templates, cosines)
    probes[1::2] = source.draw(rng, len(probes[1::2]))
    everything = Index(templates, sketch_from_rows=rows + 1)
    peer_ms: list[float] = []
    ours_ms: dict[float, list[float]] = {floor: [] for floor in TIMED_FLOORS_COSINE}
    missed = 0
    for floor in TIMED_FLOORS_COSINE:
        ours.search(probes[0], floor, 10)
    for probe in probes:
        peer_ms.append(_elapsed_ms(clock, partial(peer.search, probe[None], 10)))
        truth = everything.search(probe, FLOORS_COSINE[0], rows)
        for floor in rng.permutation(TIMED_FLOORS_COSINE).tolist():
            ours_ms[floor].append(_elapsed_ms(clock, partial(ours.search, probe, floor, 10)))
            expected = truth.rows[truth.scores.astype(np.float64) >= floor]
            missed += len(np.setdiff1d(expected, ours.search(probe, floor, rows).rows))
    figures = [
        Figure(f"search.background_cosine_sd.{source.name}", float(background.std()), "cosine"),
        _versus(f"search.build_s.{source.name}", built_s, "s", peer_built_s),
        _versus(f"search.memory_mib.{source.name}", ours_mib, "MiB", peer_mib),
        Figure(f"search.missed_at_full_size.{source.name}", missed, "answers"),
    ]
    for floor, times in ours_ms.items():
        where = f"{source.name}.floor_{floor:.2f}"
        for label, share in (("median", 50), ("p95", 95)):
            figures.append(
                _versus(
                    f"search.query_{label}_ms.{where}",
                    float(np.percentile(times, share)),
                    "ms",
                    float(np.percentile(peer_ms, share)),
                )
            )
    return figures


def _full_proof(
    kinds: list[Source], seed: int, searches: int, progress: Callable[[float], None]
) -> list[Figure]:
    """Whole searches against a full product, over galleries of `PROOF_ROWS` with a fresh key each."""
    done = galleries = answers = missed = differing = 0
    while done < searches:
        rng = np.random.default_rng([seed, 2, galleries])
        source = kinds[galleries % len(kinds)]
        floor = FLOORS_COSINE[galleries // len(kinds) % len(FLOORS_COSINE)]
        templates = source.gallery(rng, PROOF_ROWS)
        index = Index(templates, key=rng.bytes(32), sketch_from_rows=0)
        of_gallery = min(PROOF_SEARCHES_PER_GALLERY, searches - done)
        for start in range(0, of_gallery, 500):
            count = min(500, of_gallery - start)
            probes = source.probes(rng, templates, _near_floor(rng, floor, count))
            for probe, (rows, scores) in zip(probes, _truth(templates, probes, floor), strict=True):
                found = index.search(probe, floor, PROOF_ROWS)
                answers += len(rows)
                missed += len(np.setdiff1d(rows, found.rows))
                differing += not (np.array_equal(rows, found.rows) and np.array_equal(scores, found.scores))
            done += count
            progress(done / searches)
        galleries += 1
    return [
        Figure("search.proof_full.searches", done, "searches"),
        Figure("search.proof_full.galleries", galleries, f"galleries of {PROOF_ROWS}"),
        Figure("search.proof_full.answers", answers, "answers"),
        Figure("search.proof_full.missed", missed, "answers"),
        Figure("search.proof_full.differing", differing, "searches"),
    ]


def _truth(templates: Floats, probes: Floats, floor: float) -> Iterator[tuple[Rows, Floats]]:
    """Rows and scores at or above `floor` for each probe, from the product with every row."""
    products = probes @ templates.T
    for probe, product in zip(probes, products, strict=True):
        rows = np.flatnonzero(product >= floor - NORM_TOLERANCE)
        wide = templates[rows].astype(np.float64) * probe.astype(np.float64)
        scores = wide.sum(axis=1).astype(np.float32)
        reaching = scores.astype(np.float64) >= floor
        rows, scores = rows[reaching], scores[reaching]
        order = np.lexsort((rows, -scores))
        yield rows[order], scores[order]


def _pair_proof(
    kinds: list[Source], seed: int, pairs: int, progress: Callable[[float], None]
) -> list[Figure]:
    """The sketch alone, on pairs that all lie at or above the floor and mostly within 0.1 of it."""
    compared = keys = missed = near = near_missed = 0
    while compared < pairs:
        rng = np.random.default_rng([seed, 3, keys])
        source = kinds[keys % len(kinds)]
        floor = FLOORS_COSINE[keys // len(kinds) % len(FLOORS_COSINE)]
        middle = source.draw(rng, 1)
        towards = np.float32(np.sqrt(floor + 0.03))
        rows = planted(source, rng, middle.repeat(PAIR_ROWS, 0), towards.repeat(PAIR_ROWS))
        probes = planted(source, rng, middle.repeat(PAIR_PROBES, 0), towards.repeat(PAIR_PROBES))
        sketch = Sketch(rows, rng.bytes(32))
        for probe in probes:
            cosines = rows @ probe
            mates = np.flatnonzero(cosines >= floor + 1e-6)
            compared += len(mates)
            missed += len(np.setdiff1d(mates, sketch.candidates(probe, floor)))
            edge = mates[cosines[mates] < floor + 0.002]
            near += len(edge)
            counted = sketch.candidates(probe, floor, miss_probability=COUNTED_MISS)
            near_missed += len(np.setdiff1d(edge, counted))
        keys += 1
        progress(min(1.0, compared / pairs))
    return [
        Figure("search.proof_pairs.pairs", compared, "pairs"),
        Figure("search.proof_pairs.keys", keys, "keys"),
        Figure("search.proof_pairs.missed", missed, "pairs"),
        Figure("search.proof_pairs.edge_pairs", near, "pairs within 0.002 of the floor"),
        Figure(
            f"search.proof_pairs.edge_missed_share_of_{COUNTED_MISS:g}", near_missed / max(near, 1), "share"
        ),
    ]


def _near_floor(rng: np.random.Generator, floor: float, count: int) -> Floats:
    """Cosines for planted mates: nine in ten within 0.1 of the floor, most close to it, the rest above."""
    cosines = floor + 1e-6 + _HARD_BAND * rng.random(count) ** 2
    easy = rng.random(count) < 0.1
    cosines[easy] = rng.uniform(floor + _HARD_BAND, 1.0, int(easy.sum()))
    return cosines.astype(np.float32)


def _versus(name: str, value: float, unit: str, peer_value: float) -> Figure:
    """A figure of which less is better."""
    return Figure(name, value, unit, PEER, peer_value, peer_value / value if value > 0 else None)


def _elapsed_ms(clock: Clock, action: Callable[[], object]) -> float:
    began_s = clock.monotonic_s()
    action()
    return (clock.monotonic_s() - began_s) * 1000


def _unit(vectors: npt.NDArray[np.floating]) -> Floats:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors, np.float32)


@contextmanager
def _one_faiss_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
