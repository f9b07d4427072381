"""Every face of one photo, with what enrolment and verification need to know about it."""

from __future__ import annotations

from consentry.types import Picture
from consentry.vision.align import align
from consentry.vision.load import Engines
from consentry.vision.quality import ENROL_FLOOR, assess, shortfalls
from consentry.vision.sample import FaceSample

FIND_SCORE = 0.5


class PhotoAnalyst:
    """A `PhotoAnalyser` on real engines.

    Args:
        engines: Detector and recogniser.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    @property
    def recogniser_sha256(self) -> str:
        """Hash of the weights that make the templates."""
        return self._engines.recogniser.sha256

    def analyse(self, bgr: Picture) -> list[FaceSample]:
        """Every face of the photo (uint8 (H, W, 3)), best detector score first.

        Raises:
            EngineError: no picture.
        """
        height, width = bgr.shape[:2]
        samples = []
        for face in self._engines.detector.detect(bgr, min_score=FIND_SCORE):
            crop = align(bgr, face.landmarks_xy)
            quality = assess(face, crop, (width, height))
            samples.append(
                FaceSample(
                    xyxy=face.xyxy,
                    landmarks_xy=face.landmarks_xy,
                    score=face.score,
                    template=self._engines.recogniser.templates(crop[None])[0],
                    quality=round(quality.score, 3),
                    refusals=shortfalls(quality, ENROL_FLOOR),
                )
            )
        return samples
