"""Erasures whose rows are gone but whose database file has not been rewritten yet."""

from __future__ import annotations

from sqlalchemy import func, select, update

from consentry.store.database import Database
from consentry.store.schema import TombstoneRow


def is_compaction_pending(database: Database) -> bool:
    """Whether an erasure was interrupted before the file was rewritten."""
    with database.read() as session:
        pending = select(func.count()).where(TombstoneRow.compacted_unix_ms.is_(None))
        return session.execute(pending).scalar_one() > 0


def finish_erasures(database: Database, now_unix_ms: int) -> None:
    """Rewrite the file without the erased rows and note on each tombstone that this was done.

    Raises:
        EnvironmentLack: another process keeps an old view open.
        DataDamaged, DiskFull: see `consentry.store.failures`.
    """
    database.compact()
    with database.write() as session:
        session.execute(
            update(TombstoneRow)
            .where(TombstoneRow.compacted_unix_ms.is_(None))
            .values(compacted_unix_ms=now_unix_ms)
        )
