"""Backups: consistent while the site is written to, closed to others, whole or not there."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import select
from tests.unit.people.kit import ACTOR, START_UNIX_S, enrolled, opened, photo

from consentry.errors import DataDamaged, DiskFull, EnvironmentLack, UsageError
from consentry.people import backup as backup_module
from consentry.people.backup import make_backup
from consentry.people.erase import withdraw
from consentry.people.roster import list_people
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.site import Site
from consentry.people.snapshot import BACKUP_PART, backup_folder
from consentry.people.upkeep import check_site
from consentry.store.schema import BlobRow, LedgerPayloadRow

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())


def plain_members(file: Path) -> dict[str, bytes]:
    """What any other program would find in the backup: name and content of each member."""
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(file.read_bytes(), [IDENTITY]))) as archive:
        found = {}
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
    return found


def ledger_size(site: Site) -> int:
    """Number of entries."""
    with site.read() as session:
        return site.ledger.verify(session.connection()).size


def test_a_backup_holds_all_but_the_keys_and_is_logged(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        (site.data_dir / "consentry.toml").write_text("[server]\nport = 8081\n")
        file = tmp_path / "monday.age"
        size = ledger_size(site)
        report = make_backup(site, file, [RECIPIENT], actor="keeper")
        members = plain_members(file)
        assert set(members) == {
            "manifest.json",
            "manifest.sig",
            "consentry.db",
            "consentry.toml",
            *(f"blobs/{name}" for name in site.blobs.names()),
        }
        manifest = json.loads(members["manifest.json"])
        assert (manifest["site_uuid"], manifest["schema_revision"]) == (site.site_uuid, "0002")
        assert manifest["made_unix_ms"] == START_UNIX_S * 1000
        for member in manifest["members"]:
            content = members[member["path"]]
            assert (len(content), hashlib.sha256(content).hexdigest()) == (
                member["size_bytes"],
                member["sha256"],
            )
        secret = (tmp_path / "site.key").read_bytes().strip()
        assert not [name for name, content in members.items() if secret in content]
        assert (report.blobs, report.checkpoint_size) == (2, size)
        assert report.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert file.stat().st_mode & 0o777 == 0o600
        assert not (site.data_dir / BACKUP_PART).exists()
        with site.read() as session:
            payload = session.execute(
                select(LedgerPayloadRow.payload_json).where(LedgerPayloadRow.seq == report.ledger_seq)
            ).scalar_one()
            assert b'"backup.made"' in site.ledger.prove(session.connection(), report.ledger_seq).leaf
        assert json.loads(payload) == {
            "checkpoint_size": size,
            "recipients_sha256": [hashlib.sha256(RECIPIENT.encode()).hexdigest()],
            "sha256": report.sha256,
            "size_bytes": report.size_bytes,
        }
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_it_is_consistent_while_people_come(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        for person in range(1, 4):
            enrolled(site, person, f"Person {person}")
        stop, one_came = threading.Event(), threading.Event()

        def keep_enrolling() -> None:
            for person in range(10, 40):
                enrolled(site, person, f"Person {person}")
                one_came.set()
                if stop.wait(0.02):  # lets others have the write lock
                    return

        thread = threading.Thread(target=keep_enrolling)
        thread.start()
        assert one_came.wait(60)
        try:
            files = [tmp_path / f"{number}.age" for number in range(3)]
            for file in files:
                make_backup(site, file, [RECIPIENT], actor=ACTOR)
        finally:
            stop.set()
            thread.join()
        for file in files:
            members = plain_members(file)
            (tmp_path / "copy.db").write_bytes(members["consentry.db"])
            listed = {m["path"] for m in json.loads(members["manifest.json"])["members"]}
            assert listed == set(members) - {"manifest.json", "manifest.sig"}


@pytest.mark.parametrize("moment", ["while it is written", "just before it is done"])
def test_whoever_withdraws_meanwhile_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        enrolled(site, 2, "Ben Neighbour")
        tries: list[int] = []

        def withdraw_once() -> None:
            tries.append(1)
            if len(tries) == 1:  # the scan for remains also finds no copy that the backup was made from
                withdraw(site, person_id, reason="asked", actor=ACTOR)

        if moment == "while it is written":

            def told(done_bytes: int, total_bytes: int) -> None:
                assert done_bytes <= total_bytes
                if done_bytes < total_bytes and not tries:
                    withdraw_once()
        else:

            def told(done_bytes: int, total_bytes: int) -> None:
                if done_bytes == total_bytes:
                    withdraw_once()

        file = tmp_path / "b.age"
        report = make_backup(site, file, [RECIPIENT], actor=ACTOR, progress=told)
        assert tries
        assert report.blobs == 2
        members = plain_members(file)
        assert person_id.encode() not in members["consentry.db"]
        assert len([name for name in members if name.startswith("blobs/")]) == 2
        assert [person.name for person in list_people(site)] == ["Ben Neighbour"]
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_it_gives_up_when_people_withdraw_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "MOST_TRIES", 2)
    with opened(tmp_path, declared=True) as site:
        people = iter([enrolled(site, person, f"Person {person}").person_id for person in (1, 2, 3)])

        def told(done_bytes: int, total_bytes: int) -> None:
            if done_bytes == total_bytes:
                withdraw(site, next(people), reason="asked", actor=ACTOR)

        with pytest.raises(EnvironmentLack, match="withdrew during each of 2 tries"):
            make_backup(site, tmp_path / "b.age", [RECIPIENT], actor=ACTOR, progress=told)
        assert not list(tmp_path.glob("b.age*"))


class _Cancelled(BaseException):
    pass


@pytest.mark.parametrize("error", [_Cancelled, KeyboardInterrupt, DiskFull])
def test_whatever_stops_it_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        size = ledger_size(site)

        def told(_done: int, _total: int) -> None:
            raise error("stop")

        with pytest.raises(error):
            make_backup(site, tmp_path / "b.age", [RECIPIENT], actor=ACTOR, progress=told)
        assert not list(tmp_path.glob("b.age*"))
        assert not (site.data_dir / BACKUP_PART).exists()
        assert ledger_size(site) == size  # no entry of a backup


def test_what_a_killed_backup_left_is_removed_at_the_next_opening_but_not_a_live_one(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        left = site.data_dir / BACKUP_PART
        left.mkdir()
        (left / "consentry.db").write_bytes(b"half a copy")
        with opened(tmp_path):
            assert not left.exists()
        with backup_folder(site.data_dir) as folder:
            (folder / "consentry.db").write_bytes(b"half a copy")
            with opened(tmp_path):
                assert (folder / "consentry.db").exists()
            with pytest.raises(EnvironmentLack, match="is under way"):
                make_backup(site, tmp_path / "b.age", [RECIPIENT], actor=ACTOR)
            assert (folder / "consentry.db").exists()
        assert not left.exists()


@pytest.mark.parametrize("damage", ["missing", "changed", "cut"])
def test_a_damaged_blob_is_no_backup(tmp_path: Path, damage: str) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        path = site.blobs.folder / next(iter(site.blobs.names()))
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(content[:-1] + (b"" if damage == "cut" else bytes([content[-1] ^ 1])))
        with pytest.raises(DataDamaged, match=r"is missing|has changed"):
            make_backup(site, tmp_path / "b.age", [RECIPIENT], actor=ACTOR)
        assert not list(tmp_path.glob("b.age*"))


@pytest.mark.parametrize(
    ("recipients", "words"),
    [
        ([], "nobody is named"),
        (["age1nonsense"], "is no age recipient"),
        ([str(IDENTITY)], "is no age recipient"),
    ],
)
def test_recipients(tmp_path: Path, recipients: list[str], words: str) -> None:
    with opened(tmp_path) as site, pytest.raises(UsageError, match=words) as raised:
        make_backup(site, tmp_path / "b.age", recipients, actor=ACTOR)
    assert str(IDENTITY) not in str(raised.value), "a secret given by mistake must not be repeated"


def test_every_recipient_can_open_it(tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    with opened(tmp_path) as site:
        make_backup(site, tmp_path / "b.age", [RECIPIENT, str(other.to_public())], actor=ACTOR)
    for identity in (IDENTITY, other):
        assert pyrage.decrypt((tmp_path / "b.age").read_bytes(), [identity])


def test_where_it_may_not_be(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        (tmp_path / "there").write_text("mine")
        for place, words in (
            (tmp_path / "there", "is there already"),
            (site.data_dir / "b.age", "in the data folder itself"),
            (tmp_path / "no" / "b.age", "is not there"),
        ):
            with pytest.raises(UsageError, match=words):
                make_backup(site, place, [RECIPIENT], actor=ACTOR)
        assert (tmp_path / "there").read_text() == "mine"


def _big_blobs(site: Site, count: int, size_bytes: int) -> Iterator[str]:
    for number in range(count):
        content = bytes([number]) * size_bytes
        with site.write() as session:
            name = site.blobs.write(content)
            session.add(BlobRow(sha256=name, size_bytes=size_bytes, written_unix_ms=1))
        yield name


def test_memory_does_not_grow_with_the_backup(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        make_backup(site, tmp_path / "small.age", [RECIPIENT], actor=ACTOR)
        assert len(list(_big_blobs(site, 6, 32 * 1024 * 1024))) == 6
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report = make_backup(site, tmp_path / "large.age", [RECIPIENT], actor=ACTOR)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert report.size_bytes > 190 * 1024 * 1024
    assert grown_kib < 24 * 1024


def test_nothing_in_it_is_readable_without_the_site_key(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Distinctive Example")
        make_backup(site, tmp_path / "b.age", [RECIPIENT], actor=ACTOR)
    out = tmp_path / "out"
    out.mkdir()
    for number, content in enumerate(plain_members(tmp_path / "b.age").values()):
        (out / str(number)).write_bytes(content)
    clear = [*pieces("photo", photo(1).original, 8), Needle("name", b"Ada Distinctive")]
    assert scan_for(out, clear).hits == ()
