"""A furnished server and everybody who may come to it, for the attacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args

from tests.security.schema_attack import Report, Visitor, attack
from tests.unit.people.kit import enrolled
from tests.unit.server.kit import Running, running

from consentry.server.access import Role, scopes_of
from consentry.server.guard import COOKIE
from consentry.server.tokens import make_token

PERSON = "Wilhelmina Quitzow"
USER = "quartermaster"
NOBODY = "nobody"
VISITORS: Final = (*get_args(Role), *(f"{role}'s program" for role in get_args(Role)), NOBODY)


@contextmanager
def furnished(folder: Path) -> Iterator[Running]:
    """A declared server with somebody enrolled; it has no camera, so that no answer is endless."""
    with running(folder, declared=True) as it:
        enrolled(it.site, 1, PERSON)
        it.user("viewer", USER)
        yield it


def visitor(it: Running, name: str) -> Visitor:
    """Who comes: somebody of a role, a program with a token that reaches as far as they do, or nobody."""
    if name == NOBODY:
        return Visitor(name, None, dict)
    role = next(role for role in get_args(Role) if name.startswith(role))
    user = it.user(role)
    if name == role:
        return Visitor(name, role, lambda: {"Cookie": f"{COOKIE}={it.session(it.user(role))}"})
    _, secret = make_token(it.site, user, label="test", scopes=scopes_of(role), days=1)
    return Visitor(name, role, lambda: {"Authorization": f"Bearer {secret}"}, is_program=True)


def attacked(it: Running, name: str, *, examples: int, document: dict[str, Any] | None = None) -> Report:
    """What comes of an attack on all operations, those of `document` if it is given."""
    return attack(
        it.address,
        visitor(it, name),
        document=document or document_of(it),
        secrets={PERSON: "GET /api/v1/people", USER: "GET /api/v1/users"},
        examples=examples,
    )


def document_of(it: Running) -> dict[str, Any]:
    """The server's OpenAPI document."""
    with it.owner() as owner:
        found: dict[str, Any] = owner.get("/api/v1/openapi.json").json()
    return found
