"""The form of a consent record, and the one question asked of it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.people.kit import PURPOSE, START, START_UNIX_S, consent

from consentry.errors import ConsentInvalid, UsageError
from consentry.people.consent import (
    Act,
    ConsentRecord,
    Place,
    clean_name,
    demo_consent,
    live_consent,
    parse_consent,
    read_consent,
)

DAY_S = 86_400.0
ACTS: list[Act] = ["enrol", "match", "show", "export"]


def _document(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schema_version": "consentry-consent-1",
        "person": {"name": "Ada Example"},
        "purpose": PURPOSE,
        "state": "given",
        "given_on": "2026-11-20T09:00:00Z",
        "valid_from": "2026-11-20T09:00:00+01:00",
        "valid_until": "2027-11-20T00:00:00Z",
        "notice": {"uri": "https://example.org/notice", "version": "3", "sha256": "0" * 64},
        "may_be_shown": True,
        "alternative": "a badge",
        "scope": {"cameras": ["door"]},
        "given_by": "person",
    }
    document["valid_from"] = "2026-11-20T10:00:00+01:00"
    return document | changes


def _parse(document: dict[str, Any]) -> ConsentRecord:
    return parse_consent(json.dumps(document).encode(), "consent.json")


def test_a_whole_record() -> None:
    record = _parse(_document())
    assert record.person.name == "Ada Example"
    assert record.scope.cameras == frozenset({"door"})
    assert record.valid_from == record.given_on  # one hour east, the same moment
    assert parse_consent(record.model_dump_json().encode(), "again") == record


def test_name_and_scope_are_optional() -> None:
    document = _document()
    del document["person"], document["scope"]
    record = _parse(document)
    assert record.person.name is None
    assert record.scope.cameras is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"person": {"name": "A", "sex": "f"}}, "person.sex: Extra inputs are not permitted"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "  "}, "purpose"),
        ({"purpose": "a\nb"}, "purpose"),
        ({"may_be_shown": "yes"}, "may_be_shown"),
        ({"may_be_shown": 1}, "may_be_shown"),
        ({"state": "assumed"}, "state"),
        ({"given_by": "employer"}, "given_by"),
        ({"alternative": ""}, "alternative"),
        ({"schema_version": "2"}, "schema_version"),
        ({"valid_until": "2027-11-20T00:00:00"}, "valid_until.*timezone"),
        ({"valid_until": "tomorrow"}, "valid_until"),
        ({"valid_until": "2026-11-20T09:00:00Z"}, "valid_until is not after valid_from"),
        ({"valid_until": "2029-11-22T09:00:00Z"}, "more than 3 years"),
        ({"valid_from": "2026-11-20T08:59:59Z"}, "consent never reaches back"),
        ({"notice": {"uri": "x", "version": "3", "sha256": "0" * 63}}, "notice.sha256"),
        ({"notice": {"uri": "x", "version": "3"}}, "notice.sha256: Field required"),
        ({"scope": {"cameras": "door"}}, "scope.cameras"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConsentInvalid, match=rf"consent\.json is not a valid consent record: .*{words}"):
        _parse(_document(**changes))


@pytest.mark.parametrize(
    "field", ["purpose", "valid_until", "notice", "alternative", "given_by", "may_be_shown"]
)
def test_missing_fields_are_named(field: str) -> None:
    document = _document()
    del document[field]
    with pytest.raises(ConsentInvalid, match=f"{field}: Field required"):
        _parse(document)


def test_three_years_are_allowed() -> None:
    assert _parse(_document(valid_until="2029-11-20T09:00:00Z")).state == "given"


@given(content=st.binary(max_size=200))
def test_any_bytes_give_one_clear_error(content: bytes) -> None:
    with pytest.raises(ConsentInvalid) as raised:
        parse_consent(content, "consent.json")
    assert "\n" not in str(raised.value)
    assert "docs/consent.md" in raised.value.mend


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "consent.json"
    with pytest.raises(UsageError, match="No such file"):
        read_consent(path)
    with pytest.raises(UsageError, match="directory"):
        read_consent(tmp_path)
    path.write_text(json.dumps(_document()))
    assert read_consent(path).purpose == PURPOSE
    path.write_text(json.dumps(_document(is_demo=True)))
    with pytest.raises(ConsentInvalid, match="calls itself a demo"):
        read_consent(path)
    path.write_text(" " * 70_000)
    with pytest.raises(ConsentInvalid, match="too large"):
        read_consent(path)


def test_the_message_never_repeats_the_record(tmp_path: Path) -> None:
    path = tmp_path / "consent.json"
    path.write_text(json.dumps(_document(person={"name": "Ada Example\n"})))
    with pytest.raises(ConsentInvalid) as raised:
        read_consent(path)
    assert "Ada" not in str(raised.value)


@pytest.mark.parametrize(
    ("days_from_start", "problem"),
    [
        (-1e-6, "does not start before 2027-01-15 08:00 UTC"),
        (0.0, None),
        (99.99999, None),
        (100.0, "ended on 2027-04-25 08:00 UTC"),
        (5000.0, "ended on"),
    ],
)
def test_the_first_and_the_last_moment(days_from_start: float, problem: str | None) -> None:
    at_unix_s = START_UNIX_S + days_from_start * DAY_S
    for act in ACTS:
        if problem is None:
            assert live_consent([consent()], purpose=PURPOSE, at_unix_s=at_unix_s, act=act) == consent()
        else:
            with pytest.raises(ConsentInvalid, match=f"the consent {problem}"):
                live_consent([consent()], purpose=PURPOSE, at_unix_s=at_unix_s, act=act)


def test_another_purpose() -> None:
    with pytest.raises(ConsentInvalid, match="is for purpose “entrance”, not “canteen”"):
        live_consent([consent()], purpose="canteen", at_unix_s=START_UNIX_S, act="match")


@pytest.mark.parametrize("state", ["refused", "withdrawn"])
def test_no_consent_given(state: str) -> None:
    record = consent().model_copy(update={"state": state})
    with pytest.raises(ConsentInvalid, match=f"the consent was {state}"):
        live_consent([record], purpose=PURPOSE, at_unix_s=START_UNIX_S, act="enrol")


def test_no_record_at_all() -> None:
    with pytest.raises(ConsentInvalid, match="there is no consent record"):
        live_consent([], purpose=PURPOSE, at_unix_s=START_UNIX_S, act="match")


def test_cameras() -> None:
    record = consent(cameras=frozenset({"door"}))
    assert live_consent([record], purpose=PURPOSE, at_unix_s=START_UNIX_S, place=Place("door"), act="match")
    assert live_consent([record], purpose=PURPOSE, at_unix_s=START_UNIX_S, act="match")
    with pytest.raises(ConsentInvalid, match="does not cover camera “yard”"):
        live_consent([record], purpose=PURPOSE, at_unix_s=START_UNIX_S, place=Place("yard"), act="match")


@pytest.mark.parametrize(
    ("act", "allowed"), [("enrol", True), ("match", True), ("show", False), ("export", False)]
)
def test_showing_needs_its_own_consent(act: Act, allowed: bool) -> None:
    record = consent(may_be_shown=False)
    if allowed:
        assert live_consent([record], purpose=PURPOSE, at_unix_s=START_UNIX_S, act=act) == record
    else:
        with pytest.raises(ConsentInvalid, match="does not allow showing"):
            live_consent([record], purpose=PURPOSE, at_unix_s=START_UNIX_S, act=act)


def test_the_reason_given_is_that_of_the_nearest_record() -> None:
    records = [consent(days=1), consent(purpose="canteen")]
    for ordered in (records, records[::-1]):
        with pytest.raises(ConsentInvalid, match="ended on"):
            live_consent(ordered, purpose=PURPOSE, at_unix_s=START_UNIX_S + 2 * DAY_S, act="match")


def test_one_good_record_is_enough() -> None:
    good = consent(start=START + timedelta(days=1))
    found = live_consent(
        [consent(days=1), good], purpose=PURPOSE, at_unix_s=START_UNIX_S + 1.5 * DAY_S, act="match"
    )
    assert found == good


def test_the_demo_record_says_what_it_is() -> None:
    record = demo_consent(START_UNIX_S)
    assert record.is_demo
    assert record.purpose == "demo"
    assert live_consent([record], purpose="demo", at_unix_s=START_UNIX_S, act="show") == record


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [("  Ada \u00a0 Example ", "Ada Example"), ("Zoe\u0308", "Zoë"), ("王小明", "王小明")],
)
def test_names(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\x00b", "x" * 201])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError):
        clean_name(name)


def test_a_consent_for_zones_holds_only_on_cameras_that_stand_in_one() -> None:
    record = consent(zones=frozenset({"lobby"}))
    for place, holds in ((Place("door", "lobby"), True), (Place("door", "yard"), False), (Place("x"), False)):
        found = record.why_not(purpose=PURPOSE, at_unix_s=START_UNIX_S, place=place, act="match")
        assert (found is None) is holds
    both = consent(cameras=frozenset({"door"}), zones=frozenset({"lobby"}))
    assert both.covers(Place("door", "lobby"))
    assert not both.covers(Place("door", "yard"))
    assert not both.covers(Place("gate", "lobby"))
