"""Enrolment: what it refuses and why, and that a refusal keeps nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.unit.people.kit import (
    ACTOR,
    BLURRED,
    MANY_FACES,
    NO_FACE,
    PURPOSE,
    START,
    START_UNIX_S,
    FakeAnalyser,
    consent,
    declaration,
    enrolled,
    opened,
    photo,
)

from consentry.clock import SimulatedClock
from consentry.errors import (
    ConsentInvalid,
    ConsentryError,
    DuplicatePerson,
    EngineError,
    EnrolmentRefused,
    ManyFacesFound,
    NoFaceFound,
    PoorQuality,
    UsageError,
)
from consentry.people.consent import ConsentPerson, ConsentRecord, demo_consent
from consentry.people.declaration import declare, declare_demo
from consentry.people.enrol import Photo, add_photos, enrol
from consentry.people.erase import withdraw
from consentry.people.links import person_behind
from consentry.people.receipts import receipts_of, verify_receipt
from consentry.people.roster import export_person, list_people, show_person
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.types import Picture
from consentry.vision.sample import FaceSample


def _state(site: Site) -> tuple[object, ...]:
    """All that an enrolment could change."""
    with site.read() as session:
        size = site.ledger.verify(session.connection()).size
    return (len(list_people(site)), sorted(site.blobs.names()), size, site.gallery_version)


def _refused(
    site: Site,
    kind: type[ConsentryError],
    words: str,
    photos: list[Photo],
    record: ConsentRecord | None = None,
    name: str = "Ada Example",
) -> ConsentryError:
    before = _state(site)
    with pytest.raises(kind, match=words) as raised:
        enrol(site, FakeAnalyser(), name=name, photos=photos, consent=record or consent(), actor=ACTOR)
    assert type(raised.value) is kind
    assert _state(site) == before
    return raised.value


def test_an_enrolment_that_works(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        result = enrolled(site, 1, "  Ada   Example ")
        assert [report.quality for report in result.photos] == [0.8, 0.8]
        person = show_person(site, result.person_id, actor=ACTOR)
        assert (person.name, person.photos, person.templates) == ("Ada Example", 2, 2)
        assert person.consents == (consent(),)
        assert person.why_not_live is None
        assert check_site(site, mend=False, actor=ACTOR) == []


@pytest.mark.parametrize(
    ("faces", "kind", "words"),
    [
        (NO_FACE, NoFaceFound, "1-1.jpg: no face found"),
        (MANY_FACES, ManyFacesFound, "1-1.jpg: 2 faces found, exactly one needed"),
        (BLURRED, PoorQuality, "1-1.jpg: face is 20 px wide, 64 needed"),
    ],
)
def test_one_bad_photo_refuses_all(
    tmp_path: Path, faces: int, kind: type[ConsentryError], words: str
) -> None:
    with opened(tmp_path, declared=True) as site:
        error = _refused(site, kind, words, [photo(1, 0), photo(1, 1, faces)])
        assert "1-0.jpg" not in str(error)
        assert "Nothing was kept" in error.mend


def test_every_bad_photo_is_named(tmp_path: Path) -> None:
    photos = [photo(1, 0, NO_FACE), photo(1, 1), photo(1, 2, BLURRED), photo(1, 3, MANY_FACES)]
    with opened(tmp_path, declared=True) as site:
        error = _refused(site, EnrolmentRefused, "no face found", photos)
    assert error.cause == (
        "1-0.jpg: no face found; 1-2.jpg: face is 20 px wide, 64 needed; 1-3.jpg: 2 faces found, exactly one "
        "needed"
    )


def test_the_odd_one_is_named_and_no_other(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        error = _refused(
            site, EnrolmentRefused, "2-0.jpg: the face is not", [photo(1), photo(2), photo(1, 1)]
        )
    assert "1-0.jpg" not in str(error)
    assert "1-1.jpg" not in str(error)


def test_of_two_that_differ_both_are_named(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        error = _refused(site, EnrolmentRefused, "1-0.jpg: the face is not", [photo(1), photo(2)])
    assert "2-0.jpg: the face is not the one of the other photos" in str(error)


def test_someone_enrolled_already(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        first = enrolled(site, 1, "Ada Example")
        enrolled(site, 2, "Ben Example")
        error = _refused(
            site, DuplicatePerson, f"as person {first.person_id}", [photo(1, 5)], name="Eve Example"
        )
    assert "Ada" not in str(error)


def test_someone_whose_consent_has_ended_is_not_compared(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(days=10))
        clock.advance(11 * 86_400)
        enrolled(site, 1, "Ada Example", consent(start=START + timedelta(days=11)))
        assert len(list_people(site)) == 2


def test_templates_of_another_model_are_not_compared(tmp_path: Path) -> None:
    class OtherAnalyser(FakeAnalyser):
        recogniser_sha256 = "cd" * 32

    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        enrol(site, OtherAnalyser(), name="Ada", photos=[photo(1)], consent=consent(), actor=ACTOR)
        assert len(list_people(site)) == 2


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (consent(start=START - timedelta(days=200)), "the consent ended on 2026-10-07"),
        (consent(start=START + timedelta(days=1)), "does not start before"),
        (consent(purpose="canteen"), "is for purpose “canteen”, this site may enrol for “entrance”, “verif"),
        (consent().model_copy(update={"state": "withdrawn"}), "was withdrawn"),
        (consent().model_copy(update={"person": ConsentPerson(name="Ben Example")}), "is another person's"),
        (demo_consent(START_UNIX_S), "counts only in a demo folder"),
    ],
    ids=["expired", "not yet", "other purpose", "withdrawn", "other name", "demo"],
)
def test_consents_that_do_not_allow_it(tmp_path: Path, record: ConsentRecord, words: str) -> None:
    with opened(tmp_path, declared=True) as site:
        _refused(site, ConsentInvalid, words, [photo(1)], record)


def test_no_photo_is_looked_at_without_consent(tmp_path: Path) -> None:
    analyser = FakeAnalyser()
    with opened(tmp_path, declared=True) as site, pytest.raises(ConsentInvalid):
        enrol(site, analyser, name="Ada", photos=[photo(1)], consent=consent(purpose="x"), actor=ACTOR)
    assert analyser.seen == 0


def test_before_any_declaration_only_verification(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        _refused(site, ConsentInvalid, "this site may enrol for “verification”", [photo(1)])
        enrolled(site, 1, "Ada Example", consent(purpose="verification"))


def test_an_overdue_declaration_enrols_nobody(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        declare(site, declaration(review_due_on=START.date() + timedelta(days=1)), actor=ACTOR)
        clock.advance(3 * 86_400)
        _refused(site, ConsentInvalid, "this site may enrol for “verification”", [photo(1)])


def test_a_demo_consent_counts_in_a_demo_and_is_kept_as_one(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare_demo(site, actor=ACTOR)
        enrolled(site, 1, "Eileen Collins", demo_consent(START_UNIX_S))
        (person,) = list_people(site)
        assert person.consents[0].is_demo
        _refused(site, ConsentInvalid, f"is for purpose “{PURPOSE}”", [photo(2)])


def test_a_name_the_consent_agrees_with(tmp_path: Path) -> None:
    record = consent().model_copy(update={"person": ConsentPerson(name="Zoe\u0308  Example")})
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Zoë Example", record)
        assert list_people(site)[0].name == "Zoë Example"


def test_wrong_use(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        _refused(site, UsageError, "no photo was given", [])
        _refused(site, UsageError, "a name has", [photo(1)], name=" ")


def test_a_template_of_the_wrong_form_keeps_nothing(tmp_path: Path) -> None:
    class Broken(FakeAnalyser):
        def analyse(self, bgr: Picture) -> list[FaceSample]:
            (sample,) = super().analyse(bgr)
            return [replace(sample, template=sample.template * np.float32(2))]

    with opened(tmp_path, declared=True) as site:
        before = _state(site)
        with pytest.raises(EngineError, match="unit norm"):
            enrol(site, Broken(), name="Ada", photos=[photo(1)], consent=consent(), actor=ACTOR)
        assert _state(site) == before


def test_someone_whose_photos_are_refused_may_be_kept_without(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        with pytest.raises(PoorQuality, match="face is 20 px wide") as raised:
            enrol(
                site,
                FakeAnalyser(),
                name="Ada Example",
                photos=[photo(1, 0, BLURRED)],
                consent=consent(),
                actor=ACTOR,
                keep_refused=True,
            )
        (person,) = list_people(site)
        assert (person.photos, person.templates, person.why_not_live) == (0, 0, None)
        assert person.refusal == "1-0.jpg: face is 20 px wide, 64 needed"
        assert f"were, as person {person.id}. Their page, also to withdraw: /my/" in raised.value.mend
        body = verify_receipt(raised.value.receipt, str(site.ledger.verifier)).body
        assert body.personal_link is not None
        assert body.personal_link in raised.value.mend
        assert person_behind(site, body.personal_link.removeprefix("/my/")) == person.id
        assert receipts_of(site, person.id) == [raised.value.receipt]
        assert list(site.blobs.names()) == []
        export = export_person(site, person.id, actor=ACTOR)
        assert export.document["photos_refused"] == person.refusal
        assert check_site(site, mend=True, actor=ACTOR) == []

        added = add_photos(site, FakeAnalyser(), person.id, [photo(1, 1)], actor=ACTOR)
        assert [report.quality for report in added.photos] == [0.8]
        (person,) = list_people(site)
        assert (person.photos, person.templates, person.refusal) == (1, 1, None)
        assert withdraw(site, person.id, reason="asked", actor=ACTOR).templates == 1
        assert check_site(site, mend=False, actor=ACTOR) == []
    assert _logged(tmp_path) == [
        "consent.given",
        "photo.refused",
        "person.exported",
        "person.enrolled",
        "person.withdrawn",
    ]


def _logged(folder: Path) -> list[str]:
    with opened(folder) as site, site.read() as session:
        rows = session.connection().exec_driver_sql("SELECT event FROM ledger_entry ORDER BY seq")
        return list(rows.scalars())[2:]


def test_only_refused_photos_are_a_reason_to_keep_someone(tmp_path: Path) -> None:
    keep = partial(enrol, analyser=FakeAnalyser(), name="Eve", actor=ACTOR, keep_refused=True)
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        before = _state(site)
        with pytest.raises(DuplicatePerson) as raised:
            keep(site, photos=[photo(1, 5)], consent=consent())
        assert raised.value.receipt == b""
        with pytest.raises(ConsentInvalid):
            keep(site, photos=[photo(2, 0, BLURRED)], consent=consent(purpose="canteen"))
        assert _state(site) == before


def test_more_photos(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        before = site.gallery_version
        add_photos(site, FakeAnalyser(), person_id, [photo(1, 2), photo(1, 3)], actor=ACTOR)
        assert site.gallery_version > before
        (person,) = list_people(site)
        assert (person.photos, person.templates) == (4, 4)
        assert check_site(site, mend=False, actor=ACTOR) == []
    assert _logged(tmp_path)[-1] == "person.corrected"


class _OtherModel(FakeAnalyser):
    recogniser_sha256 = "cd" * 32


@pytest.mark.parametrize(
    ("photos", "analyser", "kind", "words"),
    [
        ([], FakeAnalyser(), UsageError, "no photo was given"),
        ([photo(1, 2, NO_FACE)], FakeAnalyser(), NoFaceFound, "1-2.jpg: no face found"),
        ([photo(3)], FakeAnalyser(), EnrolmentRefused, "3-0.jpg: the face is not the one enrolled"),
        ([photo(1, 2)], _OtherModel(), EnrolmentRefused, "of another recogniser"),
    ],
    ids=["none", "no face", "someone else", "other model"],
)
def test_photos_that_are_not_added(
    tmp_path: Path, photos: list[Photo], analyser: FakeAnalyser, kind: type[ConsentryError], words: str
) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        before = _state(site)
        with pytest.raises(kind, match=words) as raised:
            add_photos(site, analyser, person_id, photos, actor=ACTOR)
        assert type(raised.value) is kind
        assert _state(site) == before


def test_first_photos_that_show_someone_else_who_is_enrolled(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        with pytest.raises(PoorQuality):
            enrol(
                site,
                FakeAnalyser(),
                name="Eve Example",
                photos=[photo(2, 0, BLURRED)],
                consent=consent(),
                actor=ACTOR,
                keep_refused=True,
            )
        eve = next(person.id for person in list_people(site) if person.name == "Eve Example")
        with pytest.raises(DuplicatePerson):
            add_photos(site, FakeAnalyser(), eve, [photo(1, 5)], actor=ACTOR)


def test_no_photo_is_added_without_consent(tmp_path: Path) -> None:
    clock, analyser = SimulatedClock(START_UNIX_S), FakeAnalyser()
    with opened(tmp_path, clock=clock, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example", consent(days=10)).person_id
        clock.advance(10 * 86_400)
        with pytest.raises(ConsentInvalid, match="the consent ended on"):
            add_photos(site, analyser, person_id, [photo(1, 2)], actor=ACTOR)
    assert analyser.seen == 0
