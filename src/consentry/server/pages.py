"""The sign-in page: plain HTML without a script, because nothing else is open before it."""

from __future__ import annotations

import hmac
import html
import secrets
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from consentry.errors import ConsentryError, Forbidden, NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.server.api_session import address_of, close_session, open_session
from consentry.server.plain_page import PALETTE, plain_page
from consentry.server.services import Asking, Behind, Services
from consentry.server.users import OWNER

LONGEST_FIELD = 1024
_STYLE = (
    PALETTE
    + """
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(24rem, 100%); background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 2rem; }
h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
p { margin: 0 0 1.25rem; color: var(--soft); }
label { display: block; margin: 1rem 0 .35rem; font-weight: 600; }
input { width: 100%; padding: .65rem .75rem; font: inherit; color: inherit; background: var(--back);
  border: 1px solid var(--line); border-radius: 8px; }
button { width: 100%; margin-top: 1.5rem; padding: .7rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--on-main); background: var(--main); border: 0; border-radius: 8px; }
.bad { color: var(--bad); font-weight: 600; }
"""
)
_FORM = """<h1>Consentry</h1><p>Sign in to see the cameras of this site.</p>{said}
<form method="post" action="/login">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" value="owner" required maxlength="64">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus
 maxlength="1024">
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
def login_page() -> Response:
    """The form."""
    return _page("Sign in", _FORM.format(said=""))


@login_routes.post("/login")
async def login(request: Request, behind: Behind) -> Response:
    """Sign in with what was typed, or show the form again with the reason."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    name, password = (fields.get(key, [""])[0][:LONGEST_FIELD] for key in ("name", "password"))
    try:
        return await run_in_threadpool(_sign_in, request, behind, name, password)
    except ConsentryError as error:
        said = f'<p class="bad" role="alert">{html.escape(str(error))}</p>'
        return _page("Sign in", _FORM.format(said=said), status=error.http_status)


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
        behind.site.log(
            session, Event.SESSION_OPENED, actor=user.actor, payload={"with": "demo link", "user": OWNER}
        )
    # a page, not a redirect: after a redirect from elsewhere the browser would hold the strict cookie back
    response = _page("Signed in", '<p>Signed in. <a href="/">Go on</a></p>', refresh=True)
    open_session(behind, user, request, response)
    return response


@login_routes.post("/logout")
def logout(asking: Asking, behind: Behind) -> Response:
    """Sign out and show the form."""
    response = RedirectResponse("/login", status_code=303)
    close_session(behind, asking.user, asking.session_token, response)
    return response


def message_page(title: str, text: str, *, status: int) -> HTMLResponse:
    """A page that says one thing and leads back to the live page."""
    body = f'<h1>{html.escape(title)}</h1><p>{html.escape(text)} <a href="/">Go to the live page</a></p>'
    return _page(title, body, status=status)


def _sign_in(request: Request, behind: Services, name: str, password: str) -> Response:
    if not name or not password:
        raise UsageError("name and password are both needed", "Type them again")
    user = behind.users.sign_in(name, password, address_of(request))
    response = RedirectResponse("/", status_code=303)
    open_session(behind, user, request, response)
    return response


def _page(title: str, body: str, *, status: int = 200, refresh: bool = False) -> HTMLResponse:
    return plain_page(title, body, style=_STYLE, status=status, leads_to="/" if refresh else "")
