"""From scores of strangers to a threshold.

A threshold is the cosine that a stranger's track passes with the wanted probability, given how many
templates it is compared with. The non-mated scores of this recogniser are close to normal (docs/
calibration.md shows it), so their tail is taken from a normal fit, with both parameters at the upper
end of what the sample allows: mean and standard deviation are bootstrapped over people, not pairs,
because the pairs of one person are not independent (Mansfield & Wayman 2002, ISO/IEC 19795-1), and
every pair of people weighs the same, however many photos they have. A probe fused from several crops
spreads a little wider; that ratio is measured on the people with enough photos.

FPIR for N templates: 1 - (1 - FMR)^N, so FMR = 1 - (1 - FPIR)^(1/N). No demographic group is
measured in the default calibration, so the wanted FMR is divided by `GROUP_ALLOWANCE` first: the
lower end of the differences NIST IR 8280 found between groups.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.stats import kstest, norm

from consentry.errors import BadConfig, UsageError
from consentry.types import Floats

GROUP_ALLOWANCE = 10.0
FUSED_FRAMES = (1, 2, 3, 5, 8)
FUSED_DRAWS = 20
LEAST_FUSED_PEOPLE = 5
RULE_OF_THIRTY = 30
UPPER = 0.95
SAME_PHOTO_COSINE = 0.9999

Names = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float64]


class FrameFit(BaseModel):
    """Scores of probes fused from `frames` crops against single references.

    Attributes:
        frames: Crops fused into each probe.
        people: Different people among the probes.
        non_mated: Comparisons of two people.
        spread_ratio: Spread of the non-mated scores over that of the same people's single crops.
        highest: The largest non-mated score.
        mated: Comparisons of one person.
        mated_p01: The score that 99 of 100 mated comparisons reach; None for fewer than 100.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(ge=1)
    people: int
    non_mated: int = Field(ge=2)
    spread_ratio: float = Field(gt=0)
    highest: float
    mated: int
    mated_p01: float | None


class Calibration(BaseModel):
    """A frozen calibration: which recogniser, which data, how many people, and the fits.

    Attributes:
        version: Name and date; written into every decision.
        model_sha256: The recogniser it holds for, and no other.
        data: What was measured and the command that repeats it.
        people: Different people in it.
        photos: Templates in it.
        mean: Of the one-crop non-mated scores, each pair of people weighing the same.
        sd: Their standard deviation, likewise.
        mean_upper: 95th percentile of `mean` over bootstrapped people; `sd_upper` likewise.
        fits: By number of fused crops, ascending, the first for one.
        normal_p: p-value of a Kolmogorov-Smirnov test of the one-frame scores against the fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    model_sha256: str
    data: str
    people: int
    photos: int
    mean: float
    sd: float = Field(gt=0)
    mean_upper: float
    sd_upper: float = Field(gt=0)
    fits: tuple[FrameFit, ...] = Field(min_length=1)
    normal_p: float

    def threshold(self, *, fmr: float, frames: int = 1) -> float:
        """The cosine that a stranger reaches with probability `fmr` in one comparison, in [0, 1].

        Args:
            fmr: Wanted false match rate, in (0, 0.5), before `GROUP_ALLOWANCE`.
            frames: Crops fused into the probe.

        Raises:
            UsageError: `fmr` or `frames` out of range.
        """
        if not 0.0 < fmr < 0.5 or frames < 1:
            raise UsageError(f"no threshold for FMR {fmr} and {frames} frames")
        fit = max((fit for fit in self.fits if fit.frames <= frames), key=lambda fit: fit.frames)
        spread = self.sd_upper * max(1.0, fit.spread_ratio)
        cosine = self.mean_upper + spread * float(norm.isf(fmr / GROUP_ALLOWANCE))
        return round(min(1.0, max(0.0, cosine)), 4)

    def identification_threshold(self, *, fpir: float, templates: int, frames: int = 1) -> float:
        """The same for one search of `templates` references at the wanted `fpir`."""
        return self.threshold(fmr=fmr_for(fpir=fpir, templates=templates), frames=frames)

    def extrapolated(self, *, fmr: float) -> bool:
        """Whether `fmr` lies beyond what was observed: fewer than 30 errors expected in the sample."""
        return fmr / GROUP_ALLOWANCE * self.fits[0].non_mated < RULE_OF_THIRTY


def fmr_for(*, fpir: float, templates: int) -> float:
    """The FMR that gives `fpir` when `templates` references are searched (comparisons independent).

    Raises:
        UsageError: `fpir` not in (0, 1) or fewer than one template.
    """
    if not 0.0 < fpir < 1.0 or templates < 1:
        raise UsageError(f"no false match rate for FPIR {fpir} at {templates} templates")
    return float(-np.expm1(np.log1p(-fpir) / templates))


def load_calibration(model_sha256: str, path: Path | None = None) -> Calibration:
    """The calibration in `path`, else the packaged one for the recogniser with this hash.

    Raises:
        BadConfig: no calibration for that recogniser, or the file does not fit it.
    """
    if path is not None:
        found = _parse(path.read_text(encoding="utf-8"), str(path))
        if found.model_sha256 != model_sha256:
            raise BadConfig(
                f"calibration {found.version} is for another recogniser than {model_sha256[:12]}",
                "Calibrate this recogniser with `consentry bench calibration`",
            )
        return found
    for item in sorted(resources.files("consentry.gallery").joinpath("calibrations").iterdir(), key=str):
        if item.name.endswith(".json"):
            packaged = _parse(item.read_text(encoding="utf-8"), item.name)
            if packaged.model_sha256 == model_sha256:
                return packaged
    raise BadConfig(
        f"there is no calibration for recogniser {model_sha256[:12]}",
        "Make one with `consentry bench calibration`",
    )


def _parse(text: str, name: str) -> Calibration:
    try:
        return Calibration.model_validate(json.loads(text))
    except (ValidationError, json.JSONDecodeError) as error:
        raise BadConfig(f"calibration {name} is not valid: {error}") from None


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
