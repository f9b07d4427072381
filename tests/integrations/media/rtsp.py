"""GStreamer's RTSP server as a child process, for any test that needs a real camera on loopback.

with rtsp_server() as server:
    open_source(server.url, ...)
"""

from __future__ import annotations

import selectors
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SYSTEM_PYTHON = Path("/usr/bin/python3")
SCRIPT = Path(__file__).with_name("rtsp_server.py")
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class RtspServer:
    """A running server.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        process: The child, to be killed or stopped by a test that wants to see what happens then.
    """

    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Its stream, without a login."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def url_with(self, login: str) -> str:
        """Its stream, with a login `user:password`, percent-encoded."""
        return f"rtsp://{login}@127.0.0.1:{self.port}/stream"


@contextmanager
def rtsp_server(*options: str) -> Iterator[RtspServer]:
    """Start the server with the options of `rtsp_server.py`; skip the test where GStreamer is missing."""
    if not SYSTEM_PYTHON.exists():
        pytest.skip(f"GStreamer's RTSP server needs {SYSTEM_PYTHON}, which is missing")
    process = subprocess.Popen(
        [str(SYSTEM_PYTHON), str(SCRIPT), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield RtspServer(_port_of(process), process)
    finally:
        process.kill()
        process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        assert ready.select(START_TIMEOUT_S), "the RTSP server did not start in time"
    line = process.stdout.readline()
    if not line.startswith("PORT "):
        reason = process.communicate()[1].strip().splitlines()
        pytest.skip(reason[-1] if reason else "GStreamer's RTSP server did not start")
    return int(line.split()[1])
