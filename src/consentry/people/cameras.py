"""The camera inventory: names, purposes and addresses, the addresses sealed because they hold passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from sqlalchemy import delete, select

from consentry.errors import NotFound, UsageError
from consentry.ledger.entry import Event, Payload
from consentry.media import check_source
from consentry.people.declaration import MAX_REVIEW_PERIOD, current_declaration
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.store.schema import CameraRow
from consentry.types import redact_url

_NAME = re.compile(r"[\w][\w .-]{0,63}")


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of the inventory.

    Attributes:
        name: Unique: letters, digits, `_`, `-`, `.` and spaces, 64 at most.
        url_redacted: Its address without password and query values, safe to show.
        purpose: What it is there for; 1:N recognition on it needs the same purpose to be declared.
        added_unix_ms: When it was added.
        owner: Who answers for it.
        review_due_on: From the day after, it neither recognises nor records; None: at once.
        zone: Named place it stands in, which consents can be limited to.
    """

    name: str
    url_redacted: str
    purpose: str
    added_unix_ms: int
    owner: str
    review_due_on: date | None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class CameraDuty:
    """What a camera is there for and who looks at that again, and when.

    Attributes:
        purpose: See `Camera`.
        owner: See `Camera`.
        review_due_on: Within three years.
    """

    purpose: str
    owner: str
    review_due_on: date


@dataclass(frozen=True, slots=True)
class CameraReview:
    """What changes when someone looks at a camera again; None leaves a thing as it is.

    Attributes:
        purpose, owner: See `Camera`.
        review_due_on: Within three years.
        zone: Named place; empty for none.
    """

    purpose: str | None = None
    owner: str | None = None
    review_due_on: date | None = None
    zone: str | None = None


def add_camera(
    site: Site, *, name: str, url: str, duty: CameraDuty, zone: str | None = None, actor: str
) -> Camera:
    """Add a camera, and log it.

    Args:
        url: Its address; a password in it is sealed with the site key.
        duty: Purpose, owner and review: no camera without them.
        zone: Named place it stands in.

    Raises:
        UsageError: the name is malformed or taken, `url` is of no form that can be opened, purpose or owner
            is empty, or the review is not due within the next three years.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"“{redact_url(name)}” cannot name a camera",
            "Use up to 64 letters, digits, spaces, `_`, `-` or `.`",
        )
    check_source(url)
    _check_duty(site, duty)
    camera = Camera(
        name=name,
        url_redacted=redact_url(url),
        purpose=duty.purpose.strip(),
        added_unix_ms=site.now_unix_ms(),
        owner=duty.owner.strip(),
        review_due_on=duty.review_due_on,
        zone=zone,
    )
    with site.write() as session:
        if session.get(CameraRow, name) is not None:
            raise UsageError(f"there is a camera “{name}” already", "Remove it first, or use another name")
        session.add(
            CameraRow(
                name=camera.name,
                url_redacted=camera.url_redacted,
                sealed_url=site.key.seal(url.encode(), Kind.CAMERA_URL, name),
                purpose=camera.purpose,
                added_unix_ms=camera.added_unix_ms,
                owner=camera.owner,
                review_due_on=duty.review_due_on.isoformat(),
                zone=camera.zone,
            )
        )
        site.log(session, Event.CAMERA_ADDED, actor=actor, payload=_duty_payload(camera))
    return camera


def review_camera(site: Site, name: str, review: CameraReview, *, actor: str) -> Camera:
    """Look at a camera again: change what is to change, and log it. An overdue one goes on from then.

    Raises:
        NotFound: no such camera.
        UsageError: purpose or owner is empty, or the review is then not due within the next three years.
    """
    with site.write() as session:
        row = session.get(CameraRow, name)
        if row is None:
            raise _no_camera(name)
        before = _camera(row)
        due = review.review_due_on or before.review_due_on
        if due is None:
            raise UsageError(f"camera “{name}” has no day of review yet", "Give the day of the next one")
        duty = CameraDuty(
            purpose=before.purpose if review.purpose is None else review.purpose,
            owner=before.owner if review.owner is None else review.owner,
            review_due_on=due,
        )
        _check_duty(site, duty)
        row.purpose, row.owner = duty.purpose.strip(), duty.owner.strip()
        row.review_due_on = due.isoformat()
        if review.zone is not None:
            row.zone = review.zone.strip() or None
        after = _camera(row)
        site.log(session, Event.CAMERA_REVIEWED, actor=actor, payload=_duty_payload(after))
    return after


def why_overdue(camera: Camera, today: date) -> str:
    """Why a camera neither recognises nor records, with the mend; empty if its review is not overdue.

    Args:
        today: In UTC.
    """
    due = camera.review_due_on
    if due is not None and today <= due:
        return ""
    since = f"its review was due on {due.isoformat()}" if due is not None else "it was never reviewed"
    return f"{since}: it is off until the next one is set (consentry camera review)"


def find_camera(site: Site, name: str) -> Camera | None:
    """The camera of that name, if the inventory has one."""
    with site.read() as session:
        row = session.get(CameraRow, name)
        return _camera(row) if row is not None else None


def duty_of(site: Site, *, purpose: str, owner: str | None, review_due_on: date | None) -> CameraDuty:
    """The duty of a camera, with owner and review taken from the declaration where they are not given.

    Raises:
        UsageError: one is not given, and there is no declaration.
    """
    declared = current_declaration(site)
    owner = owner or (declared.declaration.controller if declared else None)
    review_due_on = review_due_on or (declared.declaration.review_due_on if declared else None)
    if owner is None or review_due_on is None:
        raise UsageError(
            "a camera needs an owner and the day of its next review",
            "Give both, or declare first with `consentry declare FILE`: then they are taken from there",
        )
    return CameraDuty(purpose, owner, review_due_on)


def list_cameras(site: Site) -> list[Camera]:
    """All cameras by name."""
    with site.read() as session:
        rows = session.scalars(select(CameraRow).order_by(CameraRow.name)).all()
        return [_camera(row) for row in rows]


def camera_url(site: Site, name: str) -> str:
    """The address to open, with its password: never print it.

    Raises:
        NotFound: no such camera.
        DataDamaged: it does not open.
    """
    with site.read() as session:
        row = session.get(CameraRow, name)
        if row is None:
            raise _no_camera(name)
        return site.key.open(row.sealed_url, Kind.CAMERA_URL, name).decode()


def remove_camera(site: Site, name: str, *, actor: str) -> None:
    """Take a camera out of the inventory, and log it. Its sightings stay.

    Raises:
        NotFound: no such camera.
    """
    with site.write() as session:
        if session.get(CameraRow, name) is None:
            raise _no_camera(name)
        session.execute(delete(CameraRow).where(CameraRow.name == name))
        site.log(session, Event.CAMERA_REMOVED, actor=actor, payload={"camera": name})


def _camera(row: CameraRow) -> Camera:
    return Camera(
        name=row.name,
        url_redacted=row.url_redacted,
        purpose=row.purpose,
        added_unix_ms=row.added_unix_ms,
        owner=row.owner,
        review_due_on=date.fromisoformat(row.review_due_on) if row.review_due_on else None,
        zone=row.zone,
    )


def _duty_payload(camera: Camera) -> Payload:
    return {
        "camera": camera.name,
        "purpose": camera.purpose,
        "owner": camera.owner,
        "review_due_on": camera.review_due_on.isoformat() if camera.review_due_on else None,
        "zone": camera.zone,
    }


def _check_duty(site: Site, duty: CameraDuty) -> None:
    if not duty.purpose.strip():
        raise UsageError("a camera needs a purpose", "Say what it is there for")
    if not duty.owner.strip():
        raise UsageError("a camera needs an owner", "Say who answers for it")
    today = site.today()
    if not today < duty.review_due_on <= today + MAX_REVIEW_PERIOD:
        raise UsageError(
            f"the review is due on {duty.review_due_on.isoformat()}, not within the next three years",
            "Set the day by which you will look at this camera again",
        )


def _no_camera(name: str) -> NotFound:
    return NotFound(f"there is no camera “{name}”", "See `consentry camera list`")
