"""Everything is closed unless the table opens it: API, pages, static files, websockets."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from nicegui import core
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from tests.unit.server.kit import OWN, Running, running, served
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from consentry.config import Role
from consentry.console.mount import mount_console
from consentry.server.access import ACCESS, OPEN, WEBSOCKET, row_for
from consentry.server.accounts import change_role, remove_user, set_disabled
from consentry.server.guard import COOKIE, SOCKET_CHECK_S
from consentry.server.problems import MEDIA_TYPE
from consentry.server.services import Services

ENDS_THE_SESSION = {"DELETE /api/v1/session", "POST /logout"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with its pages, which NiceGUI can only add to one application of a process."""
    with running(tmp_path_factory.mktemp("whole"), declared=True, prepare=mount_console) as it:
        with it.client() as client:
            client.get("/api/v1/health")  # answered once NiceGUI has added its last routes
        yield it


@dataclass(frozen=True)
class Walked:
    """A route as the application has it: its template, and its methods."""

    template: str
    methods: frozenset[str]

    @property
    def path(self) -> str:
        """An address it answers, with made-up values for its parameters."""
        return re.sub(r"\{[^}]*\}", "x", self.template)


def _walk(routes: list[BaseRoute], prefix: str = "") -> Iterator[Walked]:
    """Every route there is, whoever added it."""
    for route in routes:
        if isinstance(route, Mount):
            inner = list(route.routes)
            if inner:
                yield from _walk(inner, prefix + route.path)
            else:  # an application that does not say what it answers: files, or a websocket
                methods = {"GET"} if isinstance(route.app, StaticFiles) else {"GET", "POST", WEBSOCKET}
                yield Walked(f"{prefix}{route.path}/{{path:path}}", frozenset(methods))
        elif isinstance(route, (Route, APIRoute)):
            yield Walked(prefix + route.path, frozenset(route.methods or {"GET"}))
        elif hasattr(route, "original_router"):
            yield from _walk(list(route.original_router.routes), prefix)
        else:
            raise AssertionError(f"a route of a kind this test does not know: {route!r}")


def _walked(app: FastAPI) -> list[Walked]:
    return list(_walk(list(app.routes)))


def test_the_walk_sees_api_pages_files_and_websocket(whole: Running) -> None:
    templates = {route.template for route in _walked(whole.app)}
    assert {"/", "/login", "/api/v1/people", "/api/v1/openapi.json", "/console/live.js"} <= templates
    assert "/_nicegui_ws/{path:path}" in templates
    assert any(template.endswith("/static/{path:path}") for template in templates)
    assert core.app in [route.app for route in whole.app.routes if isinstance(route, Mount)]


def test_every_route_has_its_row_and_every_row_its_route(whole: Running) -> None:
    used = set()
    for route in _walked(whole.app):
        for method in route.methods - {"HEAD"}:
            row = row_for(method, route.path)
            assert row is not None, (method, route.template)
            used.add(row)
            if not route.template.startswith(("/_nicegui", "/console/")):
                assert row == f"{method} {route.template}", "another row decides about this route"
    assert used == set(ACCESS)


@pytest.mark.parametrize("role", [None, *get_args(Role)])
def test_each_role_may_do_exactly_what_the_table_says(whole: Running, role: Role | None) -> None:
    with whole.client() if role is None else whole.as_role(role) as client:
        for route, method in itertools.product(_walked(whole.app), METHODS):
            row = row_for(method, route.path)
            allowed = ACCESS.get(row or "")
            if role is not None and row in ENDS_THE_SESSION:
                continue
            answer = client.request(method, route.path)
            if allowed == OPEN:
                assert answer.status_code != 401, (method, route)
            elif role is None:
                assert answer.status_code == 401, (method, route)
            elif allowed is None:
                assert answer.status_code == 405, (method, route)
                assert answer.headers["allow"], (method, route)
            elif role not in allowed:
                assert answer.status_code == 403, (method, route)
                assert answer.headers["content-type"] == MEDIA_TYPE
            else:
                assert answer.status_code != 401, (method, route)
                assert "the role" not in answer.text, (method, route)


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api/v1",
        "/api/v1/",
        "/api/v1/people/",
        "/api/v1//people",
        "/api/v1/people%0a",
        "/API/v1/me",
    ],
)
def test_what_is_not_in_the_table_is_closed_to_everybody(whole: Running, path: str) -> None:
    with whole.client() as client:
        assert client.get(path).status_code == 401
    with whole.owner() as owner:
        answer = owner.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:consentry:problem:not-found")


def test_a_newline_never_makes_router_and_table_mean_different_routes() -> None:
    for row in ACCESS:
        method, template = row.split(" ", 1)
        for control in "\n\r\t\x00\x7f":
            assert row_for(method, re.sub(r"\{[^}]*\}", "x", template) + control) is None


def test_a_route_without_a_row_is_closed_to_the_owner_too(tmp_path: Path) -> None:
    def forgotten(app: FastAPI, _services: Services) -> None:
        @app.get("/forgotten")
        def answer() -> str:
            return "secret"

    with running(tmp_path, prepare=forgotten) as it, it.owner() as owner:
        answer = owner.get("/forgotten")
    assert (answer.status_code, "secret" in answer.text) == (404, False)


def test_head_counts_as_get(whole: Running) -> None:
    assert row_for("HEAD", "/api/v1/people") == "GET /api/v1/people"
    with whole.as_role("viewer") as viewer:
        assert viewer.head("/api/v1/people").status_code == 403


def test_an_auditor_gets_a_page_without_pictures_and_names(own_server: Running) -> None:
    with own_server.as_role("auditor") as auditor:
        sent = auditor.get("/", headers={"Accept": "text/html"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/audit")
        for path in ("/api/v1/people", "/api/v1/sightings", "/api/v1/cameras/door/live.jpg"):
            assert auditor.get(path).status_code == 403


def test_routes_of_the_api_ask_for_the_session_themselves_too(whole: Running) -> None:
    """Should somebody open the guard for an address by mistake, the route still refuses."""
    api = whole.api
    with served(api) as address, httpx.Client(base_url=address, headers=OWN) as client:
        for route in _walk(list(api.routes)):
            for method in route.methods - {"HEAD"}:
                row = row_for(method, f"/api/v1{route.path}")
                if route.path != "/openapi.json" and row and ACCESS[row] != OPEN:
                    assert client.request(method, route.path).status_code == 401, (method, route)


def test_websocket_needs_a_session(whole: Running) -> None:
    address = whole.address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass
    assert refused.value.response.status_code == 403
    token = whole.session()
    with connect(address, additional_headers={"Cookie": f"{COOKIE}={token}"}) as open_socket:
        assert str(open_socket.recv()).startswith("0")  # engine.io's greeting


@pytest.mark.parametrize("how", ["signed out", "disabled", "role", "removed"])
def test_an_open_websocket_ends_with_its_session(whole: Running, how: str) -> None:
    user = whole.user("viewer", f"viewer who was {how}")
    token = whole.session(user)
    address = whole.address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with connect(address, additional_headers={"Cookie": f"{COOKIE}={token}"}) as socket:
        assert str(socket.recv()).startswith("0")
        if how == "signed out":
            whole.services.sessions.close(token)
        elif how == "disabled":
            set_disabled(whole.site, user.id, True, actor="test")
        elif how == "role":
            change_role(whole.site, user.id, "auditor", actor="test")
        else:
            remove_user(whole.site, user.id, actor="test")
        whole.clock.advance(SOCKET_CHECK_S)
        socket.send("40")  # asks to join: whatever comes back, it is not let in
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_websocket_from_another_site_is_refused_in_spite_of_a_session(whole: Running) -> None:
    address = whole.address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    head = {"Cookie": f"{COOKIE}={whole.session()}"}
    with (
        pytest.raises(InvalidStatus),
        connect(address, additional_headers=head, origin=Origin("http://evil.test")),
    ):
        pass


def test_a_browser_without_a_session_is_sent_to_the_form(whole: Running) -> None:
    with whole.client() as client:
        answer = client.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "ü", '"; broken'])
def test_made_up_tokens_are_nobody(whole: Running, token: str) -> None:
    with whole.client() as client:
        answer = client.get("/api/v1/me", headers=[(b"cookie", f"{COOKIE}={token}".encode())])
    assert answer.status_code == 401


def test_a_change_must_show_that_no_other_site_made_it(whole: Running) -> None:
    with whole.owner() as owner:
        del owner.headers["X-Consentry"]
        bare = owner.delete("/api/v1/people/00000000000000000000000000000000")
        assert bare.status_code == 403
        foreign = owner.delete(
            "/api/v1/people/00000000000000000000000000000000",
            headers={"Origin": "https://evil.test", **OWN},
        )
        assert foreign.status_code == 403
        hidden = owner.post("/logout", headers={"Origin": "null"})
        assert hidden.status_code == 403
        same = owner.delete(
            "/api/v1/people/00000000000000000000000000000000", headers={"Origin": whole.address}
        )
        assert same.status_code == 404
        assert owner.get("/api/v1/me").status_code == 200


def test_another_sites_page_may_not_even_read(whole: Running) -> None:
    with whole.owner() as owner:
        answer = owner.get("/api/v1/people", headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_has_the_security_headers(whole: Running) -> None:
    with whole.owner() as owner:
        answers = [
            owner.get(path) for path in ("/", "/login", "/api/v1/people", "/nowhere", "/console/live.js")
        ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "http:" not in policy
        assert "https:" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "script-src" not in answers[1].headers["content-security-policy"]


def test_openapi_is_only_for_those_signed_in_and_names_every_closed_route(whole: Running) -> None:
    with whole.client() as client:
        assert client.get("/api/v1/openapi.json").status_code == 401
    with whole.owner() as owner:
        document = owner.get("/api/v1/openapi.json").json()
        assert owner.get("/api/v1/docs").status_code == 404
    assert document["info"]["title"] == "Consentry"
    assert "/people/{person_id}" in document["paths"]


def test_errors_outside_the_api_are_problems_too_or_a_page_for_people(whole: Running) -> None:
    with whole.owner() as owner:
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("GET", "/api/v2/people", 404),
            ("GET", "/_nicegui/nothing", 404),
            ("POST", "/", 405),
            ("PUT", "/login", 405),
        ):
            answer = owner.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), path
            assert set(answer.json()) == {"type", "title", "status", "detail", "mend", "instance"}
        page = owner.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Go to the live page" in page.text
