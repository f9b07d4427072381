"""Making a backup while the site runs: database, blobs and settings, to age recipients, never in clear.

The site key and the tombstones are not in it: see docs/backup.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select

from consentry.config import SETTINGS_FILE
from consentry.errors import DataDamaged, EnvironmentLack, UsageError
from consentry.ledger.checkpoint import Checkpoint, open_note
from consentry.ledger.entry import Event
from consentry.people.age import CHUNK_BYTES, encrypt, read_recipients
from consentry.people.archive import (
    MANIFEST,
    SIGNATURE,
    TAR_END,
    Manifest,
    Member,
    Progress,
    pack_manifest,
    tar_header,
    tar_padding,
)
from consentry.people.site import Site
from consentry.people.snapshot import Snapshot, backup_folder, take_snapshot
from consentry.store.blobs import BLOBS_FOLDER
from consentry.store.database import DATABASE_FILE
from consentry.store.failures import mapped_errors
from consentry.store.files import new_file, sync_folder
from consentry.store.schema import BlobRow, TombstoneRow

MOST_TRIES = 5
_PART = ".part"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup has been made.

    Attributes:
        site_uuid: Whose.
        file: Where.
        size_bytes, sha256: Of the file.
        blobs: Number of blobs in it.
        checkpoint_size: Number of ledger entries in it.
        recipients: Who can open it, if they have the site key too.
        ledger_seq: Number of the ledger entry.
    """

    site_uuid: str
    file: Path
    size_bytes: int
    sha256: str
    blobs: int
    checkpoint_size: int
    recipients: tuple[str, ...]
    ledger_seq: int


class _SnapshotChangedError(Exception):
    """Someone withdrew, or a photo was taken out, since the copy was made."""


@dataclass
class _Written:
    file: BinaryIO
    size_bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def take(self, data: bytes) -> None:
        self.file.write(data)
        self.size_bytes += len(data)
        self.digest.update(data)


def no_progress(_done_bytes: int, _total_bytes: int) -> None:
    """Tell nobody."""


def make_backup(
    site: Site, file: Path, recipients: Sequence[str], *, actor: str, progress: Progress = no_progress
) -> BackupReport:
    """Write a backup of the whole site to `file`, which appears when it is complete.

    Nobody who has withdrawn by then is in it: if someone does meanwhile, it is begun again.

    Args:
        file: A new file outside the data folder.
        recipients: Age recipients (`age1…`), each of whom will be able to open it.
        actor: Who does this, for the ledger.

    Raises:
        UsageError: no or a malformed recipient; `file` is there already, or in the data folder.
        EnvironmentLack: another backup is under way, or people withdrew all the time.
        DataDamaged: a blob is missing or changed: a backup would not be one.
        DiskFull, LedgerBroken: see `consentry.store` and `Site.log`; there is no file then.
    """
    readers = read_recipients(recipients)
    _check_place(site, file)
    part = file.with_name(file.name + _PART)
    with backup_folder(site.data_dir) as folder:
        for _ in range(MOST_TRIES):
            try:
                with ExitStack() as undo:
                    with mapped_errors(part):
                        part.unlink(missing_ok=True)
                        undo.callback(part.unlink, missing_ok=True)
                        with new_file(part) as opened:
                            written = _Written(opened)
                            manifest, snapshot = _write(site, folder, written, readers, progress)
                    report = _agreed(site, file, manifest, snapshot, written, recipients, actor)
                    with mapped_errors(file):
                        part.rename(file)
                        sync_folder(file.parent)
                    undo.pop_all()
                return report
            except _SnapshotChangedError:
                continue
    raise EnvironmentLack(
        f"people withdrew during each of {MOST_TRIES} tries, so no backup was made", "Try again later"
    )


def _check_place(site: Site, file: Path) -> None:
    if file.exists():
        raise UsageError(f"{file} is there already", "Give another name; backups never replace each other")
    if file.resolve().is_relative_to(site.data_dir.resolve()):
        raise UsageError(f"{file} would be in the data folder itself", "Give a place on another disk")
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} is not there", "Make it first, or mount its disk")


def _write(
    site: Site, folder: Path, written: _Written, readers: Sequence[object], progress: Progress
) -> tuple[Manifest, Snapshot]:
    try:
        snapshot = take_snapshot(site.database, folder)
        with snapshot.database.open("rb") as database:
            settings = _settings(site)
            manifest = _manifest(site, snapshot, database, settings)
            database.seek(0)
            encrypt(_stream(site, manifest, database, settings, progress), written.take, readers)
    except FileNotFoundError:
        raise _SnapshotChangedError from None
    return manifest, snapshot


def _settings(site: Site) -> bytes | None:
    path = site.data_dir / SETTINGS_FILE
    with mapped_errors(path):
        return path.read_bytes() if path.is_file() else None


def _manifest(site: Site, snapshot: Snapshot, database: BinaryIO, settings: bytes | None) -> Manifest:
    digest = hashlib.sha256()
    for chunk in _chunks(database):
        digest.update(chunk)
    members = [Member(path=DATABASE_FILE, size_bytes=database.tell(), sha256=digest.hexdigest())]
    if settings is not None:
        sha256 = hashlib.sha256(settings).hexdigest()
        members.append(Member(path=SETTINGS_FILE, size_bytes=len(settings), sha256=sha256))
    members += [
        Member(path=f"{BLOBS_FOLDER}/{sha256}", size_bytes=size_bytes, sha256=sha256)
        for sha256, size_bytes in snapshot.blobs
    ]
    return Manifest(
        form="consentry-backup-1",
        site_uuid=site.site_uuid,
        site_name=snapshot.site_name,
        schema_revision=snapshot.schema_revision,
        made_unix_ms=site.now_unix_ms(),
        checkpoint=snapshot.checkpoint,
        kdf_salt=snapshot.kdf_salt.hex() if snapshot.kdf_salt is not None else None,
        sealed_key_check=snapshot.sealed_key_check.hex(),
        sealed_ledger_seed=snapshot.sealed_ledger_seed.hex(),
        members=tuple(members),
    )


def _stream(
    site: Site, manifest: Manifest, database: BinaryIO, settings: bytes | None, progress: Progress
) -> Iterator[bytes]:
    """The tar stream."""
    packed, signature = pack_manifest(manifest, site.key)
    for path, content in ((MANIFEST, packed), (SIGNATURE, signature)):
        yield tar_header(path, len(content)) + content + tar_padding(len(content))
    done_bytes = 0
    for member in manifest.members:
        yield tar_header(member.path, member.size_bytes)
        if member.path == DATABASE_FILE:
            chunks = _chunks(database)
        elif member.path == SETTINGS_FILE:
            chunks = iter([settings or b""])
        else:
            chunks = _blob(site, member)
        for chunk in chunks:
            yield chunk
            done_bytes += len(chunk)
            progress(done_bytes, manifest.size_bytes)
        yield tar_padding(member.size_bytes)
    yield TAR_END


def _blob(site: Site, member: Member) -> Iterator[bytes]:
    """A blob's content.

    Raises:
        FileNotFoundError: no row names it any more.
        DataDamaged: it is missing or changed.
    """
    path = site.data_dir / member.path
    try:
        file = path.open("rb")
    except FileNotFoundError:
        with site.read() as session:
            is_named = session.get(BlobRow, member.sha256) is not None
        if not is_named:
            raise
        raise DataDamaged(f"{path} is missing", "Run `consentry check`, which says whose it is") from None
    digest, size_bytes = hashlib.sha256(), 0
    with file, mapped_errors(path):
        for chunk in _chunks(file):
            digest.update(chunk)
            size_bytes += len(chunk)
            yield chunk
    if (digest.hexdigest(), size_bytes) != (member.sha256, member.size_bytes):
        raise DataDamaged(
            f"{path} has changed since it was written", "Run `consentry check`, which says whose it is"
        )


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"")


def _agreed(
    site: Site,
    file: Path,
    manifest: Manifest,
    snapshot: Snapshot,
    written: _Written,
    recipients: Sequence[str],
    actor: str,
) -> BackupReport:
    """Log the backup, once it is sure that nobody has withdrawn since its copy was made.

    Raises:
        _SnapshotChangedError: someone has.
    """
    checkpoint_size = Checkpoint.parse(open_note(manifest.checkpoint, site.ledger.verifier)).size
    with site.write() as session:
        if frozenset(session.scalars(select(TombstoneRow.person_id_sha256))) != snapshot.tombstones:
            raise _SnapshotChangedError
        entry = site.log(
            session,
            Event.BACKUP_MADE,
            actor=actor,
            payload={
                "recipients_sha256": [hashlib.sha256(text.encode()).hexdigest() for text in recipients],
                "size_bytes": written.size_bytes,
                "sha256": written.digest.hexdigest(),
                "checkpoint_size": checkpoint_size,
            },
        )
    return BackupReport(
        site_uuid=site.site_uuid,
        file=file,
        size_bytes=written.size_bytes,
        sha256=written.digest.hexdigest(),
        blobs=len(snapshot.blobs),
        checkpoint_size=checkpoint_size,
        recipients=tuple(recipients),
        ledger_seq=entry.seq,
    )
