"""Detection, templates and verification error, against face_recognition (dlib) in the same run."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from consentry.bench.clips import one_face_frame
from consentry.bench.figures import Figure
from consentry.bench.peers import Peers, beside_peers
from consentry.bench.photos import photos_of_people
from consentry.clock import Clock
from consentry.config import Media
from consentry.media import read_photo
from consentry.types import Floats
from consentry.vision.align import align
from consentry.vision.load import Engines
from consentry.vision.sample import PhotoAnalyser

CALLS = 40
FMR_STEPS = (0.1, 0.03, 0.01, 0.003, 0.001)
LEAST_ERRORS = 3
PEER = "face_recognition"


def run(
    engines: Engines,
    analyser: PhotoAnalyser,
    photo_folders: list[Path],
    *,
    python: Path,
    clock: Clock,
    progress: Callable[[float], None],
) -> list[Figure]:
    """Speed figures, and verification error where `photo_folders` hold people; peers where installed.

    Args:
        engines: With one thread.
        analyser: For photos.
        photo_folders: Folders as `photos_of_people` reads them.
        python: The peers' interpreter.
        clock: What measures.
        progress: Told the share done.
    """
    with beside_peers(python) as peers:
        figures = _speed(engines, peers, clock, lambda share: progress(share / 2))
        figures += _verification(analyser, peers, photo_folders, lambda share: progress(0.5 + share / 2))
    return figures


def _speed(
    engines: Engines, peers: Peers | None, clock: Clock, progress: Callable[[float], None]
) -> list[Figure]:
    """Detection and one template of a 640×360 picture, ours and the peer's call by call in turn."""
    frame = one_face_frame()
    detect_ms, template_ms, peer_ms, peer_detect_ms = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "frame.png")
        cv2.imwrite(path, frame)
        for call in range(CALLS + 3):
            start_s = clock.monotonic_s()
            faces = engines.detector.detect(frame, min_score=0.5)
            middle_s = clock.monotonic_s()
            engines.recogniser.templates(align(frame, faces[0].landmarks_xy)[None])
            end_s = clock.monotonic_s()
            if peers:
                answer = peers.ask(do="frame", path=path)
                assert answer["faces"] == 1, "the peer must do the same work"
            if call >= 3:
                detect_ms.append((middle_s - start_s) * 1000)
                template_ms.append((end_s - middle_s) * 1000)
                if peers:
                    peer_detect_ms.append(answer["detect_ms"])
                    peer_ms.append(answer["detect_ms"] + answer["template_ms"])
            progress(call / (CALLS + 3))
    ours = [a + b for a, b in zip(detect_ms, template_ms, strict=True)]
    return [
        _less_is_better("vision.detect_and_template_ms", ours, peer_ms),
        _less_is_better("vision.detect_ms", detect_ms, peer_detect_ms),
        _less_is_better("vision.template_ms", template_ms, []),
    ]


def _less_is_better(name: str, ours_ms: list[float], peer_ms: list[float]) -> Figure:
    value = statistics.median(ours_ms)
    if not peer_ms:
        return Figure(name, round(value, 2), "ms")
    ratio = statistics.median(theirs / mine for mine, theirs in zip(ours_ms, peer_ms, strict=True))
    return Figure(name, round(value, 2), "ms", PEER, round(statistics.median(peer_ms), 2), round(ratio, 2))


def _verification(
    analyser: PhotoAnalyser, peers: Peers | None, folders: list[Path], progress: Callable[[float], None]
) -> list[Figure]:
    """FNMR at each FMR the pairs can show, on the photos in which both sides found a face."""
    photos = [item for folder in folders for item in photos_of_people(folder)]
    names, ours, theirs, missed, peer_missed = [], [], [], 0, 0
    for number, (person, path) in enumerate(photos):
        progress(number / len(photos))
        faces = analyser.analyse(read_photo(path, max_pixels=Media().max_pixels))
        other = peers.ask(do="photo", path=str(path.resolve()))["template"] if peers else None
        missed += not faces
        peer_missed += peers is not None and other is None
        if faces and (other is not None or peers is None):
            names.append(person)
            ours.append(faces[0].template)
            theirs.append(other)
    if not names:
        return []
    figures = [
        Figure("vision.fta_photos", float(missed), "photos", PEER if peers else None, float(peer_missed))
        if peers
        else Figure("vision.fta_photos", float(missed), "photos")
    ]
    mated, non_mated = _pairs(names, np.stack(ours) @ np.stack(ours).T)
    peer_scores = _pairs(names, _minus_distance(np.array(theirs, np.float32))) if peers else None
    for fmr in FMR_STEPS:
        if fmr * len(non_mated) < LEAST_ERRORS:
            continue
        value = fnmr_at(mated, non_mated, fmr)
        if peer_scores is None:
            figures.append(Figure(f"vision.fnmr_at_fmr_{fmr:g}", value, "share"))
            continue
        peer = fnmr_at(*peer_scores, fmr)
        ratio = 1.0 if value == peer else round(peer / value, 2) if value else None
        figures.append(Figure(f"vision.fnmr_at_fmr_{fmr:g}", value, "share", PEER, peer, ratio))
    return [
        *figures,
        Figure("vision.mated_pairs", float(len(mated)), "pairs"),
        Figure("vision.non_mated_pairs", float(len(non_mated)), "pairs"),
    ]


def _minus_distance(templates: Floats) -> Floats:
    """dlib's score: minus the Euclidean distance, as its users compare."""
    square = (templates**2).sum(1)
    distance_2 = square[:, None] + square[None] - 2 * templates @ templates.T
    return np.asarray(-np.sqrt(np.maximum(distance_2, 0.0)), np.float32)


def _pairs(names: list[str], scores: Floats) -> tuple[Floats, Floats]:
    """Mated and non-mated scores of all pairs, each pair once."""
    labels = np.array(names)
    first, second = np.triu_indices(len(labels), 1)
    same = labels[first] == labels[second]
    values = scores[first, second]
    return values[same], values[~same]


def fnmr_at(mated: Floats, non_mated: Floats, fmr: float) -> float:
    """Share of mated scores below the lowest threshold that at most `fmr` of the non-mated reach.

    A score equal to the threshold is a match (ISO/IEC 19795-1).
    """
    allowed = int(np.floor(fmr * len(non_mated) + 1e-9))
    ranked = np.sort(non_mated)[::-1]
    threshold = np.nextafter(ranked[allowed], np.float32(np.inf)) if allowed < len(ranked) else -np.inf
    return float((mated < threshold).mean())
