"""Changing the template key: scores stay, what leaked is worthless, nothing old stays on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    FakeAnalyser,
    consent,
    enrolled,
    opened,
    photo,
    template,
)

from consentry.errors import DataDamaged, DuplicatePerson, ErasureIncomplete, LedgerBroken
from consentry.ledger.entry import Event
from consentry.people.enrol import enrol
from consentry.people.erase import withdraw
from consentry.people.rekey import rotate_keys
from consentry.people.roster import Reference, gallery_snapshot
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.people.templates import open_template
from consentry.people.upkeep import check_site
from consentry.store.pending import is_compaction_pending
from consentry.store.schema import LedgerEntryRow, TemplateRotationRow, TemplateRow
from consentry.types import Floats

IMPOSTOR_COSINE = 0.3
PEOPLE = range(1, 6)


def _references(site: Site) -> list[Reference]:
    return gallery_snapshot(
        site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
    )


def _scores(site: Site) -> Floats:
    """Scores of new photos of everyone with all references, as recognition makes them."""
    references = _references(site)
    rotation = references[0].rotation
    assert rotation is not None
    assert all(reference.rotation == rotation for reference in references)
    raw = np.stack([template(person, 5) for person in PEOPLE])
    return rotation.turn(raw).astype(np.float32) @ np.stack([one.template for one in references]).T


def _sealed(site: Site) -> list[bytes]:
    """What the database holds of templates and their key."""
    with site.read() as session:
        return [
            *session.scalars(select(TemplateRow.sealed_template)),
            *session.scalars(select(TemplateRotationRow.sealed_seed)),
        ]


def _needles(contents: list[bytes]) -> list[Needle]:
    return [needle for content in contents for needle in pieces("old", content, 8)]


def _clear(templates: Floats) -> list[Needle]:
    """References as they are compared, and near enough as they are kept."""
    return [
        needle
        for one in templates
        for kind in (np.float32, np.float16)
        for needle in pieces("clear", one.astype(kind).tobytes(), 4)
    ]


def test_scores_stay_and_leaked_templates_become_worthless(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        for person in PEOPLE:
            enrolled(site, person, f"Person {person}")
        before, leaked = _scores(site), np.stack([one.template for one in _references(site)])
        assert (before.max(axis=1) > 0.7).all()
        old, version = _sealed(site), site.gallery_version
        assert scan_for(site.data_dir, _needles(old)).hits != ()

        report = rotate_keys(site, actor="keeper")

        assert (report.version, report.people, report.templates) == (2, 5, 10)
        assert np.abs(_scores(site) - before).max() < 1e-6
        assert site.gallery_version > version
        now = np.stack([one.template for one in _references(site)])
        assert scan_for(site.data_dir, [*_clear(leaked), *_clear(now)]).hits == ()
        mated = [(one @ now[2 * row : 2 * row + 2].T).max() for row, one in enumerate(leaked[::2])]
        assert max(mated) < IMPOSTOR_COSINE
        assert np.abs(leaked @ now.T).max() < IMPOSTOR_COSINE
        assert scan_for(site.data_dir, _needles(old)).hits == ()
        assert check_site(site, mend=False, actor=ACTOR) == []
        with site.read() as session:
            entry = session.scalars(
                select(LedgerEntryRow).where(LedgerEntryRow.event == Event.KEYS_ROTATED)
            ).one()
            assert (entry.seq, entry.actor) == (report.ledger_seq, "keeper")
            assert [row.version for row in session.scalars(select(TemplateRotationRow))] == [2]


def test_an_old_sealed_template_does_not_open_as_a_new_one(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        with site.read() as session:
            old = {row.id: row.sealed_template for row in session.scalars(select(TemplateRow))}
        rotate_keys(site, actor=ACTOR)
        with site.write() as session:
            for row in session.scalars(select(TemplateRow)):
                row.sealed_template = old[row.id]
        with pytest.raises(DataDamaged, match="a sealed template does not open"):
            _references(site)
        with site.write() as session:  # nor with the version it was sealed under: that one is not in use
            session.execute(update(TemplateRow).values(rotation_version=1))
        with pytest.raises(DataDamaged, match="under another rotation than the one in use"):
            _references(site)
        findings = check_site(site, mend=False, actor=ACTOR)
        assert [finding.kind for finding in findings] == ["rotation", "rotation"]


def test_enrolling_goes_on_under_the_new_key(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        rotate_keys(site, actor=ACTOR)
        with pytest.raises(DuplicatePerson):
            enrol(site, FakeAnalyser(), name="Eve", photos=[photo(1, 5)], consent=consent(), actor=ACTOR)
        enrolled(site, 2, "Ben Example")
        rotate_keys(site, actor=ACTOR)
        assert {one.name for one in _references(site)} == {"Ada Example", "Ben Example"}


def test_a_key_before_anyone_enrolled(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        with site.read() as session:
            assert site.rotation(session) is None
        assert rotate_keys(site, actor=ACTOR).version == 1
        with site.read() as session:
            first = site.rotation(session)
        enrolled(site, 1, "Ada Example")
        assert {one.rotation for one in _references(site)} == {first}


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    found: list[Floats] = []
    for name in ("one", "other"):
        with opened(tmp_path / name, declared=True) as site:
            enrolled(site, 1, "Ada Example")
            found.append(np.stack([one.template for one in _references(site)]))
    assert np.abs(found[0] @ found[1].T).max() < IMPOSTOR_COSINE


def test_a_change_that_is_rolled_back_leaves_the_old_key_in_use(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        before = _sealed(site)
        with site.write() as session:
            session.execute(update(LedgerEntryRow).values(actor="x"))
            head = session.connection().exec_driver_sql("SELECT frontier FROM ledger_head").scalar_one()
            session.connection().exec_driver_sql("UPDATE ledger_head SET frontier = zeroblob(4)")
        with pytest.raises(LedgerBroken):
            rotate_keys(site, actor=ACTOR)
        assert _sealed(site) == before
        with site.write() as session:
            session.connection().exec_driver_sql("UPDATE ledger_head SET frontier = ?", (head,))
        rotate_keys(site, actor=ACTOR)  # version 2 again, of another seed
        references = _references(site)
        rotation = references[0].rotation
        assert rotation is not None
        scores = rotation.turn(template(1, 0)) @ np.stack([one.template for one in references]).T
        assert float(scores.max()) == pytest.approx(1.0, abs=1e-6)


def test_a_template_that_does_not_open_stops_the_change(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        person_id = enrolled(site, 2, "Ben Example").person_id
        with site.write() as session:
            row = session.scalars(select(TemplateRow).where(TemplateRow.person_id == person_id)).first()
            assert row is not None
            row.sealed_template = row.sealed_template[:-1] + b"?"
        before = _sealed(site)
        with pytest.raises(DataDamaged, match=r"1 template\(s\) do not open, so the key stays"):
            rotate_keys(site, actor=ACTOR)
        assert _sealed(site) == before
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        assert rotate_keys(site, actor=ACTOR).version == 2


def test_an_interrupted_change_is_finished_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_: object) -> None:
        raise ErasureIncomplete("the power went")

    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        old = _needles(_sealed(site))
        with monkeypatch.context() as patched:
            patched.setattr("consentry.people.rekey.finish_erasures", power_cut)
            with pytest.raises(ErasureIncomplete):
                rotate_keys(site, actor=ACTOR)
        assert is_compaction_pending(site.database)
        assert scan_for(site.data_dir, old).hits != ()
    with opened(tmp_path) as site:
        assert not is_compaction_pending(site.database)
        assert scan_for(site.data_dir, old).hits == ()


def test_another_process_sees_the_new_key(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site, opened(tmp_path, create=False) as elsewhere:
        enrolled(site, 1, "Ada Example")
        before = {one.rotation for one in _references(elsewhere)}
        rotate_keys(site, actor=ACTOR)
        after = {one.rotation for one in _references(elsewhere)}
        assert after == {one.rotation for one in _references(site)}
        assert before.isdisjoint(after)


def _as_schema_1_kept_them(site: Site) -> None:
    """Put everyone's templates back as version 1 of the schema had them: as the recogniser made them."""
    with site.write() as session:
        rotation = site.rotation(session)
        assert rotation is not None
        for row in session.scalars(select(TemplateRow)):
            key = site.person_key(session, row.person_id)
            raw = rotation.turn_back(open_template(row, key)).astype("<f4").tobytes()
            row.rotation_version, row.sealed_template = 0, key.seal(raw, Kind.TEMPLATE, row.id)
        session.connection().exec_driver_sql("DELETE FROM template_rotation")


def test_templates_of_schema_1_are_turned_at_the_next_opening(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        for person in PEOPLE:
            enrolled(site, person, f"Person {person}")
        before = _scores(site)
        _as_schema_1_kept_them(site)
        old = _needles(_sealed(site))
    with opened(tmp_path) as site:
        assert np.abs(_scores(site) - before).max() < 1e-6
        assert scan_for(site.data_dir, old).hits == ()
        assert check_site(site, mend=False, actor=ACTOR) == []
        with site.read() as session:
            logged = select(LedgerEntryRow.actor).where(LedgerEntryRow.event == Event.KEYS_ROTATED)
            assert session.scalars(logged).all() == ["consentry"]
    with opened(tmp_path) as site:  # once
        assert not is_compaction_pending(site.database)
        with site.read() as session:
            assert len(session.scalars(logged).all()) == 1


def test_one_of_schema_1_that_does_not_open_is_left_for_the_check(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        _as_schema_1_kept_them(site)
        with site.write() as session:
            row = session.scalars(select(TemplateRow)).first()
            assert row is not None
            row.sealed_template = row.sealed_template[:-1] + b"?"
    for _ in range(2):
        with opened(tmp_path) as site:
            kinds = {finding.kind for finding in check_site(site, mend=False, actor=ACTOR)}
            assert kinds == {"rotation", "person"}


def test_a_changed_seed_is_found_and_stops_recognition_but_no_withdrawal(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        with site.write() as session:
            row = session.scalars(select(TemplateRotationRow)).one()
            row.sealed_seed = row.sealed_seed[:-1] + b"?"
    with opened(tmp_path) as site:
        (finding,) = check_site(site, mend=False, actor=ACTOR)
        assert (finding.kind, finding.mended) == ("rotation", False)
        with pytest.raises(DataDamaged, match="a sealed rotation-seed does not open"):
            _references(site)
        withdraw(site, person_id, reason="asked", actor=ACTOR)


@pytest.mark.parametrize("turned", [False, True], ids=["as the recogniser made it", "turned"])
def test_the_proof_of_an_erasure_finds_both_forms(tmp_path: Path, turned: bool) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        rotate_keys(site, actor=ACTOR)
        with site.read() as session:
            key = site.person_key(session, person_id)
            kept = [open_template(row, key) for row in session.scalars(select(TemplateRow))]
        left = kept[0] if turned else template(1, 0)
        kinds = (np.float64, np.float32, np.float16)
        for kind in kinds:
            np.save(site.data_dir / f"{np.dtype(kind).name}.npy", left.astype(kind))
        with pytest.raises(ErasureIncomplete) as raised:
            withdraw(site, person_id, reason="asked", actor=ACTOR)
        for kind in kinds:
            what = "a turned template" if turned else "a template"
            assert f"{what} as {np.dtype(kind).name} in {np.dtype(kind).name}.npy" in raised.value.cause
