"""Files that commands read and write whole."""

from __future__ import annotations

from pathlib import Path

from consentry.errors import UsageError


def write_file(path: Path, content: bytes) -> None:
    """Write a file, in the place of one that is there.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Choose another file") from None


def read_whole(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Give the path of a file") from None
