"""Writing behind: order is kept, errors travel, and nobody hangs on anybody."""

from __future__ import annotations

import threading

import pytest

from consentry.errors import DiskFull
from consentry.pipeline.behind import WriteBehind


def test_written_items_keep_their_order() -> None:
    written: list[int] = []
    behind = WriteBehind(written.append, depth=2)
    for number in range(50):
        behind.put(number)
    behind.close()
    assert written == list(range(50))


def test_a_writing_error_reaches_the_caller() -> None:
    def full(_: int) -> None:
        raise DiskFull("no space")

    behind = WriteBehind(full, depth=1)
    behind.put(1)
    with pytest.raises(DiskFull):
        behind.put(2)
    behind.cancel()


def test_a_writing_error_of_the_last_item_reaches_close() -> None:
    def full(_: int) -> None:
        raise DiskFull("no space")

    behind = WriteBehind(full, depth=3)
    behind.put(1)
    with pytest.raises(DiskFull):
        behind.close()


def test_cancelling_ends_the_thread() -> None:
    before = threading.active_count()
    behind: WriteBehind[int] = WriteBehind(lambda _: None, depth=5)
    behind.put(1)
    behind.cancel()
    assert threading.active_count() == before
