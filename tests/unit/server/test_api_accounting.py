"""Notice, impact assessment and requests over the API."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from tests.unit.people.kit import ACTOR, declaration
from tests.unit.server.kit import Running

from consentry.people.declaration import declare


def test_the_notice_as_pdf_and_svg_is_logged(server: Running) -> None:
    with server.owner() as owner:
        pdf = owner.get("/api/v1/notice.pdf")
        assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
        assert pdf.content.startswith(b"%PDF-")
        svg = owner.get("/api/v1/notice.svg")
        assert svg.headers["content-type"] == "image/svg+xml"
        assert "attachment" in svg.headers["content-disposition"]  # never opened as a page of this server
        assert svg.content.startswith(b"<svg")
        assert owner.get("/api/v1/notice.svg", params={"camera": "none"}).status_code == 404
    assert server.events().count(("notice.printed", server.owner_actor)) == 2
    with server.client() as nobody:
        assert nobody.get("/api/v1/notice.pdf").status_code == 401


def test_without_a_declaration_there_is_no_notice(undeclared_server: Running) -> None:
    with undeclared_server.owner() as owner:
        assert owner.get("/api/v1/notice.pdf").status_code == 403


def test_an_assessment_is_signed_off_and_drifts(own_server: Running) -> None:
    document_sha256 = hashlib.sha256(b"the assessment").hexdigest()
    with own_server.owner() as owner:
        assert owner.get("/api/v1/dpia").json()["signed"] is None
        assert owner.post("/api/v1/dpia/sign-off", json={"document_sha256": "x"}).status_code == 422
        signed = owner.post("/api/v1/dpia/sign-off", json={"document_sha256": document_sha256})
        assert signed.status_code == 201
        assert signed.json()["document_sha256"] == document_sha256
        assert (signed.json()["actor"], signed.json()["drift"]) == (own_server.owner_actor, [])
        due = own_server.site.today() + timedelta(days=100)
        declare(own_server.site, declaration("canteen", review_due_on=due), actor=ACTOR)
        assert owner.get("/api/v1/dpia").json()["drift"] == ["declaration.purposes"]
    assert ("dpia.signed", own_server.owner_actor) in own_server.events()


def test_a_request_is_counted(own_server: Running) -> None:
    with own_server.owner() as owner:
        assert owner.post("/api/v1/requests", json={"kind": "authority"}).json() == {"id": 1}
        assert owner.post("/api/v1/requests", json={"kind": "gossip"}).status_code == 422
    with own_server.client() as nobody:
        assert nobody.post("/api/v1/requests", json={"kind": "authority"}).status_code == 401
        stated = nobody.get("/api/v1/transparency").json()
    assert stated["requests"]["authority"] == {"open": 1, "done": 0, "refused": 0}
