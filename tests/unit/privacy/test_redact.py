"""Redaction by track: what is hidden, when, and that doubt hides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.config import Redaction
from consentry.errors import UsageError
from consentry.privacy.cover import FILL_BGR, cover, with_margin
from consentry.privacy.redact import Redacted, Redactor
from consentry.types import Faces, Floats, Frame
from consentry.vision.track import Tracker

FPS = 10.0


def frame(number: int) -> Frame:
    """A white frame of 200×100 at 10 frames/s."""
    return Frame("c", number, number / FPS, np.full((100, 200, 3), 255, np.uint8))


def faces(*boxes: tuple[float, float, float, float]) -> Faces:
    """Faces with these boxes and plausible landmarks."""
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    middle = (xyxy[:, None, :2] + xyxy[:, None, 2:]) / 2
    return Faces(xyxy, np.repeat(middle, 5, 1).astype(np.float32), np.full(len(boxes), 0.9, np.float32))


def hidden(redacted: Redacted, xyxy: tuple[float, float, float, float]) -> bool:
    """Whether every pixel of the box has the fill colour."""
    left, top, right, bottom = (int(side) for side in xyxy)
    return bool((redacted.bgr[top:bottom, left:right] == FILL_BGR).all())


def run(
    found: list[Faces], *, show: bool = False, possible: dict[int, Faces] | None = None
) -> tuple[dict[int, Redacted], Redactor]:
    """Push one frame per entry of `found` and collect what comes out, by sequence number."""
    tracker = Tracker()
    redactor = Redactor(Redaction(lead_s=0.35, trail_s=0.45), lambda track, time_s: show)
    out: list[Redacted] = []
    for number, seen in enumerate(found):
        shot = frame(number)
        out += redactor.push(
            shot, tracker.update(seen, shot.time_s), (possible or {}).get(number, Faces.none())
        )
    out += redactor.finish()
    assert [item.sequence for item in out] == list(range(len(found)))
    return {item.sequence: item for item in out}, redactor


BOX = (80.0, 30.0, 110.0, 60.0)


def test_a_track_is_hidden_before_its_first_and_after_its_last_detection() -> None:
    out, _ = run([Faces.none()] * 5 + [faces(BOX)] * 3 + [Faces.none()] * 8)
    assert [number for number, item in out.items() if hidden(item, BOX)] == list(range(2, 12))
    assert not (out[1].bgr == FILL_BGR).all(-1).any()
    assert (out[15].bgr == 255).all()


def test_frames_in_which_a_track_was_missed_are_hidden_between_both_places() -> None:
    right = (100.0, 30.0, 130.0, 60.0)
    out, _ = run([faces(BOX), faces(BOX), Faces.none(), Faces.none(), faces(right)])
    for number in (2, 3):
        assert hidden(out[number], (90, 30, 120, 60))


def test_a_shown_track_is_visible_only_where_it_was_detected() -> None:
    out, _ = run([Faces.none()] * 2 + [faces(BOX)] * 6 + [Faces.none()] * 3, show=True)
    assert (out[4].bgr == 255).all()
    assert out[4].shown == (1,)
    assert hidden(out[1], BOX), "the frames before a known person's first detection stay covered"
    assert hidden(out[8], BOX), "so do the frames after the last"


def test_a_possible_face_is_hidden_though_it_is_no_track() -> None:
    out, _ = run([Faces.none()] * 4, possible={2: faces(BOX)}, show=True)
    assert hidden(out[2], BOX)
    assert (out[0].bgr == 255).all()


def test_a_frame_without_analysis_is_hidden_whole() -> None:
    redactor = Redactor(Redaction(), lambda track, time_s: True)
    list(redactor.push_unseen(frame(0)))
    (only,) = redactor.finish()
    assert only.whole
    assert (only.bgr == FILL_BGR).all()


def test_the_input_is_not_drawn_on() -> None:
    shot, tracker = frame(0), Tracker()
    redactor = Redactor(Redaction(), lambda track, time_s: False)
    list(redactor.push(shot, tracker.update(faces(BOX), 0.0), Faces.none()))
    list(redactor.finish())
    assert (shot.bgr == 255).all()


def test_nothing_leaves_before_its_wait_is_over() -> None:
    tracker = Tracker()
    redactor = Redactor(Redaction(lead_s=0.5), lambda track, time_s: False)
    for number in range(5):
        shot = frame(number)
        assert not list(redactor.push(shot, tracker.update(Faces.none(), shot.time_s), Faces.none()))
    shot = frame(5)
    assert [r.sequence for r in redactor.push(shot, tracker.update(Faces.none(), 0.5), Faces.none())] == [0]


@given(
    presence=st.lists(st.booleans(), min_size=1, max_size=30),
    speed_px=st.floats(-6, 6),
    start_px=st.floats(60, 100),
)
def test_every_detected_face_is_hidden_in_its_frame(
    presence: list[bool], speed_px: float, start_px: float
) -> None:
    """However detections come and go: what was detected and may not be shown is covered in full."""
    boxes = [
        (start_px + n * speed_px, 30.0, start_px + n * speed_px + 30, 60.0) for n in range(len(presence))
    ]
    found = [faces(box) if there else Faces.none() for box, there in zip(boxes, presence, strict=True)]
    out, _ = run(found)
    for number, there in enumerate(presence):
        left, top, right, bottom = boxes[number]
        if there and left >= 0 and right <= 200:
            assert hidden(out[number], (left, top, right, bottom))


@pytest.mark.parametrize("style", ["solid", "mosaic", "blur"])
def test_each_style_destroys_detail_inside_and_keeps_the_rest(style: str) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    before = picture.copy()
    cover(picture, [np.array([40, 30, 100, 90], np.float32)], style)  # type: ignore[arg-type]
    inside = picture[30:90, 40:100].astype(float)
    assert (
        np.abs(np.diff(inside, axis=1)).mean()
        < 0.1 * np.abs(np.diff(before[30:90, 40:100].astype(float), axis=1)).mean()
    )
    picture[30:90, 40:100] = before[30:90, 40:100]
    assert (picture == before).all()


def test_boxes_outside_or_without_area_do_nothing() -> None:
    picture = np.full((10, 10, 3), 255, np.uint8)
    off: list[Floats] = [
        np.array(box, np.float32) for box in ((-9, -9, -1, -1), (20, 20, 30, 30), (5, 5, 5, 5))
    ]
    cover(picture, off, "solid")
    assert (picture == 255).all()


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(UsageError, match="solid, mosaic or blur"):
        cover(np.zeros((9, 9, 3), np.uint8), [np.array([1, 1, 5, 5], np.float32)], "none")  # type: ignore[arg-type]


def test_the_margin_is_a_share_of_the_longer_side() -> None:
    assert with_margin(np.array([10, 10, 20, 30], np.float32), 0.5).tolist() == [0, 0, 30, 40]
