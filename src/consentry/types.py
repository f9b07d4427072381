"""The validated values that pass between packages. Shapes, units and colour order are stated here once.

Boxes are `xyxy`: x_min, y_min, x_max, y_max in pixels of the frame they were found in, x to the
right, y down, origin at the top left corner. Sizes are `wh`: width, then height. Pictures are
uint8 arrays of shape (H, W, 3), channels in the order blue, green, red unless the name says `_rgb`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from consentry.errors import EngineError

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Outcome = Literal["known", "unsure", "unknown"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture of one camera.

    Attributes:
        camera: The camera's name.
        sequence: Counts every frame the source gave since it was opened, from 0; a gap is a counted drop.
        time_s: Capture time on the stream's own clock, in seconds since its first frame.
        bgr: uint8 (H, W, 3), read-only by convention: a stage that draws makes its own copy.
    """

    camera: str
    sequence: int
    time_s: float
    bgr: Picture = field(repr=False)

    @property
    def frame_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int(self.bgr.shape[1]), int(self.bgr.shape[0])


@dataclass(frozen=True, slots=True)
class Faces:
    """What a detector found in one frame, best score first.

    Attributes:
        xyxy: float32 (N, 4).
        landmarks_xy: float32 (N, 5, 2): the subject's right eye, left eye, nose tip, right and left
            mouth corner, i.e. left to right as seen in the picture.
        score: float32 (N,), detector confidence in [0, 1]; not comparable between detectors.

    Raises:
        EngineError: a shape or type differs.
    """

    xyxy: Floats
    landmarks_xy: Floats
    score: Floats

    def __post_init__(self) -> None:
        count = len(self.score)
        for name, array, shape in (
            ("xyxy", self.xyxy, (count, 4)),
            ("landmarks_xy", self.landmarks_xy, (count, 5, 2)),
            ("score", self.score, (count,)),
        ):
            if array.shape != shape or array.dtype != np.float32:
                raise EngineError(f"Faces.{name} must be float32 {shape}, but is {array.dtype} {array.shape}")

    def __len__(self) -> int:
        return len(self.score)

    def __iter__(self) -> Iterator[Face]:
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, index: int) -> Face:
        return Face(self.xyxy[index], self.landmarks_xy[index], float(self.score[index]))

    @classmethod
    def none(cls) -> Faces:
        """No face at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros((0,), np.float32))


@dataclass(frozen=True, slots=True)
class Face:
    """One row of `Faces`: xyxy float32 (4,), landmarks_xy float32 (5, 2), score in [0, 1]."""

    xyxy: Floats
    landmarks_xy: Floats
    score: float


_URL_USERINFO = re.compile(r"(?<=://).*(?=@)")


def redact_url(url: str) -> str:
    """`url` without its user name, password and query values, safe to print, store and log.

    `rtsp://admin:secret@10.0.0.5/a?token=x` becomes `rtsp://***@10.0.0.5/a?***`. Everything up to the
    last @ counts as credentials, because passwords with @, / or ? in them are often written unencoded.
    Anything that is not a URL comes back as it is.
    """
    if "://" not in url:
        return url
    masked = _URL_USERINFO.sub("***", url)
    address, query, _ = masked.partition("?")
    return f"{address}?***" if query else address.partition("#")[0]


def has_credentials(url: str) -> bool:
    """Whether `url` carries a user name or password."""
    return bool(_URL_USERINFO.search(url))
