"""Several consents of one person: added, renewed, withdrawn one by one; and refusals that keep nobody."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
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
)

from consentry.clock import SimulatedClock
from consentry.errors import ConsentInvalid, NotFound
from consentry.people.consent import ConsentEvent, ConsentPerson, ConsentRecord
from consentry.people.consents import add_consent, record_refusal, withdraw_consent
from consentry.people.declaration import declare
from consentry.people.links import person_behind
from consentry.people.receipts import receipts_of, verify_receipt
from consentry.people.roster import exportable, gallery_snapshot, list_people, show_person
from consentry.people.scan import Needle, scan_for
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.store.schema import ConsentRow, PersonRow

DAY_S = 86_400


def _events(site: Site) -> list[str]:
    with site.read() as session:
        rows = session.connection().exec_driver_sql("SELECT event FROM ledger_entry ORDER BY seq")
        return list(rows.scalars())


def _matched(site: Site, purpose: str = PURPOSE) -> set[str]:
    found = gallery_snapshot(
        site, purpose=purpose, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
    )
    return {reference.name for reference in found}


def test_a_second_purpose_opens_what_the_first_did_not(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare(site, declaration(PURPOSE, "canteen"), actor=ACTOR)
        person_id = enrolled(site, 1, "Ada Example").person_id
        assert _matched(site, "canteen") == set()
        before = site.gallery_version
        added = add_consent(site, person_id, consent(purpose="canteen"), ACTOR)
        assert site.gallery_version > before
        assert _matched(site, "canteen") == _matched(site) == {"Ada Example"}
        (person,) = list_people(site)
        assert {record.purpose for record in person.consents} == {PURPOSE, "canteen"}
        assert added.consent_id in person.consent_ids
        assert person_behind(site, added.link.rpartition("/")[2]) == person_id
        assert _events(site)[-1] == "consent.given"
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_a_renewal_carries_on_where_the_first_ends(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example", consent(days=10)).person_id
        renewal = consent(start=START + timedelta(days=10), days=10)
        add_consent(site, person_id, renewal.model_copy(update={"given_on": START}), ACTOR)
        clock.advance(10 * DAY_S)
        assert _matched(site) == {"Ada Example"}
        clock.advance(10 * DAY_S)
        assert _matched(site) == set()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (consent(start=START + timedelta(days=101)), "begins after the end of those there are"),
        (consent(purpose="canteen"), "this site may enrol for"),
        (consent(start=START - timedelta(days=50), days=10), "the consent ended on"),
        (consent().model_copy(update={"state": "refused"}), "the consent was refused"),
        (consent().model_copy(update={"person": ConsentPerson(name="Ben")}), "another person's"),
        (consent().ended("withdrawn", at_unix_s=START_UNIX_S, entity="person"), "has a history already"),
    ],
    ids=["gap", "other purpose", "ended", "refused", "other person", "used"],
)
def test_consents_that_cannot_be_added(tmp_path: Path, record: ConsentRecord, words: str) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        before = _events(site)
        with pytest.raises(ConsentInvalid, match=words):
            add_consent(site, person_id, record, ACTOR)
        assert _events(site) == before
        assert list_people(site)[0].consents == (consent(),)


def test_nobody_to_add_a_consent_to(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site, pytest.raises(NotFound, match="nobody with the id"):
        add_consent(site, "0000", consent(), ACTOR)


def test_whose_time_has_ended_cannot_be_kept_by_a_new_consent(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        declare(site, declaration(review_due_on=START.date() + timedelta(days=900)), actor=ACTOR)
        person_id = enrolled(site, 1, "Ada Example", consent(days=700)).person_id
        clock.advance(365 * DAY_S)
        with pytest.raises(ConsentInvalid, match="time here has ended"):
            add_consent(site, person_id, consent(start=START + timedelta(days=365)), ACTOR)


def test_withdrawing_one_of_two_leaves_the_other(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare(site, declaration(PURPOSE, "canteen"), actor=ACTOR)
        first = enrolled(site, 1, "Ada Example")
        add_consent(site, first.person_id, consent(purpose="canteen"), ACTOR)
        ended = withdraw_consent(site, first.person_id, first.consent_id, "user:ada")
        assert (ended.erasure, ended.erasure_receipt) == (None, b"")
        assert (_matched(site), _matched(site, "canteen")) == (set(), {"Ada Example"})
        (person,) = list_people(site)
        record = dict(zip(person.consent_ids, person.consents, strict=True))[first.consent_id]
        assert record.state == "withdrawn"
        assert record.events == (ConsentEvent(time=START, state="withdrawn", entity="person"),)
        assert person.templates == 2
        body = verify_receipt(ended.receipt, str(site.ledger.verifier)).body
        assert body.event is not None
        assert (body.kind, body.event.event_state) == ("withdrawal", "withdrawn")
        assert receipts_of(site, first.person_id)[0] == ended.receipt
        with pytest.raises(ConsentInvalid, match="was withdrawn already"):
            withdraw_consent(site, first.person_id, first.consent_id, ACTOR)
        assert check_site(site, mend=True, actor=ACTOR) == []


def test_withdrawing_the_last_one_erases_the_person(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        first = enrolled(site, 1, "Ada Example")
        later = consent(start=START + timedelta(days=50)).model_copy(update={"given_on": START})
        add_consent(site, first.person_id, later, ACTOR)  # not in force yet, so it keeps nothing
        ended = withdraw_consent(site, first.person_id, first.consent_id, ACTOR)
        assert ended.erasure is not None
        assert ended.erasure.templates == 2
        assert list_people(site) == []
        assert _events(site)[-3:] == ["consent.withdrawn", "person.withdrawn", "receipt.issued"]
        key = str(site.ledger.verifier)
        body = verify_receipt(ended.erasure_receipt, key).body
        assert body.erasure is not None
        assert (body.kind, body.erasure.pii_principal_id) == ("erasure", first.person_id)
        assert (body.erasure.ledger_seq, body.personal_link) == (ended.erasure.ledger_seq, None)
        assert verify_receipt(ended.receipt, key).body.personal_link is None
        assert verify_receipt(first.receipt, key)  # whoever keeps one can still show it
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_a_consent_of_someone_else_is_not_withdrawn(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada, ben = enrolled(site, 1, "Ada Example"), enrolled(site, 2, "Ben Example")
        with pytest.raises(NotFound, match="has no consent"):
            withdraw_consent(site, ada.person_id, ben.consent_id, ACTOR)
        assert _matched(site) == {"Ada Example", "Ben Example"}


def test_a_refusal_keeps_nothing_of_the_person(tmp_path: Path) -> None:
    refusal = consent().model_copy(
        update={"state": "refused", "person": ConsentPerson(name="Quentin Unwilling")}
    )
    with opened(tmp_path, declared=True) as site:
        receipt = record_refusal(site, refusal, ACTOR)
        verified = verify_receipt(receipt, str(site.ledger.verifier))
        assert verified.body.record is not None
        assert verified.body.event is not None
        assert (verified.body.kind, verified.body.event.event_state) == ("refusal", "refused")
        assert (verified.body.record.pii_principal_id, verified.body.personal_link) == (None, None)
        assert verified.entry.subject_pseudonym is None
        assert b"Quentin" not in receipt
        assert _events(site)[-1] == "consent.refused"
        with site.read() as session:
            assert session.scalars(select(PersonRow.id)).all() == []
            assert session.scalars(select(ConsentRow.id)).all() == []
        assert scan_for(site.data_dir, [Needle("name", b"Quentin Unwilling")]).hits == ()
        payload = json.loads(receipt)["ledger"]["payload"]
        assert set(payload) == {"purpose", "receipt_sha256"}


def test_what_is_no_refusal(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        before = _events(site)
        with pytest.raises(ConsentInvalid, match="is no refusal"):
            record_refusal(site, consent(), ACTOR)
        with pytest.raises(ConsentInvalid, match="this site may enrol for"):
            record_refusal(site, consent(purpose="x").model_copy(update={"state": "refused"}), ACTOR)
        assert _events(site) == before


def test_who_may_be_given_away(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        ada = enrolled(site, 1, "Ada Example").person_id
        enrolled(site, 2, "Ben Example", consent(may_be_shown=False))
        short = enrolled(site, 3, "Cleo Example", consent(days=1)).person_id
        assert exportable(site, purpose=PURPOSE, at_unix_s=clock.unix_s()) == {ada, short}
        assert exportable(site, purpose="canteen", at_unix_s=clock.unix_s()) == set()
        clock.advance(DAY_S)
        assert exportable(site, purpose=PURPOSE, at_unix_s=clock.unix_s()) == {ada}


def test_fields_of_27560_are_kept_and_shown_on_the_receipt(tmp_path: Path) -> None:
    record = consent().model_copy(
        update={"language": "de-AT", "jurisdiction": "AT-9", "collection_method": "signed form"}
    )
    with opened(tmp_path, declared=True) as site:
        result = enrolled(site, 1, "Ada Example", record)
        assert show_person(site, result.person_id, actor=ACTOR).consents == (record,)
        body = verify_receipt(result.receipt, str(site.ledger.verifier)).body
        assert body.record is not None
        assert (body.record.language, body.record.jurisdiction) == ("de-AT", "AT-9")
        assert body.purposes[0].collection_method == "signed form"
