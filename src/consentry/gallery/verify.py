"""1:1 verification: are these two photos of one person?"""

from __future__ import annotations

from dataclasses import dataclass

from consentry.errors import ManyFacesFound, NoFaceFound
from consentry.gallery.calibration import Calibration
from consentry.types import Picture
from consentry.vision.sample import FaceSample, PhotoAnalyser

FMR_TARGET = 1e-3
"""Wanted share of different people that pass, before the allowance for unmeasured groups."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer to one comparison.

    Attributes:
        match: Whether `score` is at least `threshold`.
        score: Cosine in [-1, 1], rounded to 4 places; not a probability.
        threshold: For `fmr_target` under the calibration in use.
        fmr_target: The wanted false match rate.
        quality: Of both faces, in [0, 1].
        calibration: Its version.
    """

    match: bool
    score: float
    threshold: float
    fmr_target: float
    quality: tuple[float, float]
    calibration: str


def the_face(analyser: PhotoAnalyser, bgr: Picture, name: str) -> FaceSample:
    """The one face of a photo called `name` in messages.

    Raises:
        NoFaceFound, ManyFacesFound: the photo does not show exactly one.
    """
    faces = analyser.analyse(bgr)
    if not faces:
        raise NoFaceFound(f"{name}: no face was found", "Use a photo in which the face is larger and lit")
    if len(faces) > 1:
        raise ManyFacesFound(f"{name}: {len(faces)} faces were found", "Crop the photo to one person")
    return faces[0]


def verify(
    first: FaceSample, second: FaceSample, calibration: Calibration, *, fmr_target: float = FMR_TARGET
) -> Verification:
    """Compare two faces at the threshold for `fmr_target`."""
    score = round(float(first.template @ second.template), 4)
    threshold = calibration.threshold(fmr=fmr_target)
    return Verification(
        match=score >= threshold,
        score=score,
        threshold=threshold,
        fmr_target=fmr_target,
        quality=(first.quality, second.quality),
        calibration=calibration.version,
    )
