"""Running one side of a loop in its own thread, a few items ahead, so that decoding overlaps inference."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
WAKE_S = 0.2
_END = object()


def read_ahead(items: Iterable[Item], *, depth: int, stop: Callable[[], None]) -> Iterator[Item]:
    """Yield `items`, produced up to `depth` ahead by a thread; an error of theirs is raised here.

    When the consumer leaves early, `stop` is called to end a producer that waits for input, and the
    thread is joined: neither side can hang on the other.
    """
    waiting: queue.Queue[Item | object] = queue.Queue(maxsize=depth)
    left = threading.Event()

    def offer(item: Item | object) -> bool:
        while not left.is_set():
            try:
                waiting.put(item, timeout=WAKE_S)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
        finally:
            offer(_END)

    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        work = thread.submit(produce)
        try:
            while (item := waiting.get()) is not _END:
                yield item  # type: ignore[misc]  # only _END is no Item
        finally:
            left.set()
            stop()
        work.result()


class WriteBehind(Generic[Item]):
    """Calls `write` for each item in a thread, in order, at most `depth` items behind.

    An error of `write` is raised by a later `put` or by `close`.
    """

    def __init__(self, write: Callable[[Item], None], *, depth: int) -> None:
        self._write, self._depth = write, depth
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._pending: deque[Future[None]] = deque()

    def put(self, item: Item) -> None:
        """Hand over one item; waits while `depth` items are waiting."""
        while len(self._pending) >= self._depth:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._write, item))

    def close(self) -> None:
        """Wait until all items are written."""
        self._thread.shutdown(wait=True)
        while self._pending:
            self._pending.popleft().result()

    def cancel(self) -> None:
        """Give up what is waiting; the item being written is finished first."""
        self._pending.clear()
        self._thread.shutdown(wait=True, cancel_futures=True)
