"""What a detector and a recogniser must be; `consentry.vision.conformance` tests any claimant."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from consentry.errors import EngineError
from consentry.types import Faces, Floats, Picture

CROP_PX = 112


class Detector(Protocol):
    """Finds faces. One object serves one thread at a time."""

    @property
    def sha256(self) -> str:
        """Hash of the weights, as in the catalogue."""

    def detect(self, bgr: Picture, *, min_score: float) -> Faces:
        """Every face of at least `min_score`, best first, in pixels of `bgr`.

        Raises:
            EngineError: `bgr` is no uint8 (H, W, 3) with H, W ≥ 1, or the engine was closed.
        """

    def close(self) -> None:
        """Free the engine; idempotent."""


class Recogniser(Protocol):
    """Turns aligned crops into templates. One object serves one thread at a time."""

    @property
    def sha256(self) -> str:
        """Hash of the weights, as in the catalogue."""

    @property
    def dimensions(self) -> int:
        """Length of a template."""

    def templates(self, crops_bgr: Picture) -> Floats:
        """Unit-norm float32 (N, dimensions) for uint8 (N, 112, 112, 3) crops from `align`.

        Raises:
            EngineError: the crops have another shape or type, or the engine was closed.
        """

    def close(self) -> None:
        """Free the engine; idempotent."""


def require_picture(bgr: Picture) -> None:
    """Refuse anything that is not one BGR picture.

    Raises:
        EngineError: not uint8, not (H, W, 3), or without pixels.
    """
    if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or 0 in bgr.shape:
        raise EngineError(f"a picture must be uint8 (H, W, 3) and not empty, but is {bgr.dtype} {bgr.shape}")


def scaled_to_fit(bgr: Picture, limit_wh: tuple[int, int]) -> Picture:
    """`bgr` (H, W, 3) made smaller to fit `limit_wh`, turned for a portrait picture; never made larger."""
    height, width = bgr.shape[:2]
    limit_w, limit_h = limit_wh if width >= height else limit_wh[::-1]
    scale = min(1.0, limit_w / width, limit_h / height)
    if scale == 1.0:
        return bgr
    small_wh = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(bgr, small_wh, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def require_crops(crops_bgr: Picture) -> None:
    """Refuse anything that is not a batch of aligned crops.

    Raises:
        EngineError: not uint8 or not (N, 112, 112, 3).
    """
    if crops_bgr.dtype != np.uint8 or crops_bgr.ndim != 4 or crops_bgr.shape[1:] != (CROP_PX, CROP_PX, 3):
        raise EngineError(
            f"crops must be uint8 (N, {CROP_PX}, {CROP_PX}, 3), but are {crops_bgr.dtype} {crops_bgr.shape}"
        )


def require_open(closed: bool) -> None:
    """Refuse work on a closed engine.

    Raises:
        EngineError: `closed` is true.
    """
    if closed:
        raise EngineError("this engine was closed")
