"""Engines refuse what is no network, and pictures are only ever made smaller."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import EngineError
from consentry.vision.centerface import CenterFace, decode
from consentry.vision.engines import scaled_to_fit
from consentry.vision.runtime import Runtime, choose_runtime, compile_network, prepared
from consentry.vision.yunet import YuNet

RUNTIME = Runtime("onnxruntime", "f32", 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: YuNet(b"no network", "0" * 64, detect_wh=(640, 384)),
        lambda: CenterFace(b"no network", "0" * 64, RUNTIME, detect_wh=(640, 384)),
        lambda: prepared(b"no network"),
        lambda: compile_network(b"no network", (1, 3, 32, 32), Runtime("openvino", "f32", 1)),
        lambda: compile_network(b"no network", (1, 3, 32, 32), RUNTIME),
    ],
)
def test_bytes_that_are_no_network_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(EngineError):
        make()


@given(st.integers(1, 900), st.integers(1, 900))
def test_a_picture_is_made_to_fit_and_never_larger(height: int, width: int) -> None:
    small = scaled_to_fit(np.zeros((height, width, 3), np.uint8), (640, 384))
    limit_w, limit_h = (640, 384) if width >= height else (384, 640)
    assert small.shape[0] <= min(height, limit_h)
    assert small.shape[1] <= min(width, limit_w)
    assert abs(small.shape[1] * height - width * small.shape[0]) <= max(height, width)


def test_maps_that_do_not_belong_together_are_refused() -> None:
    heat = np.zeros((8, 8), np.float32)
    with pytest.raises(EngineError, match="maps"):
        decode(heat, np.zeros((2, 8, 9), np.float32), heat[None], heat[None], min_score=0.5)


def test_a_planted_peak_is_decoded() -> None:
    """A centre in cell (row 10, column 20), height e and width 1 cells of 4 pixels, offset a quarter cell."""
    heat = np.zeros((32, 32), np.float32)
    heat[10, 20] = 0.9
    log_hw = np.zeros((2, 32, 32), np.float32)
    log_hw[0] = 1.0
    offset = np.full((2, 32, 32), 0.25, np.float32)
    marks = np.full((10, 32, 32), 0.5, np.float32)
    (face,) = decode(heat, log_hw, offset, marks, min_score=0.5)
    middle_y, middle_x = (10 + 0.25 + 0.5) * 4, (20 + 0.25 + 0.5) * 4
    height = np.e * 4
    assert face.xyxy == pytest.approx(
        [middle_x - 2, middle_y - height / 2, middle_x + 2, middle_y + height / 2], abs=1e-3
    )
    assert face.landmarks_xy == pytest.approx(np.full((5, 2), [middle_x, middle_y]), abs=1e-3)
    assert face.score == pytest.approx(0.9)


def test_the_only_candidate_is_taken_unmeasured() -> None:
    choice = choose_runtime(b"never looked at", (1, 3, 32, 32), [RUNTIME])
    assert choice.runtime == RUNTIME
    assert choice.reason == "set in the configuration"
