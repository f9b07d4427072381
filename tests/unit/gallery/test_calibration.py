"""Calibration: recovers planted distributions, and never grows bolder with more people to confuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from consentry.errors import BadConfig, UsageError
from consentry.gallery.calibration import (
    GROUP_ALLOWANCE,
    Calibration,
    FrameFit,
    fmr_for,
    load_calibration,
)
from consentry.gallery.fit import calibrate


def planted(people: int = 60, photos: int = 4, dimensions: int = 100, seed: int = 0) -> Calibration:
    """A calibration from random people: strangers' cosines have sd 1/sqrt(dimensions)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, dimensions))
    rows = np.repeat(centres, photos, 0) + 0.5 * rng.normal(size=(people * photos, dimensions))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"p{n // photos}" for n in range(people * photos)]
    return calibrate(
        rows.astype(np.float32), names, model_sha256="m", version="v", data="random", resamples=200
    )


def plain(mean_upper: float, sd_upper: float) -> Calibration:
    """A calibration with these bounds and nothing else of interest."""
    fit = FrameFit(frames=1, people=9, non_mated=10, spread_ratio=1.0, highest=0.3, mated=0, mated_p01=None)
    return Calibration(
        version="v",
        model_sha256="m",
        data="",
        people=10,
        photos=10,
        mean=0,
        sd=0.1,
        mean_upper=mean_upper,
        sd_upper=sd_upper,
        fits=(fit,),
        normal_p=1,
    )


def test_the_planted_distribution_is_recovered() -> None:
    found = planted()
    one = found.fits[0]
    assert one.frames == 1
    assert one.spread_ratio == pytest.approx(1.0)
    assert found.mean == pytest.approx(0.0, abs=0.01)
    assert found.sd == pytest.approx(0.1, abs=0.01)
    assert found.mean < found.mean_upper < found.mean + 0.02
    assert found.sd < found.sd_upper < found.sd * 1.2
    assert found.people == 60
    assert found.photos == 240
    assert one.non_mated == (240 * 239 - 60 * 4 * 3) // 2
    assert [fit.frames for fit in found.fits] == [1, 2, 3]


def test_the_same_input_gives_the_same_calibration() -> None:
    assert planted() == planted()


def test_the_threshold_holds_the_wanted_rate_on_fresh_strangers() -> None:
    found = planted()
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(3000, 100))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores = (rows[:1500] @ rows[1500:].T).ravel()
    wanted = 1e-2
    rate = float((scores >= found.threshold(fmr=wanted)).mean())
    assert rate <= wanted
    assert rate >= wanted / GROUP_ALLOWANCE / 30, "so strict a threshold would turn mates away for nothing"


@given(st.floats(1e-6, 0.2), st.integers(1, 10_000_000), st.integers(1, 20))
def test_thresholds_rise_with_the_gallery_and_with_strictness(
    fpir: float, templates: int, frames: int
) -> None:
    calibration = plain(0.0, 0.1)
    here = calibration.identification_threshold(fpir=fpir, templates=templates, frames=frames)
    assert 0.0 <= here <= 1.0
    assert calibration.identification_threshold(fpir=fpir, templates=templates * 2, frames=frames) >= here
    assert calibration.identification_threshold(fpir=fpir / 2, templates=templates, frames=frames) >= here


def test_the_threshold_is_the_normal_tail() -> None:
    calibration = plain(0.02, 0.11)
    assert calibration.threshold(fmr=1e-3) == pytest.approx(0.02 + 0.11 * norm.isf(1e-4), abs=1e-4)
    assert calibration.extrapolated(fmr=1e-3)


@given(st.floats(1e-6, 0.5), st.integers(1, 1_000_000))
def test_fmr_and_fpir_are_inverse(fpir: float, templates: int) -> None:
    fmr = fmr_for(fpir=fpir, templates=templates)
    assert -np.expm1(templates * np.log1p(-fmr)) == pytest.approx(fpir, rel=1e-6)


@pytest.mark.parametrize(("fpir", "templates"), [(0.0, 5), (1.0, 5), (0.1, 0)])
def test_impossible_rates_are_refused(fpir: float, templates: int) -> None:
    with pytest.raises(UsageError):
        fmr_for(fpir=fpir, templates=templates)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 10 people"):
        planted(people=9)


def test_the_calibration_of_another_recogniser_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(planted().model_dump_json())
    assert load_calibration("m", path).version == "v"
    with pytest.raises(BadConfig, match="another recogniser"):
        load_calibration("other", path)
    path.write_text(json.dumps({"version": 1}))
    with pytest.raises(BadConfig, match="not valid"):
        load_calibration("m", path)
    with pytest.raises(BadConfig, match="no calibration for"):
        load_calibration("0" * 64)
