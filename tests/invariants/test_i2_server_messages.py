"""I2 and I3 at the boundary between worker and hub: what crosses the pipe, and what does not.

A real worker plays the demo video, in which Eileen Collins is enrolled and Grace Hopper is not, beside a
camera that does not answer and whose address holds a password. Everything it sends is looked at.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.unit.people.kit import PURPOSE, consent

from consentry.clock import SystemClock
from consentry.config import Settings, models_dir
from consentry.media import open_source
from consentry.people.roster import Reference
from consentry.pipeline.messages import (
    CameraAddress,
    FromWorker,
    Health,
    LivePicture,
    NewRoster,
    SightingMade,
    Stop,
    WorkerSpec,
)
from consentry.pipeline.worker import host_cameras
from consentry.types import Face, Floats, Picture
from consentry.vision.align import align
from consentry.vision.load import Engines

pytestmark = pytest.mark.models

PASSWORD = "hunter2hunter2"
COLLINS_ID = "c0" * 16
SAME_FACE_COSINE = 0.35
ALLOWED = (str, int, float, bytes, type(None))


@pytest.fixture(scope="module")
def collins_template(fast_engines: Engines, collins_bgr: Picture) -> Floats:
    """Eileen Collins's reference."""
    return _template(fast_engines, fast_engines.detector.detect(collins_bgr, min_score=0.5)[0], collins_bgr)


@pytest.fixture(scope="module")
def received(
    fast_engines: Engines, demo_clip: Path, collins_template: Floats
) -> Iterator[list[tuple[FromWorker, bytes]]]:
    """Every message of the worker with the bytes it crossed as."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        silent_port = sock.getsockname()[1]
    spec = WorkerSpec(
        cameras=(
            CameraAddress("dark", f"rtsp://admin:{PASSWORD}@127.0.0.1:{silent_port}/?token={PASSWORD}"),
            CameraAddress("door", str(demo_clip)),
        ),
        settings=Settings().model_dump(),
        models_folder=models_dir(),
        runtime=fast_engines.choice.runtime,
        builtin_video=demo_clip,
    )
    enrolled = Reference(
        COLLINS_ID, "Eileen Collins", collins_template, PURPOSE, (consent(start=datetime.now(UTC)),)
    )
    hubs_end, workers_end = multiprocessing.Pipe()
    hubs_end.send(NewRoster(7, {"door": (enrolled,)}))
    worker = threading.Thread(target=host_cameras, args=(workers_end, spec, SystemClock(), threading.Event()))
    worker.start()
    yield list(_until_ended(hubs_end))
    worker.join()
    workers_end.close()
    hubs_end.close()


def _until_ended(connection: Connection) -> Iterator[tuple[FromWorker, bytes]]:
    """Messages until both cameras have stopped; `Stop` is sent once the file has been played."""
    left = {"dark", "door"}
    while left:
        raw = connection.recv_bytes()
        message: FromWorker = pickle.loads(raw)
        yield message, raw
        if isinstance(message, Health):
            if message.camera == "door" and message.state == "ended":
                left.discard("door")
                connection.send(Stop())
            if message.camera == "dark" and message.state == "stopped":
                left.discard("dark")


def _template(engines: Engines, face: Face, bgr: Picture) -> Floats:
    template: Floats = engines.recogniser.templates(align(bgr, face.landmarks_xy)[None])[0]
    return template


def _live(received: list[tuple[FromWorker, bytes]]) -> list[tuple[LivePicture, Picture]]:
    return [
        (message, np.asarray(cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8))
        for message, _ in received
        if isinstance(message, LivePicture)
    ]


def test_no_live_picture_shows_a_face_that_is_not_enrolled(
    received: list[tuple[FromWorker, bytes]],
    fast_engines: Engines,
    collins_template: Floats,
    hopper_bgr: Picture,
) -> None:
    """Every face in it is Eileen Collins's; nothing that could be a face at all is Grace Hopper's."""
    hopper_template = _template(
        fast_engines, fast_engines.detector.detect(hopper_bgr, min_score=0.5)[0], hopper_bgr
    )
    pictures = _live(received)
    assert len(pictures) >= 12
    shown = 0
    for message, bgr in pictures:
        for face in fast_engines.detector.detect(bgr, min_score=Settings().vision.cover_score):
            template = _template(fast_engines, face, bgr)
            when = f"at {message.time_s:.2f} s"
            assert float(template @ hopper_template) < SAME_FACE_COSINE, f"Grace Hopper's face {when}"
            if face.score >= Settings().vision.find_score:
                assert float(template @ collins_template) >= SAME_FACE_COSINE, f"a stranger's face {when}"
                shown += 1
    assert shown, "nobody was shown at all, so that the test proves nothing"


def test_what_is_shown_is_not_the_raw_frame_where_a_stranger_is(
    received: list[tuple[FromWorker, bytes]], fast_engines: Engines, demo_clip: Path, collins_template: Floats
) -> None:
    """Where the detector sees Grace Hopper in the raw frame, the picture that left has another content."""
    live = {message.sequence: bgr for message, bgr in _live(received)}
    strangers = 0
    settings, clock = Settings().media, SystemClock()
    with open_source(str(demo_clip), camera="raw", settings=settings, clock=clock) as source:
        for frame in source:
            if frame.sequence not in live:
                continue
            for face in fast_engines.detector.detect(frame.bgr, min_score=0.5):
                if float(_template(fast_engines, face, frame.bgr) @ collins_template) >= SAME_FACE_COSINE:
                    continue
                left, top, right, bottom = (max(0, int(side)) for side in face.xyxy)
                raw = frame.bgr[top:bottom, left:right].astype(np.float64)
                sent = live[frame.sequence][top:bottom, left:right].astype(np.float64)
                assert sent.std() < 8.0 < raw.std(), f"not covered at {frame.time_s:.2f} s"
                strangers += 1
    assert strangers >= 3


def test_only_three_kinds_of_message_with_plain_values_cross(
    received: list[tuple[FromWorker, bytes]],
) -> None:
    """No array crosses, so no template and no frame (I3); the only bytes are JPEGs."""
    kinds = {type(message) for message, _ in received}
    assert kinds == {SightingMade, LivePicture, Health}
    for message, _ in received:
        for name, value in _leaves(message):
            assert isinstance(value, ALLOWED), (type(message), name, type(value))
            if isinstance(value, bytes):
                assert name == "jpeg"
                assert value.startswith(b"\xff\xd8\xff")


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _leaves(getattr(value, field.name), field.name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(key, name)
            yield from _leaves(inner, name)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _leaves(inner, name)
    else:
        yield name, value


def test_no_password_and_no_template_is_in_any_byte_that_crosses(
    received: list[tuple[FromWorker, bytes]], collins_template: Floats
) -> None:
    pieces = [collins_template.tobytes()[start : start + 64] for start in range(0, 2048, 512)]
    for message, raw in received:
        assert PASSWORD.encode() not in raw, type(message)
        assert not [piece for piece in pieces if piece in raw], type(message)


def test_a_camera_that_does_not_answer_stops_no_other(received: list[tuple[FromWorker, bytes]]) -> None:
    health = [message for message, _ in received if isinstance(message, Health)]
    assert "unreachable" in {one.state for one in health if one.camera == "dark"}
    last = [one for one in health if one.camera == "door"][-1]
    assert last.state == "ended"
    assert last.frames_analysed == last.frames_read == 360
    assert last.roster_version == 7
    assert not last.frame_drops


def test_who_enrolled_is_recognised_and_nobody_else(received: list[tuple[FromWorker, bytes]]) -> None:
    made = [message.sighting for message, _ in received if isinstance(message, SightingMade)]
    assert {one.person_id for one in made if one.decision == "known"} == {COLLINS_ID}
    assert [one for one in made if one.decision == "unknown"]
    now_unix_ms = SystemClock().unix_s() * 1000
    for one in made:
        assert one.camera == "door"
        assert now_unix_ms - 300_000 < one.first_unix_ms <= one.last_unix_ms
        assert len(one.gallery_digest) == len(one.recogniser_sha256) == 64
