"""The tracker: one face, one number; doubt said; no hand-over."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consentry.types import Faces
from consentry.vision.track import Tracker, affinity


def at(*middles: tuple[float, float], size: float = 40.0) -> Faces:
    """Square faces around these points."""
    centre = np.array(middles, np.float32).reshape(-1, 2)
    xyxy = np.hstack([centre - size / 2, centre + size / 2]).astype(np.float32)
    marks = np.repeat(centre[:, None], 5, 1).astype(np.float32)
    return Faces(xyxy, marks, np.full(len(centre), 0.9, np.float32))


def test_a_moving_face_keeps_its_number() -> None:
    tracker = Tracker()
    steps = [tracker.update(at((50 + 12 * n, 100)), n / 15) for n in range(30)]
    assert {track.track_id for step in steps for track in step.seen} == {1}
    assert [len(step.born) for step in steps] == [1] + [0] * 29


def test_a_fast_face_whose_boxes_do_not_overlap_keeps_its_number() -> None:
    tracker = Tracker()
    for n in range(10):
        step = tracker.update(at((50 + 45 * n, 100)), n / 10)
    assert [track.track_id for track in step.seen] == [1]


def test_a_short_gap_is_bridged_and_a_long_one_ends_the_track() -> None:
    tracker = Tracker(max_gap_s=0.5)
    tracker.update(at((50, 50)), 0.0)
    assert [t.track_id for t in tracker.update(Faces.none(), 0.2).lost] == [1]
    assert [t.track_id for t in tracker.update(at((52, 50)), 0.4).seen] == [1]
    step = tracker.update(at((52, 50)), 1.0)
    assert [t.track_id for t in step.ended] == [1]
    assert [t.track_id for t in step.born] == [2]


def test_two_faces_far_apart_are_not_ambiguous_but_close_ones_are() -> None:
    tracker = Tracker()
    tracker.update(at((50, 50), (300, 50)), 0.0)
    assert not any(track.ambiguous for track in tracker.update(at((52, 50), (298, 50)), 0.1).seen)
    tracker = Tracker()
    tracker.update(at((50, 50), (85, 50)), 0.0)
    assert all(track.ambiguous for track in tracker.update(at((52, 50), (83, 50)), 0.1).seen)


def test_a_split_ends_the_number_and_starts_another_in_place() -> None:
    tracker = Tracker()
    (old,) = tracker.update(at((50, 50)), 0.0).seen
    fresh = tracker.split(old)
    step = tracker.update(at((51, 50)), 0.1)
    assert [track.track_id for track in step.seen] == [fresh.track_id] == [2]
    assert old.last_s == 0.0


def test_crossing_faces_swap_at_most_while_they_are_marked_ambiguous() -> None:
    """Two faces pass each other; every identity switch falls in frames that say so."""
    tracker, left, right = Tracker(), 60.0, 340.0
    owner: dict[int, str] = {}
    switches_unmarked = 0
    for n in range(57):
        a, b = (left + 5 * n, 100.0), (right - 5 * n, 112.0)
        step = tracker.update(at(a, b), n / 15)
        for track in step.seen:
            x = float(track.face.xyxy[[0, 2]].mean())
            who = "a" if abs(x - a[0]) <= abs(x - b[0]) else "b"
            if owner.setdefault(track.track_id, who) != who:
                switches_unmarked += not track.ambiguous
                owner[track.track_id] = who
    assert switches_unmarked == 0


@given(
    st.lists(st.lists(st.tuples(st.floats(0, 640), st.floats(0, 360)), max_size=5), min_size=1, max_size=15)
)
def test_every_face_gets_exactly_one_track_and_numbers_are_never_used_again(
    shots: list[list[tuple[float, float]]],
) -> None:
    tracker = Tracker()
    gone: set[int] = set()
    for n, middles in enumerate(shots):
        faces = at(*middles)
        step = tracker.update(faces, n / 5)
        assert len(step.seen) == len(faces)
        assert len({track.track_id for track in step.seen}) == len(faces)
        gone |= {track.track_id for track in step.ended}
        assert not gone & {track.track_id for track in step.seen}


def test_affinity_is_one_for_the_same_box_and_negative_far_away() -> None:
    boxes = at((50, 50)).xyxy
    assert affinity([boxes[0]], boxes)[0, 0] == 1.0
    assert affinity([boxes[0]], at((600, 300)).xyxy)[0, 0] < 0
    assert affinity([], boxes).shape == (0, 1)
