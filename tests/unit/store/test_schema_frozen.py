"""A new database, an upgraded one, the tables of `schema.py` and the frozen file agree."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

import consentry.store.database as database_module
from consentry.store.database import DATABASE_FILE, SCHEMA_REVISIONS, open_database
from consentry.store.schema import Base

STORE = Path(database_module.__file__).parent
MIGRATIONS = STORE / "migrations" / "versions"
NEWEST = STORE / f"schema_v{len(SCHEMA_REVISIONS)}.sql"


def _statements(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: _plain(sql) for name, sql in rows}


def _plain(sql: str) -> str:
    without_comments = re.sub(r"--[^\n]*", "", sql)
    return re.sub(r"\s+", " ", without_comments).replace("( ", "(").replace(" )", ")").strip()


def _structure(connection: sqlite3.Connection) -> dict[str, Any]:
    """Columns, keys and indexes of each table; says the same of a column whether added later or not."""
    tables = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
        )
    ]
    return {
        table: {
            "columns": {row[1]: row[2:] for row in connection.execute(f'PRAGMA table_info("{table}")')},
            "keys": sorted(row[2:] for row in connection.execute(f'PRAGMA foreign_key_list("{table}")')),
            "indexes": sorted(
                (index[2], tuple(row[2] for row in connection.execute(f'PRAGMA index_info("{index[1]}")')))
                for index in connection.execute(f'PRAGMA index_list("{table}")')
            ),
        }
        for table in tables
    }


def _upgraded(folder: Path) -> sqlite3.Connection:
    open_database(folder).close()
    return sqlite3.connect(folder / DATABASE_FILE)


def _from_sql(path: Path, database: str | Path = ":memory:") -> sqlite3.Connection:
    connection = sqlite3.connect(database)
    connection.executescript(path.read_text(encoding="utf-8"))
    return connection


def test_a_new_database_equals_the_frozen_file(tmp_path: Path) -> None:
    new, frozen = _upgraded(tmp_path), _from_sql(NEWEST)
    assert _statements(new) == _statements(frozen)
    assert len(_statements(frozen)) > 24  # as many as version 1 had, and more: none was lost in comparing
    new.close()
    frozen.close()


def test_the_tables_of_the_code_equal_the_frozen_file(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'code.db'}")
    Base.metadata.create_all(engine)
    engine.dispose()
    code, frozen = sqlite3.connect(tmp_path / "code.db"), _from_sql(NEWEST)
    assert _structure(code) == _structure(frozen)
    code.close()
    frozen.close()


@pytest.mark.parametrize("version", range(1, len(SCHEMA_REVISIONS)))
def test_an_upgraded_database_equals_the_frozen_file(tmp_path: Path, version: int) -> None:
    old = _from_sql(STORE / f"schema_v{version}.sql", tmp_path / DATABASE_FILE)
    old.execute("INSERT INTO alembic_version VALUES (?)", (SCHEMA_REVISIONS[version - 1],))
    old.commit()
    old.close()
    upgraded, frozen = _upgraded(tmp_path), _from_sql(NEWEST)
    assert _structure(upgraded) == _structure(frozen)
    upgraded.close()
    frozen.close()


def test_what_version_1_held_keeps_its_meaning(tmp_path: Path) -> None:
    old = _from_sql(STORE / "schema_v1.sql", tmp_path / DATABASE_FILE)
    old.execute("INSERT INTO alembic_version VALUES ('0001')")
    old.execute("INSERT INTO user VALUES ('owner', 'hash', 'owner', 5)")
    old.execute("INSERT INTO camera VALUES ('door', 'rtsp://***@x/', x'00', 'entrance', 7)")
    old.execute("INSERT INTO person VALUES ('p', 9, x'01')")
    document = '{"controller":"Example Ltd","review_due_on":"2027-06-30"}'
    old.execute("INSERT INTO declaration VALUES (1, 3, 0, ?)", (document,))
    old.commit()
    old.close()
    new = _upgraded(tmp_path)
    user = new.execute('SELECT id, name, password_argon2id, role, created_unix_ms FROM "user"').fetchall()
    assert [row[1:] for row in user] == [("owner", "hash", "admin", 5)]
    assert re.fullmatch(r"[0-9a-f]{16}", user[0][0])
    assert new.execute("SELECT owner, review_due_on, zone FROM camera").fetchall() == [
        ("Example Ltd", "2027-06-30", None)
    ]
    assert new.execute("SELECT id, last_seen_unix_ms, sealed_refusal FROM person").fetchall() == [
        ("p", 0, None)
    ]
    new.close()


def test_every_revision_is_known_and_no_migration_imports_live_models() -> None:
    scripts = sorted(MIGRATIONS.glob("[0-9]*.py"))
    assert tuple(path.name[:4] for path in scripts) == SCHEMA_REVISIONS
    for path in scripts:
        assert "consentry" not in re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_a_second_opening_changes_nothing(tmp_path: Path) -> None:
    first = _upgraded(tmp_path)
    statements = _statements(first)
    first.close()
    second = _upgraded(tmp_path)
    assert _statements(second) == statements
    second.close()
