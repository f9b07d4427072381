"""The video writer: what went in comes out, at its time, or no file at all."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.media.clips import number_of, numbered

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import SourceNotFound, UsageError
from consentry.media import VideoWriter, open_source
from consentry.types import Frame


def read(path: Path) -> list[Frame]:
    with open_source(str(path), camera="out", settings=Media(), clock=SystemClock()) as source:
        return list(source)


def test_frames_come_back_at_their_times_from_any_origin(tmp_path: Path) -> None:
    times_s = [5.0, 5.04, 5.3, 5.31, 7.0]
    path = tmp_path / "out.mp4"
    with VideoWriter(path, frame_wh=(320, 240), fps=25) as writer:
        for number, time_s in enumerate(times_s):
            writer.write(numbered(number), time_s)
            assert not path.exists()
    frames = read(path)
    assert [number_of(frame.bgr) for frame in frames] == list(range(5))
    assert [frame.time_s for frame in frames] == pytest.approx([t - 5 for t in times_s], abs=1e-4)
    assert [child.name for child in tmp_path.iterdir()] == ["out.mp4"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 6))
def test_odd_sizes_are_padded_to_even(tmp_path: Path, width: int, height: int, frames: int) -> None:
    path = tmp_path / "odd.mp4"
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    with VideoWriter(path, frame_wh=(width, height), fps=10, threads=1) as writer:
        for index in range(frames):
            writer.write(picture, index / 10)
    back = read(path)
    assert len(back) == frames
    assert back[0].frame_wh == (width + width % 2, height + height % 2)


def test_frames_of_another_size_are_scaled(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, frame_wh=(320, 240), fps=25) as writer:
        writer.write(numbered(7), 0.0)
        writer.write(numbered(9, (640, 480)), 0.04)
    frames = read(path)
    assert [(frame.frame_wh, number_of(frame.bgr)) for frame in frames] == [((320, 240), 7), ((320, 240), 9)]


def test_it_is_h264_that_starts_before_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, frame_wh=(320, 240), fps=25) as writer:
        for index in range(60):
            writer.write(numbered(index), index / 25)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(60 / 25, abs=0.01)  # type: ignore[operator]
        keyframes = [packet.pts for packet in container.demux(stream) if packet.size and packet.is_keyframe]
        assert len(keyframes) >= 2


def test_time_must_go_forward(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, frame_wh=(64, 64), fps=25) as writer:
        writer.write(numbered(0, (64, 64)), 1.0)
        for time_s in (1.0, 0.5):
            with pytest.raises(UsageError, match="order of time"):
                writer.write(numbered(1, (64, 64)), time_s)
        writer.write(numbered(1, (64, 64)), 1.5)
    assert [frame.time_s for frame in read(path)] == pytest.approx([0, 0.5])


def test_an_error_inside_with_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")

    def fail_on_the_way() -> None:
        with VideoWriter(path, frame_wh=(64, 64), fps=25) as writer:
            for index in range(80):
                writer.write(numbered(index, (64, 64)), index / 25)
            raise KeyError

    with pytest.raises(KeyError):
        fail_on_the_way()
    assert [child.name for child in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_bytes() == b"before"


def test_abort_and_close_are_idempotent_and_final(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    writer = VideoWriter(path, frame_wh=(64, 64), fps=25)
    writer.write(numbered(0, (64, 64)), 0.0)
    writer.abort()
    writer.abort()
    writer.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="already closed"):
        writer.write(numbered(1, (64, 64)), 1.0)


def test_a_stale_partial_of_a_crashed_run_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    (tmp_path / "out.mp4.partial").write_bytes(b"x" * 1_000_000)
    with VideoWriter(path, frame_wh=(64, 64), fps=25) as writer:
        writer.write(numbered(0, (64, 64)), 0.0)
    assert [child.name for child in tmp_path.iterdir()] == ["out.mp4"]
    assert path.stat().st_size < 100_000


def test_a_video_without_a_frame_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="without a frame"),
        VideoWriter(tmp_path / "out.mp4", frame_wh=(64, 64), fps=25),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frame_wh", "fps"), [((0, 10), 25), ((10, -1), 25), ((10, 10), 0), ((20_000, 10), 25)]
)
def test_impossible_videos_are_refused(frame_wh: tuple[int, int], fps: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no video can be"):
        VideoWriter(tmp_path / "out.mp4", frame_wh=frame_wh, fps=fps)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", frame_wh=(64, 64), fps=25)
    for array in (
        np.zeros((64, 64), np.uint8),
        np.zeros((0, 64, 3), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
    ):
        with pytest.raises(UsageError, match="uint8"):
            writer.write(array, 0.0)
    writer.abort()


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="does not exist"):
        VideoWriter(tmp_path / "none" / "out.mp4", frame_wh=(64, 64), fps=25)
    with pytest.raises(UsageError, match="is a folder"):
        VideoWriter(tmp_path, frame_wh=(64, 64), fps=25)
