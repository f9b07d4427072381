"""Consents, photos, refusals and receipts through the API, on a real port."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.unit.people.kit import PURPOSE, START, consent, declaration, enrolled
from tests.unit.server.kit import Running, png

from consentry.people.consent import ConsentRecord
from consentry.people.declaration import declare
from consentry.people.receipts import VerifiedReceipt, verify_receipt
from consentry.people.roster import list_people

JSON = {"Content-Type": "application/json"}


def _genuine(server: Running, receipt: Any) -> VerifiedReceipt:
    return verify_receipt(json.dumps(receipt).encode(), str(server.site.ledger.verifier))


def _enrol(owner: httpx.Client, photo: bytes, **fields: str) -> httpx.Response:
    form = {"name": "Anna Example", "consent": consent().model_dump_json(), **fields}
    return owner.post("/api/v1/people", data=form, files=[("photo", ("a.png", photo))])


def _post(owner: httpx.Client, path: str, record: ConsentRecord) -> httpx.Response:
    return owner.post(f"/api/v1{path}", content=record.model_dump_json(), headers=JSON)


def test_a_person_from_receipt_to_the_last_withdrawal(own_server: Running) -> None:
    declare(own_server.site, declaration(PURPOSE, "canteen"), actor="tester")
    with own_server.owner() as owner:
        made = _enrol(owner, png(1)).json()
        person_id = made["person_id"]
        body = _genuine(own_server, made["receipt"]).body
        assert (body.kind, body.personal_link) == ("consent", made["link"])

        added = _post(owner, f"/people/{person_id}/consents", consent(purpose="canteen"))
        assert added.status_code == 201, added.text
        receipts = owner.get(f"/api/v1/people/{person_id}/receipts").json()
        assert receipts == [added.json()["receipt"], made["receipt"]]
        shown = owner.get(f"/api/v1/people/{person_id}").json()
        assert {one["id"] for one in shown["consents"]} == {made["consent_id"], added.json()["consent_id"]}
        assert shown["expires"] == "2027-04-25T08:00:00.000Z"
        assert (shown["photos_refused"], shown["last_seen"]) == (None, "2027-01-15T08:00:00.000Z")

        more = owner.post(f"/api/v1/people/{person_id}/photos", files=[("photo", ("b.png", png(1, 1)))])
        assert (more.status_code, more.json()["photos"]) == (201, [{"photo": "photo 1", "quality": 0.8}])

        first = owner.delete(f"/api/v1/people/{person_id}/consents/{made['consent_id']}")
        assert (first.status_code, first.json()["erased"]) == (200, None)
        assert _genuine(own_server, first.json()["receipt"]).body.kind == "withdrawal"
        again = owner.delete(f"/api/v1/people/{person_id}/consents/{made['consent_id']}")
        assert again.json()["type"] == "urn:consentry:problem:consent-invalid"
        last = owner.delete(f"/api/v1/people/{person_id}/consents/{added.json()['consent_id']}").json()
        assert last["erased"]["templates"] == 2
        assert _genuine(own_server, last["erased"]["receipt"]).body.kind == "erasure"
        assert owner.get("/api/v1/people").json() == []
        assert owner.get(f"/api/v1/people/{person_id}/receipts").status_code == 404


def test_a_withdrawal_is_answered_with_its_proof(own_server: Running) -> None:
    with own_server.owner() as owner:
        person_id = _enrol(owner, png(1)).json()["person_id"]
        gone = owner.delete(f"/api/v1/people/{person_id}").json()
        body = _genuine(own_server, gone["receipt"]).body
    assert body.erasure is not None
    assert (body.erasure.pii_principal_id, body.erasure.templates) == (person_id, 1)


def test_refused_photos_keep_the_person_only_if_asked(own_server: Running) -> None:
    with own_server.owner() as owner:
        assert _enrol(owner, png(1, 0, 9)).status_code == 422
        assert _enrol(owner, png(1, 0, 9), keep_refused="false").status_code == 422
        assert owner.get("/api/v1/people").json() == []
        kept = _enrol(owner, png(1, 0, 9), keep_refused="true")
        assert (kept.status_code, kept.json()["type"]) == (422, "urn:consentry:problem:poor-quality")
        (person,) = owner.get("/api/v1/people").json()
        assert (person["photos"], person["templates"]) == (0, 0)
        assert person["photos_refused"] == "photo 1: face is 20 px wide, 64 needed"
        assert f"as person {person['id']}" in kept.json()["mend"]
        (receipt,) = owner.get(f"/api/v1/people/{person['id']}/receipts").json()
        assert receipt["receipt"]["personal_link"] in kept.json()["mend"]
        better = owner.post(f"/api/v1/people/{person['id']}/photos", files=[("photo", ("b.png", png(1)))])
        assert better.status_code == 201
        assert owner.get(f"/api/v1/people/{person['id']}").json()["photos_refused"] is None


def test_a_refusal_keeps_nobody(own_server: Running) -> None:
    refusal = consent().model_copy(update={"state": "refused"})
    with own_server.owner() as owner:
        answer = _post(owner, "/refusals", refusal)
        assert answer.status_code == 201, answer.text
        assert _genuine(own_server, answer.json()["receipt"]).body.kind == "refusal"
        assert owner.get("/api/v1/people").json() == []
    assert ("consent.refused", own_server.owner_actor) in own_server.events()


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("/refusals", consent()),
        ("/refusals", consent().model_copy(update={"state": "refused", "is_demo": True})),
        ("/people/{id}/consents", consent(purpose="marketing")),
        ("/people/{id}/consents", consent().model_copy(update={"is_demo": True})),
        ("/people/{id}/consents", consent(start=START - timedelta(days=300))),
    ],
)
def test_records_that_are_not_taken(own_server: Running, path: str, record: ConsentRecord) -> None:
    with own_server.owner() as owner:
        person_id = _enrol(owner, png(1)).json()["person_id"]
        before = own_server.events()
        answer = _post(owner, path.replace("{id}", person_id), record)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:consentry:problem:consent-invalid")
        assert own_server.events() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/people/none/consents"),
        ("DELETE", "/people/none/consents/none"),
        ("GET", "/people/none/receipts"),
    ],
)
def test_nobody(own_server: Running, method: str, path: str) -> None:
    with own_server.owner() as owner:
        content = consent().model_dump_json() if method == "POST" else None
        answer = owner.request(method, f"/api/v1{path}", content=content, headers=JSON)
        assert answer.json()["type"] == "urn:consentry:problem:not-found"
    with own_server.client() as stranger:
        assert stranger.request(method, f"/api/v1{path}", content=content, headers=JSON).status_code == 401


def test_the_hub_runs_the_engine_of_retention(own_server: Running) -> None:
    enrolled(own_server.site, 1, "Anna Example", consent(days=50))
    own_server.clock.advance(50 * 86_400)
    never = threading.Event()
    for _ in range(500):  # the hub looks every half second
        if not list_people(own_server.site):
            break
        never.wait(0.02)
    assert own_server.events()[-2:] == [("consent.expired", "consentry"), ("person.withdrawn", "consentry")]
