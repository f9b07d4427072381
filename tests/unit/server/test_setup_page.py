"""The page on which the owner declares: all problems beside their fields, nothing that was typed is lost."""

from __future__ import annotations

import html
import re

import httpx
from tests.unit.server.kit import Running

from consentry.people.declaration import ACCEPTABLE_USE, current_declaration, declare_demo, require_declared

FILLED = {
    "purposes": "entrance\r\n\r\ncanteen till\r\n",
    "controller": "Example Ltd, 1 Example Street",
    "contact": "privacy@example.org",
    "legal_basis": "Explicit consent, GDPR Art. 9(2)(a)",
    "notice.text": "A camera here recognises people.\r\nEveryone else is hidden.",
    "notice.posted_at": "at the door",
    "review_due_on": "2027-12-31",
    "acceptable_use_accepted": "yes",
}


def _post(running: Running, **changes: str) -> httpx.Response:
    with running.owner() as owner:
        return owner.post("/setup", data={key: value for key, value in (FILLED | changes).items() if value})


def test_an_owner_declares_and_1_to_n_is_on(own_undeclared_server: Running) -> None:
    it = own_undeclared_server
    with it.owner() as owner:
        page = owner.get("/setup")
        assert page.status_code == 200
        assert "Only 1:1 verification works now" in page.text
        assert html.escape(ACCEPTABLE_USE) in page.text
        assert 'value="2028-01-15"' in page.text  # a review in a year is proposed
        assert "checked" not in page.text
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
    answer = _post(it)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    now = require_declared(it.site).declaration
    assert now.purposes == ("entrance", "canteen till")
    assert now.notice.text == "A camera here recognises people.\nEveryone else is hidden."
    assert ("site.declared", it.owner_actor) in it.events()
    with it.owner() as owner:  # a review starts from what is declared, but is accepted anew
        again = owner.get("/setup").text
        assert "entrance\ncanteen till</textarea>" in again
        assert "checked" not in again


def test_every_problem_is_beside_its_field_and_nothing_typed_is_lost(own_undeclared_server: Running) -> None:
    typed = '"><script>alert(1)</script>'
    answer = _post(
        own_undeclared_server,
        purposes="verification",
        controller="",
        contact=typed,
        review_due_on="soon",
        acceptable_use_accepted="",
        **{"notice.text": ""},
    )
    assert answer.status_code == 422
    problems = {
        name: html.unescape(said)
        for name, said in re.findall(r'<p class="bad" id="([\w.]+)-bad">(.*?)</p>', answer.text)
    }
    assert problems == {
        "purposes": "“verification” is 1:1 and needs no declaration",
        "controller": "is empty",
        "notice.text": "is empty",
        "review_due_on": "must be a day such as 2027-06-30",
        "acceptable_use_accepted": "must be accepted",
    }
    assert "5 fields need another look" in answer.text
    assert answer.text.count('aria-invalid="true"') == 5
    assert typed not in answer.text
    assert html.escape(typed) in answer.text
    assert "Explicit consent, GDPR Art. 9(2)(a)" in answer.text
    assert current_declaration(own_undeclared_server.site) is None
    both = _post(own_undeclared_server, purposes="demo", contact="", review_due_on="2020-01-01")
    assert "3 fields need another look" in both.text
    assert "2020-01-01 is not within the next three years" in both.text
    assert "is for demos only" in both.text


def test_a_day_too_far_is_said_at_its_field(own_undeclared_server: Running) -> None:
    answer = _post(own_undeclared_server, review_due_on="2040-01-01")
    assert answer.status_code == 422
    assert 'id="review_due_on-bad">2040-01-01 is not within the next three years' in answer.text
    assert 'name="acceptable_use_accepted" value="yes" checked' in answer.text


def test_a_demo_stays_a_demo(own_undeclared_server: Running) -> None:
    declare_demo(own_undeclared_server.site, actor="test")
    with own_undeclared_server.owner() as owner:
        page = owner.get("/setup")
        assert "stays one" in page.text
        assert "<form" not in page.text
    assert _post(own_undeclared_server).status_code == 400


def test_the_api_says_what_is_wrong_with_each_field(own_undeclared_server: Running) -> None:
    document = {
        "schema_version": "consentry-declaration-1",
        "purposes": ["entrance"],
        "controller": "Example Ltd",
        "contact": "privacy@example.org",
        "legal_basis": "consent",
        "notice": {"text": "Cameras.", "posted_at": "door"},
        "review_due_on": "2027-12-31",
        "acceptable_use_accepted": True,
    }
    with own_undeclared_server.owner() as owner:
        wrong = document | {"purposes": [], "contact": 5, "watch_list": [], "acceptable_use_accepted": False}
        refused = owner.put("/api/v1/declaration", json=wrong)
        assert refused.status_code == 422
        assert set(refused.json()["fields"]) == {
            "purposes",
            "contact",
            "watch_list",
            "acceptable_use_accepted",
        }
        assert owner.put("/api/v1/declaration", content=b"{not json").status_code == 422
        assert current_declaration(own_undeclared_server.site) is None
        accepted = owner.put("/api/v1/declaration", json=document)
        assert (accepted.status_code, accepted.json()["in_force"]) == (200, True)
        late = owner.put("/api/v1/declaration", json=document | {"review_due_on": "2020-01-01"})
        assert late.json()["fields"] == {"review_due_on": "2020-01-01 is not within the next three years"}
    with own_undeclared_server.client() as nobody:
        assert nobody.put("/api/v1/declaration", json=document).status_code == 401
        assert nobody.get("/setup").status_code == 401
