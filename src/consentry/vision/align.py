"""Alignment: every face to the same place in a 112×112 crop, by its five landmarks."""

from __future__ import annotations

import cv2
import numpy as np

from consentry.errors import EngineError
from consentry.types import Floats, Picture
from consentry.vision.engines import CROP_PX, require_picture

ARCFACE_112_XY: Floats = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)
"""Where the landmarks lie in a crop (Deng et al. 2019, "ArcFace", the template of its published code)."""


def similarity(from_xy: Floats, to_xy: Floats) -> Floats:
    """The rotation, scale and shift (float32 (2, 3)) that best maps `from_xy` to `to_xy`, both (N, 2).

    Least squares without reflection: Umeyama 1991, "Least-squares estimation of transformation
    parameters between two point patterns", equations 34-43.

    Raises:
        EngineError: all points of `from_xy` coincide.
    """
    source = from_xy.astype(np.float64)
    target = to_xy.astype(np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    source_centred, target_centred = source - source_mean, target - target_mean
    spread = float((source_centred**2).sum() / len(source))
    if not np.isfinite(spread) or spread < 1e-9:
        raise EngineError("the five landmarks of a face coincide")
    left, singular, right = np.linalg.svd(target_centred.T @ source_centred / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    scale = float((singular * signs).sum() / spread)
    linear = scale * rotation
    shift = target_mean - linear @ source_mean
    return np.hstack([linear, shift[:, None]]).astype(np.float32)


def align(bgr: Picture, landmarks_xy: Floats) -> Picture:
    """The face with `landmarks_xy` (5, 2) as a uint8 (112, 112, 3) crop; black outside the picture.

    Raises:
        EngineError: no picture, or landmarks that coincide.
    """
    require_picture(bgr)
    matrix = similarity(landmarks_xy, ARCFACE_112_XY)
    crop: Picture = cv2.warpAffine(bgr, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR).astype(np.uint8)
    return crop
