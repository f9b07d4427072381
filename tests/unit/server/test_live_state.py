"""What the hub remembers of the workers' messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from consentry.clock import SimulatedClock
from consentry.pipeline.messages import CameraState, Health, LivePicture
from consentry.server.live import LiveState


def _health(camera: str, state: CameraState) -> Health:
    return Health(camera, state, "", 0, 0, 0, 0, 0, {}, {})


def test_numbers_rise_across_restarts_of_the_hub() -> None:
    clock = SimulatedClock()
    first = LiveState(clock)
    for sequence in range(100):
        first.show(LivePicture("a", sequence, 0.0, b"1"))
    before = first.picture("a")
    clock.advance(1.0)
    second = LiveState(clock)
    second.show(LivePicture("a", 0, 0.0, b"2"))
    after = second.picture("a")
    assert before is not None
    assert after is not None
    assert after.number > before.number


def test_only_a_streaming_camera_has_a_picture() -> None:
    live = LiveState(SimulatedClock())
    ends: list[Callable[[], None]] = [
        lambda: live.told(_health("a", "unreachable")),
        lambda: live.worker_lost(["a"]),
        live.close,
        lambda: live.keep_only(["b"]),
    ]
    for end in ends:
        live.told(_health("a", "streaming"))
        live.show(LivePicture("a", 0, 0.0, b"1"))
        assert live.picture("a") is not None
        end()
        assert live.picture("a") is None


def test_a_lost_worker_is_told_apart_from_an_unknown_camera() -> None:
    live = LiveState(SimulatedClock())
    live.told(_health("a", "streaming"))
    live.worker_lost(["a", "b"])
    health = live.health("a")
    assert health is not None
    assert health.state == "failed"
    assert live.health("b") is None


def test_who_waits_gets_the_next_picture_and_who_waits_in_vain_gets_none() -> None:
    live = LiveState(SimulatedClock())

    async def wait() -> tuple[bytes, object, object]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, live.show, LivePicture("b", 0, 0.0, b"other"))
        loop.call_later(0.1, live.show, LivePicture("a", 0, 0.0, b"mine"))
        first = await live.picture_after("a", 0, timeout_s=10)
        assert first is not None
        in_vain = await live.picture_after("a", first.number, timeout_s=0.05)
        loop.call_later(0.05, live.close)
        closed = await live.picture_after("a", first.number, timeout_s=10)
        return first.jpeg, in_vain, closed

    # a browser test earlier in this thread may have left an event loop running here
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: asyncio.run(wait())).result() == (b"mine", None, None)
    assert not live._waiting


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["picture", "lost", "stopped"]))))
def test_the_newest_picture_is_shown_and_its_number_is_the_highest(steps: list[tuple[str, str]]) -> None:
    live = LiveState(SimulatedClock())
    expected: dict[str, bytes] = {}
    highest = 0
    for step, (camera, what) in enumerate(steps):
        if what == "picture":
            expected[camera] = str(step).encode()
            live.show(LivePicture(camera, step, 0.0, expected[camera]))
            shown = live.picture(camera)
            assert shown is not None
            assert shown.number > highest
            highest = shown.number
        else:
            expected.pop(camera, None)
            live.told(_health(camera, "stopped"))
        for one in "abc":
            picture = live.picture(one)
            assert (picture.jpeg if picture else None) == expected.get(one)


def test_what_a_worker_still_says_of_a_camera_that_left_is_not_taken() -> None:
    live = LiveState(SimulatedClock())
    live.keep_only(["a"])
    live.keep_only(["b"])
    live.told(_health("a", "streaming"))
    live.show(LivePicture("a", 0, 0.0, b"1"))
    assert live.health("a") is None
    assert live.picture("a") is None
