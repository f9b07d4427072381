"""Opens the database of a data folder: SQLite in WAL mode, brought up to the present schema first."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from consentry.errors import DataDamaged, DataTooNew, EnvironmentLack, UsageError
from consentry.store.failures import mapped_errors

DATABASE_FILE = "consentry.db"
SCHEMA_REVISIONS = ("0001", "0002")
BUSY_TIMEOUT_S = 10.0
_MIGRATIONS = Path(__file__).parent / "migrations"
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # deleted rows are overwritten with zeros
    "PRAGMA temp_store=MEMORY",  # no copy of a row in a temporary file outside the data folder
    "PRAGMA trusted_schema=OFF",
)


class Database:
    """One open database; safe to share between threads.

    Args:
        path: The database file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        self._writer = self._engine.execution_options(consentry_begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session over one unchanging view of the data; what it changes is thrown away.

        Raises:
            DataDamaged, DiskFull, EnvironmentLack: see `consentry.store.failures`.
        """
        with mapped_errors(self.path), Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the one write lock from its start; commits at the end, all or nothing.

        Raises:
            DataDamaged, DiskFull, EnvironmentLack: see `consentry.store.failures`.
        """
        with mapped_errors(self.path), Session(self._writer) as session, session.begin():
            # The lock is taken here, not at the first row, so that files may be written under it too.
            session.connection()
            yield session

    def compact(self) -> None:
        """Rewrite the file without anything deleted, and empty the write-ahead log.

        `secure_delete` zeroes what is deleted, but SQLite does not promise that a page it rearranged keeps
        no stale copy in its unused middle; VACUUM builds every page anew.

        Raises:
            EnvironmentLack: another process holds an old view, so that the log cannot be emptied.
            DataDamaged, DiskFull: see `consentry.store.failures`.
        """
        with mapped_errors(self.path), self._engine.connect() as connection:
            raw = connection.connection.cursor()
            try:
                raw.execute("VACUUM")
                (busy, _log_pages, _moved_pages) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                raw.close()
        if busy:
            raise EnvironmentLack(
                f"another process still reads {self.path}, so old pages stay in its log",
                "Stop it, then run `consentry check --mend`",
            )

    def copy_to(self, path: Path) -> None:
        """Write the present state to the new file `path`, without anything deleted; others may go on writing.

        Raises:
            DataDamaged, DiskFull, EnvironmentLack: see `consentry.store.failures`.
        """
        with mapped_errors(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with self._engine.connect() as connection:
                raw = connection.connection.cursor()
                try:
                    raw.execute("VACUUM INTO ?", (str(path),))
                finally:
                    raw.close()

    def close(self) -> None:
        """Close every connection; the last one of all processes empties the write-ahead log."""
        self._engine.dispose()


def open_database(data_dir: Path) -> Database:
    """The database of `data_dir`, made or upgraded when needed.

    Raises:
        UsageError: `data_dir` is a file.
        DataTooNew: a later version of Consentry wrote it.
        DataDamaged: it is no database, or not one of ours.
        DiskFull: the folder cannot be written to.
    """
    path = data_dir / DATABASE_FILE
    if data_dir.exists() and not data_dir.is_dir():
        raise UsageError(f"{data_dir} is not a folder", "Give a folder with --data")
    with mapped_errors(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with ExitStack() as undo:
        database = Database(path)
        undo.callback(database.close)
        _bring_up_to_date(database)
        undo.pop_all()
    return database


@contextmanager
def read_copy(path: Path, *, has_log: bool = False) -> Iterator[Session]:
    """A session over a database file that nobody writes to, as it is.

    Args:
        path: The file.
        has_log: Whether a write-ahead log may be beside it, whose changes count.

    Raises:
        DataDamaged, EnvironmentLack: it cannot be read.
    """

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}", uri=True
        )

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)
    with mapped_errors(path), Session(engine) as session:
        yield session


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin in `_begin`, not where the driver guesses
        for pragma in _PRAGMAS:
            connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("consentry_begin", "BEGIN"))

    return engine


def _bring_up_to_date(database: Database) -> None:
    with database.read() as session:
        if _revision(session.connection(), database.path) == SCHEMA_REVISIONS[-1]:
            return
    with database.write() as session:
        connection = session.connection()
        if _revision(connection, database.path) != SCHEMA_REVISIONS[-1]:
            _migrate(connection)


def _revision(connection: Connection, path: Path) -> str | None:
    """The schema revision of the database; None for an empty one."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise DataDamaged(f"{path} is not a database of Consentry", "Give another folder with --data")
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if len(found) != 1:
        raise DataDamaged(f"{path} does not say its schema version", "Restore a backup")
    revision = str(found[0])
    if revision not in SCHEMA_REVISIONS:
        raise DataTooNew(
            f"{path} has schema {revision}, which is newer than this program's {SCHEMA_REVISIONS[-1]}",
            "Update Consentry",
        )
    return revision


def _migrate(connection: Connection) -> None:
    # Imported here: only a folder that is new or old pays for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
