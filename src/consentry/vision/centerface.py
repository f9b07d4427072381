"""CenterFace, the default detector.

Xu, Yan, Yang, Qian 2019, "CenterFace: joint face detection and alignment using face as point".
The network gives four maps at a quarter of the input's size: the chance that a face's centre lies in
the cell, the logarithm of its height and width in cells, the centre's offset inside the cell, and ten
landmark coordinates (y, x, five times) as shares of the box from its top left corner.
"""

from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np

from consentry.errors import EngineError
from consentry.types import Faces, Floats, Picture
from consentry.vision.engines import require_open, require_picture, scaled_to_fit
from consentry.vision.runtime import Network, Runtime, compile_network, prepared

STRIDE_PX = 4
CANVAS_STEP_PX = 128
OVERLAP_IOU = 0.3
KEPT_CANVASES = 6


class CenterFace:
    """A `Detector`. Pictures larger than `detect_wh` are scaled down to fit it, never up.

    Each canvas is the scaled picture, padded with black on its right and bottom to a multiple of 128
    pixels, so that a handful of compiled shapes serves all pictures; the last six are kept.

    Args:
        model: The ONNX file's bytes.
        sha256: Their hash.
        runtime: What executes it.
        detect_wh: Largest canvas for a landscape picture; turned for a portrait one.
        rgb: Whether the network takes red first.
    """

    def __init__(
        self, model: bytes, sha256: str, runtime: Runtime, *, detect_wh: tuple[int, int], rgb: bool = True
    ) -> None:
        self._model = prepared(model)
        self._sha256 = sha256
        self._runtime = runtime
        self._detect_wh = detect_wh
        self._rgb = rgb
        self._networks: OrderedDict[tuple[int, int], Network] = OrderedDict()
        self._closed = False

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return self._sha256

    def detect(self, bgr: Picture, *, min_score: float) -> Faces:
        """See `Detector.detect`."""
        require_open(self._closed)
        require_picture(bgr)
        small = scaled_to_fit(bgr, self._detect_wh)
        scaled_wh = small.shape[1], small.shape[0]
        canvas_wh = tuple(-(-side // CANVAS_STEP_PX) * CANVAS_STEP_PX for side in scaled_wh)
        right, below = canvas_wh[0] - scaled_wh[0], canvas_wh[1] - scaled_wh[1]
        canvas = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        batch: Floats = cv2.dnn.blobFromImage(canvas, swapRB=self._rgb).astype(np.float32, copy=False)
        heat, log_hw, offset_yx, landmarks_yx = self._network(canvas_wh[0], canvas_wh[1]).run(batch)
        faces = decode(heat[0, 0], log_hw[0], offset_yx[0], landmarks_yx[0], min_score=min_score)
        return _in_picture(faces, scaled_wh, (bgr.shape[1], bgr.shape[0]))

    def close(self) -> None:
        """Free the compiled networks."""
        self._closed = True
        self._networks.clear()

    def _network(self, width: int, height: int) -> Network:
        network = self._networks.pop((width, height), None)
        if network is None:
            network = compile_network(self._model, (1, 3, height, width), self._runtime)
            if len(self._networks) >= KEPT_CANVASES:
                self._networks.popitem(last=False)
        self._networks[width, height] = network
        return network


def decode(
    heat: Floats, log_hw: Floats, offset_yx: Floats, landmarks_yx: Floats, *, min_score: float
) -> Faces:
    """Faces on the canvas from the four maps of one picture, overlapping ones removed.

    Args:
        heat: (h, w) in [0, 1].
        log_hw: (2, h, w).
        offset_yx: (2, h, w).
        landmarks_yx: (10, h, w).
        min_score: Least value of `heat`.

    Raises:
        EngineError: the maps do not belong together.
    """
    if log_hw.shape != (2, *heat.shape) or landmarks_yx.shape != (10, *heat.shape):
        raise EngineError(f"the detector gave maps {heat.shape}, {log_hw.shape}, {landmarks_yx.shape}")
    rows, columns = np.nonzero(heat >= min_score)
    if len(rows) == 0:
        return Faces.none()
    score = heat[rows, columns]
    box_h, box_w = np.exp(log_hw[:, rows, columns]) * STRIDE_PX
    top = (rows + offset_yx[0, rows, columns] + 0.5) * STRIDE_PX - box_h / 2
    left = (columns + offset_yx[1, rows, columns] + 0.5) * STRIDE_PX - box_w / 2
    marks = landmarks_yx[:, rows, columns]
    marks_x = marks[1::2] * box_w + left
    marks_y = marks[0::2] * box_h + top
    kept = cv2.dnn.NMSBoxes(
        np.stack([left, top, box_w, box_h], 1).tolist(), score.tolist(), min_score, OVERLAP_IOU
    )
    order = np.asarray(kept, dtype=np.intp).reshape(-1)
    xyxy = np.stack([left, top, left + box_w, top + box_h], 1)[order]
    landmarks_xy = np.stack([marks_x, marks_y], 2).transpose(1, 0, 2)[order]
    return Faces(xyxy.astype(np.float32), landmarks_xy.astype(np.float32), score[order].astype(np.float32))


def _in_picture(faces: Faces, scaled_wh: tuple[int, int], picture_wh: tuple[int, int]) -> Faces:
    """Canvas pixels to picture pixels; boxes that lie in the padding go."""
    factor = np.array(picture_wh, np.float32) / np.array(scaled_wh, np.float32)
    xyxy = (faces.xyxy * np.tile(factor, 2)).astype(np.float32)
    landmarks_xy = (faces.landmarks_xy * factor).astype(np.float32)
    inside = (xyxy[:, 0] < picture_wh[0]) & (xyxy[:, 1] < picture_wh[1])
    inside &= (xyxy[:, 2] > 0) & (xyxy[:, 3] > 0)
    return Faces(xyxy[inside], landmarks_xy[inside], faces.score[inside])
