"""People: who is enrolled, enrolling, withdrawing; comparing 1:1; and searching 1:N once it is declared."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from consentry.clock import iso_utc
from consentry.errors import ConsentInvalid, UsageError
from consentry.gallery.calibration import load_calibration
from consentry.gallery.rounding import rounded
from consentry.gallery.verify import the_face, verify
from consentry.people.consent import parse_consent
from consentry.people.declaration import require_declared
from consentry.people.enrol import enrol, require_enrolment_consent
from consentry.people.erase import ErasureReport, withdraw
from consentry.people.receipts import Terms, issue_erasure_receipt
from consentry.people.roster import Person, gallery_snapshot, list_people, show_person
from consentry.pipeline.roster import ANYWHERE, Roster
from consentry.server.services import Asking, Behind, Services, SignedIn
from consentry.server.uploads import MOST_PHOTOS, form_of, photos, text_field, with_form
from consentry.types import Outcome

_MS_PER_S = 1000

routes = APIRouter(tags=["people"])


class ConsentOut(BaseModel):
    """What someone agreed to."""

    id: str
    purpose: str
    state: str
    valid_from: datetime
    valid_until: datetime
    may_be_shown: bool
    cameras: list[str] | None
    is_demo: bool


class PersonOut(BaseModel):
    """Someone enrolled.

    `why_not_live` says why no consent is in force now, `photos_refused` why they have no photo; both are null
    if all is well. From `expires` on nothing of them is kept, unless they are seen before.
    """

    id: str
    name: str
    enrolled: str
    photos: int
    templates: int
    consents: list[ConsentOut]
    why_not_live: str | None
    photos_refused: str | None
    last_seen: str
    expires: str | None


class PhotoOut(BaseModel):
    """How good a photo was for enrolment, in [0, 1]."""

    photo: str
    quality: float | None


class Enrolled(BaseModel):
    """Someone has been enrolled."""

    person_id: str
    consent_id: str
    ledger_seq: int
    photos: list[PhotoOut]
    receipt: dict[str, Any]
    link: Annotated[str, Field(repr=False)]


class Withdrawn(BaseModel):
    """Someone has been erased, and a scan of the data folder found nothing readable of them."""

    person_id: str
    ledger_seq: int
    templates: int
    photos: int
    sightings_unnamed: int
    files_scanned: int
    receipt: dict[str, Any]


class Compared(BaseModel):
    """Whether two photos show one person, decided before `score` was rounded: a cosine, no probability."""

    match: bool
    score: float
    threshold: float
    fmr_target: float
    quality: tuple[float, float]
    calibration: str


class Searched(BaseModel):
    """Who among those enrolled a photo shows, decided before `score` and `margin` were rounded."""

    decision: Outcome
    person: PersonOut | None
    score: float | None
    margin: float | None
    threshold: float
    reason: str
    references: int
    model: str
    calibration: str
    gallery_digest: str


@routes.get("/people")
def people(asking: Asking, behind: Behind) -> list[PersonOut]:
    """Everyone enrolled."""
    behind.views.opened(asking.user, asking.session_token, "people")
    return [_person(person, behind) for person in list_people(behind.site)]


@routes.post("/people", status_code=201, openapi_extra=form_of("name", "consent", photos=(1, MOST_PHOTOS)))
async def enrol_person(request: Request, asking: Asking, behind: Behind) -> Enrolled:
    """Enrol someone. Form fields: `name`; `consent`, the JSON of docs/consent.md; `photo`, once or more.

    With the field `keep_refused`, `true`, someone whose photos cannot be used is kept without any: the
    answer is the same error, and says where their page is.
    """
    return await with_form(request, lambda form: _enrol(form, asking, behind))


@routes.get("/people/{person_id}")
def person(person_id: str, asking: Asking, behind: Behind) -> PersonOut:
    """One person; every view is logged."""
    return _person(show_person(behind.site, person_id, actor=asking.user.actor), behind)


@routes.delete("/people/{person_id}")
def withdraw_person(person_id: str, asking: Asking, behind: Behind) -> Withdrawn:
    """Withdraw someone's consent: key, photos and templates are destroyed, sightings lose the name."""
    report = withdraw(behind.site, person_id, reason="asked", actor=asking.user.actor)
    return withdrawn(report, issue_erasure_receipt(behind.site, report, actor=asking.user.actor))


def withdrawn(report: ErasureReport, receipt: bytes) -> Withdrawn:
    """An erasure as the API tells of it."""
    return Withdrawn(
        person_id=report.person_id,
        ledger_seq=report.ledger_seq,
        templates=report.templates,
        photos=report.photos,
        sightings_unnamed=report.sightings,
        files_scanned=report.files_scanned,
        receipt=json.loads(receipt),
    )


@routes.post("/verify", openapi_extra=form_of(photos=(2, 2)))
async def verify_photos(request: Request, asking: Asking, behind: Behind) -> Compared:
    """Compare two photos, 1:1. Form field: `photo`, twice. Needs no declaration.

    Nothing of the photos is kept; that they were compared is logged.
    """
    return await with_form(request, lambda form: _verify(form, asking, behind))


@routes.post("/identify", openapi_extra=form_of(photos=(1, 1)))
async def identify_photo(
    request: Request, asking: Asking, behind: Behind, purpose: str | None = None
) -> Searched:
    """Search one photo among those who consented to a declared purpose, 1:N. Form field: `photo`.

    The photo is not kept; that a search was made is logged. People whose consent holds for certain
    cameras only are left out. Without a purpose, the first declared one is meant.
    """
    return await with_form(request, lambda form: _identify(form, asking, behind, purpose))


def _enrol(form: FormData, asking: SignedIn, behind: Services) -> Enrolled:
    consent = parse_consent(text_field(form, "consent").encode(), "the field `consent`")
    if consent.is_demo:
        raise ConsentInvalid("the consent calls itself a demo", "Only `consentry demo` makes such a record")
    name = text_field(form, "name")
    require_enrolment_consent(behind.site, consent, name)
    sent = photos(form, "photo", max_pixels=behind.settings.media.max_pixels)
    behind.searches.begin(asking.user, "enrol", photos=len(sent))
    result = enrol(
        behind.site,
        behind.analyser,
        name=name,
        photos=sent,
        consent=consent,
        actor=asking.user.actor,
        keep_refused=form.get("keep_refused") == "true",
        terms=Terms.of(behind.settings),
    )
    return Enrolled(
        person_id=result.person_id,
        consent_id=result.consent_id,
        ledger_seq=result.ledger_seq,
        photos=[PhotoOut(photo=report.label, quality=report.quality) for report in result.photos],
        receipt=json.loads(result.receipt),
        link=result.link,
    )


def _verify(form: FormData, asking: SignedIn, behind: Services) -> Compared:
    both = photos(form, "photo", max_pixels=behind.settings.media.max_pixels)
    if len(both) != 2:
        raise UsageError(f"{len(both)} photos were given, 2 are compared", "Send the field `photo` twice")
    behind.searches.begin(asking.user, "verify", photos=2)
    faces = [the_face(behind.analyser, photo.bgr, photo.label) for photo in both]
    result = verify(faces[0], faces[1], load_calibration(behind.analyser.recogniser_sha256))
    return Compared(
        match=result.match,
        score=rounded(result.score),
        threshold=result.threshold,
        fmr_target=result.fmr_target,
        quality=result.quality,
        calibration=result.calibration,
    )


def _identify(form: FormData, asking: SignedIn, behind: Services, purpose: str | None) -> Searched:
    declared = require_declared(behind.site, purpose)
    wanted = purpose or declared.declaration.purposes[0]
    sent = photos(form, "photo", max_pixels=behind.settings.media.max_pixels)
    if len(sent) != 1:
        raise UsageError(f"{len(sent)} photos were given, 1 is searched", "Send the field `photo` once")
    behind.searches.begin(asking.user, "identify", photos=1, purpose=wanted)
    face = the_face(behind.analyser, sent[0].bgr, sent[0].label)
    sha256, now_unix_s = behind.analyser.recogniser_sha256, behind.clock.unix_s()
    references = gallery_snapshot(
        behind.site,
        purpose=wanted,
        recogniser_sha256=sha256,
        at_unix_s=now_unix_s,
        retention=behind.settings.retention,
    )
    roster = Roster(references, place=ANYWHERE, calibration=load_calibration(sha256))
    probe = roster.probes(face.template)
    found = roster.gallery.decide(probe, frames=1, quality=face.quality, policy=behind.settings.recognition)
    known = show_person(behind.site, found.person_id, actor=asking.user.actor) if found.person_id else None
    return Searched(
        decision=found.outcome,
        person=_person(known, behind) if known else None,
        score=rounded(found.score),
        margin=rounded(found.margin),
        threshold=found.threshold,
        reason=found.reason,
        references=found.references,
        model=found.model_sha256,
        calibration=found.calibration,
        gallery_digest=found.gallery_digest,
    )


def _person(person: Person, behind: Services) -> PersonOut:
    expires_unix_s = person.expires_unix_s(behind.settings.retention)
    return PersonOut(
        id=person.id,
        name=person.name,
        enrolled=iso_utc(person.enrolled_unix_ms / _MS_PER_S),
        photos=person.photos,
        templates=person.templates,
        why_not_live=person.why_not_live,
        photos_refused=person.refusal,
        last_seen=iso_utc(person.last_seen_unix_ms / _MS_PER_S),
        expires=iso_utc(expires_unix_s) if math.isfinite(expires_unix_s) else None,
        consents=[
            ConsentOut(
                id=consent_id,
                purpose=record.purpose,
                state=record.state,
                valid_from=record.valid_from,
                valid_until=record.valid_until,
                may_be_shown=record.may_be_shown,
                cameras=sorted(record.scope.cameras) if record.scope.cameras is not None else None,
                is_demo=record.is_demo,
            )
            for consent_id, record in zip(person.consent_ids, person.consents, strict=True)
        ],
    )
