"""The template key: changing it while cameras run."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from consentry.people.rekey import rotate_keys
from consentry.server.services import Asking, Behind

routes = APIRouter(tags=["keys"])


class KeysRotated(BaseModel):
    """All templates are under a new rotation, and the old one's seed is destroyed."""

    version: int
    people: int
    templates: int
    ledger_seq: int


@routes.post("/keys/rotate")
def rotate(asking: Asking, behind: Behind) -> KeysRotated:
    """Change the template key. Nobody enrols anew; what leaked under the old key becomes worthless."""
    report = rotate_keys(behind.site, actor=asking.user.actor)
    return KeysRotated(
        version=report.version,
        people=report.people,
        templates=report.templates,
        ledger_seq=report.ledger_seq,
    )
