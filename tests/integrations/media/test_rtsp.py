"""RTSP over TCP, from GStreamer's server in a process of its own."""

from __future__ import annotations

import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integrations.media.rtsp import RtspServer, rtsp_server
from tests.unit.media.clips import number_of, write_clip

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import (
    MediaError,
    SourceNotFound,
    SourceTimeout,
    SourceUnauthorised,
    SourceUnreachable,
)
from consentry.media import FRAME_DROPS, Source, open_source

pytestmark = pytest.mark.rtsp

WAIT_S = 20.0


def opened(url: str, *, read_timeout_s: float = 10.0) -> Source:
    media = Media(open_timeout_s=10.0, read_timeout_s=read_timeout_s)
    return open_source(url, camera="gate", settings=media, clock=SystemClock())


def test_a_live_stream_delivers_frames_in_real_time() -> None:
    with rtsp_server("--width", "320", "--height", "240", "--fps", "25") as server:
        with opened(server.url) as source:
            frames = []
            for frame in source:
                frames.append((frame.sequence, frame.time_s, frame.frame_wh))
                if frame.time_s > 2.0:
                    break
        assert (source.info.kind, source.info.live, source.info.codec) == ("rtsp", True, "h264")
        assert source.info.frame_wh == (320, 240)
        assert source.info.fps == pytest.approx(25)
        assert {wh for _, _, wh in frames} == {(320, 240)}
        assert all(b[0] > a[0] and b[1] > a[1] for a, b in pairwise(frames))
        assert set(source.drops) <= {"stale"}
        assert frames[-1][1] == pytest.approx(frames[-1][0] / 25, abs=0.2)


def test_a_served_clip_arrives_as_it_is_and_ends(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=50, options={"bf": "0", "tune": "zerolatency"})
    with rtsp_server("--clip", str(clip)) as server, opened(server.url) as source:
        frames = [(frame.sequence, number_of(frame.bgr)) for frame in source]
    assert [number for _, number in frames] == [sequence for sequence, _ in frames]
    assert frames[-1][1] == 49
    assert source.frames_read == 50 == len(frames) + sum(source.drops[cause] for cause in FRAME_DROPS)


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_only_the_right_login_is_let_in(
    auth: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with rtsp_server("--user", "admin", "--password", "hun@ter 2", "--auth", auth) as server:
        with opened(server.url_with("admin:hun%40ter%202")) as source:
            assert next(iter(source)).sequence >= 0
        assert source.info.name == f"rtsp://***@127.0.0.1:{server.port}/stream"
        for url in (server.url_with("admin:wr0ng-pass"), server.url):
            with pytest.raises(SourceUnauthorised) as caught:
                opened(url)
            assert caught.value.__context__ is None
            shown = (
                f"{caught.value}{caught.value!r}{caplog.text}{source!r}{source.info!r}{capfd.readouterr()}"
            )
            assert "wr0ng" not in shown
            assert "hun" not in shown


def test_an_unknown_path_is_not_found() -> None:
    with rtsp_server() as server, pytest.raises(SourceNotFound):
        opened(server.url.replace("/stream", "/other"))


def test_a_server_that_cannot_serve_is_unreachable(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no clip")
    with rtsp_server("--clip", str(broken)) as server, pytest.raises(SourceUnreachable):
        opened(server.url)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_dies_or_freezes_ends_the_stream_within_the_timeout(how: signal.Signals) -> None:
    with rtsp_server() as server, opened(server.url, read_timeout_s=2.0) as source:
        count, fault, ended_s = 0, None, 0.0
        try:
            for frame in source:
                count += 1
                if frame.time_s > 1.5 and not ended_s:
                    server.process.send_signal(how)
                    ended_s = time.monotonic()
        except MediaError as error:
            fault = error
        assert ended_s
        assert time.monotonic() - ended_s < 3.0
        assert count > 1
    if how is signal.SIGSTOP:
        assert type(fault) is SourceTimeout
        assert fault.__context__ is None
    else:
        assert fault is None or isinstance(fault, (SourceUnreachable, SourceTimeout))


def test_close_lets_go_of_a_frozen_camera_at_once() -> None:
    with rtsp_server() as server:
        source = opened(server.url, read_timeout_s=3.0)
        begun = threading.Event()

        def consume() -> None:
            for _ in source:
                begun.set()

        thread = threading.Thread(target=consume)
        thread.start()
        assert begun.wait(WAIT_S)
        server.process.send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        source.close()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert time.monotonic() - began_s < 2.0


def test_two_cameras_at_once_do_not_disturb_each_other() -> None:
    def some(server: RtspServer) -> list[int]:
        with opened(server.url) as source:
            return [frame.sequence for _, frame in zip(range(10), source, strict=False)]

    with rtsp_server() as one, rtsp_server() as other, ThreadPoolExecutor(2) as pool:
        first, second = pool.map(some, (one, other))
    assert len(first) == len(second) == 10
