"""I6: nothing leaves the host. The product is used where every packet and every look-up is heard."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.invariants.quiet_room import RESOLVER, Heard, Packet, QuietRoom, quiet_room
from websockets.sync.client import connect

from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore

COMMAND = [sys.executable, "-c", "from consentry.cli.root import main; main()"]
REPORTING = {
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.255.255.9:4318",
    "ORT_DISABLE_TELEMETRY": "0",
}
"""What makes libraries report to somebody, where they are let."""
SUPPRESSING = (
    "CI TF_BUILD GITHUB_ACTIONS GITLAB_CI CIRCLECI TRAVIS JENKINS_URL CODEBUILD_BUILD_ID BUILDKITE"
    " TEAMCITY_VERSION APPVEYOR ORT_RUNNING_UNIT_TESTS"
)
"""What makes onnxruntime silent while it is tested, so that nobody notices."""


@pytest.fixture(scope="module")
def room() -> Iterator[QuietRoom]:
    """One namespace for all tests here."""
    with quiet_room() as made:
        yield made


SOCKET = "import socket; s = socket.socket(socket.{family}, socket.SOCK_DGRAM); s.sendto(b'x', {to!r})"
ATTEMPTS = {
    "a datagram": (SOCKET.format(family="AF_INET", to=("192.0.2.9", 9)), "192.0.2.9"),
    "a datagram over IPv6": (SOCKET.format(family="AF_INET6", to=("2001:db8::9", 9)), "2001:db8::9"),
    "a connection": (
        "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('192.0.2.9', 443))",
        "192.0.2.9",
    ),
    "a name": ("import socket; socket.gethostbyname_ex('localhost.example')", RESOLVER),
    "a name asked for on this machine": (
        SOCKET.format(family="AF_INET", to=("127.0.0.53", 53)),
        "127.0.0.53",
    ),
    "multicast DNS": (SOCKET.format(family="AF_INET", to=("224.0.0.251", 5353)), "224.0.0.251"),
}


@pytest.mark.parametrize(("program", "to"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_an_attempt_would_be_heard(room: QuietRoom, program: str, to: str) -> None:
    with room.listening() as heard:
        room.run(sys.executable, "-c", program)
    found = {packet for packet in heard.packets if packet.to == to}
    assert found
    assert ("name" in program or "53" in program) == bool(heard.lookups())
    assert to.startswith("127.") or found <= set(heard.outward())


def test_silence_is_heard_as_silence(room: QuietRoom) -> None:
    with room.listening() as heard:
        assert room.run(sys.executable, "-c", "print()").returncode == 0
    assert (heard.packets, heard.missed) == (set(), 0)


@pytest.mark.models
def test_the_demo_in_use_sends_nothing_and_asks_for_no_name(
    room: QuietRoom, model_store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so do the commands that see faces, on the same data folder."""
    for name, value in REPORTING.items():
        monkeypatch.setenv(name, value)
    for name in SUPPRESSING.split():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photo = tmp_path / "collins.png"
    photo.write_bytes(model_store.path(Catalogue.load().entry("eileen-collins")).read_bytes())
    data = tmp_path / "demo"
    with room.listening() as heard:
        with _demo(room, data) as link:
            room.inside(lambda: _visit(link, photo.read_bytes()))
        video = str(data / "builtin.mp4")
        for arguments in (
            ["models", "verify"],
            ["doctor", "--data", str(data)],
            ["check", "--data", str(data)],
            ["watch", video, "--jsonl", "--max-seconds", "2", "--data", str(data)],
            ["verify", str(photo), str(photo)],
        ):
            done = room.run(*COMMAND, *arguments)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    _is_silent(heard, urlsplit(link).port or 0)
    assert not (tmp_path / "cache" / "Microsoft").exists()  # where onnxruntime keeps a number of the machine


def _is_silent(heard: Heard, port: int) -> None:
    """Nothing went out, no name was asked for, and on loopback only the server was talked to."""
    assert heard.missed == 0
    assert heard.count > 100  # the visit itself was heard
    assert heard.lookups() == []
    assert heard.outward() == []
    others: list[Packet] = [
        packet for packet in heard.packets if packet.protocol != "tcp" or port not in packet.ports
    ]
    assert others == []


@contextmanager
def _demo(room: QuietRoom, data: Path) -> Iterator[str]:
    """`consentry demo` in the namespace; yields the link that signs in."""
    command = room.command(*COMMAND, "demo", "--data", str(data), "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            link = next(
                found.group(1)
                for line in process.stdout
                if (found := re.search(r"(http\S+/demo-login\S+)", line))
            )
            yield link
        finally:
            process.terminate()
            process.wait(30)


def _visit(link: str, photo: bytes) -> None:
    """Use the demo as people and programs do."""
    address = f"http://{urlsplit(link).netloc}"
    with httpx.Client(base_url=address, headers={"X-Consentry": "1"}, timeout=30) as client:
        assert client.get(link).status_code == 200
        page = client.get("/")
        assert page.status_code == 200
        for target in set(re.findall(r"""(?:src|href)=["']([^"'#]+)["']""", page.text)):
            if not target.startswith("data:"):
                assert urlsplit(target).netloc == "", target
                assert client.get(target).status_code == 200, target
        _open_socket(client, address)
        person_id = client.get("/api/v1/people").json()[0]["id"]
        for path in (
            "me",
            "openapi.json",
            "declaration",
            "ledger/checkpoint",
            "models",
            f"people/{person_id}",
        ):
            assert client.get(f"/api/v1/{path}").status_code == 200, path
        assert client.get("/nowhere").status_code == 404
        _watch(client)
        files = [("photo", ("a.png", photo)), ("photo", ("b.png", photo))]
        assert client.post("/api/v1/verify", files=files).json()["match"] is True
        found = client.post("/api/v1/identify", files=files[:1]).json()
        assert found["person"]["id"] == person_id
        assert client.post("/logout").status_code == 303


def _watch(client: httpx.Client) -> None:
    """Look at pictures until somebody has been recognised."""
    camera = client.get("/api/v1/cameras").json()[0]["name"]
    number = 0
    while not client.get("/api/v1/sightings").json():
        picture = client.get(
            f"/api/v1/cameras/{camera}/live.jpg", params={"after": number + 20, "wait_s": 20.0}
        )
        number = int(picture.headers.get("X-Picture-Number", number))
    with client.stream("GET", f"/api/v1/cameras/{camera}/live.mjpg") as stream:
        assert next(stream.iter_bytes())


def _open_socket(client: httpx.Client, address: str) -> None:
    """The page's own connection."""
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    target = address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with connect(target, additional_headers={"Cookie": cookie}) as socket:
        assert str(socket.recv()).startswith("0")


def test_libraries_are_told_to_be_silent_before_they_load() -> None:
    """Whoever imports any part of Consentry; a value of the environment does not win."""
    program = (
        "import os, consentry.vision.runtime;"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['OTEL_SDK_DISABLED'])"
    )
    environment = {**os.environ, **REPORTING, "OTEL_SDK_DISABLED": "false"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "true"], done.stderr


def test_no_telemetry_package_is_installed() -> None:
    """OpenVINO's package asks for one; the pinned requirements leave it out."""
    listed = (Path(__file__).parents[2] / "requirements" / "run.txt").read_text(encoding="utf-8")
    assert "telemetry==" not in listed
    with pytest.raises(ModuleNotFoundError):
        __import__("openvino_telemetry")
