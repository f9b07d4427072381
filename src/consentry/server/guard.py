"""The one gate before everything, as ASGI middleware: closed unless `consentry.server.access` opens it.

A request passes if the row of `ACCESS` for its method and path is open to whoever asks: anyone, the
holder of a session, or a program by its token. This holds for routes, pages, static files and websockets
alike, whoever added them. Requests that come from another site's page are refused whatever they bear, and
every response gets the security headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentry.errors import ConsentryError, Forbidden, NotFound, Unauthorised
from consentry.server.access import (
    ACCESS,
    ACCOUNT,
    HOME,
    OPEN,
    WEBSOCKET,
    WITHOUT_TOTP,
    methods_at,
    row_for,
)
from consentry.server.cookies import cookie_of
from consentry.server.my_page import show_refusal
from consentry.server.my_session import MY_PATH, MY_PHOTOS, MySessions, my_token
from consentry.server.problems import LengthMissing, MethodNotAllowed, TooLarge, TooSlow, problem_of
from consentry.server.services import Services, SignedIn
from consentry.server.small_page import message_page

COOKIE = "consentry_session"
OWN_HEADER = "x-consentry"
MOST_BODY_BYTES = 48 * 1024 * 1024
MOST_OPEN_BODY_BYTES = 16 * 1024
BODY_WITHIN_S = 60.0
OPEN_BODY_WITHIN_S = 10.0
SOCKET_CHECK_S = 5.0

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_STATIC = "/_nicegui/"
_SOCKET = "/_nicegui_ws/socket.io/"
_BEARER = "bearer "
_CLOSED_TO_NOBODY, _CLOSED_TO_YOU = 4401, 4403
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class TotpMissing(Forbidden):
    """The user's role needs an authenticator app, and they have none yet."""


class Guard:
    """Wraps the whole application.

    Args:
        app: What is guarded.
        services: Know who holds a session or token.
        my_sessions: Know who has opened their own page.
    """

    def __init__(self, app: ASGIApp, services: Services, my_sessions: MySessions) -> None:
        self._app, self._services, self._my_sessions = app, services, my_sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through with `state.asking` set, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asking, refusal = None, None
        try:
            asking = await self._who(headers)
            refusal = self._refusal(scope, headers, asking) or self._totp_first(scope, asking)
        except ConsentryError as error:  # who asks cannot be known
            refusal = error
        scope.setdefault("state", {})["asking"] = asking
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, asking, refusal)
            return
        guarded_send = _with_headers(scope, send)
        if refusal is None:
            within_s = OPEN_BODY_WITHIN_S if asking is None else BODY_WITHIN_S
            await self._app(scope, _timely(receive, within_s), guarded_send)
        else:
            await _answer(scope, headers, asking, refusal)(scope, receive, guarded_send)

    def _refusal(self, scope: Scope, headers: Headers, asking: SignedIn | None) -> ConsentryError | None:
        may_send_photos = asking is not None or (
            scope["path"] == MY_PHOTOS and self._my_sessions.session(my_token(headers)) is not None
        )
        most_bytes = MOST_BODY_BYTES if may_send_photos else MOST_OPEN_BODY_BYTES
        return _refusal(scope, headers, asking, most_bytes)

    async def _who(self, headers: Headers) -> SignedIn | None:
        token, bearer = session_token_of(headers), _bearer(headers)
        if token is None and bearer is None:
            return None
        return await run_in_threadpool(self._services.holder, session_token=token, bearer=bearer)

    def _totp_first(self, scope: Scope, asking: SignedIn | None) -> ConsentryError | None:
        row = _row(scope)
        if asking is None or row is None or ACCESS[row] == OPEN or row in WITHOUT_TOTP:
            return None
        if not self._services.lacks_totp(asking.user):
            return None
        return TotpMissing(
            f"the role {asking.user.role} needs an authenticator app",
            "Set one up at /account or /api/v1/me/totp",
        )

    async def _websocket(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        asking: SignedIn | None,
        refusal: ConsentryError | None,
    ) -> None:
        """Let a websocket through for as long as its holder may; what it carries is not looked at."""
        if refusal is not None or asking is None:
            code = _CLOSED_TO_YOU if isinstance(refusal, Forbidden) else _CLOSED_TO_NOBODY
            await send({"type": "websocket.close", "code": code, "reason": type(refusal).__name__})
            return
        watched = _Watched(self._services, asking, receive, send)
        await self._app(scope, watched.receive, watched.send)


class _Watched:
    """A websocket that ends, within `SOCKET_CHECK_S` and a message, when its holder may not ask any more.

    Pages say goodbye by themselves before; this holds for a page that does not.
    """

    def __init__(self, services: Services, asking: SignedIn, receive: Receive, send: Send) -> None:
        self._services, self._asking, self._receive, self._send = services, asking, receive, send
        self._checked_s = services.clock.monotonic_s()
        self._over = False

    async def receive(self) -> Message:
        """The next message of the browser; that it has left, once its session is over."""
        message = await self._receive()
        if await self._is_over():
            return {"type": "websocket.disconnect", "code": _CLOSED_TO_NOBODY}
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on, or nothing more once the session is over."""
        if not await self._is_over():
            await self._send(message)

    async def _is_over(self) -> bool:
        now_s = self._services.clock.monotonic_s()
        if not self._over and now_s - self._checked_s >= SOCKET_CHECK_S:
            self._checked_s = now_s
            try:
                still = await run_in_threadpool(self._services.still, self._asking)
            except ConsentryError:
                still = False
            if not still and not self._over:
                self._over = True
                await self._send({"type": "websocket.close", "code": _CLOSED_TO_NOBODY})
        return self._over


def session_token_of(headers: Headers) -> str | None:
    """The session token that a request bears."""
    return cookie_of(headers, COOKIE)


def _bearer(headers: Headers) -> str | None:
    """The token of a program that a request bears."""
    value = headers.get("authorization", "")
    return value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else None


def _refusal(
    scope: Scope, headers: Headers, asking: SignedIn | None, most_bytes: int
) -> ConsentryError | None:
    """Why the request must not go on; None if it may."""
    method, row = _method(scope), _row(scope)
    is_open = row is not None and ACCESS[row] == OPEN
    if asking is None and not is_open:
        return Unauthorised("this needs a session", "Sign in at /login or POST /api/v1/session")
    if asking is not None and (row is None or not asking.may_use(row)):
        return _why_closed(scope, asking, row)
    if method == WEBSOCKET and scope["path"] != _SOCKET:
        return NotFound("there is no such websocket")  # what serves the others breaks
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return Forbidden("this request comes from the page of another site", "Use this server's own page")
    if method in _SAFE or method == WEBSOCKET:
        return None
    # a browser never sends a program's token by itself, so no other site can have made the request
    if origin is None and OWN_HEADER not in headers and not (asking is not None and asking.is_program):
        return Forbidden(
            "a request that changes something must show that no other site made it",
            "Send the header `X-Consentry: 1`",
        )
    return _body_refusal(headers, most_bytes)


def _method(scope: Scope) -> str:
    return WEBSOCKET if scope["type"] == "websocket" else str(scope["method"])


def _row(scope: Scope) -> str | None:
    return row_for(_method(scope), scope["path"])


def _why_closed(scope: Scope, asking: SignedIn, row: str | None) -> ConsentryError:
    path = scope["path"]
    if row is not None and asking.is_program and asking.user.role in ACCESS[row]:
        return Forbidden("this token does not reach that far", "See docs/access.md for what tokens may do")
    if row is not None:
        return Forbidden(f"the role {asking.user.role} may not do this", "Ask an admin; see docs/access.md")
    if methods_at(path):
        allowed = ", ".join(sorted(methods_at(path) - {WEBSOCKET}))
        return MethodNotAllowed(f"{path} takes {allowed}", "See docs/api.md for what this address takes")
    return NotFound(f"there is nothing at {path}", "See docs/api.md for the addresses there are")


def _answer(
    scope: Scope, headers: Headers, asking: SignedIn | None, refusal: ConsentryError
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """What is answered instead of what was asked for."""
    navigating = _is_navigation(scope, headers)
    if navigating and isinstance(refusal, Unauthorised):
        return RedirectResponse("/login", status_code=303)
    if navigating and isinstance(refusal, TotpMissing):
        return RedirectResponse(ACCOUNT, status_code=303)
    if navigating and isinstance(refusal, Forbidden) and asking is not None and scope["path"] == "/":
        return RedirectResponse(HOME[asking.user.role], status_code=303)
    if navigating and isinstance(refusal, NotFound):
        return message_page("Not found", "There is no such page.", status=404)
    if scope["path"].startswith(f"{MY_PATH}/") and "text/html" in headers.get("accept", ""):
        return show_refusal(refusal)
    response: Response = problem_of(refusal, scope["path"])
    if isinstance(refusal, Unauthorised):
        response.headers["WWW-Authenticate"] = 'Session realm="consentry"'
    if isinstance(refusal, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(methods_at(scope["path"]) - {WEBSOCKET}))
    return response


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
            headers.setdefault("Referrer-Policy", "no-referrer" if is_api else "same-origin")
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
            headers.setdefault("Content-Security-Policy", _API_POLICY if is_api else _PAGE_POLICY)
            if not path.startswith(_STATIC):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return guarded_send
