"""Temporary folders inside a data folder: one process works in each, and what a dead one left is removed.

They are inside, never under `/tmp`, because what they hold is protected like the data folder itself.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consentry.errors import EnvironmentLack
from consentry.store.failures import mapped_errors

_LOCK_FILE = "lock"


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Hold the lock file `path`, made if needed, while the block runs; yields whether it was free.

    The lock goes with the process, however that ends.

    Raises:
        EnvironmentLack, DiskFull: the file cannot be made.
    """
    with mapped_errors(path):
        lock = path.open("ab")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # Whoever cleared the folder meanwhile took the file along: a lock on it keeps nobody out.
            yield path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino


@contextmanager
def part_folder(path: Path, *, under_way: EnvironmentLack, unless: str = "") -> Iterator[Path]:
    """The folder `path`, new and for its owner only; removed with all it holds when the block ends.

    Args:
        path: In the data folder.
        under_way: Raised if another process works there.
        unless: Name of a file in it that says that it must stay, for the next opening to deal with.

    Raises:
        DiskFull: it cannot be made.
    """
    with mapped_errors(path):
        path.mkdir(mode=0o700, exist_ok=True)
    with exclusive(path / _LOCK_FILE) as is_free:
        if not is_free:
            raise under_way
        try:
            empty_part_folder(path)
            yield path
        finally:
            if not unless or not (path / unless).exists():
                with mapped_errors(path):
                    _remove(path)


def is_left_over(path: Path) -> bool:
    """Whether the folder is there and the process that worked in it is not."""
    if not path.is_dir():
        return False
    with exclusive(path / _LOCK_FILE) as is_free:
        return is_free


def clear_left_over(path: Path) -> bool:
    """Remove the folder if the process that worked in it is no more; returns whether there was such a one.

    Raises:
        DiskFull: no right to delete.
    """
    if not path.is_dir():
        return False
    with exclusive(path / _LOCK_FILE) as is_free:
        if is_free:
            with mapped_errors(path):
                _remove(path)
        return is_free


def empty_part_folder(path: Path) -> None:
    """Delete all that is in the folder but its lock, whoever works there."""
    with mapped_errors(path):
        for entry in path.iterdir() if path.is_dir() else ():
            if entry.name != _LOCK_FILE:
                _remove(entry)


def _remove(path: Path) -> None:
    """Delete a file or folder, of which others may delete parts meanwhile."""
    while path.exists():
        with suppress(FileNotFoundError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
