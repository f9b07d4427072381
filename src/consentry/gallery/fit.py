"""Fitting a calibration to photos of known people; `consentry.gallery.calibration` says what it is for.

Apart from it because fitting needs SciPy's statistics, which take a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import kstest

from consentry.errors import UsageError
from consentry.gallery.calibration import Calibration, FrameFit
from consentry.types import Floats

FUSED_FRAMES = (1, 2, 3, 5, 8)
FUSED_DRAWS = 20
LEAST_FUSED_PEOPLE = 5
UPPER = 0.95
SAME_PHOTO_COSINE = 0.9999

Names = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float64]


def calibrate(
    templates: Floats,
    people: Sequence[str],
    *,
    model_sha256: str,
    version: str,
    data: str,
    seed: int = 0,
    resamples: int = 1000,
) -> Calibration:
    """Fit a calibration to single-photo templates of different people.

    Probes of several frames are fused from random photos of one person (20 draws each); people with
    too few photos take part as references and in the one-frame fit only.

    Args:
        templates: Unit-norm float32 (P, D).
        people: The person of each row.
        model_sha256: The recogniser that made them.
        version: Name to write into decisions.
        data: What they are and how to repeat this.
        seed: Of draws and bootstrap: the same input gives the same calibration.
        resamples: Bootstrap replicates.

    Raises:
        UsageError: fewer than ten people.
    """
    names = np.asarray(people)
    if len(set(people)) < 10:
        raise UsageError(f"a calibration needs at least 10 people, there are {len(set(people))}")
    rng = np.random.default_rng(seed)
    fits = []
    for frames in FUSED_FRAMES:
        fit = _fit(templates, names, frames, rng)
        if fit is None:
            break
        fits.append(fit)
    scores = templates @ templates.T
    other = names[:, None] != names[None]
    means, sds = _resampled(scores, other, names, rng, resamples)
    mean, sd = _weighted(scores, other, _equal_people(names))
    sample = rng.choice(scores[other], size=min(2000, int(other.sum())), replace=False)
    test = kstest(sample, "norm", args=(sample.mean(), sample.std()))
    return Calibration(
        version=version,
        model_sha256=model_sha256,
        data=data,
        people=len(set(people)),
        photos=len(templates),
        mean=round(mean, 5),
        sd=round(sd, 5),
        mean_upper=round(float(np.quantile(means, UPPER)), 5),
        sd_upper=round(float(np.quantile(sds, UPPER)), 5),
        fits=tuple(fits),
        normal_p=round(float(test.pvalue), 4),
    )


def _equal_people(names: Names) -> Weights:
    """A weight for each template such that every person weighs the same."""
    _, inverse, counts = np.unique(names, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[inverse], np.float64)


def _weighted(scores: Floats, other: Mask, weights: Weights) -> tuple[float, float]:
    """Mean and standard deviation of the non-mated `scores`, a pair weighing the product of its two."""
    total = float(weights @ other @ weights)
    mean = float(weights @ np.where(other, scores, 0.0) @ weights) / total
    square = float(weights @ np.where(other, scores.astype(np.float64) ** 2, 0.0) @ weights) / total
    return mean, float(np.sqrt(max(square - mean**2, 1e-12)))


def _resampled(
    scores: Floats, other: Mask, names: Names, rng: np.random.Generator, resamples: int
) -> tuple[list[float], list[float]]:
    """`_weighted` for `resamples` draws of people with replacement."""
    everyone, person_of = np.unique(names, return_inverse=True)
    equal = _equal_people(names)
    means, sds = [], []
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(0, len(everyone), len(everyone)), minlength=len(everyone))
        mean, sd = _weighted(scores, other, equal * drawn[person_of])
        means.append(mean)
        sds.append(sd)
    return means, sds


def _fit(templates: Floats, names: Names, frames: int, rng: np.random.Generator) -> FrameFit | None:
    """Probes fused from `frames` crops of people who have more; None if there are fewer than five."""
    probes, owners, used = [], [], []
    for person in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == person)
        if len(rows) > frames or frames == 1:
            draws = (
                [[int(row)] for row in rows]
                if frames == 1
                else [rng.permutation(rows)[:frames].tolist() for _ in range(FUSED_DRAWS)]
            )
            for draw in draws:
                mean = templates[draw].mean(0)
                probes.append(mean / np.linalg.norm(mean))
                owners.append(person)
                used.append(np.isin(np.arange(len(names)), draw))
    if len(set(owners)) < LEAST_FUSED_PEOPLE:
        return None
    scores = np.stack(probes) @ templates.T
    other = np.array(owners)[:, None] != names[None]
    single = np.isin(names, owners)
    plain = (templates[single] @ templates.T)[names[single][:, None] != names[None]]
    mated = scores[~other & ~np.stack(used)]
    mated = mated[mated < SAME_PHOTO_COSINE]
    return FrameFit(
        frames=frames,
        people=len(set(owners)),
        non_mated=int(other.sum()) // (2 if frames == 1 else 1),
        spread_ratio=round(float(scores[other].std() / plain.std()), 4),
        highest=round(float(scores[other].max()), 4),
        mated=len(mated),
        mated_p01=round(float(np.quantile(mated, 0.01)), 4) if len(mated) >= 100 else None,
    )
