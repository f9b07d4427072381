"""The list of who has withdrawn, kept outside the data folder, so that no backup brings them back.

One line for each erasure: the SHA-256 of the random person id and when, in milliseconds since 1970 UTC.
It says nothing about anyone. Where it is:

    CONSENTRY_TOMBSTONES_FILE   the file
    not set                     `<site uuid>.tombstones` in `consentry.config.keys_dir()`

The database has the same list; this one is not rolled back with it. A withdrawal writes here first, so that
the list is never shorter than the truth, and `Site.open` erases again whoever is on it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from consentry.config import keys_dir
from consentry.errors import BadConfig, UsageError
from consentry.store.failures import mapped_errors
from consentry.store.files import sync_folder, write_new_file

FILE_VARIABLE = "CONSENTRY_TOMBSTONES_FILE"
_HEADER = "consentry-tombstones-1"
_LINE = re.compile(r"([0-9a-f]{64}) ([0-9]{1,15})")

Tombstones = dict[str, int]
"""When each was erased, in milliseconds since 1970 UTC, by the hash of the person's id."""


def tombstone_of(person_id: str) -> str:
    """The SHA-256 of a random person id, hexadecimal."""
    return hashlib.sha256(person_id.encode()).hexdigest()


class TombstoneFile:
    """The list of one site; safe for several processes, as each line is one short append.

    Args:
        site_uuid: The site's UUID.
        data_dir: The data folder, which must not hold the file.

    Raises:
        BadConfig: the file lies in the data folder, with which it would be rolled back.
    """

    def __init__(self, site_uuid: str, data_dir: Path) -> None:
        given = os.environ.get(FILE_VARIABLE)
        self.path = Path(given).expanduser() if given else keys_dir() / f"{site_uuid}.tombstones"
        self._site_uuid = site_uuid
        if self.path.resolve().is_relative_to(data_dir.resolve()):
            raise BadConfig(
                f"the tombstones {self.path} lie in the data folder, so a restore would undo them",
                f"Set {FILE_VARIABLE} to a file elsewhere",
            )

    def exists(self) -> bool:
        """Whether there is a list, which may be empty."""
        return self.path.is_file()

    def read(self) -> Tombstones:
        """All that is on the list; empty if there is none.

        Raises:
            UsageError: it is another site's or no list at all.
            DiskFull, DataDamaged: the file cannot be read.
        """
        return read_tombstones(self.path, self._site_uuid) if self.exists() else {}

    def add(self, tombstones: Mapping[str, int]) -> None:
        """Put these on the list, made first if needed; on return they are on the disk.

        Raises:
            DiskFull: the file cannot be written.
        """
        with mapped_errors(self.path):
            if not self.exists():
                self._make()
            lines = "".join(f"{name} {unix_ms}\n" for name, unix_ms in tombstones.items())
            if not lines:
                return
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)
            try:
                size_bytes = os.fstat(descriptor).st_size
                # a power cut may have left half a line, which must not spoil the next
                is_torn = size_bytes > 0 and os.pread(descriptor, 1, size_bytes - 1) != b"\n"
                content = (("\n" if is_torn else "") + lines).encode()
                if os.write(descriptor, content) < len(content):
                    raise OSError(errno.ENOSPC, "half a line was written")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _make(self) -> None:
        """An empty list, complete once it has its name."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.part")
        write_new_file(unfinished, f"{_HEADER} {self._site_uuid}\n".encode())
        unfinished.replace(self.path)
        sync_folder(self.path.parent)


def read_tombstones(path: Path, site_uuid: str) -> Tombstones:
    """The list in `path`. Half a line, as a power cut leaves one, is left out: its erasure never committed.

    Raises:
        UsageError: it is another site's or no list at all.
        DiskFull, DataDamaged, EnvironmentLack: the file cannot be read.
    """
    with mapped_errors(path):
        first, *lines = path.read_text(encoding="ascii", errors="replace").split("\n")
    form, _, owner = first.partition(" ")
    if form != _HEADER:
        raise UsageError(f"{path} is no list of tombstones", "Give the file that was beside the site key")
    if owner != site_uuid:
        raise UsageError(
            f"the tombstones {path} are those of site {owner}, not of site {site_uuid}",
            "Give the file that was beside this site's key",
        )
    found = (_LINE.fullmatch(line) for line in lines)
    return {match[1]: int(match[2]) for match in found if match}
