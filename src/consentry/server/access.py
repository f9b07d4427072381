"""Who may use which route: closed unless opened here. `docs/access.md` publishes this table.

A route that is not in `ACCESS` is closed to everyone; a test compares the table with the routes there are.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from consentry.errors import DataDamaged

Role = Literal["viewer", "operator", "auditor", "admin"]
"""What someone is here for.

- viewer: looks at redacted live pictures and sightings.
- operator: a viewer who enrols, withdraws, compares and searches.
- auditor: ledger, models, fairness, declaration; no pictures, no names of people.
- admin: an operator who also sets things up; sees what an auditor sees.
"""
Access = frozenset[Role]

OPEN: Final[Access] = frozenset()
"""Anyone, without signing in."""

ANYONE: Final[Access] = frozenset(get_args(Role))
VIEWING: Final[Access] = frozenset({"viewer", "operator", "admin"})
OPERATING: Final[Access] = frozenset({"operator", "admin"})
AUDITING: Final[Access] = frozenset({"auditor", "admin"})
RUNNING: Final[Access] = frozenset({"admin"})

ACCESS: Final[dict[str, Access]] = {
    # signing in
    "GET /api/v1/health": OPEN,
    "POST /api/v1/session": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "GET /demo-login": OPEN,
    "DELETE /api/v1/session": ANYONE,
    "POST /logout": ANYONE,
    "GET /api/v1/me": ANYONE,
    "GET /api/v1/openapi.json": ANYONE,
    # cameras and sightings
    "GET /api/v1/cameras": VIEWING | AUDITING,
    "GET /api/v1/cameras/{name}/live.jpg": VIEWING,
    "GET /api/v1/cameras/{name}/live.mjpg": VIEWING,
    "GET /api/v1/sightings": VIEWING,
    # people
    "GET /api/v1/people": OPERATING,
    "POST /api/v1/people": OPERATING,
    "GET /api/v1/people/{person_id}": OPERATING,
    "DELETE /api/v1/people/{person_id}": OPERATING,
    "POST /api/v1/people/{person_id}/consents": OPERATING,
    "DELETE /api/v1/people/{person_id}/consents/{consent_id}": OPERATING,
    "POST /api/v1/people/{person_id}/photos": OPERATING,
    "GET /api/v1/people/{person_id}/receipts": OPERATING,
    "POST /api/v1/refusals": OPERATING,
    "POST /api/v1/verify": OPERATING,
    "POST /api/v1/identify": OPERATING,
    # the site
    "GET /api/v1/declaration": ANYONE,
    "GET /api/v1/ledger/checkpoint": ANYONE,
    "GET /api/v1/models": ANYONE,
    # a person's own page: by personal link, and then by a cookie that each of these routes asks for
    "GET /my/{link_token}": OPEN,
    "GET /my": OPEN,
    "GET /my/photos/{number}": OPEN,
    "GET /my/receipts/{number}": OPEN,
    "GET /my/export.zip": OPEN,
    "GET /my/withdraw": OPEN,
    "POST /my/withdraw": OPEN,
    "POST /my/name": OPEN,
    "POST /my/photos": OPEN,
    "POST /my/leave": OPEN,
    # pages
    "GET /": ANYONE,
    "GET /console/{file}": ANYONE,
    "GET /_nicegui/{path:path}": ANYONE,
}
"""Method and path template of every route, and the roles that may use it."""


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
