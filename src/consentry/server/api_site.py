"""What an auditor asks first: the declaration, and the models in use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from consentry.clock import iso_utc
from consentry.errors import NotDeclared
from consentry.models.catalogue import Catalogue
from consentry.people.declaration import current_declaration, require_declared
from consentry.server.services import Behind

_MS_PER_S = 1000

routes = APIRouter(tags=["site"])


class DeclarationOut(BaseModel):
    """The newest declaration. `in_force` is false, with the reason, when there is none or it is overdue."""

    in_force: bool
    reason: str
    is_demo: bool
    made: str | None
    declaration: dict[str, Any] | None


class ModelOut(BaseModel):
    """A model of the pack in use."""

    name: str
    kind: str
    sha256: str
    licence: str
    training_data: str
    limits: str
    groups_measured: str


@routes.get("/declaration")
def declaration(behind: Behind) -> DeclarationOut:
    """What this site recognises people for, and whether it may."""
    newest = current_declaration(behind.site)
    reason = ""
    try:
        require_declared(behind.site)
    except NotDeclared as error:
        reason = error.cause
    return DeclarationOut(
        in_force=not reason,
        reason=reason,
        is_demo=newest.is_demo if newest else False,
        made=iso_utc(newest.made_unix_ms / _MS_PER_S) if newest else None,
        declaration=newest.declaration.model_dump(mode="json") if newest else None,
    )


@routes.get("/models")
def models(behind: Behind) -> list[ModelOut]:
    """The models in use, with hash and licence."""
    return [
        ModelOut(
            name=entry.name,
            kind=entry.kind,
            sha256=entry.sha256,
            licence=entry.licence,
            training_data=entry.training_data,
            limits=entry.limits,
            groups_measured=entry.groups_measured,
        )
        for entry in Catalogue.load().pack(behind.settings.vision.pack)
    ]
