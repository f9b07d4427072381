"""A furnished server and everybody who may come to it, for the attacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.security.schema_attack import Report, Visitor, attack
from tests.unit.people.kit import enrolled
from tests.unit.server.kit import Running, running

from consentry.server.guard import COOKIE

PERSON = "Wilhelmina Quitzow"


@contextmanager
def furnished(folder: Path) -> Iterator[Running]:
    """A declared server with somebody enrolled; it has no camera, so that no answer is endless."""
    with running(folder, declared=True) as it:
        enrolled(it.site, 1, PERSON)
        yield it


def visitors(it: Running) -> list[Visitor]:
    """Somebody of each role, and nobody."""
    return [
        Visitor("owner", "admin", lambda: {"Cookie": f"{COOKIE}={it.services.sessions.open('owner')}"}),
        Visitor("nobody", None, dict),
    ]


def attacked(it: Running, visitor: Visitor, *, examples: int) -> Report:
    """What comes of an attack on all operations."""
    return attack(
        it.address,
        visitor,
        document=document(it),
        secrets={PERSON: "GET /api/v1/people"},
        examples=examples,
    )


def document(it: Running) -> dict[str, Any]:
    """The server's OpenAPI document."""
    with it.owner() as owner:
        found: dict[str, Any] = owner.get("/api/v1/openapi.json").json()
    return found
