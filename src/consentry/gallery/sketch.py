"""Sign sketches: one bit per dimension of each template, scanned instead of the template.

Every template is turned by one secret random rotation R and only the signs of the result are kept
(SimHash: Charikar 2002, "Similarity estimation techniques from rounding algorithms"; an orthogonal R
instead of independent directions: Ji et al. 2012, "Super-bit locality-sensitive hashing"). The probe is
turned too but keeps its values, so that for a row x and a probe q, both of unit norm and width D,

    estimate = sum_i sign((R x)_i) (R q)_i / sqrt(D)

is an inner product with a vertex of a cube, which FAISS's 4-bit fast scan computes for 32 rows at once.

What the estimate says about cosine c. Let f = sum_i |(R x)_i| / sqrt(D), the fidelity of the row's own
sketch, and s^2 = 1 - c^2. Because R is uniform over all rotations, the part of q that is orthogonal to
x points in a uniform direction, and so (as in Gao and Long 2024, "RaBitQ", theorem 3.2)

    estimate = c f + s sqrt(1 - f^2) u,    u one coordinate of a uniform point of the unit sphere in D-1
                                           dimensions, independent of f.

This holds for every pair (x, q) whatever templates look like in general: the distribution depends on c
and D alone. The moments of f are exact, from E|v_i| and E|v_i v_j| = 2 / (pi D) of a uniform unit v:

    mean m = sqrt(D / pi) Gamma(D/2) / Gamma((D+1)/2),    E f^2 = (1 + (D-1) 2/pi) / D.

A row is a candidate when its estimate is at or above `radius(floor)`, which is solved from

    integral Normal(f; m, E f^2 - m^2) Phi((radius - c f) / sqrt(s^2 (1-f^2) / (D-1) + r^2)) df = 1e-9

at c = floor; r bounds the error of the scan's 8-bit tables (see `_rounding_sd`). The normal tail is
heavier than u's own, which more than pays for the slight skew of f: with the exact laws of both, the
probability at c = floor stays under 1e-9 (a test computes it). It falls further above the floor, about
tenfold for each 0.01 of cosine.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import faiss
import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr

from consentry.errors import UsageError
from consentry.gallery.rotation import orthogonal
from consentry.types import Floats

Rows = npt.NDArray[np.int64]

MISS_PROBABILITY = 1e-9
"""Largest probability, over the secret rotation, that a row at exactly the floor is no candidate."""

SKETCH_WIDTHS = range(512, 1025, 8)
"""Template widths with a sketch: below, one bit a dimension says too little; above, sums pass 16 bits."""

HIGHEST_FLOOR_COSINE = 0.8
"""Floors above are searched as this one: nearer 1 the skew of f outweighs the caution of the formula."""

_BITS = 4
_CODES = 1 << _BITS
_BLOCK_ROWS = 16_384


class Sketch:
    """Sign sketches of a set of templates, D/8 + 8 bytes a row, fixed at construction.

    Args:
        templates: Unit-norm float32 (N, D), D in `SKETCH_WIDTHS`. Not kept.
        key: Secret bytes the rotation is drawn from: who does not know it can choose no template that
            is missed more often than `MISS_PROBABILITY`.

    Raises:
        UsageError: no sketch for this width.
    """

    def __init__(self, templates: Floats, key: bytes) -> None:
        width = templates.shape[1]
        if width not in SKETCH_WIDTHS:
            raise UsageError(f"no sign sketch for templates of width {width}")
        self._width = width
        self._rotation = _rotation(key, width)
        self._scan = _empty_scan(width)
        for start in range(0, len(templates), _BLOCK_ROWS):
            self._scan.add(templates[start : start + _BLOCK_ROWS] @ self._rotation.T)

    def __len__(self) -> int:
        return int(self._scan.ntotal)

    def candidates(
        self, probe: Floats, floor_cosine: float, *, miss_probability: float = MISS_PROBABILITY
    ) -> Rows:
        """Rows whose estimate reaches `radius(floor_cosine)`, int64 (K,), in no stated order.

        A row with cosine >= `floor_cosine` is missing with probability under `MISS_PROBABILITY`;
        rows below the floor are among them in any number.

        Args:
            probe: Unit-norm float32 (D,).
            floor_cosine: In [0, 1]; the scan's 16-bit sums cannot express radii far below 0.
            miss_probability: See `radius`.

        Raises:
            UsageError: `floor_cosine` is outside [0, 1].
        """
        if not 0.0 <= floor_cosine <= 1.0:
            raise UsageError(f"a sketch cannot be searched for cosine {floor_cosine:g}")
        rotated = np.einsum("ij,j->i", self._rotation, probe)
        least = radius(self._width, min(floor_cosine, HIGHEST_FLOOR_COSINE), miss_probability)
        _, _, rows = self._scan.range_search(rotated[None], least)
        return np.asarray(rows, np.int64)


@lru_cache(maxsize=256)
def radius(width: int, floor_cosine: float, miss_probability: float = MISS_PROBABILITY) -> float:
    """Least estimate of a candidate: the formula at the top of this module, solved for c = `floor_cosine`.

    Args:
        width: D, of the templates.
        floor_cosine: In [0, 1].
        miss_probability: Right-hand side of the formula. Proofs ask for 1e-3 or so, where misses are
            frequent enough to be counted and compared with the formula.
    """
    mean, square = fidelity_moments(width)
    deviates = np.linspace(-8.0, 8.0, 321)
    weights = np.exp(-(deviates**2) / 2)
    weights /= weights.sum()
    fidelity = mean + math.sqrt(square - mean**2) * deviates
    spread = np.sqrt((1 - floor_cosine**2) * (1 - fidelity**2) / (width - 1) + _rounding_sd(width) ** 2)

    def excess(cut: float) -> float:
        missed = float(weights @ ndtr((cut - floor_cosine * fidelity) / spread))
        return math.log(max(missed, 1e-300) / miss_probability)

    return float(brentq(excess, -2.0, 2.0)) - _table_step(width)


def fidelity_moments(width: int) -> tuple[float, float]:
    """Mean and mean square of f, the cosine between a uniform unit vector and its own sign sketch."""
    mean = math.sqrt(width / math.pi) * math.exp(math.lgamma(width / 2) - math.lgamma((width + 1) / 2))
    return mean, (1 + (width - 1) * 2 / math.pi) / width


def _table_step(width: int) -> float:
    """Unit of the scan's 8-bit tables: a table spans 2 (|q_1| + .. + |q_4|) / sqrt(D), in 255 steps.

    The four rotated values of the probe are coordinates of a uniform direction, about normal with
    variance 1/D; their absolute sum passes 12 / sqrt(D) with probability under 2e-8.
    """
    return 2 * 12 / width / 255


def _rounding_sd(width: int) -> float:
    """Sub-Gaussian scale of the summed rounding: D/4 table values, each wrong by half a step at most.

    A variable within +-h has scale at most h (Hoeffding's lemma), and scales add as variances.
    """
    return _table_step(width) / 2 * math.sqrt(width / _BITS)


def _rotation(key: bytes, width: int) -> Floats:
    """float32 (width, width), uniform over the rotations and reflections, the same for the same key."""
    seed = int.from_bytes(hashlib.sha256(key).digest(), "big")
    normal = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).standard_normal(
        (width, width)
    )
    return np.ascontiguousarray(orthogonal(normal), np.float32)


def _empty_scan(width: int) -> faiss.IndexIVFPQFastScan:
    """FAISS's fast scan over one list, with the 16 sign patterns of four values as its codebook.

    The inverted-list form is used for its `range_search`, which the plain `IndexPQFastScan` lacks: a
    range, unlike the K best, makes a row's being found independent of all the other rows.
    """
    one_list = faiss.IndexFlatIP(width)
    one_list.add(np.zeros((1, width), np.float32))
    scan = faiss.IndexIVFPQFastScan(one_list, width, 1, width // _BITS, _BITS, faiss.METRIC_INNER_PRODUCT)
    scan.by_residual = False
    bits = np.arange(_CODES)[:, None] >> np.arange(_BITS) & 1
    patterns = ((2 * bits - 1) / math.sqrt(width)).astype(np.float32)
    faiss.copy_array_to_vector(np.tile(patterns, (width // _BITS, 1)).ravel(), scan.pq.centroids)
    scan.is_trained = True
    return scan
