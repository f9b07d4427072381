"""What routes and pages work with, and who is asking."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from consentry.clock import Clock
from consentry.config import Settings
from consentry.errors import Unauthorised
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.server.access import ACCESS, OPEN, Access, for_programs, reach_of
from consentry.server.hub import Hub
from consentry.server.sessions import Sessions
from consentry.server.tokens import token_behind
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
class SignedIn:
    """Who is asking, and by which session or token.

    Attributes:
        user: Who, with the role they have now.
        session_token: Of the session; for a program, an id of its token that opens nothing.
        reach: For a program, the roles as far as which its token reaches; None for a person.
    """

    user: User
    session_token: str = field(repr=False)
    reach: Access | None = None

    @property
    def is_program(self) -> bool:
        """Whether a token asks, and no person who has signed in."""
        return self.reach is not None

    def may_use(self, row: str) -> bool:
        """Whether a row of `ACCESS` is open to them."""
        roles = ACCESS[row]
        if roles == OPEN:
            return True
        if self.user.role not in roles:
            return False
        return self.reach is None or (for_programs(row) and bool(self.reach & roles))


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the routes and pages of one hub."""

    site: Site
    hub: Hub
    users: Users
    sessions: Sessions
    views: Views
    analyser: PhotoAnalyser
    settings: Settings
    clock: Clock

    def holder(self, *, session_token: str | None, bearer: str | None) -> SignedIn | None:
        """Who holds this session, or this token of a program; the token counts if there are both.

        None if it is unknown or over, or its user is disabled or removed, or got another role or
        password since the session was opened.
        """
        if bearer is not None:
            token = token_behind(self.site, bearer)
            user = self.users.active(token.user_id) if token else None
            if token is None or user is None:
                return None
            return SignedIn(user, f"program {token.id}", reach_of(token.scopes))
        held = self.sessions.holder(session_token)
        if held is None or session_token is None:
            return None
        user_id, stamp = held
        user = self.users.active(user_id)
        if user is None or not hmac.compare_digest(user.stamp, stamp):
            self.sessions.close(session_token)
            return None
        return SignedIn(user, session_token)

    def still(self, asking: SignedIn) -> bool:
        """Whether somebody who asked a while ago may still be answered: asked for pages and streams.

        Everything that ends a session is seen here: signing out, its time, another role or password, being
        disabled or removed. A program's stream ends when its user may not sign in any more.
        """
        user = self.users.active(asking.user.id)
        if user is None or user.stamp != asking.user.stamp:
            return False
        return asking.is_program or self.sessions.is_open(asking.session_token)


def services_of(request: HTTPConnection) -> Services:
    """The services of the application that answers this request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def signed_in(request: HTTPConnection) -> SignedIn:
    """Who is asking, as the guard found out.

    Raises:
        Unauthorised: nobody is signed in.
    """
    asking = request.scope.get("state", {}).get("asking")
    if not isinstance(asking, SignedIn):
        raise Unauthorised("this needs a session", "Sign in at /login or POST /api/v1/session")
    return asking


Asking = Annotated[SignedIn, Depends(signed_in)]
Behind = Annotated[Services, Depends(services_of)]
