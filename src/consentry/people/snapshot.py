"""A copy of the database to back up from: as of one moment, inside the data folder, gone when done.

A withdrawal deletes the copy under way, so that it leaves nothing there; who makes the backup notices and
takes another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select, text

from consentry.errors import EnvironmentLack
from consentry.store.database import DATABASE_FILE, Database, read_copy
from consentry.store.parts import empty_part_folder, part_folder
from consentry.store.schema import BlobRow, LedgerHeadRow, SiteRow, TombstoneRow

BACKUP_PART = "backup.part"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the copy holds that a backup has to say.

    Attributes:
        database: The file.
        schema_revision: Of the database.
        site_name: Of the site.
        kdf_salt, sealed_key_check, sealed_ledger_seed: As in the table `site`.
        checkpoint: The ledger's newest.
        blobs: Name and size in bytes of each blob, in the order of their names.
        tombstones: Everyone erased until then, by hash.
    """

    database: Path
    schema_revision: str
    site_name: str
    kdf_salt: bytes | None
    sealed_key_check: bytes
    sealed_ledger_seed: bytes = field(repr=False)
    checkpoint: str
    blobs: tuple[tuple[str, int], ...]
    tombstones: frozenset[str]


@contextmanager
def backup_folder(data_dir: Path) -> Iterator[Path]:
    """Where a backup under way keeps its copy.

    Raises:
        EnvironmentLack: another backup is under way.
        DiskFull: it cannot be made.
    """
    under_way = EnvironmentLack(f"a backup of {data_dir} is under way", "Wait until it is done")
    with part_folder(data_dir / BACKUP_PART, under_way=under_way) as folder:
        yield folder


def take_snapshot(database: Database, folder: Path) -> Snapshot:
    """Copy the database into `folder`.

    Raises:
        FileNotFoundError: a withdrawal has deleted the copy already; take another.
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    empty_part_folder(folder)
    path = folder / DATABASE_FILE
    database.copy_to(path)
    if not path.exists():
        raise FileNotFoundError(path)
    with read_copy(path) as session:
        site = session.scalars(select(SiteRow)).one()
        return Snapshot(
            database=path,
            schema_revision=session.execute(text("SELECT version_num FROM alembic_version")).scalar_one(),
            site_name=site.name,
            kdf_salt=site.kdf_salt,
            sealed_key_check=site.sealed_key_check,
            sealed_ledger_seed=site.sealed_ledger_seed,
            checkpoint=session.execute(select(LedgerHeadRow.checkpoint)).scalar_one(),
            blobs=tuple(
                (row.sha256, row.size_bytes)
                for row in session.scalars(select(BlobRow).order_by(BlobRow.sha256))
            ),
            tombstones=frozenset(session.scalars(select(TombstoneRow.person_id_sha256))),
        )


def discard_snapshot(data_dir: Path) -> None:
    """Delete the copy of a backup under way, if there is one.

    Raises:
        DiskFull: no right to delete.
    """
    empty_part_folder(data_dir / BACKUP_PART)
