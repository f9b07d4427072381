"""Turns what SQLite and the file system report into this project's errors, with cause and mend."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from consentry.errors import ConsentryError, DataDamaged, DiskFull, EnvironmentLack

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PRIMARY_CODE_MASK = 0xFF  # an extended SQLite result code keeps the primary one in its low byte
_WRITE_FAILED = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
}


def disk_full(path: Path) -> DiskFull:
    """The error for a write that found no space."""
    return DiskFull(f"no space left to write to {path}", "Free some space there and run the command again")


def no_access(path: Path) -> DiskFull:
    """The error for a file or folder that the file system does not let this user write to or read."""
    return DiskFull(
        f"no right to use {path}, or its file system is read-only",
        "Mount it for writing, or give it to the user who runs Consentry",
    )


def from_os_error(error: OSError, path: Path) -> ConsentryError:
    """What an `OSError` about `path` means here."""
    if error.errno in _FULL_ERRNOS:
        return disk_full(path)
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return no_access(path)
    if error.errno == errno.EIO:
        return DataDamaged(f"the disk failed at {path}", "Check the disk, then restore a backup")
    return EnvironmentLack(f"{path}: {error.strerror or error}", "Check the data folder")


def from_sqlite_error(error: sqlite3.Error, path: Path) -> ConsentryError:
    """What an SQLite error means here, by its result code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & _PRIMARY_CODE_MASK
    if primary == sqlite3.SQLITE_FULL or code in _WRITE_FAILED:
        return disk_full(path)
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return no_access(path)
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return EnvironmentLack(
            f"another process keeps {path} locked", "Wait until it is done and run the command again"
        )
    return DataDamaged(
        f"the database {path} cannot be used: {error}", "Restore the data folder from a backup"
    )


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """Within the block, SQLite and file system errors come out as `ConsentryError`.

    Args:
        path: The file or folder to name in the message.
    """
    try:
        yield
    except DBAPIError as error:
        original = error.orig
        if isinstance(original, sqlite3.Error):
            raise from_sqlite_error(original, path) from error
        raise DataDamaged(f"the database {path} cannot be used: {original}") from error
    except sqlite3.Error as error:
        raise from_sqlite_error(error, path) from error
    except OSError as error:
        raise from_os_error(error, path) from error
