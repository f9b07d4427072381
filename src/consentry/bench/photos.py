"""Photos with known people, as templates: the data of calibration and of the verification figures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from consentry.config import Media
from consentry.errors import MediaError, UsageError
from consentry.media import read_photo
from consentry.types import Floats
from consentry.vision.sample import PhotoAnalyser

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True, slots=True)
class Labelled:
    """Templates float32 (P, D), the person of each row, and the photo each came from."""

    templates: Floats
    people: tuple[str, ...]
    files: tuple[Path, ...]
    skipped: dict[str, int]


def photos_of_people(folder: Path) -> Iterator[tuple[str, Path]]:
    """(person, photo) for `folder/PERSON/photo.jpg`, and for `folder/person2.jpg` without its number."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PHOTO_SUFFIXES:
            name = path.parent.name if path.parent != folder else re.sub(r"\d+$", "", path.stem)
            yield name, path


def photos_of_strangers(folder: Path, leave_out: frozenset[str]) -> Iterator[tuple[None, Path]]:
    """Photos of which every face is taken for a different person."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PHOTO_SUFFIXES and path.name not in leave_out:
            yield None, path


def label(
    photos: Sequence[tuple[str | None, Path]],
    analyser: PhotoAnalyser,
    *,
    least_px: float = 28.0,
    progress: Callable[[float], None] | None = None,
) -> Labelled:
    """Templates of all usable faces; byte-identical photos once.

    A photo of a named person must show one face; of strangers, each face of at least `least_px` counts.
    What is left out is counted by reason in `skipped`.

    Raises:
        UsageError: not one usable face.
    """
    seen: set[str] = set()
    templates, people, files = [], [], []
    skipped = {"same bytes": 0, "unreadable": 0, "not one face": 0, "too small": 0}
    for number, (person, path) in enumerate(photos):
        if progress:
            progress(number / len(photos))
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest in seen:
            skipped["same bytes"] += 1
            continue
        seen.add(digest)
        try:
            faces = analyser.analyse(read_photo(data, max_pixels=Media().max_pixels))
        except MediaError:
            skipped["unreadable"] += 1
            continue
        if person is not None and len(faces) != 1:
            skipped["not one face"] += 1
            continue
        for index, face in enumerate(faces):
            if min(face.xyxy[2] - face.xyxy[0], face.xyxy[3] - face.xyxy[1]) < least_px:
                skipped["too small"] += 1
                continue
            templates.append(face.template)
            people.append(person or f"{path.name}#{index}")
            files.append(path)
    if not templates:
        raise UsageError("no usable face in these photos", "Give folders of photos with faces")
    return Labelled(np.stack(templates), tuple(people), tuple(files), skipped)
