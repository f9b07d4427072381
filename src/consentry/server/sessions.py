"""Who is signed in: hashes of session tokens, kept in a file so that a restart signs nobody out."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from consentry.clock import Clock
from consentry.store.failures import mapped_errors
from consentry.store.files import sync_folder, write_new_file

SESSIONS_FILE = "sessions.json"
SESSION_S = 7 * 24 * 3600
TOKEN_BYTES = 32
MOST_SESSIONS = 1000


class _Session(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    until_unix_s: float


_Sessions = TypeAdapter(dict[str, _Session])


class Sessions:
    """Sessions of all users; safe to share between threads.

    Args:
        data_dir: Where `sessions.json` is kept. A file that cannot be understood signs everybody out.
        clock: For their end, `SESSION_S` after they began.

    Raises:
        EnvironmentLack, DiskFull: the file cannot be read.
    """

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._path, self._clock = data_dir / SESSIONS_FILE, clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        with mapped_errors(self._path):
            if self._path.exists():
                try:
                    self._sessions = _Sessions.validate_json(self._path.read_bytes())
                except ValidationError:
                    self._sessions = {}

    def open(self, user: str) -> str:
        """Sign `user` in; returns the token, which is kept nowhere.

        Raises:
            DiskFull, EnvironmentLack: the file cannot be written.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            now_unix_s = self._clock.unix_s()
            live = {key: item for key, item in self._sessions.items() if now_unix_s < item.until_unix_s}
            newest = sorted(live, key=lambda key: live[key].until_unix_s)[-MOST_SESSIONS + 1 :]
            self._sessions = {key: live[key] for key in newest}
            self._sessions[_key(token)] = _Session(user=user, until_unix_s=now_unix_s + SESSION_S)
            self._save()
        return token

    def user(self, token: str | None) -> str | None:
        """Who holds this token; None if it is unknown, closed or has run out."""
        if not token:
            return None
        with self._lock:
            session = self._sessions.get(_key(token))
        if session is None or self._clock.unix_s() >= session.until_unix_s:
            return None
        return session.user

    def close(self, token: str) -> None:
        """Sign out. Raises as `open` does."""
        with self._lock:
            if self._sessions.pop(_key(token), None) is not None:
                self._save()

    def close_all(self, user: str) -> None:
        """Sign `user` out everywhere. Raises as `open` does."""
        with self._lock:
            self._sessions = {key: item for key, item in self._sessions.items() if item.user != user}
            self._save()

    def _save(self) -> None:
        document = json.dumps({key: item.model_dump() for key, item in self._sessions.items()})
        partial = self._path.with_suffix(".partial")
        with mapped_errors(self._path):
            partial.unlink(missing_ok=True)
            write_new_file(partial, document.encode())
            partial.replace(self._path)
            sync_folder(self._path.parent)


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
