"""From a track's crops to its one decision, and the proof that its face may still be shown.

Per track: collect the best crops, spaced in time; when there are enough, or the track ends, fuse and
decide once. Afterwards a crop every `recheck_s` must agree: for a known track with the person, for any
other with itself. Disagreement means that another face took the track's place, so the track is split.
A known face may be shown only *between* two such proofs, see `Following.may_show`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace

from consentry.config import Recognition
from consentry.gallery.decide import Decision
from consentry.gallery.fuse import Evidence, Sample, fuse
from consentry.pipeline.roster import Roster
from consentry.types import Floats, Frame
from consentry.vision.align import align
from consentry.vision.engines import Recogniser
from consentry.vision.quality import PROBE_FLOOR, Quality, assess, shortfalls
from consentry.vision.track import Track

DECIDE_WITHIN_S = 2.0
"""A track with fewer crops than wanted is decided this long after its first usable crop."""

PROOF_GAP_S = 1.0
"""Longest time between two proofs in which a known face stays visible."""

OTHER_FACE_COSINE = 0.2
"""A later crop below this against the track's own template is somebody else."""

RECHECK_S = 0.2


@dataclass(slots=True)
class Followed:
    """What is known of one track while it lasts."""

    track: Track
    evidence: Evidence
    decision: Decision | None = None
    fused: Floats | None = None
    best_quality: float = 0.0
    best_xyxy: Floats | None = None
    best_area_px: float = 0.0
    first_usable_s: float | None = None
    checked_s: float = -1e9
    proofs_s: list[float] = field(default_factory=list)
    doubts_s: list[float] = field(default_factory=list)
    name: str | None = None


class Following:
    """All tracks of one camera.

    Args:
        recogniser: Makes templates.
        policy: When and how to decide.
    """

    def __init__(self, recogniser: Recogniser, policy: Recognition) -> None:
        self._recogniser = recogniser
        self._policy = policy
        self._followed: dict[int, Followed] = {}
        self._leaving: dict[int, Followed] = {}
        self.templates_made = 0

    def observe(self, track: Track, frame: Frame, roster: Roster, unix_s: float) -> bool:
        """Take a track seen in `frame`. False: another face took its place, split it."""
        item = self._followed.setdefault(track.track_id, Followed(track, Evidence(self._policy.crop_gap_s)))
        self._note_box(item, track)
        if track.ambiguous:
            item.doubts_s.append(frame.time_s)
        decided = item.decision is not None
        if decided and frame.time_s - item.checked_s < RECHECK_S:
            return True
        crop = align(frame.bgr, track.face.landmarks_xy)
        quality = assess(track.face, crop, frame.frame_wh)
        if not self._usable(quality):
            return True
        if not decided and not item.evidence.wants(quality.score, frame.time_s):
            return True
        template = self._recogniser.templates(crop[None])[0]
        self.templates_made += 1
        if decided:
            item.checked_s = frame.time_s
            return self._recheck(item, template, frame.time_s, roster)
        if not item.evidence.agrees(template):
            return False
        item.evidence.add(Sample(template, quality.score, frame.time_s))
        item.best_quality = max(item.best_quality, quality.score)
        if item.first_usable_s is None:
            item.first_usable_s = frame.time_s
        enough = len(item.evidence) >= self._policy.track_crops
        if enough or frame.time_s - item.first_usable_s >= DECIDE_WITHIN_S:
            self._decide(item, frame.time_s, roster, unix_s)
        return True

    def end(self, track: Track, roster: Roster, unix_s: float) -> Followed | None:
        """A track is over: decide it if that is still open, and give up what was collected.

        It can still be asked about in `may_show` until `forget`.
        """
        item = self._followed.pop(track.track_id, None)
        if item is None:
            return None
        if item.decision is None:
            self._decide(item, None, roster, unix_s)
        item.fused = None
        self._leaving[track.track_id] = item
        return item

    def may_show(self, track_id: int, time_s: float, roster: Roster, unix_s: float) -> bool:
        """Whether the face of this track may be seen in the frame at `time_s`.

        Only if it is known, the person's consent covers being shown, it was proved before and after
        `time_s` within `PROOF_GAP_S`, and nothing made the track ambiguous in between.
        """
        item = self._followed.get(track_id) or self._leaving.get(track_id)
        if item is None or item.decision is None or item.decision.person_id is None:
            return False
        if roster.allowed(item.decision.person_id, "show", unix_s) is None:
            return False
        after = bisect_left(item.proofs_s, time_s)
        before = bisect_right(item.proofs_s, time_s) - 1
        if before < 0 or after >= len(item.proofs_s):
            return False
        start_s, stop_s = item.proofs_s[before], item.proofs_s[after]
        if stop_s - start_s > PROOF_GAP_S:
            return False
        return bisect_right(item.doubts_s, stop_s) == bisect_left(item.doubts_s, start_s)

    def forget(self, before_s: float) -> None:
        """Drop ended tracks last seen before `before_s`, and proofs nobody can ask about any more."""
        self._leaving = {key: item for key, item in self._leaving.items() if item.track.last_s >= before_s}
        for item in self._followed.values():
            del item.proofs_s[: max(0, bisect_left(item.proofs_s, before_s) - 1)]
            del item.doubts_s[: bisect_left(item.doubts_s, before_s)]

    def of(self, track_id: int) -> Followed | None:
        """What is known of a track."""
        return self._followed.get(track_id)

    def _usable(self, quality: Quality) -> bool:
        return quality.value("size_px") >= self._policy.min_face_px and not shortfalls(quality, PROBE_FLOOR)

    def _note_box(self, item: Followed, track: Track) -> None:
        left, top, right, bottom = (float(side) for side in track.face.xyxy)
        if (right - left) * (bottom - top) > item.best_area_px:
            item.best_area_px = (right - left) * (bottom - top)
            item.best_xyxy = track.face.xyxy

    def _decide(self, item: Followed, time_s: float | None, roster: Roster, unix_s: float) -> None:
        samples = item.evidence.best(self._policy.track_crops)
        if not samples:
            return
        item.fused = fuse(samples)
        decision = roster.gallery.decide(
            item.fused, frames=len(samples), quality=item.best_quality, policy=self._policy
        )
        if decision.person_id is not None:
            person = roster.allowed(decision.person_id, "match", unix_s)
            item.name = person.name if person else None
            if person is None:
                decision = _not_allowed(decision)
        item.decision = self._alone(decision, item)
        item.evidence = Evidence(self._policy.crop_gap_s)
        if time_s is not None:
            item.checked_s = time_s
            if item.decision.person_id is not None:
                item.proofs_s.append(time_s)

    def _alone(self, decision: Decision, item: Followed) -> Decision:
        """One person cannot be in two places: the weaker of two tracks with one name becomes unsure."""
        for other in self._followed.values():
            rival = other.decision
            if other is item or rival is None or rival.person_id is None:
                continue
            if rival.person_id == decision.person_id and other.track.last_s >= item.track.first_s:
                if (rival.score or 0.0) >= (decision.score or 0.0):
                    return _unsure(decision, other.track.track_id)
                other.decision, other.name = _unsure(rival, item.track.track_id), None
        return decision

    def _recheck(self, item: Followed, template: Floats, time_s: float, roster: Roster) -> bool:
        if item.fused is not None and float(item.fused @ template) < OTHER_FACE_COSINE:
            return False
        person_id = item.decision.person_id if item.decision else None
        if person_id is not None and roster.gallery.confirms(template, person_id, policy=self._policy):
            item.proofs_s.append(time_s)
        return True


def _not_allowed(decision: Decision) -> Decision:
    """What is left of a decision about someone whose consent ended since the roster was read: nothing."""
    return replace(
        decision,
        outcome="unknown",
        person_id=None,
        score=None,
        margin=None,
        reason="nobody whose consent is in force comes near",
    )


def _unsure(decision: Decision, other_track: int) -> Decision:
    return replace(
        decision,
        outcome="unsure",
        person_id=None,
        reason=f"the same person was seen at the same time in track {other_track}",
    )
