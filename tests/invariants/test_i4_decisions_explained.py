"""I4: every decision can be recomputed from its record."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from consentry.config import Recognition
from consentry.gallery.calibration import Calibration, FrameFit
from consentry.gallery.decide import Gallery
from consentry.types import Floats

PLAIN = Calibration(
    version="plain",
    model_sha256="m" * 64,
    data="",
    people=10,
    photos=10,
    mean=0.0,
    sd=0.1,
    mean_upper=0.0,
    sd_upper=0.1,
    fits=(
        FrameFit(frames=1, people=9, non_mated=99, spread_ratio=1.0, highest=0.3, mated=0, mated_p01=None),
    ),
    normal_p=1.0,
)


def unit(rows: npt.NDArray[np.floating]) -> Floats:
    """Rows of unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@given(
    seed=st.integers(0, 10_000),
    people=st.integers(0, 12),
    photos=st.integers(1, 4),
    cosine=st.floats(-0.2, 1.0),
    frames=st.integers(1, 8),
)
def test_the_record_of_a_decision_explains_it(
    seed: int, people: int, photos: int, cosine: float, frames: int
) -> None:
    rng = np.random.default_rng(seed)
    templates = unit(rng.normal(size=(max(1, people * photos), 512)))[: people * photos].astype(np.float32)
    owners = [f"p{row // photos}" for row in range(len(templates))]
    aside = unit(rng.normal(size=(1, 512)))[0]
    if people:
        aside -= (aside @ templates[0]) * templates[0]
        probe = cosine * templates[0] + np.sqrt(max(0.0, 1 - cosine**2)) * aside / np.linalg.norm(aside)
    else:
        probe = aside
    probe = unit(probe[None].astype(np.float32))[0]
    gallery, policy = Gallery(templates, owners, PLAIN), Recognition()
    decision = gallery.decide(probe, frames=frames, quality=0.8, policy=policy)
    threshold = PLAIN.identification_threshold(
        fpir=policy.fpir, templates=max(1, len(templates)), frames=frames
    )
    assert decision.threshold == threshold
    assert decision.references == len(templates)
    assert decision.gallery_digest == gallery.digest
    assert decision.model_sha256 == PLAIN.model_sha256
    assert decision.calibration == PLAIN.version
    assert decision.reason
    best: dict[str, float] = {}
    for owner, score in zip(owners, (templates @ probe).tolist(), strict=True):
        best[owner] = max(score, best.get(owner, -1.0))
    ranked = sorted(best.values(), reverse=True)
    floor = threshold - policy.unsure_band
    top = ranked[0] if ranked else -1.0
    second = max(ranked[1], floor) if len(ranked) > 1 else floor
    near = 1e-3
    if (
        any(abs(top - edge) < near for edge in (threshold, floor))
        or abs(top - second - policy.min_margin) < near
    ):
        return
    if top >= threshold and (second == floor or top - second >= policy.min_margin):
        assert decision.outcome == "known"
        assert decision.person_id == max(best, key=lambda owner: best[owner])
    elif top >= floor:
        assert (decision.outcome, decision.person_id) == ("unsure", None)
    else:
        assert (decision.outcome, decision.person_id, decision.score) == ("unknown", None, None)


def test_nothing_of_the_record_is_optional() -> None:
    """A decision cannot be made without saying model, calibration, gallery, threshold, quality and frames."""
    probe = unit(np.ones((1, 512), np.float32))[0]
    decision = Gallery(probe[None], ["p"], PLAIN).decide(probe, frames=2, quality=0.5, policy=Recognition())
    missing = [field.name for field in fields(decision) if getattr(decision, field.name) in (None, "")]
    assert missing == []
    assert decision.outcome == "known"


def test_the_digest_names_the_set_and_not_its_order() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(5, 512)).astype(np.float32))
    one = Gallery(rows, list("abcde"), PLAIN).digest
    assert Gallery(rows[::-1].copy(), list("edcba"), PLAIN).digest == one
    assert Gallery(rows, list("abcdd"), PLAIN).digest != one
    assert Gallery(rows[:4], list("abcd"), PLAIN).digest != one
