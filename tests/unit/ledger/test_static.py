"""A copy of the log as files: in the form of the specification, and verified with the public key alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from consentry.errors import LedgerBroken, UsageError
from consentry.ledger.checkpoint import VerifierKey
from consentry.ledger.entry import Event
from consentry.ledger.log import Ledger
from consentry.ledger.static import verify_copy, write_copy
from consentry.ledger.tiles import parse_tile_path
from consentry.store.database import Database, open_database

LEDGER = Ledger("consentry/ledger/test", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "data")
    with database.write() as session:
        LEDGER.start(session.connection())
    yield database
    database.close()


def _grow(connection: Connection, count: int, actor: str = "user:1") -> None:
    for number in range(count):
        LEDGER.append(
            connection,
            event=Event.VIEW_OPENED,
            actor=actor,
            time_unix_ms=1_800_000_000_000 + number,
            payload={"number": number},
        )


@pytest.fixture
def copy(database: Database, tmp_path: Path) -> Path:
    with database.write() as session:
        _grow(session.connection(), 300)
        assert write_copy(LEDGER, session.connection(), tmp_path / "copy").size == 300
    return tmp_path / "copy"


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_those_of_the_specification(copy: Path) -> None:
    assert _files(copy) == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    }
    bundle = (copy / "tile/entries/001.p/44").read_bytes()
    length = int.from_bytes(bundle[:2])
    assert bundle[2 : 2 + length].startswith(b'{"actor":"user:1","event":"view.opened"')
    assert len((copy / "tile/0/000").read_bytes()) == 8192
    assert verify_copy(copy, LEDGER.verifier).size == 300


def test_an_empty_log(database: Database, tmp_path: Path) -> None:
    with database.read() as session:
        assert write_copy(LEDGER, session.connection(), tmp_path / "copy").size == 0
    assert verify_copy(tmp_path / "copy", LEDGER.verifier).size == 0


def test_an_earlier_copy_is_continued(copy: Path, database: Database) -> None:
    with database.write() as session:
        _grow(session.connection(), 212)
        write_copy(LEDGER, session.connection(), copy)
    assert verify_copy(copy, LEDGER.verifier).size == 512
    assert {"tile/0/001", "tile/0/001.p/44", "tile/1/000.p/2"} <= _files(copy)


def test_an_earlier_copy_reveals_a_rewritten_log(copy: Path, database: Database) -> None:
    with database.write() as session:
        connection = session.connection()
        for table in ("ledger_payload", "ledger_entry", "ledger_head", "ledger_tile"):
            connection.execute(text(f"DELETE FROM {table}"))
        LEDGER.start(connection)
        _grow(connection, 200, actor="user:2")
        with pytest.raises(LedgerBroken, match="rolled back"):
            write_copy(LEDGER, connection, copy)
        _grow(connection, 200)
        LEDGER.verify(connection)
        with pytest.raises(LedgerBroken, match="not those of the earlier checkpoint"):
            write_copy(LEDGER, connection, copy)
        (copy / "checkpoint").unlink()
        with pytest.raises(LedgerBroken, match="not what the log holds now"):
            write_copy(LEDGER, connection, copy)


def test_a_log_that_is_broken_is_not_copied(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        _grow(session.connection(), 3)
        session.execute(text("UPDATE ledger_entry SET actor = 'x' WHERE seq = 1"))
        with pytest.raises(LedgerBroken, match="was changed"):
            write_copy(LEDGER, session.connection(), tmp_path / "copy")
    assert not (tmp_path / "copy" / "checkpoint").exists()


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "flipped leaf hash": lambda folder: _flip(folder / "tile/0/000"),
    "flipped last hash": lambda folder: _flip(folder / "tile/0/001.p/44"),
    "flipped node": lambda folder: _flip(folder / "tile/1/000.p/1"),
    "flipped entry": lambda folder: _flip(folder / "tile/entries/000"),
    "flipped checkpoint": lambda folder: _flip(folder / "checkpoint"),
    "missing tile": lambda folder: (folder / "tile/0/000").unlink(),
    "missing entries": lambda folder: (folder / "tile/entries/001.p/44").unlink(),
    "cut entries": lambda folder: (folder / "tile/entries/000").write_bytes(b"\x01"),
    "no entries": lambda folder: (folder / "tile/entries/000").write_bytes(b""),
    "too long": lambda folder: (folder / "tile/0/000").write_bytes(bytes(9000)),
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_whatever_is_changed_is_found(copy: Path, tamper: Callable[[Path], object]) -> None:
    tamper(copy)
    with pytest.raises(LedgerBroken):
        verify_copy(copy, LEDGER.verifier)


def test_another_logs_key_verifies_nothing(copy: Path, tmp_path: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(LedgerBroken, match="no signature of"):
        verify_copy(copy, VerifierKey(LEDGER.origin, other))
    with pytest.raises(UsageError, match="holds no copy"):
        verify_copy(tmp_path / "nothing", LEDGER.verifier)


def test_a_folder_that_cannot_be_written(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with database.read() as session, pytest.raises(UsageError, match="cannot be written"):
        write_copy(LEDGER, session.connection(), tmp_path / "file" / "copy")


def test_it_needs_no_database(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    assert verify_copy(copy, LEDGER.verifier).size == 300


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("000", (0, 256)),
        ("x001/x234/067", (1_234_067, 256)),
        ("001.p/44", (1, 44)),
        ("001.p/0", None),
        ("001.p/256", None),
        ("001.p/300", None),
        ("001.p/044", None),
        ("x000/001", None),
        ("1", None),
        ("001/002", None),
        ("../001", None),
        ("\u0661\u0662\u0663", None),
        ("001.p/", None),
        ("x999/" * 9 + "000", None),
    ],
)
def test_reading_where_a_tile_is(path: str, where: tuple[int, int] | None) -> None:
    assert parse_tile_path(path) == where
