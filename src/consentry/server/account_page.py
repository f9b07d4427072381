"""One's own account, by plain HTML: authenticator app and password."""

from __future__ import annotations

import html

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from consentry.errors import ConsentryError
from consentry.server import totp
from consentry.server.access import HOME
from consentry.server.accounts import choose_password
from consentry.server.api_session import address_of, renew_sessions
from consentry.server.pages import form_fields
from consentry.server.services import Asking, Behind, Services, SignedIn
from consentry.server.small_page import said, small_page

account_routes = APIRouter(include_in_schema=False)

_APP_FORM = """<h2>Authenticator app</h2><p>{state}</p>
<form method="post" action="/account/totp"><label for="now">Your password</label>
<input id="now" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button type="submit">{act}</button></form>"""
_CONFIRM_FORM = """<h1>Authenticator app</h1><p>Scan this with the app, or type <code>{secret}</code>.</p>{qr}
<form method="post" action="/account/totp/confirm">
<input type="hidden" name="ticket" value="{ticket}"><label for="code">The code that it shows now</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus
 maxlength="16">
<button type="submit">Use this app</button></form>"""
_CHANGE_FORM = """<h2>Password</h2><form method="post" action="/account/password">
<label for="old">Present password</label>
<input id="old" name="old" type="password" autocomplete="current-password" required maxlength="1024">
<label for="new">New password, 12 characters or more</label>
<input id="new" name="new" type="password" autocomplete="new-password" required minlength="12"
 maxlength="1024"><button type="submit">Change it</button></form>"""


@account_routes.get("/account")
def account(asking: Asking, behind: Behind) -> Response:
    """Who you are here, and the forms."""
    return _account(asking, behind)


@account_routes.post("/account/totp")
async def begin_totp(request: Request, asking: Asking, behind: Behind) -> Response:
    """Show the secret of a new authenticator app to whoever knows the password."""
    fields = await form_fields(request)

    def begin() -> Response:
        try:
            behind.users.require_password(asking.user, fields.get("password", ""), address_of(request))
        except ConsentryError as error:
            return _account(asking, behind, error)
        return _confirm(totp.begin(behind.site, asking.user.id, asking.user.name))

    return await run_in_threadpool(begin)


@account_routes.post("/account/totp/confirm")
async def confirm_totp(request: Request, asking: Asking, behind: Behind) -> Response:
    """Use the app from now on, because it shows the right code."""
    fields = await form_fields(request)
    user = asking.user

    def confirm() -> Response:
        try:
            totp.confirm(
                behind.site, user.id, fields.get("ticket", ""), fields.get("code", ""), actor=user.actor
            )
        except ConsentryError as error:
            return _account(asking, behind, error)
        return RedirectResponse(HOME[user.role], status_code=303)

    return await run_in_threadpool(confirm)


@account_routes.post("/account/password")
async def change_password(request: Request, asking: Asking, behind: Behind) -> Response:
    """Choose another password; every other session ends."""
    fields = await form_fields(request)

    def change() -> Response:
        try:
            behind.users.require_password(asking.user, fields.get("old", ""), address_of(request))
            choose_password(behind.site, asking.user, fields.get("new", ""))
        except ConsentryError as error:
            return _account(asking, behind, error)
        response = RedirectResponse(HOME[asking.user.role], status_code=303)
        renew_sessions(behind, asking.user, request, response)
        return response

    return await run_in_threadpool(change)


def _account(asking: SignedIn, behind: Services, error: ConsentryError | None = None) -> Response:
    user = asking.user
    parts = [f"<h1>{html.escape(user.name)}</h1><p>Signed in as {user.role}. <a href='/'>Go back</a></p>"]
    if error is not None:
        parts.append(said(str(error)))
    if behind.lacks_totp(user):
        parts.append("<p>Your role needs an authenticator app before it can do anything else.</p>")
    if user.has_password:
        state, act = (
            ("One is set up.", "Set up another") if user.has_totp else ("None is set up.", "Set it up")
        )
        parts += [_APP_FORM.format(state=state, act=act), _CHANGE_FORM]
    else:
        parts.append("<p>You sign in by your organisation; password and app are there.</p>")
    return small_page("Your account", "".join(parts), status=error.http_status if error else 200)


def _confirm(enrolment: totp.Enrolment) -> Response:
    body = _CONFIRM_FORM.format(
        secret=enrolment.secret, qr=enrolment.qr_svg, ticket=html.escape(enrolment.ticket)
    )
    return small_page("Authenticator app", body)
