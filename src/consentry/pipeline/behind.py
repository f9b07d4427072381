"""Writing in a thread of its own, so that encoding overlaps analysis. Sources read ahead by themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")


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
