"""Signing in and out, lock-outs, and what is kept of passwords and sessions."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.people.kit import opened
from tests.unit.server.kit import Running

from consentry.clock import SimulatedClock
from consentry.config import SignIn
from consentry.errors import TooManyAttempts, Unauthorised
from consentry.server.guard import COOKIE
from consentry.server.sessions import SESSIONS_FILE, Sessions
from consentry.server.users import FAILURES_PER_ADDRESS, WINDOW_S, Lockout, User, Users

LIMITS = SignIn()
OWNER = User("0" * 16, "owner", "admin", stamp="a")
GUEST = User("1" * 16, "guest", "viewer", stamp="b")


def test_the_first_password_is_given_once_and_kept_as_argon2id_only(tmp_path: Path) -> None:
    clock = SimulatedClock()
    with opened(tmp_path) as site:
        users = Users(site, clock)
        password = users.ensure_owner()
        assert password is not None
        assert len(password) >= 20
        assert users.ensure_owner() is None
        with site.read() as session:
            kept = session.connection().exec_driver_sql("SELECT password_argon2id FROM user").scalar_one()
        assert kept.startswith("$argon2id$")
        for file in (tmp_path / "data").rglob("*"):
            assert not file.is_file() or password.encode() not in file.read_bytes()
        signed_in = users.sign_in("owner", password, "a")
        assert signed_in == users.of("owner")
        assert signed_in.actor == f"user:{signed_in.id}"


def test_a_new_password_voids_the_old(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        users = Users(site, SimulatedClock())
        old = users.ensure_owner()
        new = users.renew_owner_password()
        assert old is not None
        assert users.sign_in("owner", new, "a").name == "owner"
        with pytest.raises(Unauthorised):
            users.sign_in("owner", old, "a")


def test_signing_in_and_out(own_server: Running) -> None:
    with own_server.client() as client:
        answer = own_server.sign_in(client)
        assert answer.json() == {"name": "owner", "role": "admin"}
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith(COOKIE)
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/v1/me").json()["name"] == "owner"
        token = client.cookies[COOKIE]
        assert client.delete("/api/v1/session").status_code == 204
        stolen = client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={token}"})
        assert stolen.status_code == 401
    assert [event for event, _ in own_server.events()][-2:] == ["session.opened", "session.closed"]


def test_wrong_passwords_lock_the_address_for_a_while(own_server: Running) -> None:
    with own_server.client() as client:
        for _ in range(FAILURES_PER_ADDRESS):
            assert own_server.sign_in(client, "wrong").status_code == 401
        locked = own_server.sign_in(client)
        assert locked.status_code == 429
        assert "minutes" in locked.json()["mend"]
        own_server.clock.advance(WINDOW_S)
        assert own_server.sign_in(client).status_code == 200
    assert [event for event, _ in own_server.events()].count("session.refused") == FAILURES_PER_ADDRESS


def test_an_unknown_name_is_answered_like_a_wrong_password_and_not_kept(own_server: Running) -> None:
    with own_server.client() as client:
        wrong = own_server.sign_in(client, "wrong").json()
        unknown = client.post("/api/v1/session", json={"name": "my-password-here", "password": "x"}).json()
    assert wrong == unknown
    with own_server.site.read() as session:
        kept = session.connection().exec_driver_sql("SELECT payload_json FROM ledger_payload").scalars().all()
    assert not [text for text in kept if "my-password-here" in text]


def test_the_form_signs_in_without_a_script(own_server: Running) -> None:
    head = {"Origin": own_server.address, "Content-Type": "application/x-www-form-urlencoded"}
    with own_server.client() as client:
        form = client.get("/login")
        assert "<script" not in form.text
        assert '<html lang="en">' in form.text
        wrong = client.post("/login", content="name=owner&password=%3Cb%3E", headers=head)
        assert wrong.status_code == 401
        assert 'role="alert"' in wrong.text
        assert "<b>" not in wrong.text
        right = client.post("/login", content=f"name=owner&password={own_server.password}", headers=head)
        assert (right.status_code, right.headers["location"]) == (303, "/")
        assert client.get("/api/v1/me").status_code == 200
        assert client.post("/logout").headers["location"] == "/login"
        assert client.get("/api/v1/me").status_code == 401


def test_the_demo_link_works_once(own_server: Running) -> None:
    with own_server.client() as client:
        assert client.get("/demo-login?token=guess").status_code == 403
        assert client.get("/demo-login").status_code == 403
        first = client.get(f"/demo-login?token={own_server.link.token}")
        assert first.status_code == 200
        assert client.get("/api/v1/me").status_code == 200
    with own_server.client() as another:
        assert another.get(f"/demo-login?token={own_server.link.token}").status_code == 403
        assert another.get("/api/v1/me").status_code == 401


def test_without_a_demo_there_is_no_such_link(own_server: Running) -> None:
    own_server.app.state.demo_link = None
    with own_server.client() as client:
        assert client.get(f"/demo-login?token={own_server.link.token}").status_code == 404


def test_sessions_survive_a_restart_and_are_kept_as_hashes(tmp_path: Path) -> None:
    clock = SimulatedClock()
    token = Sessions(tmp_path, clock, LIMITS).open(OWNER)
    file = tmp_path / SESSIONS_FILE
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    again = Sessions(tmp_path, clock, LIMITS)
    assert again.holder(token) == (OWNER.id, OWNER.stamp)


def test_a_session_ends_when_idle_and_in_any_case_after_its_longest(tmp_path: Path) -> None:
    clock = SimulatedClock()
    sessions = Sessions(tmp_path, clock, LIMITS)
    token = sessions.open(OWNER)
    clock.advance(sessions.idle_s - 1)
    assert sessions.holder(token)
    clock.advance(sessions.idle_s - 1)
    assert sessions.is_open(token)  # looking is no use of it
    clock.advance(1)
    assert not sessions.holder(token)
    used = sessions.open(OWNER)
    for _ in range(int(sessions.longest_s // sessions.idle_s) * 2 - 1):
        clock.advance(sessions.idle_s / 2)
        assert sessions.holder(used)
    clock.advance(sessions.idle_s / 2)
    assert not sessions.holder(used)


def test_use_is_kept_over_a_restart_to_within_minutes(tmp_path: Path) -> None:
    clock = SimulatedClock()
    sessions = Sessions(tmp_path, clock, LIMITS)
    token = sessions.open(OWNER)
    clock.advance(sessions.idle_s - 1)
    assert sessions.holder(token)
    clock.advance(sessions.idle_s - 1)
    assert Sessions(tmp_path, clock, LIMITS).holder(token)


def test_ended_sessions_leave_the_file(tmp_path: Path) -> None:
    clock = SimulatedClock()
    sessions = Sessions(tmp_path, clock, LIMITS)
    sessions.open(OWNER)
    clock.advance(sessions.idle_s)
    sessions.open(OWNER)
    assert len(json.loads((tmp_path / SESSIONS_FILE).read_text())) == 1
    other = sessions.open(GUEST)
    sessions.close_all(OWNER.id)
    assert sessions.holder(other) == (GUEST.id, GUEST.stamp)
    assert len(json.loads((tmp_path / SESSIONS_FILE).read_text())) == 1


@given(st.binary(max_size=200))
def test_a_damaged_session_file_signs_everybody_out(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SESSIONS_FILE).write_bytes(content)
        sessions = Sessions(Path(folder), SimulatedClock(), LIMITS)
        assert sessions.holder("x") is None
        assert sessions.holder(sessions.open(OWNER)) == (OWNER.id, OWNER.stamp)


def test_signing_in_again_ends_the_session_the_browser_had(own_server: Running) -> None:
    with own_server.owner() as browser:
        before = browser.cookies[COOKIE]
        browser.cookies.clear()
        answer = browser.post(
            "/api/v1/session",
            json={"name": "owner", "password": own_server.password},
            headers={"Cookie": f"{COOKIE}={before}"},
        )
        assert answer.status_code == 200
        assert browser.cookies[COOKIE] != before
        assert browser.get("/api/v1/me").status_code == 200
    assert not own_server.services.sessions.is_open(before)


def test_own_sessions_are_listed_and_ended(own_server: Running) -> None:
    with own_server.owner() as one, own_server.owner() as other, own_server.as_role("viewer") as viewer:
        listed = one.get("/api/v1/me/sessions").json()
        assert [item["is_this"] for item in listed].count(True) == 1
        foreign = next(item["id"] for item in listed if not item["is_this"])
        assert viewer.delete(f"/api/v1/me/sessions/{foreign}").status_code == 404
        assert one.delete(f"/api/v1/me/sessions/{foreign}").status_code == 204
        assert other.get("/api/v1/me").status_code == 401
        assert one.delete(f"/api/v1/me/sessions/{foreign}").status_code == 404
        token = one.cookies[COOKIE]
        assert token not in json.dumps(listed)


@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from(["fail", "wait"]), st.floats(0.0, WINDOW_S)), max_size=30),
)
def test_a_key_is_locked_exactly_while_too_many_failures_are_recent(
    limit: int, steps: list[tuple[str, float]]
) -> None:
    clock = SimulatedClock()
    lockout = Lockout(clock, limit)
    failed_s: list[float] = []
    for what, wait_s in steps:
        if what == "fail":
            lockout.failed("a")
            failed_s.append(clock.monotonic_s())
        else:
            clock.advance(wait_s)
        recent = [one for one in failed_s if clock.monotonic_s() - one < WINDOW_S]
        if len(recent) >= limit:
            with pytest.raises(TooManyAttempts):
                lockout.check("a")
        else:
            lockout.check("a")
        lockout.check("b")
