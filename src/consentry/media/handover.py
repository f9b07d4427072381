"""A small bounded queue between the thread that decodes and the one that looks at the pictures."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from av.video.frame import VideoFrame


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as the decoder gave it, with its number and time in seconds since the first."""

    sequence: int
    time_s: float
    picture: VideoFrame


class Handover:
    """Bounded, for one producer and one consumer.

    Args:
        capacity: Most pictures held.
        newest_only: When full, drop the oldest instead of making the producer wait.
    """

    def __init__(self, capacity: int, *, newest_only: bool) -> None:
        self._changed = threading.Condition()
        self._held: deque[Decoded] = deque()
        self._capacity = capacity
        self._newest_only = newest_only
        self._closed = False
        self._finished = False
        self._failure: BaseException | None = None

    @property
    def closed(self) -> bool:
        """Nobody wants pictures any more."""
        return self._closed

    def put(self, decoded: Decoded) -> int:
        """Hand over; returns how many older pictures were dropped for it. Does nothing once closed."""
        with self._changed:
            if not self._newest_only:
                self._changed.wait_for(lambda: self._closed or len(self._held) < self._capacity)
            if self._closed:
                return 0
            dropped = 0
            if len(self._held) == self._capacity:
                self._held.popleft()
                dropped = 1
            self._held.append(decoded)
            self._changed.notify_all()
            return dropped

    def finish(self, failure: BaseException | None) -> None:
        """No more pictures will come, because of `failure` or because that was all."""
        with self._changed:
            self._finished = True
            self._failure = failure
            self._changed.notify_all()

    def close(self) -> None:
        """Wake both sides and let go of what is held."""
        with self._changed:
            self._closed = True
            self._held.clear()
            self._changed.notify_all()

    def get(self) -> Decoded | None:
        """The next picture, waiting for it; None at the end. Raises what `finish` was given."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._finished or self._held)
            if self._closed:
                return None
            if self._held:
                decoded = self._held.popleft()
                self._changed.notify_all()
                return decoded
            if self._failure is not None:
                raise self._failure
            return None
