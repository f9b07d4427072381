"""Video files as sources: every frame, in order, at its time, and nothing left open."""

from __future__ import annotations

import gc
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.media.clips import number_of, write_clip

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import BadMedia, UsageError
from consentry.media import FRAME_DROPS, Source, VideoWriter, open_source, probe
from consentry.types import Frame

WAIT_S = 20.0
CODECS = {
    "h264.mp4": ("libx264", {"bf": "3"}),
    "h264.ts": ("libx264", {"bf": "3"}),
    "h264.mkv": ("libx264", {"bf": "3", "refs": "4"}),
    "hevc.mp4": ("libx265", {}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg4.mp4": ("mpeg4", {"bf": "2"}),
    "mjpeg.avi": ("mjpeg", {}),
    "vp8.webm": ("libvpx", {"deadline": "realtime"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "lag-in-frames": "10"}),
}


def opened(path: Path | str, media: Media | None = None) -> Source:
    return open_source(str(path), camera="door", settings=media or Media(), clock=SystemClock())


def read(path: Path, media: Media | None = None) -> tuple[Source, list[Frame]]:
    with opened(path, media) as source:
        return source, list(source)


def assert_accounts_balance(source: Source, frames: list[Frame]) -> None:
    """What `Source` promises of times, sequence numbers and counters."""
    assert all(later.time_s > earlier.time_s for earlier, later in pairwise(frames))
    assert all(later.sequence > earlier.sequence for earlier, later in pairwise(frames))
    assert source.frames_read == len(frames) + sum(source.drops[cause] for cause in FRAME_DROPS)
    assert len(frames) <= source.frames_decoded <= source.frames_read


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_delivers_every_frame_in_order(name: str, tmp_path: Path) -> None:
    codec, options = CODECS[name]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(tmp_path / name, codec, frames=40, options=options, pix_fmt=pix_fmt)
    source, frames = read(path)
    assert [number_of(frame.bgr) for frame in frames] == list(range(40))
    assert [frame.sequence for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(40)], abs=0.002)
    assert source.info.codec == name.split(".")[0]
    assert source.info.frame_wh == frames[0].frame_wh == (320, 240)
    assert source.info.fps == pytest.approx(25)
    assert (source.info.kind, source.info.live, source.info.name) == ("file", False, str(path))
    assert not source.drops
    assert_accounts_balance(source, frames)


def test_raw_h264_without_any_time_stamps_runs_at_its_nominal_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "raw.h264", frames=30, format="h264")
    source, frames = read(path)
    assert [number_of(frame.bgr) for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(30)])
    assert_accounts_balance(source, frames)


def test_a_varying_frame_rate_and_a_late_start_are_kept(tmp_path: Path) -> None:
    times_s = [100.0, 100.04, 100.5, 100.51, 103.0, 103.04]
    source, frames = read(write_clip(tmp_path / "vfr.mkv", times_s=times_s))
    assert [frame.time_s for frame in frames] == pytest.approx([t - 100 for t in times_s], abs=0.002)
    assert [number_of(frame.bgr) for frame in frames] == list(range(6))
    assert not source.drops


def test_two_sizes_in_one_stream_go_on_in_the_new_size(tmp_path: Path) -> None:
    parts = [
        write_clip(tmp_path / "a.h264", frames=10, format="h264"),
        write_clip(tmp_path / "b.h264", frames=10, format="h264", wh=(640, 360), first_number=10),
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source, frames = read(path)
    assert [number_of(frame.bgr) for frame in frames] == list(range(20))
    assert [frame.frame_wh for frame in frames] == [(320, 240)] * 10 + [(640, 360)] * 10
    assert source.drops == {"resized": 1}
    assert source.info.frame_wh == (320, 240)
    assert_accounts_balance(source, frames)


def test_a_recording_joined_of_two_goes_on_in_time(tmp_path: Path) -> None:
    part = write_clip(tmp_path / "part.ts", frames=50).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(part + part)
    source, frames = read(path)
    assert frames[-1].time_s == pytest.approx(len(frames) / 25, abs=0.1)
    assert source.drops["time_jump"] == 1
    assert_accounts_balance(source, frames)


@pytest.mark.parametrize("rotation_deg", [90, 180, -90])
def test_rotation_is_applied(rotation_deg: int, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "turned.mp4", frames=3, rotation_deg=rotation_deg)
    source, frames = read(path)
    upright = np.ascontiguousarray(np.rot90(frames[0].bgr, -rotation_deg // 90))
    assert [number_of(np.ascontiguousarray(np.rot90(f.bgr, -rotation_deg // 90))) for f in frames] == [
        0,
        1,
        2,
    ]
    assert upright.shape == (240, 320, 3)
    assert source.info.frame_wh == ((320, 240) if rotation_deg == 180 else (240, 320))
    assert not source.drops


def test_colours_survive_writing_and_reading_as_bt709(tmp_path: Path) -> None:
    colours = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (128, 128, 128), (40, 200, 240), (255, 255, 255)]
    path = tmp_path / "colours.mp4"
    with VideoWriter(path, frame_wh=(192, 64), fps=5) as writer:
        for index in range(3):
            writer.write(np.array(colours, np.uint8)[None].repeat(64, axis=0).repeat(32, axis=1), index / 5)
    _, frames = read(path)
    found = [frames[-1].bgr[32, 32 * index + 16].astype(int) for index in range(len(colours))]
    assert np.abs(np.array(found) - np.array(colours)).max() <= 6


def test_an_untagged_colour_is_read_as_bt601(tmp_path: Path) -> None:
    """FFmpeg's encoder tags nothing and converts by BT.601; so must we."""
    _, frames = read(write_clip(tmp_path / "plain.mp4", frames=1, options={"crf": "5"}))
    assert np.abs(frames[0].bgr[-1, 0].astype(int) - (0, 199, 239 % 200)).max() <= 12


def test_a_source_can_be_read_once(tmp_path: Path) -> None:
    source, frames = read(write_clip(tmp_path / "a.mp4", frames=5))
    assert len(frames) == 5
    with pytest.raises(UsageError, match="already been read"):
        next(iter(source))


def test_a_closed_source_gives_no_frames(tmp_path: Path) -> None:
    source = opened(write_clip(tmp_path / "a.mp4", frames=5))
    source.close()
    source.close()
    assert list(source) == []


def test_leaving_the_loop_early_closes(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=30)
    before = threading.active_count()
    source = opened(path)
    for frame in source:
        if frame.sequence == 3:
            break
    del frame
    gc.collect()
    assert threading.active_count() == before


def test_close_from_another_thread_stops_the_iteration(tmp_path: Path) -> None:
    source = opened(write_clip(tmp_path / "a.mp4", frames=100))
    begun, seen = threading.Event(), []

    def consume() -> None:
        for frame in source:
            seen.append(frame.sequence)
            begun.set()
            if frame.sequence == 5:
                closed.wait(WAIT_S)

    closed = threading.Event()
    thread = threading.Thread(target=consume)
    thread.start()
    assert begun.wait(WAIT_S)
    source.close()
    closed.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert len(seen) <= 6


def test_opening_and_closing_leaks_neither_files_nor_threads(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=8)

    def use(index: int) -> None:
        with opened(path) as source:
            if index % 3 == 0:
                assert len(list(source)) == 8
            elif index % 3 == 1:
                next(iter(source))

    def held() -> tuple[int, int]:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())), len(list(Path("/proc/self/task").iterdir()))

    use(0)
    before = held()
    for index in range(50):
        use(index)
    assert held() == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 400), min_size=1, max_size=25), st.integers(0, 3), st.integers(1, 12))
def test_any_spacing_of_frames_comes_back(
    tmp_path: Path, gaps_centis: list[int], b_frames: int, gop: int
) -> None:
    times_s = [sum(gaps_centis[:index]) / 100 for index in range(len(gaps_centis) + 1)]
    options = {"bf": str(b_frames), "g": str(gop), "preset": "ultrafast"}
    source, frames = read(write_clip(tmp_path / "any.mkv", times_s=times_s, options=options, wh=(160, 96)))
    assert [frame.time_s for frame in frames] == pytest.approx(times_s, abs=0.002)
    assert [number_of(frame.bgr) for frame in frames] == list(range(len(times_s)))
    assert_accounts_balance(source, frames)


def test_probe_tells_what_it_is_and_leaves_nothing_open(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=5)
    info = probe(str(path), settings=Media(), clock=SystemClock())
    assert (info.kind, info.codec, info.frame_wh, info.live) == ("file", "h264", (320, 240), False)


def test_pictures_larger_than_allowed_are_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=2)
    with pytest.raises(BadMedia, match="320×240"):
        opened(path, Media(max_pixels=320 * 240 - 1))
    assert len(read(path, Media(max_pixels=320 * 240))[1]) == 2


def test_a_relative_path_may_look_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "concat:a.mp4", format="mp4", frames=2)
    monkeypatch.chdir(tmp_path)
    source, frames = read(Path("concat:a.mp4"))
    assert len(frames) == 2
    assert source.info.name == "concat:a.mp4"
