"""The notice that hangs beside a camera: one sheet of A4 to print, with a QR code to the public page."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from importlib import resources
from typing import Literal

import segno

from consentry.config import Settings
from consentry.errors import NotFound
from consentry.ledger.entry import Event
from consentry.people.cameras import Camera, find_camera
from consentry.people.declaration import Declared, require_declared
from consentry.people.printing import typeset
from consentry.people.site import Site

NoticeForm = Literal["pdf", "svg"]
PUBLIC_PAGE = "/transparency"
_MS_PER_S = 1000


def public_address(settings: Settings) -> str:
    """Where anyone finds the public page."""
    server = settings.server
    base = server.public_url or f"http://{server.host}:{server.port}"
    return base.rstrip("/") + PUBLIC_PAGE


def print_notice(
    site: Site, settings: Settings, form: NoticeForm, *, camera: str | None = None, actor: str
) -> bytes:
    """The notice, and an entry in the ledger with its SHA-256.

    The same declaration, settings and camera give the same bytes, on whichever day.

    Args:
        settings: In force; `server.public_url` is where the QR code leads.
        form: PDF has as many pages as the notice's text needs, SVG one, as long as that takes.
        camera: Name of the one it is for; None for all.

    Raises:
        NotDeclared: there is nothing to state yet, or the camera's purpose is not declared.
        NotFound: there is no such camera.
        EnvironmentLack: it cannot be typeset.
    """
    found = _camera(site, camera) if camera is not None else None
    declared = require_declared(site, found.purpose if found is not None else None)
    made = _typeset(declared, public_address(settings), found, form)
    with site.write() as session:
        site.log(
            session,
            Event.NOTICE_PRINTED,
            actor=actor,
            payload={"sha256": hashlib.sha256(made).hexdigest(), "form": form, "camera": camera},
        )
    return made


def _typeset(declared: Declared, address: str, camera: Camera | None, form: NoticeForm) -> bytes:
    declaration = declared.declaration
    content = {
        "purposes": [camera.purpose] if camera is not None else list(declaration.purposes),
        "controller": declaration.controller,
        "contact": declaration.contact,
        "legal_basis": declaration.legal_basis,
        "notice": declaration.notice.text,
        "address": address,
        "camera": camera.name if camera is not None else None,
        "owner": camera.owner if camera is not None else None,
    }
    source = resources.files("consentry.people").joinpath("typesetting", "notice.typ").read_bytes()
    inputs = {"content": json.dumps(content), "qr": _qr_svg(address), "height": "a4"}
    # the day of the declaration, so that it is the same each time it is printed
    made_on = datetime.fromtimestamp(declared.made_unix_ms / _MS_PER_S, UTC).date()
    pages = typeset(source, inputs, form=form, made_on=made_on)
    if len(pages) > 1:
        pages = typeset(source, inputs | {"height": "auto"}, form=form, made_on=made_on)
    return pages[0]


def _qr_svg(address: str) -> str:
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(out, kind="svg", border=2, xmldecl=False, svgns=True)
    return out.getvalue().decode()


def _camera(site: Site, name: str) -> Camera:
    camera = find_camera(site, name)
    if camera is None:
        raise NotFound(f"there is no camera “{name}”", "See `consentry camera list`")
    return camera
