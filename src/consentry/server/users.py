"""Who may sign in, and signing in: password, code where one is set up, and lock-outs."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field

from sqlalchemy import func, select, update

from consentry.clock import Clock
from consentry.errors import CodeNeeded, NotFound, TooManyAttempts, Unauthorised
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.server import passwords, totp
from consentry.server.access import Role, role_of
from consentry.store.schema import UserRow

OWNER = "owner"
WINDOW_S = 15 * 60.0
FAILURES_PER_ADDRESS = 5
FAILURES_PER_NAME = 20
MOST_KEYS = 10_000
_ACTOR = "consentry"


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may sign in.

    Attributes:
        id: Random, 16 hexadecimal digits.
        name: What they sign in with.
        role: See `consentry.server.access`.
        has_password: Whether they sign in with one; else by OIDC only.
        has_totp: Whether a code of their authenticator app is needed too.
        stamp: Changes with role and password. A session with another stamp is over.
    """

    id: str
    name: str
    role: Role
    has_password: bool = True
    has_totp: bool = False
    stamp: str = field(default="", repr=False)

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
        self._nobodys_hash = passwords.hashed(passwords.random_password())
        self._addresses = Lockout(clock, FAILURES_PER_ADDRESS)
        self._names = Lockout(clock, FAILURES_PER_NAME)
        # one at a time: each hash takes 64 MiB, and the counters are not safe by themselves
        self._one_at_a_time = threading.Lock()

    def ensure_owner(self) -> str | None:
        """Make the owner if there is no user yet; returns the password then, which is kept nowhere.

        Raises:
            DiskFull, DataDamaged, EnvironmentLack: see `consentry.store`.
        """
        password = passwords.random_password()
        encoded = passwords.hashed(password)
        with self._site.write() as session:
            if session.execute(select(func.count()).select_from(UserRow)).scalar_one():
                return None
            owner = UserRow(
                id=new_user_id(),
                name=OWNER,
                password_argon2id=encoded,
                role="admin",
                created_unix_ms=self._site.now_unix_ms(),
            )
            session.add(owner)
            self._site.log(
                session, Event.USER_ADDED, actor=_ACTOR, payload={"user": owner.id, "role": "admin"}
            )
        return password

    def renew_owner_password(self) -> str:
        """Give the owner a new random password; the old one is void, and all their sessions are over.

        Raises:
            NotFound: there is no user of that name any more.
            DiskFull, DataDamaged, EnvironmentLack: see `consentry.store`.
        """
        password = passwords.random_password()
        encoded = passwords.hashed(password)
        with self._site.write() as session:
            owner = session.scalars(select(UserRow).where(UserRow.name == OWNER)).one_or_none()
            if owner is None:
                raise NotFound(f"there is no user called {OWNER}", "Use `consentry user password NAME`")
            owner.password_argon2id = encoded
            self._site.log(session, Event.USER_PASSWORD_RENEWED, actor=_ACTOR, payload={"user": owner.id})
        return password

    def sign_in(self, name: str, password: str, address: str, code: str = "") -> User:
        """Whose password and code these are. Both outcomes are logged, the typed name never.

        Args:
            name: As typed.
            password: As typed.
            address: Where the request came from; locked for a while after repeated failures.
            code: Six digits of the authenticator app; empty if none was typed.

        Raises:
            Unauthorised: no such user, or a wrong password or code; the message does not tell which.
            CodeNeeded: the password is right, and a code is needed too.
            TooManyAttempts: address or name is locked.
        """
        with self._one_at_a_time:
            self._addresses.check(address)
            self._names.check(name)
            user, encoded = self._with_hash(name)
            right = passwords.fits(encoded or self._nobodys_hash, password)
            if user is not None and right and user.has_totp and not code:
                # counts neither as a success nor as a failure: a guesser of codes must not clear the count
                raise CodeNeeded("a code of the authenticator app is needed too", "Give it as `code`")
            return self._end(user, right and self._code_fits(user, code), name, address, "password")

    def second_step(self, user_id: str, code: str, address: str) -> User:
        """The same for a user whose password was right a moment ago, and who now gives the code."""
        with self._one_at_a_time:
            user = self.active(user_id)
            name = user.name if user else ""
            self._addresses.check(address)
            self._names.check(name)
            return self._end(user, self._code_fits(user, code), name, address, "password")

    def require_password(self, user: User, password: str, address: str) -> None:
        """Let someone who is signed in pass only with their password; failures count like those at the door.

        Raises:
            Unauthorised: it is wrong, or they have none.
            TooManyAttempts: address or name is locked.
        """
        with self._one_at_a_time:
            self._addresses.check(address)
            self._names.check(user.name)
            _, encoded = self._with_hash(user.name)
            if passwords.fits(encoded or self._nobodys_hash, password):
                return
            self._addresses.failed(address)
            self._names.failed(user.name)
        raise Unauthorised("the password is wrong", "Type the one you sign in with")

    def of(self, name: str) -> User | None:
        """The user of that name; None if there is none, or they are disabled."""
        with self._site.read() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()
            return user_of(row) if row and not row.is_disabled else None

    def active(self, user_id: str) -> User | None:
        """The user with that id; None if there is none, or they are disabled."""
        with self._site.read() as session:
            row = session.get(UserRow, user_id)
            return user_of(row) if row and not row.is_disabled else None

    def _with_hash(self, name: str) -> tuple[User | None, str | None]:
        with self._site.read() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()
            if row is None or row.is_disabled:
                return None, None
            return user_of(row), row.password_argon2id

    def _code_fits(self, user: User | None, code: str) -> bool:
        """Whether no code is needed, or this is the one; it is used up then."""
        if user is None or not user.has_totp:
            return True
        with self._site.write() as session:
            row = session.get_one(UserRow, user.id)
            step = totp.step_of(self._site, row, code)
            if step is None:
                return False
            session.execute(update(UserRow).where(UserRow.id == user.id).values(totp_last_step=step))
            return True

    def _end(self, user: User | None, right: bool, name: str, address: str, by: str) -> User:
        """Count and log how signing in ended."""
        fits = right and user is not None
        for lockout, key in ((self._addresses, address), (self._names, name)):
            if fits:
                lockout.succeeded(key)
            else:
                lockout.failed(key)
        with self._site.write() as session:
            self._site.log(
                session,
                Event.SESSION_OPENED if fits else Event.SESSION_REFUSED,
                actor=user.actor if user is not None else _ACTOR,
                payload={"with": by},
            )
        if not fits or user is None:
            raise Unauthorised(
                "name, password or code is wrong", "Try again; `consentry serve --new-password` helps"
            )
        return user


def new_user_id() -> str:
    """A random id for a new user."""
    return secrets.token_hex(8)


def user_of(row: UserRow) -> User:
    """What a row of the table says."""
    stamp = hashlib.sha256(f"{row.role}|{row.password_argon2id}".encode()).hexdigest()
    return User(
        id=row.id,
        name=row.name,
        role=role_of(row.role),
        has_password=row.password_argon2id is not None,
        has_totp=row.sealed_totp is not None,
        stamp=stamp[:16],
    )
