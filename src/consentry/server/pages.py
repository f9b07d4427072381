"""Signing in and out by plain HTML without a script, because nothing else is open before it."""

from __future__ import annotations

import hmac
import html
import secrets
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from consentry.errors import CodeNeeded, ConsentryError, Forbidden, NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.seal import Kind
from consentry.server.access import HOME
from consentry.server.api_session import address_of, close_session, open_session
from consentry.server.services import Asking, Behind, Services
from consentry.server.small_page import said, small_page
from consentry.server.tickets import opened_ticket, sealed_ticket
from consentry.server.users import OWNER, User

LONGEST_FIELD = 1024
_WHOSE = "second step"
_FORM = """<h1>Consentry</h1><p>Sign in to see the cameras of this site.</p>{said}
<form method="post" action="/login">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" value="owner" required maxlength="64">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus
 maxlength="1024">
<button type="submit">Sign in</button></form>{other}"""
_OTHER_WAY = '<p class="after"><a href="/oidc/start">Sign in by your organisation</a></p>'
_CODE_FORM = """<h1>Consentry</h1><p>Your password is right. Now the code of your authenticator app.</p>
{said}<form method="post" action="/login">
<input type="hidden" name="ticket" value="{ticket}">
<label for="code">Code</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus
 maxlength="16">
<button type="submit">Sign in</button></form>"""

login_routes = APIRouter(include_in_schema=False)


class OneTimeLink:
    """A secret that signs in the owner of a demo, once."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self._used = False

    def take(self, token: str) -> bool:
        """Whether this is it and nobody has used it before."""
        fits = not self._used and hmac.compare_digest(token.encode(), self.token.encode())
        self._used = self._used or fits
        return fits


@login_routes.get("/login")
def login_page(behind: Behind) -> Response:
    """The form."""
    return _form(behind)


@login_routes.post("/login")
async def login(request: Request, behind: Behind) -> Response:
    """Sign in with what was typed, ask for the code, or show the form again with the reason."""
    fields = await form_fields(request)
    step = _second_step if "ticket" in fields else _first_step
    return await run_in_threadpool(step, request, behind, fields)


@login_routes.get("/demo-login")
def demo_login(request: Request, behind: Behind, token: str = "") -> Response:
    """Sign in by the link that the demo printed.

    Raises:
        NotFound: this is no demo.
        Forbidden: the link is another one's or was used.
    """
    link: OneTimeLink | None = request.app.state.demo_link
    if link is None:
        raise NotFound("there is no such page", "Sign in at /login")
    if not link.take(token):
        raise Forbidden("this link was used already, or is not the one of this start", "Sign in at /login")
    user = behind.users.of(OWNER)
    if user is None:
        raise NotFound("there is no owner", "Sign in at /login")
    with behind.site.write() as session:
        behind.site.log(session, Event.SESSION_OPENED, actor=user.actor, payload={"with": "demo link"})
    return signed_in_page(behind, user, request)


@login_routes.post("/logout")
def logout(asking: Asking, behind: Behind) -> Response:
    """Sign out and show the form."""
    response = RedirectResponse("/login", status_code=303)
    close_session(behind, asking.user, asking.session_token, response)
    return response


def signed_in_page(behind: Services, user: User, request: Request) -> Response:
    """Open a session for someone who comes from elsewhere.

    A page that leads on, not a redirect: after a redirect from elsewhere the browser would hold the strict
    cookie back.
    """
    home = HOME[user.role]
    response = small_page("Signed in", f'<p>Signed in. <a href="{home}">Go on</a></p>', leads_to=home)
    open_session(behind, user, request, response)
    return response


async def form_fields(request: Request) -> dict[str, str]:
    """The first value of each field of a form that was sent, cut at `LONGEST_FIELD`."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0][:LONGEST_FIELD] for name, values in fields.items()}


def _first_step(request: Request, behind: Services, fields: dict[str, str]) -> Response:
    name, password = fields.get("name", ""), fields.get("password", "")
    try:
        if not name or not password:
            raise UsageError("name and password are both needed", "Type them again")
        user = behind.users.sign_in(name, password, address_of(request))
    except CodeNeeded:
        known = behind.users.of(name)
        ticket = {"user": known.id if known else ""}
        return _code_form(sealed_ticket(behind.site, ticket, Kind.SIGN_IN_STEP, _WHOSE))
    except ConsentryError as error:
        return _form(behind, said(str(error)), status=error.http_status)
    return _home(behind, user, request)


def _second_step(request: Request, behind: Services, fields: dict[str, str]) -> Response:
    try:
        ticket = opened_ticket(behind.site, fields["ticket"], Kind.SIGN_IN_STEP, _WHOSE)
    except ConsentryError as error:
        return _form(behind, said(str(error)), status=error.http_status)
    try:
        user = behind.users.second_step(ticket["user"], fields.get("code", ""), address_of(request))
    except ConsentryError as error:
        return _code_form(fields["ticket"], said(str(error)), status=error.http_status)
    return _home(behind, user, request)


def _home(behind: Services, user: User, request: Request) -> Response:
    response = RedirectResponse(HOME[user.role], status_code=303)
    open_session(behind, user, request, response)
    return response


def _form(behind: Services, wrong: str = "", *, status: int = 200) -> Response:
    other = _OTHER_WAY if behind.settings.oidc.issuer else ""
    return small_page("Sign in", _FORM.format(said=wrong, other=other), status=status)


def _code_form(ticket: str, wrong: str = "", *, status: int = 200) -> Response:
    body = _CODE_FORM.format(said=wrong, ticket=html.escape(ticket))
    return small_page("Sign in", body, status=status)
