"""`consentry serve` and `consentry demo` as processes: ports, locks, passwords, signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.unit.people.kit import declaration, duty

from consentry.clock import SystemClock
from consentry.errors import EnvironmentLack, UsageError
from consentry.people.cameras import add_camera
from consentry.people.declaration import declare
from consentry.people.site import Site
from consentry.server.run import address_of, is_loopback, listening, only_hub

COMMAND = [sys.executable, "-c", "from consentry.cli.root import main; main()"]
STOP_WITHIN_S = 30


class Started:
    """A command that runs; its standard output as far as it was read."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def until(self, words: str) -> str:
        """Read standard output until a line holds `words`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return self.said
        raise AssertionError(f"ended without “{words}”: {self.said}{self._errors()}")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_WITHIN_S)

    def _errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def started(*arguments: str) -> Iterator[Started]:
    """The command with these arguments; killed at the end if it still runs."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Started(process)
        finally:
            if process.poll() is None:
                process.kill()


def _address(said: str) -> str:
    found = re.search(r"Consentry: (http://\S+)", said)
    assert found
    return found.group(1)


def _password(said: str) -> str | None:
    found = re.search(r"with the password (\S+)", said)
    return found.group(1) if found else None


@pytest.mark.models
@pytest.mark.usefixtures("model_store")
def test_serve_prints_the_password_once_ends_in_order_and_keeps_sessions(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with started("serve", "--data", data, "--port", "0") as first:
        said = first.until("/setup")
        assert "Only 1:1 verification works" in said
        address, password = _address(said), _password(said)
        with httpx.Client(base_url=address, headers={"X-Consentry": "1"}, timeout=20) as client:
            signed = client.post("/api/v1/session", json={"name": "owner", "password": password})
            assert signed.status_code == 200
            cookie = signed.headers["set-cookie"].partition(";")[0]
        second = subprocess.run(
            [*COMMAND, "serve", "--data", data, "--port", "0"], capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 3
        assert "another Consentry serves" in second.stderr
        assert "Traceback" not in second.stderr
        assert first.end(signal.SIGTERM) == 0
        assert password is not None
        assert password not in first._errors()
    with started("serve", "--data", data, "--port", "0", "--host", "127.0.0.1") as again:
        said = again.until("Consentry:")
        with httpx.Client(base_url=_address(said), timeout=20) as client:
            assert client.get("/api/v1/me", headers={"Cookie": cookie}).json()["name"] == "owner"
        assert again.end(signal.SIGINT) == 0
        assert _password(said + again.process.stdout.read() if again.process.stdout else said) is None
    with started("serve", "--data", data, "--port", "0", "--new-password") as renewed:
        said = renewed.until("with the password")
        assert _password(said) not in (None, password)
        with httpx.Client(base_url=_address(said), timeout=20) as client:
            assert client.get("/api/v1/me", headers={"Cookie": cookie}).status_code == 401
        assert renewed.end(signal.SIGTERM) == 0


@pytest.mark.models
@pytest.mark.usefixtures("model_store")
def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    """The camera accepts and never answers, so that an ordered end takes its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Site.open(tmp_path / "data", clock=SystemClock(), create=True) as site:
            url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/"
            add_camera(site, name="silent", url=url, duty=duty("x"), actor="test")
        with started("serve", "--data", str(tmp_path / "data"), "--port", "0") as serve:
            serve.until("Consentry:")
            connection, _ = silent.accept()  # the worker is opening the camera now
            with connection:
                serve.process.send_signal(signal.SIGINT)
                threading.Event().wait(1.0)
                assert serve.process.poll() is None
                assert serve.end(signal.SIGINT) == 128 + signal.SIGINT
                connection.settimeout(10)
                while connection.recv(4096):  # the worker's end closes, because it is gone too
                    pass


@pytest.mark.models
@pytest.mark.usefixtures("model_store")
def test_ending_the_hub_at_once_ends_its_worker_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Site.open(tmp_path / "data", clock=SystemClock(), create=True) as site:
            url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/"
            add_camera(site, name="silent", url=url, duty=duty("x"), actor="test")
        with started("serve", "--data", str(tmp_path / "data"), "--port", "0") as serve:
            serve.until("Consentry:")
            connection, _ = silent.accept()
            with connection:
                os.kill(serve.process.pid, signal.SIGKILL)
                connection.settimeout(STOP_WITHIN_S)
                while connection.recv(4096):
                    pass


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_in_use_is_named_with_the_mend(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [*COMMAND, command, "--data", str(tmp_path / "data"), "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 3
    assert f"port {port} of 127.0.0.1 is in use" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.models
@pytest.mark.usefixtures("model_store")
def test_demo_refuses_the_folder_of_a_real_installation(tmp_path: Path) -> None:
    with Site.open(tmp_path / "data", clock=SystemClock(), create=True) as site:
        due = datetime.fromtimestamp(site.clock.unix_s(), UTC).date() + timedelta(days=30)
        declare(site, declaration(review_due_on=due), actor="test")
    result = subprocess.run(
        [*COMMAND, "demo", "--data", str(tmp_path / "data"), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert "real folder" in result.stderr


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(UsageError), listening("192.0.2.1", 0):
        pass
    with pytest.raises(UsageError), listening("no such host", 0):
        pass


def test_addresses() -> None:
    with listening("127.0.0.1", 0) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("camera.example")


def test_one_hub_for_a_folder(tmp_path: Path) -> None:
    with only_hub(tmp_path), pytest.raises(EnvironmentLack), only_hub(tmp_path):
        pass
    with only_hub(tmp_path):
        pass
