"""Files that are complete on disk or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_new_file(path: Path, content: bytes) -> None:
    """Make `path`, readable by its owner only, and return once content and folder entry are on the disk.

    Raises:
        FileExistsError: there is such a file already; it is left as it is.
        OSError: it could not be written; nothing is left behind.
    """
    with new_file(path) as file:
        file.write(content)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Make `path` as `write_new_file` does, with the content that the block writes; nothing if that fails.

    Raises:
        FileExistsError, OSError: as `write_new_file`.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return once the entries of `folder` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
