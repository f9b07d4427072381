"""What the workers told last: the newest redacted picture and the health of each camera."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from consentry.clock import Clock
from consentry.pipeline.messages import Health, LivePicture

_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as clients get it.

    Attributes:
        number: Rises with every picture of the camera, across restarts of worker and hub.
        time_s: Of its frame, on the stream's clock.
        jpeg: Redacted.
    """

    number: int
    time_s: float
    jpeg: bytes = field(repr=False)


class LiveState:
    """Written by the hub's threads, read by routes and pages; safe between threads.

    Args:
        clock: Gives the first picture's number, so that numbers rise across restarts.
    """

    def __init__(self, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._pictures: dict[str, Shown] = {}
        self._health: dict[str, Health] = {}
        self._wanted: frozenset[str] | None = None
        self._number = round(clock.unix_s() * _MS_PER_S)
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False
        self.sightings_made = 0

    def show(self, message: LivePicture) -> None:
        """A newer picture has come."""
        with self._lock:
            if not self._is_wanted(message.camera):
                return
            self._number += 1
            self._pictures[message.camera] = Shown(self._number, message.time_s, message.jpeg)
            self._wake()

    def told(self, message: Health) -> None:
        """A camera's health has come. A camera that does not stream has no picture to show."""
        with self._lock:
            if not self._is_wanted(message.camera):
                return
            self._health[message.camera] = message
            if message.state != "streaming":
                self._pictures.pop(message.camera, None)

    def worker_lost(self, cameras: Iterable[str]) -> None:
        """The worker of these cameras died; it will be started again."""
        with self._lock:
            for camera in cameras:
                self._pictures.pop(camera, None)
                known = self._health.get(camera)
                if known is not None:
                    self._health[camera] = replace(
                        known, state="failed", detail="its worker died and is being started again"
                    )

    def keep_only(self, cameras: Iterable[str]) -> None:
        """Forget every other camera, and from now on what a worker still says of one."""
        kept = frozenset(cameras)
        with self._lock:
            self._wanted = kept
            for camera in set(self._health) - kept:
                del self._health[camera]
            for camera in set(self._pictures) - kept:
                del self._pictures[camera]

    def close(self) -> None:
        """No picture will come any more: end everyone's waiting."""
        with self._lock:
            self._closed = True
            self._pictures.clear()
            self._wake()

    @property
    def closed(self) -> bool:
        """Whether the hub is stopping."""
        return self._closed

    def health(self, camera: str) -> Health | None:
        """What was told last; None if nothing was yet."""
        with self._lock:
            return self._health.get(camera)

    def picture(self, camera: str) -> Shown | None:
        """The newest picture, if there is one."""
        with self._lock:
            return self._pictures.get(camera)

    async def picture_after(self, camera: str, number: int, *, timeout_s: float) -> Shown | None:
        """The newest picture, once its number is above `number`; None after `timeout_s` or when closed."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._closed:
                    picture = self.picture(camera)
                    if picture is not None and picture.number > number:
                        return picture
                    await waiter[1].wait()
                    waiter[1].clear()
        except TimeoutError:
            pass  # the caller learns of it by None
        finally:
            with self._lock:
                self._waiting.discard(waiter)
        return None

    def _is_wanted(self, camera: str) -> bool:
        return self._wanted is None or camera in self._wanted

    def _wake(self) -> None:
        for loop, event in self._waiting:
            loop.call_soon_threadsafe(event.set)
