"""Photos as a source: one, or a folder of them, one second apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from consentry.config import Media
from consentry.errors import BadMedia, MediaError, UsageError
from consentry.media.photo import photo_format, read_photo
from consentry.media.photo_header import PHOTO_SUFFIXES
from consentry.media.source import SourceInfo
from consentry.types import Frame, Picture

FPS = 1.0


class StillSource:
    """A `Source` of photos in the order of `paths`; `time_s` is the number of the photo.

    Args:
        paths: The photos.
        kind: `photo`, where an unreadable one is an error, or `folder`, where it is a counted drop.
        name: Safe to print.
        camera: Name for the frames.
        settings: The largest picture accepted.

    Raises:
        MediaError: the photo cannot be read.
        BadMedia: not one photo of the folder can be read.
    """

    def __init__(
        self, paths: list[Path], *, kind: Literal["photo", "folder"], name: str, camera: str, settings: Media
    ) -> None:
        self.drops: Counter[str] = Counter()
        self.frames_read = 0
        self.frames_decoded = 0
        self._paths = paths
        self._kind = kind
        self._camera = camera
        self._settings = settings
        self._iterated = False
        self._closed = False
        self._first = self._next_readable()
        if self._first is None:
            raise BadMedia(f"{name} holds no photo that can be read", "Put JPEG or PNG files in it")
        header = photo_format(paths[self.frames_read - 1])
        self._frame_wh = (self._first.shape[1], self._first.shape[0])
        self.info = SourceInfo(
            kind=kind,
            frame_wh=self._frame_wh,
            fps=FPS,
            codec=header.format if header else "",
            live=False,
            name=name,
        )

    def __iter__(self) -> Iterator[Frame]:
        """The readable photos.

        Raises:
            UsageError: iterated for a second time.
        """
        if self._iterated:
            raise UsageError(f"{self.info.name} has already been read", "Open it again")
        self._iterated = True
        origin = self.frames_read - 1
        bgr, self._first = self._first, None
        while bgr is not None and not self._closed:
            sequence = self.frames_read - 1
            frame_wh = (bgr.shape[1], bgr.shape[0])
            if frame_wh != self._frame_wh:
                self._frame_wh = frame_wh
                self.drops["resized"] += 1
            yield Frame(self._camera, sequence, (sequence - origin) / FPS, bgr)
            bgr = self._next_readable()

    def close(self) -> None:
        """Stop before the next photo. Idempotent; any thread may call it."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _next_readable(self) -> Picture | None:
        """The next photo that can be read; None after the last."""
        while self.frames_read < len(self._paths) and not self._closed:
            path = self._paths[self.frames_read]
            self.frames_read += 1
            try:
                bgr = read_photo(path, max_pixels=self._settings.max_pixels)
            except MediaError:
                if self._kind == "photo":
                    raise
                self.drops["unreadable"] += 1
                continue
            self.frames_decoded += 1
            return bgr
        return None


def photos_in(folder: Path) -> list[Path]:
    """The photos directly in `folder` by file name ending, numbers in names by value; hidden ones left out.

    Raises:
        MediaError: the folder cannot be read.
    """
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
        ]
    except OSError as error:
        fault = MediaError(f"{folder} cannot be read: {error.strerror}", "Check its permissions")
    else:
        return sorted(found, key=lambda path: _natural_key(path.name))
    raise fault


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Orders `a2` before `a10`, without regard to case; equal ones by their exact spelling."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return [(int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts], name
