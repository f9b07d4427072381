"""1:N search: every reference at or above a cosine, as a full comparison would give it.

    small gallery or low floor    the inner product with every row
    else                          sign-sketch scan -> candidates -> their cosines (see `sketch`)

Both ways end in the same step: rows that could reach the floor are scored again in float64, row by
row, and only those scores count. So the answer does not depend on the way, on threads or on the BLAS.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

import faiss
import numpy as np

from consentry.errors import EngineError, UsageError
from consentry.gallery.sketch import SKETCH_WIDTHS, Rows, Sketch
from consentry.types import Floats

SKETCH_FROM_ROWS = 10_000
"""Gallery size from which the sketch scan is several times faster (docs/decisions/0020-search.md)."""

SKETCH_FLOOR_COSINE = 0.25
"""Floor under which so many rows are candidates that the sketch scan is left out."""

MAX_CANDIDATE_SHARE = 0.25
"""Share of rows from which comparing candidates one by one costs about as much as the full scan."""

NORM_TOLERANCE = 1e-4
"""How far the norm of a template may be from 1."""

_SCORE_BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a search found, best first; equal scores in the order of their rows.

    Attributes:
        rows: int64 (K,), positions in the templates the index was built from.
        scores: float32 (K,), cosine of each, the float64 inner product rounded once.
    """

    rows: Rows
    scores: Floats

    def __len__(self) -> int:
        return len(self.rows)


class Index:
    """The references of one search, fixed at construction and safe to search from several threads.

    Args:
        templates: Unit-norm float32 (N, D), N may be 0. Kept, not copied, when C-contiguous: the caller
            must not write to it afterwards.
        key: Secret bytes for the sketch's rotation; fresh random ones when None. Give a key only to
            repeat a measurement.
        sketch_from_rows: Gallery size from which sketches are made.

    Raises:
        EngineError: not float32 (N, D), or a row is not finite or not of unit norm.
    """

    def __init__(
        self, templates: Floats, *, key: bytes | None = None, sketch_from_rows: int = SKETCH_FROM_ROWS
    ) -> None:
        self._templates = _checked_templates(templates)
        self._sketch: Sketch | None = None
        if len(templates) >= max(1, sketch_from_rows) and templates.shape[1] in SKETCH_WIDTHS:
            self._sketch = Sketch(self._templates, secrets.token_bytes(32) if key is None else key)

    def __len__(self) -> int:
        return len(self._templates)

    @property
    def sketched(self) -> bool:
        """Whether the gallery is large enough for the sketch scan."""
        return self._sketch is not None

    def search(self, probe: Floats, floor_cosine: float, limit: int) -> Candidates:
        """Every row with cosine >= `floor_cosine`, best first, the best `limit` of them.

        With sketches, each such row is missed with probability under `sketch.MISS_PROBABILITY` over
        the key; without, never.

        Args:
            probe: Unit-norm float32 (D,).
            floor_cosine: Least cosine of interest; above 1 nothing is found, -1 or less finds all.
            limit: Most rows to return, at least 1.

        Raises:
            EngineError: `probe` is not a unit-norm, finite float32 (D,).
            UsageError: `floor_cosine` is no number or `limit` is under 1.
        """
        self._check_probe(probe)
        if math.isnan(floor_cosine):
            raise UsageError("the floor of a search is not a number")
        if limit < 1:
            raise UsageError(f"a search for the best {limit} rows", "Ask for at least 1")
        rows, rough = self._rough(probe, floor_cosine)
        if len(rows) > limit:
            least = np.partition(rough, len(rows) - limit)[len(rows) - limit] - 2 * self._rounding
            kept = rough >= least
            rows = rows[kept]
        scores = self._exact(probe, rows)
        reaching = scores.astype(np.float64) >= floor_cosine
        rows, scores = rows[reaching], scores[reaching]
        order = np.lexsort((rows, -scores))[:limit]
        return Candidates(rows[order], scores[order])

    def scores(self, probe: Floats, rows: Rows) -> Floats:
        """Cosine of `probe` with each of `rows`, float32 (K,), equal to what `search` gives.

        Raises:
            EngineError: `probe` is not a unit-norm, finite float32 (D,).
            UsageError: a row is outside the gallery.
        """
        self._check_probe(probe)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise UsageError(f"a row outside the gallery of {len(self)}")
        return self._exact(probe, rows)

    @property
    def _rounding(self) -> float:
        """Bound of a float32 inner product's error: D u, u = 2^-24, doubled for the norms' tolerance."""
        return float(self._templates.shape[1]) * 2.0**-23

    def _rough(self, probe: Floats, floor_cosine: float) -> tuple[Rows, Floats]:
        """Rows that may reach the floor and their float32 inner products."""
        least = floor_cosine - self._rounding
        if self._sketch is not None and SKETCH_FLOOR_COSINE <= floor_cosine <= 1.0:
            rows = self._sketch.candidates(probe, floor_cosine)
            if len(rows) <= MAX_CANDIDATE_SHARE * len(self):
                rough = _products(self._templates, probe, rows)
                reaching = rough >= least
                return rows[reaching], rough[reaching]
        products = _all_products(self._templates, probe)
        rows = np.flatnonzero(products >= least)
        return rows, products[rows]

    def _exact(self, probe: Floats, rows: Rows) -> Floats:
        """float64 inner products, each summed the same way whatever rows stand beside it, as float32."""
        wide = probe.astype(np.float64)
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _SCORE_BLOCK_ROWS):
            block = self._templates[rows[start : start + _SCORE_BLOCK_ROWS]] * wide
            scores[start : start + len(block)] = block.sum(axis=1)
        return scores

    def _check_probe(self, probe: Floats) -> None:
        width = self._templates.shape[1]
        if probe.shape != (width,) or probe.dtype != np.float32:
            raise EngineError(f"a probe must be float32 ({width},), but is {probe.dtype} {probe.shape}")
        norm = float(np.linalg.norm(probe))
        if not abs(norm - 1.0) <= NORM_TOLERANCE:
            raise EngineError(f"a probe must have norm 1, but has {norm:.4g}")


def _all_products(templates: Floats, probe: Floats) -> Floats:
    """float32 inner products of all rows, on one thread: a large gallery is bound by memory, and there
    OpenBLAS's matrix-vector product takes up to twice as long."""
    products = np.empty(len(templates), np.float32)
    probe = np.ascontiguousarray(probe)
    faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]  # not in FAISS's stubs
        faiss.swig_ptr(products),
        faiss.swig_ptr(probe),
        faiss.swig_ptr(templates),
        templates.shape[1],
        len(templates),
    )
    return products


def _products(templates: Floats, probe: Floats, rows: Rows) -> Floats:
    """float32 inner products of some rows, read in place: a NumPy gather takes twice as long."""
    products = np.empty(len(rows), np.float32)
    probe = np.ascontiguousarray(probe)
    faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]  # not in FAISS's stubs
        faiss.swig_ptr(products),
        faiss.swig_ptr(probe),
        faiss.swig_ptr(templates),
        faiss.swig_ptr(rows),
        templates.shape[1],
        1,
        len(rows),
    )
    return products


def _checked_templates(templates: Floats) -> Floats:
    if templates.ndim != 2 or templates.shape[1] == 0 or templates.dtype != np.float32:
        raise EngineError(f"templates must be float32 (N, D), but are {templates.dtype} {templates.shape}")
    squares = np.einsum("ij,ij->i", templates, templates)
    bad = np.flatnonzero(~(np.abs(squares - 1.0) <= 2 * NORM_TOLERANCE))
    if len(bad):
        raise EngineError(f"template {bad[0]} must have norm 1, but has {math.sqrt(squares[bad[0]]):.4g}")
    return np.ascontiguousarray(templates)
