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
from importlib import resources
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.special import ndtri

from consentry.errors import BadConfig, UsageError

GROUP_ALLOWANCE = 10.0
RULE_OF_THIRTY = 30


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
        cosine = self.mean_upper + spread * -float(ndtri(fmr / GROUP_ALLOWANCE))
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
