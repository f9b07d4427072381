"""Golden portraits: boxes, landmarks, colour order and templates are what they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from consentry.config import Settings
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.types import Floats, Picture
from consentry.vision.align import align
from consentry.vision.centerface import CenterFace
from consentry.vision.load import Engines, load_engines
from consentry.vision.recogniser import CropRecogniser
from consentry.vision.runtime import Runtime

pytestmark = pytest.mark.models
GOLDEN = json.loads((Path(__file__).parent / "portraits.json").read_text(encoding="utf-8"))
EXACT = Runtime("onnxruntime", "f32", 2)
PEOPLE = ("collins", "hopper")


@pytest.fixture
def portraits(collins_bgr: Picture, hopper_bgr: Picture) -> dict[str, Picture]:
    """Both portraits by name."""
    return {"collins": collins_bgr, "hopper": hopper_bgr}


def golden(person: str, what: str) -> Floats:
    """The stored reference."""
    return np.array(GOLDEN[person][what], np.float32)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("which", ["exact_engines", "fast_engines"])
def test_box_landmarks_and_score(
    person: str, which: str, portraits: dict[str, Picture], request: pytest.FixtureRequest
) -> None:
    engines: Engines = request.getfixturevalue(which)
    tolerance_px = 0.5 if which == "exact_engines" else 2.5
    (face,) = engines.detector.detect(portraits[person], min_score=0.5)
    assert np.abs(face.xyxy - golden(person, "xyxy")).max() < tolerance_px
    assert np.abs(face.landmarks_xy - golden(person, "landmarks_xy")).max() < tolerance_px
    assert face.score == pytest.approx(GOLDEN[person]["score"], abs=0.01)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("which", ["exact_engines", "fast_engines"])
def test_template(
    person: str, which: str, portraits: dict[str, Picture], request: pytest.FixtureRequest
) -> None:
    engines: Engines = request.getfixturevalue(which)
    crop = align(portraits[person], golden(person, "landmarks_xy"))
    template = engines.recogniser.templates(crop[None])[0]
    assert float(template @ golden(person, "template")) > 0.999


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(("precision", "least_cosine"), [("f32", 0.999), ("bf16", 0.99)])
def test_both_libraries_agree_from_photo_to_template(
    person: str,
    precision: str,
    least_cosine: float,
    portraits: dict[str, Picture],
    exact_engines: Engines,
    model_store: ModelStore,
) -> None:
    """Each with its own landmarks. bfloat16 rounds them to a third of a pixel, so photos use float32."""
    runtime = Runtime("openvino", precision, 2)
    other = load_engines(Settings().vision, model_store, Catalogue.load(), runtime=runtime)
    templates = []
    for engines in (exact_engines, other):
        face = engines.detector.detect(portraits[person], min_score=0.5)[0]
        templates.append(engines.recogniser.templates(align(portraits[person], face.landmarks_xy)[None])[0])
    assert float(templates[0] @ templates[1]) > least_cosine


def test_openvino_and_onnxruntime_agree_on_the_same_crops(
    model_store: ModelStore, crops_bgr: Picture
) -> None:
    entry = Catalogue.load().entry("mobilefacenet-512")
    assert entry.input is not None
    model = model_store.path(entry).read_bytes()
    found = [
        CropRecogniser(
            model,
            entry.sha256,
            runtime,
            dimensions=512,
            mean=entry.input.mean,
            scale=entry.input.scale,
            rgb=True,
        ).templates(crops_bgr)
        for runtime in (EXACT, Runtime("openvino", "f32", 2), Runtime("openvino", "bf16", 2))
    ]
    for other in found[1:]:
        assert ((found[0] * other).sum(1) > 0.999).all()


@pytest.mark.parametrize("person", PEOPLE)
def test_a_swapped_colour_order_of_the_recogniser_fails(
    person: str, model_store: ModelStore, portraits: dict[str, Picture]
) -> None:
    entry = Catalogue.load().entry("mobilefacenet-512")
    assert entry.input is not None
    swapped = CropRecogniser(
        model_store.path(entry).read_bytes(),
        entry.sha256,
        EXACT,
        dimensions=512,
        mean=entry.input.mean,
        scale=entry.input.scale,
        rgb=entry.input.colour_order != "rgb",
    )
    crop = align(portraits[person], golden(person, "landmarks_xy"))
    assert float(swapped.templates(crop[None])[0] @ golden(person, "template")) < 0.99


def test_a_swapped_colour_order_of_the_detector_fails(
    model_store: ModelStore, portraits: dict[str, Picture]
) -> None:
    entry = Catalogue.load().entry("centerface")
    assert entry.input is not None
    swapped = CenterFace(
        model_store.path(entry).read_bytes(),
        entry.sha256,
        EXACT,
        detect_wh=(640, 384),
        rgb=entry.input.colour_order != "rgb",
    )
    face = swapped.detect(portraits["collins"], min_score=0.5)[0]
    moved_px = np.abs(face.xyxy - golden("collins", "xyxy")).max()
    assert moved_px > 0.5 or abs(face.score - GOLDEN["collins"]["score"]) > 0.01


def test_the_two_people_are_far_apart() -> None:
    assert float(golden("collins", "template") @ golden("hopper", "template")) < 0.25
