"""Opening, transactions and the errors of a database that cannot be used."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from consentry.errors import ConsentryError, DataDamaged, DataTooNew, DiskFull, EnvironmentLack, UsageError
from consentry.store.database import DATABASE_FILE, Database, open_database
from consentry.store.failures import from_os_error, from_sqlite_error
from consentry.store.schema import BlobRow


def _count(database: Database) -> int:
    with database.read() as session:
        return session.execute(select(func.count()).select_from(BlobRow)).scalar_one()


def test_settings_of_each_connection(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.read() as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "temp_store")
        }
    database.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "temp_store": 2,
    }


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    open_database(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / DATABASE_FILE).stat().st_mode & 0o777 == 0o600


def test_a_failed_block_keeps_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with pytest.raises(UsageError), database.write() as session:  # noqa: PT012 - the block is what is tested
        session.add(BlobRow(sha256="a", size_bytes=1, written_unix_ms=1))
        session.flush()
        raise UsageError("stop")
    assert _count(database) == 0
    database.close()


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    database = open_database(tmp_path)

    def add(start: int) -> None:
        for number in range(start, start + 10):
            with database.write() as session:
                session.add(BlobRow(sha256=str(number), size_bytes=1, written_unix_ms=1))

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _count(database) == 30
    database.close()


def test_two_processes_may_make_the_same_folder(tmp_path: Path) -> None:
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(open_database(tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [_count(database) for database in opened] == [0, 0, 0]
    for database in opened:
        database.close()


def test_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    path = tmp_path / DATABASE_FILE
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.execute("CREATE TABLE of_tomorrow (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DataTooNew, match=r"0999.*newer.*0002\. Update Consentry"):
        open_database(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, only some text that is long enough" * 20, b"\x00" * 4096]
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / DATABASE_FILE
    path.write_bytes(content)
    with pytest.raises(DataDamaged, match=r"cannot be used"):
        open_database(tmp_path)
    assert path.read_bytes() == content


def test_someone_elses_database(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE_FILE)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(DataDamaged, match="not a database of Consentry"):
        open_database(tmp_path)


def test_overwritten_pages_are_noticed(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.write() as session:
        session.add_all(
            BlobRow(sha256=f"{number:064}", size_bytes=1, written_unix_ms=1) for number in range(2000)
        )
    database.compact()
    database.close()
    path = tmp_path / DATABASE_FILE
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = b"\xa5" * (len(content) - 4096 * 3)
    path.write_bytes(content)

    def use() -> None:
        damaged = open_database(tmp_path)
        try:
            with damaged.read() as session:
                session.scalars(select(BlobRow)).all()
        finally:
            damaged.close()

    with pytest.raises(DataDamaged, match=r"cannot be used"):
        use()


def test_data_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(UsageError, match="is not a folder"):
        open_database(path)


def test_compacting_empties_the_log_and_forgets_deleted_rows(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.write() as session:
        session.add(BlobRow(sha256="remember-me-" * 8, size_bytes=1, written_unix_ms=1))
    with database.write() as session:
        session.execute(text("DELETE FROM blob"))
    database.compact()
    log = tmp_path / f"{DATABASE_FILE}-wal"
    assert log.stat().st_size == 0
    assert b"remember-me-" not in (tmp_path / DATABASE_FILE).read_bytes()
    database.close()


def test_compacting_says_when_a_reader_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentry.store.database.BUSY_TIMEOUT_S", 0.05)
    database = open_database(tmp_path)
    with database.write() as session:
        session.add(BlobRow(sha256="a", size_bytes=1, written_unix_ms=1))
    with database.read() as reader:
        reader.scalars(select(BlobRow)).all()
        with pytest.raises(EnvironmentLack, match="another process still reads"):
            database.compact()
    database.compact()
    database.close()


def test_a_locked_database_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentry.store.database.BUSY_TIMEOUT_S", 0.05)
    first, second = open_database(tmp_path), open_database(tmp_path)
    with first.write(), pytest.raises(EnvironmentLack, match="locked"), second.write():
        pass
    first.close()
    second.close()


def _sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("made up")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_IOERR_WRITE, DiskFull),
        (sqlite3.SQLITE_IOERR_FSYNC, DiskFull),
        (sqlite3.SQLITE_READONLY, DiskFull),
        (sqlite3.SQLITE_READONLY_DIRECTORY, DiskFull),
        (sqlite3.SQLITE_CANTOPEN, DiskFull),
        (sqlite3.SQLITE_BUSY, EnvironmentLack),
        (sqlite3.SQLITE_CORRUPT, DataDamaged),
        (sqlite3.SQLITE_NOTADB, DataDamaged),
        (sqlite3.SQLITE_IOERR_READ, DataDamaged),
        (sqlite3.SQLITE_CONSTRAINT, DataDamaged),
    ],
)
def test_sqlite_codes(code: int, kind: type[ConsentryError]) -> None:
    error = from_sqlite_error(_sqlite_error(code), Path("/data/x"))
    assert type(error) is kind
    assert "/data/x" in error.cause
    assert error.mend


@pytest.mark.parametrize(
    ("number", "kind"),
    [(28, DiskFull), (122, DiskFull), (30, DiskFull), (13, DiskFull), (5, DataDamaged), (2, EnvironmentLack)],
)
def test_os_error_numbers(number: int, kind: type[ConsentryError]) -> None:
    assert type(from_os_error(OSError(number, "made up"), Path("/data/x"))) is kind
