"""What enrolment needs to know of a photo's faces, and who tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from consentry.types import Floats, Picture


@dataclass(frozen=True)
class FaceSample:
    """One face of a photo, with its template.

    Attributes:
        xyxy: float32 (4,), pixels of the photo.
        landmarks_xy: float32 (5, 2), pixels of the photo.
        score: Detector confidence in [0, 1].
        template: float32 (512,), unit norm.
        quality: Fitness for recognition in [0, 1].
        refusals: Why it is not good enough to enrol, such as "face is 20 px wide, 64 needed"; empty if it is.
    """

    xyxy: Floats
    landmarks_xy: Floats
    score: float
    template: Floats = field(repr=False)
    quality: float
    refusals: tuple[str, ...]


class PhotoAnalyser(Protocol):
    """Finds every face of a photo and makes its template."""

    @property
    def recogniser_sha256(self) -> str:
        """SHA-256 of the model that makes the templates, hexadecimal."""

    def analyse(self, bgr: Picture) -> list[FaceSample]:
        """Every face found in a photo, uint8 (H, W, 3) in the order blue, green, red; best score first."""
