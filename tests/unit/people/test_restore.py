"""Restoring: all or nothing, only what this site signed, and nobody who has withdrawn."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START_UNIX_S,
    consent,
    enrolled,
    opened,
    photo,
    secrets_of,
    template,
)
from tests.unit.people.test_backup import IDENTITY, RECIPIENT, ledger_size, plain_members
from tests.unit.people.test_erase import _sealed

from consentry.clock import SimulatedClock
from consentry.errors import BackupRefused, DataTooNew, LedgerBroken, SiteKeyMissing, UsageError
from consentry.people.age import read_identities
from consentry.people.archive import parse_manifest, verify_manifest
from consentry.people.backup import make_backup
from consentry.people.erase import withdraw
from consentry.people.restore import RestoreReport, restore_backup
from consentry.people.roster import export_person, gallery_snapshot, list_people
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.site import Site
from consentry.people.upkeep import check_site

DAY_S = 86_400.0


def restored(
    folder: Path, file: Path, *, clock: SimulatedClock | None = None, **options: Any
) -> RestoreReport:
    """Restore `file` into `folder/data` with the keys of `folder`."""
    identities = options.pop("identities", [IDENTITY])
    with secrets_of(folder):
        return restore_backup(
            file,
            folder / "data",
            identities,
            clock=clock or SimulatedClock(START_UNIX_S + DAY_S),
            actor="restorer",
            **options,
        )


@dataclass
class Kept:
    """An installation with Ada and Ben, and a backup of it."""

    folder: Path
    file: Path
    ada: str
    ben: str
    sealed: list[Needle]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def contents(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in sorted(self.data.rglob("*"))
            if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}
        }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Made once; each test works on a copy."""
    folder = tmp_path_factory.mktemp("prepared")
    with opened(folder, declared=True) as site:
        ada = enrolled(site, 1, "Ada Withdrawing Example").person_id
        ben = enrolled(site, 2, "Ben Neighbour").person_id
        sealed = _sealed(site, ada)
        (site.data_dir / "consentry.toml").write_text("[server]\nport = 8081\n")
        make_backup(site, folder / "b.age", [RECIPIENT], actor=ACTOR)
    return Kept(folder, folder / "b.age", ada, ben, sealed)


@pytest.fixture
def kept(prepared: Kept, tmp_path: Path) -> Kept:
    shutil.copytree(prepared.folder, tmp_path, dirs_exist_ok=True)
    return replace(prepared, folder=tmp_path, file=tmp_path / "b.age")


def clear_traces(person_id: str) -> list[Needle]:
    """What of Ada must be readable nowhere."""
    return [
        *(needle for pose in (0, 1) for needle in pieces("template", template(1, pose).tobytes(), 16)),
        *(needle for pose in (0, 1) for needle in pieces("photo", photo(1, pose).original, 16)),
        Needle("name", b"Ada Withdrawing"),
        Needle("id", person_id.encode()),
    ]


def matched(site: Site) -> set[str]:
    """Names of those whom recognition could find."""
    found = gallery_snapshot(
        site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
    )
    return {reference.name for reference in found}


def test_all_comes_back_and_the_ledger_tells(kept: Kept) -> None:
    with opened(kept.folder) as site:
        size = ledger_size(site) - 1  # the entry of the backup itself is not in it
    shutil.rmtree(kept.data)
    report = restored(kept.folder, kept.file)
    assert (report.people, report.erased_again, report.checkpoint_size) == (2, 0, size)
    assert report.tombstones_known
    with opened(kept.folder, create=False) as site:
        assert site.site_uuid == report.site_uuid
        assert matched(site) == {"Ada Withdrawing Example", "Ben Neighbour"}
        photos = {content for _, content in export_person(site, kept.ada, actor=ACTOR).photos}
        assert photos == {photo(1, pose).original for pose in (0, 1)}
        assert (site.data_dir / "consentry.toml").read_text() == "[server]\nport = 8081\n"
        assert check_site(site, mend=False, actor=ACTOR) == []
        with site.read() as session:
            leaf = site.ledger.prove(session.connection(), report.ledger_seq).leaf
    assert b'"actor":"restorer","event":"backup.restored"' in leaf
    assert sorted(path.name for path in kept.data.iterdir()) == ["blobs", "consentry.db", "consentry.toml"]


@pytest.mark.parametrize("how", ["replaced", "lost", "list given", "old folder put back by hand"])
def test_a_backup_does_not_bring_anyone_back(kept: Kept, how: str) -> None:
    before = kept.folder / "copied by hand"
    shutil.copytree(kept.data, before)
    with opened(kept.folder) as site:
        withdraw(site, kept.ada, reason="asked", actor=ACTOR)
    if how == "old folder put back by hand":
        shutil.rmtree(kept.data)
        before.rename(kept.data)
    elif how == "replaced":
        (kept.folder / "tombstones").write_text(
            (kept.folder / "tombstones").read_text().split("\n")[0] + "\n"
        )  # the table of the replaced folder is enough
        assert restored(kept.folder, kept.file, replace=True).erased_again == 1
    else:
        shutil.rmtree(kept.data)
        given = None
        if how == "list given":
            given = (kept.folder / "tombstones").rename(kept.folder / "copy of the list")
        report = restored(kept.folder, kept.file, tombstones=given)
        assert (report.people, report.erased_again) == (1, 1)
    with opened(kept.folder, create=False) as site:
        assert matched(site) == {"Ben Neighbour"}
        assert [person.id for person in list_people(site)] == [kept.ben]
        assert scan_for(site.data_dir, [*kept.sealed, *clear_traces(kept.ada)]).hits == ()
        assert check_site(site, mend=False, actor=ACTOR) == []
        with site.read() as session:
            events = session.connection().exec_driver_sql("SELECT event FROM ledger_entry").scalars().all()
        assert events.count("person.withdrawn") == 1
    leftover = {path.name for path in kept.folder.iterdir()} - {"copied by hand", "copy of the list"}
    assert leftover <= {"data", "b.age", "site.key", "tombstones"}


def test_without_the_list_it_fails_closed(kept: Kept) -> None:
    with opened(kept.folder) as site:
        withdraw(site, kept.ada, reason="asked", actor=ACTOR)
    shutil.rmtree(kept.data)
    (kept.folder / "tombstones").unlink()
    with pytest.raises(BackupRefused, match=r"could bring them back\. Put it there or give a copy"):
        restored(kept.folder, kept.file)
    assert not kept.data.exists()
    (kept.folder / "other list").write_text("consentry-tombstones-1 another-site\n")
    with pytest.raises(UsageError, match="are those of site another-site"):
        restored(kept.folder, kept.file, tombstones=kept.folder / "other list")
    (kept.folder / "no list").write_text("hello\n")
    with pytest.raises(UsageError, match="is no list of tombstones"):
        restored(kept.folder, kept.file, tombstones=kept.folder / "no list")
    report = restored(kept.folder, kept.file, withdrawn_may_return=True)
    assert (report.people, report.erased_again, report.tombstones_known) == (2, 0, False)


def test_whose_consent_ended_meanwhile_is_erased(kept: Kept) -> None:
    shutil.rmtree(kept.data)
    clock = SimulatedClock(START_UNIX_S + 101 * DAY_S)
    report = restored(kept.folder, kept.file, clock=clock)
    assert report.people == 0
    with opened(kept.folder, clock=clock) as site:
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_it_never_overwrites_unasked(kept: Kept) -> None:
    before = kept.contents()
    with pytest.raises(UsageError, match="is not empty"):
        restored(kept.folder, kept.file)
    assert kept.contents() == before
    other = kept.folder / "elsewhere"
    (other / "data").mkdir(parents=True)
    (other / "data" / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds no installation"):
        restored(other, kept.file, replace=True)
    assert (other / "data" / "holiday.jpg").read_bytes() == b"mine"


def test_replacing_the_folder_of_another_site(kept: Kept, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with opened(other) as site:
        uuid = site.site_uuid
    shutil.copy(kept.folder / "site.key", other / "site.key")
    with pytest.raises(BackupRefused, match=f"holds site {uuid}, but the backup is of site"):
        restored(other, kept.file, replace=True)


def test_a_damaged_folder_can_be_replaced(kept: Kept) -> None:
    (kept.data / "consentry.db").write_bytes(b"\xa5" * 50_000)
    assert restored(kept.folder, kept.file, replace=True).people == 2
    with opened(kept.folder, create=False) as site:
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_another_sites_key(kept: Kept) -> None:
    with opened(kept.folder) as site:
        uuid = site.site_uuid
    with opened(kept.folder / "other"):
        pass
    shutil.rmtree(kept.data)
    (kept.folder / "other" / "site.key").replace(kept.folder / "site.key")
    with pytest.raises(SiteKeyMissing, match=rf"the backup is of site {uuid} \(“data”\), and the site key"):
        restored(kept.folder, kept.file)
    (kept.folder / "site.key").unlink()
    with pytest.raises(SiteKeyMissing, match="is not there"):
        restored(kept.folder, kept.file)
    assert not kept.data.exists()


def test_another_identity(kept: Kept) -> None:
    with pytest.raises(BackupRefused, match="is not encrypted to the identity given"):
        restored(kept.folder, kept.file, replace=True, identities=[pyrage.x25519.Identity.generate()])


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.5, 0.8, 0.999])
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_damage_is_found_and_changes_nothing(kept: Kept, damage: str, share: float) -> None:
    content = bytearray(kept.file.read_bytes())
    at = int(share * len(content))
    if damage == "flipped":
        content[at] ^= 1
    else:
        del content[at:]
    kept.file.write_bytes(content)
    before = kept.contents()
    with pytest.raises(BackupRefused):
        restored(kept.folder, kept.file, replace=True)
    assert kept.contents() == before


Members = list[tuple[tarfile.TarInfo, bytes]]


def _forge(kept: Kept, change: Callable[[Members], None]) -> None:
    """Anyone with the public key can encrypt something of their own."""
    members: Members = []
    for name, content in plain_members(kept.file).items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        members.append((info, content))
    change(members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    kept.file.write_bytes(pyrage.encrypt(out.getvalue(), [IDENTITY.to_public()]))


def _renamed(index: int, name: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[index][0].name = name

    return change


def _typed(kind: bytes) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        info = tarfile.TarInfo("blobs/" + "0" * 64)
        info.type, info.linkname = kind, "/etc/passwd"
        members.append((info, b""))

    return change


def _changed(index: int) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        info, content = members[index]
        members[index] = (info, content[:-1] + bytes([content[-1] ^ 1]))

    return change


def _added(members: Members) -> None:
    info = tarfile.TarInfo("blobs/" + "0" * 64)
    info.size = 3
    members.append((info, b"abc"))


def _manifest_says(**values: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        info, content = members[0]
        changed = json.dumps(json.loads(content) | values).encode()
        info.size = len(changed)
        members[0] = (info, changed)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_renamed(2, "../escaped"), "is not what the site signed"),
        (_renamed(2, "/tmp/escaped"), "is not what the site signed"),
        (_renamed(0, "../manifest.json"), "where manifest.json should be"),
        (_renamed(-1, "consentry.db"), "is not what the site signed"),
        (_typed(tarfile.SYMTYPE), "is no plain file"),
        (_typed(tarfile.LNKTYPE), "is no plain file"),
        (_typed(tarfile.DIRTYPE), "is no plain file"),
        (_typed(tarfile.CHRTYPE), "is no plain file"),
        (_changed(2), "is not what the site signed"),
        (_changed(-1), "is not what the site signed"),
        (_changed(1), "signature of the backup is wrong"),
        (_manifest_says(made_unix_ms=1), "signature of the backup is wrong"),
        (_manifest_says(extra=1), "manifest of the backup is not in order, at extra"),
        (_manifest_says(members=[]), "manifest of the backup is not in order"),
        (_added, "is not what the site signed"),
        (lambda members: members.pop(), "is not complete"),
        (lambda members: members.clear(), "is not complete"),
        (lambda members: members.insert(2, members.pop()), "is not what the site signed"),
    ],
)
def test_what_the_site_did_not_sign_is_refused(
    kept: Kept, change: Callable[[Members], None], words: str
) -> None:
    _forge(kept, change)
    before, beside = kept.contents(), {path.name for path in kept.folder.iterdir()}
    with pytest.raises(BackupRefused, match=words):
        restored(kept.folder, kept.file, replace=True)
    assert kept.contents() == before
    assert {path.name for path in kept.folder.iterdir()} == beside


@pytest.mark.parametrize("content", [b"", b"hello", bytes(5000)])
def test_something_else_is_no_backup(kept: Kept, content: bytes) -> None:
    kept.file.write_bytes(content)
    with pytest.raises(BackupRefused, match="is damaged, cut off, or no backup"):
        restored(kept.folder, kept.file, replace=True)
    kept.file.write_bytes(pyrage.encrypt(content, [IDENTITY.to_public()]))
    with pytest.raises(BackupRefused):
        restored(kept.folder, kept.file, replace=True)


def _resigned(kept: Kept, **values: Any) -> None:
    """A manifest that the site itself signed, as a later version would."""
    with opened(kept.folder) as site:
        key = site.key

    def change(members: Members) -> None:
        _manifest_says(**values)(members)
        packed = members[0][1]
        signer = parse_manifest(packed).ledger_key(key)
        members[1] = (members[1][0], signer.sign(b"consentry-backup-manifest-1\n" + packed))

    _forge(kept, change)


def test_a_newer_schema(kept: Kept) -> None:
    _resigned(kept, schema_revision="0999")
    with pytest.raises(DataTooNew, match=r"has schema 0999, which is newer .* Update Consentry"):
        restored(kept.folder, kept.file, replace=True)


def test_even_a_signed_manifest_leads_nowhere_else(kept: Kept) -> None:
    member = {"path": "blobs/../../escaped", "size_bytes": 1, "sha256": "0" * 64}
    manifest = json.loads(plain_members(kept.file)["manifest.json"])
    with pytest.raises(BackupRefused, match=r"not in order, at members\.1\.path"):
        _resigned(kept, members=[manifest["members"][0], member])


def test_a_signature_over_something_else_does_not_count(kept: Kept) -> None:
    """The ledger's key signs checkpoints too: none of its signatures there is one over a manifest."""
    members = plain_members(kept.file)
    with opened(kept.folder) as site:
        manifest = parse_manifest(members["manifest.json"])
        plain = manifest.ledger_key(site.key).sign(members["manifest.json"])
        with pytest.raises(BackupRefused, match="signature of the backup is wrong"):
            verify_manifest(manifest, members["manifest.json"], plain, site.key)


def test_a_backup_made_under_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRY_SITE_PASSPHRASE", "several words of mine")
    monkeypatch.setenv("CONSENTRY_TOMBSTONES_FILE", str(tmp_path / "list"))
    clock = SimulatedClock(START_UNIX_S)
    with Site.open(tmp_path / "data", clock=clock, create=True) as site:
        make_backup(site, tmp_path / "b.age", [RECIPIENT], actor=ACTOR)
    report = restore_backup(tmp_path / "b.age", tmp_path / "new", [IDENTITY], clock=clock, actor=ACTOR)
    assert report.people == 0
    monkeypatch.setenv("CONSENTRY_SITE_PASSPHRASE", "other words of mine")
    with pytest.raises(SiteKeyMissing, match="is not that site's"):
        restore_backup(tmp_path / "b.age", tmp_path / "newer", [IDENTITY], clock=clock, actor=ACTOR)


def test_identity_files(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text(f"# created: today\n# public key: {RECIPIENT}\n\n{IDENTITY}\n")
    assert len(read_identities(path)) == 1
    for content in ("", "# only a comment\n", f"{IDENTITY}x\n", RECIPIENT):
        path.write_text(content)
        with pytest.raises(UsageError, match="holds no age identity") as raised:
            read_identities(path)
        assert "AGE-SECRET" not in str(raised.value)
    with pytest.raises(UsageError, match="holds no age identity"):
        read_identities(tmp_path / "none")


def test_the_ledger_goes_on_where_the_backup_was(kept: Kept) -> None:
    """So a checkpoint taken after the backup does not fit any more: a restore never goes unnoticed."""
    with opened(kept.folder) as site:
        enrolled(site, 3, "Cleo Newcomer", consent(days=50))
        with site.read() as session:
            later = site.ledger.checkpoint(session.connection())
    restored(kept.folder, kept.file, replace=True)
    with (
        opened(kept.folder) as site,
        site.read() as session,
        pytest.raises(LedgerBroken, match=r"rolled back|are not those of the earlier checkpoint"),
    ):
        site.ledger.verify_extends(session.connection(), later)
