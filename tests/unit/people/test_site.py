"""Opening an installation."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.unit.people.kit import enrolled, opened, secrets_of

from consentry.clock import SimulatedClock
from consentry.errors import NotFound
from consentry.people.site import Site
from consentry.store.schema import BlobRow


def test_nothing_is_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"holds no installation of Consentry\. Make one with"):
        Site.open(tmp_path / "data", clock=SimulatedClock())
    assert not (tmp_path / "data").exists()


def test_opening_again_finds_the_same(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        first = (site.site_uuid, site.name, str(site.ledger.verifier))
    with opened(tmp_path) as site:
        assert (site.site_uuid, site.name, str(site.ledger.verifier)) == first
    assert first[1] == "data"
    site.close()  # a second closing does no harm


def test_making_it_is_the_first_entry_of_the_ledger(tmp_path: Path) -> None:
    with opened(tmp_path) as site, site.read() as session:
        assert site.ledger.verify(session.connection()).size == 1
        assert b'"site.created"' in site.ledger.prove(session.connection(), 0).leaf


def test_two_at_once_make_one(tmp_path: Path) -> None:
    found: list[str] = []
    with secrets_of(tmp_path):  # sets the variables for the threads below

        def make() -> None:
            with Site.open(tmp_path / "data", clock=SimulatedClock(), create=True) as site:
                found.append(site.site_uuid)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_opening_removes_what_a_killed_enrolment_left(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        kept = site.blobs.write(b"kept")
        with site.write() as session:
            session.add(BlobRow(sha256=kept, size_bytes=4, written_unix_ms=1))
        site.blobs.write(b"stray")
    with opened(tmp_path) as site:
        assert list(site.blobs.names()) == [kept]


def test_the_gallery_version_grows(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        before = site.gallery_version
    with opened(tmp_path, declared=True) as site:
        declared = site.gallery_version
        enrolled(site, 1, "Ada Example")
        assert before < declared < site.gallery_version


def test_no_file_stays_open(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - descriptors, not paths

    with opened(tmp_path):
        pass
    before = open_files()
    for _ in range(5):
        with opened(tmp_path) as site:
            assert site.gallery_version == 0
    assert open_files() == before
