"""Tokens for programs: shown once, never further than scope and role, never in place of a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import httpx
import pytest
from tests.unit.server.kit import Running

from consentry.config import Role
from consentry.errors import Forbidden, UsageError
from consentry.server import accounts
from consentry.server.access import ACCESS, IN_PERSON, OPEN, Scope, for_programs, scopes_of
from consentry.server.tokens import MOST_DAYS, MOST_TOKENS, PREFIX, make_token

DAY_S = 86_400
REACH: dict[str, str] = {"view": "viewer", "operate": "operator", "audit": "auditor", "run": "admin"}


def _token(server: Running, role: Role, *scopes: Scope, days: int = 1) -> str:
    return make_token(server.site, server.user(role), label="test", scopes=frozenset(scopes), days=days)[1]


@contextmanager
def _program(server: Running, secret: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, headers={"Authorization": f"Bearer {secret}"}) as client:
        yield client


def test_a_token_is_shown_once_and_kept_as_a_hash(own_server: Running) -> None:
    with own_server.owner() as owner:
        made = owner.post("/api/v1/tokens", json={"label": "door", "scopes": ["view"], "days": 3})
        assert made.status_code == 201
        secret = made.json()["token"]
        assert secret.startswith(PREFIX)
        listed = owner.get("/api/v1/tokens")
        assert secret not in listed.text
        assert [one["label"] for one in listed.json()] == ["door"]
        with _program(own_server, secret) as program:
            assert program.get("/api/v1/sightings").status_code == 200
            own_server.clock.advance(59)
            program.get("/api/v1/sightings")
            assert owner.get("/api/v1/tokens").json()[0]["last_used"] == "2027-01-15T08:00:00.000Z"
            own_server.clock.advance(1)
            program.get("/api/v1/sightings")
            assert owner.get("/api/v1/tokens").json()[0]["last_used"] == "2027-01-15T08:01:00.000Z"
            assert owner.delete(f"/api/v1/tokens/{made.json()['id']}").status_code == 204
            assert program.get("/api/v1/sightings").status_code == 401
    assert not [
        file
        for file in own_server.site.data_dir.rglob("*")
        if file.is_file() and secret.encode() in file.read_bytes()
    ]
    assert {"token.made", "token.revoked"} <= {event for event, _ in own_server.events()}


@pytest.mark.parametrize(
    ("role", "scope"), [(role, scope) for role in get_args(Role) for scope in sorted(scopes_of(role))]
)
def test_it_reaches_what_both_scope_and_role_reach(server: Running, role: Role, scope: Scope) -> None:
    with _program(server, _token(server, role, scope)) as program:
        for row, roles in ACCESS.items():
            method, template = row.split(" ", 1)
            if method != "GET" or roles == OPEN or "{" in template:
                continue
            allowed = for_programs(row) and role in roles and REACH[scope] in roles
            assert (program.get(template).status_code != 403) == allowed, row


@pytest.mark.parametrize("role", get_args(Role))
def test_no_scope_beyond_ones_own_role(server: Running, role: Role) -> None:
    for scope in set(get_args(Scope)) - scopes_of(role):
        with pytest.raises(Forbidden):
            _token(server, role, scope)


def test_what_a_person_must_do_no_token_does(server: Running) -> None:
    assert set(ACCESS) >= IN_PERSON
    with _program(server, _token(server, "admin", "run")) as program:
        for row in IN_PERSON:
            method, template = row.split(" ", 1)
            assert program.request(method, template.replace("{", "").replace("}", "")).status_code == 403, row
        assert program.get("/").status_code == 403
        assert program.get("/account").status_code == 403


def test_a_lower_role_lowers_the_token(own_server: Running) -> None:
    user = own_server.user("operator")
    with _program(own_server, _token(own_server, "operator", "operate")) as program:
        assert program.get("/api/v1/people").status_code == 200
        accounts.change_role(own_server.site, user.id, "viewer", actor="test")
        assert program.get("/api/v1/people").status_code == 403
        assert program.get("/api/v1/sightings").status_code == 200
        accounts.change_role(own_server.site, user.id, "auditor", actor="test")
        assert program.get("/api/v1/sightings").status_code == 403
        accounts.set_disabled(own_server.site, user.id, True, actor="test")
        assert program.get("/api/v1/me").status_code == 401


def test_it_ends_with_its_maker_and_with_its_days(own_server: Running) -> None:
    kept, gone = _token(own_server, "viewer", "view", days=2), _token(own_server, "operator", "view")
    accounts.remove_user(own_server.site, own_server.user("operator").id, actor="test")
    with _program(own_server, gone) as program:
        assert program.get("/api/v1/me").status_code == 401
    with _program(own_server, kept) as program:
        own_server.clock.advance(2 * DAY_S - 1)
        assert program.get("/api/v1/me").status_code == 200
        own_server.clock.advance(1)
        assert program.get("/api/v1/me").status_code == 401


def test_a_change_by_a_token_needs_no_own_header_but_no_foreign_page_either(own_server: Running) -> None:
    with _program(own_server, _token(own_server, "admin", "operate")) as program:
        assert program.delete("/api/v1/people/" + "0" * 32).status_code == 404
        foreign = program.delete("/api/v1/people/" + "0" * 32, headers={"Origin": "https://evil.test"})
        assert foreign.status_code == 403


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "bearer cst_", "Basic b3duZXI6eA==", "Bearer ü"])
def test_made_up_tokens_are_nobody(server: Running, value: str) -> None:
    with server.client() as client:
        assert client.get("/api/v1/me", headers=[(b"authorization", value.encode())]).status_code == 401


def test_a_wrong_token_is_not_saved_by_a_session(server: Running) -> None:
    with server.owner() as owner:
        assert owner.get("/api/v1/me", headers={"Authorization": "Bearer cst_x"}).status_code == 401


def test_limits(own_server: Running) -> None:
    for days in (0, MOST_DAYS + 1):
        with pytest.raises(UsageError):
            _token(own_server, "viewer", "view", days=days)
    with pytest.raises(UsageError):
        _token(own_server, "viewer")
    for _ in range(MOST_TOKENS):
        _token(own_server, "viewer", "view")
    with pytest.raises(UsageError):
        _token(own_server, "viewer", "view")
    own_server.clock.advance(DAY_S)
    _token(own_server, "viewer", "view")  # those that ran out do not count


def test_nobody_revokes_anothers_token(own_server: Running) -> None:
    secret = _token(own_server, "viewer", "view")
    with own_server.owner() as owner, own_server.as_role("viewer") as viewer:
        token_id = viewer.get("/api/v1/tokens").json()[0]["id"]
        assert owner.delete(f"/api/v1/tokens/{token_id}").status_code == 404
        assert owner.get("/api/v1/tokens").json() == []
    with _program(own_server, secret) as program:
        assert program.get("/api/v1/me").status_code == 200
