"""What anyone may know of an installation: from live configuration and counts, without personal data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from consentry.clock import iso_utc
from consentry.config import Settings
from consentry.gallery.calibration import load_calibration
from consentry.people.cameras import Camera, list_cameras, why_overdue
from consentry.people.counts import SMALLEST_SHOWN, coarse, people_by_purpose, sightings_by_decision
from consentry.people.declaration import current_declaration, reason_not_in_force
from consentry.people.recognition_use import hours_by_camera
from consentry.people.requests import RequestKind, RequestOutcome, count_requests
from consentry.people.roster import Person
from consentry.people.site import Site
from consentry.store.schema import CosignatureRow
from consentry.types import Outcome

DAYS = 30
NOT_MEASURED = "not measured yet"
_FEWEST_REFERENCES_STATED = 10
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class PublicDeclaration:
    """Who answers for the recognition, what it is for, and on what ground."""

    purposes: tuple[str, ...]
    controller: str
    contact: str
    legal_basis: str
    notice: str
    notice_posted_at: str
    review_due_on: date


@dataclass(frozen=True, slots=True)
class PublicCamera:
    """A camera, without its address.

    `may_recognise` is false while its review or the declaration's is overdue, or its purpose not declared.
    `recognised_hours` is for how long it recognised people in the last 30 days.
    """

    name: str
    purpose: str
    owner: str
    zone: str | None
    review_due_on: date | None
    may_recognise: bool
    recognised_hours: float


@dataclass(frozen=True, slots=True)
class ErrorStatement:
    """What is known of the error: by calibration, for galleries of at most `up_to_references`.

    `threshold` is a cosine; `wanted_fpir` the share of strangers' tracks that may get a name by it.
    """

    calibration: str
    calibration_people: int
    recogniser_sha256: str
    wanted_fpir: float
    up_to_references: int
    threshold: float
    by_group: str


@dataclass(frozen=True, slots=True)
class WitnessStatement:
    """A witness of the ledger: the size of the log it last cosigned, and when it was asked."""

    name: str
    cosigned_size: int
    asked: str
    is_well: bool


@dataclass(frozen=True, slots=True)
class CheckpointStatement:
    """The newest signed checkpoint of the ledger and the key that verifies it."""

    checkpoint: str
    verifier_key: str
    witnesses: tuple[WitnessStatement, ...]


@dataclass(frozen=True, slots=True)
class Transparency:
    """The whole page. A count of people or sightings that is null is below `suppressed_below`."""

    made: str
    in_force: bool
    why_not: str
    declaration: PublicDeclaration | None
    cameras: tuple[PublicCamera, ...]
    days: int
    suppressed_below: int
    people_enrolled: dict[str, int | None]
    sightings: dict[Outcome, int | None]
    errors: ErrorStatement
    requests: dict[RequestKind, dict[RequestOutcome, int]]
    ledger: CheckpointStatement


def transparency(
    site: Site, settings: Settings, *, people: Sequence[Person], recogniser_sha256: str
) -> Transparency:
    """The page as of now.

    Args:
        settings: In force.
        people: Everyone enrolled; only counted.
        recogniser_sha256: The recogniser in use.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
        BadConfig: there is no calibration for the recogniser.
    """
    why_not = reason_not_in_force(site)
    hours = hours_by_camera(site, since=site.today() - timedelta(days=DAYS - 1))
    enrolled = people_by_purpose(people, site.clock.unix_s())
    declaration = public_declaration(site)
    purposes = declaration.purposes if declaration is not None else ()
    return Transparency(
        made=iso_utc(site.clock.unix_s()),
        in_force=not why_not,
        why_not=why_not,
        declaration=declaration,
        cameras=tuple(_camera(site, one, hours.get(one.name, 0.0)) for one in list_cameras(site)),
        days=DAYS,
        suppressed_below=SMALLEST_SHOWN,
        people_enrolled={purpose: coarse(enrolled.get(purpose, 0)) for purpose in purposes},
        sightings={
            decision: coarse(count) for decision, count in sightings_by_decision(site, days=DAYS).items()
        },
        errors=_errors(settings, recogniser_sha256, references=sum(one.templates for one in people)),
        requests=count_requests(site),
        ledger=_ledger(site),
    )


def public_declaration(site: Site) -> PublicDeclaration | None:
    """The newest declaration, overdue or not; None if there never was one."""
    declared = current_declaration(site)
    if declared is None:
        return None
    now = declared.declaration
    return PublicDeclaration(
        purposes=now.purposes,
        controller=now.controller,
        contact=now.contact,
        legal_basis=now.legal_basis,
        notice=now.notice.text,
        notice_posted_at=now.notice.posted_at,
        review_due_on=now.review_due_on,
    )


def _camera(site: Site, camera: Camera, hours: float) -> PublicCamera:
    off = why_overdue(camera, site.today()) or reason_not_in_force(site, camera.purpose)
    return PublicCamera(
        name=camera.name,
        purpose=camera.purpose,
        owner=camera.owner,
        zone=camera.zone,
        review_due_on=camera.review_due_on,
        may_recognise=not off,
        recognised_hours=round(hours, 1),
    )


def _errors(settings: Settings, recogniser_sha256: str, *, references: int) -> ErrorStatement:
    """The threshold for the next power of ten of references: the exact one would tell how many there are."""
    calibration = load_calibration(recogniser_sha256)
    up_to = max(_FEWEST_REFERENCES_STATED, 10 ** math.ceil(math.log10(max(1, references))))
    return ErrorStatement(
        calibration=calibration.version,
        calibration_people=calibration.people,
        recogniser_sha256=recogniser_sha256,
        wanted_fpir=settings.recognition.fpir,
        up_to_references=up_to,
        threshold=calibration.identification_threshold(
            fpir=settings.recognition.fpir, templates=up_to, frames=settings.recognition.track_crops
        ),
        by_group=NOT_MEASURED,
    )


def _ledger(site: Site) -> CheckpointStatement:
    with site.read() as session:
        rows = session.scalars(select(CosignatureRow).order_by(CosignatureRow.witness)).all()
        return CheckpointStatement(
            checkpoint=site.ledger.checkpoint(session.connection()),
            verifier_key=str(site.ledger.verifier),
            witnesses=tuple(
                WitnessStatement(
                    name=row.witness,
                    cosigned_size=row.size,
                    asked=iso_utc(row.asked_unix_ms / _MS_PER_S),
                    is_well=not row.problem,
                )
                for row in rows
            ),
        )
