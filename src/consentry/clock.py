"""Time is injected: no other module calls `time.time`, `time.monotonic` or `time.sleep`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the program may ask about time."""

    def unix_s(self) -> float:
        """Seconds since 1970-01-01 00:00:00 UTC; may jump when the system clock is set."""

    def monotonic_s(self) -> float:
        """Seconds that never go backwards; only differences mean something."""

    def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds, at once if it is not positive."""


class SystemClock:
    """The machine's own clocks."""

    def unix_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        if duration_s > 0:
            time.sleep(duration_s)


class SimulatedClock:
    """A clock for tests: sleeping moves it on and returns at once."""

    def __init__(self, unix_s: float = 1_800_000_000.0) -> None:
        self._unix_s = unix_s
        self._monotonic_s = 0.0

    def unix_s(self) -> float:
        return self._unix_s

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def sleep(self, duration_s: float) -> None:
        self.advance(max(0.0, duration_s))

    def advance(self, duration_s: float) -> None:
        """Move both clocks on by `duration_s` seconds."""
        self._unix_s += duration_s
        self._monotonic_s += duration_s


def iso_utc(unix_s: float) -> str:
    """`unix_s` as ISO 8601 in UTC with milliseconds, e.g. `2026-11-23T03:19:54.000Z`."""
    moment = datetime.fromtimestamp(unix_s, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
