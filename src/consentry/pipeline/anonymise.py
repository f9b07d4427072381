"""Hiding every face of a video or photo: no recognition, no data folder, nobody shown."""

from __future__ import annotations

from collections.abc import Iterator

from consentry.config import Redaction, Settings
from consentry.errors import EngineError
from consentry.pipeline.camera import Counts, Detected, split_by_score
from consentry.privacy.cover import cover, with_margin
from consentry.privacy.redact import Redacted, Redactor
from consentry.types import Faces, Frame, Picture
from consentry.vision.engines import Detector
from consentry.vision.track import Tracker


class Anonymiser:
    """The stages of `consentry redact`, fed frame by frame like `CameraPipeline`.

    Args:
        detector: Finds faces.
        settings: Scores to follow and to cover from, and how to cover.
    """

    def __init__(self, detector: Detector, settings: Settings) -> None:
        self.counts = Counts()
        self._detector, self._vision = detector, settings.vision
        self._tracker = Tracker()
        self._redactor = Redactor(settings.redaction, lambda track_id, time_s: False)

    def detect(self, frame: Frame) -> Faces:
        """As `CameraPipeline.detect`."""
        return self._detector.detect(frame.bgr, min_score=self._vision.cover_score)

    def process(self, frame: Frame, detected: Detected | None = None) -> Iterator[Redacted]:
        """Hide the faces of one frame; yield the frames that may leave now, oldest first."""
        try:
            found = detected() if detected else self.detect(frame)
        except EngineError:
            self.counts.drops["analysis_failed"] += 1
            yield from self._redactor.push_unseen(frame)
            return
        faces, possible = split_by_score(found, self._vision.find_score)
        step = self._tracker.update(faces, frame.time_s)
        self.counts.frames_analysed += 1
        self.counts.faces += len(faces)
        self.counts.tracks += len(step.born)
        yield from self._redactor.push(frame, step, possible)

    def finish(self) -> Iterator[Redacted]:
        """The stream is over: let the waiting frames go."""
        yield from self._redactor.finish()


def anonymise_photo(bgr: Picture, detector: Detector, *, cover_score: float, redaction: Redaction) -> int:
    """Hide every face of `bgr` (uint8 (H, W, 3)) in place; return how many.

    Raises:
        EngineError: no picture.
    """
    faces = detector.detect(bgr, min_score=cover_score)
    cover(bgr, [with_margin(face.xyxy, redaction.margin) for face in faces], redaction.style)
    return len(faces)
