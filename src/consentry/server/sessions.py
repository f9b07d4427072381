"""Who is signed in: hashes of session tokens, kept in a file so that a restart signs nobody out."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from consentry.clock import Clock
from consentry.config import SignIn
from consentry.errors import ConsentryError
from consentry.server.users import User
from consentry.store.failures import mapped_errors
from consentry.store.files import sync_folder, write_new_file

SESSIONS_FILE = "sessions.json"
TOKEN_BYTES = 32
MOST_SESSIONS = 1000
SAVE_USE_S = 300.0
_S_PER_HOUR = 3600.0
_S_PER_DAY = 86400.0

log = structlog.get_logger("consentry.server")


class _Session(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    user_id: str
    stamp: str = Field(repr=False)
    opened_unix_s: float
    used_unix_s: float


_Sessions = TypeAdapter(dict[str, _Session])


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its user sees it.

    Attributes:
        id: To end it with; says nothing about the token.
        opened_unix_s, used_unix_s: When, seconds since 1970 UTC.
    """

    id: str
    opened_unix_s: float
    used_unix_s: float


class Sessions:
    """Sessions of all users; safe to share between threads.

    Args:
        data_dir: Where `sessions.json` is kept. A file that cannot be understood signs everybody out.
        clock: For their ends.
        limits: How long one may be idle, and last.

    Raises:
        EnvironmentLack, DiskFull: the file cannot be read.
    """

    def __init__(self, data_dir: Path, clock: Clock, limits: SignIn) -> None:
        self._path, self._clock = data_dir / SESSIONS_FILE, clock
        self.idle_s, self.longest_s = limits.idle_hours * _S_PER_HOUR, limits.longest_days * _S_PER_DAY
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._saved_unix_s = clock.unix_s()
        with mapped_errors(self._path):
            if self._path.exists():
                try:
                    self._sessions = _Sessions.validate_json(self._path.read_bytes())
                except ValidationError:
                    self._sessions = {}

    def open(self, user: User, *, instead_of: str | None = None) -> str:
        """Sign `user` in; returns the token, which is kept nowhere.

        Args:
            user: Who.
            instead_of: A token that the same browser had before; it ends.

        Raises:
            DiskFull, EnvironmentLack: the file cannot be written.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            now_unix_s = self._clock.unix_s()
            if instead_of:
                self._sessions.pop(_key(instead_of), None)
            live = {key: item for key, item in self._sessions.items() if not self._is_over(item)}
            newest = sorted(live, key=lambda key: live[key].used_unix_s)[-MOST_SESSIONS + 1 :]
            self._sessions = {key: live[key] for key in newest}
            self._sessions[_key(token)] = _Session(
                id=secrets.token_hex(8),
                user_id=user.id,
                stamp=user.stamp,
                opened_unix_s=now_unix_s,
                used_unix_s=now_unix_s,
            )
            self._save()
        return token

    def holder(self, token: str | None) -> tuple[str, str] | None:
        """Id and stamp of who holds this token, which is used now; None if it is unknown or over."""
        if not token:
            return None
        with self._lock:
            session = self._sessions.get(_key(token))
            if session is None or self._is_over(session):
                return None
            session.used_unix_s = self._clock.unix_s()
            if session.used_unix_s - self._saved_unix_s >= SAVE_USE_S:
                try:
                    self._save()
                except ConsentryError as error:  # the session is good all the same
                    log.warning("session_use_not_kept", error=type(error).__name__, cause=error.cause)
            return session.user_id, session.stamp

    def is_open(self, token: str) -> bool:
        """Whether the token would be taken now; looking does not count as use."""
        with self._lock:
            session = self._sessions.get(_key(token))
            return session is not None and not self._is_over(session)

    def of(self, user: User) -> list[OpenSession]:
        """A user's sessions, the one used last first."""
        with self._lock:
            own = [item for item in self._sessions.values() if item.user_id == user.id]
            live = [item for item in own if item.stamp == user.stamp and not self._is_over(item)]
        listed = [OpenSession(item.id, item.opened_unix_s, item.used_unix_s) for item in live]
        return sorted(listed, key=lambda item: item.used_unix_s, reverse=True)

    def id_of(self, token: str) -> str | None:
        """The id of the session with this token."""
        with self._lock:
            session = self._sessions.get(_key(token))
            return session.id if session else None

    def close(self, token: str) -> None:
        """Sign out. Raises as `open` does."""
        with self._lock:
            if self._sessions.pop(_key(token), None) is not None:
                self._save()

    def close_one(self, user_id: str, session_id: str) -> bool:
        """End one of a user's own sessions; says whether there was such a one. Raises as `open` does."""
        with self._lock:
            kept = {
                key: item
                for key, item in self._sessions.items()
                if not (item.user_id == user_id and item.id == session_id)
            }
            found = len(kept) < len(self._sessions)
            self._sessions = kept
            if found:
                self._save()
        return found

    def close_all(self, user_id: str) -> None:
        """Sign a user out everywhere. Raises as `open` does."""
        with self._lock:
            self._sessions = {key: item for key, item in self._sessions.items() if item.user_id != user_id}
            self._save()

    def _is_over(self, session: _Session) -> bool:
        now_unix_s = self._clock.unix_s()
        return (
            now_unix_s >= session.opened_unix_s + self.longest_s
            or now_unix_s >= session.used_unix_s + self.idle_s
        )

    def _save(self) -> None:
        document = json.dumps({key: item.model_dump() for key, item in self._sessions.items()})
        partial = self._path.with_suffix(".partial")
        with mapped_errors(self._path):
            partial.unlink(missing_ok=True)
            write_new_file(partial, document.encode())
            partial.replace(self._path)
            sync_folder(self._path.parent)
        self._saved_unix_s = self._clock.unix_s()


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
