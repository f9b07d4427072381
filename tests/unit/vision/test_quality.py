"""Quality measures move the right way, and say why."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from consentry.types import Face, Floats, Picture
from consentry.vision.align import ARCFACE_112_XY
from consentry.vision.quality import ENROL_FLOOR, PROBE_FLOOR, assess, pose_deg, sharpness, shortfalls


def textured() -> Picture:
    """A crop with detail and contrast."""
    noise = np.random.default_rng(0).normal(128, 200, (112, 112, 1)).repeat(3, 2)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5), 20, 235).astype(np.uint8)


def face(size: float = 100.0, left: float = 50.0, marks: Floats = ARCFACE_112_XY) -> Face:
    """A square face of that size."""
    box = np.array([left, 50, left + size, 50 + size], np.float32)
    return Face(box, (marks * size / 112 + box[:2]).astype(np.float32), 0.9)


def test_a_good_face_meets_both_floors() -> None:
    quality = assess(face(), textured(), (400, 300))
    assert shortfalls(quality, ENROL_FLOOR) == ()
    assert quality.score > 0.7


@pytest.mark.parametrize(
    ("subject", "crop", "word"),
    [
        (face(size=20), textured(), "20 px wide"),
        (face(left=-40), textured(), "in the picture"),
        (
            face(),
            np.tile(np.linspace(40, 200, 112).astype(np.uint8)[:, None, None], (1, 112, 3)),
            "sharpness",
        ),
        (face(), np.full((112, 112, 3), 3, np.uint8), "contrast"),
        (face(), np.where(textured() > 128, 255, 0).astype(np.uint8), "black or white"),
    ],
)
def test_each_shortfall_is_named(subject: Face, crop: Picture, word: str) -> None:
    assert any(word in reason for reason in shortfalls(assess(subject, crop, (400, 300)), ENROL_FLOOR))


def test_the_enrolment_floor_is_never_below_the_probe_floor() -> None:
    assert ENROL_FLOOR.size_px >= PROBE_FLOOR.size_px
    assert ENROL_FLOOR.pose_deg <= PROBE_FLOOR.pose_deg
    assert ENROL_FLOOR.sharpness >= PROBE_FLOOR.sharpness
    assert ENROL_FLOOR.contrast >= PROBE_FLOOR.contrast
    assert ENROL_FLOOR.clipped_share <= PROBE_FLOOR.clipped_share
    assert ENROL_FLOOR.inside_share >= PROBE_FLOOR.inside_share


def test_the_template_faces_the_camera_and_a_moved_nose_does_not() -> None:
    yaw, pitch = pose_deg(ARCFACE_112_XY)
    assert abs(yaw) < 2
    assert abs(pitch) < 1
    turned = ARCFACE_112_XY.copy()
    turned[2, 0] += 20
    assert pose_deg(turned)[0] > 30
    lowered = ARCFACE_112_XY.copy()
    lowered[2, 1] += 12
    assert pose_deg(lowered)[1] > 20


def test_roll_does_not_count_as_a_turn() -> None:
    middle = ARCFACE_112_XY.mean(0)
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]], np.float32)
    rolled = ((ARCFACE_112_XY - middle) @ turn.T + middle).astype(np.float32)
    assert np.allclose(pose_deg(rolled), pose_deg(ARCFACE_112_XY), atol=0.5)


def test_landmarks_without_extent_are_a_full_turn_away() -> None:
    assert pose_deg(np.zeros((5, 2), np.float32)) == (90.0, 90.0)


def test_sharpness_does_not_depend_on_contrast() -> None:
    grey = textured()[..., 0]
    faded = (grey * 0.5 + 60).astype(np.uint8)
    assert sharpness(faded) == pytest.approx(sharpness(grey), rel=0.1)
    assert sharpness(np.full((20, 20), 9, np.uint8)) == 0.0
