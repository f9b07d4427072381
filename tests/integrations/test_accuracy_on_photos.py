"""Verification and enrolment on photos of real people, where the shared test media are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consentry.bench.photos import Labelled, label, photos_of_people
from consentry.bench.vision import fnmr_at
from consentry.gallery.calibration import load_calibration
from consentry.vision.analyse import PhotoAnalyst
from consentry.vision.load import Engines

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def people(shared_media: Path, exact_engines: Engines) -> Labelled:
    """Templates of seven people."""
    photos = [*photos_of_people(shared_media / "johns"), *photos_of_people(shared_media / "presidents")]
    return label(photos, PhotoAnalyst(exact_engines))


def test_every_photo_has_its_one_face(people: Labelled) -> None:
    assert len(set(people.people)) == 7
    assert people.skipped["not one face"] == 0
    assert len(people.templates) >= 57


def test_the_verification_threshold_lets_nobody_else_in_and_turns_almost_nobody_away(
    people: Labelled, exact_engines: Engines
) -> None:
    threshold = load_calibration(exact_engines.recogniser.sha256).threshold(fmr=1e-3)
    scores = people.templates @ people.templates.T
    names = np.array(people.people)
    first, second = np.triu_indices(len(names), 1)
    same = names[first] == names[second]
    mated, non_mated = scores[first, second][same], scores[first, second][~same]
    assert (non_mated >= threshold).sum() == 0
    assert (mated < threshold).mean() < 0.01
    assert fnmr_at(mated, non_mated, 1e-2) == 0.0
