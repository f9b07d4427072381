"""Puts the pages on the application of the hub. NiceGUI allows this once in a process."""

from __future__ import annotations

from importlib import resources

from fastapi import FastAPI, Request
from fastapi.responses import Response
from nicegui import app as pages
from nicegui import ui
from nicegui.language import Language

from consentry.console.approvals_page import ApprovalsPage
from consentry.console.audit_page import build_audit_page
from consentry.console.live_page import LivePage
from consentry.server.problems import handle_problems, problem
from consentry.server.services import Services, signed_in
from consentry.server.small_page import message_page

_ASSETS = {"console.css": "text/css", "live.js": "text/javascript"}
_LANGUAGE: Language = "en-GB"
RECONNECT_WITHIN_S = 10.0


def mount_console(app: FastAPI, services: Services) -> None:
    """Add the pages and their files. The guard of `app` stands before all of them."""
    for name, media_type in _ASSETS.items():
        content = resources.files("consentry.console").joinpath("assets", name).read_bytes()
        _add_file(app, name, content, media_type)

    @ui.page("/", title="Live · Consentry")
    async def live(request: Request) -> None:
        """The live page."""
        await LivePage(services, signed_in(request)).build()

    @ui.page("/audit", title="Audit · Consentry")
    async def audit(request: Request) -> None:
        """The auditor's page."""
        await build_audit_page(services, signed_in(request))

    @ui.page("/approvals", title="Approvals · Consentry")
    async def approvals(request: Request) -> None:
        """What waits for a second person."""
        await ApprovalsPage(services, signed_in(request)).build()

    handle_problems(pages)
    pages.add_exception_handler(404, _not_found)
    ui.run_with(
        app,
        title="Consentry",
        favicon=_FAVICON,
        dark=None,
        language=_LANGUAGE,
        tailwind=False,
        reconnect_timeout=RECONNECT_WITHIN_S,
        show_welcome_message=False,
    )


def _not_found(request: Request, _error: Exception) -> Response:
    path = request.url.path
    if "text/html" in request.headers.get("accept", "") and not path.startswith("/api/"):
        return message_page("Not found", "There is no such page.", status=404)
    return problem(
        kind="NotFound",
        status=404,
        detail=f"there is nothing at {path}",
        mend="See docs/api.md for the addresses there are",
        instance=path,
    )


def _add_file(app: FastAPI, name: str, content: bytes, media_type: str) -> None:
    @app.get(f"/console/{name}", include_in_schema=False)
    def asset() -> Response:
        return Response(content, media_type=media_type)


_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" '
    'fill="#0b6b5d"/><rect x="6" y="12" width="20" height="8" rx="2" fill="#fff"/></svg>'
)
