"""What is overdue for review, and the entry in the ledger that says so once for each day that was missed."""

from __future__ import annotations

from datetime import UTC, datetime

from consentry.ledger.entry import Event, Payload
from consentry.people.cameras import Camera, list_cameras, why_overdue
from consentry.people.declaration import Declared, current_declaration
from consentry.people.site import Site

_DAY_S = 86_400.0


def note_overdue(site: Site, *, actor: str) -> None:
    """Log each camera, and the declaration, whose review is overdue, unless that was logged before."""
    today = site.today()
    for camera in list_cameras(site):
        if why_overdue(camera, today):
            due = camera.review_due_on.isoformat() if camera.review_due_on else None
            _note(site, Event.CAMERA_OVERDUE, {"camera": camera.name, "review_due_on": due}, actor)
    declared = current_declaration(site)
    if declared is not None and today > declared.declaration.review_due_on:
        due = declared.declaration.review_due_on.isoformat()
        _note(site, Event.SITE_REVIEW_DUE, {"review_due_on": due}, actor)


def reviewed_until_unix_s(declared: Declared, camera: Camera | None) -> float:
    """The first moment at which the review of a declaration, or of a camera, is overdue."""
    days = [declared.declaration.review_due_on]
    if camera is not None and camera.review_due_on is not None:
        days.append(camera.review_due_on)
    last = min(days)
    return datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp() + _DAY_S


def _note(site: Site, event: Event, payload: Payload, actor: str) -> None:
    with site.read() as session:
        if site.ledger.has(session.connection(), event, payload):
            return
    with site.write() as session:
        site.log(session, event, actor=actor, payload=payload)
