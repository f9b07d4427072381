"""The worker's outbox, and how one camera connects, fails and tries again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.clock import SimulatedClock
from consentry.config import Settings
from consentry.errors import ModelMissing
from consentry.gallery.calibration import load_calibration
from consentry.media import Source, VideoWriter, open_source
from consentry.models.catalogue import Catalogue
from consentry.people.consent import Place
from consentry.pipeline.messages import CameraAddress, FromWorker, Health, LivePicture, SightingMade
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import Sighting
from consentry.pipeline.worker import (
    LIVE_PICTURES_PER_S,
    SIGHTINGS_KEPT,
    UNAUTHORISED_RETRY_S,
    CameraRunner,
    Outbox,
    live_picture,
    recogniser_sha256,
    stored,
)
from consentry.privacy.redact import Redacted
from consentry.vision.load import Engines

CALIBRATION = load_calibration(recogniser_sha256(Settings().vision, Catalogue.load()))


def _redacted(camera: str, sequence: int) -> Redacted:
    return Redacted(camera, sequence, sequence / 25, np.full((8, 8, 3), 90, np.uint8), 1, (), False)


def _health(camera: str, detail: str) -> Health:
    return Health(camera, "streaming", detail, 0, 0, 0, 0, 0, {}, {})


def test_messages_go_first_and_in_order() -> None:
    outbox = Outbox(SimulatedClock())
    outbox.offer(_redacted("a", 0))
    outbox.put("a", _health("a", "1"))
    outbox.put("a", _health("a", "2"))
    taken = [outbox.take(0) for _ in range(4)]
    assert [one.detail for one in taken[:2] if isinstance(one, Health)] == ["1", "2"]
    assert isinstance(taken[2], Redacted)
    assert taken[3] is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 0.3), st.booleans()), min_size=1, max_size=60
    )
)
def test_every_picture_is_sent_thinned_replaced_or_waiting(steps: list[tuple[str, float, bool]]) -> None:
    """Nothing is lost uncounted, what is sent is the newest, and no camera exceeds the rate."""
    clock = SimulatedClock()
    outbox = Outbox(clock)
    offered: dict[str, int] = {"a": 0, "b": 0}
    taken: dict[str, list[int]] = {"a": [], "b": []}
    for sequence, (camera, wait_s, take) in enumerate(steps):
        clock.advance(wait_s)
        outbox.offer(_redacted(camera, sequence))
        offered[camera] += 1
        if take:
            item = outbox.take(0)
            if isinstance(item, Redacted):
                taken[item.camera].append(item.sequence)
    waiting = {"a": 0, "b": 0}
    while isinstance(item := outbox.take(0), Redacted):
        waiting[item.camera] += 1
    for camera in offered:
        drops = outbox.drops(camera)
        assert set(drops) <= {"thinned", "replaced"}
        assert offered[camera] == len(taken[camera]) + waiting[camera] + sum(drops.values())
        assert waiting[camera] <= 1
        assert taken[camera] == sorted(taken[camera])
        assert len(taken[camera]) <= clock.monotonic_s() * LIVE_PICTURES_PER_S + 1


def test_when_the_hub_does_not_read_the_oldest_messages_are_lost_and_counted() -> None:
    outbox = Outbox(SimulatedClock())
    for number in range(SIGHTINGS_KEPT + 3):
        outbox.put("a", _health("a", str(number)))
    first = outbox.take(0)
    assert isinstance(first, Health)
    assert first.detail == "3"
    assert outbox.drops("a") == {"unsent": 3}


def test_a_closed_outbox_is_finished_once_it_is_empty() -> None:
    outbox = Outbox(SimulatedClock())
    outbox.put("a", _health("a", ""))
    outbox.close()
    before = outbox.finished
    assert outbox.take(60) is not None
    assert (before, outbox.finished) == (False, True)
    assert outbox.take(60) is None


def test_a_live_picture_is_a_jpeg_of_the_redacted_picture() -> None:
    message = live_picture(_redacted("a", 50))
    assert (message.camera, message.sequence, message.time_s) == ("a", 50, 2.0)
    assert message.jpeg.startswith(b"\xff\xd8\xff")
    assert "jpeg" not in repr(message)


def test_a_track_without_a_good_crop_is_stored_with_the_thresholds_in_force() -> None:
    roster = Roster((), place=Place("a"), calibration=CALIBRATION)
    seen = Sighting(
        camera="a",
        track=3,
        first_s=1.5,
        last_s=2.25,
        frames=9,
        decision="unknown",
        person_id=None,
        name=None,
        score=None,
        margin=None,
        quality=0.0,
        best_xyxy=(1.0, 2.0, 3.0, 4.0),
        crops=0,
        threshold=None,
        references=0,
        reason="no crop was good enough to compare",
        model="ab" * 32,
        calibration="test",
        gallery_digest=None,
    )
    kept = stored(seen, opened_unix_s=1_800_000_000.0, roster=roster, policy=Settings().recognition)
    assert (kept.first_unix_ms, kept.last_unix_ms) == (1_800_000_001_500, 1_800_000_002_250)
    assert kept.quality is None
    assert kept.gallery_digest == roster.gallery.digest
    assert kept.unsure_cosine < kept.known_cosine < 1.0


def _no_engines() -> Engines:
    raise ModelMissing("the weights are not there", "Run `consentry models pull`")


class _Trial:
    """A camera on a simulated clock; notes when it was opened and stops it after `most` times."""

    def __init__(self, url: str, most: int) -> None:
        self.clock = SimulatedClock()
        self.outbox = Outbox(self.clock)
        self.opened_s: list[float] = []
        self._most = most
        self.runner = CameraRunner(
            CameraAddress("door", url),
            open_camera=self._open,
            load=_no_engines,
            calibration=CALIBRATION,
            settings=Settings(),
            outbox=self.outbox,
            clock=self.clock,
        )

    def _open(self, address: CameraAddress) -> Source:
        self.opened_s.append(self.clock.monotonic_s())
        if len(self.opened_s) == self._most:
            self.runner.stop()
        return open_source(address.url, camera=address.name, settings=Settings().media, clock=self.clock)

    def run(self) -> list[FromWorker]:
        self.runner.run()
        assert self.runner.finished
        messages: list[FromWorker] = []
        while (item := self.outbox.take(0)) is not None:
            assert isinstance(item, (SightingMade, LivePicture, Health))
            messages.append(item)
        return messages

    def waits_s(self) -> list[float]:
        return [
            round(later - sooner, 3) for sooner, later in zip(self.opened_s, self.opened_s[1:], strict=False)
        ]


def test_an_unreachable_camera_is_tried_again_with_growing_pauses(free_port: int) -> None:
    trial = _Trial(f"rtsp://admin:secret@127.0.0.1:{free_port}/stream", most=8)
    messages = trial.run()
    assert trial.waits_s() == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    states = [one.state for one in messages if isinstance(one, Health)]
    assert states[:3] == ["unreachable", "connecting", "unreachable"]
    assert states[-1] == "stopped"
    assert not [one for one in messages if "secret" in repr(one)]
    assert "secret" not in repr(CameraAddress("door", "rtsp://admin:secret@127.0.0.1/"))


def test_a_camera_that_refuses_the_password_is_asked_rarely() -> None:
    with _refusing_server() as port:
        trial = _Trial(f"http://admin:secret@127.0.0.1:{port}/video", most=3)
        messages = trial.run()
    assert trial.waits_s() == [UNAUTHORISED_RETRY_S] * 2
    assert next(one.state for one in messages if isinstance(one, Health)) == "unauthorised"
    assert not [one for one in messages if "secret" in repr(one)]


def test_missing_models_are_a_state_with_the_mend(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path, frame_wh=(64, 48), fps=10) as writer:
        for number in range(5):
            writer.write(np.full((48, 64, 3), 40 * number, np.uint8), number / 10)
    trial = _Trial(str(path), most=2)
    failed = [one for one in trial.run() if isinstance(one, Health) and one.state == "failed"]
    assert failed
    assert "consentry models pull" in failed[0].detail


def test_a_fault_in_a_camera_is_shown_and_leaves_it_unfinished() -> None:
    trial = _Trial("rtsp://127.0.0.1:1/", most=99)

    def fail(address: CameraAddress) -> Source:
        raise KeyError(address.name)

    trial.runner._open = fail
    with pytest.raises(KeyError):
        trial.runner.run()
    assert not trial.runner.finished
    assert trial.runner.health().state == "failed"


@pytest.fixture
def free_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def _refusing_server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
