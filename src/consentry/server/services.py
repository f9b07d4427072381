"""What routes and pages work with, and who is asking."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from consentry.clock import Clock
from consentry.config import Settings
from consentry.errors import Unauthorised
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.server.hub import Hub
from consentry.server.searches import Searches
from consentry.server.sessions import Sessions
from consentry.server.users import User, Users
from consentry.types import Picture
from consentry.vision.sample import FaceSample, PhotoAnalyser

MOST_VIEWS_REMEMBERED = 10_000


class SharedAnalyser:
    """A `PhotoAnalyser` for all threads of the hub: loaded when first needed, used by one at a time.

    Args:
        load: Loads it.
    """

    def __init__(self, load: Callable[[], PhotoAnalyser]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: PhotoAnalyser | None = None

    @property
    def recogniser_sha256(self) -> str:
        """Hash of the model that makes the templates."""
        with self._lock:
            return self._ready().recogniser_sha256

    def analyse(self, bgr: Picture) -> list[FaceSample]:
        """Every face of a photo, best first.

        Raises:
            ModelMissing, ModelCorrupt: the models are not there.
        """
        with self._lock:
            return self._ready().analyse(bgr)

    def _ready(self) -> PhotoAnalyser:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


class Views:
    """Logs what is looked at: once for each session and thing, not once for each picture.

    Args:
        site: Whose ledger.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str]] = set()

    def opened(self, user: User, session_token: str, what: str) -> None:
        """`user` looks at `what`, such as `live:door`. On return it is in the ledger.

        Raises:
            LedgerBroken, DiskFull, DataDamaged, EnvironmentLack: it must not be shown.
        """
        with self._lock:
            if (session_token, what) in self._seen:
                return
            with self._site.write() as session:
                self._site.log(session, Event.VIEW_OPENED, actor=user.actor, payload={"what": what})
            if len(self._seen) >= MOST_VIEWS_REMEMBERED:
                self._seen.clear()
            self._seen.add((session_token, what))


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the routes and pages of one hub."""

    site: Site
    hub: Hub
    users: Users
    sessions: Sessions
    views: Views
    searches: Searches
    analyser: PhotoAnalyser
    settings: Settings
    clock: Clock


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is asking, and by which session."""

    user: User
    session_token: str = field(repr=False)


def services_of(request: HTTPConnection) -> Services:
    """The services of the application that answers this request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def who_asks(services: Services, request: HTTPConnection) -> SignedIn:
    """Who is asking, as the guard found out.

    Raises:
        Unauthorised: nobody is signed in, or the user is no more.
    """
    state = request.scope.get("state", {})
    name = state.get("user_name")
    user = services.users.of(name) if name else None
    if user is None:
        raise Unauthorised("this needs a session", "Sign in at /login or POST /api/v1/session")
    return SignedIn(user, state["session_token"])


def signed_in(request: Request) -> SignedIn:
    """The same for a route. Raises as `who_asks` does."""
    return who_asks(services_of(request), request)


Asking = Annotated[SignedIn, Depends(signed_in)]
Behind = Annotated[Services, Depends(services_of)]
