"""One camera, stage by stage: detect, track, recognise, redact, record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from consentry.clock import Clock
from consentry.config import Settings
from consentry.errors import EngineError
from consentry.pipeline.following import Following
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import Sighting, sighting_of
from consentry.privacy.redact import Redacted, Redactor
from consentry.types import Faces, Frame
from consentry.vision.engines import Detector, Recogniser
from consentry.vision.track import Track, Tracker

Detected = Callable[[], Faces]


@dataclass(slots=True)
class Counts:
    """What one camera did so far; `drops` by cause."""

    frames_analysed: int = 0
    faces: int = 0
    tracks: int = 0
    splits: int = 0
    drops: Counter[str] = field(default_factory=Counter)


class CameraPipeline:
    """The stages of one camera, fed frame by frame.

    Args:
        camera: Its name.
        detector: Finds faces.
        recogniser: Makes templates.
        roster: Who may be recognised and shown; set `roster` to replace it.
        settings: Vision, recognition and redaction.
        clock: For the validity of consents.
        on_sighting: Told of each finished track.
    """

    def __init__(
        self,
        camera: str,
        detector: Detector,
        recogniser: Recogniser,
        roster: Roster,
        settings: Settings,
        clock: Clock,
        on_sighting: Callable[[Sighting], None],
    ) -> None:
        self.roster = roster
        self.counts = Counts()
        self.following = Following(recogniser, settings.recognition)
        self._camera, self._detector, self._recogniser = camera, detector, recogniser
        self._settings, self._clock, self._on_sighting = settings, clock, on_sighting
        self._tracker = Tracker()
        self._redactor = Redactor(settings.redaction, self._may_show)

    def detect(self, frame: Frame) -> Faces:
        """Every face and possible face of `frame`; may run ahead of `process`, in another thread.

        Raises:
            EngineError: the detector failed.
        """
        return self._detector.detect(frame.bgr, min_score=self._settings.vision.cover_score)

    def process(self, frame: Frame, detected: Detected | None = None) -> Iterator[Redacted]:
        """Analyse one frame; yield the redacted frames that may leave now, oldest first.

        Args:
            frame: The next one.
            detected: Gives what `detect` found in it, or raises as that did; None detects now.
        """
        try:
            found = detected() if detected else self.detect(frame)
            faces, possible = split_by_score(found, self._settings.vision.find_score)
            step = self._tracker.update(faces, frame.time_s)
            now_s = self._clock.unix_s()
            for track in step.seen:
                if not self.following.observe(track, frame, self.roster, now_s):
                    self._tracker.split(track)
                    self.counts.splits += 1
                    step.ended.append(track)
        except EngineError:
            self.counts.drops["analysis_failed"] += 1
            yield from self._redactor.push_unseen(frame)
            return
        self.counts.frames_analysed += 1
        self.counts.faces += len(faces)
        for track in step.ended:
            self._end(track, now_s)
        self.following.forget(frame.time_s - 2 * self._settings.redaction.lead_s - 1.0)
        yield from self._redactor.push(frame, step, possible)

    def finish(self) -> Iterator[Redacted]:
        """The stream is over: end all tracks and let the waiting frames go."""
        for track in self._tracker.finish():
            self._end(track, self._clock.unix_s())
        yield from self._redactor.finish()

    def _end(self, track: Track, now_s: float) -> None:
        item = self.following.end(track, self.roster, now_s)
        if item is not None:
            self.counts.tracks += 1
            calibration = self.roster.gallery.calibration.version
            self._on_sighting(
                sighting_of(self._camera, item, model=self._recogniser.sha256, calibration=calibration)
            )

    def _may_show(self, track_id: int, time_s: float) -> bool:
        return self.following.may_show(track_id, time_s, self.roster, self._clock.unix_s())


def split_by_score(found: Faces, find_score: float) -> tuple[Faces, Faces]:
    """Faces to follow, and possible faces that are only covered."""
    sure = np.asarray(found.score >= find_score)
    return (
        Faces(found.xyxy[sure], found.landmarks_xy[sure], found.score[sure]),
        Faces(found.xyxy[~sure], found.landmarks_xy[~sure], found.score[~sure]),
    )
