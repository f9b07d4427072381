"""One strictly rising clock per stream, made of the time stamps the stream carries."""

from __future__ import annotations

LEAST_STEP_S = 0.001
BACK_S = 1.0
AHEAD_S = 5.0


class Timeline:
    """Turns a stream's own time stamps into seconds since its first frame.

    Stamps may be missing, repeat, or leap: cameras set their clocks, recordings are joined. A step
    back of more than `BACK_S`, or on a live stream one that runs ahead of real time by more than
    `AHEAD_S`, is bridged by the time that really passed and counted in `jumps`. A smaller step back
    is rounded up to `LEAST_STEP_S`. Recorded files may leave gaps of any length forward.

    Args:
        step_s: Time between two frames where nothing better is known, in seconds.
        live: The frames come in real time, so arrival times mean something.
    """

    def __init__(self, step_s: float, *, live: bool) -> None:
        self.jumps = 0
        self._step_s = step_s
        self._live = live
        self._last_s: float | None = None
        self._last_arrival_s = 0.0
        self._origin_s: float | None = None

    def place(self, stamp_s: float | None, arrival_s: float) -> float:
        """Seconds since the first frame, more than for any frame before.

        Args:
            stamp_s: The frame's time stamp by the stream's clock; None when it has none.
            arrival_s: When the frame got here, by a monotonic clock.
        """
        time_s = self._next_s(stamp_s, arrival_s)
        if stamp_s is not None and self._origin_s is None:
            self._origin_s = stamp_s - time_s
        self._last_s = time_s
        self._last_arrival_s = arrival_s
        return time_s

    def _next_s(self, stamp_s: float | None, arrival_s: float) -> float:
        if self._last_s is None:
            return 0.0
        passed_s = arrival_s - self._last_arrival_s if self._live else self._step_s
        expected_s = self._last_s + max(passed_s, LEAST_STEP_S)
        if stamp_s is None or self._origin_s is None:
            return expected_s
        time_s = stamp_s - self._origin_s
        if time_s < self._last_s - BACK_S or (self._live and time_s > expected_s + AHEAD_S):
            self.jumps += 1
            self._origin_s = None
            return expected_s
        return max(time_s, self._last_s + LEAST_STEP_S)
