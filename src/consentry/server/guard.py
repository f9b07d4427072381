"""The one gate before everything, as ASGI middleware: closed unless opened.

A request passes if its method and path are in `OPEN`, or if it bears the cookie of a live session. This
holds for routes, pages, static files and websockets alike, whoever added them. Requests that come from
another site's page are refused whatever they bear, and every response gets the security headers.
"""

from __future__ import annotations

import asyncio
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentry.errors import ConsentryError, Forbidden, Unauthorised
from consentry.server.problems import LengthMissing, TooLarge, TooSlow, problem_of
from consentry.server.sessions import Sessions

COOKIE = "consentry_session"
OWN_HEADER = "x-consentry"
MOST_BODY_BYTES = 48 * 1024 * 1024
MOST_OPEN_BODY_BYTES = 16 * 1024
BODY_WITHIN_S = 60.0
OPEN_BODY_WITHIN_S = 10.0
OPEN = frozenset(
    {
        ("GET", "/api/v1/health"),
        ("POST", "/api/v1/session"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/demo-login"),
    }
)
"""Method and path of everything that needs no session. `/demo-login` exists only in a demo."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_STATIC = "/_nicegui/"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class Guard:
    """Wraps the whole application.

    Args:
        app: What is guarded.
        sessions: Who is signed in.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through with `state.user` set, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        token = _cookie(headers)
        user = self._sessions.user(token)
        scope.setdefault("state", {}).update(user_name=user, session_token=token if user else None)
        refusal = self._refusal(scope, headers, user)
        if scope["type"] == "websocket":
            if refusal is not None:
                await send({"type": "websocket.close", "code": 4401, "reason": type(refusal).__name__})
                return
            await self._app(scope, receive, send)
            return
        guarded_send = _with_headers(scope, send)
        if refusal is None:
            within_s = OPEN_BODY_WITHIN_S if user is None else BODY_WITHIN_S
            await self._app(scope, _timely(receive, within_s), guarded_send)
            return
        response: Response = problem_of(refusal, scope["path"])
        if isinstance(refusal, Unauthorised):
            response.headers["WWW-Authenticate"] = 'Session realm="consentry"'
            if _is_navigation(scope, headers):
                response = RedirectResponse("/login", status_code=303)
        await response(scope, receive, guarded_send)

    def _refusal(self, scope: Scope, headers: Headers, user: str | None) -> ConsentryError | None:
        method = scope.get("method", "GET")
        if user is None and (scope["type"], method, scope["path"]) not in {("http", *one) for one in OPEN}:
            return Unauthorised("this needs a session", "Sign in at /login or POST /api/v1/session")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return Forbidden("this request comes from the page of another site", "Use this server's own page")
        if method not in _SAFE and origin is None and OWN_HEADER not in headers:
            return Forbidden(
                "a request that changes something must show that no other site made it",
                "Send the header `X-Consentry: 1`",
            )
        if method not in _SAFE:
            return _body_refusal(headers, MOST_BODY_BYTES if user is not None else MOST_OPEN_BODY_BYTES)
        return None


def _body_refusal(headers: Headers, most_bytes: int) -> ConsentryError | None:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdigit():
        return LengthMissing("the request does not say how long it is", "Send Content-Length, do not chunk")
    if int(length) > most_bytes:
        return TooLarge(f"the request is larger than {most_bytes // 1024} kB", "Send less at once")
    return None


def _timely(receive: Receive, within_s: float) -> Receive:
    """`receive`, that gives up on a body which is not there `within_s` seconds after the first look at it."""
    until_s: float | None = None
    whole = False

    async def timely_receive() -> Message:
        nonlocal until_s, whole
        if whole:
            return await receive()  # waits for the client to leave
        now_s = asyncio.get_running_loop().time()
        until_s = until_s if until_s is not None else now_s + within_s
        try:
            async with asyncio.timeout_at(until_s):
                message = await receive()
        except TimeoutError:
            raise TooSlow(
                f"the request was not there within {within_s:g} s", "Send it faster, or less of it"
            ) from None
        whole = not message.get("more_body", False)
        return message

    return timely_receive


def _cookie(headers: Headers) -> str | None:
    """The session token a request bears."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Whether a person is looking at the answer in a browser."""
    return (
        scope["method"] == "GET"
        and "text/html" in headers.get("accept", "")
        and not scope["path"].startswith("/api/")
    )


def _with_headers(scope: Scope, send: Send) -> Send:
    path = scope["path"]
    is_api = path.startswith("/api/")

    async def guarded_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            # with `no-referrer` browsers hide the Origin of a page's own forms, which is checked above
            headers["Referrer-Policy"] = "no-referrer" if is_api else "same-origin"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
            headers.setdefault("Content-Security-Policy", _API_POLICY if is_api else _PAGE_POLICY)
            if not path.startswith(_STATIC):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return guarded_send
