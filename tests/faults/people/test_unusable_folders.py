"""Data folders that cannot be used are refused with the cause and the mend, and left as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.people.kit import enrolled, opened

from consentry.errors import ConsentryError, DataDamaged, DataTooNew, SiteKeyMissing
from consentry.store.database import DATABASE_FILE


def _newer(folder: Path) -> None:
    connection = sqlite3.connect(folder / "data" / DATABASE_FILE)
    connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.commit()
    connection.close()


def _other_key(folder: Path) -> None:
    with opened(folder / "other"):
        pass
    (folder / "other" / "site.key").replace(folder / "site.key")


def _no_key(folder: Path) -> None:
    (folder / "site.key").unlink()


def _garbage(folder: Path) -> None:
    (folder / "data" / DATABASE_FILE).write_bytes(b"\xa5" * 50_000)


def _cut(folder: Path) -> None:
    path = folder / "data" / DATABASE_FILE
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (_newer, DataTooNew, r"has schema 0999, which is newer .* Update Consentry"),
        (_other_key, SiteKeyMissing, r"is not the one that .* was sealed with"),
        (_no_key, SiteKeyMissing, r"is not there, so the sealed data .* cannot be opened"),
        (_garbage, DataDamaged, r"cannot be used: .* Restore the data folder from a backup"),
        (_cut, DataDamaged, r"cannot be used: .* Restore the data folder from a backup"),
    ],
)
def test_refused_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], None], kind: type[ConsentryError], words: str
) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
    spoil(tmp_path)
    before = {path: path.read_bytes() for path in sorted((tmp_path / "data").rglob("*")) if path.is_file()}
    for create in (False, True):
        with pytest.raises(kind, match=words) as raised, opened(tmp_path, create=create):
            pass
        assert "\n" not in str(raised.value)
        assert raised.value.exit_code == 3
    left = {path: path.read_bytes() for path in before}
    assert left == before
