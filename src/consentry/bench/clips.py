"""Clips and pictures the benchmarks run on, made from the two public-domain portraits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from consentry.clock import Clock
from consentry.config import Media, models_dir
from consentry.media import VideoWriter, open_source, read_photo
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.pipeline.builtin import render_demo
from consentry.types import Picture


def portraits() -> tuple[Picture, Picture]:
    """Eileen Collins and Grace Hopper, BGR."""
    store, catalogue = ModelStore(models_dir()), Catalogue.load()
    names = ("eileen-collins", "grace-hopper")
    first, second = (
        read_photo(store.path(catalogue.entry(name)), max_pixels=Media().max_pixels) for name in names
    )
    return first, second


def one_face_frame() -> Picture:
    """A 640×360 picture with one face about 60 px wide."""
    frame = np.full((360, 640, 3), 176, np.uint8)
    small = cv2.resize(portraits()[0], (360, 360), interpolation=cv2.INTER_AREA)
    frame[:, 140:500] = small
    return frame


def small_clip(folder: Path, clock: Clock) -> Path:
    """The built-in camera's video at 640×360."""
    large, small = folder / "large.mp4", folder / "small.mp4"
    render_demo(large, *portraits())
    with (
        open_source(str(large), camera="clip", settings=Media(), clock=clock) as source,
        VideoWriter(small, frame_wh=(640, 360), fps=source.info.fps or 15.0) as writer,
    ):
        for frame in source:
            bgr = cv2.resize(frame.bgr, (640, 360), interpolation=cv2.INTER_AREA).astype(np.uint8)
            writer.write(bgr, frame.time_s)
    return small


def one_face_clip(path: Path, *, seconds: float, fps: int = 30) -> None:
    """A 640×360 H.264 video of one person who moves a little and never leaves."""
    frame = one_face_frame()
    with VideoWriter(path, frame_wh=(640, 360), fps=fps) as writer:
        for number in range(round(seconds * fps)):
            shift = 60 * np.sin(2 * np.pi * number / (fps * 8))
            moved = cv2.warpAffine(
                frame, np.array([[1, 0, shift], [0, 1, 0]]), (640, 360), borderMode=cv2.BORDER_REPLICATE
            )
            writer.write(moved.astype(np.uint8), number / fps)
