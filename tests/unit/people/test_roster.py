"""Listing, showing, exporting, and the references that recognition may use."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START,
    START_UNIX_S,
    consent,
    declaration,
    enrolled,
    opened,
    photo,
    template,
)
from tests.unit.people.test_sightings import SIGHTING

from consentry.clock import SimulatedClock
from consentry.errors import DataDamaged, NotDeclared, NotFound
from consentry.people.declaration import declare
from consentry.people.roster import Reference, export_person, gallery_snapshot, list_people, show_person
from consentry.people.sightings import record
from consentry.people.site import Site
from consentry.store.schema import PersonRow, TemplateRow


def _snapshot(site: Site, purpose: str = PURPOSE, recogniser: str = RECOGNISER) -> list[Reference]:
    return gallery_snapshot(
        site, purpose=purpose, recogniser_sha256=recogniser, at_unix_s=site.clock.unix_s()
    )


def test_people_in_the_order_of_enrolment(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(days=1))
        clock.advance(1)
        enrolled(site, 2, "Ben Example")
        assert [(person.name, person.why_not_live) for person in list_people(site)] == [
            ("Ada Example", None),
            ("Ben Example", None),
        ]
        clock.advance(86_400)
        assert [person.why_not_live for person in list_people(site)] == [
            "ended on 2027-01-16 08:00 UTC",
            None,
        ]


def test_references_carry_what_the_consent_allows(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        result = enrolled(site, 1, "Ada Example", consent(may_be_shown=False, cameras=frozenset({"door"})))
        references = _snapshot(site)
    assert len(references) == 2
    for reference in references:
        assert (reference.person_id, reference.name) == (result.person_id, "Ada Example")
        (record,) = reference.consents
        assert (reference.purpose, record.may_be_shown) == (PURPOSE, False)
        assert record.scope.cameras == frozenset({"door"})
        assert record.valid_until.timestamp() == START_UNIX_S + 100 * 86_400
        assert reference.template.dtype == np.float32
    kept = {reference.template.tobytes() for reference in references}
    assert kept == {template(1, pose).tobytes() for pose in (0, 1)}  # to the last bit


def test_references_are_of_one_purpose_and_one_recogniser(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare(site, declaration(PURPOSE, "canteen"), actor=ACTOR)
        enrolled(site, 1, "Ada Example")
        enrolled(site, 2, "Ben Example", consent(purpose="canteen"))
        enrolled(site, 3, "Cleo Example", consent(purpose="verification"))
        assert {reference.name for reference in _snapshot(site)} == {"Ada Example"}
        assert {reference.name for reference in _snapshot(site, "canteen")} == {"Ben Example"}
        assert _snapshot(site, recogniser="cd" * 32) == []
        with pytest.raises(NotDeclared, match="purpose “verification” is not declared"):
            _snapshot(site, "verification")


def test_references_end_with_the_consent(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(days=10))
        end = (START + timedelta(days=10)).timestamp()
        for at_unix_s, count in ((START_UNIX_S, 2), (end - 0.001, 2), (end, 0), (START_UNIX_S - 1, 0)):
            found = gallery_snapshot(site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=at_unix_s)
            assert len(found) == count


def test_an_export_holds_everything(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        result = enrolled(site, 1, "Ada Example")
        record(site, replace(SIGHTING, person_id=result.person_id))
        record(site, replace(SIGHTING, decision="unknown", person_id=None))
        show_person(site, result.person_id, actor="looker")
        export = export_person(site, result.person_id, actor=ACTOR)
    originals = {photo(1, pose).original for pose in (0, 1)}
    assert {content for _, content in export.photos} == originals
    assert [name for name, _ in export.photos] == ["photo-1.jpg", "photo-2.jpg"]
    document = json.loads(json.dumps(export.document))
    assert (document["id"], document["name"]) == (result.person_id, "Ada Example")
    assert document["consents"][0]["purpose"] == PURPOSE
    assert len(document["sightings"]) == 1
    assert [(entry["event"], entry["actor"]) for entry in document["ledger"]] == [
        ("consent.given", ACTOR),
        ("person.enrolled", ACTOR),
        ("person.viewed", "looker"),
        ("person.exported", ACTOR),
    ]
    kept = {base64.b64decode(one["float32_base64"]) for one in document["templates"]}
    assert kept == {template(1, pose).tobytes() for pose in (0, 1)}


def test_an_export_needs_no_live_consent(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        result = enrolled(site, 1, "Ada Example", consent(days=1))
        clock.advance(3 * 86_400)
        assert export_person(site, result.person_id, actor=ACTOR).document["name"] == "Ada Example"


def test_someone_unknown(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        for ask in (show_person, export_person):
            with pytest.raises(NotFound, match="nobody with the id 0000 is enrolled"):
                ask(site, "0000", actor=ACTOR)


def test_templates_swapped_between_people_do_not_open(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        enrolled(site, 2, "Ben Example")
        with site.write() as session:
            rows = session.query(TemplateRow).order_by(TemplateRow.person_id).all()
            rows[0].sealed_template, rows[-1].sealed_template = (
                rows[-1].sealed_template,
                rows[0].sealed_template,
            )
        with pytest.raises(DataDamaged, match="a sealed template does not open"):
            _snapshot(site)


def test_names_swapped_between_people_do_not_open(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        enrolled(site, 2, "Ben Example")
        with site.write() as session:
            first, second = session.query(PersonRow).all()
            first.sealed_name, second.sealed_name = second.sealed_name, first.sealed_name
        with pytest.raises(DataDamaged, match="a sealed name does not open"):
            list_people(site)
