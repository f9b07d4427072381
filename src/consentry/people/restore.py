"""Bringing a site back from a backup, without anyone who has withdrawn since.

Everything is checked before it counts: who made the backup, then each byte against the signed manifest,
then the opened site. Only then does it take the place of what was there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyrage
from sqlalchemy import func, select

from consentry.clock import Clock
from consentry.errors import BackupRefused, ConsentryError, DataTooNew, UsageError
from consentry.ledger.checkpoint import Checkpoint, open_note
from consentry.ledger.entry import Event
from consentry.people.age import decrypt
from consentry.people.archive import (
    MANIFEST,
    MOST_MANIFEST_BYTES,
    SIGNATURE,
    SIGNATURE_BYTES,
    Manifest,
    Progress,
    Untarring,
    parse_manifest,
    verify_manifest,
)
from consentry.people.backup import no_progress
from consentry.people.keys import site_key
from consentry.people.settle import exchange, restore_folder, settle_restore
from consentry.people.site import Site
from consentry.people.tombstones import TombstoneFile, Tombstones, read_tombstones
from consentry.people.upkeep import check_site
from consentry.store.blobs import BLOBS_FOLDER
from consentry.store.database import DATABASE_FILE, SCHEMA_REVISIONS, read_copy
from consentry.store.failures import mapped_errors
from consentry.store.files import new_file, sync_folder
from consentry.store.schema import PersonRow, SiteRow, TombstoneRow

_LOCK_FILES = {"hub.lock"}


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A site has been restored.

    Attributes:
        site_uuid: Which.
        made_unix_ms: When the backup was made, milliseconds since 1970 UTC.
        people: How many are enrolled now.
        erased_again: How many had withdrawn since, or before, and were in the backup all the same.
        checkpoint_size: Number of ledger entries in the backup.
        ledger_seq: Number of the ledger entry of this restore.
        tombstones_known: Whether a list of those who withdrew was there; if not, someone may be back.
    """

    site_uuid: str
    made_unix_ms: int
    people: int
    erased_again: int
    checkpoint_size: int
    ledger_seq: int
    tombstones_known: bool


def restore_backup(
    file: Path,
    data_dir: Path,
    identities: Sequence[pyrage.x25519.Identity],
    *,
    clock: Clock,
    actor: str,
    replace: bool = False,
    tombstones: Path | None = None,
    withdrawn_may_return: bool = False,
    progress: Progress = no_progress,
) -> RestoreReport:
    """Restore `file` into `data_dir`; if anything is wrong, that is as it was before.

    Args:
        file: As `make_backup` wrote it.
        data_dir: Empty or not there; with `replace`, an installation of the same site that nobody uses.
        identities: One of them must be a recipient's.
        clock: The time; consents that have ended by now are erased.
        actor: Who does this, for the ledger.
        replace: Whether what is there is thrown away, once the backup is in its place.
        tombstones: A list of those who withdrew, beside the site's own.
        withdrawn_may_return: Go on although no such list is to be found.
        progress: Told how much of the backup is read.

    Raises:
        UsageError: `data_dir` holds something and `replace` is not set.
        BackupRefused: the backup is damaged, not for these identities, somebody else's, of another site than
            the one to be replaced, or there is no list of those who withdrew; says which.
        SiteKeyMissing: the site key is not there or is another site's.
        DataTooNew: it was made by a newer version.
        DiskFull, DataDamaged, EnvironmentLack, LedgerBroken, ErasureIncomplete: see `Site.open`.
    """
    settle_restore(data_dir)
    _check_place(data_dir, replace=replace)
    with ExitStack() as undo:
        if not data_dir.exists():
            with mapped_errors(data_dir):
                data_dir.mkdir(mode=0o700, parents=True)
            undo.callback(_remove_empty, data_dir)
        undo.callback(settle_restore, data_dir)
        with restore_folder(data_dir) as ready:
            unpacking = _Unpacking(ready, data_dir, progress)
            with unpacking:
                archive = Untarring(unpacking)
                decrypt(file, archive.take, identities)
                archive.finish()
            manifest = unpacking.finish()
            known = _hand_on_tombstones(
                manifest.site_uuid, data_dir, tombstones, withdrawn_may_return=withdrawn_may_return
            )
            report = _bring_up(ready, manifest, clock, actor, tombstones_known=known)
            exchange(data_dir)
        undo.pop_all()
    return report


def _check_place(data_dir: Path, *, replace: bool) -> None:
    if data_dir.exists() and not data_dir.is_dir():
        raise UsageError(f"{data_dir} is not a folder", "Give a folder with --data")
    held = {path.name for path in data_dir.iterdir()} if data_dir.exists() else set()
    if held - _LOCK_FILES and not replace:
        raise UsageError(
            f"{data_dir} is not empty", "Give another folder with --data, or --replace to throw this one away"
        )
    if held - _LOCK_FILES and not (data_dir / DATABASE_FILE).is_file():
        raise UsageError(f"{data_dir} holds no installation of Consentry", "Give another folder with --data")


def _remove_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


class _Unpacking:
    """Writes the members of an archive into a folder, if they are those of its signed manifest."""

    def __init__(self, folder: Path, data_dir: Path, progress: Progress) -> None:
        self._folder, self._data_dir, self._progress = folder, data_dir, progress
        self._manifest: Manifest | None = None
        self._packed, self._signature = bytearray(), bytearray()
        self._next = self._done_bytes = 0
        self._path = ""
        self._file: BinaryIO | None = None
        self._closing = ExitStack()
        self._digest = hashlib.sha256()

    def __enter__(self) -> _Unpacking:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def begin(self, path: str, size_bytes: int) -> None:
        """A member follows: the manifest, its signature, or the next one of the manifest."""
        self._path = path
        if self._manifest is None:
            wanted, most = (SIGNATURE, SIGNATURE_BYTES) if self._packed else (MANIFEST, MOST_MANIFEST_BYTES)
            if path != wanted or not 0 < size_bytes <= most:
                raise BackupRefused(
                    f"the backup holds {path!r} where {wanted} should be", "Take another backup"
                )
            return
        if self._next >= len(self._manifest.members):
            raise _not_as_signed(path)
        member = self._manifest.members[self._next]
        if (path, size_bytes) != (member.path, member.size_bytes):
            raise _not_as_signed(path)
        target = self._folder / member.path
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700)
        self._file = self._closing.enter_context(new_file(target))
        self._digest = hashlib.sha256()

    def content(self, chunk: bytes) -> None:
        """The next piece of it."""
        if self._path == MANIFEST:
            self._packed += chunk
        elif self._path == SIGNATURE:
            self._signature += chunk
        elif self._file is not None and self._manifest is not None:
            self._file.write(chunk)
            self._digest.update(chunk)
            self._done_bytes += len(chunk)
            self._progress(self._done_bytes, self._manifest.size_bytes)

    def end(self) -> None:
        """It is complete."""
        if self._path == SIGNATURE:
            self._verify()
        elif self._manifest is not None:
            self._closing.close()
            if self._digest.hexdigest() != self._manifest.members[self._next].sha256:
                raise _not_as_signed(self._path)
            self._next += 1

    def finish(self) -> Manifest:
        """The manifest, once all that it lists has been written.

        Raises:
            BackupRefused: something is missing.
        """
        if self._manifest is None or self._next < len(self._manifest.members):
            raise BackupRefused("the backup is not complete", "Take another backup")
        for folder in (self._folder / BLOBS_FOLDER, self._folder):
            if folder.exists():
                sync_folder(folder)
        return self._manifest

    def _verify(self) -> None:
        """Whether this site made the backup, before any other byte of it is looked at."""
        packed = bytes(self._packed)
        manifest = parse_manifest(packed)
        salt = bytes.fromhex(manifest.kdf_salt) if manifest.kdf_salt is not None else None
        key = site_key(manifest.site_uuid, salt, self._data_dir)
        verify_manifest(manifest, packed, bytes(self._signature), key)
        if manifest.schema_revision not in SCHEMA_REVISIONS:
            raise DataTooNew(
                f"the backup has schema {manifest.schema_revision}, which is newer than this program's "
                f"{SCHEMA_REVISIONS[-1]}",
                "Update Consentry",
            )
        held = _held_by(self._data_dir)
        if held is not None and held[0] != manifest.site_uuid:
            raise BackupRefused(
                f"{self._data_dir} holds site {held[0]}, but the backup is of site {manifest.site_uuid} "
                f"(“{manifest.site_name}”)",
                "Give another folder with --data",
            )
        self._manifest = manifest


def _not_as_signed(path: str) -> BackupRefused:
    return BackupRefused(
        f"{path!r} in the backup is not what the site signed", "Take another copy or another backup"
    )


def _held_by(data_dir: Path) -> tuple[str, Tombstones] | None:
    """The site in `data_dir` and who has withdrawn from it; None if there is none that can be read."""
    path = data_dir / DATABASE_FILE
    if not path.is_file():
        return None
    try:
        with read_copy(path, has_log=True) as session:
            rows = session.execute(select(TombstoneRow.person_id_sha256, TombstoneRow.erased_unix_ms))
            tombstones = {row.person_id_sha256: row.erased_unix_ms for row in rows}
            return session.execute(select(SiteRow.site_uuid)).scalar_one(), tombstones
    except ConsentryError:
        return None  # it is being replaced because it is damaged: the list outside is what counts


def _hand_on_tombstones(
    site_uuid: str, data_dir: Path, given: Path | None, *, withdrawn_may_return: bool
) -> bool:
    """Put every tombstone that is to be found on the site's own list; returns whether there was a list.

    Raises:
        BackupRefused: there is none, so that those who withdrew would be back.
    """
    own = TombstoneFile(site_uuid, data_dir)
    is_known = own.exists() or given is not None
    if not is_known and not withdrawn_may_return:
        raise BackupRefused(
            f"the list of those who withdrew since, {own.path}, is not there, so this backup could bring "
            "them back",
            "Put it there or give a copy with --tombstones FILE; if it is lost for good, "
            "--withdrawn-people-may-return goes on without",
        )
    held = _held_by(data_dir)
    found = (read_tombstones(given, site_uuid) if given is not None else {}) | (held[1] if held else {})
    listed = own.read()
    own.add({name: unix_ms for name, unix_ms in found.items() if name not in listed})
    return is_known


def _bring_up(
    ready: Path, manifest: Manifest, clock: Clock, actor: str, *, tombstones_known: bool
) -> RestoreReport:
    """Open the restored site before anybody else can, erase who has to go, and check the rest.

    Raises:
        BackupRefused: it is not in order.
    """
    with read_copy(ready / DATABASE_FILE) as session:
        people_before = session.execute(select(func.count()).select_from(PersonRow)).scalar_one()
    with Site.open(ready, clock=clock) as site:  # erases whoever has a tombstone
        with site.read() as session:
            people = session.execute(select(func.count()).select_from(PersonRow)).scalar_one()
        checkpoint = Checkpoint.parse(open_note(manifest.checkpoint, site.ledger.verifier))
        with site.read() as session:
            site.ledger.verify_extends(session.connection(), manifest.checkpoint)
        left = [finding for finding in check_site(site, mend=True, actor=actor) if not finding.mended]
        if left:
            raise BackupRefused(f"the backup is not in order: {left[0].what}", "Take another backup")
        with site.write() as session:
            enrolled = session.execute(select(func.count()).select_from(PersonRow)).scalar_one()
            entry = site.log(
                session,
                Event.BACKUP_RESTORED,
                actor=actor,
                payload={
                    "made_unix_ms": manifest.made_unix_ms,
                    "checkpoint_size": checkpoint.size,
                    "erased_again": people_before - people,
                    "tombstones_known": tombstones_known,
                },
            )
    return RestoreReport(
        site_uuid=manifest.site_uuid,
        made_unix_ms=manifest.made_unix_ms,
        people=enrolled,
        erased_again=people_before - people,
        checkpoint_size=checkpoint.size,
        ledger_seq=entry.seq,
        tombstones_known=tombstones_known,
    )
