"""Redaction against deface, on one clip, one core, in the same run."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from consentry.bench.clips import small_clip
from consentry.bench.figures import Figure
from consentry.bench.peers import beside_peers
from consentry.clock import Clock
from consentry.config import Settings
from consentry.media import open_source
from consentry.pipeline.anonymise import Anonymiser
from consentry.pipeline.watch import watch
from consentry.types import Floats, Picture
from consentry.vision.engines import Detector

REPEATS = 3
PEER = "deface"
CHANGED_LEVELS = 24
COVERED_SHARE = 0.9


def run(
    detector: Detector,
    reference: Detector,
    settings: Settings,
    *,
    clip: Path | None,
    python: Path,
    clock: Clock,
    progress: Callable[[float], None],
) -> list[Figure]:
    """Frames per second of a whole redaction, file to file, and the share of reference faces covered.

    Args:
        detector: Ours, with one thread.
        reference: Full float32, at the clip's full size: says where faces are in the original.
        settings: Of the redaction.
        clip: A video, or None for the built-in one at 640×360.
        python: The peers' interpreter.
        clock: What measures.
        progress: Told the share done.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = clip or small_clip(Path(folder), clock)
        ours, theirs = Path(folder) / "ours.mp4", Path(folder) / "theirs.mp4"
        frames = sum(1 for _ in _frames(source, settings, clock))
        our_fps, peer_fps = [], []
        with beside_peers(python) as peers:
            for repeat in range(REPEATS):
                our_fps.append(frames / _ours_s(source, ours, detector, settings, clock))
                if peers:
                    answer = peers.ask(do="redact", path=str(source.resolve()), out=str(theirs))
                    peer_fps.append(frames / answer["seconds"])
                progress((repeat + 1) / (REPEATS + 1))
        places = {
            number: [face.xyxy for face in reference.detect(bgr, min_score=0.5)]
            for number, bgr in enumerate(_frames(source, settings, clock))
        }
        share = covered_share(source, ours, places, settings, clock)
        peer_share = covered_share(source, theirs, places, settings, clock) if peer_fps else None
    value = round(statistics.median(our_fps), 1)
    if not peer_fps or peer_share is None:
        return [
            Figure("redact.frames_per_s", value, "frames/s"),
            Figure("redact.covered_share", round(share, 4), "share"),
        ]
    peer = statistics.median(peer_fps)
    ratio = statistics.median(a / b for a, b in zip(our_fps, peer_fps, strict=True))
    shares = round(share, 4), round(peer_share, 4)
    return [
        Figure("redact.frames_per_s", value, "frames/s", PEER, round(peer, 1), round(ratio, 2)),
        Figure("redact.covered_share", shares[0], "share", PEER, shares[1], round(share / peer_share, 4)),
        Figure("redact.reference_faces", float(sum(map(len, places.values()))), "faces"),
    ]


def _ours_s(source: Path, out: Path, detector: Detector, settings: Settings, clock: Clock) -> float:
    start_s = clock.monotonic_s()
    with open_source(str(source), camera="bench", settings=settings.media, clock=clock) as opened:
        watch(opened, Anonymiser(detector, settings), clock=clock, out=out)
    return clock.monotonic_s() - start_s


def _frames(path: Path, settings: Settings, clock: Clock) -> list[Picture]:
    with open_source(str(path), camera="bench", settings=settings.media, clock=clock) as opened:
        return [frame.bgr for frame in opened]


def covered_share(
    source: Path, redacted: Path, places: dict[int, list[Floats]], settings: Settings, clock: Clock
) -> float:
    """Share of the faces at `places` of which nine tenths of the inner half were changed visibly.

    The inner half, because an ellipse covers a face as well as a box does.
    """
    originals, outs = _frames(source, settings, clock), _frames(redacted, settings, clock)
    covered = total = 0
    for number, boxes in places.items():
        for xyxy in boxes:
            total += 1
            if number < len(outs):
                quarter = (xyxy[2:] - xyxy[:2]) / 4
                left, top = np.maximum(0, xyxy[:2] + quarter).astype(int)
                right, bottom = (xyxy[2:] - quarter).astype(int)
                change = np.abs(
                    originals[number][top:bottom, left:right].astype(int)
                    - outs[number][top:bottom, left:right].astype(int)
                ).max(-1)
                covered += bool(change.size == 0 or (change > CHANGED_LEVELS).mean() > COVERED_SHARE)
    return covered / total if total else 1.0
