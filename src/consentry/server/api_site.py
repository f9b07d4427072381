"""What an auditor asks first: the declaration, and the models in use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from consentry.clock import iso_utc
from consentry.models.catalogue import Catalogue
from consentry.people.declaration import (
    Declaration,
    current_declaration,
    declare,
    parse_declaration,
    reason_not_in_force,
)
from consentry.server.services import Asking, Behind

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
    newest, reason = current_declaration(behind.site), reason_not_in_force(behind.site)
    return DeclarationOut(
        in_force=not reason,
        reason=reason,
        is_demo=newest.is_demo if newest else False,
        made=iso_utc(newest.made_unix_ms / _MS_PER_S) if newest else None,
        declaration=newest.declaration.model_dump(mode="json") if newest else None,
    )


@routes.put(
    "/declaration",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": Declaration.model_json_schema()}},
        }
    },
)
async def put_declaration(request: Request, asking: Asking, behind: Behind) -> DeclarationOut:
    """Declare what this site recognises people for; in force at once, in place of the one before.

    Raises:
        FieldsInvalid: says of each field what is wrong with it.
        UsageError: this is a demo's folder.
    """
    # strict JSON: no number passes for a text
    new = parse_declaration(await request.body(), today=behind.site.today())
    await run_in_threadpool(declare, behind.site, new, actor=asking.user.actor)
    return await run_in_threadpool(declaration, behind)


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
