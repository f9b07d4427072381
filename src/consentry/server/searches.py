"""Comparing faces by request: bounded for each user and logged, because every answer tells a little.

An answer to "is this the same face?" can be asked for again and again with a changed picture, until one
passes. Coarse scores (`gallery/rounding.py`) and few questions a minute make that long; the log shows it.
Enrolling counts too: its refusal of someone enrolled already is such an answer.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Literal

from consentry.clock import Clock
from consentry.errors import TooManyAttempts
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.server.users import User

Kind = Literal["identify", "verify", "enrol"]
WINDOW_S = 60.0


class Searches:
    """Counts comparisons by user in a sliding window; safe to share between threads.

    Args:
        site: Whose ledger.
        clock: Measures the window.
        per_minute: Comparisons one user may ask for within `WINDOW_S`, of all kinds together.
    """

    def __init__(self, site: Site, clock: Clock, per_minute: int) -> None:
        self._site, self._clock, self._per_minute = site, clock, per_minute
        self._lock = threading.Lock()
        self._begun_s: dict[str, deque[float]] = {}

    def begin(self, user: User, kind: Kind, *, photos: int, purpose: str | None = None) -> None:
        """Before `user` compares faces: let it pass or not. On return it is in the ledger; a refusal is too.

        Args:
            user: Who asks.
            kind: What for.
            photos: How many were sent.
            purpose: Searched for, in 1:N.

        Raises:
            TooManyAttempts: the user has compared too often in the last minute; says when to try again.
            LedgerBroken, DiskFull, DataDamaged, EnvironmentLack: it cannot be logged and must not be done.
        """
        wait_s = self._wait_s(user.id)
        with self._site.write() as session:
            self._site.log(
                session,
                Event.SEARCH_MADE,
                actor=user.actor,
                payload={
                    "kind": kind,
                    "purpose": purpose,
                    "photos": photos,
                    "outcome": "refused" if wait_s else "made",
                },
            )
        if wait_s:
            raise TooManyAttempts(
                f"{self._per_minute} comparisons a minute are allowed for each user",
                f"Try again in {math.ceil(wait_s)} seconds",
            )

    def _wait_s(self, user_id: str) -> float:
        """Count a comparison and give 0, or give how long the user must wait; a refusal does not count."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            begun_s = self._begun_s.setdefault(user_id, deque())
            while begun_s and now_s - begun_s[0] >= WINDOW_S:
                begun_s.popleft()
            if len(begun_s) >= self._per_minute:
                return WINDOW_S - (now_s - begun_s[0])
            begun_s.append(now_s)
            return 0.0
