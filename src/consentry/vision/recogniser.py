"""A recogniser for any network that takes one ArcFace-aligned crop and gives one template."""

from __future__ import annotations

import cv2
import numpy as np

from consentry.errors import EngineError
from consentry.types import Floats, Picture
from consentry.vision.engines import CROP_PX, require_crops, require_open
from consentry.vision.runtime import Runtime, compile_network, prepared


class CropRecogniser:
    """A `Recogniser`.

    Args:
        model: The ONNX file's bytes.
        sha256: Their hash.
        runtime: What executes it.
        dimensions: Length of the template the network gives.
        mean: Subtracted from the pixel values, per channel in the network's order.
        scale: Multiplied after that.
        rgb: Whether the network takes red first.
    """

    def __init__(
        self,
        model: bytes,
        sha256: str,
        runtime: Runtime,
        *,
        dimensions: int,
        mean: tuple[float, float, float],
        scale: float,
        rgb: bool,
    ) -> None:
        self._network = compile_network(prepared(model), (1, 3, CROP_PX, CROP_PX), runtime)
        self._sha256 = sha256
        self._dimensions = dimensions
        self._mean, self._scale, self._rgb = mean, scale, rgb
        self._closed = False

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return self._sha256

    @property
    def dimensions(self) -> int:
        """Length of a template."""
        return self._dimensions

    def templates(self, crops_bgr: Picture) -> Floats:
        """See `Recogniser.templates`. Crops go through one by one: a batch gives what each gives alone.

        Raises:
            EngineError: also when the network gives no finite template of the stated length.
        """
        require_open(self._closed)
        require_crops(crops_bgr)
        found = np.empty((len(crops_bgr), self._dimensions), np.float32)
        for index, crop in enumerate(crops_bgr):
            batch: Floats = cv2.dnn.blobFromImage(
                crop, self._scale, mean=self._mean, swapRB=self._rgb
            ).astype(np.float32, copy=False)
            output = self._network.run(batch)[0].reshape(-1)
            norm = float(np.linalg.norm(output))
            if output.shape != (self._dimensions,) or not np.isfinite(norm) or norm == 0.0:
                raise EngineError(f"the recogniser gave {output.shape} of norm {norm}, not a template")
            found[index] = output / norm
        return found

    def close(self) -> None:
        """Mark it closed; the network goes with the object."""
        self._closed = True
