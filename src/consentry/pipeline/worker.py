"""The worker process: hosts cameras, one thread each, and tells the hub what they saw.

A broken stream may kill a decoder, and with it this process, but never the hub, which starts it again.
Only redacted pictures leave: the JPEG is made here, from what the redactor let go.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from types import FrameType

import cv2
import structlog

from consentry.clock import Clock, SystemClock
from consentry.config import Recognition, Settings, Vision
from consentry.errors import ConsentryError, EngineError, MediaError, SourceUnauthorised
from consentry.gallery.calibration import Calibration, load_calibration
from consentry.media import Source, open_source
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.people.consent import Place
from consentry.people.sightings import Sighting as StoredSighting
from consentry.pipeline.builtin import BUILTIN_URL, LoopedFile
from consentry.pipeline.camera import CameraPipeline
from consentry.pipeline.logs import quiet_crashes
from consentry.pipeline.messages import (
    CameraAddress,
    CameraState,
    FromWorker,
    Health,
    LivePicture,
    NewRoster,
    SightingMade,
    Stop,
    WorkerSpec,
)
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import Sighting
from consentry.privacy.redact import Redacted
from consentry.types import Frame
from consentry.vision.load import Engines, load_engines

LIVE_PICTURES_PER_S = 12.0
LIVE_JPEG_QUALITY = 80
HEALTH_EVERY_S = 1.0
CHECK_EVERY_S = 0.25
STOP_WITHIN_S = 8.0
SIGHTINGS_KEPT = 10_000
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
UNAUTHORISED_RETRY_S = 60.0
CRASH_RETRY_S = 5.0

log = structlog.get_logger("consentry.worker")


def configure_logging() -> None:
    """For hub and workers: a line per event on standard error, without names of people or passwords."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    quiet_crashes()


class Outbox:
    """What waits to be sent: sightings and health in order, of live pictures only each camera's newest.

    Args:
        clock: Measures the rate of live pictures.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._messages: deque[FromWorker] = deque()
        self._pictures: dict[str, Redacted] = {}
        self._offered_s: dict[str, float] = {}
        self._drops: dict[str, Counter[str]] = {}
        self._closed = False

    def put(self, camera: str, message: FromWorker) -> None:
        """Queue a message; when too many wait, the oldest is lost and counted as `unsent`."""
        with self._changed:
            if len(self._messages) == SIGHTINGS_KEPT:
                self._messages.popleft()
                self._dropped(camera, "unsent")
            self._messages.append(message)
            self._changed.notify()

    def offer(self, redacted: Redacted) -> None:
        """Queue a live picture unless it comes too soon after the last; it replaces one that still waits."""
        with self._changed:
            camera, now_s = redacted.camera, self._clock.monotonic_s()
            if now_s - self._offered_s.get(camera, -1e9) < 1.0 / LIVE_PICTURES_PER_S:
                self._dropped(camera, "thinned")
                return
            if camera in self._pictures:
                self._dropped(camera, "replaced")
            self._offered_s[camera] = now_s
            self._pictures[camera] = redacted
            self._changed.notify()

    def take(self, timeout_s: float) -> FromWorker | Redacted | None:
        """The next thing to send, messages first; None if nothing came in `timeout_s`, or all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._pictures or self._closed, timeout_s)
            if self._messages:
                return self._messages.popleft()
            if self._pictures:
                return self._pictures.pop(next(iter(self._pictures)))
            return None

    def close(self) -> None:
        """Nothing more will be put."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def finished(self) -> bool:
        """Closed, and everything has been taken."""
        with self._changed:
            return self._closed and not self._messages and not self._pictures

    def drops(self, camera: str) -> dict[str, int]:
        """What was not sent, by cause."""
        with self._changed:
            return dict(self._drops.get(camera, {}))

    def _dropped(self, camera: str, cause: str) -> None:
        self._drops.setdefault(camera, Counter())[cause] += 1


class CameraRunner:
    """One camera: connects, streams, reconnects.

    Args:
        address: The camera.
        open_camera: Opens it.
        load: Gives engines for this camera's own thread.
        calibration: Of their recogniser.
        settings: Of the installation.
        outbox: Where sightings, pictures and changes of state go.
        clock: For waiting and for wall time.
    """

    def __init__(
        self,
        address: CameraAddress,
        *,
        open_camera: Callable[[CameraAddress], Source],
        load: Callable[[], Engines],
        calibration: Calibration,
        settings: Settings,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self.name = address.name
        self._place = Place(address.name, address.zone)
        self.state: CameraState = "connecting"
        self.detail = ""
        self.finished = False
        self._address, self._open, self._load = address, open_camera, load
        self._settings, self._outbox, self._clock = settings, outbox, clock
        self._calibration = calibration
        self._roster = Roster((), place=self._place, calibration=calibration, version=-1)
        self._stopping = threading.Event()
        self._source: Source | None = None
        self._pipeline: CameraPipeline | None = None
        self._engines: Engines | None = None
        self._totals: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._retry_s = FIRST_RETRY_S
        self._opened_unix_s = 0.0

    def run(self) -> None:
        """Stream until told to stop or until a file has ended; `finished` stays unset if a fault got out."""
        try:
            while not self._stopping.is_set():
                wait_s = self._connect_once()
                if wait_s is None:
                    break
                self._wait(wait_s)
            if self.state != "ended":
                self._set("stopped")
            self.finished = True
        finally:
            if not self.finished:
                self._set("failed", "a fault in the program stopped this camera; the log has its place")
            if self._engines is not None:
                self._engines.close()
                self._engines = None

    def stop(self) -> None:
        """Stop soon; tracks that are under way become sightings. Any thread may call it."""
        self._stopping.set()
        source = self._source
        if source is not None:
            source.close()

    def use(self, message: NewRoster) -> None:
        """Recognise from now on whom the message names for this camera. Any thread may call it."""
        self._roster = Roster(
            message.references.get(self.name, ()),
            place=self._place,
            calibration=self._calibration,
            version=message.version,
        )
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.roster = self._roster

    def health(self) -> Health:
        """How it does now."""
        totals, drops = self._totals.copy(), self._drops.copy()
        source, pipeline = self._source, self._pipeline
        if source is not None and pipeline is not None:
            _add_up(totals, drops, source, pipeline)
        return Health(
            camera=self.name,
            state=self.state,
            detail=self.detail,
            roster_version=self._roster.version,
            frames_read=totals["frames_read"],
            frames_analysed=totals["frames_analysed"],
            faces=totals["faces"],
            tracks=totals["tracks"],
            frame_drops=dict(drops),
            live_drops=self._outbox.drops(self.name),
        )

    def _connect_once(self) -> float | None:
        """Stream until the source is gone; returns how many seconds to wait before the next try, if any."""
        self._set("connecting")
        try:
            with self._open(self._address) as source:
                self._source = source
                return self._stream(source)
        except SourceUnauthorised as error:
            self._set("unauthorised", error.cause)
            return UNAUTHORISED_RETRY_S
        except MediaError as error:
            self._set("unreachable", error.cause)
        except ConsentryError as error:
            self._set("failed", str(error))
        finally:
            self._source = None
        retry_s, self._retry_s = self._retry_s, min(2 * self._retry_s, LONGEST_RETRY_S)
        return retry_s

    def _stream(self, source: Source) -> float | None:
        if self._stopping.is_set():
            return None
        if self._engines is None:
            self._engines = self._load()
        pipeline = CameraPipeline(
            self.name,
            self._engines.detector,
            self._engines.recogniser,
            self._roster,
            self._settings,
            self._clock,
            self._sighted,
        )
        self._pipeline = pipeline
        pipeline.roster = self._roster  # one that came in between is not lost
        try:
            for frame in source:
                if self.state != "streaming":
                    self._begin(frame)
                for redacted in pipeline.process(frame):
                    self._outbox.offer(redacted)
        finally:
            for redacted in pipeline.finish():
                self._outbox.offer(redacted)
            self._pipeline = None
            _add_up(self._totals, self._drops, source, pipeline)
        if not source.info.live:
            self._set("stopped" if self._stopping.is_set() else "ended")
            return None
        if not self._stopping.is_set():
            self._set("unreachable", "the camera ended the stream")
        return FIRST_RETRY_S

    def _begin(self, first: Frame) -> None:
        self._opened_unix_s = self._clock.unix_s() - first.time_s
        self._retry_s = FIRST_RETRY_S
        self._set("streaming")

    def _sighted(self, sighting: Sighting) -> None:
        made = stored(
            sighting,
            opened_unix_s=self._opened_unix_s,
            roster=self._roster,
            policy=self._settings.recognition,
        )
        self._outbox.put(self.name, SightingMade(made))

    def _set(self, state: CameraState, detail: str = "") -> None:
        if (state, detail) == (self.state, self.detail):
            return
        self.state, self.detail = state, detail
        log.info("camera_state", camera=self.name, state=state, detail=detail)
        self._outbox.put(self.name, self.health())

    def _wait(self, duration_s: float) -> None:
        until_s = self._clock.monotonic_s() + duration_s
        while not self._stopping.is_set() and (left_s := until_s - self._clock.monotonic_s()) > 0:
            self._clock.sleep(min(CHECK_EVERY_S, left_s))


def stored(
    sighting: Sighting, *, opened_unix_s: float, roster: Roster, policy: Recognition
) -> StoredSighting:
    """The record to keep of a track.

    Args:
        sighting: With times on the stream's clock.
        opened_unix_s: When that clock showed 0, seconds since 1970 UTC.
        roster: In use; gives thresholds and digest where nothing was compared.
        policy: In use.
    """
    gallery = roster.gallery
    known_cosine = sighting.threshold
    if known_cosine is None:
        known_cosine = gallery.calibration.identification_threshold(
            fpir=policy.fpir, templates=max(1, len(gallery))
        )
    return StoredSighting(
        camera=sighting.camera,
        track=sighting.track,
        first_unix_ms=round((opened_unix_s + sighting.first_s) * 1000),
        last_unix_ms=round((opened_unix_s + sighting.last_s) * 1000),
        frames=sighting.frames,
        fused_crops=sighting.crops,
        decision=sighting.decision,
        person_id=sighting.person_id,
        score_cosine=sighting.score,
        margin_cosine=sighting.margin,
        quality=sighting.quality if sighting.crops else None,
        best_xyxy=sighting.best_xyxy,
        recogniser_sha256=sighting.model,
        calibration=sighting.calibration,
        gallery_digest=sighting.gallery_digest or gallery.digest,
        known_cosine=known_cosine,
        unsure_cosine=round(known_cosine - policy.unsure_band, 4),
    )


def live_picture(redacted: Redacted) -> LivePicture:
    """The JPEG of a redacted picture.

    Raises:
        EngineError: the encoder refused it.
    """
    done, encoded = cv2.imencode(".jpg", redacted.bgr, [cv2.IMWRITE_JPEG_QUALITY, LIVE_JPEG_QUALITY])
    if not done:
        raise EngineError(f"a picture of {redacted.bgr.shape[1::-1]} pixels could not be encoded as JPEG")
    return LivePicture(redacted.camera, redacted.sequence, redacted.time_s, encoded.tobytes())


def recogniser_sha256(vision: Vision, catalogue: Catalogue) -> str:
    """The recogniser of the chosen pack, by the SHA-256 of its weights.

    Raises:
        UsageError: there is no such pack.
        EngineError: the pack has no recogniser.
    """
    for entry in catalogue.pack(vision.pack):
        if entry.kind == "recogniser":
            return entry.sha256
    raise EngineError(f"model pack {vision.pack} has no recogniser", "Choose another in vision.pack")


def host_cameras(
    connection: Connection, spec: WorkerSpec, clock: Clock, told_to_stop: threading.Event
) -> None:
    """Host the cameras of `spec` until the hub says `Stop`, is gone, or `told_to_stop` is set.

    Raises:
        BadConfig: no calibration fits the recogniser.
    """
    settings, catalogue = Settings(**spec.settings), Catalogue.load()
    calibration = load_calibration(recogniser_sha256(settings.vision, catalogue))

    def open_camera(address: CameraAddress) -> Source:
        if address.url == BUILTIN_URL:
            return LoopedFile(spec.builtin_video, camera=address.name, settings=settings.media, clock=clock)
        return open_source(address.url, camera=address.name, settings=settings.media, clock=clock)

    def load() -> Engines:
        store = ModelStore(spec.models_folder)
        return load_engines(settings.vision, store, catalogue, runtime=spec.runtime)

    outbox = Outbox(clock)
    runners = [
        CameraRunner(
            address,
            open_camera=open_camera,
            load=load,
            calibration=calibration,
            settings=settings,
            outbox=outbox,
            clock=clock,
        )
        for address in spec.cameras
    ]
    sender = threading.Thread(target=_send_all, args=(outbox, connection, runners, clock), name="sender")
    with ExitStack() as at_end:
        at_end.callback(sender.join)
        at_end.callback(outbox.close)
        sender.start()
        _control(connection, runners, sender, clock, told_to_stop)


def worker_process(connection: Connection, spec: WorkerSpec) -> None:
    """Entry of the process. Ctrl-C is left to the hub, which tells this process to stop; SIGTERM stops it."""
    told_to_stop = threading.Event()

    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        told_to_stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_sigterm)
    threading.excepthook = _log_crash
    configure_logging()
    host_cameras(connection, spec, SystemClock(), told_to_stop)


def _control(
    connection: Connection,
    runners: list[CameraRunner],
    sender: threading.Thread,
    clock: Clock,
    told_to_stop: threading.Event,
) -> None:
    """Obey the hub, start crashed cameras again, and end all of them on the way out."""
    threads = {runner: _started(runner) for runner in runners}
    crashed_s: dict[CameraRunner, float] = {}
    while sender.is_alive() and not told_to_stop.is_set():
        if connection.poll(CHECK_EVERY_S):
            try:
                message = connection.recv()
            except (EOFError, ConnectionResetError):
                log.warning("hub_gone")
                break
            if isinstance(message, Stop):
                break
            if isinstance(message, NewRoster):
                for runner in runners:
                    runner.use(message)
        _start_crashed(threads, crashed_s, clock)
    for runner in runners:
        runner.stop()
    until_s = clock.monotonic_s() + STOP_WITHIN_S
    for runner, thread in threads.items():
        thread.join(max(0.0, until_s - clock.monotonic_s()))
        if thread.is_alive():
            log.warning("camera_did_not_stop", camera=runner.name)


def _start_crashed(
    threads: dict[CameraRunner, threading.Thread], crashed_s: dict[CameraRunner, float], clock: Clock
) -> None:
    now_s = clock.monotonic_s()
    for runner, thread in threads.items():
        if runner.finished or thread.is_alive():
            continue
        if now_s - crashed_s.setdefault(runner, now_s) >= CRASH_RETRY_S:
            del crashed_s[runner]
            threads[runner] = _started(runner)


def _started(runner: CameraRunner) -> threading.Thread:
    # daemon: a thread that waits for a silent host to answer must not hold up the end of the process
    thread = threading.Thread(target=runner.run, name=f"camera {runner.name}", daemon=True)
    thread.start()
    return thread


def _send_all(outbox: Outbox, connection: Connection, runners: list[CameraRunner], clock: Clock) -> None:
    """Send until the outbox is finished or nobody listens any more."""
    told_s = clock.monotonic_s()
    with suppress(BrokenPipeError, ConnectionResetError):  # `_control` sees that the hub is gone
        while not outbox.finished:
            item = outbox.take(HEALTH_EVERY_S)
            if item is not None:
                connection.send(live_picture(item) if isinstance(item, Redacted) else item)
            if clock.monotonic_s() - told_s >= HEALTH_EVERY_S:
                told_s = clock.monotonic_s()
                for runner in runners:
                    connection.send(runner.health())


def _add_up(totals: Counter[str], drops: Counter[str], source: Source, pipeline: CameraPipeline) -> None:
    """Add what one connection did. The copies are whole even while another thread counts on."""
    counts = pipeline.counts
    totals["frames_read"] += source.frames_read
    totals["frames_analysed"] += counts.frames_analysed
    totals["faces"] += counts.faces
    totals["tracks"] += counts.tracks
    drops.update(dict(source.drops))
    drops.update(dict(counts.drops))


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    """Where a thread failed, without the message, which may hold anything."""
    name = crash.thread.name if crash.thread else "?"
    place = traceback.format_tb(crash.exc_traceback)
    log.error("thread_crashed", thread=name, error=crash.exc_type.__name__, place="".join(place))
