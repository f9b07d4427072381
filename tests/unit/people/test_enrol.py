"""Enrolment: what it refuses and why, and that a refusal keeps nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
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
from consentry.people.enrol import Photo, enrol
from consentry.people.roster import list_people, show_person
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
