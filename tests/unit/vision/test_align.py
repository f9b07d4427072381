"""Alignment: the transformation is the best similarity, and crops land on the template."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import EngineError
from consentry.vision.align import ARCFACE_112_XY, align, similarity


@given(st.floats(-3.0, 3.0), st.floats(0.2, 5.0), st.floats(-200, 200), st.floats(-200, 200))
def test_a_known_similarity_is_recovered(turn_rad: float, scale: float, x: float, y: float) -> None:
    rotation = scale * np.array([[np.cos(turn_rad), -np.sin(turn_rad)], [np.sin(turn_rad), np.cos(turn_rad)]])
    moved = (ARCFACE_112_XY @ rotation.T + [x, y]).astype(np.float32)
    back = similarity(moved, ARCFACE_112_XY)
    assert np.allclose(moved @ back[:, :2].T + back[:, 2], ARCFACE_112_XY, atol=0.05)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    mirrored = ARCFACE_112_XY * np.array([-1, 1], np.float32)
    assert np.linalg.det(similarity(mirrored, ARCFACE_112_XY)[:, :2]) > 0


def test_landmarks_land_on_the_template() -> None:
    picture = np.zeros((300, 300, 3), np.uint8)
    marks = (ARCFACE_112_XY * 1.7 + [40, 60]).astype(np.float32)
    for x, y in marks:
        cv2.circle(picture, (round(float(x)), round(float(y))), 3, (255, 255, 255), -1)
    crop = align(picture, marks)
    assert crop.shape == (112, 112, 3)
    for x, y in ARCFACE_112_XY:
        assert crop[round(float(y)), round(float(x))].max() > 128


def test_landmarks_that_coincide_are_refused() -> None:
    with pytest.raises(EngineError, match="coincide"):
        align(np.zeros((50, 50, 3), np.uint8), np.full((5, 2), 7, np.float32))
