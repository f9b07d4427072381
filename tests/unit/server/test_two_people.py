"""Two people over the API: approvals, blind confirmations, and no consequential action before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.unit.notify.test_webhook import SECRET, Receiver, listening
from tests.unit.people.kit import enrolled, sighting
from tests.unit.people.test_approvals import PAYLOADS
from tests.unit.server.kit import Running, running

from consentry.config import Redaction, Settings
from consentry.people.erase import withdraw
from consentry.people.sightings import record
from consentry.pipeline.messages import SightingMade


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Running, Receiver, Receiver]]:
    """A server that tells one receiver of every known sighting, and another, consequential one."""
    plain, consequential = Receiver(), Receiver()
    with listening(plain) as plain_url, listening(consequential) as other_url:
        settings = Settings.model_validate(
            {
                "notify": {
                    "webhooks": [
                        {"url": plain_url, "secret": SECRET},
                        {"url": other_url, "secret": SECRET, "consequential": True},
                    ]
                }
            }
        )
        with running(tmp_path, declared=True, settings=settings) as it:
            yield it, plain, consequential


def _known(server: Running) -> tuple[int, str]:
    """The hub records a sighting of someone enrolled; its number, and the person's id."""
    person_id = enrolled(server.site, 1, "Anna Example").person_id
    known = sighting(decision="known", person_id=person_id, score_cosine=0.7)
    server.services.hub._take(SightingMade(known))
    with server.site.read() as session:
        found = session.connection().exec_driver_sql("SELECT max(id) FROM sighting").scalar_one()
    return int(found), person_id


def _confirm(client: httpx.Client, sighting: int, answer: str) -> httpx.Response:
    return client.post(f"/api/v1/sightings/{sighting}/confirmations", json={"answer": answer})


def test_nothing_consequential_before_two_people_said_the_same(
    told: tuple[Running, Receiver, Receiver],
) -> None:
    server, plain, consequential = told
    sighting, person_id = _known(server)
    plain.wait_for(1)
    with (
        server.signed_in(server.user("operator", "a")) as a,
        server.signed_in(server.user("operator", "b")) as b,
        server.as_role("admin") as c,
    ):
        first = _confirm(a, sighting, "same")
        assert first.json() == {"sighting": sighting, "mine": "same", "others": [], "outcome": "waiting"}
        again = _confirm(a, sighting, "same")
        assert (again.status_code, again.json()["type"]) == (409, "urn:consentry:problem:approval-needed")
        assert consequential.got == []
        assert _confirm(b, sighting, "same").json()["outcome"] == "confirmed"
        consequential.wait_for(1)
        assert _confirm(c, sighting, "same").json()["others"] == ["same", "same"]
        assert c.get("/api/v1/actions").json()[1]["consequential"] is True
    assert len(consequential.got) == 1
    message = json.loads(consequential.got[0][1])
    assert (message["sighting"], message["person_id"], message["confirmations"]) == (sighting, person_id, 2)
    assert not {"name", "score", "picture"} & set(message)
    assert "Anna" not in str(plain.got) + str(consequential.got)
    with server.site.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT payload_json FROM ledger_payload JOIN ledger_entry USING (seq)"
            " WHERE event = 'action.taken'"
        )
        taken = [json.loads(text) for (text,) in rows]
    assert [one["consequential"] for one in taken] == [False, True]
    assert len(set(taken[1]["confirmed_by"])) == 2


@pytest.mark.parametrize("answers", [("same", "different", "same", "same"), ("different", "same", "same")])
def test_anyone_who_says_different_stops_it(
    told: tuple[Running, Receiver, Receiver], answers: tuple[str, ...]
) -> None:
    server, _plain, consequential = told
    sighting, _ = _known(server)
    for number, answer in enumerate(answers):
        with server.signed_in(server.user("operator", f"user {number}")) as client:
            last = _confirm(client, sighting, answer)
    assert last.json()["outcome"] == "contradicted"
    assert consequential.got == []
    assert server.services.actions.states()[1].delivered == 0


def test_the_second_one_learns_nothing_before_answering(own_server: Running) -> None:
    sighting, _ = _known(own_server)
    path = f"/api/v1/sightings/{sighting}/confirmations"
    with own_server.as_role("operator") as one, own_server.as_role("admin") as other:
        before = other.get(path).json()
        assert _confirm(one, sighting, "different").status_code == 201
        assert (
            other.get(path).json()
            == before
            == {
                "sighting": sighting,
                "mine": None,
                "others": None,
                "outcome": None,
            }
        )
        assert "different" not in other.get("/api/v1/sightings").text
        assert _confirm(other, sighting, "same").json()["others"] == ["different"]
        assert one.get(path).json()["others"] == ["same"]
    with own_server.site.read() as session:
        kept = session.connection().exec_driver_sql(
            "SELECT payload_json FROM ledger_payload JOIN ledger_entry USING (seq)"
            " WHERE event = 'sighting.confirmed'"
        )
        assert [set(json.loads(text)) for (text,) in kept] == [{"sighting"}] * 2


def test_only_known_sightings_of_people_who_are_still_there(own_server: Running) -> None:
    known, person_id = _known(own_server)
    unknown = record(own_server.site, sighting())
    with own_server.as_role("operator") as operator:
        assert _confirm(operator, unknown, "same").status_code == 400
        assert _confirm(operator, 999, "same").status_code == 404
        assert _confirm(operator, known, "maybe").status_code == 422
        withdraw(own_server.site, person_id, reason="asked", actor="t")
        assert _confirm(operator, known, "same").status_code == 400


def test_a_camera_that_is_not_listed_tells_nobody(tmp_path: Path) -> None:
    receiver = Receiver()
    with listening(receiver) as url:
        hook = {"url": url, "secret": SECRET, "cameras": ["back"]}
        settings = Settings.model_validate({"notify": {"webhooks": [hook]}})
        with running(tmp_path, declared=True, settings=settings) as server:
            _known(server)
            assert "action.taken" not in [event for event, _ in server.events()]
    assert receiver.got == []


def test_asking_agreeing_and_fetching_by_the_api(own_server: Running) -> None:
    with own_server.as_role("operator") as operator, own_server.owner() as owner:
        wanted = {"kind": "bulk.export", "payload": PAYLOADS["bulk.export"], "reason": "a request"}
        asked = operator.post("/api/v1/approvals", json=wanted)
        assert (asked.status_code, asked.json()["state"], asked.json()["is_mine"]) == (201, "open", True)
        path = f"/api/v1/approvals/{asked.json()['id']}"
        assert operator.post(f"{path}/result").status_code == 409
        assert operator.post(f"{path}/agree").status_code == 403
        assert owner.get("/api/v1/approvals").json()[0]["is_mine"] is False
        assert owner.post(f"{path}/agree").json()["state"] == "agreed"
        given = operator.post(f"{path}/result")
        assert (given.status_code, given.headers["content-type"]) == (200, "application/zip")
        assert operator.post(f"{path}/result").status_code == 409
        own = owner.post("/api/v1/approvals", json=wanted).json()
        same = owner.post(f"/api/v1/approvals/{own['id']}/agree")
        assert (same.status_code, same.json()["type"]) == (409, "urn:consentry:problem:approval-needed")
        assert owner.post(f"/api/v1/approvals/{own['id']}/refuse").json()["state"] == "refused"
        wrong = owner.post("/api/v1/approvals", json={**wanted, "payload": {}})
        assert wrong.status_code == 400


def test_old_payloads_of_the_ledger_go_once_two_people_agreed(own_server: Running) -> None:
    own_server.clock.advance(3600)
    before = datetime.fromtimestamp(own_server.clock.unix_s(), UTC).isoformat()
    wanted = {"kind": "ledger.delete_payloads", "payload": {"before": before}, "reason": "a year is over"}
    own_server.clock.advance(1)
    with own_server.owner() as owner, own_server.as_role("admin") as admin:
        own_server.clock.advance(1)
        path = f"/api/v1/approvals/{owner.post('/api/v1/approvals', json=wanted).json()['id']}"
        assert owner.post(f"{path}/result").status_code == 409
        assert admin.post(f"{path}/agree").json()["state"] == "agreed"
        assert admin.post(f"{path}/result").status_code == 409
        assert owner.post(f"{path}/result").json()["deleted"] > 0
        assert owner.post(f"{path}/result").status_code == 409
    assert own_server.events()[-1] == ("ledger.payloads_deleted", own_server.owner_actor)


def test_what_is_set_but_refused_is_told(tmp_path: Path) -> None:
    settings = Settings.model_construct(redaction=Redaction(style="blur"))
    with running(tmp_path, settings=settings) as server, server.owner() as owner:
        listed = {one["setting"]: one for one in owner.get("/api/v1/settings").json()}
        style = listed["redaction.style"]
        assert (style["used"], style["refused"], style["agreed"]) == ("solid", "blur", None)
        assert server.services.hub._settings.redaction.style == "solid"
        asked = owner.post(
            "/api/v1/approvals",
            json={"kind": "redaction.weaken", "payload": PAYLOADS["redaction.weaken"], "reason": "x"},
        ).json()
        with server.as_role("admin") as admin:
            late = admin.post(f"/api/v1/approvals/{asked['id']}/agree")
            assert late.json()["state"] == "done"
            listed = {one["setting"]: one for one in admin.get("/api/v1/settings").json()}
            assert listed["redaction.style"]["agreed"] == "blur"
            assert admin.delete("/api/v1/settings/redaction.style").status_code == 204
            assert admin.delete("/api/v1/settings/redaction.style").status_code == 404
