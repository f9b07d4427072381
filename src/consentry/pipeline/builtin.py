"""The built-in camera: two public-domain portraits move through a plain room, as real H.264.

It exists for the demo and for tests that must run anywhere. What it shows is fixed by the frame
number alone, so that two renderings are the same picture for picture.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through the picture.

    Attributes:
        head_xyxy: What is cut from the portrait: head and shoulders.
        height_px: Its height in the room.
        enter_s: When it comes in from `from_left` or from the right.
        leave_s: When it has gone out on the other side.
    """

    head_xyxy: tuple[int, int, int, int]
    height_px: int
    enter_s: float
    leave_s: float
    from_left: bool


COLLINS = Walk((96, 10, 356, 300), 330, 1.0, 14.0, True)
HOPPER = Walk((70, 60, 440, 500), 340, 8.0, 22.0, False)


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
    frames = round(LENGTH_S * FPS)
    with VideoWriter(path, frame_wh=FRAME_WH, fps=FPS) as writer:
        for number in range(frames):
            time_s = number / FPS
            picture = room.copy()
            for (cut, alpha), walk in actors:
                _place(picture, cut, alpha, walk, time_s)
            noise = np.random.default_rng(number).normal(0, 2.0, picture.shape[:2])[..., None]
            writer.write(np.clip(picture + noise, 0, 255).astype(np.uint8), time_s)
            if progress:
                progress((number + 1) / frames)


def _room() -> Floats:
    """A wall, a floor and a door, float32 (H, W, 3)."""
    width, height = FRAME_WH
    wall = np.linspace(205, 170, height, dtype=np.float32)[:, None, None] * np.array(
        [0.96, 0.98, 1.0], np.float32
    )
    room = np.tile(wall, (1, width, 1)).astype(np.float32)
    room[int(height * 0.86) :] = np.array([96, 112, 128], np.float32)
    cv2.rectangle(room, (width // 2 - 70, 120), (width // 2 + 70, int(height * 0.86)), (150, 160, 166), -1)
    cv2.rectangle(room, (width // 2 - 70, 120), (width // 2 + 70, int(height * 0.86)), (120, 130, 138), 3)
    cv2.circle(room, (width // 2 + 54, 310), 6, (70, 80, 90), -1)
    return cv2.GaussianBlur(room, (0, 0), 1.5).astype(np.float32)


def _cutout(portrait_bgr: Picture, walk: Walk) -> tuple[Floats, Floats]:
    """Head and shoulders (h, w, 3) at their height in the room, and how opaque each pixel is (h, w, 1)."""
    left, top, right, bottom = walk.head_xyxy
    if portrait_bgr.shape[0] < bottom or portrait_bgr.shape[1] < right:
        raise BadMedia(f"a demo portrait is only {portrait_bgr.shape[1]}×{portrait_bgr.shape[0]} pixels")
    part = portrait_bgr[top:bottom, left:right]
    width = round(part.shape[1] * walk.height_px / part.shape[0])
    cut = cv2.resize(part, (width, walk.height_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = np.zeros(cut.shape[:2], np.float32)
    cv2.ellipse(
        alpha,
        (width // 2, walk.height_px // 2),
        (int(width * 0.44), int(walk.height_px * 0.46)),
        0,
        0,
        360,
        (1.0,),
        -1,
    )
    return cut, cv2.GaussianBlur(alpha, (0, 0), 9)[..., None].astype(np.float32)


def _place(picture: Floats, cut: Floats, alpha: Floats, walk: Walk, time_s: float) -> None:
    """Draw a person into `picture` where the walk has them at `time_s`, swaying a little."""
    if not walk.enter_s <= time_s <= walk.leave_s:
        return
    share = (time_s - walk.enter_s) / (walk.leave_s - walk.enter_s)
    eased = share + 0.09 * np.sin(2 * np.pi * share)
    height, width = cut.shape[:2]
    across = eased if walk.from_left else 1.0 - eased
    left = -width + across * (FRAME_WH[0] + width)
    top = FRAME_WH[1] * 0.86 - height + 6 * np.sin(2 * np.pi * time_s / 1.2)
    turn = cv2.getRotationMatrix2D((width / 2, height), 2.5 * np.sin(2 * np.pi * time_s / 2.4), 1.0)
    turn[:, 2] += (left, top)
    moved = cv2.warpAffine(cut, turn, FRAME_WH, flags=cv2.INTER_LINEAR)
    weight = cv2.warpAffine(alpha, turn, FRAME_WH, flags=cv2.INTER_LINEAR)[..., None]
    picture += weight * (moved - picture)


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
        self._closed = False
        self.info: SourceInfo = replace(self._source.info, live=True, name=BUILTIN_URL)
        self.drops: Counter[str] = Counter()
        self.frames_read = 0
        self.frames_decoded = 0

    def __iter__(self) -> Iterator[Frame]:
        """Frames with sequence and time going on across the loops; late ones are dropped and counted."""
        start_s = self._clock.monotonic_s()
        offset_s, sequence, gap_s = 0.0, 0, 1.0 / (self.info.fps or FPS)
        while not self._closed:
            last_s = 0.0
            for frame in self._source:
                if self._closed:
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
        self._closed = True
        self._source.close()

    def __enter__(self) -> LoopedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open(self) -> Source:
        return open_source(str(self._path), camera=self._camera, settings=self._settings, clock=self._clock)
