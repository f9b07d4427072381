"""Writing one picture, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2

from consentry.errors import DiskFull, UsageError
from consentry.types import Picture

JPEG_QUALITY = 92


def encode_jpeg(bgr: Picture, *, quality: int = JPEG_QUALITY) -> bytes:
    """`bgr` (uint8 (H, W, 3)) as JPEG; `quality` from 1 to 100."""
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def write_photo(path: Path, bgr: Picture) -> None:
    """Write `bgr` (uint8 (H, W, 3)) as the JPEG or PNG that the name of `path` asks for.

    Raises:
        UsageError: another name, or no such folder.
        DiskFull: no space left; nothing is left behind.
    """
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        data = encode_jpeg(bgr)
    elif suffix == ".png":
        data = cv2.imencode(".png", bgr)[1].tobytes()
    else:
        raise UsageError(f"cannot write a photo as {path.name}", "Use a name ending in .jpg or .png")
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(f"no space left to write {path}", "Free some space and try again") from None
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "Choose a folder you can write to"
        ) from None
