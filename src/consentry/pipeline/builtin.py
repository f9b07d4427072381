"""The built-in camera: two public-domain portraits move through a plain room, as real H.264.

It exists for the demo and for tests that must run anywhere. What it shows is fixed by the frame
number alone, so that two renderings are the same picture for picture.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from consentry.clock import Clock
from consentry.config import Media
from consentry.errors import BadMedia
from consentry.media import Source, SourceInfo, VideoWriter, open_source
from consentry.types import Floats, Frame, Picture

FRAME_WH = (960, 540)
FPS = 15
LENGTH_S = 24.0
BUILTIN_URL = "builtin:"


Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Walk:
    """One person: where they are in their portrait, and their way through the room.

    Attributes:
        person_xyxy: Head and body in the portrait; outside is background.
        face_xyxy: Surely person, as is the middle of everything below it.
        beside_xyxy: Surely background, though inside `person_xyxy`.
        plate_xyxy: A name plate to paint over: covering a face does not cover a name.
        height_px: Height in the room.
        enter_s: When they come in.
        leave_s: When they have gone out on the other side.
        from_left: Which side they come in from.
    """

    person_xyxy: Box
    face_xyxy: Box
    beside_xyxy: tuple[Box, ...]
    plate_xyxy: Box | None
    height_px: int
    enter_s: float
    leave_s: float
    from_left: bool


COLLINS = Walk((85, 8, 445, 512), (180, 60, 275, 180), (), None, 440, 1.0, 14.0, True)
HOPPER = Walk(
    (40, 20, 480, 600),
    (180, 130, 350, 330),
    ((40, 20, 160, 330), (380, 20, 480, 330)),
    (70, 478, 175, 526),
    400,
    8.0,
    22.0,
    False,
)


def render_demo(
    path: Path, collins_bgr: Picture, hopper_bgr: Picture, *, progress: Callable[[float], None] | None = None
) -> None:
    """Write the demo video (960×540, 15 frames/s, 24 s, H.264) to `path`.

    Args:
        path: The MP4 to write; appears only when complete.
        collins_bgr: Portrait of Eileen Collins.
        hopper_bgr: Portrait of Grace Hopper.
        progress: Told the share done, in [0, 1].
    """
    room = _room()
    actors = [(_cutout(collins_bgr, COLLINS), COLLINS), (_cutout(hopper_bgr, HOPPER), HOPPER)]
    noise = np.random.default_rng(0).normal(0, 2.0, (8, *room.shape[:2], 1)).astype(np.float32)
    frames = round(LENGTH_S * FPS)
    with VideoWriter(path, frame_wh=FRAME_WH, fps=FPS) as writer:
        for number in range(frames):
            picture = room.copy()
            for cut_bgra, walk in actors:
                _place(picture, cut_bgra, walk, number / FPS)
            picture += noise[number % len(noise)]
            writer.write(np.clip(picture, 0, 255).astype(np.uint8), number / FPS)
            if progress:
                progress((number + 1) / frames)


def _room() -> Floats:
    """A wall, a floor and a door, float32 (H, W, 3)."""
    width, height = FRAME_WH
    floor = int(height * 0.86)
    tint = np.array([0.96, 0.98, 1.0], np.float32)
    wall = np.linspace(205, 170, height, dtype=np.float32)[:, None, None] * tint
    room = np.tile(wall, (1, width, 1)).astype(np.float32)
    room[floor:] = np.array([96, 112, 128], np.float32)
    door = ((width // 2 - 70, 120), (width // 2 + 70, floor))
    cv2.rectangle(room, *door, (150, 160, 166), -1)
    cv2.rectangle(room, *door, (120, 130, 138), 3)
    cv2.circle(room, (width // 2 + 54, 310), 6, (70, 80, 90), -1)
    return cv2.GaussianBlur(room, (0, 0), 1.5).astype(np.float32)


def _cutout(portrait_bgr: Picture, walk: Walk) -> Floats:
    """The person without background, float32 (h, w, 4): colour, then how opaque each pixel is.

    GrabCut (Rother, Kolmogorov, Blake 2004) at half size, started from the boxes of `walk`.

    Raises:
        BadMedia: the portrait is smaller than the boxes.
    """
    left, top, right, bottom = walk.person_xyxy
    height, width = portrait_bgr.shape[:2]
    if height < bottom or width < right:
        raise BadMedia(f"a demo portrait is only {width}×{height} pixels")
    small = cv2.resize(portrait_bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    labels[_half(walk.person_xyxy)] = cv2.GC_PR_FGD
    for beside in walk.beside_xyxy:
        labels[_half(beside)] = cv2.GC_BGD
    face_left, _, face_right, face_bottom = walk.face_xyxy
    middle = (face_left + face_right) // 2
    labels[_half(walk.face_xyxy)] = cv2.GC_FGD
    labels[_half((middle - 60, face_bottom, middle + 60, height - 2))] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    cv2.grabCut(small, labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts, areas, _ = cv2.connectedComponentsWithStats(person)
    person = (parts == 1 + int(np.argmax(areas[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8)).astype(np.uint8)
    alpha = cv2.resize(person.astype(np.float32), (width, height))
    alpha = cv2.GaussianBlur(cv2.erode(alpha, np.ones((5, 5), np.uint8)), (0, 0), 2.0)
    colour = portrait_bgr.astype(np.float32)
    if walk.plate_xyxy:
        plate_left, plate_top, plate_right, plate_bottom = walk.plate_xyxy
        plate = colour[plate_top:plate_bottom, plate_left:plate_right]
        plate[:] = np.median(plate[[0, -1]].reshape(-1, 3), axis=0)
    bgra = np.dstack([colour, alpha])[top:bottom, left:right]
    scale = walk.height_px / (bottom - top)
    cut = cv2.resize(bgra, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(cut, 24, 24, 24, 24, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)).astype(np.float32)


def _half(xyxy: Box) -> tuple[slice, slice]:
    left, top, right, bottom = (side // 2 for side in xyxy)
    return slice(top, bottom), slice(left, right)


def _place(picture: Floats, cut_bgra: Floats, walk: Walk, time_s: float) -> None:
    """Draw a person into `picture` where the walk has them at `time_s`, swaying a little."""
    if not walk.enter_s <= time_s <= walk.leave_s:
        return
    share = (time_s - walk.enter_s) / (walk.leave_s - walk.enter_s)
    eased = share + 0.09 * np.sin(2 * np.pi * share)
    height, width = cut_bgra.shape[:2]
    across = eased if walk.from_left else 1.0 - eased
    left = -width + across * (FRAME_WH[0] + width)
    top = FRAME_WH[1] - height + 30 + 6 * np.sin(2 * np.pi * time_s / 1.2)
    sway = cv2.getRotationMatrix2D((width / 2, height), 2.5 * np.sin(2 * np.pi * time_s / 2.4), 1.0)
    sway[:, 2] += (left % 1.0, top % 1.0)
    moved = cv2.warpAffine(cut_bgra, sway, (width, height), flags=cv2.INTER_LINEAR)
    x, y = int(np.floor(left)), int(np.floor(top))
    x_from, x_to = max(0, x), min(FRAME_WH[0], x + width)
    y_from, y_to = max(0, y), min(FRAME_WH[1], y + height)
    if x_to > x_from and y_to > y_from:
        part = moved[y_from - y : y_to - y, x_from - x : x_to - x]
        place = picture[y_from:y_to, x_from:x_to]
        place += part[..., 3:] * (part[..., :3] - place)


class LoopedFile:
    """A video file as a live camera: played in real time, over and over. A `Source`.

    Args:
        path: The video.
        camera: Name for its frames.
        settings: How to open it.
        clock: Paces the frames.
    """

    def __init__(self, path: Path, *, camera: str, settings: Media, clock: Clock) -> None:
        self._path, self._camera, self._settings, self._clock = path, camera, settings, clock
        self._source = self._open()
        self._closed = threading.Event()
        self.info: SourceInfo = replace(self._source.info, live=True, name=BUILTIN_URL)
        self.drops: Counter[str] = Counter()
        self.frames_read = 0
        self.frames_decoded = 0

    def __iter__(self) -> Iterator[Frame]:
        """Frames with sequence and time going on across the loops; late ones are dropped and counted."""
        start_s = self._clock.monotonic_s()
        offset_s, sequence, gap_s = 0.0, 0, 1.0 / (self.info.fps or FPS)
        while not self._closed.is_set():
            last_s = 0.0
            for frame in self._source:
                if self._closed.is_set():
                    return
                last_s = frame.time_s
                self.frames_read += 1
                self.frames_decoded += 1
                ahead_s = start_s + offset_s + last_s - self._clock.monotonic_s()
                self._clock.sleep(ahead_s)
                if ahead_s < -2 * gap_s:
                    self.drops["stale"] += 1
                else:
                    yield Frame(self._camera, sequence, offset_s + last_s, frame.bgr)
                sequence += 1
            offset_s += last_s + gap_s
            self._source.close()
            self._source = self._open()

    def close(self) -> None:
        """Stop playing; idempotent."""
        self._closed.set()
        self._source.close()

    def __enter__(self) -> LoopedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open(self) -> Source:
        return open_source(str(self._path), camera=self._camera, settings=self._settings, clock=self._clock)
