"""A full or read-only disk: a clear error, nothing half-written, and all well once there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.people.kit import ACTOR, FakeAnalyser, consent, enrolled, opened, photo

from consentry.errors import DiskFull
from consentry.people.consent import ConsentRecord
from consentry.people.enrol import enrol
from consentry.people.erase import withdraw
from consentry.people.roster import list_people
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.store.pending import is_compaction_pending

PHOTO_BYTES = 150_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def _fill(disk: Path, left_bytes: int) -> None:
    """Leave about `left_bytes` free."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - left_bytes))


def _enrol(site: Site, record: ConsentRecord) -> None:
    noise = np.random.default_rng(0).bytes(PHOTO_BYTES)
    photos = [replace(photo(1, pose), original=noise) for pose in (0, 1)]
    enrol(site, FakeAnalyser(), name="Ada Example", photos=photos, consent=record, actor=ACTOR)


@pytest.mark.parametrize("left_bytes", [0, 8_000, 100_000, 200_000, 306_000])
def test_an_enrolment_that_does_not_fit(disk: Path, left_bytes: int) -> None:
    with opened(disk, declared=True) as site:
        enrolled(site, 2, "Ben Neighbour")
        before = sorted(site.blobs.names())
        version = site.gallery_version
        site.database.compact()  # empties the log, so that it has to grow again
        _fill(disk, left_bytes)
        with pytest.raises(DiskFull, match=r"no space left to write to .*\. Free some space"):
            _enrol(site, consent())
        assert [person.name for person in list_people(site)] == ["Ben Neighbour"]
        assert sorted(site.blobs.names()) == before
        assert site.gallery_version == version
        (disk / "filler").unlink()
        assert check_site(site, mend=False, actor=ACTOR) == []
        _enrol(site, consent())
        assert len(list_people(site)) == 2
    with opened(disk) as site:
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_no_room_for_a_new_installation(disk: Path) -> None:
    _fill(disk, 20_000)
    with pytest.raises(DiskFull), opened(disk):
        pass
    (disk / "filler").unlink()
    with opened(disk) as site:
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_a_withdrawal_on_a_full_disk_is_finished_later(disk: Path) -> None:
    with opened(disk, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        site.database.compact()
        _fill(disk, 180_000)  # enough for the rows, not for the rewriting
        with pytest.raises(DiskFull):
            withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert list_people(site) == []
        assert list(site.blobs.names()) == []
        assert is_compaction_pending(site.database)
        (disk / "filler").unlink()
    with opened(disk) as site:
        assert not is_compaction_pending(site.database)
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_a_read_only_disk(disk: Path) -> None:
    with opened(disk, declared=True):
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(DiskFull, match="read-only"), opened(disk, create=False):
        pass
