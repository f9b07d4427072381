"""Users: added, changed, removed, by admins and by the command line; never without an admin left."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.people.kit import opened
from tests.unit.server.kit import Running
from typer.testing import CliRunner

from consentry.cli.root import app
from consentry.clock import SimulatedClock
from consentry.config import Role
from consentry.errors import ConsentryError, Forbidden, NotFound, Unauthorised, UsageError
from consentry.people.site import Site
from consentry.server import accounts
from consentry.server.access import role_of
from consentry.server.guard import COOKIE
from consentry.server.users import Users
from consentry.store.schema import UserRow

PASSWORD = "correct horse battery"


def _add(site: Site, name: str, role: Role = "viewer") -> str:
    return accounts.add_user(site, name, role, actor="test")[0].id


def test_adding_changing_and_removing_by_the_api(own_server: Running) -> None:
    with own_server.owner() as owner:
        made = owner.post("/api/v1/users", json={"name": "Vera", "role": "viewer"})
        assert made.status_code == 201
        vera, password = made.json()["id"], made.json()["password"]
        assert owner.post("/api/v1/users", json={"name": "Vera", "role": "viewer"}).status_code == 400
        with own_server.client() as client:
            typed = {"name": "Vera", "password": password}
            assert client.post("/api/v1/session", json=typed).json()["role"] == "viewer"
            changed = owner.patch(f"/api/v1/users/{vera}", json={"role": "operator"})
            assert (changed.json()["role"], changed.json()["password"]) == ("operator", None)
            assert client.get("/api/v1/me").status_code == 401
            assert client.post("/api/v1/session", json=typed).json()["role"] == "operator"
            assert owner.patch(f"/api/v1/users/{vera}", json={"is_disabled": True}).status_code == 200
            assert client.get("/api/v1/me").status_code == 401
            assert client.post("/api/v1/session", json=typed).status_code == 401
            owner.patch(f"/api/v1/users/{vera}", json={"is_disabled": False})
            assert client.get("/api/v1/me").status_code == 401, "the session had ended"
            assert client.post("/api/v1/session", json=typed).status_code == 200
            new = owner.patch(f"/api/v1/users/{vera}", json={"reset_password": True}).json()["password"]
            assert client.get("/api/v1/me").status_code == 401
            assert client.post("/api/v1/session", json=typed | {"password": new}).status_code == 200
            assert owner.delete(f"/api/v1/users/{vera}").status_code == 204
            assert client.get("/api/v1/me").status_code == 401
        assert owner.delete(f"/api/v1/users/{vera}").status_code == 404
        assert [one["name"] for one in owner.get("/api/v1/users").json()] == ["owner"]
    events = [event for event, actor in own_server.events() if actor == own_server.owner_actor]
    assert events.count("user.changed") == 3
    assert {"user.added", "user.password_renewed", "user.removed"} <= set(events)


def test_a_removed_users_name_is_nowhere(tmp_path: Path) -> None:
    name = "Vera Unusual-Name"
    with opened(tmp_path) as site:
        Users(site, SimulatedClock()).ensure_owner()
        accounts.remove_user(site, _add(site, name), actor="test")
        site.database.compact()
        for file in (tmp_path / "data").rglob("*"):
            assert not file.is_file() or name.encode() not in file.read_bytes(), file


def test_a_new_user_of_an_old_name_inherits_no_session(own_server: Running) -> None:
    with own_server.signed_in(own_server.user("viewer", "Vera")) as old:
        assert old.get("/api/v1/me").status_code == 200
        accounts.remove_user(own_server.site, own_server.user("viewer", "Vera").id, actor="test")
        own_server.user("admin", "Vera")
        assert old.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("how", ["role", "disable", "remove"])
def test_the_last_admin_stays(own_server: Running, how: str) -> None:
    owner_id = own_server.user("admin", "owner").id
    own_server.user("operator")
    with own_server.owner() as owner:
        if how == "role":
            answer = owner.patch(f"/api/v1/users/{owner_id}", json={"role": "viewer"})
        elif how == "disable":
            answer = owner.patch(f"/api/v1/users/{owner_id}", json={"is_disabled": True})
        else:
            answer = owner.delete(f"/api/v1/users/{owner_id}")
        assert answer.status_code == 403
        assert owner.get("/api/v1/users").status_code == 200


@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["viewer", "admin", "disable", "enable", "remove"]),
            st.sampled_from("abcd"),
        ),
        max_size=20,
    )
)
@settings(max_examples=25, deadline=None)
def test_whatever_is_tried_an_admin_is_left(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str]]
) -> None:
    with opened(tmp_path_factory.mktemp("users")) as site:
        with site.write() as session:
            for name in "abcd":
                role = "admin" if name == "a" else "viewer"
                session.add(UserRow(id=name, name=name, role=role, created_unix_ms=0))
        for what, who in acts:
            with suppress(Forbidden, NotFound):
                if what in ("viewer", "admin"):
                    accounts.change_role(site, who, role_of(what), actor="test")
                elif what == "remove":
                    accounts.remove_user(site, who, actor="test")
                else:
                    accounts.set_disabled(site, who, what == "disable", actor="test")
            left = [one for one in accounts.list_accounts(site) if not one.is_disabled]
            assert [one for one in left if one.user.role == "admin"]


def test_choosing_a_password(own_server: Running) -> None:
    with own_server.owner() as owner, own_server.owner() as elsewhere:
        before = owner.cookies[COOKIE]
        for new in ("short", "the owner himself", "x" * 1025):
            answer = owner.put("/api/v1/me/password", json={"old": own_server.password, "new": new})
            assert answer.status_code in (400, 422)
        wrong = owner.put("/api/v1/me/password", json={"old": "wrong", "new": PASSWORD})
        assert wrong.status_code == 401
        right = owner.put("/api/v1/me/password", json={"old": own_server.password, "new": PASSWORD})
        assert right.status_code == 204
        assert owner.cookies[COOKIE] != before
        assert owner.get("/api/v1/me").status_code == 200
        assert elsewhere.get("/api/v1/me").status_code == 401
    users = own_server.services.users
    assert users.sign_in("owner", PASSWORD, "a")
    with pytest.raises(Unauthorised):
        users.sign_in("owner", own_server.password, "a")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as site, pytest.raises(UsageError):
        _add(site, name)


def test_the_command_line(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        users = Users(site, SimulatedClock())
        users.ensure_owner()

        def run(*arguments: str) -> str:
            result = CliRunner().invoke(
                app, ["user", *arguments, "--data", str(site.data_dir)], catch_exceptions=False
            )
            assert result.exit_code == 0
            return result.output

        added = json.loads(run("add", "Vera", "viewer", "--json"))
        assert users.sign_in("Vera", added["password"], "a").role == "viewer"
        run("role", "Vera", "auditor")
        assert users.of("Vera") is not None
        listed = {one["name"]: one["role"] for one in json.loads(run("list", "--json"))}
        assert listed == {"owner": "admin", "Vera": "auditor"}
        run("disable", "Vera")
        assert users.of("Vera") is None
        assert "disabled" in run("list")
        run("enable", "Vera")
        new = run("password", "Vera", "--forget-app").split("password ")[1].split()[0]
        assert users.sign_in("Vera", new, "a").name == "Vera"
        with pytest.raises(ConsentryError):
            CliRunner().invoke(
                app, ["user", "remove", "owner", "--data", str(site.data_dir)], catch_exceptions=False
            )
        run("remove", "Vera")
        assert [one["name"] for one in json.loads(run("list", "--json"))] == ["owner"]
