"""The clock of a stream: strictly rising, whatever the time stamps do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.media.timeline import AHEAD_S, LEAST_STEP_S, Timeline

STEP_S = 0.04
stamps = st.one_of(st.none(), st.floats(-1e9, 1e9, allow_nan=False))
arrivals = st.lists(st.floats(0, 100, allow_nan=False), min_size=50, max_size=50)


def placed(stamps_s: list[float | None], *, live: bool, arrivals_s: list[float] | None = None) -> list[float]:
    """The times a new timeline gives these stamps; frames arrive every `STEP_S` unless told."""
    timeline = Timeline(STEP_S, live=live)
    arrivals_s = arrivals_s or [index * STEP_S for index in range(len(stamps_s))]
    return [timeline.place(stamp, arrival) for stamp, arrival in zip(stamps_s, arrivals_s, strict=False)]


@given(st.lists(stamps, min_size=2, max_size=50), st.booleans(), arrivals)
def test_times_start_at_zero_and_rise_strictly(
    stamps_s: list[float | None], live: bool, gaps_s: list[float]
) -> None:
    arrivals_s = [sum(gaps_s[: index + 1]) for index in range(len(stamps_s))]
    times_s = placed(stamps_s, live=live, arrivals_s=arrivals_s)
    assert times_s[0] == 0.0
    assert all(later > earlier for earlier, later in pairwise(times_s))


@given(st.floats(-1e5, 1e5), st.lists(st.floats(0.01, 5000), min_size=1, max_size=30))
def test_a_recording_keeps_its_own_spacing_from_any_origin(origin_s: float, gaps_s: list[float]) -> None:
    wanted = [sum(gaps_s[:index]) for index in range(len(gaps_s) + 1)]
    assert placed([origin_s + time_s for time_s in wanted], live=False) == pytest.approx(wanted, abs=1e-6)


def test_missing_stamps_advance_by_the_nominal_step_in_a_recording() -> None:
    assert placed([None] * 4, live=False) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_missing_stamps_advance_by_arrival_in_a_live_stream() -> None:
    assert placed([None] * 3, live=True, arrivals_s=[7.0, 7.5, 9.0]) == pytest.approx([0, 0.5, 2.0])


def test_a_first_frame_without_stamp_joins_the_ones_with() -> None:
    assert placed([None, 0.04, 0.08], live=False) == pytest.approx([0, 0.04, 0.08])


def test_repeated_and_slightly_late_stamps_are_rounded_up_without_a_jump() -> None:
    timeline = Timeline(STEP_S, live=False)
    times_s = [timeline.place(stamp, 0.0) for stamp in (0.0, 0.04, 0.04, 0.02, 0.12)]
    assert times_s == pytest.approx([0, 0.04, 0.04 + LEAST_STEP_S, 0.04 + 2 * LEAST_STEP_S, 0.12])
    assert timeline.jumps == 0


def test_a_leap_back_is_bridged_and_counted_once() -> None:
    timeline = Timeline(STEP_S, live=False)
    times_s = [timeline.place(stamp, 0.0) for stamp in (100.0, 100.04, 0.0, 0.04)]
    assert times_s == pytest.approx([0, 0.04, 0.08, 0.12])
    assert timeline.jumps == 1


def test_a_camera_that_sets_its_clock_ahead_does_not_take_the_stream_along() -> None:
    timeline = Timeline(STEP_S, live=True)
    stamps_s = [0.0, 0.04, 3600.0, 3600.04]
    times_s = [timeline.place(stamp, index * STEP_S) for index, stamp in enumerate(stamps_s)]
    assert times_s == pytest.approx([0, 0.04, 0.08, 0.12])
    assert timeline.jumps == 1


def test_a_live_stream_may_lag_and_catch_up() -> None:
    """Frames that waited in the network keep the spacing they were taken with."""
    stamps_s: list[float | None] = [0.0, 0.04, 0.08, 0.12]
    assert placed(stamps_s, live=True, arrivals_s=[0, 9.0, 9.0, 9.0]) == pytest.approx([0, 0.04, 0.08, 0.12])
    assert AHEAD_S > 0.12
