"""Everything is closed unless it is in `OPEN`: API, pages, static files, websockets."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from nicegui import core
from starlette.routing import BaseRoute, Mount, Route
from tests.unit.server.kit import OWN, Running, running, served
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from consentry.console.mount import mount_console
from consentry.server.guard import COOKIE, OPEN, is_open
from consentry.server.problems import MEDIA_TYPE

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with its pages, which NiceGUI can only add to one application of a process."""
    with running(tmp_path_factory.mktemp("whole"), declared=True, prepare=mount_console) as it:
        yield it


def _paths(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Every address the routes answer, with made-up values for its parameters, and its methods."""
    for route in routes:
        if isinstance(route, Mount):
            yield f"{prefix}{route.path}/anything", frozenset({"GET"})
            yield from _paths(list(route.routes), prefix + route.path)
        elif isinstance(route, (Route, APIRoute)):
            path = route.path
            while "{" in path:
                start, end = path.index("{"), path.index("}")
                path = path[:start] + "x" + path[end + 1 :]
            yield prefix + path, frozenset(route.methods or {"GET"})
        elif hasattr(route, "original_router"):
            yield from _paths(list(route.original_router.routes), prefix)
        else:
            raise AssertionError(f"a route of a kind this test does not know: {route!r}")


def _all_paths(app: FastAPI) -> set[str]:
    return {path for path, _methods in _paths(list(app.routes))}


def test_the_walk_sees_api_pages_files_and_websocket(whole: Running) -> None:
    paths = _all_paths(whole.app)
    assert {"/", "/login", "/api/v1/people", "/api/v1/openapi.json", "/console/live.js"} <= paths
    assert any(path.startswith("/_nicegui_ws") for path in paths)
    assert any(path.startswith("/_nicegui/") for path in paths)
    assert core.app in [route.app for route in whole.app.routes if isinstance(route, Mount)]


def test_every_route_is_closed_unless_listed(whole: Running) -> None:
    with whole.client() as client:
        for path in sorted(_all_paths(whole.app)):
            for method in METHODS:
                answer = client.request(method, path)
                if is_open(method, path):
                    assert answer.status_code != 401, (method, path)
                else:
                    assert answer.status_code == 401, (method, path)


def test_what_is_open_exists(whole: Running) -> None:
    with whole.client() as client:
        for method, path in OPEN:
            answer = client.request(method, path.replace("{number}", "1"))
            if path.startswith("/my"):  # without a link one page answers for all of them
                assert "This link leads nowhere" in answer.text, (method, path)
            else:
                assert answer.status_code in (200, 403, 400, 422), (method, path)


def test_routes_of_the_api_ask_for_the_session_themselves_too(whole: Running) -> None:
    """Should somebody open the guard for an address by mistake, the route still refuses."""
    api = whole.api
    with served(api) as address, httpx.Client(base_url=address, headers=OWN) as client:
        for path, methods in _paths(list(api.routes)):
            for method in methods - {"HEAD"}:
                if path != "/openapi.json" and (method, f"/api/v1{path}") not in OPEN:
                    assert client.request(method, path).status_code == 401, (method, path)


def test_websocket_needs_a_session(whole: Running) -> None:
    address = whole.address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass
    assert refused.value.response.status_code == 403
    token = whole.services.sessions.open("owner")
    with connect(address, additional_headers={"Cookie": f"{COOKIE}={token}"}) as open_socket:
        assert str(open_socket.recv()).startswith("0")  # engine.io's greeting


def test_websocket_from_another_site_is_refused_in_spite_of_a_session(whole: Running) -> None:
    address = whole.address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    head = {"Cookie": f"{COOKIE}={whole.services.sessions.open('owner')}"}
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
            ("PUT", "/login", 404),
        ):
            answer = owner.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), path
            assert set(answer.json()) == {"type", "title", "status", "detail", "mend", "instance"}
        page = owner.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Go to the live page" in page.text
