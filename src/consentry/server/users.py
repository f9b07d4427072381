"""Who may sign in: one owner for now, whose random first password is shown once and kept as Argon2id only."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select, update

from consentry.clock import Clock
from consentry.errors import TooManyAttempts, Unauthorised
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.server.access import Role, role_of
from consentry.store.schema import UserRow

OWNER = "owner"
PASSWORD_BYTES = 15
WINDOW_S = 15 * 60.0
FAILURES_PER_ADDRESS = 5
FAILURES_PER_NAME = 20
MOST_KEYS = 10_000
_ACTOR = "consentry"


@dataclass(frozen=True, slots=True)
class User:
    """Someone who has signed in.

    Attributes:
        id: Random, 16 hexadecimal digits.
        name: What they sign in with.
        role: See `consentry.server.access`.
    """

    id: str
    name: str
    role: Role

    @property
    def actor(self) -> str:
        """How the ledger calls them: by id, so that their name can be erased."""
        return f"user:{self.id}"


class Lockout:
    """Counts failures by key; from `limit` within `WINDOW_S` on, the key is locked until the oldest is past.

    Args:
        clock: Measures the window.
        limit: Failures allowed.
    """

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock, self._limit = clock, limit
        self._failed_s: dict[str, list[float]] = {}

    def check(self, key: str) -> None:
        """Let pass, or not.

        Raises:
            TooManyAttempts: the key is locked.
        """
        recent = self._recent(key)
        if len(recent) >= self._limit:
            wait_s = recent[-self._limit] + WINDOW_S - self._clock.monotonic_s()
            raise TooManyAttempts(
                "too many wrong passwords", f"Try again in {wait_s / 60:.0f} minutes or more"
            )

    def failed(self, key: str) -> None:
        """Count a failure. When too many keys are known, those that are no longer of interest go."""
        if len(self._failed_s) >= MOST_KEYS:
            self._failed_s = {known: recent for known in self._failed_s if (recent := self._recent(known))}
        self._failed_s[key] = [*self._recent(key), self._clock.monotonic_s()]

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._failed_s.pop(key, None)

    def _recent(self, key: str) -> list[float]:
        now_s = self._clock.monotonic_s()
        return [failed_s for failed_s in self._failed_s.get(key, ()) if now_s - failed_s < WINDOW_S]


class Users:
    """The users of a site; safe to share between threads.

    Args:
        site: Holds them.
        clock: For lock-outs.
    """

    def __init__(self, site: Site, clock: Clock) -> None:
        self._site = site
        self._hasher = PasswordHasher()
        self._nobodys_hash = self._hasher.hash(secrets.token_urlsafe(PASSWORD_BYTES))
        self._addresses = Lockout(clock, FAILURES_PER_ADDRESS)
        self._names = Lockout(clock, FAILURES_PER_NAME)
        # one at a time: each hash takes 64 MiB, and the counters are not safe by themselves
        self._one_at_a_time = threading.Lock()

    def ensure_owner(self) -> str | None:
        """Make the owner if there is no user yet; returns the password then, which is kept nowhere.

        Raises:
            DiskFull, DataDamaged, EnvironmentLack: see `consentry.store`.
        """
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        encoded = self._hasher.hash(password)
        with self._site.write() as session:
            if session.execute(select(func.count()).select_from(UserRow)).scalar_one():
                return None
            session.add(
                UserRow(
                    id=new_user_id(),
                    name=OWNER,
                    password_argon2id=encoded,
                    role="admin",
                    created_unix_ms=self._site.now_unix_ms(),
                )
            )
            self._site.log(session, Event.USER_ADDED, actor=_ACTOR, payload={"user": OWNER, "role": "admin"})
        return password

    def renew_owner_password(self) -> str:
        """Give the owner a new random password; the old one is void. Raises as `ensure_owner` does."""
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        encoded = self._hasher.hash(password)
        with self._site.write() as session:
            session.execute(update(UserRow).where(UserRow.name == OWNER).values(password_argon2id=encoded))
            self._site.log(session, Event.USER_PASSWORD_RENEWED, actor=_ACTOR, payload={"user": OWNER})
        return password

    def sign_in(self, name: str, password: str, address: str) -> User:
        """Whose password this is. Both outcomes are logged, the typed name only if there is such a user.

        Args:
            name: As typed.
            password: As typed.
            address: Where the request came from; locked for a while after repeated failures.

        Raises:
            Unauthorised: no such user, or a wrong password; the message does not tell which.
            TooManyAttempts: address or name is locked.
        """
        with self._one_at_a_time:
            self._addresses.check(address)
            self._names.check(name)
            with self._site.read() as session:
                row = session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()
                user = _user(row) if row else None
                encoded = (row.password_argon2id if row else None) or self._nobodys_hash
            fits = self._fits(encoded, password) and user is not None
            if not fits:
                self._addresses.failed(address)
                self._names.failed(name)
            else:
                self._addresses.succeeded(address)
                self._names.succeeded(name)
        event = Event.SESSION_OPENED if fits else Event.SESSION_REFUSED
        with self._site.write() as session:
            self._site.log(
                session,
                event,
                actor=user.actor if user is not None else _ACTOR,
                payload={"with": "password", "user": name if user is not None else None},
            )
        if not fits or user is None:
            raise Unauthorised(
                "name or password is wrong", "Try again; `consentry serve --new-password` helps"
            )
        return user

    def of(self, name: str) -> User | None:
        """The user of that name, if there is one."""
        with self._site.read() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()
            return _user(row) if row else None

    def _fits(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def new_user_id() -> str:
    """A random id for a new user."""
    return secrets.token_hex(8)


def _user(row: UserRow) -> User:
    return User(row.id, row.name, role_of(row.role))
