"""Who is looking at their own page: a session of half an hour that a personal link opens.

Kept in memory only, by hash: a restart of the hub ends all of them, and the link opens another.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, replace

from starlette.datastructures import Headers
from starlette.responses import Response

from consentry.clock import Clock
from consentry.errors import NotFound, TooManyAttempts
from consentry.people.held import note_own_view
from consentry.people.links import person_behind
from consentry.people.site import Site
from consentry.server.cookies import cookie_of
from consentry.server.users import Lockout

MY_COOKIE = "consentry_my"
MY_PATH = "/my"
MY_PHOTOS = "/my/photos"
MY_SESSION_S = 30 * 60
TOKEN_BYTES = 32
WRONG_LINKS_PER_ADDRESS = 20
REFUSED_PHOTOS_PER_PERSON = 10
MOST_PER_PERSON = 10


@dataclass(frozen=True, slots=True)
class MySession:
    """A session that a personal link opened.

    Attributes:
        person_id: Whose page it shows.
        until_s: When it ends, on the clock's monotonic scale.
        has_seen: Whether the ledger has its view of the page.
    """

    person_id: str
    until_s: float
    has_seen: bool = False


class MySessions:
    """All of them; safe to share between threads.

    Args:
        site: Holds the links.
        clock: For their end, `MY_SESSION_S` after they began, and for lock-outs.
    """

    def __init__(self, site: Site, clock: Clock) -> None:
        self._site, self._clock = site, clock
        self._lock = threading.Lock()
        self._seeing = threading.Lock()  # apart: the guard must not wait for the ledger
        self._sessions: dict[str, MySession] = {}
        self._wrong_links = Lockout(clock, WRONG_LINKS_PER_ADDRESS)
        self._refused_photos = Lockout(clock, REFUSED_PHOTOS_PER_PERSON)

    def open(self, link_token: str, address: str) -> str:
        """Open a session for whoever holds a personal link; returns its token, which is kept nowhere.

        The right link opens always: a lock-out would let others keep people from their rights, and the
        secret is too long to be guessed. Wrong ones are counted by address, so that they stay few.

        Args:
            link_token: The secret of the link.
            address: Where the request came from.

        Raises:
            NotFound: the link leads to nobody, or not any more.
            TooManyAttempts: the same, and too many of these came from the address.
        """
        try:
            person_id = person_behind(self._site, link_token)
        except NotFound:
            with self._lock:
                self._wrong_links.check(address)
                self._wrong_links.failed(address)
            raise
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now_s = self._clock.monotonic_s()
        with self._lock:
            live = {key: one for key, one in self._sessions.items() if now_s < one.until_s}
            theirs = [key for key, one in live.items() if one.person_id == person_id]
            for oldest in theirs[: max(0, len(theirs) - MOST_PER_PERSON + 1)]:
                del live[oldest]
            live[_key(token)] = MySession(person_id, now_s + MY_SESSION_S)
            self._sessions = live
        return token

    def session(self, token: str | None) -> MySession | None:
        """The session with this token; None if there is none, or it has ended."""
        if not token:
            return None
        with self._lock:
            session = self._sessions.get(_key(token))
        return session if session is not None and self._clock.monotonic_s() < session.until_s else None

    def seen(self, token: str) -> None:
        """Something is about to be shown: log that once for each session. On return it is in the ledger.

        Raises:
            NotFound: the person has withdrawn.
            LedgerBroken, DiskFull, DataDamaged, EnvironmentLack: it must not be shown.
        """
        with self._seeing:
            session = self.session(token)
            if session is None or session.has_seen:
                return
            note_own_view(self._site, session.person_id)
            with self._lock:
                if _key(token) in self._sessions:
                    self._sessions[_key(token)] = replace(session, has_seen=True)

    def check_photos(self, person_id: str) -> None:
        """Whether someone may give more photos now: their answers could be used to ask who is enrolled.

        Raises:
            TooManyAttempts: too many photos of theirs were refused lately.
        """
        with self._lock:
            try:
                self._refused_photos.check(person_id)
            except TooManyAttempts:
                raise TooManyAttempts(
                    "too many of your photos were refused lately", "Try again in a quarter of an hour"
                ) from None

    def photo_refused(self, person_id: str) -> None:
        """Count photos that were refused."""
        with self._lock:
            self._refused_photos.failed(person_id)

    def close(self, token: str) -> None:
        """End one session."""
        with self._lock:
            self._sessions.pop(_key(token), None)

    def close_all(self, person_id: str) -> None:
        """End all sessions of a person."""
        with self._lock:
            self._sessions = {key: one for key, one in self._sessions.items() if one.person_id != person_id}


def my_token(headers: Headers) -> str | None:
    """The token of such a session that a request bears."""
    return cookie_of(headers, MY_COOKIE)


def set_my_cookie(response: Response, token: str, *, secure: bool) -> None:
    """Give the browser the token, for the person's own pages only.

    Args:
        secure: Whether the request came by https.
    """
    response.set_cookie(
        MY_COOKIE,
        token,
        max_age=MY_SESSION_S,
        path=MY_PATH,
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def take_my_cookie(response: Response) -> None:
    """Take the token back."""
    response.delete_cookie(MY_COOKIE, path=MY_PATH, httponly=True, samesite="strict")


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
