"""How fast a file goes through the whole pipeline on this machine, and whether memory stays flat."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from consentry.bench.clips import one_face_clip
from consentry.bench.figures import Figure, resident_mib
from consentry.clock import Clock
from consentry.config import Settings
from consentry.gallery.calibration import load_calibration
from consentry.media import open_source
from consentry.pipeline.camera import CameraPipeline
from consentry.pipeline.roster import ANYWHERE, Roster
from consentry.pipeline.watch import watch
from consentry.vision.load import Engines

CLIP_SECONDS = 40.0


def run(
    engines: Engines, settings: Settings, *, minutes: float, clock: Clock, progress: Callable[[float], None]
) -> list[Figure]:
    """Loop a 640×360 file with one face for `minutes`; frames per second, memory, and its growth.

    Growth compares the mean resident memory of the last fifth of the loops with that of the second fifth.
    """
    frames, seconds, memory_mib = 0, 0.0, []
    start_s = clock.monotonic_s()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        one_face_clip(path, seconds=CLIP_SECONDS)
        while True:
            roster = Roster([], place=ANYWHERE, calibration=load_calibration(engines.recogniser.sha256))
            pipeline = CameraPipeline(
                "bench", engines.detector, engines.recogniser, roster, settings, clock, lambda _: None
            )
            with open_source(str(path), camera="bench", settings=settings.media, clock=clock) as source:
                summary = watch(source, pipeline, clock=clock)
            frames += summary.frames_analysed
            seconds += summary.seconds
            memory_mib.append(resident_mib())
            passed_s = clock.monotonic_s() - start_s
            progress(min(1.0, passed_s / (minutes * 60)))
            if passed_s >= minutes * 60:
                break
    fifth = max(1, len(memory_mib) // 5)
    early = memory_mib[fifth : 2 * fifth] or memory_mib[:1]
    late = memory_mib[-fifth:]
    growth = sum(late) / len(late) - sum(early) / len(early)
    return [
        Figure("watch.frames_per_s", round(frames / seconds, 1), "frames/s"),
        Figure("watch.resident_mib_most", round(max(memory_mib), 1), "MiB"),
        Figure("watch.resident_mib_growth", round(growth, 1), "MiB"),
        Figure("watch.loops", float(len(memory_mib)), "loops"),
    ]
