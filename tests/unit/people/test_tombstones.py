"""The list of who withdrew, outside the data folder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.unit.people.kit import ACTOR, START_UNIX_S, enrolled, opened

from consentry.clock import SimulatedClock
from consentry.config import keys_dir
from consentry.errors import BadConfig, EnvironmentLack, UsageError
from consentry.people.erase import withdraw
from consentry.people.roster import list_people
from consentry.people.site import Site
from consentry.people.tombstones import FILE_VARIABLE, TombstoneFile, read_tombstones, tombstone_of

UUID = "11111111-2222-3333-4444-555555555555"


def _file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TombstoneFile:
    monkeypatch.setenv(FILE_VARIABLE, str(folder / "deep" / "list"))
    return TombstoneFile(UUID, folder / "data")


def test_what_is_added_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file(tmp_path, monkeypatch)
    assert (file.exists(), file.read()) == (False, {})
    file.add({})
    assert file.exists()
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.add({"a" * 64: 1, "b" * 64: 2})
    file.add({"c" * 64: 3})
    assert file.read() == {"a" * 64: 1, "b" * 64: 2, "c" * 64: 3}
    assert read_tombstones(file.path, UUID) == file.read()
    assert [path.name for path in file.path.parent.iterdir()] == ["list"]


def test_half_a_line_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file(tmp_path, monkeypatch)
    file.add({"a" * 64: 1})
    with file.path.open("a") as opened_file:
        opened_file.write("b" * 30)
    assert file.read() == {"a" * 64: 1}
    file.add({"c" * 64: 3})
    assert file.read() == {"a" * 64: 1, "c" * 64: 3}


def test_several_at_once_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file(tmp_path, monkeypatch)
    file.add({})

    def add(thread: int) -> None:
        for number in range(20):
            file.add({f"{thread:032x}{number:032x}": number})

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read()) == 80


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no list of tombstones"),
        ("hello\n", "is no list of tombstones"),
        ("consentry-tombstones-1 another\n", "are those of site another, not of site 1111"),
    ],
)
def test_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, words: str
) -> None:
    file = _file(tmp_path, monkeypatch)
    file.path.parent.mkdir()
    file.path.write_text(content)
    with pytest.raises(UsageError, match=words):
        file.read()


def test_it_must_not_lie_where_a_restore_would_undo_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "data" / "list"))
    with pytest.raises(BadConfig, match="lie in the data folder"):
        TombstoneFile(UUID, tmp_path / "data")


def test_by_default_it_is_beside_the_site_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRY_SITE_PASSPHRASE", "several words of mine")
    with Site.open(tmp_path / "data", clock=SimulatedClock(START_UNIX_S), create=True) as site:
        assert site.tombstones.path == keys_dir() / f"{site.site_uuid}.tombstones"
        assert site.tombstones.read() == {}
        site.tombstones.path.unlink()
    with Site.open(tmp_path / "data", clock=SimulatedClock(START_UNIX_S)) as site:
        assert site.tombstones.exists()  # made again


def test_a_withdrawal_is_on_the_list_and_says_nothing_about_anyone(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert site.tombstones.read() == {tombstone_of(person_id): START_UNIX_S * 1000}
        content = site.tombstones.path.read_text()
        assert person_id not in content
        assert "Ada" not in content
        site.tombstones.path.unlink()
    with opened(tmp_path) as site:
        assert set(site.tombstones.read()) == {tombstone_of(person_id)}


def test_no_withdrawal_without_its_tombstone(tmp_path: Path) -> None:
    """A list that cannot be written stops the withdrawal before anything is changed."""
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        site.tombstones.path.unlink()
        site.tombstones.path.mkdir()
        with pytest.raises(EnvironmentLack):
            withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert [person.id for person in list_people(site)] == [person_id]
        assert len(list(site.blobs.names())) == 2
