"""Real servers on loopback for the pull tests, and a progress that remembers what it was told."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from consentry.models.catalogue import ModelEntry

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Recorder:
    """A `consentry.models.pull.Progress` that keeps every call."""

    begun: list[tuple[str, int | None]] = field(default_factory=list)
    bytes_reached: list[int] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)

    def begin(self, label: str, total_bytes: int | None) -> None:
        """Remember what starts."""
        self.begun.append((label, total_bytes))

    def reached(self, done_bytes: int) -> None:
        """Remember how far it is."""
        self.bytes_reached.append(done_bytes)

    def end(self, whole: bool) -> None:
        """Remember how it ended."""
        self.ended.append(whole)


class LocalServer:
    """An HTTP server on loopback, with TLS if given a certificate. Unknown paths answer 404.

    Attributes:
        answers: What each path does; the methods fill it, a test may too.
        requests: Path and Range header of each request, in order.
        url: Its address without a final slash.
    """

    def __init__(self, certificate: trustme.LeafCert | None) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests.append((self.path, self.headers.get("Range", "")))
                answer = owner.answers.get(self.path)
                if answer:
                    answer(self)
                else:
                    reply(self, 404)

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A client that goes away is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def answer(self, path: str, status: int, body: bytes = b"", **headers: str) -> None:
        """Always answer `path` with all of this; underscores in header names stand for hyphens."""
        self.answers[path] = lambda request: reply(request, status, body, **headers)

    def serve(self, path: str, body: bytes) -> None:
        """Answer `path` with all bytes, whatever range was asked for."""
        self.answer(path, 200, body)

    def serve_ranges(self, path: str, body: bytes, *, cut_after: int = 0, cuts: int = 0) -> None:
        """Serve ranges of `body`, but end the first `cuts` answers early, after `cut_after` bytes."""
        served = 0

        def answer(request: BaseHTTPRequestHandler) -> None:
            nonlocal served
            served += 1
            asked = request.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            request.send_response(206 if asked else 200)
            if asked:
                request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            request.send_header("Content-Length", str(len(body) - start))
            request.end_headers()
            request.wfile.write(body[start : start + cut_after] if served <= cuts else body[start:])

        self.answers[path] = answer

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and wait for every answer to end."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Send a whole answer; underscores in header names stand for hyphens."""
    request.send_response(status)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of this test run."""
    return trustme.CA()


@pytest.fixture
def https_server(authority: trustme.CA) -> Iterator[LocalServer]:
    """A TLS server whose certificate `trusting` accepts."""
    server = LocalServer(authority.issue_cert("127.0.0.1"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def http_server() -> Iterator[LocalServer]:
    """A plain server, as package registries on loopback may be."""
    server = LocalServer(None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A TLS context that trusts this test run's authority only."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def recorder() -> Recorder:
    """A fresh progress."""
    return Recorder()


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., ModelEntry]:
    """`make_entry(content, source, **changes)`: a valid picture entry for the bytes `content`."""

    def make(content: bytes, source: str, **changes: object) -> ModelEntry:
        row: dict[str, object] = {
            "name": "sample",
            "kind": "picture",
            "pack": "trial",
            "source": source,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": "CC0-1.0",
            "intended_use": "Tests.",
            "limits": "None known.",
        }
        return ModelEntry.model_validate(row | changes)

    return make
