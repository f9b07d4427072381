"""Whether a face is good enough to recognise: five measures, each a number, a score and a reason.

Quality is the least of the five scores: a sharp, well-lit face seen from the side is still a bad
sample. Poor samples raise false matches as well as misses, so the same floor serves enrolment
(stricter) and probes. Measures after ISO/IEC 29794-5 (size, pose, sharpness, exposure, crop), in
their simplest form from five landmarks and the aligned crop; no learned model.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from consentry.types import Face, Floats, Picture
from consentry.vision.align import ARCFACE_112_XY

NOSE_DEPTH_EYE_DISTANCES = 0.63
"""How far the nose tip stands before the plane of the eyes, in distances between the eyes."""

FRONTAL_NOSE_SHARE = float(
    (ARCFACE_112_XY[2, 1] - ARCFACE_112_XY[:2, 1].mean())
    / (ARCFACE_112_XY[3:, 1].mean() - ARCFACE_112_XY[:2, 1].mean())
)
"""Where the nose tip lies between eyes (0) and mouth (1) on a face seen from the front."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One quality measure.

    Attributes:
        name: What was measured, with its unit.
        value: The number in that unit.
        score: The same in [0, 1]; 0 is useless, 1 is as good as this measure can tell.
        reason: One clause in words, e.g. "face is 20 px wide, 32 needed".
    """

    name: str
    value: float
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Quality:
    """All measures of one face."""

    measures: tuple[Measure, ...]

    @property
    def score(self) -> float:
        """The least score of all measures, in [0, 1]."""
        return min(measure.score for measure in self.measures)

    def value(self, name: str) -> float:
        """The value of the measure called `name`."""
        return next(measure.value for measure in self.measures if measure.name == name)


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that is accepted, in the units of the measures.

    Attributes:
        size_px: Shorter side of the face box.
        pose_deg: Largest turn from the camera, yaw or pitch.
        sharpness: Least share of fine detail, see `sharpness`.
        contrast: Least spread between dark and light, in grey levels of 255.
        clipped_share: Largest share of the crop that is black or white.
        inside_share: Least share of the face box inside the picture.
    """

    size_px: float
    pose_deg: float
    sharpness: float
    contrast: float
    clipped_share: float
    inside_share: float


ENROL_FLOOR = Floor(
    size_px=48, pose_deg=40, sharpness=0.02, contrast=40, clipped_share=0.35, inside_share=0.95
)
PROBE_FLOOR = Floor(
    size_px=32, pose_deg=50, sharpness=0.01, contrast=25, clipped_share=0.5, inside_share=0.85
)


def assess(face: Face, crop_bgr: Picture, frame_wh: tuple[int, int]) -> Quality:
    """Measure `face`, found in a picture of `frame_wh`, with its aligned crop (112, 112, 3)."""
    x_min, y_min, x_max, y_max = (float(side) for side in face.xyxy)
    size_px = min(x_max - x_min, y_max - y_min)
    inside_w = max(0.0, min(x_max, frame_wh[0]) - max(x_min, 0.0))
    inside_h = max(0.0, min(y_max, frame_wh[1]) - max(y_min, 0.0))
    area = max(1e-6, (x_max - x_min) * (y_max - y_min))
    inside_share = inside_w * inside_h / area
    yaw_deg, pitch_deg = pose_deg(face.landmarks_xy)
    turn_deg = max(abs(yaw_deg), abs(pitch_deg))
    grey = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY).astype(np.uint8)[24:104, 20:92]
    detail = sharpness(grey)
    dark, light = (float(level) for level in np.percentile(grey, (5, 95)))
    clipped = float(((grey <= 5) | (grey >= 250)).mean())
    return Quality(
        (
            Measure("size_px", size_px, _rising(size_px, 12, 80), f"face is {size_px:.0f} px wide"),
            Measure("pose_deg", turn_deg, _rising(-turn_deg, -75, -10), f"turned {turn_deg:.0f}° away"),
            Measure("sharpness", detail, _rising(detail, 0.0, 0.08), f"sharpness {detail:.3f}"),
            Measure("contrast", light - dark, _rising(light - dark, 5, 90), f"contrast {light - dark:.0f}"),
            Measure("clipped_share", clipped, 1.0 - clipped, f"{clipped:.0%} black or white"),
            Measure(
                "inside_share",
                inside_share,
                _rising(inside_share, 0.5, 1.0),
                f"{inside_share:.0%} of the face is in the picture",
            ),
        )
    )


def shortfalls(quality: Quality, floor: Floor) -> tuple[str, ...]:
    """Why `quality` misses `floor`, a clause for each measure that does; empty when it is met."""
    at_least = {
        "size_px": floor.size_px,
        "sharpness": floor.sharpness,
        "contrast": floor.contrast,
        "inside_share": floor.inside_share,
    }
    at_most = {"pose_deg": floor.pose_deg, "clipped_share": floor.clipped_share}
    found = []
    for measure in quality.measures:
        if measure.name in at_least and measure.value < at_least[measure.name]:
            found.append(f"{measure.reason}, at least {at_least[measure.name]:g} needed")
        if measure.name in at_most and measure.value > at_most[measure.name]:
            found.append(f"{measure.reason}, at most {at_most[measure.name]:g} allowed")
    return tuple(found)


def pose_deg(landmarks_xy: Floats) -> tuple[float, float]:
    """Yaw and pitch in degrees from five landmarks (5, 2); 0, 0 faces the camera.

    With the roll removed, a turned head moves the nose tip against the eyes by its depth times the
    tangent of the angle. Positive yaw: the nose points to the picture's right; positive pitch: down.
    """
    right_eye, left_eye, nose, mouth_a, mouth_b = landmarks_xy.astype(np.float64)
    across = left_eye - right_eye
    eye_distance = float(np.hypot(*across))
    if eye_distance < 1e-6:
        return 90.0, 90.0
    across /= eye_distance
    down = np.array([-across[1], across[0]])
    middle = (right_eye + left_eye) / 2
    height = float(((mouth_a + mouth_b) / 2 - middle) @ down)
    if height < 1e-6:
        return 90.0, 90.0
    depth = NOSE_DEPTH_EYE_DISTANCES * max(eye_distance, height / 1.155)
    yaw = np.degrees(np.arctan((nose - middle) @ across / depth))
    pitch = np.degrees(np.arctan(((nose - middle) @ down - FRONTAL_NOSE_SHARE * height) / depth))
    return float(yaw), float(pitch)


def sharpness(grey: Picture) -> float:
    """Share of fine detail in a grey picture (H, W): variance of its Laplacian over its own variance.

    Unlike the bare variance of the Laplacian (Pech-Pacheco et al. 2000) it does not fall with contrast.
    """
    variance = float(grey.astype(np.float32).var())
    if variance < 1.0:
        return 0.0
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / variance


def _rising(value: float, useless: float, perfect: float) -> float:
    return float(np.clip((value - useless) / (perfect - useless), 0.0, 1.0))
