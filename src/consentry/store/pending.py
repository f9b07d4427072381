"""Erasures and changes of the template key that are done but whose database file is not rewritten yet."""

from __future__ import annotations

from sqlalchemy import func, select, update

from consentry.store.database import Database
from consentry.store.schema import TemplateRotationRow, TombstoneRow

_TABLES = (TombstoneRow, TemplateRotationRow)


def is_compaction_pending(database: Database) -> bool:
    """Whether one was interrupted before the file was rewritten."""
    with database.read() as session:
        return any(
            session.execute(select(func.count()).where(table.compacted_unix_ms.is_(None))).scalar_one() > 0
            for table in _TABLES
        )


def finish_erasures(database: Database, now_unix_ms: int) -> None:
    """Rewrite the file without what was deleted or replaced, and note that this was done.

    Raises:
        EnvironmentLack: another process keeps an old view open.
        DataDamaged, DiskFull: see `consentry.store.failures`.
    """
    database.compact()
    with database.write() as session:
        for table in _TABLES:
            session.execute(
                update(table).where(table.compacted_unix_ms.is_(None)).values(compacted_unix_ms=now_unix_ms)
            )
