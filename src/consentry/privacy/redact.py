"""Redaction by track, fail-closed (invariant I2).

A frame waits for `lead_s` before it is let go, so that a face found now can be hidden in the frames
in which it was already there but not yet found. Until then it is only covered more, never less:

- a face of a track is covered in every frame unless `may_show(track_id, time_s)` says otherwise;
- a possible face below the tracking score is covered;
- a track is covered for `lead_s` before its first detection and `trail_s` after its last, at its
  predicted place, with a margin that grows with the time since it was seen;
- frames in the middle of a track that miss its face are covered between the places before and after;
- a frame nobody analysed, or whose analysis failed, is covered whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from consentry.config import Redaction
from consentry.privacy.cover import cover, covered_whole, with_margin
from consentry.types import Faces, Floats, Frame, Picture
from consentry.vision.track import Step, Track

GROWTH_PER_S = 1.0
"""How much a cover's margin grows for each second since the face was last seen, in box sizes."""

MayShow = Callable[[int, float], bool]


@dataclass(frozen=True, slots=True)
class Redacted:
    """A frame that may leave: `bgr` is a new picture with everyone hidden who may not be shown.

    Attributes:
        camera: As the original frame, like `sequence` and `time_s`.
        bgr: uint8 (H, W, 3).
        covers: How many regions were hidden.
        shown: Tracks whose face was left visible.
        whole: Whether all of it was hidden.
    """

    camera: str
    sequence: int
    time_s: float
    bgr: Picture = field(repr=False)
    covers: int
    shown: tuple[int, ...]
    whole: bool


@dataclass(slots=True)
class _Waiting:
    frame: Frame
    tracked: list[tuple[int, Floats]] = field(default_factory=list)
    always: list[Floats] = field(default_factory=list)
    whole: bool = False


@dataclass(slots=True)
class _Seen:
    """Where and when a track was last seen, for the gap between two detections."""

    time_s: float
    xyxy: Floats


class Redactor:
    """Takes each frame with what was found in it, gives it back redacted, `lead_s` later.

    Args:
        settings: Style, margin, lead and trail.
        may_show: Asked when a frame leaves: whether this track's face may be shown at this time.
    """

    def __init__(self, settings: Redaction, may_show: MayShow) -> None:
        self._settings = settings
        self._may_show = may_show
        self._waiting: deque[_Waiting] = deque()
        self._last_seen: dict[int, _Seen] = {}
        self._trails: list[tuple[Track, float]] = []

    def push(self, frame: Frame, step: Step, possible: Faces) -> Iterator[Redacted]:
        """Add a frame, its tracks, and its possible faces; yield the frames whose wait is over."""
        entry = _Waiting(frame)
        self._waiting.append(entry)
        entry.always += [self._grown(face.xyxy, 0.0) for face in possible]
        for track in step.born:
            self._cover_lead(track, frame.time_s)
        for track in step.seen:
            self._cover_gap(track, frame.time_s)
            entry.tracked.append((track.track_id, self._grown(track.face.xyxy, 0.0)))
            self._last_seen[track.track_id] = _Seen(frame.time_s, track.face.xyxy)
        for track in [*step.lost, *(track for track, _ in self._trails)]:
            if frame.time_s - track.last_s <= self._settings.trail_s:
                away_s = frame.time_s - track.last_s
                entry.always.append(self._grown(track.predicted_xyxy(frame.time_s), away_s))
                entry.always.append(self._grown(track.face.xyxy, 0.0))
        self._retire(step.ended, frame.time_s)
        yield from self._release(frame.time_s)

    def push_unseen(self, frame: Frame) -> Iterator[Redacted]:
        """Add a frame that could not be analysed: all of it is hidden."""
        self._waiting.append(_Waiting(frame, whole=True))
        yield from self._release(frame.time_s)

    def finish(self) -> Iterator[Redacted]:
        """The stream is over: let all waiting frames go."""
        while self._waiting:
            yield self._draw(self._waiting.popleft())

    def _release(self, now_s: float) -> Iterator[Redacted]:
        while self._waiting and now_s - self._waiting[0].frame.time_s >= self._settings.lead_s:
            yield self._draw(self._waiting.popleft())

    def _draw(self, entry: _Waiting) -> Redacted:
        frame = entry.frame
        if entry.whole:
            return Redacted(frame.camera, frame.sequence, frame.time_s, covered_whole(frame.bgr), 1, (), True)
        shown = tuple(track for track, _ in entry.tracked if self._may_show(track, frame.time_s))
        boxes = [box for track, box in entry.tracked if track not in shown] + entry.always
        bgr = frame.bgr.copy()
        cover(bgr, boxes, self._settings.style)
        return Redacted(frame.camera, frame.sequence, frame.time_s, bgr, len(boxes), shown, False)

    def _grown(self, xyxy: Floats, away_s: float) -> Floats:
        return with_margin(xyxy, self._settings.margin + GROWTH_PER_S * away_s)

    def _cover_lead(self, track: Track, now_s: float) -> None:
        for entry in self._waiting:
            before_s = now_s - entry.frame.time_s
            if 0 < before_s <= self._settings.lead_s:
                entry.always.append(self._grown(track.face.xyxy, before_s))

    def _cover_gap(self, track: Track, now_s: float) -> None:
        """Cover the frames between this detection and the one before it."""
        before = self._last_seen.get(track.track_id)
        if before is None:
            return
        for entry in self._waiting:
            if before.time_s < entry.frame.time_s < now_s:
                share = (entry.frame.time_s - before.time_s) / (now_s - before.time_s)
                between = before.xyxy + np.float32(share) * (track.face.xyxy - before.xyxy)
                away_s = min(entry.frame.time_s - before.time_s, now_s - entry.frame.time_s)
                entry.always.append(self._grown(between.astype(np.float32), away_s))

    def _retire(self, ended: list[Track], now_s: float) -> None:
        self._trails += [(track, track.last_s) for track in ended]
        self._trails = [(t, last_s) for t, last_s in self._trails if now_s - last_s <= self._settings.trail_s]
        for track in ended:
            self._last_seen.pop(track.track_id, None)
