"""Codes of an authenticator app: set up with a password, needed at the door, each good once."""

from __future__ import annotations

import re

import httpx
import pyotp
import pytest
from tests.unit.server.kit import Running

from consentry.clock import SimulatedClock
from consentry.people.seal import Kind
from consentry.server.tickets import TICKET_S, opened_ticket, sealed_ticket
from consentry.server.totp import STEP_S
from consentry.server.users import FAILURES_PER_ADDRESS

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class App:
    """The owner's authenticator app."""

    def __init__(self, secret: str, clock: SimulatedClock) -> None:
        self._totp, self._clock = pyotp.TOTP(secret), clock

    def code(self, steps_on: int = 0) -> str:
        return self._totp.generate_otp(int(self._clock.unix_s()) // STEP_S + steps_on)


@pytest.fixture
def authenticator(own_server: Running) -> App:
    """Set up for the owner, on a step of its own."""
    with own_server.owner() as owner:
        made = owner.post("/api/v1/me/totp", json={"password": own_server.password}).json()
        app = App(made["secret"], own_server.clock)
        confirmed = owner.post("/api/v1/me/totp/confirm", json={"ticket": made["ticket"], "code": app.code()})
        assert confirmed.status_code == 204
    own_server.clock.advance(10 * STEP_S)
    return app


def _sign_in(server: Running, client: httpx.Client, code: str = "", password: str = "") -> httpx.Response:
    typed = {"name": "owner", "password": password or server.password, "code": code}
    return client.post("/api/v1/session", json=typed)


def test_setting_it_up_needs_the_password_and_a_right_code(own_server: Running) -> None:
    with own_server.owner() as owner:
        assert owner.post("/api/v1/me/totp", json={"password": "wrong"}).status_code == 401
        made = owner.post("/api/v1/me/totp", json={"password": own_server.password}).json()
        assert made["uri"].startswith("otpauth://totp/")
        assert "<svg" in made["qr_svg"]
        wrong = owner.post("/api/v1/me/totp/confirm", json={"ticket": made["ticket"], "code": "000000"})
        assert wrong.status_code == 401
        with own_server.client() as client:
            assert _sign_in(own_server, client).status_code == 200, "it does not count yet"
        code = App(made["secret"], own_server.clock).code()
        with own_server.as_role("admin") as other:
            stolen = other.post("/api/v1/me/totp/confirm", json={"ticket": made["ticket"], "code": code})
            assert stolen.status_code == 401
        own_server.clock.advance(TICKET_S)
        code = App(made["secret"], own_server.clock).code()
        late = owner.post("/api/v1/me/totp/confirm", json={"ticket": made["ticket"], "code": code})
        assert late.status_code == 401


def test_the_secret_is_sealed(own_server: Running, authenticator: App) -> None:
    secret = authenticator._totp.secret
    for file in own_server.site.data_dir.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes()


def test_password_and_code_are_both_needed(own_server: Running, authenticator: App) -> None:
    with own_server.client() as client:
        missing = _sign_in(own_server, client)
        assert (missing.status_code, missing.json()["type"]) == (401, "urn:consentry:problem:code-needed")
        wrong = _sign_in(own_server, client, authenticator.code(), password="wrong")
        assert wrong.json()["type"] == "urn:consentry:problem:unauthorised"
        assert _sign_in(own_server, client, authenticator.code()).status_code == 200


def test_no_code_is_good_twice_and_no_older_one_after_it(own_server: Running, authenticator: App) -> None:
    with own_server.client() as client:
        assert _sign_in(own_server, client, authenticator.code(-2)).status_code == 401
        assert _sign_in(own_server, client, authenticator.code(2)).status_code == 401
        assert _sign_in(own_server, client, authenticator.code(-1)).status_code == 200
        assert _sign_in(own_server, client, authenticator.code(1)).status_code == 200
        for steps_on in (-1, 0, 1):
            assert _sign_in(own_server, client, authenticator.code(steps_on)).status_code == 401
        own_server.clock.advance(2 * STEP_S)
        assert _sign_in(own_server, client, authenticator.code()).status_code == 200


def test_guessing_codes_locks_and_leaving_the_code_out_does_not_unlock(
    own_server: Running, authenticator: App
) -> None:
    with own_server.client() as client:
        for _ in range(FAILURES_PER_ADDRESS):
            assert _sign_in(own_server, client).json()["type"].endswith("code-needed")
            assert _sign_in(own_server, client, "000000").status_code == 401
        assert _sign_in(own_server, client, authenticator.code()).status_code == 429


def test_the_form_asks_for_the_code_in_a_second_step(own_server: Running, authenticator: App) -> None:
    head = {"Origin": own_server.address, **FORM}
    with own_server.client() as client:
        asked = client.post("/login", content=f"name=owner&password={own_server.password}", headers=head)
        assert "authenticator" in asked.text
        assert own_server.password not in asked.text
        assert "<script" not in asked.text
        ticket = re.findall(r'name="ticket" value="([^"]+)"', asked.text)[0]
        wrong = client.post("/login", content=f"ticket={ticket}&code=000000", headers=head)
        assert (wrong.status_code, 'role="alert"' in wrong.text) == (401, True)
        made_up = client.post("/login", content=f"ticket=AAAA&code={authenticator.code()}", headers=head)
        assert made_up.status_code == 401
        right = client.post("/login", content=f"ticket={ticket}&code={authenticator.code()}", headers=head)
        assert (right.status_code, right.headers["location"]) == (303, "/")
        assert client.get("/api/v1/me").status_code == 200


def test_an_admin_forgets_a_lost_app(own_server: Running, authenticator: App) -> None:
    owner_id = own_server.user("admin", "owner").id
    with own_server.as_role("admin") as admin:
        assert admin.patch(f"/api/v1/users/{owner_id}", json={"reset_totp": True}).json()["has_totp"] is False
    with own_server.client() as client:
        assert _sign_in(own_server, client).status_code == 200


def test_a_role_that_needs_an_app_reaches_nothing_else_before(own_server: Running) -> None:
    own_server.services.settings.sign_in.require_totp.append("admin")
    with own_server.owner() as owner, own_server.as_role("viewer") as viewer:
        assert viewer.get("/api/v1/sightings").status_code == 200
        refused = owner.get("/api/v1/sightings")
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:consentry:problem:totp-missing")
        sent = owner.get("/audit", headers={"Accept": "text/html"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/account")
        assert "needs an authenticator app" in owner.get("/account").text
        head = {"Origin": own_server.address, **FORM}
        shown = owner.post("/account/totp", content=f"password={own_server.password}", headers=head)
        secret = re.findall(r"<code>([A-Z2-7]+)</code>", shown.text)[0]
        ticket = re.findall(r'name="ticket" value="([^"]+)"', shown.text)[0]
        app = App(secret, own_server.clock)
        done = owner.post("/account/totp/confirm", content=f"ticket={ticket}&code={app.code()}", headers=head)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert owner.get("/api/v1/sightings").status_code == 200


def test_tickets_are_for_one_thing_and_one_holder(own_server: Running) -> None:
    ticket = sealed_ticket(own_server.site, {"a": "b"}, Kind.TOTP, "x")
    assert opened_ticket(own_server.site, ticket, Kind.TOTP, "x")["a"] == "b"
    for kind, whose in ((Kind.SIGN_IN_STEP, "x"), (Kind.TOTP, "y")):
        with pytest.raises(Exception, match="begun elsewhere"):
            opened_ticket(own_server.site, ticket, kind, whose)
