"""The file system check of a data folder: are rows and files what they say, and do they agree?"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, literal_column, select, text, update

from consentry.errors import DataDamaged
from consentry.store.blobs import Blobs, is_own_name
from consentry.store.database import Database
from consentry.store.schema import Base, BlobRow, SightingRow

_NAMING = SightingRow.__tablename__
_OWNERS = {"person", "photo"}  # what is theirs goes with them


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        kind: `database`, `missing-blob`, `changed-blob`, `stray-file`; later packages add their own.
        what: What is wrong, one line.
        mend: What to do about it, one line.
        mended: Whether it has been put right already.
    """

    kind: str
    what: str
    mend: str
    mended: bool


def check_store(database: Database, blobs: Blobs, *, mend: bool) -> list[Finding]:
    """Compare the rows with the files; reads every blob once.

    Args:
        database: An open database.
        blobs: The blob folder beside it.
        mend: Whether to delete files of ours that no row names, and rows about a person or photo that is not
            there. A missing or changed file cannot be mended.

    Raises:
        DiskFull: a stray file may not be deleted.
    """
    findings = _check_database(database) + _check_parents(database, mend=mend)
    with database.read() as session:
        sizes = {row.sha256: row.size_bytes for row in session.scalars(select(BlobRow))}
    for sha256, size_bytes in sorted(sizes.items()):
        finding = _check_blob(blobs, sha256, size_bytes)
        if finding is not None:
            findings.append(finding)
    removed = set(remove_strays(database, blobs)) if mend else set()
    strays = removed | {name for name in blobs.names() if name not in sizes}
    for name in sorted(strays):
        how = "Run `consentry check --mend`" if is_own_name(name) else "It is not ours: move it away"
        findings.append(
            Finding("stray-file", f"{blobs.folder / name} belongs to nothing", how, name in removed)
        )
    return findings


def remove_strays(database: Database, blobs: Blobs) -> list[str]:
    """Delete what an interrupted enrolment or erasure left in the blob folder; returns the names.

    Whoever writes a blob holds the database's write lock until the row that names it is committed, so a
    file without a row that is seen under that lock belongs to nothing.
    """
    if not _strays(database, blobs):
        return []
    with database.write() as session:
        named = set(session.scalars(select(BlobRow.sha256)))
        found = [name for name in blobs.names() if name not in named and is_own_name(name)]
        for name in found:
            blobs.remove(name)
    return found


def _strays(database: Database, blobs: Blobs) -> bool:
    files = {name for name in blobs.names() if is_own_name(name)}
    if not files:
        return False
    with database.read() as session:
        return not files <= set(session.scalars(select(BlobRow.sha256)))


def _check_database(database: Database) -> list[Finding]:
    with database.read() as session:
        lines = session.execute(text("PRAGMA integrity_check")).scalars()
        return [
            Finding("database", f"{database.path}: {line}", "Restore a backup", mended=False)
            for line in lines
            if line != "ok"
        ]


def _check_parents(database: Database, *, mend: bool) -> list[Finding]:
    """Rows that name another row that is not there; sightings stay, without the name."""
    with database.read() as session:
        orphans = session.execute(text("PRAGMA foreign_key_check")).all()
    mendable = [(table, row_id) for table, row_id, parent, _ in orphans if parent in _OWNERS]
    if mend and mendable:
        with database.write() as session:
            for table, row_id in mendable:
                held = Base.metadata.tables[table]
                act = update(held).values(person_id=None) if table == _NAMING else delete(held)
                session.execute(act.where(literal_column("rowid") == row_id))
    return [
        Finding(
            "database",
            f"{database.path}: row {row_id} of {table} names a {parent} that does not exist",
            "Run `consentry check --mend`" if parent in _OWNERS else "Restore a backup",
            mended=mend and parent in _OWNERS,
        )
        for table, row_id, parent, _ in orphans
    ]


def _check_blob(blobs: Blobs, sha256: str, size_bytes: int) -> Finding | None:
    path = blobs.folder / sha256
    if not path.is_file():
        return Finding("missing-blob", f"{path} is missing", "Restore it from a backup", mended=False)
    try:
        content = blobs.read(sha256)
    except DataDamaged as error:
        return Finding("changed-blob", error.cause, error.mend, mended=False)
    if len(content) != size_bytes:
        what = f"{path} has {len(content)} bytes, its row says {size_bytes}"
        return Finding("changed-blob", what, "Restore it from a backup", mended=False)
    return None
