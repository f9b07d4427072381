"""The two addresses that a browser passes when someone signs in at their organisation's provider."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from consentry.errors import ConsentryError, NotFound, Unauthorised
from consentry.people.seal import Kind
from consentry.server.api_session import is_https
from consentry.server.oidc import Provider
from consentry.server.pages import signed_in_page
from consentry.server.services import Behind, Services
from consentry.server.small_page import said, small_page
from consentry.server.tickets import TICKET_S, opened_ticket, sealed_ticket

COOKIE = "consentry_oidc"
START, CALLBACK = "/oidc/start", "/oidc/callback"
_WHOSE = "oidc"

oidc_routes = APIRouter(include_in_schema=False)


@oidc_routes.get(START)
def start(request: Request, behind: Behind) -> Response:
    """Send the browser to the provider, with a sealed cookie that ties the sign-in to it."""
    try:
        begun = _provider(behind).begin(_redirect_uri(request, behind))
    except ConsentryError as error:
        return _failed(error)
    ticket = {"state": begun.state, "nonce": begun.nonce, "verifier": begun.verifier}
    response = RedirectResponse(begun.url, status_code=303)
    response.set_cookie(
        COOKIE,
        sealed_ticket(behind.site, ticket, Kind.SIGN_IN_STEP, _WHOSE),
        max_age=TICKET_S,
        path="/oidc",
        secure=is_https(behind, request),
        httponly=True,
        samesite="lax",  # the provider's page leads back here, which a strict cookie would not survive
    )
    return response


@oidc_routes.get(CALLBACK)
def callback(request: Request, behind: Behind, code: str = "", state: str = "") -> Response:
    """Sign in whom the provider has sent back, if this browser began it."""
    try:
        provider = _provider(behind)
        ticket = opened_ticket(behind.site, request.cookies.get(COOKIE, ""), Kind.SIGN_IN_STEP, _WHOSE)
        if not code or not hmac.compare_digest(state.encode(), ticket["state"].encode()):
            raise Unauthorised("the provider did not sign you in, or for another browser", "Begin again")
        user = provider.finish(
            code,
            _redirect_uri(request, behind),
            nonce=ticket["nonce"],
            verifier=ticket["verifier"],
        )
        response = signed_in_page(behind, user, request)
    except ConsentryError as error:
        response = _failed(error)
    response.delete_cookie(COOKIE, path="/oidc", httponly=True, samesite="lax")
    return response


def _provider(behind: Services) -> Provider:
    if not behind.settings.oidc.issuer:
        raise NotFound("this site has no sign-in provider", "Sign in at /login")
    return Provider(behind.settings.oidc, behind.site)


def _redirect_uri(request: Request, behind: Services) -> str:
    base = behind.settings.server.public_url or str(request.base_url)
    return base.rstrip("/") + CALLBACK


def _failed(error: ConsentryError) -> Response:
    body = f'<h1>Not signed in</h1>{said(str(error))}<p><a href="/login">Go to the sign-in page</a></p>'
    return small_page("Not signed in", body, status=error.http_status)
