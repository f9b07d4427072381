"""Consents and photos after enrolment, refusals, and the receipts of all of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from consentry.errors import ConsentInvalid
from consentry.people.consent import ConsentRecord, parse_consent
from consentry.people.consents import add_consent, record_refusal, withdraw_consent
from consentry.people.enrol import add_photos
from consentry.people.receipts import Terms, receipts_of
from consentry.people.roster import show_person
from consentry.server.api_people import PhotoOut, Withdrawn, withdrawn
from consentry.server.services import Asking, Behind, Services, SignedIn
from consentry.server.uploads import MOST_PHOTOS, form_of, photos, with_form

_RECORD = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}

routes = APIRouter(tags=["consents"])


class ConsentAdded(BaseModel):
    """Someone agreed to something more."""

    consent_id: str
    ledger_seq: int
    receipt: dict[str, Any]
    link: Annotated[str, Field(repr=False)]


class ConsentEnded(BaseModel):
    """Someone took one consent back; `erased` is null if another one is in force."""

    receipt: dict[str, Any]
    erased: Withdrawn | None


class Refused(BaseModel):
    """Somebody said no, and nothing of them was kept."""

    receipt: dict[str, Any]


class PhotosAdded(BaseModel):
    """Someone has more photos."""

    ledger_seq: int
    photos: list[PhotoOut]


@routes.post("/people/{person_id}/consents", status_code=201, openapi_extra=_RECORD)
async def add_consent_of(person_id: str, request: Request, asking: Asking, behind: Behind) -> ConsentAdded:
    """Keep another consent of someone enrolled: to a second purpose, or a renewal. Body: the record, JSON."""
    record = _record(await request.body())
    added = await run_in_threadpool(
        add_consent, behind.site, person_id, record, asking.user.actor, terms=Terms.of(behind.settings)
    )
    return ConsentAdded(
        consent_id=added.consent_id,
        ledger_seq=added.ledger_seq,
        receipt=json.loads(added.receipt),
        link=added.link,
    )


@routes.delete("/people/{person_id}/consents/{consent_id}")
def withdraw_consent_of(person_id: str, consent_id: str, asking: Asking, behind: Behind) -> ConsentEnded:
    """Take back one consent; without another one in force, the person is erased."""
    ended = withdraw_consent(
        behind.site, person_id, consent_id, asking.user.actor, terms=Terms.of(behind.settings)
    )
    return ConsentEnded(
        receipt=json.loads(ended.receipt),
        erased=withdrawn(ended.erasure, ended.erasure_receipt) if ended.erasure else None,
    )


@routes.post("/people/{person_id}/photos", status_code=201, openapi_extra=form_of(photos=(1, MOST_PHOTOS)))
async def add_photos_of(person_id: str, request: Request, asking: Asking, behind: Behind) -> PhotosAdded:
    """Give someone more photos, or the first that can be used. Form field: `photo`, once or more."""
    return await with_form(request, lambda form: _add_photos(person_id, form, asking, behind))


@routes.get("/people/{person_id}/receipts")
def receipts(person_id: str, asking: Asking, behind: Behind) -> list[dict[str, Any]]:
    """Someone's receipts, newest first; every view is logged."""
    show_person(behind.site, person_id, actor=asking.user.actor)
    return [json.loads(content) for content in receipts_of(behind.site, person_id)]


@routes.post("/refusals", status_code=201, openapi_extra=_RECORD)
async def note_refusal(request: Request, asking: Asking, behind: Behind) -> Refused:
    """Note that somebody refused, without keeping who. Body: the record, JSON, its state `refused`."""
    record = _record(await request.body())
    content = await run_in_threadpool(
        record_refusal, behind.site, record, asking.user.actor, terms=Terms.of(behind.settings)
    )
    return Refused(receipt=json.loads(content))


def _record(content: bytes) -> ConsentRecord:
    record = parse_consent(content, "the request")
    if record.is_demo:
        raise ConsentInvalid("the consent calls itself a demo", "Only `consentry demo` makes such a record")
    return record


def _add_photos(person_id: str, form: FormData, asking: SignedIn, behind: Services) -> PhotosAdded:
    added = add_photos(
        behind.site,
        behind.analyser,
        person_id,
        photos(form, "photo", max_pixels=behind.settings.media.max_pixels),
        actor=asking.user.actor,
        terms=Terms.of(behind.settings),
    )
    return PhotosAdded(
        ledger_seq=added.ledger_seq,
        photos=[PhotoOut(photo=report.label, quality=report.quality) for report in added.photos],
    )
