"""YuNet (Wu, Peng, Yu 2023, "YuNet: a tiny millisecond-level face detector") through OpenCV's own decoder."""

from __future__ import annotations

import cv2
import numpy as np

from consentry.types import Faces, Picture
from consentry.vision.engines import require_open, require_picture

OVERLAP_IOU = 0.3
MOST_FACES = 500


class YuNet:
    """A `Detector` from the optional OpenCV Zoo pack; pictures larger than `detect_wh` are scaled down.

    Args:
        model: The ONNX file's bytes.
        sha256: Their hash.
        detect_wh: Largest picture for the network, landscape; turned for a portrait one.
    """

    def __init__(self, model: bytes, sha256: str, *, detect_wh: tuple[int, int]) -> None:
        self._sha256 = sha256
        self._detect_wh = detect_wh
        self._network = cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(model, np.uint8),
            np.zeros(0, np.uint8),
            detect_wh,
            0.5,
            OVERLAP_IOU,
            MOST_FACES,
        )
        self._closed = False

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return self._sha256

    def detect(self, bgr: Picture, *, min_score: float) -> Faces:
        """See `Detector.detect`."""
        require_open(self._closed)
        require_picture(bgr)
        height, width = bgr.shape[:2]
        limit_w, limit_h = self._detect_wh if width >= height else self._detect_wh[::-1]
        scale = min(1.0, limit_w / width, limit_h / height)
        small_wh = max(1, round(width * scale)), max(1, round(height * scale))
        small = bgr if scale == 1.0 else cv2.resize(bgr, small_wh, interpolation=cv2.INTER_AREA)
        self._network.setInputSize(small_wh)
        self._network.setScoreThreshold(min_score)
        rows = self._network.detect(small)[1]
        if rows is None or not len(rows):
            return Faces.none()
        rows = rows[np.argsort(-rows[:, 14])].astype(np.float32)
        factor = np.array([width / small_wh[0], height / small_wh[1]], np.float32)
        corner, size = rows[:, 0:2] * factor, rows[:, 2:4] * factor
        marks = (rows[:, 4:14].reshape(-1, 5, 2) * factor).astype(np.float32)
        xyxy = np.hstack([corner, corner + size]).astype(np.float32)
        return Faces(xyxy, marks, rows[:, 14].astype(np.float32))

    def close(self) -> None:
        """Mark it closed; the network goes with the object."""
        self._closed = True
