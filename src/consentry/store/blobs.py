"""Sealed files under `blobs/`, each named by the SHA-256 of its content.

A file is complete or absent: it is written under another name, synced, renamed, and its folder synced,
before the row that names it is committed. Deleting is a plain unlink: the content is sealed, and what
erases it is the destruction of its key.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from consentry.errors import DataDamaged
from consentry.store.failures import mapped_errors
from consentry.store.files import sync_folder, write_new_file

BLOBS_FOLDER = "blobs"
_NAME = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".part"


class Blobs:
    """The blob folder of one data folder.

    Args:
        data_dir: The data folder; `blobs/` is made in it at the first write.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / BLOBS_FOLDER

    def write(self, sealed: bytes) -> str:
        """Store `sealed` durably; returns its SHA-256 in hexadecimal, which is its name.

        Raises:
            DiskFull: no space or no right to write; nothing is left behind.
        """
        name = hashlib.sha256(sealed).hexdigest()
        unfinished = self.folder / (name + _UNFINISHED)
        with mapped_errors(self.folder):
            if not self.folder.exists():
                self.folder.mkdir(mode=0o700, exist_ok=True)
                sync_folder(self.folder.parent)
            write_new_file(unfinished, sealed)
            unfinished.replace(self.folder / name)
            sync_folder(self.folder)
        return name

    def read(self, sha256: str) -> bytes:
        """The content called `sha256`.

        Raises:
            DataDamaged: it is missing, or its bytes are no longer what was written.
        """
        path = self.folder / sha256
        with mapped_errors(path):
            if not path.exists():
                raise DataDamaged(f"{path} is missing", "Restore it from a backup")
            sealed = path.read_bytes()
        if hashlib.sha256(sealed).hexdigest() != sha256:
            raise DataDamaged(f"{path} has changed since it was written", "Restore it from a backup")
        return sealed

    def remove(self, name: str) -> None:
        """Delete the file called `name`, which may be gone already.

        Raises:
            DiskFull: no right to delete.
        """
        with mapped_errors(self.folder):
            (self.folder / name).unlink(missing_ok=True)
            if self.folder.exists():
                sync_folder(self.folder)

    def names(self) -> Iterator[str]:
        """Names of all files in the folder: blobs, unfinished writes and whatever else is there."""
        if not self.folder.exists():
            return
        with mapped_errors(self.folder), os.scandir(self.folder) as entries:
            for entry in entries:
                yield entry.name


def is_own_name(name: str) -> bool:
    """Whether `name` is one that `Blobs.write` makes, finished or not."""
    return _NAME.fullmatch(name.removesuffix(_UNFINISHED)) is not None
