"""What every detector and recogniser must do, as checks that any engine can be put through.

Each check takes a factory that makes a fresh engine, and raises `AssertionError` naming what differs.
`DETECTOR_CHECKS` and `RECOGNISER_CHECKS` are made for `pytest.mark.parametrize`; third-party engines
are expected to run them too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from consentry.errors import EngineError
from consentry.types import Faces, Picture
from consentry.vision.engines import CROP_PX, Detector, Recogniser

MakeDetector = Callable[[], Detector]
MakeRecogniser = Callable[[], Recogniser]


def _refuses(act: Callable[[], object], what: str) -> None:
    try:
        act()
    except EngineError:
        return
    raise AssertionError(f"{what} must raise EngineError")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def check_no_face(make: MakeDetector, portrait_bgr: Picture) -> None:
    """A picture without a face gives no faces, not an error."""
    found = make().detect(np.full((240, 320, 3), 128, np.uint8), min_score=0.5)
    _require(len(found) == 0, f"a grey picture has no face, but {len(found)} were found")


def check_one_face(make: MakeDetector, portrait_bgr: Picture) -> None:
    """A portrait gives one face: box inside the picture, landmarks inside the box, in order."""
    height, width = portrait_bgr.shape[:2]
    found = make().detect(portrait_bgr, min_score=0.5)
    _require(len(found) == 1, f"the portrait has one face, but {len(found)} were found")
    left, top, right, bottom = found.xyxy[0]
    _require(
        -5 <= left < right <= width + 5 and -5 <= top < bottom <= height + 5, "the box leaves the picture"
    )
    marks = found.landmarks_xy[0]
    inside = (marks >= [left, top]).all() and (marks <= [right, bottom]).all()
    _require(bool(inside), "a landmark lies outside its box")
    _require(marks[0, 0] < marks[1, 0] and marks[3, 0] < marks[4, 0], "left and right landmarks are swapped")
    _require(marks[0, 1] < marks[2, 1] < marks[3, 1], "eyes, nose and mouth are not from top to bottom")


def check_many_faces(make: MakeDetector, portrait_bgr: Picture) -> None:
    """Four copies of a portrait give four faces, best score first, each where its copy is."""
    height, width = portrait_bgr.shape[:2]
    found = make().detect(np.tile(portrait_bgr, (2, 2, 1)), min_score=0.4)
    _require(len(found) == 4, f"four portraits have four faces, but {len(found)} were found")
    _require(bool((np.diff(found.score) <= 0).all()), "faces are not sorted by score")
    middle = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
    places = {(bool(x > width), bool(y > height)) for x, y in middle}
    _require(len(places) == 4, "the four faces are not one in each quarter")


def check_min_score(make: MakeDetector, portrait_bgr: Picture) -> None:
    """No face scores below the score asked for, and asking for less never loses a face."""
    engine = make()
    few, many = engine.detect(portrait_bgr, min_score=0.6), engine.detect(portrait_bgr, min_score=0.2)
    _require(
        bool((few.score >= 0.6).all()) and bool((many.score >= 0.2).all()), "a score is below the minimum"
    )
    _require(len(many) >= len(few), "a lower minimum lost a face")


def check_bad_pictures(make: MakeDetector, portrait_bgr: Picture) -> None:
    """Wrong types, wrong shapes and empty frames raise `EngineError`."""
    engine = make()
    bad: tuple[np.ndarray[tuple[int, ...], np.dtype[np.generic]], ...] = (
        portrait_bgr.astype(np.float32),
        portrait_bgr[..., 0],
        portrait_bgr[..., :2],
        portrait_bgr[:0],
        portrait_bgr[:, :0],
        np.zeros((4, 4, 4), np.uint8),
    )
    for picture in bad:
        _refuses(lambda p=picture: engine.detect(p, min_score=0.5), f"{picture.dtype} {picture.shape}")  # type: ignore[misc]


def check_tiny_picture(make: MakeDetector, portrait_bgr: Picture) -> None:
    """One pixel is a picture, and has no face."""
    _require(len(make().detect(np.zeros((1, 1, 3), np.uint8), min_score=0.5)) == 0, "one pixel is no face")


def check_input_unchanged(make: MakeDetector, portrait_bgr: Picture) -> None:
    """Detection does not draw on its input, works on a view, and repeats exactly."""
    engine = make()
    before = portrait_bgr.copy()
    first: Faces = engine.detect(portrait_bgr, min_score=0.5)
    _require(bool((before == portrait_bgr).all()), "the input was changed")
    again = engine.detect(np.flip(np.flip(portrait_bgr, 1), 1), min_score=0.5)
    _require(np.array_equal(first.xyxy, again.xyxy), "the same pixels gave other boxes")


def check_detector_closes_twice(make: MakeDetector, portrait_bgr: Picture) -> None:
    """Closing twice is fine; detecting afterwards raises `EngineError`."""
    engine = make()
    engine.close()
    engine.close()
    _refuses(lambda: engine.detect(portrait_bgr, min_score=0.5), "detecting with a closed engine")


def check_templates(make: MakeRecogniser, crops_bgr: Picture) -> None:
    """Templates are float32 (N, dimensions), finite and of unit norm."""
    engine = make()
    templates = engine.templates(crops_bgr)
    _require(templates.shape == (len(crops_bgr), engine.dimensions), f"templates are {templates.shape}")
    _require(templates.dtype == np.float32 and bool(np.isfinite(templates).all()), "not finite float32")
    _require(bool(np.allclose(np.linalg.norm(templates, axis=1), 1.0, atol=1e-5)), "norms are not 1")


def check_batch_equals_single(make: MakeRecogniser, crops_bgr: Picture) -> None:
    """A batch gives what each crop gives alone, whatever went before."""
    engine = make()
    batch = engine.templates(crops_bgr)
    for index in reversed(range(len(crops_bgr))):
        alone = engine.templates(crops_bgr[index : index + 1])[0]
        _require(float(alone @ batch[index]) > 0.99999, f"crop {index} differs alone")


def check_people_differ(make: MakeRecogniser, crops_bgr: Picture) -> None:
    """The first two crops show two people: far apart, while a slightly darker copy stays near."""
    engine = make()
    darker = (crops_bgr[:1] * 0.9).astype(np.uint8)
    first, second, again = engine.templates(np.concatenate([crops_bgr[:2], darker]))
    _require(float(first @ second) < 0.4, "two people look alike")
    _require(float(first @ again) > 0.9, "a darker copy looks like someone else")


def check_bad_crops(make: MakeRecogniser, crops_bgr: Picture) -> None:
    """Wrong types and shapes raise `EngineError`; no crops give no templates."""
    engine = make()
    for crops in (crops_bgr.astype(np.float32), crops_bgr[0], crops_bgr[:, :50], crops_bgr[..., :1]):
        _refuses(lambda c=crops: engine.templates(c), f"{crops.dtype} {crops.shape}")  # type: ignore[misc]
    none = engine.templates(np.zeros((0, CROP_PX, CROP_PX, 3), np.uint8))
    _require(none.shape == (0, engine.dimensions), f"no crops gave {none.shape}")


def check_recogniser_closes_twice(make: MakeRecogniser, crops_bgr: Picture) -> None:
    """Closing twice is fine; templates afterwards raise `EngineError`."""
    engine = make()
    engine.close()
    engine.close()
    _refuses(lambda: engine.templates(crops_bgr), "using a closed engine")


DETECTOR_CHECKS = (
    check_no_face,
    check_one_face,
    check_many_faces,
    check_min_score,
    check_bad_pictures,
    check_tiny_picture,
    check_input_unchanged,
    check_detector_closes_twice,
)
"""Each takes a factory and a portrait of one person, uint8 (H, W, 3), H and W of 200 or more."""

RECOGNISER_CHECKS = (
    check_templates,
    check_batch_equals_single,
    check_people_differ,
    check_bad_crops,
    check_recogniser_closes_twice,
)
"""Each takes a factory and aligned crops, uint8 (N, 112, 112, 3), the first two of two people."""
