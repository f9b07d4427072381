"""The queue between decoder and consumer."""

from __future__ import annotations

import threading

import pytest
from av.video.frame import VideoFrame

from consentry.errors import SourceTimeout
from consentry.media.handover import Decoded, Handover

PICTURE = VideoFrame(16, 16, "yuv420p")
WAIT_S = 10.0


def decoded(number: int) -> Decoded:
    return Decoded(number, number / 25, PICTURE)


def test_newest_only_keeps_the_last_and_says_what_it_dropped() -> None:
    handover = Handover(1, newest_only=True)
    assert [handover.put(decoded(number)) for number in range(5)] == [0, 1, 1, 1, 1]
    handover.finish(None)
    taken = handover.get()
    assert taken is not None
    assert taken.sequence == 4
    assert handover.get() is None


def test_a_full_queue_makes_the_producer_wait_and_loses_nothing() -> None:
    handover = Handover(2, newest_only=False)
    dropped: list[int] = []

    def produce() -> None:
        dropped.extend(handover.put(decoded(number)) for number in range(50))
        handover.finish(None)

    thread = threading.Thread(target=produce)
    thread.start()
    taken = []
    while (one := handover.get()) is not None:
        taken.append(one.sequence)
    thread.join(WAIT_S)
    assert taken == list(range(50))
    assert sum(dropped) == 0


def test_a_failure_comes_after_the_pictures_before_it() -> None:
    handover = Handover(2, newest_only=False)
    handover.put(decoded(0))
    handover.finish(SourceTimeout("camera is gone"))
    taken = handover.get()
    assert taken is not None
    assert taken.sequence == 0
    with pytest.raises(SourceTimeout, match="camera is gone"):
        handover.get()


@pytest.mark.parametrize("newest_only", [True, False])
def test_close_wakes_both_sides(newest_only: bool) -> None:
    waiting_consumer, full = Handover(1, newest_only=newest_only), Handover(1, newest_only=newest_only)
    full.put(decoded(0))
    threads = [
        threading.Thread(target=waiting_consumer.get),
        threading.Thread(target=full.put, args=(decoded(1),)),
    ]
    for thread in threads:
        thread.start()
    for handover in (waiting_consumer, full):
        handover.close()
        handover.close()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert full.closed
    assert full.get() is None
    assert full.put(decoded(2)) == 0
