"""The models folder: files named by their sha256, each verified before it is used.

    <folder>/sha256/<hash>        verified weights and pictures
    <folder>/partial/<hash>       a download that can be resumed
    <folder>/partial/<hash>.new   a file being written; never read
    <folder>/lock                 held while a pull runs

Write order: file, fsync, rename, fsync of the directory. So a name under `sha256/` is either absent
or a whole file, whatever was interrupted.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from consentry.errors import DiskFull, EnvironmentLack, ModelCorrupt, ModelMissing
from consentry.models.catalogue import ModelEntry

State = Literal["verified", "missing", "corrupt"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError met while working in `path` into what the user can act on.

    Raises:
        DiskFull: no space, quota or file size left.
        EnvironmentLack: any other OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _FULL:
            raise DiskFull(
                f"cannot write to {path}: {reason}",
                "Free some space, or set CONSENTRY_MODELS_DIR to a folder with more",
            ) from None
        raise EnvironmentLack(
            f"cannot use {path}: {reason}",
            "Correct its permissions, or set CONSENTRY_MODELS_DIR to another folder",
        ) from None


class ModelStore:
    """Content-addressed files in one folder, which is made when the first file comes.

    A file is hashed when this object first hands it out, and again when its size, time or inode has
    changed since. One object may be used by one thread at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._verified: dict[str, tuple[int, int, int]] = {}

    def path(self, entry: ModelEntry) -> Path:
        """The verified file of `entry`.

        Raises:
            ModelMissing: it was not pulled yet.
            ModelCorrupt: it differs from the catalogue's size or sha256.
            EnvironmentLack: the folder cannot be read.
        """
        path = self._final(entry)
        with disk_errors(path):
            try:
                found = path.stat()
            except FileNotFoundError:
                raise ModelMissing(
                    f"{entry.name} is not in {self.folder}", f"Run `consentry models pull {entry.pack}`"
                ) from None
            stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
            if self._verified.get(entry.sha256) == stamp:
                return path
            whole = stat.S_ISREG(found.st_mode) and found.st_size == entry.size_bytes
            if not whole or _sha256(path) != entry.sha256:
                raise ModelCorrupt(
                    f"{entry.name} in {self.folder} differs from its pinned sha256",
                    f"Run `consentry models pull {entry.pack}` to replace it",
                )
        self._verified[entry.sha256] = stamp
        return path

    def state(self, entry: ModelEntry) -> State:
        """Whether `path` would give the file, and if not, why.

        Raises:
            EnvironmentLack: the folder cannot be read.
        """
        try:
            self.path(entry)
        except ModelMissing:
            return "missing"
        except ModelCorrupt:
            return "corrupt"
        return "verified"

    def put(self, entry: ModelEntry, chunks: Iterable[bytes]) -> Path:
        """Store what `chunks` yield as the file of `entry`; on any error nothing of it remains.

        No more than `entry.size_bytes` bytes are written.

        Raises:
            ModelCorrupt: size or sha256 differ.
            DiskFull, EnvironmentLack: the folder cannot be written.
            Whatever `chunks` raises, which must not be an OSError.
        """
        new = self.partial(entry).with_suffix(".new")
        digest, size = hashlib.sha256(), 0
        try:
            with disk_errors(self.folder), new.open("wb") as stream:
                for chunk in chunks:
                    size += len(chunk)
                    if size > entry.size_bytes:
                        break
                    digest.update(chunk)
                    stream.write(chunk)
            if size != entry.size_bytes or digest.hexdigest() != entry.sha256:
                raise _refused(entry)
            return self._commit(entry, new)
        finally:
            new.unlink(missing_ok=True)

    def adopt(self, entry: ModelEntry) -> Path:
        """Make the finished download `partial(entry)` the file of `entry`; a wrong one is removed.

        Raises:
            ModelCorrupt: size or sha256 differ.
            DiskFull, EnvironmentLack: the folder cannot be written.
        """
        partial = self.partial(entry)
        with disk_errors(self.folder):
            good = partial.stat().st_size == entry.size_bytes and _sha256(partial) == entry.sha256
            if not good:
                partial.unlink()
                raise _refused(entry)
        return self._commit(entry, partial)

    def partial(self, entry: ModelEntry) -> Path:
        """Where a download of `entry` that can be resumed is kept; its folder exists afterwards.

        Raises:
            DiskFull, EnvironmentLack: the folder cannot be made.
        """
        folder = self.folder / "partial"
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / entry.sha256

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the same disk, removed with all it holds on the way out.

        Raises:
            DiskFull, EnvironmentLack: the folder cannot be made.
        """
        parent = self.folder / "partial"
        with disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix="scratch-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one pull, after clearing what an earlier, killed pull left half-written.

        Downloads that can be resumed stay.

        Raises:
            EnvironmentLack: another pull holds it, or the folder cannot be written.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("wb")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EnvironmentLack(
                    f"another pull is filling {self.folder}", "Wait until it has ended"
                ) from None
            with disk_errors(self.folder):
                self._clear_leftovers()
            yield

    def _clear_leftovers(self) -> None:
        for leftover in (self.folder / "partial").glob("scratch-*"):
            shutil.rmtree(leftover)
        for leftover in (self.folder / "partial").glob("*.new"):
            leftover.unlink()

    def _final(self, entry: ModelEntry) -> Path:
        return self.folder / "sha256" / entry.sha256

    def _commit(self, entry: ModelEntry, written: Path) -> Path:
        final = self._final(entry)
        with disk_errors(self.folder):
            with written.open("rb") as stream:
                os.fsync(stream.fileno())
            final.parent.mkdir(parents=True, exist_ok=True)
            written.replace(final)
            _fsync_folder(final.parent)
        return final


def file_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of the file `path`, a mebibyte at a time.

    Raises:
        EnvironmentLack: it cannot be read.
    """
    with disk_errors(path), path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            yield chunk


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(entry: ModelEntry) -> ModelCorrupt:
    return ModelCorrupt(
        f"what {entry.source} gave for {entry.name} differs from its pinned size or sha256; nothing was kept",
        "Do not use that file. Update Consentry, or report it if this goes on",
    )
