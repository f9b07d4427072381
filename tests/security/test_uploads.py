"""Photos that attack whoever decodes them: refused at once, memory bounded, nothing half done."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.security.bombs import BOMBS, POLYGLOTS, jpeg, png
from tests.unit.people.kit import consent
from tests.unit.server.kit import OWN, Running, running

from consentry.config import Media
from consentry.errors import BadMedia
from consentry.media import read_photo
from consentry.server import guard
from consentry.server.guard import COOKIE
from consentry.server.problems import MEDIA_TYPE
from consentry.server.uploads import MOST_AT_ONCE, MOST_PHOTOS

MOST_MEMORY_MB = 900
"""Above what the server has after its start: four requests of 48 MB, read and copied, and three photos."""

MAX_PIXELS = Media().max_pixels
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Victim:
    """A server in a process of its own."""

    address: str
    token: str
    pid: int
    data: Path

    def client(self) -> httpx.Client:
        """Its owner."""
        return httpx.Client(
            base_url=self.address, headers={**OWN, "Cookie": f"{COOKIE}={self.token}"}, timeout=120
        )

    def peak_mb(self) -> float:
        """The most memory it has had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found.group(1)) / 1024

    def files(self) -> set[str]:
        """What is in its data folder, but for the database's own."""
        return {
            str(path.relative_to(self.data))
            for path in self.data.rglob("*")
            if path.is_file() and not path.name.startswith("consentry.db")
        }


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One server for all attacks: it must survive each."""
    folder = tmp_path_factory.mktemp("victim")
    command = [sys.executable, str(ROOT / "tests" / "console" / "small_server.py"), str(folder), "declared"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address, token = process.stdout.readline().split()
        try:
            yield Victim(address, token, process.pid, folder / "data")
        finally:
            process.stdin.close()
            process.wait(30)


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    """The field `photo`, once for each."""
    return [("photo", ("a.jpg", content)) for content in contents]


def enrolment(*contents: bytes) -> list[tuple[str, tuple[str | None, bytes]]]:
    """A form that enrols."""
    texts: list[tuple[str, tuple[str | None, bytes]]] = [
        ("name", (None, b"Ada Example")),
        ("consent", (None, consent().model_dump_json().encode())),
    ]
    return texts + [(name, (file, content)) for name, (file, content) in files(*contents)]


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_and_leaves_nothing(victim: Victim, make: Callable[[], bytes]) -> None:
    bomb, before, start_mb = make(), victim.files(), victim.peak_mb()
    with victim.client() as client:
        for path, form in (("verify", files(bomb, bomb)), ("people", enrolment(bomb))):
            answer = client.post(f"/api/v1/{path}", files=form)
            assert answer.status_code in (400, 413, 422), answer.text
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert b"<" not in answer.content
    assert victim.files() == before
    assert victim.peak_mb() - start_mb < MOST_MEMORY_MB / 2


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_bad_media_wherever_photos_are_read(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(make())
    with pytest.raises(BadMedia):
        read_photo(path, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize("make", POLYGLOTS.values(), ids=POLYGLOTS.keys())
def test_what_is_two_things_is_a_picture_only(victim: Victim, make: Callable[[], bytes]) -> None:
    """Nothing of it comes back: photos are served by the person's export alone, named by their signature."""
    with victim.client() as client:
        answer = client.post("/api/v1/verify", files=files(make(), make()))
    assert answer.status_code in (200, 422)
    assert answer.headers["content-type"] in ("application/json", MEDIA_TYPE)
    assert "script" not in answer.text


def test_many_of_the_largest_photos_are_bounded_together(victim: Victim) -> None:
    """20 of 49 million pixels, 2 kB each, would need 3 GB: together they are too large."""
    largest = png(7000, 7000)
    start_mb = victim.peak_mb()
    with victim.client() as client:
        answer = client.post("/api/v1/people", files=enrolment(*[largest] * MOST_PHOTOS))
        assert answer.status_code == 422
        assert "together" in answer.json()["detail"]
        assert client.post("/api/v1/verify", files=files(largest, largest)).status_code == 422
    assert victim.peak_mb() - start_mb < MOST_MEMORY_MB


def test_many_at_once_are_bounded_too(victim: Victim) -> None:
    largest, requests = png(7000, 7000), 4 * MOST_AT_ONCE

    def attack(_: int) -> int:
        with victim.client() as client:
            return client.post("/api/v1/verify", files=files(largest, largest)).status_code

    start_mb = victim.peak_mb()
    with ThreadPoolExecutor(requests) as pool:
        found = list(pool.map(attack, range(requests)))
    assert set(found) <= {422, 429}
    assert 422 in found
    assert victim.peak_mb() - start_mb < MOST_MEMORY_MB
    with victim.client() as client:  # and the next one is served
        assert client.get("/api/v1/me").status_code == 200
        assert client.post("/api/v1/verify", files=files(jpeg(), jpeg())).status_code != 429


def test_more_parts_than_a_form_has_are_refused(victim: Victim) -> None:
    with victim.client() as client:
        many = client.post("/api/v1/verify", files=files(*[jpeg()] * (MOST_PHOTOS + 1)))
        fields = client.post("/api/v1/verify", files=[(f"f{number}", (None, b"x")) for number in range(5000)])
    assert (many.status_code, fields.status_code) == (400, 400)


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: -1",
        "Content-Length: 1e3",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 48000000000",
    ],
)
def test_a_body_of_no_certain_length_is_not_read(victim: Victim, head: str) -> None:
    status, _ = raw(victim.address, victim.token, f"{head}\r\n", b"")
    assert 400 <= status < 500


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that waits half a second for a body."""
    monkeypatch.setattr(guard, "BODY_WITHIN_S", 0.5)
    monkeypatch.setattr(guard, "OPEN_BODY_WITHIN_S", 0.5)
    with running(tmp_path, declared=True) as it:
        yield it


@pytest.mark.parametrize("path", ["/api/v1/session", "/login", "/api/v1/verify"])
def test_a_body_that_does_not_come_is_not_waited_for(impatient: Running, path: str) -> None:
    status, text = raw(impatient.address, impatient.session(), "Content-Length: 500\r\n", b"{", path=path)
    assert status in (400, 408), text


def raw(address: str, token: str, head: str, body: bytes, *, path: str = "/api/v1/verify") -> tuple[int, str]:
    """Status and text of the answer to a request written by hand."""
    host, port = address.removeprefix("http://").split(":")
    request = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-Consentry: 1\r\nCookie: {COOKIE}={token}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\n{head}\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode() + body)
        answer = connection.recv(65536).decode(errors="replace")
    return int(answer.split(" ")[1]), answer
