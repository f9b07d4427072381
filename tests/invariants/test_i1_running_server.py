"""I1 in a running server: whoever withdraws is gone within 5 s, from files, logs and the memory of processes.

The memory of a process that ran before the withdrawal may hold freed pages for a while; strict is that of
every process that started after it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import cv2
import httpx
import numpy as np
import pytest
from tests.unit.people.kit import PURPOSE, consent, declaration, duty

from consentry.cli.serving import BUILTIN_VIDEO
from consentry.clock import SystemClock
from consentry.people.cameras import add_camera
from consentry.people.declaration import declare
from consentry.people.roster import gallery_snapshot
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.site import Site
from consentry.pipeline.builtin import BUILTIN_URL
from consentry.types import Picture
from consentry.vision.analyse import PhotoAnalyst
from consentry.vision.load import Engines

pytestmark = pytest.mark.models

NAME = "Zofia Withdrawing-Example"
COMMAND = [sys.executable, "-c", "from consentry.cli.root import main; main()"]
PATIENCE_S = 150.0
WITHIN_S = 5.0
_CHUNK_BYTES = 64 * 1024 * 1024


def found_in_memory(pid: int, needles: list[Needle]) -> set[str]:
    """What of `needles` is in the writable memory of a process; skips where that is not allowed."""
    found: set[str] = set()
    overlap = max(len(needle.content) for needle in needles) - 1
    with ExitStack() as held:
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
            memory = held.enter_context(Path(f"/proc/{pid}/mem").open("rb", buffering=0))
            pages = held.enter_context(Path(f"/proc/{pid}/pagemap").open("rb", buffering=0))
        except PermissionError:
            pytest.skip("needs the right to read the memory of its own child processes")
        for line in maps.splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue  # what nobody can write to holds what is in its file
            first, last = (int(part, 16) for part in span.split("-"))
            for start, end in _used(pages, first, last):
                tail = b""
                for offset in range(start, end, _CHUNK_BYTES):
                    try:
                        memory.seek(offset)
                        chunk = tail + memory.read(min(_CHUNK_BYTES, end - offset))
                    except OSError:
                        break  # unmapped meanwhile, or of a device
                    found |= {needle.what for needle in needles if needle.content in chunk}
                    tail = chunk[-overlap:]
    return found


def _used(pages: BinaryIO, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The parts of a mapping that have ever been written to: its pages in memory or swapped out."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    pages.seek(first // page_bytes * 8)
    entries = np.frombuffer(pages.read((last - first) // page_bytes * 8), np.uint64)
    used = np.concatenate(([0], (entries >> np.uint64(62)) != 0, [0])).astype(np.int8)
    for start, end in np.flatnonzero(np.diff(used)).reshape(-1, 2).tolist():
        yield first + start * page_bytes, first + end * page_bytes


class Server:
    """A `consentry serve` that runs, with the owner signed in."""

    def __init__(self, process: subprocess.Popen[str], client: httpx.Client) -> None:
        self.process, self.client = process, client
        self.clock = SystemClock()

    def wait(self, what: str, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
        """Seconds until `true` gave true."""
        begun_s, never = self.clock.monotonic_s(), threading.Event()
        while not true():
            assert self.clock.monotonic_s() - begun_s < patience_s, f"{what}: not in {patience_s:.0f} s"
            never.wait(0.05)
        return self.clock.monotonic_s() - begun_s

    @property
    def workers(self) -> list[int]:
        """Process ids of its workers."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [child for thread in threads for child in thread.read_text().split()]
        return [
            int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def analyses(self) -> bool:
        """Whether frames are being analysed."""
        (camera,) = self.client.get("/api/v1/cameras").json()
        return bool(camera["state"] == "streaming" and camera["frames_analysed"] > 0)

    def sightings(self) -> str:
        """What the API tells of sightings."""
        return self.client.get("/api/v1/sightings").text


@contextmanager
def serving(data: Path, temporary: Path, log: Path) -> Iterator[Server]:
    """Serve `data`, with temporary files in `temporary` and standard error in `log`."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--data", str(data), "--port", "0", "--new-password"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
    try:
        assert process.stdout is not None
        said = ""
        while "with the password" not in said:
            line = process.stdout.readline()
            assert line, log.read_text()
            said += line
        address = re.search(r"Consentry: (http://\S+)", said)
        password = re.search(r"with the password (\S+)", said)
        assert address
        assert password
        with httpx.Client(base_url=address[1], headers={"X-Consentry": "1"}, timeout=30) as client:
            signed = client.post("/api/v1/session", json={"name": "owner", "password": password[1]})
            assert signed.status_code == 200
            yield Server(process, client)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _prepared(data: Path, clip: Path) -> None:
    with Site.open(data, clock=SystemClock(), create=True) as site:
        due = datetime.fromtimestamp(site.clock.unix_s(), UTC).date() + timedelta(days=30)
        declare(site, declaration(review_due_on=due), actor="test")
        add_camera(site, name="door", url=BUILTIN_URL, duty=duty(), actor="test")
    shutil.copy(clip, data / BUILTIN_VIDEO)


def _traces(data: Path, engines: Engines, portrait: Picture, photo: bytes, person_id: str) -> list[Needle]:
    """The name, the id, the photo, and the template as it was made and as it is compared."""
    analyst = PhotoAnalyst(engines)
    with Site.open(data, clock=SystemClock()) as site:
        (reference,) = gallery_snapshot(
            site,
            purpose=PURPOSE,
            recogniser_sha256=analyst.recogniser_sha256,
            at_unix_s=site.clock.unix_s(),
        )
    (face,) = analyst.analyse(portrait)
    return [
        *pieces("template", reference.template.tobytes(), 4),
        *pieces("template as made", face.template.tobytes(), 3),
        *pieces("photo", photo[len(photo) // 2 :], 2),
        Needle("name", NAME.encode()),
        Needle("name in UTF-16", NAME.encode("utf-16-le")),
        Needle("name in UTF-32", NAME.encode("utf-32-le")),
        Needle("id", person_id.encode()),
    ]


@pytest.mark.timeout(580)
def test_withdrawal_from_a_running_server(
    tmp_path: Path,
    demo_clip: Path,
    fast_engines: Engines,
    collins_bgr: Picture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, temporary, log = tmp_path / "data", tmp_path / "tmp", tmp_path / "stderr.log"
    temporary.mkdir()
    _prepared(data, demo_clip)
    photo = bytes(cv2.imencode(".png", collins_bgr)[1])
    record = consent(start=datetime.now(UTC) - timedelta(minutes=1), days=9)
    with serving(data, temporary, log) as server:
        enrolled = server.client.post(
            "/api/v1/people",
            data={"name": NAME, "consent": record.model_dump_json(exclude={"is_demo"})},
            files={"photo": ("a.png", photo, "image/png")},
        )
        assert enrolled.status_code == 201, enrolled.text
        person_id = enrolled.json()["person_id"]
        traces = _traces(data, fast_engines, collins_bgr, photo, person_id)
        server.wait("a sighting of her", lambda: NAME in server.sightings())
        (before,) = server.workers
        assert {"template", "name"} <= found_in_memory(
            before, traces
        )  # so the search does find what is there

        begun_s = server.clock.monotonic_s()
        withdrawn = server.client.delete(f"/api/v1/people/{person_id}")
        assert withdrawn.status_code == 200, withdrawn.text
        server.wait("no name in sightings", lambda: NAME not in server.sightings(), WITHIN_S)
        assert NAME not in server.client.get("/api/v1/people").text
        assert server.client.get(f"/api/v1/people/{person_id}").status_code == 404
        taken_s = server.clock.monotonic_s() - begun_s
        assert taken_s < WITHIN_S
        hub_shows = found_in_memory(server.process.pid, traces)
        old_worker_shows = found_in_memory(before, traces)

        os.kill(before, signal.SIGKILL)
        server.wait("another worker", lambda: bool(set(server.workers) - {before}))
        server.wait("frames of the other worker", server.analyses)
        (after,) = server.workers
        assert found_in_memory(after, traces) == set()
        known = server.sightings()
        server.wait("a sighting by the other worker", lambda: server.sightings() != known)
        assert NAME not in server.sightings()
        assert found_in_memory(after, traces) == set()
    with serving(data, temporary, log) as server:
        server.wait("frames", server.analyses)
        assert NAME not in server.sightings() + server.client.get("/api/v1/people").text
        for pid in (server.process.pid, *server.workers):
            assert found_in_memory(pid, traces) == set()
    assert "worker_died" in log.read_text()  # this is where the server logs
    for folder in (data, temporary, tmp_path):
        assert scan_for(folder, traces).hits == ()
    with capsys.disabled():
        print(
            f"\nwithdrawn in {taken_s:.2f} s; then without a restart the hub's memory still shows "
            f"{sorted(hub_shows)}, the worker's {sorted(old_worker_shows)}; after it: nothing"
        )
