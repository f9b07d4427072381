"""Signing in and out, one's own account, and the one open route of the API."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from consentry.clock import iso_utc
from consentry.errors import EnvironmentLack, NotFound
from consentry.ledger.entry import Event
from consentry.server.accounts import choose_password
from consentry.server.guard import COOKIE, session_token_of
from consentry.server.services import Asking, Behind, Services
from consentry.server.users import User

open_routes = APIRouter(tags=["session"])
closed_routes = APIRouter(tags=["session"])

_STRICT = ConfigDict(extra="forbid")
Password = Annotated[str, Field(min_length=1, max_length=1024, repr=False)]


class Credentials(BaseModel):
    """What is typed to sign in; the code only where an authenticator app is set up."""

    model_config = _STRICT

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Password
    code: Annotated[str, Field(max_length=16, repr=False)] = ""


class NewPassword(BaseModel):
    """One's own password, and the one wanted instead."""

    model_config = _STRICT

    old: Password
    new: Password


class Me(BaseModel):
    """Who is signed in."""

    name: str
    role: str


class SessionOut(BaseModel):
    """One of one's own sessions; `is_this` marks the one that asks."""

    id: str
    opened: str
    used: str
    is_this: bool


class Alive(BaseModel):
    """The server answers and its threads run."""

    status: Literal["ok"]


@open_routes.get("/health")
def health(behind: Behind) -> Alive:
    """Whether the server works; says nothing else, because anyone may ask."""
    if not behind.hub.healthy:
        raise EnvironmentLack("the hub has stopped working", "Restart it and see its log")
    return Alive(status="ok")


@open_routes.post("/session")
def sign_in(credentials: Credentials, request: Request, response: Response, behind: Behind) -> Me:
    """Sign in: sets the session cookie. 401 `code-needed` if a code is needed besides."""
    user = behind.users.sign_in(
        credentials.name, credentials.password, address_of(request), code=credentials.code
    )
    open_session(behind, user, request, response)
    return Me(name=user.name, role=user.role)


@closed_routes.delete("/session", status_code=204)
def sign_out(asking: Asking, response: Response, behind: Behind) -> None:
    """Sign out: ends the session and takes the cookie back."""
    close_session(behind, asking.user, asking.session_token, response)


@closed_routes.get("/me")
def me(asking: Asking) -> Me:
    """Who is signed in."""
    return Me(name=asking.user.name, role=asking.user.role)


@closed_routes.put("/me/password", status_code=204)
def change_password(
    wanted: NewPassword, asking: Asking, request: Request, response: Response, behind: Behind
) -> None:
    """Choose another password; every other session of yours ends, and this one gets a new cookie."""
    behind.users.require_password(asking.user, wanted.old, address_of(request))
    choose_password(behind.site, asking.user, wanted.new)
    renew_sessions(behind, asking.user, request, response)


@closed_routes.get("/me/sessions")
def own_sessions(asking: Asking, behind: Behind) -> list[SessionOut]:
    """Where you are signed in, the session used last first."""
    this = behind.sessions.id_of(asking.session_token)
    return [
        SessionOut(
            id=item.id,
            opened=iso_utc(item.opened_unix_s),
            used=iso_utc(item.used_unix_s),
            is_this=item.id == this,
        )
        for item in behind.sessions.of(asking.user)
    ]


@closed_routes.delete("/me/sessions/{session_id}", status_code=204)
def end_session(session_id: str, asking: Asking, behind: Behind) -> None:
    """End one of your sessions."""
    if not behind.sessions.close_one(asking.user.id, session_id):
        raise NotFound("you have no such session", "See /api/v1/me/sessions")
    with behind.site.write() as session:
        behind.site.log(session, Event.SESSION_CLOSED, actor=asking.user.actor, payload={})


def address_of(request: Request) -> str:
    """Where a request came from, for counting failures."""
    return request.client.host if request.client else "unknown"


def open_session(behind: Services, user: User, request: Request, response: Response) -> None:
    """Give `user`'s browser the cookie of a new session; the one it had before ends.

    Raises:
        DiskFull, EnvironmentLack: the session cannot be kept.
    """
    response.set_cookie(
        COOKIE,
        behind.sessions.open(user, instead_of=session_token_of(request.headers)),
        max_age=round(behind.sessions.longest_s),
        path="/",
        secure=is_https(behind, request),
        httponly=True,
        samesite="strict",
    )


def renew_sessions(behind: Services, user: User, request: Request, response: Response) -> None:
    """End all sessions of `user`, and open a new one for the browser that asks. Raises as `open_session`."""
    behind.sessions.close_all(user.id)
    now = behind.users.active(user.id)
    if now is not None:
        open_session(behind, now, request, response)


def close_session(behind: Services, user: User, token: str, response: Response) -> None:
    """End a session, and log it.

    Raises:
        DiskFull, EnvironmentLack, LedgerBroken: see `consentry.store`.
    """
    behind.sessions.close(token)
    with behind.site.write() as session:
        behind.site.log(session, Event.SESSION_CLOSED, actor=user.actor, payload={})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def is_https(behind: Services, request: Request) -> bool:
    """Whether browsers reach this server by https, perhaps through a proxy."""
    return request.url.scheme == "https" or behind.settings.server.public_url.startswith("https:")
