"""Following a face through one camera's frames.

Own code rather than a tracking library because a swapped identity is a privacy failure here, not a
cosmetic one: the tracker must say when it is not sure (`ambiguous`) and must prefer ending a track to
handing it to another face. See docs/decisions/0003-tracker.md for the libraries looked at.

Matching: greedy-free optimal assignment (Kuhn 1955) on overlap with the predicted box; prediction is
constant velocity, as in SORT (Bewley et al. 2016) without its covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from consentry.types import Face, Faces, Floats

MIN_AFFINITY = 0.05
"""Least generalised overlap (see `affinity`) at which a face may continue a track."""

RIVAL_AFFINITY = 0.05
"""A second face or track at least this close makes a match ambiguous."""

VELOCITY_GAIN = 0.4
"""Share of the newest displacement in the smoothed velocity."""


@dataclass(slots=True)
class Track:
    """One face over time.

    Attributes:
        track_id: Counts up from 1 within one camera.
        first_s: Time of its first detection, on the stream's clock.
        last_s: Time of its latest detection.
        frames: Detections so far.
        face: The latest detection.
        velocity_px_s: float32 (4,), change of each box side per second.
        ambiguous: Whether, in the latest frame, another face could have been this one.
    """

    track_id: int
    first_s: float
    last_s: float
    frames: int
    face: Face
    velocity_px_s: Floats = field(default_factory=lambda: np.zeros(4, np.float32))
    ambiguous: bool = False

    def predicted_xyxy(self, time_s: float) -> Floats:
        """Where the box should be at `time_s`, at constant velocity; its size is kept."""
        moved_s = np.float32(time_s - self.last_s)
        shift = self.velocity_px_s.reshape(2, 2).mean(0) * moved_s
        return np.asarray(self.face.xyxy + np.tile(shift, 2), np.float32)


@dataclass(frozen=True, slots=True)
class Step:
    """What one frame changed.

    Attributes:
        seen: Tracks detected in this frame, new ones included.
        born: Those of them that are new.
        lost: Tracks that live on without a detection in this frame.
        ended: Tracks that were lost for too long and are over.
    """

    seen: list[Track]
    born: list[Track]
    lost: list[Track]
    ended: list[Track]


class Tracker:
    """Turns each frame's faces into tracks.

    Args:
        max_gap_s: A track without a detection for longer than this is over.
    """

    def __init__(self, *, max_gap_s: float = 0.5) -> None:
        self._max_gap_s = max_gap_s
        self._tracks: list[Track] = []
        self._next_id = 1

    def update(self, faces: Faces, time_s: float) -> Step:
        """Take the faces of the frame at `time_s`, later than all before."""
        ended = [track for track in self._tracks if time_s - track.last_s > self._max_gap_s]
        alive = [track for track in self._tracks if time_s - track.last_s <= self._max_gap_s]
        close = affinity([track.predicted_xyxy(time_s) for track in alive], faces.xyxy)
        rows, columns = linear_sum_assignment(-close) if close.size else ((), ())
        matched = {
            int(column): alive[row]
            for row, column in zip(rows, columns, strict=True)
            if close[row, column] >= MIN_AFFINITY
        }
        seen, born = [], []
        for index, face in enumerate(faces):
            track = matched.get(index)
            if track is None:
                track = Track(self._next_id, time_s, time_s, 0, face)
                self._next_id += 1
                born.append(track)
            _advance(track, face, time_s)
            seen.append(track)
        for row, track in enumerate(alive):
            track.ambiguous = bool((np.sort(close[row])[:-1] >= RIVAL_AFFINITY).any())
        for column, track in matched.items():
            track.ambiguous |= bool((close[:, column] >= RIVAL_AFFINITY).sum() > 1)
        for track in born:
            track.ambiguous = any(
                other is not track and _touch(track.face.xyxy, other.face.xyxy) for other in seen
            )
        known = {id(track) for track in seen}
        lost = [track for track in alive if id(track) not in known]
        self._tracks = [*lost, *seen]
        return Step(seen, born, lost, ended)

    def split(self, track: Track) -> Track:
        """End `track` at its latest detection and go on with a new one there: another face took its place.

        The old object keeps its history and is no longer followed; the new one is returned.
        """
        fresh = Track(self._next_id, track.last_s, track.last_s, 1, track.face, track.velocity_px_s.copy())
        self._next_id += 1
        self._tracks = [fresh if item is track else item for item in self._tracks]
        return fresh

    def finish(self) -> list[Track]:
        """End all tracks: the stream is over."""
        ended, self._tracks = self._tracks, []
        return ended


def _advance(track: Track, face: Face, time_s: float) -> None:
    elapsed_s = time_s - track.last_s
    if track.frames and elapsed_s > 0:
        velocity = (face.xyxy - track.face.xyxy) / np.float32(elapsed_s)
        track.velocity_px_s = ((1 - VELOCITY_GAIN) * track.velocity_px_s + VELOCITY_GAIN * velocity).astype(
            np.float32
        )
    track.face = face
    track.last_s = time_s
    track.frames += 1


def affinity(tracks_xyxy: Sequence[Floats], faces_xyxy: Floats) -> Floats:
    """How well each face continues each track: float32 (tracks, faces) in [-1, 1].

    Generalised intersection over union (Rezatofighi et al. 2019) of boxes enlarged by half, so that a
    quick face whose boxes no longer overlap still scores above 0.
    """
    if not len(tracks_xyxy) or not len(faces_xyxy):
        return np.zeros((len(tracks_xyxy), len(faces_xyxy)), np.float32)
    a = _enlarged(np.stack(tracks_xyxy))[:, None]
    b = _enlarged(faces_xyxy)[None]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    hull = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    both = overlap.prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both
    hull_area = np.maximum(hull.prod(-1), 1e-6)
    giou = both / np.maximum(union, 1e-6) - (hull_area - union) / hull_area
    return np.asarray(giou, np.float32)


def _enlarged(xyxy: Floats) -> Floats:
    middle = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    half = (xyxy[:, 2:] - xyxy[:, :2]) * 0.75
    return np.hstack([middle - half, middle + half])


def _touch(a: Floats, b: Floats) -> bool:
    return bool((np.minimum(a[2:], b[2:]) > np.maximum(a[:2], b[:2])).all())
