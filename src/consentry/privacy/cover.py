"""Hiding regions of a picture.

Solid fill is the default because it leaves nothing to undo: mosaics and blurs of faces have been
recognised by machines (McPherson, Shokri, Shmatikov 2016, arXiv 1609.00408).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np

from consentry.errors import UsageError
from consentry.types import Floats, Picture

Style = Literal["solid", "mosaic", "blur"]

FILL_BGR = (64, 56, 48)
MOSAIC_CELLS = 6


def with_margin(xyxy: Floats, margin: float) -> Floats:
    """The box `xyxy` (4,) grown on every side by `margin` times its longer side."""
    grow = float(max(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1])) * margin
    return (xyxy + np.array([-grow, -grow, grow, grow], np.float32)).astype(np.float32)


def cover(bgr: Picture, boxes_xyxy: Iterable[Floats], style: Style) -> None:
    """Hide each box in `bgr`, in place. Boxes are clipped to the picture; those outside do nothing.

    Raises:
        UsageError: `style` is none of solid, mosaic, blur.
    """
    height, width = bgr.shape[:2]
    for xyxy in boxes_xyxy:
        left, top = (max(0, int(np.floor(side))) for side in xyxy[:2])
        right, bottom = min(width, int(np.ceil(xyxy[2]))), min(height, int(np.ceil(xyxy[3])))
        if right > left and bottom > top:
            region = bgr[top:bottom, left:right]
            if style == "solid":
                region[:] = FILL_BGR
            elif style == "mosaic":
                cells = cv2.resize(region, (MOSAIC_CELLS, MOSAIC_CELLS), interpolation=cv2.INTER_AREA)
                region[:] = cv2.resize(cells, region.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            elif style == "blur":
                sigma = max(region.shape[:2]) / 6
                region[:] = cv2.GaussianBlur(region, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
            else:
                raise UsageError(f"there is no cover called {style}", "Use solid, mosaic or blur")


def covered_whole(bgr: Picture) -> Picture:
    """A picture of the same size in which everything is hidden."""
    hidden = np.empty_like(bgr)
    hidden[:] = FILL_BGR
    return hidden
