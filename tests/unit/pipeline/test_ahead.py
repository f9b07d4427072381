"""Threads around a loop: order is kept, errors travel, and nobody hangs on anybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consentry.errors import BadMedia, DiskFull
from consentry.pipeline.ahead import WriteBehind, read_ahead


def test_items_come_in_order_and_the_thread_ends() -> None:
    before = threading.active_count()
    assert list(read_ahead(range(100), depth=3, stop=lambda: None)) == list(range(100))
    assert threading.active_count() == before


def test_an_error_of_the_producer_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise BadMedia("broken")

    ahead = read_ahead(items(), depth=2, stop=lambda: None)
    assert next(ahead) == 1
    with pytest.raises(BadMedia):
        next(ahead)


def test_a_consumer_that_raises_while_the_queue_is_full_does_not_hang() -> None:
    """The failure of other projects: the reader waits in put, the consumer waits for the reader."""
    stopped = threading.Event()
    before = threading.active_count()

    def endless() -> Iterator[int]:
        number = 0
        while not stopped.is_set():
            yield number
            number += 1

    def consume() -> None:
        for item in read_ahead(endless(), depth=1, stop=stopped.set):
            if item == 3:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert stopped.is_set()
    assert threading.active_count() == before


def test_no_more_than_depth_items_are_held() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    consumer = read_ahead(items(), depth=4, stop=lambda: None)
    for expected in range(10):
        assert next(consumer) == expected
        assert len(made) <= expected + 1 + 4 + 2
    consumer.close()  # type: ignore[attr-defined]


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
    behind = WriteBehind(lambda _: None, depth=5)
    behind.put(1)
    behind.cancel()
    assert threading.active_count() == before
