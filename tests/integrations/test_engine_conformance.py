"""The shipped engines pass the conformance suite that any engine must pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from consentry.errors import EngineError
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.types import Faces, Picture
from consentry.vision.centerface import CenterFace
from consentry.vision.conformance import (
    DETECTOR_CHECKS,
    RECOGNISER_CHECKS,
    MakeDetector,
    MakeRecogniser,
)
from consentry.vision.recogniser import CropRecogniser
from consentry.vision.runtime import Runtime

RUNTIMES = (Runtime("onnxruntime", "f32", 2), Runtime("openvino", "f32", 2), Runtime("openvino", "bf16", 2))


@pytest.mark.models
@pytest.mark.parametrize("runtime", RUNTIMES, ids=str)
@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_centerface(
    check: Callable[[MakeDetector, Picture], None],
    runtime: Runtime,
    model_store: ModelStore,
    collins_bgr: Picture,
) -> None:
    entry = Catalogue.load().entry("centerface")
    model = model_store.path(entry).read_bytes()
    check(lambda: CenterFace(model, entry.sha256, runtime, detect_wh=(640, 384)), collins_bgr)


@pytest.mark.models
@pytest.mark.parametrize("runtime", RUNTIMES, ids=str)
@pytest.mark.parametrize("check", RECOGNISER_CHECKS)
def test_mobilefacenet(
    check: Callable[[MakeRecogniser, Picture], None],
    runtime: Runtime,
    model_store: ModelStore,
    crops_bgr: Picture,
) -> None:
    entry = Catalogue.load().entry("mobilefacenet-512")
    assert entry.input is not None
    model, spec = model_store.path(entry).read_bytes(), entry.input

    def make() -> CropRecogniser:
        return CropRecogniser(
            model, entry.sha256, runtime, dimensions=512, mean=spec.mean, scale=spec.scale, rgb=True
        )

    check(make, crops_bgr)


class Careless:
    """A detector that accepts anything, finds one fixed face and never closes."""

    sha256 = "0" * 64

    def detect(self, bgr: Picture, *, min_score: float) -> Faces:
        box = np.array([[0, 0, 10, 10]], np.float32)
        return Faces(box, np.full((1, 5, 2), 5, np.float32), np.full(1, 0.3, np.float32))

    def close(self) -> None:
        """Does nothing."""


@pytest.mark.parametrize("check", [c for c in DETECTOR_CHECKS if c.__name__ != "check_input_unchanged"])
def test_a_careless_detector_fails_every_check(check: Callable[[MakeDetector, Picture], None]) -> None:
    with pytest.raises(AssertionError):
        check(Careless, np.zeros((200, 200, 3), np.uint8))


@pytest.mark.models
def test_a_recogniser_of_another_width_is_refused(model_store: ModelStore, crops_bgr: Picture) -> None:
    entry = Catalogue.load().entry("mobilefacenet-512")
    engine = CropRecogniser(
        model_store.path(entry).read_bytes(),
        entry.sha256,
        RUNTIMES[0],
        dimensions=128,
        mean=(127.0, 127.0, 127.0),
        scale=1 / 128,
        rgb=True,
    )
    with pytest.raises(EngineError, match="not a template"):
        engine.templates(crops_bgr)
