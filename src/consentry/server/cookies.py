"""Reading a cookie of a request."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers


def cookie_of(headers: Headers, name: str) -> str | None:
    """The value of the cookie `name` that a request bears; None if there is none, or all are unreadable."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None
