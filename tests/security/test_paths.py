"""No spelling of a path gets past the guard, and no answer of any kind comes without its headers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from tests.security.whole_server import PERSON
from tests.unit.server.kit import OWN
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from consentry.server.guard import COOKIE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Whole:
    """A server with its pages, in a process of its own: NiceGUI can serve one application in each.

    Attributes:
        address: Where it answers.
        owner: Token of a session of its owner.
        auditor: Token of a session of an auditor.
        viewer: Token of a session of a viewer.
        password: The owner's.
        data: Its data folder.
    """

    address: str
    owner: str
    auditor: str
    viewer: str
    password: str
    data: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """One server for all attacks, with somebody enrolled."""
    script = str(ROOT / "tests" / "security" / "whole_server.py")
    command = [sys.executable, script, str(tmp_path_factory.mktemp("whole"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Whole(**json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait(30)


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers in small letters, and the body."""

    status: int
    headers: dict[str, str]
    text: str


def ask(whole: Whole, target: str, *, method: str = "GET", **headers: str) -> Answer:
    """The answer to a request whose target is sent as it is written, which no client would do."""
    host, port = whole.address.removeprefix("http://").split(":")
    sent = {"Host": f"{host}:{port}", "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Answer(int(first.split(" ")[1]), found, body)


SPELLINGS = """
/api/v1/people/ //api/v1/people /api//v1/people /api/v1//people /api/v1/./people /api/v1/health/../people
/api/v1/health/..%2fpeople /api/v1/health%2f..%2fpeople /api/v1/health/%2e%2e/people /api/v1/%70eople
/login/../api/v1/people /login/..;/api/v1/people /login;/api/v1/people /login%00/api/v1/people
/api/v1/people%00 /api/v1/people%0a /api/v1/health%0a /login%0d%0a /API/v1/people /api/V1/people
/api/v1/People /Login/../ /api/v1/people;x=/api/v1/health /api/v1/people?/api/v1/health /api/v1/people#/login
/api/v1/people%23/login /_nicegui/..%2fapi%2fv1%2fpeople /_nicegui/%2e%2e/api/v1/people
/_nicegui/../../etc/passwd /_nicegui/..%2f..%2f..%2fetc%2fpasswd
/_nicegui/3.18.0/static/..%2f..%2f..%2f..%2fetc%2fpasswd
/console/..%2f..%2fapp.py /console/../server/guard.py /console/%2e%2e%2fmount.py /console/..\\mount.py
/api/v1/session/../people /api/v1/session%2f..%2fpeople /demo-login/../api/v1/people /favicon.ico/../people
/%61pi/v1/people /api/v1/%2e/people /api%2fv1%2fpeople /api/v1/people/%2e%2e/people /api/v1/peоple
http://127.0.0.1/api/v1/people http://evil.test/login/../api/v1/people * /./ /.. /%2e%2e /login//api/v1/people
"""


@pytest.mark.parametrize("target", SPELLINGS.split())
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "get"])
def test_no_spelling_opens_what_is_closed(whole: Whole, target: str, method: str) -> None:
    answer = ask(whole, target, method=method, Content_Length="0", **OWN)
    assert answer.status in (303, 400, 401, 403, 404, 405, 415, 422), (target, answer)
    assert PERSON not in answer.text
    assert "root:" not in answer.text
    assert "import" not in answer.text


@pytest.mark.parametrize("target", SPELLINGS.split())
def test_no_spelling_gets_an_auditor_further(whole: Whole, target: str) -> None:
    cookie = f"{COOKIE}={whole.auditor}"
    answer = ask(whole, target, Cookie=cookie, **OWN)
    assert answer.status < 500, answer
    assert PERSON not in answer.text
    assert "root:" not in answer.text


def test_the_page_tells_a_viewer_no_more_than_the_api_does(whole: Whole) -> None:
    """Who is enrolled is for operators; the page is for viewers too."""
    pages = {
        name: ask(whole, "/", Cookie=f"{COOKIE}={token}", Accept="text/html")
        for name, token in (("owner", whole.owner), ("viewer", whole.viewer), ("auditor", whole.auditor))
    }
    assert PERSON in pages["owner"].text
    assert pages["viewer"].status == 200
    assert PERSON not in pages["viewer"].text
    assert pages["auditor"].status == 303
    audit = ask(whole, "/audit", Cookie=f"{COOKIE}={whole.auditor}", Accept="text/html")
    assert audit.status == 200
    assert PERSON not in audit.text


@pytest.mark.parametrize(
    "head",
    [
        {"X_Original_URL": "/api/v1/people"},
        {"X_Rewrite_URL": "/api/v1/people"},
        {"X_HTTP_Method_Override": "DELETE"},
        {"X_Forwarded_User": "owner"},
        {"Forwarded": "for=127.0.0.1;host=evil.test"},
        {"Host": "evil.test"},
        {"Authorization": "Basic b3duZXI6"},
        {"Authorization": "Bearer null"},
        {"Cookie": f"{COOKIE}=; {COOKIE}=owner"},
    ],
    ids=lambda head: next(iter(head)),
)
def test_no_header_makes_somebody_of_nobody(whole: Whole, head: dict[str, str]) -> None:
    assert ask(whole, "/api/v1/people", **head).status == 401
    assert ask(whole, "/api/v1/health", **head).status == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1/people", "/login", "/_nicegui_ws/", "/_nicegui_ws/../api/v1/people", "//_nicegui_ws/x"],
)
def test_no_websocket_leads_elsewhere(whole: Whole, path: str) -> None:
    for cookie in ("", f"{COOKIE}={whole.owner}"):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(whole.address.replace("http", "ws") + path, additional_headers={"Cookie": cookie}),
        ):
            pass
        response = refused.value.response
        assert response.status_code in (400, 403, 404)
        assert PERSON.encode() not in (response.body or b"")


KINDS: dict[str, tuple[str, str, str]] = {
    "API": ("GET", "/api/v1/me", ""),
    "API, list": ("GET", "/api/v1/people", ""),
    "OpenAPI": ("GET", "/api/v1/openapi.json", ""),
    "API, 404": ("GET", "/api/v1/nothing", ""),
    "API, 405": ("PUT", "/api/v1/people", ""),
    "API, 422": ("GET", "/api/v1/sightings?limit=x", ""),
    "API, 404 of a change": ("DELETE", "/api/v1/people/x", ""),
    "API, OPTIONS": ("OPTIONS", "/api/v1/people", ""),
    "page": ("GET", "/", "text/html"),
    "sign-in page": ("GET", "/login", "text/html"),
    "page, 404": ("GET", "/nothing", "text/html"),
    "our file": ("GET", "/console/live.js", ""),
    "file of the toolkit, 404": ("GET", "/_nicegui/nothing", ""),
    "length missing": ("POST", "/api/v1/people", ""),
    "icon": ("GET", "/favicon.ico", ""),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", ["owner", "nobody"])
def test_every_kind_of_answer_has_its_headers(whole: Whole, kind: str, who: str) -> None:
    method, path, accept = KINDS[kind]
    head = {"Accept": accept, **OWN}
    if who == "owner":
        head["Cookie"] = f"{COOKIE}={whole.owner}"
    if kind == "length missing":
        head["Transfer_Encoding"] = "chunked"
    answer = ask(whole, path, method=method, **head)
    found = answer.headers
    assert found["x-content-type-options"] == "nosniff"
    assert found["x-frame-options"] == "DENY"
    assert found["referrer-policy"] == ("no-referrer" if path.startswith("/api/") else "same-origin")
    assert found["cross-origin-resource-policy"] == "same-origin"
    assert found["cross-origin-opener-policy"] == "same-origin"
    assert found["permissions-policy"] == "camera=(), microphone=(), geolocation=()"
    policy = found["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "*" not in policy
    if not path.startswith("/_nicegui/"):
        assert found["cache-control"] == "no-store"
    assert not [name for name in found if name.startswith("access-control") or name == "x-powered-by"]
    assert not found.get("server")
    if answer.status == 401:
        assert "location" not in found


def test_a_refused_websocket_says_nothing_but_no(whole: Whole) -> None:
    answer = ask(
        whole,
        "/_nicegui_ws/socket.io/?EIO=4&transport=websocket",
        Upgrade="websocket",
        Connection="Upgrade",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
        Sec_WebSocket_Version="13",
    )
    assert answer.status == 403
    assert answer.text == ""


def test_the_cookie_is_for_this_server_and_no_script(whole: Whole) -> None:
    with httpx.Client(base_url=whole.address, headers=OWN, timeout=20) as client:
        answer = client.post("/api/v1/session", json={"name": "owner", "password": whole.password})
        assert answer.status_code == 200
        given = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
        out = client.delete("/api/v1/session")
        taken = SimpleCookie(out.headers["set-cookie"])[COOKIE]
    for morsel in (given, taken):
        assert morsel["httponly"] is True
        assert morsel["samesite"] == "strict"
        assert morsel["path"] == "/"
        assert morsel["domain"] == ""
    assert len(given.value) >= 43
    assert taken["max-age"] == "0"


def test_no_answer_tells_versions_or_places(whole: Whole) -> None:
    """An error names neither the library it comes from nor a file of this machine."""
    head = {"Cookie": f"{COOKIE}={whole.owner}"}
    with httpx.Client(base_url=whole.address, headers=head, timeout=20) as owner:
        for path in ("/api/v1/nothing", "/nothing", "/_nicegui/nothing", "/api/v1/people/x", "/console/x"):
            text = json.dumps(dict(owner.get(path).headers)) + owner.get(path).text
            for word in (
                "uvicorn",
                "starlette",
                "fastapi",
                "python/",
                "site-packages",
                whole.data,
            ):
                assert word not in text.lower(), (path, word)
