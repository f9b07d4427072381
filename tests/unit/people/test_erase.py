"""Withdrawal leaves nothing readable, and says so only after looking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START_UNIX_S,
    FakeAnalyser,
    consent,
    duty,
    enrolled,
    opened,
    photo,
    template,
)
from tests.unit.people.test_sightings import SIGHTING

from consentry.errors import ErasureIncomplete, NotFound
from consentry.people.cameras import add_camera
from consentry.people.enrol import Photo, enrol
from consentry.people.erase import withdraw
from consentry.people.roster import gallery_snapshot, list_people
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.sightings import record
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.store.pending import is_compaction_pending
from consentry.store.schema import (
    ConsentRow,
    PersonKeyRow,
    PersonRow,
    PhotoRow,
    TemplateRow,
    TombstoneRow,
)


def _sealed(site: Site, person_id: str) -> list[Needle]:
    """Everything stored under the person's key, and the wrapped key, as it lies on the disk."""
    with site.read() as session:
        key = session.get_one(PersonKeyRow, person_id).wrapped_key
        name = session.get_one(PersonRow, person_id).sealed_name
        records = session.scalars(select(ConsentRow.sealed_record).where(ConsentRow.person_id == person_id))
        templates = session.scalars(
            select(TemplateRow.sealed_template).where(TemplateRow.person_id == person_id)
        )
        blobs = session.scalars(select(PhotoRow.blob_sha256).where(PhotoRow.person_id == person_id))
        contents = [key, name, *records, *templates, *(site.blobs.read(blob) for blob in blobs)]
    return [needle for content in contents for needle in pieces("sealed", content, 20)]


def test_nothing_of_the_person_is_left(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        for person in range(2, 12):  # neighbours, so that pages are shared, split and rearranged
            enrolled(site, person, f"Neighbour number {person}")
        person_id = enrolled(site, 1, "Ada Withdrawing Example").person_id
        for _ in range(3):
            record(site, replace(SIGHTING, person_id=person_id))
        sealed = _sealed(site, person_id)
        present = {hit.file for hit in scan_for(site.data_dir, sealed).hits}
        assert any(file.startswith("consentry.db") for file in present)
        assert any(file.startswith("blobs") for file in present)

        report = withdraw(site, person_id, reason="asked", actor=ACTOR)

        assert (report.templates, report.photos, report.sightings) == (2, 2, 3)
        assert report.ledger_payloads == 2  # of the consent and of the enrolment
        assert report.name_also_in == ()
        assert report.files_scanned >= 3
        clear = [
            *(Needle("template", template(1, pose).tobytes()[:32]) for pose in (0, 1)),
            *(Needle("half", template(1, pose).astype(np.float16).tobytes()[:32]) for pose in (0, 1)),
            *(Needle("photo", photo(1, pose).original[2000:2032]) for pose in (0, 1)),
            *(Needle("name", "Ada Withdrawing".encode(code)) for code in ("utf-8", "utf-16-le", "utf-16-be")),
            Needle("id", person_id.encode()),
        ]
        assert scan_for(site.data_dir, [*sealed, *clear]).hits == ()
        assert person_id not in {person.id for person in list_people(site)}
        assert len(list_people(site)) == 10
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_recognition_forgets_at_once(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        before = site.gallery_version
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert site.gallery_version > before
        assert (
            gallery_snapshot(
                site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
            )
            == []
        )


def test_the_withdrawal_is_logged_and_the_log_still_verifies(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        report = withdraw(site, person_id, reason="asked", actor=ACTOR)
        with site.read() as session:
            state = site.ledger.verify(session.connection())
            proof = site.ledger.prove(session.connection(), report.ledger_seq)
            (tombstone,) = session.scalars(select(TombstoneRow))
    assert (state.size, state.payloads_erased) == (5, 2)
    assert b"person.withdrawn" in proof.leaf
    assert person_id.encode() not in proof.leaf
    assert tombstone.compacted_unix_ms == START_UNIX_S * 1000


def test_the_same_person_may_come_back(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        first = enrolled(site, 1, "Ada Example").person_id
        withdraw(site, first, reason="asked", actor=ACTOR)
        assert enrolled(site, 1, "Ada Example").person_id != first
        with pytest.raises(NotFound):
            withdraw(site, first, reason="asked", actor=ACTOR)


def test_a_copy_that_someone_left_is_found(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        cache = site.data_dir / "cache.npy"
        np.save(cache, np.stack([template(2, 0), template(1, 0)]))
        with pytest.raises(
            ErasureIncomplete, match=r"still holds a template as float32 in cache\.npy"
        ) as raised:
            withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert "Ada" not in str(raised.value)
        assert list_people(site) == []  # rows and key are gone all the same


def test_a_name_that_leaked_is_found(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        (site.data_dir / "notes.txt").write_text("Ada Example", encoding="utf-16-le")
        with pytest.raises(ErasureIncomplete, match=r"the name in notes\.txt"):
            withdraw(site, person_id, reason="asked", actor=ACTOR)


def test_a_name_that_operators_wrote_themselves_is_said(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        add_camera(site, name="Example Ltd yard", url="rtsp://192.0.2.1/", duty=duty(), actor=ACTOR)
        person_id = enrolled(site, 1, "Example Ltd").person_id
        report = withdraw(site, person_id, reason="asked", actor=ACTOR)
    assert set(report.name_also_in) == {"a declaration", "a camera's name", "what a ledger entry is about"}


@pytest.mark.parametrize("name", ["person_key", "Ada", "王"])
def test_names_that_prove_nothing_do_not_get_in_the_way(tmp_path: Path, name: str) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, name).person_id
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert list_people(site) == []


@pytest.mark.parametrize("damage", ["missing photo", "changed photo", "changed template", "changed name"])
def test_damage_does_not_stop_a_withdrawal(tmp_path: Path, damage: str) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        blob = next(iter(site.blobs.names()))
        with site.write() as session:
            template_row = session.scalars(select(TemplateRow)).all()[0]
            person_row = session.get_one(PersonRow, person_id)
            if damage == "changed template":
                template_row.sealed_template = template_row.sealed_template[:-1] + b"?"
            if damage == "changed name":
                person_row.sealed_name = person_row.sealed_name[:-1] + b"?"
        if damage == "missing photo":
            site.blobs.remove(blob)
        if damage == "changed photo":
            (site.blobs.folder / blob).write_bytes(b"other")
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert list_people(site) == []
        assert list(site.blobs.names()) == []


def test_an_interrupted_erasure_is_finished_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        sealed = _sealed(site, person_id)

        def power_cut(*_: object) -> None:
            raise ErasureIncomplete("the power went")

        with monkeypatch.context() as patched:
            patched.setattr("consentry.people.erase.finish_erasures", power_cut)
            with pytest.raises(ErasureIncomplete, match="the power went"):
                withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert is_compaction_pending(site.database)
        assert scan_for(site.data_dir, sealed).hits != ()
    with opened(tmp_path) as site:
        assert not is_compaction_pending(site.database)
        assert scan_for(site.data_dir, sealed).hits == ()


def test_a_photo_with_plain_surfaces_does_not_confuse_the_proof(tmp_path: Path) -> None:
    plain = Photo("plain.bmp", b"BM" + bytes(20_000), photo(1).bgr)  # zeros are in every database file
    with opened(tmp_path, declared=True) as site:
        result = enrol(
            site, FakeAnalyser(), name="Ada Example", photos=[plain], consent=consent(), actor=ACTOR
        )
        assert withdraw(site, result.person_id, reason="asked", actor=ACTOR).photos == 1


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        (site.data_dir / "consentry.toml").write_text("[server]\nport = 8081\n")
        before = (site.data_dir / "consentry.toml").stat().st_mtime_ns
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert (site.data_dir / "consentry.toml").stat().st_mtime_ns == before
