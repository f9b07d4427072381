"""A new database, an upgraded one and the frozen file are the same, letter by letter but for spaces."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import sqlalchemy

import consentry.store.database as database_module
from consentry.store.database import DATABASE_FILE, SCHEMA_REVISIONS, open_database
from consentry.store.schema import Base

FROZEN = Path(database_module.__file__).parent / "schema_v1.sql"
MIGRATIONS = Path(database_module.__file__).parent / "migrations" / "versions"


def _statements(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: _plain(sql) for name, sql in rows}


def _plain(sql: str) -> str:
    without_comments = re.sub(r"--[^\n]*", "", sql)
    return re.sub(r"\s+", " ", without_comments).replace("( ", "(").replace(" )", ")").strip()


def _upgraded(folder: Path) -> dict[str, str]:
    open_database(folder).close()
    connection = sqlite3.connect(folder / DATABASE_FILE)
    try:
        return _statements(connection)
    finally:
        connection.close()


def _fresh() -> dict[str, str]:
    engine = sqlalchemy.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            Base.metadata.create_all(connection)
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            return {name: _plain(sql) for name, sql in rows}
    finally:
        engine.dispose()


def _frozen() -> dict[str, str]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(FROZEN.read_text(encoding="utf-8"))
        return _statements(connection)
    finally:
        connection.close()


def test_upgraded_equals_frozen_file(tmp_path: Path) -> None:
    upgraded, frozen = _upgraded(tmp_path), _frozen()
    assert upgraded == frozen
    assert len(frozen) == 24  # 16 tables and 8 indexes: none was lost in comparing


def test_fresh_tables_equal_frozen_file() -> None:
    frozen = _frozen()
    del frozen["alembic_version"]  # the migration tool's own
    assert _fresh() == frozen


def test_every_revision_is_known_and_no_migration_imports_live_models() -> None:
    scripts = sorted(MIGRATIONS.glob("[0-9]*.py"))
    assert tuple(path.name[:4] for path in scripts) == SCHEMA_REVISIONS
    for path in scripts:
        assert "consentry" not in re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_a_second_opening_changes_nothing(tmp_path: Path) -> None:
    assert _upgraded(tmp_path) == _upgraded(tmp_path)
