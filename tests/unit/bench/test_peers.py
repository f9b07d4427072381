"""The peers' process: measured beside, on one core, and never silently left out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from consentry.bench.peers import Peers, beside_peers
from consentry.bench.redact import covered_share
from consentry.clock import SystemClock
from consentry.config import Settings
from consentry.errors import EnvironmentLack
from consentry.media import VideoWriter

OURS = Path(sys.executable)


def test_without_peers_there_are_none_and_the_core_is_ours(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    with beside_peers(tmp_path / "no-python") as peers:
        assert peers is None
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_the_child_says_what_it_has_and_shares_the_core() -> None:
    """Our own interpreter has none of the peers."""
    with beside_peers(OURS) as peers:
        assert peers is not None
        assert peers.packages == {}


def test_a_peer_that_fails_is_an_error_and_not_a_missing_figure(tmp_path: Path) -> None:
    with (
        Peers(min(os.sched_getaffinity(0)), OURS) as peers,
        pytest.raises(EnvironmentLack, match="asked to frame"),
    ):
        peers.ask(do="frame", path=str(tmp_path / "nothing.png"))


def test_coverage_is_counted_face_by_face(tmp_path: Path) -> None:
    """Two faces in three frames; the redacted copy hides the left one always and the right one once."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (3, 12, 20, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    left, right = np.array([8, 16, 56, 80], np.float32), np.array([96, 16, 144, 80], np.float32)
    original, redacted = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for path, hides in ((original, False), (redacted, True)):
        with VideoWriter(path, frame_wh=(160, 96), fps=10) as writer:
            for number, picture in enumerate(noise):
                bgr = picture.copy()
                if hides:
                    bgr[10:90, 0:64] = (255, 0, 255)
                    if number == 1:
                        bgr[10:90, 90:150] = (255, 0, 255)
                writer.write(bgr, number / 10)
    places = {number: [left, right] for number in range(3)}
    share = covered_share(original, redacted, places, Settings(), SystemClock())
    assert share == pytest.approx(4 / 6)
    assert covered_share(original, original, places, Settings(), SystemClock()) == 0.0
