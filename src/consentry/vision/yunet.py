"""YuNet (Wu, Peng, Yu 2023, "YuNet: a tiny millisecond-level face detector") through OpenCV's own decoder."""

from __future__ import annotations

import cv2
import numpy as np

from consentry.errors import EngineError
from consentry.types import Faces, Picture
from consentry.vision.engines import require_open, require_picture, scaled_to_fit

OVERLAP_IOU = 0.3
MOST_FACES = 500


class YuNet:
    """A `Detector` from the optional OpenCV Zoo pack; pictures larger than `detect_wh` are scaled down.

    Args:
        model: The ONNX file's bytes.
        sha256: Their hash.
        detect_wh: Largest picture for the network, landscape; turned for a portrait one.

    Raises:
        EngineError: the bytes are no network that OpenCV can run.
    """

    def __init__(self, model: bytes, sha256: str, *, detect_wh: tuple[int, int]) -> None:
        self._sha256 = sha256
        self._detect_wh = detect_wh
        try:
            self._network = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(model, np.uint8),
                np.zeros(0, np.uint8),
                detect_wh,
                0.5,
                OVERLAP_IOU,
                MOST_FACES,
            )
        except cv2.error as error:
            raise EngineError(f"OpenCV cannot run this detector: {error}") from None
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
        small = scaled_to_fit(bgr, self._detect_wh)
        small_wh = small.shape[1], small.shape[0]
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
