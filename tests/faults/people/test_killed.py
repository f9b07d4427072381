"""A process killed at any step leaves someone enrolled whole or not at all, erased and re-keyed likewise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, PURPOSE, RECOGNISER, opened, photo, template

from consentry.people.roster import export_person, gallery_snapshot, list_people
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.store.pending import is_compaction_pending

ROOT = Path(__file__).parents[3]
MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory where there is such a place, else an ordinary one."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


def _folders_of_the_killed(act: str, folder: Path) -> list[Path]:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.faults.people.killed", act, str(folder)],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [Path(name) for name in json.loads(ran.stdout)]


def _logged(site: Site, event: str) -> int:
    with site.read() as session:
        site.ledger.verify(session.connection())
        count = text("SELECT count(*) FROM ledger_entry WHERE event = :event")
        return int(session.execute(count, {"event": event}).scalar_one())


def _sealed(folder: Path) -> list[Needle]:
    """What the installation of `folder` holds of Ada, as it lies on the disk."""
    with opened(folder) as site, site.read() as session:
        (person_id,) = [person.id for person in list_people(site) if person.name == "Ada Example"]
        values: list[bytes] = []
        for column, table in (
            ("wrapped_key", "person_key"),
            ("sealed_template", "template"),
            ("sealed_record", "consent"),
        ):
            stored = text(f"SELECT {column} FROM {table} WHERE person_id = :person_id")
            values += session.execute(stored, {"person_id": person_id}).scalars()
        blobs = text("SELECT blob_sha256 FROM photo WHERE person_id = :person_id")
        values += [
            site.blobs.read(blob) for blob in session.execute(blobs, {"person_id": person_id}).scalars()
        ]
    return [needle for value in values for needle in pieces("sealed", value, 8)]


@pytest.mark.timeout(280)
def test_enrolment_is_whole_or_not_at_all(folder: Path) -> None:
    folders = _folders_of_the_killed("enrol", folder)
    assert len(folders) > 20  # there are that many steps to die at
    whole = 0
    for left in folders:
        with opened(left) as site:
            people = {person.name: person for person in list_people(site)}
            assert check_site(site, mend=False, actor=ACTOR) == [], left.name
            assert _logged(site, "person.enrolled") == len(people), left.name
            assert len(list(site.blobs.names())) == 2 * len(people), left.name
            if "Ada Example" in people:
                ada = people["Ada Example"]
                assert (ada.photos, ada.templates) == (2, 2)
                exported = {content for _, content in export_person(site, ada.id, actor=ACTOR).photos}
                assert exported == {photo(1, pose).original for pose in (0, 1)}
                whole += 1
    assert whole < len(folders)  # most died before the commit


@pytest.mark.timeout(280)
def test_erasure_is_whole_or_not_at_all(folder: Path) -> None:
    folders = _folders_of_the_killed("withdraw", folder)
    assert len(folders) > 20
    sealed = _sealed(folder / "base")
    erased = 0
    for left in folders:
        with opened(left) as site:
            names = {person.name for person in list_people(site)}
            assert check_site(site, mend=False, actor=ACTOR) == [], left.name
            assert not is_compaction_pending(site.database)
            if "Ada Example" in names:
                assert _logged(site, "person.withdrawn") == 0
                assert len(list(site.blobs.names())) == 4
            else:
                assert _logged(site, "person.withdrawn") == 1
                assert scan_for(left, sealed).hits == (), left.name
                erased += 1
    assert 0 < erased < len(folders)


def _keys_and_templates(folder: Path) -> list[Needle]:
    """What the installation of `folder` holds of templates and their key, as it lies on the disk."""
    with opened(folder) as site, site.read() as session:
        values: list[bytes] = []
        for stored in ("SELECT sealed_template FROM template", "SELECT sealed_seed FROM template_rotation"):
            values += session.execute(text(stored)).scalars()
    return [needle for value in values for needle in pieces("sealed", value, 8)]


@pytest.mark.timeout(280)
def test_rotation_is_whole_or_not_at_all(folder: Path) -> None:
    folders = _folders_of_the_killed("rotate", folder)
    assert len(folders) > 15
    before = _keys_and_templates(folder / "base")
    rotated = 0
    for left in folders:
        with opened(left) as site:
            assert check_site(site, mend=False, actor=ACTOR) == [], left.name
            assert not is_compaction_pending(site.database)
            references = gallery_snapshot(
                site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
            )
            (rotation,) = {reference.rotation for reference in references}
            assert rotation is not None
            assert len(references) == 4
            for person, name in ((1, "Ada Example"), (2, "Ben Neighbour")):
                probe = rotation.turn(template(person, 0))
                scores = [float(probe @ one.template) for one in references if one.name == name]
                assert max(scores) == pytest.approx(1.0, abs=1e-6), left.name
            assert _logged(site, "keys.rotated") == rotation.version - 1
            if rotation.version == 2:
                assert scan_for(left, before).hits == (), left.name
                rotated += 1
    assert 0 < rotated < len(folders)
