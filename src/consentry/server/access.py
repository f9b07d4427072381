"""Who may use which route: closed unless opened here. `docs/access.md` publishes this table.

The guard asks nothing else. A route that is not in `ACCESS` is closed to everyone; a test compares the
table with the routes there are, in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, get_args

from consentry.config import Role as Role  # who asks for access asks here
from consentry.errors import DataDamaged

Scope = Literal["view", "operate", "audit", "run"]
"""How far a program's token reaches: as far as a viewer, operator, auditor or admin."""
Access = frozenset[Role]

OPEN: Final[Access] = frozenset()
"""Anyone, without signing in."""

ANYONE: Final[Access] = frozenset(get_args(Role))
VIEWING: Final[Access] = frozenset({"viewer", "operator", "admin"})
OPERATING: Final[Access] = frozenset({"operator", "admin"})
AUDITING: Final[Access] = frozenset({"auditor", "admin"})
RUNNING: Final[Access] = frozenset({"admin"})

WEBSOCKET: Final = "WEBSOCKET"
"""Stands in the place of the method for a websocket."""

ACCESS: Final[dict[str, Access]] = {
    # signing in
    "GET /api/v1/health": OPEN,
    "POST /api/v1/session": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "GET /demo-login": OPEN,
    "GET /oidc/start": OPEN,
    "GET /oidc/callback": OPEN,
    "DELETE /api/v1/session": ANYONE,
    "POST /logout": ANYONE,
    "GET /api/v1/me": ANYONE,
    "PUT /api/v1/me/password": ANYONE,
    "GET /api/v1/me/sessions": ANYONE,
    "DELETE /api/v1/me/sessions/{session_id}": ANYONE,
    "POST /api/v1/me/totp": ANYONE,
    "POST /api/v1/me/totp/confirm": ANYONE,
    "GET /api/v1/tokens": ANYONE,
    "POST /api/v1/tokens": ANYONE,
    "DELETE /api/v1/tokens/{token_id}": ANYONE,
    "GET /account": ANYONE,
    "POST /account/totp": ANYONE,
    "POST /account/totp/confirm": ANYONE,
    "POST /account/password": ANYONE,
    "GET /api/v1/openapi.json": ANYONE,
    # users
    "GET /api/v1/users": RUNNING,
    "POST /api/v1/users": RUNNING,
    "PATCH /api/v1/users/{user_id}": RUNNING,
    "DELETE /api/v1/users/{user_id}": RUNNING,
    # cameras and sightings
    "GET /api/v1/cameras": VIEWING | AUDITING,
    "GET /api/v1/cameras/{name}/live.jpg": VIEWING,
    "GET /api/v1/cameras/{name}/live.mjpg": VIEWING,
    "GET /api/v1/sightings": VIEWING,
    # what two people decide
    "GET /api/v1/approvals": OPERATING,
    "POST /api/v1/approvals": OPERATING,
    "POST /api/v1/approvals/{approval_id}/agree": RUNNING,
    "POST /api/v1/approvals/{approval_id}/refuse": OPERATING,
    "POST /api/v1/approvals/{approval_id}/result": OPERATING,
    "GET /api/v1/settings": AUDITING,
    "DELETE /api/v1/settings/{setting}": RUNNING,
    "GET /api/v1/sightings/{sighting_id}/confirmations": OPERATING,
    "POST /api/v1/sightings/{sighting_id}/confirmations": OPERATING,
    "GET /api/v1/actions": AUDITING,
    # people
    "GET /api/v1/people": OPERATING,
    "POST /api/v1/people": OPERATING,
    "GET /api/v1/people/{person_id}": OPERATING,
    "DELETE /api/v1/people/{person_id}": OPERATING,
    "POST /api/v1/verify": OPERATING,
    "POST /api/v1/identify": OPERATING,
    # the site
    "GET /api/v1/declaration": ANYONE,
    "GET /api/v1/models": ANYONE,
    # the ledger
    "GET /ledger/checkpoint": OPEN,
    "GET /ledger/tile/{level}/{path:path}": OPEN,
    "GET /api/v1/ledger/checkpoint": ANYONE,
    "GET /api/v1/ledger/entries": AUDITING,
    "GET /api/v1/ledger/entries/{seq}/proof": AUDITING,
    # pages
    "GET /": VIEWING,
    "GET /approvals": OPERATING,
    "GET /audit": AUDITING,
    "GET /favicon.ico": ANYONE,
    "GET /console/{file}": ANYONE,
    "GET /_nicegui/{path:path}": ANYONE,
    "GET /_nicegui_ws/{path:path}": ANYONE,
    "POST /_nicegui_ws/{path:path}": ANYONE,
    f"{WEBSOCKET} /_nicegui_ws/{{path:path}}": ANYONE,
}
"""Method and path template of every route, and the roles that may use it. `GET` holds for `HEAD` too."""

IN_PERSON: Final[frozenset[str]] = frozenset(
    {
        "DELETE /api/v1/session",
        "PUT /api/v1/me/password",
        "GET /api/v1/me/sessions",
        "DELETE /api/v1/me/sessions/{session_id}",
        "POST /api/v1/me/totp",
        "POST /api/v1/me/totp/confirm",
        "GET /api/v1/tokens",
        "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/{token_id}",
        "POST /api/v1/approvals",
        "POST /api/v1/approvals/{approval_id}/agree",
        "POST /api/v1/approvals/{approval_id}/refuse",
        "POST /api/v1/approvals/{approval_id}/result",
        "GET /api/v1/sightings/{sighting_id}/confirmations",
        "POST /api/v1/sightings/{sighting_id}/confirmations",
        "GET /api/v1/users",
        "POST /api/v1/users",
        "PATCH /api/v1/users/{user_id}",
        "DELETE /api/v1/users/{user_id}",
    }
)
"""Routes of the API that no token of a program reaches: what a person must do who has signed in."""

WITHOUT_TOTP: Final[frozenset[str]] = frozenset(
    {
        "DELETE /api/v1/session",
        "POST /logout",
        "GET /api/v1/me",
        "PUT /api/v1/me/password",
        "POST /api/v1/me/totp",
        "POST /api/v1/me/totp/confirm",
        "GET /account",
        "POST /account/totp",
        "POST /account/totp/confirm",
        "POST /account/password",
    }
)
"""All that someone can reach whose role needs an authenticator app and who has none yet."""

ACCOUNT: Final = "/account"
HOME: Final[dict[Role, str]] = {"viewer": "/", "operator": "/", "admin": "/", "auditor": "/audit"}
"""The page that each role begins with."""

_API = "/api/v1/"
_REACH: Final[dict[Scope, Role]] = {
    "view": "viewer",
    "operate": "operator",
    "audit": "auditor",
    "run": "admin",
}
_SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "operate"}),
    "auditor": frozenset({"audit"}),
    "admin": frozenset(get_args(Scope)),
}
_PARAMETER = re.compile(r"\\\{[a-z_]+(?P<rest>:path)?\\\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def row_for(method: str, path: str) -> str | None:
    """The row of `ACCESS` that decides about a request; None if there is none.

    Args:
        method: An HTTP method in capitals, or `WEBSOCKET`.
        path: Of the request, percent-decoded.
    """
    wanted = "GET" if method == "HEAD" else method
    return next((row for row in _rows_at(path) if row.startswith(f"{wanted} ")), None)


def methods_at(path: str) -> frozenset[str]:
    """The methods that `path` knows; empty if it is none."""
    return frozenset(row.split(" ", 1)[0] for row in _rows_at(path))


def for_programs(row: str) -> bool:
    """Whether a token of a program can reach a row at all: routes of the API, but those `IN_PERSON`."""
    return row.split(" ", 1)[1].startswith(_API) and row not in IN_PERSON


def scopes_of(role: Role) -> frozenset[Scope]:
    """The scopes that a user of `role` may give to a token."""
    return _SCOPES[role]


def reach_of(scopes: frozenset[Scope]) -> Access:
    """The roles as far as which `scopes` reach."""
    return frozenset(_REACH[scope] for scope in scopes)


def role_of(name: str) -> Role:
    """The role called `name`.

    Raises:
        DataDamaged: there is none of that name.
    """
    for role in get_args(Role):
        if role == name:
            found: Role = role
            return found
    raise DataDamaged(f"a user has the role “{name}”, which does not exist", "Restore a backup")


def _rows_at(path: str) -> Iterator[str]:
    """Rows whose template fits `path`, those without a parameter first.

    A path with a control character fits none: the router would take a newline at its end for nothing, so
    that it and this table could mean different routes.
    """
    if _CONTROL.search(path):
        return
    for row, pattern in _PATTERNS:
        if pattern.fullmatch(path):
            yield row


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(lambda found: ".*" if found["rest"] else "[^/]+", re.escape(template)))


_PATTERNS = [
    (row, _pattern(row.split(" ", 1)[1]))
    for row in sorted(ACCESS, key=lambda row: (row.count(":path}"), row.count("{")))
]
