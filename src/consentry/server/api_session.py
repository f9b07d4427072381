"""Signing in and out, and the one open route of the API."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from consentry.errors import EnvironmentLack
from consentry.ledger.entry import Event
from consentry.server.guard import COOKIE
from consentry.server.services import Asking, Behind, Services
from consentry.server.sessions import SESSION_S
from consentry.server.users import User

open_routes = APIRouter(tags=["session"])
closed_routes = APIRouter(tags=["session"])


class Credentials(BaseModel):
    """What is typed to sign in."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class Me(BaseModel):
    """Who is signed in."""

    name: str
    role: str


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
    """Sign in: sets the session cookie."""
    user = behind.users.sign_in(credentials.name, credentials.password, address_of(request))
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


def address_of(request: Request) -> str:
    """Where a request came from, for counting failures."""
    return request.client.host if request.client else "unknown"


def open_session(behind: Services, user: User, request: Request, response: Response) -> None:
    """Give `user`'s browser the cookie of a new session.

    Raises:
        DiskFull, EnvironmentLack: the session cannot be kept.
    """
    response.set_cookie(
        COOKIE,
        behind.sessions.open(user.name),
        max_age=SESSION_S,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def close_session(behind: Services, user: User, token: str, response: Response) -> None:
    """End a session, and log it.

    Raises:
        DiskFull, EnvironmentLack, LedgerBroken: see `consentry.store`.
    """
    behind.sessions.close(token)
    with behind.site.write() as session:
        behind.site.log(session, Event.SESSION_CLOSED, actor=user.actor, payload={"user": user.name})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
