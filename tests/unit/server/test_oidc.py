"""Signing in at a provider: a real one from start to end, and one that forges, on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import ValidationError
from tests.unit.server.kit import Running, running

from consentry.config import Oidc, Settings
from consentry.server import accounts
from consentry.server.guard import COOKIE
from consentry.server.oidc import LEEWAY_S
from consentry.server.oidc_pages import COOKIE as STEP_COOKIE

CLIENT, SECRET = "consentry at the gate", "a secret & a half"
ROLES = {"camera-admins": "admin", "staff": "operator", "auditors": "auditor"}
PROVIDER = """
import sys, json, oidc_provider_mock as mock
users = [mock.User(sub=sub, claims=claims) for sub, claims in json.loads(sys.argv[1]).items()]
with mock.run_server_in_thread(user_claims=users) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""
USERS = {
    "anna": {"roles": ["visitors", "staff"], "preferred_username": "Anna"},
    "otto": {"roles": "auditors", "preferred_username": "owner"},
    "nick": {"roles": ["visitors"]},
    "nora": {},
}


def _settings(issuer: str, **more: object) -> Settings:
    oidc = {"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET, "roles": ROLES}
    return Settings.model_validate({"oidc": oidc} | more)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """oidc_provider_mock in a process of its own; its issuer."""
    command = [sys.executable, "-c", PROVIDER, json.dumps(USERS)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://localhost:{int(process.stdout.readline())}"
        process.stdin.close()
        process.wait(20)


@pytest.fixture
def site(provider: str, tmp_path: Path) -> Iterator[Running]:
    """A site that trusts it, at the provider's own time."""
    with running(tmp_path, settings=_settings(provider), start_unix_s=time.time()) as it:
        yield it


@contextmanager
def browser(server: Running) -> Iterator[httpx.Client]:
    """A browser without a session."""
    with httpx.Client(base_url=server.address, timeout=30) as client:
        yield client


def _at_provider(client: httpx.Client, server: Running, subject: str) -> str:
    """Begin here, sign in there; the address that the provider sends the browser back to."""
    begun = client.get("/oidc/start")
    assert begun.status_code == 303, begun.text
    back = httpx.post(begun.headers["location"], data={"sub": subject}, timeout=30)
    assert back.status_code == 302
    location = back.headers["location"]
    assert location.startswith(f"{server.address}/oidc/callback?")
    return str(location)


def test_from_start_to_end(site: Running) -> None:
    with browser(site) as client:
        assert "/oidc/start" in client.get("/login").text
        done = client.get(_at_provider(client, site, "anna"))
        assert done.status_code == 200
        assert client.cookies.get(COOKIE)
        assert not client.cookies.get(STEP_COOKIE)
        assert client.get("/api/v1/me").json() == {"name": "Anna", "role": "operator"}
    with browser(site) as again:
        again.get(_at_provider(again, site, "anna"))
        assert again.get("/api/v1/me").json()["name"] == "Anna"
    listed = [one.user.name for one in accounts.list_accounts(site.site)]
    assert sorted(listed) == ["Anna", "owner"]
    assert [event for event, _ in site.events()][-3:] == ["user.added", "session.opened", "session.opened"]


def test_the_step_is_tied_to_the_browser_and_lax(site: Running) -> None:
    with browser(site) as client:
        begun = client.get("/oidc/start")
        cookie = begun.headers["set-cookie"].lower()
        assert "samesite=lax" in cookie
        assert "httponly" in cookie
        query = parse_qs(urlsplit(begun.headers["location"]).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [f"{site.address}/oidc/callback"]
        for secret in (query["state"][0], query["nonce"][0]):
            assert secret not in cookie


def test_a_name_is_no_identity(site: Running) -> None:
    """Otto calls himself `owner` at the provider: he becomes another user, and an auditor."""
    with browser(site) as client:
        client.get(_at_provider(client, site, "otto"))
        me = client.get("/api/v1/me").json()
        assert me["role"] == "auditor"
        assert me["name"] != "owner"
        assert client.get("/api/v1/people").status_code == 403


@pytest.mark.parametrize("subject", ["nick", "nora"])
def test_an_unknown_role_is_refused_and_nobody_is_made(site: Running, subject: str) -> None:
    with browser(site) as client:
        refused = client.get(_at_provider(client, site, subject))
        assert (refused.status_code, COOKIE in client.cookies) == (403, False)
        assert "no role" in refused.text
    assert len(accounts.list_accounts(site.site)) == 1
    assert site.events()[-1][0] == "session.refused"


def test_a_wrong_state_is_refused(site: Running) -> None:
    with browser(site) as client:
        back = _at_provider(client, site, "anna")
        code = parse_qs(urlsplit(back).query)["code"][0]
        for state in ("", "x", "ü"):
            refused = client.get("/oidc/callback", params={"code": code, "state": state})
            assert (refused.status_code, COOKIE in client.cookies) == (401, False)


def test_another_browser_cannot_finish_it(site: Running) -> None:
    with browser(site) as attacker, browser(site) as victim:
        back = _at_provider(attacker, site, "anna")
        assert victim.get(back).status_code == 401
        victim.get("/oidc/start")
        assert victim.get(back).status_code == 401
        assert COOKIE not in victim.cookies


def test_a_code_is_good_once(site: Running) -> None:
    with browser(site) as client:
        back = _at_provider(client, site, "anna")
        step = client.cookies[STEP_COOKIE]
        assert client.get(back).status_code == 200
    with browser(site) as thief:
        replayed = thief.get(back, headers={"Cookie": f"{STEP_COOKIE}={step}"})
        assert (replayed.status_code, COOKIE in thief.cookies) == (401, False)


def test_disabled_here_means_refused(site: Running) -> None:
    with browser(site) as client:
        client.get(_at_provider(client, site, "anna"))
        anna = accounts.account_named(site.site, "Anna").user.id
        accounts.set_disabled(site.site, anna, True, actor="test")
        assert client.get("/api/v1/me").status_code == 401
        assert client.get(_at_provider(client, site, "anna")).status_code == 403


def test_they_have_no_password_here(site: Running) -> None:
    with browser(site) as client:
        client.get(_at_provider(client, site, "anna"))
        typed = {"name": "Anna", "password": ""}
        head = {"X-Consentry": "1"}
        assert client.post("/api/v1/session", json=typed | {"password": "x"}, headers=head).status_code == 401
        again = client.post("/api/v1/me/totp", json={"password": "x"}, headers=head)
        assert again.status_code == 401
        assert "by your organisation" in client.get("/account").text


def test_without_a_provider_there_is_none(own_server: Running) -> None:
    with own_server.client() as client:
        assert "/oidc" not in client.get("/login").text
        assert client.get("/oidc/start").status_code == 404
        assert client.get("/oidc/callback?code=x&state=y").status_code == 404


Claims = dict[str, Any]


class Forger:
    """A provider whose tokens say what a test wants. `make` turns good claims into the token given."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.issuer = ""
        self.make: Callable[[Claims], str] = self.signed
        self.says: dict[str, Any] = {}
        self.nonce = ""
        self.asked: dict[str, list[str]] = {}
        self.authorization = ""

    def signed(self, claims: Claims) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def claims(self) -> Claims:
        now_s = time.time()
        return {
            "iss": self.issuer,
            "sub": "zoe",
            "aud": CLIENT,
            "exp": now_s + 300,
            "iat": now_s,
            "nonce": self.nonce,
            "roles": ["staff"],
        }

    def answer(self, path: str) -> dict[str, Any]:
        if path.endswith("openid-configuration"):
            ends = {name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **ends, **self.says}
        if path == "/jwks":
            return {"keys": [self.key.as_dict(private=False)]}
        return {"id_token": self.make(self.claims())}


@pytest.fixture
def forger() -> Iterator[Forger]:
    it = Forger()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(it.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            it.asked, it.authorization = parse_qs(sent), self.headers.get("Authorization", "")
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield it
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trusting(forger: Forger, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, settings=_settings(forger.issuer), start_unix_s=time.time()) as it:
        yield it


def _try(server: Running, forger: Forger) -> httpx.Response:
    with browser(server) as client:
        begun = client.get("/oidc/start")
        query = parse_qs(urlsplit(begun.headers["location"]).query)
        forger.nonce = query["nonce"][0]
        done = client.get("/oidc/callback", params={"code": "c", "state": query["state"][0]})
        digest = hashlib.sha256(forger.asked.get("code_verifier", [""])[0].encode()).digest()
        proven = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == query["code_challenge"][0]
        assert proven == bool(forger.asked)
        assert (COOKIE in client.cookies) == (done.status_code == 200)
        return done


def test_a_good_token_is_taken_and_the_code_is_proven(trusting: Running, forger: Forger) -> None:
    assert _try(trusting, forger).status_code == 200
    scheme, pair = forger.authorization.split()
    assert scheme == "Basic"
    assert base64.b64decode(pair) == b"consentry%20at%20the%20gate:a%20secret%20%26%20a%20half"
    forger.says = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert _try(trusting, forger).status_code == 200
    assert forger.asked["client_secret"] == [SECRET]


def test_a_token_with_a_wrong_claim_is_refused(trusting: Running, forger: Forger) -> None:
    now_s = trusting.clock.unix_s()
    for change in (
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": 1.0},
        {"exp": now_s - LEEWAY_S - 1},
        {"exp": None},
        {"iat": now_s + 3600},
        {"sub": ""},
        {"sub": None},
    ):
        kept = {key: value for key, value in change.items() if value is not None}
        gone = change.keys() - kept.keys()
        forger.make = lambda claims, kept=kept, gone=gone: forger.signed(  # type: ignore[misc]
            {key: value for key, value in (claims | kept).items() if key not in gone}
        )
        assert _try(trusting, forger).status_code == 401, change
    assert len(accounts.list_accounts(trusting.site)) == 1


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _by_hand(header: Claims, claims: Claims, key: bytes = b"") -> str:
    """A token as no library would make it: with the public key as the secret, or without a signature."""
    said = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    return f"{said}.{_encoded(hmac.digest(key, said.encode(), 'sha256')) if key else ''}"


def test_a_token_with_a_wrong_signature_is_refused(trusting: Running, forger: Forger) -> None:
    other = RSAKey.generate_key(2048)
    public, kid = forger.key.as_pem(private=False), forger.key.kid
    forgeries: list[Callable[[Claims], str]] = [
        lambda claims: jwt.encode({"alg": "RS256", "kid": kid}, claims, other),
        lambda claims: _by_hand({"alg": "HS256", "kid": kid}, claims, public),
        lambda claims: _by_hand({"alg": "none"}, claims),
        lambda claims: forger.signed(claims)[:-4] + "AAAA",
        lambda _claims: "no token",
    ]
    for forger.make in forgeries:
        assert _try(trusting, forger).status_code == 401
    assert len(accounts.list_accounts(trusting.site)) == 1


def test_the_role_follows_the_provider_at_each_sign_in(trusting: Running, forger: Forger) -> None:
    _try(trusting, forger)
    zoe = next(one.user for one in accounts.list_accounts(trusting.site) if one.oidc_issuer)
    assert zoe.role == "operator"
    forger.make = lambda claims: forger.signed(claims | {"roles": ["auditors"]})
    with trusting.signed_in(zoe) as elsewhere:
        assert elsewhere.get("/api/v1/people").status_code == 200
        _try(trusting, forger)
        assert elsewhere.get("/api/v1/me").status_code == 401
    assert accounts.account_of(trusting.site, zoe.id).user.role == "auditor"


def test_the_same_subject_of_another_issuer_is_another_user(trusting: Running, forger: Forger) -> None:
    _try(trusting, forger)
    with trusting.site.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE user SET oidc_issuer = 'https://old.example' WHERE oidc_subject = 'zoe'"
        )
    _try(trusting, forger)
    assert len(accounts.list_accounts(trusting.site)) == 3


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"token_endpoint": "http://provider.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
def test_a_provider_that_is_not_as_it_should_be(
    trusting: Running, forger: Forger, says: dict[str, str]
) -> None:
    forger.says = says
    with browser(trusting) as client:
        assert client.get("/oidc/start").status_code == 503


def test_behind_a_proxy_the_public_address_is_used(forger: Forger, tmp_path: Path) -> None:
    settings = _settings(forger.issuer, server={"public_url": "https://cameras.example.org/"})
    with running(tmp_path, settings=settings, start_unix_s=time.time()) as server, browser(server) as client:
        begun = client.get("/oidc/start")
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert query["redirect_uri"] == ["https://cameras.example.org/oidc/callback"]
    assert "secure" in begun.headers["set-cookie"].lower()


def test_only_https_issuers_and_no_secret_in_print() -> None:
    for issuer in (
        "http://id.example.org",
        "ftp://127.0.0.1",
        "https://a:b@id.example.org",
        "id.example.org",
    ):
        with pytest.raises(ValidationError):
            Oidc(issuer=issuer)
    assert SECRET not in repr(_settings("https://id.example.org"))
