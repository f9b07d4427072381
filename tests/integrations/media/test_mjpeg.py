"""MJPEG over HTTP, from a real server on loopback."""

from __future__ import annotations

import logging
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integrations.media.http_camera import Camera, serving
from tests.unit.media.clips import jpeg, number_of, write_clip

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import (
    BadMedia,
    MediaError,
    SourceNotFound,
    SourceTimeout,
    SourceUnauthorised,
    SourceUnreachable,
)
from consentry.media import FRAME_DROPS, Source, open_source

PASSWORD = "s3cr%40t-w0rd"
WAIT_S = 20.0
QUICK = Media(open_timeout_s=1.0, read_timeout_s=1.0)


def opened(url: str, media: Media | None = None) -> Source:
    return open_source(url, camera="gate", settings=media or Media(), clock=SystemClock())


def until(condition: threading.Event) -> None:
    assert condition.wait(WAIT_S)


@pytest.mark.parametrize("lengths", [True, False])
def test_frames_arrive_in_order_with_times_of_arrival(lengths: bool) -> None:
    """Without lengths, nobody knows where the last part ends: it counts as damaged."""
    camera = Camera([jpeg(n) for n in range(20 if lengths else 21)], lengths=lengths)
    with serving(camera), opened(camera.url) as source:
        frames = list(source)
    assert (source.info.kind, source.info.codec, source.info.live) == ("mjpeg", "mjpeg", True)
    assert (source.info.frame_wh, source.info.fps) == ((320, 240), None)
    assert [number_of(frame.bgr) for frame in frames] == [frame.sequence for frame in frames]
    assert frames[-1].sequence == 19
    assert all(later.time_s > earlier.time_s for earlier, later in pairwise(frames))
    damaged = source.drops["corrupt_packet"] + source.drops["corrupt_frame"]
    assert damaged == (0 if lengths else 1)
    assert source.frames_read == 20 + damaged == len(frames) + source.drops["stale"] + damaged


def test_a_slow_consumer_gets_the_newest_and_the_rest_is_counted() -> None:
    camera = Camera([jpeg(n) for n in range(60)], pause_before=1, hold_open=True)
    with serving(camera), opened(camera.url) as source:
        iteration = iter(source)
        first = next(iteration)
        camera.go_on.set()
        deadline_s = time.monotonic() + WAIT_S
        while source.frames_decoded < 60 and time.monotonic() < deadline_s:
            threading.Event().wait(0.01)
        second = next(iteration)
    assert [first.sequence, second.sequence] == [0, 59]
    assert [number_of(first.bgr), number_of(second.bgr)] == [0, 59]
    assert source.drops == {"stale": 58}
    assert source.frames_read == 2 + sum(source.drops[cause] for cause in FRAME_DROPS)


def test_a_right_login_is_let_in_and_never_shown() -> None:
    camera = Camera([jpeg(1)], login="admin:s3cr@t-w0rd")
    with serving(camera), opened(camera.url_with(f"admin:{PASSWORD}")) as source:
        assert len(list(source)) == 1
    assert source.info.name == f"http://***@127.0.0.1:{camera.port}/stream"
    assert "w0rd" not in repr(source) + repr(source.info)


@pytest.mark.parametrize(
    ("camera", "fault"),
    [
        (Camera([jpeg(1)], login="admin:right"), SourceUnauthorised),
        (Camera([jpeg(1)], status=403), SourceUnauthorised),
        (Camera([jpeg(1)], status=404), SourceNotFound),
        (Camera([jpeg(1)], status=500), SourceUnreachable),
        (Camera([b"<html>log in</html>" * 50], content_type="text/html"), BadMedia),
        (Camera([b"nothing " * 500], content_type="video/mp4"), BadMedia),
        (Camera([], content_type="video/mp4"), BadMedia),
        (Camera([b"no picture " * 50] * 3), BadMedia),
        (Camera([]), BadMedia),
    ],
    ids=["401", "403", "404", "500", "html", "not video", "empty", "no jpeg", "no parts"],
)
def test_each_refusal_is_its_own_error_without_the_password(
    camera: Camera,
    fault: type[MediaError],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(camera), pytest.raises(fault) as caught:
        opened(camera.url_with(f"admin:{PASSWORD}"), QUICK)
    assert type(caught.value) is fault
    assert caught.value.__context__ is None
    shown = f"{caught.value} {caught.value!r} {caught.value.args} {caplog.text} {capfd.readouterr()}"
    assert "w0rd" not in shown
    assert "***@127.0.0.1" in caught.value.cause
    assert caught.value.mend


def test_a_playlist_is_not_followed() -> None:
    """Nothing is fetched but what the user named."""
    with serving(Camera([jpeg(1)])) as target:
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target.url}\n#EXT-X-ENDLIST\n".encode()
        camera = Camera([playlist], content_type="application/vnd.apple.mpegurl")
        with serving(camera), pytest.raises(BadMedia):
            opened(camera.url)
        assert not target.sent.is_set()


def test_a_cut_in_the_middle_of_a_part_is_a_counted_drop() -> None:
    camera = Camera([jpeg(n) for n in range(10)], cut_last=True)
    with serving(camera), opened(camera.url) as source:
        frames = list(source)
    lost = source.drops["corrupt_packet"] + source.drops["corrupt_frame"]
    assert lost == 1
    assert frames[-1].sequence == 8
    assert source.frames_read == 10 == len(frames) + source.drops["stale"] + lost


def test_broken_pictures_are_counted_and_the_stream_goes_on() -> None:
    parts = [jpeg(n) for n in range(10)]
    parts[4] = parts[4][: len(parts[4]) // 2] + bytes(len(parts[4]) // 2)
    with serving(Camera(parts)) as camera, opened(camera.url) as source:
        frames = list(source)
    assert source.drops["corrupt_packet"] + source.drops["corrupt_frame"] == 1
    assert 4 not in {frame.sequence for frame in frames}
    assert frames[-1].sequence == 9
    assert [number_of(frame.bgr) for frame in frames] == [frame.sequence for frame in frames]


def test_a_new_size_is_counted_and_delivered() -> None:
    parts = [jpeg(0), jpeg(1, (640, 480))]
    with serving(Camera(parts, pause_before=1)) as camera, opened(camera.url) as source:
        iteration = iter(source)
        sizes = [next(iteration).frame_wh]
        camera.go_on.set()
        sizes += [frame.frame_wh for frame in iteration]
    assert sizes == [(320, 240), (640, 480)]
    assert source.drops == {"resized": 1}


def test_silence_in_the_middle_is_a_timeout() -> None:
    with serving(Camera([jpeg(n) for n in range(5)], hold_open=True)) as camera:
        source = opened(camera.url, QUICK)
        began_s = time.monotonic()
        with source, pytest.raises(SourceTimeout, match="did not answer in time"):
            list(source)
        assert time.monotonic() - began_s < 3.0


def test_close_from_another_thread_stops_a_waiting_iteration_at_once() -> None:
    with serving(Camera([jpeg(1)] * 2, hold_open=True)) as camera:
        source = opened(camera.url, Media(read_timeout_s=20.0))
        taken, first = [], threading.Event()

        def consume() -> None:
            for frame in source:
                taken.append(frame)
                first.set()

        thread = threading.Thread(target=consume)
        thread.start()
        until(first)
        began_s = time.monotonic()
        source.close()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert time.monotonic() - began_s < 3.0


def test_a_plain_video_over_http_is_read_whole(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.ts", frames=30).read_bytes()
    with serving(Camera([video], content_type="video/mp2t")) as camera, opened(camera.url) as source:
        frames = list(source)
    assert (source.info.kind, source.info.live) == ("file", False)
    assert [number_of(frame.bgr) for frame in frames] == list(range(30))
