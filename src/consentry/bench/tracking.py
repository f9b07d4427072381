"""Identity switches of the tracker on the built-in clip, in which two people pass each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from consentry.bench.clips import portraits
from consentry.bench.figures import Figure
from consentry.clock import Clock
from consentry.config import Settings
from consentry.media import open_source
from consentry.vision.align import align
from consentry.vision.load import Engines
from consentry.vision.track import Tracker

SURE_COSINE = 0.5


def run(engines: Engines, clip: Path, settings: Settings, clock: Clock) -> list[Figure]:
    """How often a track goes from one person to the other, and how often without being marked ambiguous.

    Args:
        engines: Say who is who, independently of the tracker: by the template of every single detection.
        clip: The built-in camera's video.
        settings: Of the detector.
        clock: For opening.
    """
    people = np.stack(
        [
            engines.recogniser.templates(
                align(bgr, engines.detector.detect(bgr, min_score=0.5)[0].landmarks_xy)[None]
            )[0]
            for bgr in portraits()
        ]
    )
    tracker, owner = Tracker(), dict[int, int]()
    switches = unmarked = doubtful = detections = 0
    with open_source(str(clip), camera="bench", settings=settings.media, clock=clock) as source:
        for frame in source:
            faces = engines.detector.detect(frame.bgr, min_score=settings.vision.find_score)
            for track in tracker.update(faces, frame.time_s).seen:
                detections += 1
                doubtful += track.ambiguous
                crop = align(frame.bgr, track.face.landmarks_xy)
                cosine = people @ engines.recogniser.templates(crop[None])[0]
                who = int(cosine.argmax())
                if cosine[who] >= SURE_COSINE and owner.setdefault(track.track_id, who) != who:
                    owner[track.track_id] = who
                    switches += 1
                    unmarked += not track.ambiguous
    return [
        Figure("vision.identity_switches", float(switches), "switches"),
        Figure("vision.identity_switches_unmarked", float(unmarked), "switches"),
        Figure("vision.ambiguous_share", round(doubtful / max(1, detections), 4), "share"),
    ]
