"""The file system check finds what rows and files do not agree on, and mends what can be mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from consentry.store.blobs import Blobs
from consentry.store.check import check_store, remove_strays
from consentry.store.database import Database, open_database
from consentry.store.schema import BlobRow


def _keep(database: Database, blobs: Blobs, content: bytes) -> str:
    with database.write() as session:
        name = blobs.write(content)
        session.add(BlobRow(sha256=name, size_bytes=len(content), written_unix_ms=1))
    return name


def test_an_agreeing_folder_has_no_findings(tmp_path: Path) -> None:
    database, blobs = open_database(tmp_path), Blobs(tmp_path)
    _keep(database, blobs, b"one")
    _keep(database, blobs, b"two")
    assert check_store(database, blobs, mend=True) == []
    assert len(list(blobs.names())) == 2
    database.close()


def test_strays_are_found_and_removed(tmp_path: Path) -> None:
    database, blobs = open_database(tmp_path), Blobs(tmp_path)
    kept = _keep(database, blobs, b"one")
    stray = blobs.write(b"no row names me")
    unfinished = "b" * 64 + ".part"
    (blobs.folder / unfinished).write_bytes(b"half")
    (blobs.folder / "notes.txt").write_text("someone's own file")

    found = check_store(database, blobs, mend=False)
    assert [finding.kind for finding in found] == ["stray-file"] * 3
    assert not any(finding.mended for finding in found)

    mended = {finding.what: finding.mended for finding in check_store(database, blobs, mend=True)}
    assert mended == {
        f"{blobs.folder / stray} belongs to nothing": True,
        f"{blobs.folder / unfinished} belongs to nothing": True,
        f"{blobs.folder / 'notes.txt'} belongs to nothing": False,
    }
    assert set(blobs.names()) == {kept, "notes.txt"}
    assert remove_strays(database, blobs) == []
    database.close()


@pytest.mark.parametrize("kind", ["missing-blob", "changed-blob"])
def test_a_lost_or_changed_blob_is_reported_and_cannot_be_mended(tmp_path: Path, kind: str) -> None:
    database, blobs = open_database(tmp_path), Blobs(tmp_path)
    name = _keep(database, blobs, b"one")
    if kind == "missing-blob":
        blobs.remove(name)
    else:
        (blobs.folder / name).write_bytes(b"two")
    (finding,) = check_store(database, blobs, mend=True)
    assert (finding.kind, finding.mended) == (kind, False)
    assert name in finding.what
    database.close()


def test_a_row_with_another_size_is_reported(tmp_path: Path) -> None:
    database, blobs = open_database(tmp_path), Blobs(tmp_path)
    with database.write() as session:
        name = blobs.write(b"four")
        session.add(BlobRow(sha256=name, size_bytes=5, written_unix_ms=1))
    (finding,) = check_store(database, blobs, mend=False)
    assert finding.what.endswith("has 4 bytes, its row says 5")
    database.close()


def test_a_row_that_names_nobody_is_reported(tmp_path: Path) -> None:
    database, blobs = open_database(tmp_path), Blobs(tmp_path)
    with database.write() as session:
        raw = session.connection().connection.cursor()
        raw.execute("COMMIT")
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO person_key (person_id, wrapped_key) VALUES ('nobody', x'00')")
        raw.close()
    (finding,) = check_store(database, blobs, mend=False)
    assert finding.kind == "database"
    assert "person_key names a person that does not exist" in finding.what
    database.close()
