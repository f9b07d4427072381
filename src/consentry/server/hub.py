"""The hub's threads: one keeps the worker process alive, one tells it who may be recognised, one has the
ledger cosigned if there are witnesses.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from consentry.clock import Clock
from consentry.config import Settings
from consentry.errors import ConsentryError, NotDeclared
from consentry.models.catalogue import Catalogue
from consentry.people.cameras import Camera, camera_url, list_cameras, why_overdue
from consentry.people.consent import Place
from consentry.people.recognition_use import add_use
from consentry.people.retention import enforce
from consentry.people.reviews import note_overdue
from consentry.people.roster import Person, Reference, gallery_snapshot, list_people
from consentry.people.sightings import record
from consentry.people.site import Site
from consentry.pipeline.messages import (
    CameraAddress,
    FromWorker,
    Health,
    LivePicture,
    NewRoster,
    SightingMade,
    Stop,
    ToWorker,
    WorkerSpec,
)
from consentry.pipeline.roster import references_at
from consentry.pipeline.worker import STOP_WITHIN_S, recogniser_sha256, worker_process
from consentry.server.live import LiveState
from consentry.server.use_meter import UseMeter
from consentry.server.witnessing import keep_witnessed
from consentry.vision.runtime import Runtime

POLL_S = 0.5
RENEW_ROSTER_S = 60.0
ENFORCE_RETENTION_S = 3600.0
FIRST_RESTART_S = 1.0
LONGEST_RESTART_S = 30.0
STEADY_S = 60.0
LEAVE_WITHIN_S = 2.0
SILENT_S = 20.0
NOBODY_HERE = "nobody is enrolled whose consent holds here"
_ACTOR = "consentry"

log = structlog.get_logger("consentry.hub")


class WorkerProcess:
    """One run of the worker process.

    Args:
        spec: What it hosts.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, self._childs_end = context.Pipe()
        self._process = context.Process(
            target=worker_process, args=(self._childs_end, spec), name="consentry-worker"
        )
        self._sending = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._process.pid

    def start(self) -> None:
        """Start the process."""
        self._process.start()
        self._childs_end.close()

    def messages(self) -> Iterator[FromWorker]:
        """All that it says, until it is gone; one that is silent for `SILENT_S` is ended."""
        connection: Connection = self._connection
        try:
            while connection.poll(SILENT_S):
                yield connection.recv()
        except (EOFError, ConnectionResetError):
            return
        log.error("worker_silent", pid=self.pid, silent_s=SILENT_S)
        self.kill()

    def send(self, message: ToWorker) -> None:
        """Tell it something; nothing happens when it is gone, which `messages` shows."""
        with self._sending, suppress(BrokenPipeError, ConnectionResetError, OSError):
            self._connection.send(message)

    def join(self, timeout_s: float) -> int | None:
        """Wait for its end; returns the exit code, None if it still runs."""
        self._process.join(timeout_s)
        return self._process.exitcode

    def kill(self) -> None:
        """End it at once; idempotent."""
        self._process.kill()

    def close(self) -> None:
        """Let go of the pipe."""
        self._connection.close()


class Hub:
    """Cameras, their worker, and what they told.

    Args:
        site: The installation.
        settings: Of the installation.
        clock: For the renewal of rosters and the pace of restarts.
        runtime: What the worker executes models with.
        models_folder: Where their weights are.
        builtin_video: What the built-in camera plays.

    Raises:
        UsageError, EngineError: the chosen model pack does not exist or has no recogniser.
    """

    def __init__(
        self,
        site: Site,
        settings: Settings,
        clock: Clock,
        *,
        runtime: Runtime,
        models_folder: Path,
        builtin_video: Path,
    ) -> None:
        self.live = LiveState(clock)
        self.restarts = 0
        self.unrecorded = 0
        self.people: tuple[Person, ...] = ()
        self.cameras: tuple[Camera, ...] = ()
        self.overdue: Mapping[str, str] = {}
        self._why_not_recognising: Mapping[str, str] = {}
        self.changes = 0
        self.on_sighting: Callable[[int], None] = lambda _sighting_id: None
        self._site, self._settings, self._clock = site, settings, clock
        self._runtime, self._models_folder, self._builtin_video = runtime, models_folder, builtin_video
        self.recogniser_sha256 = recogniser_sha256(settings.vision, Catalogue.load())
        self._stopping = threading.Event()
        self._worker: WorkerProcess | None = None
        self._replacing = False
        self._hosted: tuple[Camera, ...] = ()  # those that should be open
        self._given: tuple[Camera, ...] = ()  # those that the newest worker was given
        self._roster = NewRoster(-1, {})
        self._renewed_s, self._enforced_s = clock.monotonic_s(), -ENFORCE_RETENTION_S
        self._seen_day: date | None = None
        self._use = UseMeter(clock)
        self._telling = threading.Lock()  # so that an older roster never overtakes a newer one
        self._threads = [
            threading.Thread(target=self._keep_worker, name="keep worker", daemon=True),
            threading.Thread(target=self._keep_roster, name="keep roster", daemon=True),
        ]
        if settings.ledger.witnesses:
            witnessed = partial(
                keep_witnessed, site, settings.ledger, self._stopping, on_answer=self._changed
            )
            self._threads.append(threading.Thread(target=witnessed, name="keep witnessed", daemon=True))

    def start(self) -> None:
        """Read who and what there is, and start the threads.

        Raises:
            DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
        """
        self.look()
        for thread in self._threads:
            thread.start()

    def begin_stop(self) -> None:
        """Tell the worker to stop, and everyone who waits for a picture; does not wait."""
        self._stopping.set()
        self.live.close()
        worker = self._worker
        if worker is not None:
            worker.send(Stop())

    def stop(self) -> None:
        """Stop in order: the worker ends its tracks, their sightings are recorded, then the threads end."""
        self.begin_stop()
        self._threads[0].join(STOP_WITHIN_S + LEAVE_WITHIN_S)
        if self._threads[0].is_alive():
            log.warning("worker_killed", reason="it did not stop in time")
            self.kill()
        for thread in self._threads:
            thread.join()
        self._record_use()

    def kill(self) -> None:
        """End the worker at once."""
        worker = self._worker
        if worker is not None:
            worker.kill()

    @property
    def healthy(self) -> bool:
        """Whether all threads run; after a fault of the program in one of them, restart the hub."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, while there is one."""
        worker = self._worker
        return worker.pid if worker is not None else None

    def health(self, camera: str) -> Health | None:
        """How a camera does; None if nothing was told of it yet."""
        why = self.overdue.get(camera)
        if why is None:
            return self.live.health(camera)
        return Health(
            camera=camera,
            state="overdue",
            detail=why,
            roster_version=-1,
            frames_read=0,
            frames_analysed=0,
            faces=0,
            tracks=0,
            frame_drops={},
            live_drops={},
        )

    def reason_off(self, camera: str) -> str:
        """Why nobody is recognised on a camera; empty if people are, as soon as frames arrive."""
        return self._why_not_recognising.get(camera, "it is being started")

    def look(self) -> None:
        """Take in what has changed, whoever changed it, and tell the worker.

        Raises:
            DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
        """
        try:
            today, cameras = self._site.today(), tuple(list_cameras(self._site))
            if cameras != self.cameras or today != self._seen_day:
                self._take_cameras(cameras, today)
                note_overdue(self._site, actor=_ACTOR)
                self._seen_day = today
            version, now_s = self._site.gallery_version, self._clock.monotonic_s()
            if version != self._roster.version or now_s - self._renewed_s >= RENEW_ROSTER_S:
                self._renewed_s = now_s
                self._record_use()
                self._renew_roster(version)
        finally:
            self._replace_worker()  # after it was told whom to forget: it ends its tracks by that

    def _changed(self) -> None:
        """Let pages look again."""
        self.changes += 1

    def _keep_worker(self) -> None:
        """Run the worker, again and again, until told to stop."""
        restart_s = FIRST_RESTART_S
        while not self._stopping.is_set():
            spec = self._spec()
            if spec is None or not spec.cameras:
                self._stopping.wait(POLL_S)
                continue
            started_s = self._clock.monotonic_s()
            code = self._run_worker(spec)
            if self._stopping.is_set():
                return
            if self._replacing:
                self._replacing = False
                continue
            self.restarts += 1
            self.live.worker_lost(camera.name for camera in spec.cameras)
            if self._clock.monotonic_s() - started_s >= STEADY_S:
                restart_s = FIRST_RESTART_S
            log.error("worker_died", exit_code=code, restart_in_s=restart_s, restarts=self.restarts)
            self._stopping.wait(restart_s)
            restart_s = min(2 * restart_s, LONGEST_RESTART_S)

    def _run_worker(self, spec: WorkerSpec) -> int | None:
        """One run of the worker from start to end; returns its exit code."""
        worker = WorkerProcess(spec)
        worker.start()
        log.info("worker_started", pid=worker.pid, cameras=len(spec.cameras))
        with self._telling:
            self._worker = worker
            worker.send(self._roster)
        if self._stopping.is_set():
            worker.send(Stop())
        for message in worker.messages():
            self._take(message)
        code = worker.join(LEAVE_WITHIN_S)
        if code is None:
            worker.kill()
            code = worker.join(LEAVE_WITHIN_S)
        self._worker = None
        worker.close()
        return code

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, LivePicture):
            self.live.show(message)
        elif isinstance(message, Health):
            self.live.told(message)
            self._use.saw(
                message.camera,
                recognises=message.state == "streaming" and not self.reason_off(message.camera),
            )
        elif isinstance(message, SightingMade):
            try:
                self.on_sighting(record(self._site, message.sighting))
            except ConsentryError as error:
                self.unrecorded += 1
                log.error("sighting_not_recorded", error=type(error).__name__, cause=error.cause)
            self._changed()

    def _spec(self) -> WorkerSpec | None:
        """What the worker is to host; None while it cannot be read."""
        try:
            today = self._site.today()
            self._given = tuple(one for one in list_cameras(self._site) if not why_overdue(one, today))
            addresses = tuple(
                CameraAddress(one.name, camera_url(self._site, one.name), one.zone) for one in self._given
            )
        except ConsentryError as error:
            log.error("cameras_not_read", error=type(error).__name__, cause=error.cause)
            return None
        return WorkerSpec(
            cameras=addresses,
            settings=self._settings.model_dump(exclude={"notify", "oidc"}),  # a worker needs no secrets
            models_folder=self._models_folder,
            runtime=self._runtime,
            builtin_video=self._builtin_video,
        )

    def _keep_roster(self) -> None:
        """Look for changes every `POLL_S`."""
        while not self._stopping.is_set():
            try:
                now_s = self._clock.monotonic_s()
                if now_s - self._enforced_s >= ENFORCE_RETENTION_S:
                    self._enforced_s = now_s
                    enforce(self._site, self._settings.retention, _ACTOR)
                self.look()
            except ConsentryError as error:
                # who may be recognised is not known any more: nobody is, until it is
                log.error("roster_not_read", error=type(error).__name__, cause=error.cause)
                why = f"who may be recognised cannot be read: {error.cause}"
                self._why_not_recognising = dict.fromkeys((camera.name for camera in self.cameras), why)
                self._use_roster(NewRoster(-1, {}))
            self._stopping.wait(POLL_S)

    def _take_cameras(self, cameras: tuple[Camera, ...], today: date) -> None:
        """Know the inventory as of `today`."""
        self._seen_day, self._renewed_s = None, -RENEW_ROSTER_S
        why = {camera.name: why_overdue(camera, today) for camera in cameras}
        self.overdue = {name: reason for name, reason in why.items() if reason}
        self.cameras = cameras
        self._hosted = tuple(camera for camera in cameras if not why[camera.name])
        self.live.keep_only(camera.name for camera in self._hosted)

    def _replace_worker(self) -> None:
        """Start the worker anew if it hosts other cameras than it should."""
        worker = self._worker
        if worker is not None and not self._replacing and _sources(self._hosted) != _sources(self._given):
            self._replacing = True
            worker.send(Stop())

    def _renew_roster(self, version: int) -> None:
        """Read who may be recognised, on which camera, and tell the worker."""
        by_purpose: dict[str, tuple[Reference, ...]] = {}
        undeclared: dict[str, str] = {}
        for purpose in {camera.purpose for camera in self._hosted}:
            try:
                found = gallery_snapshot(
                    self._site,
                    purpose=purpose,
                    recogniser_sha256=self.recogniser_sha256,
                    at_unix_s=self._clock.unix_s(),
                    retention=self._settings.retention,
                )
            except NotDeclared as error:
                found = []  # only 1:1 until the purpose is declared (invariant I7)
                undeclared[purpose] = error.cause
            by_purpose[purpose] = tuple(found)
        why = dict(self.overdue)
        for camera in self._hosted:
            here = references_at(Place(camera.name, camera.zone), by_purpose[camera.purpose])
            why[camera.name] = undeclared.get(camera.purpose) or ("" if here else NOBODY_HERE)
        self._why_not_recognising = why
        self.people = tuple(list_people(self._site))
        self._use_roster(
            NewRoster(version, {camera.name: by_purpose[camera.purpose] for camera in self._hosted})
        )

    def _record_use(self) -> None:
        """Keep for how long each camera has recognised people since this was done last."""
        try:
            add_use(self._site, self._use.take())
        except ConsentryError as error:
            log.error("recognition_time_not_recorded", error=type(error).__name__, cause=error.cause)

    def _use_roster(self, roster: NewRoster) -> None:
        with self._telling:
            self._roster = roster
            worker = self._worker
            if worker is not None:
                worker.send(roster)
        self._changed()


def _sources(cameras: tuple[Camera, ...]) -> list[tuple[str, str, int, str | None]]:
    """What of the cameras a worker is told only when it begins."""
    return [(one.name, one.url_redacted, one.added_unix_ms, one.zone) for one in cameras]
