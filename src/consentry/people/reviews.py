"""What is overdue for review, and the entry in the ledger that says so once for each day that was missed."""

from __future__ import annotations

from consentry.ledger.entry import Event, Payload
from consentry.people.cameras import list_cameras, why_overdue
from consentry.people.declaration import current_declaration
from consentry.people.site import Site


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


def _note(site: Site, event: Event, payload: Payload, actor: str) -> None:
    with site.read() as session:
        if site.ledger.has(session.connection(), event, payload):
            return
    with site.write() as session:
        site.log(session, event, actor=actor, payload=payload)
