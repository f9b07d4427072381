"""Every error of the API has one body, the framework's own errors too (RFC 9457)."""

from __future__ import annotations

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.unit.server.kit import Running

from consentry.server.problems import MEDIA_TYPE

MEMBERS = {"type", "title", "status", "detail", "mend", "instance"}


def _is_problem(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert set(body) == MEMBERS
    assert body["type"] == f"urn:consentry:problem:{kind}"
    assert body["status"] == status
    assert body["title"].lower().replace(" ", "-") == kind
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/api/v1/no-such-thing", 404, "not-found"),
        ("GET", "/api/v1/people/00000000000000000000000000000000", 404, "not-found"),
        ("GET", "/api/v1/cameras/none/live.jpg", 404, "not-found"),
        ("PUT", "/api/v1/people", 405, "method-not-allowed"),
        ("GET", "/api/v1/sightings?limit=0", 422, "invalid-request"),
        ("GET", "/api/v1/sightings?limit=many", 422, "invalid-request"),
        ("POST", "/api/v1/people", 400, "usage-error"),
        ("POST", "/api/v1/verify", 400, "usage-error"),
    ],
)
def test_each_error_is_a_problem(server: Running, method: str, path: str, status: int, kind: str) -> None:
    with server.owner() as owner:
        _is_problem(owner.request(method, path), status, kind)


def test_no_session_is_a_problem(server: Running) -> None:
    with server.client() as client:
        answer = client.get("/api/v1/people")
    _is_problem(answer, 401, "unauthorised")
    assert "www-authenticate" in answer.headers


def test_wrong_method_says_which_are_allowed(server: Running) -> None:
    with server.owner() as owner:
        assert "GET" in owner.delete("/api/v1/people").headers["allow"]


def test_no_declaration_is_a_problem(undeclared_server: Running) -> None:
    with undeclared_server.owner() as owner:
        answer = owner.post("/api/v1/identify", files={"photo": ("a.jpg", b"x")})
    _is_problem(answer, 403, "not-declared")


def test_a_form_that_is_none_is_a_problem(server: Running) -> None:
    head = {"Content-Type": "multipart/form-data; boundary=a"}
    with server.owner() as owner:
        _is_problem(owner.post("/api/v1/verify", content=b"nonsense", headers=head), 400, "usage-error")


def test_validation_never_repeats_what_was_sent(server: Running) -> None:
    with server.client() as client:
        answer = client.post("/api/v1/session", json={"name": "owner", "password": {"secret": "hunter2"}})
    _is_problem(answer, 422, "invalid-request")
    assert "hunter2" not in answer.text
    assert "password" in answer.json()["detail"]


def test_a_fault_of_the_program_is_a_problem_that_tells_nothing(
    server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise KeyError("a secret")

    # before a route that is there: the guard lets nobody to an address that its table does not know
    server.api.router.routes.insert(0, APIRoute("/declaration", fail))
    with server.owner() as owner:
        answer = owner.get("/api/v1/declaration")
    del server.api.router.routes[0]
    _is_problem(answer, 500, "internal-fault")
    assert "secret" not in answer.text
    assert "request_crashed" in capfd.readouterr().out


def test_too_large_and_unbounded_bodies_are_refused(server: Running) -> None:
    with server.client() as client:
        long = client.post("/api/v1/session", content=b"x" * 20_000)
        _is_problem(long, 413, "too-large")
        endless = client.post("/api/v1/session", content=iter([b"{}"]))
        _is_problem(endless, 411, "length-missing")
