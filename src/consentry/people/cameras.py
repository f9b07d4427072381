"""The camera inventory: names, purposes and addresses, the addresses sealed because they hold passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import delete, select

from consentry.errors import NotFound, UsageError
from consentry.ledger.entry import Event
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
    """

    name: str
    url_redacted: str
    purpose: str
    added_unix_ms: int


def add_camera(site: Site, *, name: str, url: str, purpose: str, actor: str) -> Camera:
    """Add a camera, and log it.

    Args:
        url: Its address; a password in it is sealed with the site key.

    Raises:
        UsageError: the name is malformed or taken, or the purpose is empty.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"“{redact_url(name)}” cannot name a camera",
            "Use up to 64 letters, digits, spaces, `_`, `-` or `.`",
        )
    if not purpose.strip():
        raise UsageError("a camera needs a purpose", "Say what it is there for")
    camera = Camera(name, redact_url(url), purpose.strip(), site.now_unix_ms())
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
            )
        )
        site.log(
            session, Event.CAMERA_ADDED, actor=actor, payload={"camera": name, "purpose": camera.purpose}
        )
    return camera


def list_cameras(site: Site) -> list[Camera]:
    """All cameras by name."""
    with site.read() as session:
        rows = session.scalars(select(CameraRow).order_by(CameraRow.name)).all()
        return [Camera(row.name, row.url_redacted, row.purpose, row.added_unix_ms) for row in rows]


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


def _no_camera(name: str) -> NotFound:
    return NotFound(f"there is no camera “{name}”", "See `consentry camera list`")
