"""The record of a decision, as `watch --jsonl` prints it and the store keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consentry.pipeline.following import Followed
from consentry.types import Outcome


@dataclass(frozen=True, slots=True)
class Sighting:
    """One finished track.

    Attributes:
        camera: Its name.
        track: Number of the track on this camera.
        first_s: Time of its first detection, on the stream's clock.
        last_s: Time of its last.
        frames: Frames in which its face was found.
        decision: The outcome.
        person_id: Who, when known.
        name: Their name, when known.
        score: Cosine of the best reference, rounded to 4 places, None if none came near.
        margin: Lead over the second person in cosine.
        quality: Of the best crop, in [0, 1]; 0 when none could be used.
        best_xyxy: The largest box of the track, in pixels.
        crops: Crops fused into the probe.
        threshold: Cosine from which it would have been known; None when there was no probe.
        references: Templates searched.
        reason: One clause in words.
        model: SHA-256 of the recogniser.
        calibration: Version of the calibration.
        gallery_digest: SHA-256 of the references searched; None when nothing was searched.
    """

    camera: str
    track: int
    first_s: float
    last_s: float
    frames: int
    decision: Outcome
    person_id: str | None
    name: str | None
    score: float | None
    margin: float | None
    quality: float
    best_xyxy: tuple[float, float, float, float]
    crops: int
    threshold: float | None
    references: int
    reason: str
    model: str
    calibration: str
    gallery_digest: str | None

    def line(self) -> dict[str, Any]:
        """The JSON object of `watch --jsonl`."""
        person = {"id": self.person_id, "name": self.name} if self.person_id else None
        return {
            "camera": self.camera,
            "track": self.track,
            "first_s": self.first_s,
            "last_s": self.last_s,
            "frames": self.frames,
            "decision": self.decision,
            "person": person,
            "score": self.score,
            "margin": self.margin,
            "quality": self.quality,
            "best_xyxy": list(self.best_xyxy),
            "model": self.model,
            "calibration": self.calibration,
            "crops": self.crops,
            "threshold": self.threshold,
            "references": self.references,
            "reason": self.reason,
            "gallery_digest": self.gallery_digest,
        }


def sighting_of(camera: str, item: Followed, *, model: str, calibration: str) -> Sighting:
    """The record of a track that ended."""
    track, decision = item.track, item.decision
    left, top, right, bottom = (
        round(float(side), 1) for side in (track.face.xyxy if item.best_xyxy is None else item.best_xyxy)
    )
    return Sighting(
        camera=camera,
        track=track.track_id,
        first_s=round(track.first_s, 3),
        last_s=round(track.last_s, 3),
        frames=track.frames,
        decision=decision.outcome if decision else "unknown",
        person_id=decision.person_id if decision else None,
        name=item.name if decision and decision.person_id else None,
        score=decision.score if decision else None,
        margin=decision.margin if decision else None,
        quality=decision.quality if decision else 0.0,
        best_xyxy=(left, top, right, bottom),
        crops=decision.frames if decision else 0,
        threshold=decision.threshold if decision else None,
        references=decision.references if decision else 0,
        reason=decision.reason if decision else item.undecided,
        model=model,
        calibration=calibration,
        gallery_digest=decision.gallery_digest if decision else None,
    )
