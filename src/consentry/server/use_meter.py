"""Adds up for how long each camera recognises people, by day: what the transparency page states."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from consentry.clock import Clock

LONGEST_STEP_S = 5.0


class UseMeter:
    """Counts the time between two messages of a camera that recognises in both; safe between threads.

    Args:
        clock: Measures the time, and names the day (UTC).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since_s: dict[str, float] = {}
        self._used_s: dict[tuple[str, str], float] = {}

    def saw(self, camera: str, *, recognises: bool) -> None:
        """A camera told how it does. A gap longer than `LONGEST_STEP_S` counts as that long."""
        now_s = self._clock.monotonic_s()
        day = datetime.fromtimestamp(self._clock.unix_s(), UTC).date().isoformat()
        with self._lock:
            since_s = self._since_s.pop(camera, None)
            if not recognises:
                return
            self._since_s[camera] = now_s
            if since_s is not None:
                step_s = min(now_s - since_s, LONGEST_STEP_S)
                self._used_s[camera, day] = self._used_s.get((camera, day), 0.0) + step_s

    def take(self) -> dict[tuple[str, str], float]:
        """Seconds by camera and day since the last call."""
        with self._lock:
            used_s, self._used_s = self._used_s, {}
            return used_s
