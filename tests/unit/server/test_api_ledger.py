"""The ledger over HTTP: entries and proofs for who signs in, hashes for anyone."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, enrolled
from tests.unit.server.kit import Running

from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note
from consentry.ledger.proof import parse_proof, verify_proof
from consentry.ledger.tiles import TiledTree
from consentry.people.roster import show_person


def test_entries_tell_who_did_what_but_no_person(server: Running) -> None:
    person_id = enrolled(server.site, 1, "Ada Example").person_id
    show_person(server.site, person_id, actor=ACTOR)
    with server.owner() as owner:
        entries = owner.get("/api/v1/ledger/entries").json()
        assert [entry["seq"] for entry in entries] == list(range(len(entries)))
        assert {"seq", "time", "event", "actor", "about", "payload", "leaf"} == set(entries[0])
        assert person_id not in str(entries)
        viewed = owner.get("/api/v1/ledger/entries", params={"event": "person.viewed"}).json()
        assert [(entry["actor"], entry["payload"]) for entry in viewed] == [(ACTOR, {})]
        about = owner.get("/api/v1/ledger/entries", params={"about": viewed[0]["about"]}).json()
        assert [entry["event"] for entry in about] == ["person.enrolled", "person.viewed"]
        later = owner.get("/api/v1/ledger/entries", params={"after": 1, "limit": 2}).json()
        assert [entry["seq"] for entry in later] == [2, 3]
    assert [event for event, _ in server.events()].count("view.opened") == 1  # looking is logged, once
    with server.site.write() as session:
        session.execute(text("DELETE FROM ledger_payload WHERE seq = 0"))
    with server.owner() as owner:
        assert owner.get("/api/v1/ledger/entries").json()[0]["payload"] is None


@pytest.mark.parametrize(
    "query",
    [{"after": -2}, {"limit": 0}, {"limit": 1001}, {"event": "no.such"}, {"about": "Ada"}, {"after": 2**70}],
)
def test_questions_without_sense(server: Running, query: dict[str, str]) -> None:
    with server.owner() as owner:
        assert owner.get("/api/v1/ledger/entries", params=query).status_code == 422


def test_a_proof_is_checked_without_the_server(server: Running) -> None:
    with server.owner() as owner:
        entry = owner.get("/api/v1/ledger/entries", params={"limit": 1}).json()[0]
        key = VerifierKey.parse(owner.get("/api/v1/ledger/checkpoint").json()["verifier_key"])
        answer = owner.get("/api/v1/ledger/entries/0/proof")
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert verify_proof(parse_proof(answer.text), entry["leaf"].encode(), key).size >= 1
        assert owner.get("/api/v1/ledger/entries/100000/proof").status_code == 404
        assert owner.get("/api/v1/ledger/entries/-1/proof").status_code == 422


def test_anyone_can_follow_the_log_by_its_hashes(server: Running) -> None:
    with server.client() as client:
        answer = client.get("/ledger/checkpoint")
        assert answer.headers["Content-Type"].startswith("text/plain")
        head = Checkpoint.parse(open_note(answer.text, server.site.ledger.verifier))

        def fetch(level: int, index: int) -> bytes:
            tile = client.get(f"/ledger/tile/{level}/{index:03}.p/{head.size}")
            assert tile.headers["Content-Type"] == "application/octet-stream"
            return tile.content

        assert TiledTree(head.size, fetch).root() == head.root


@pytest.mark.parametrize(
    "path",
    [
        "0/000",  # not full yet
        "0/000.p/255",
        "0/001.p/1",
        "1/000.p/1",
        "64/000.p/1",
        "00/000.p/1",
        "-1/000.p/1",
        "0/../../api/v1/people",
        "entries/000.p/1",  # who did what is not for anyone
        "0/%2e%2e/000.p/1",
        "9" * 5000 + "/000",
    ],
)
def test_tiles_that_are_not_there(server: Running, path: str) -> None:
    with server.client() as client:
        answer = client.send(
            httpx.Request("GET", f"{server.address}/ledger/tile/{path}", headers=client.headers)
        )
        assert answer.status_code in (404, 401), answer.text
        assert server.site.ledger.origin not in answer.text
