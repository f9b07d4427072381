"""Webhooks against a real server on loopback: signed, tried again, counted, never redirected."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError

from consentry.clock import SimulatedClock
from consentry.config import Webhook
from consentry.notify.webhook import ATTEMPTS, SIGNATURE, Webhooks, signature

SECRET = "a secret of both sides"


class Receiver:
    """Answers with the given statuses, one after the other, then with 204; keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self._statuses = list(statuses)
        self.arrived = threading.Condition()

    def answer(self, headers: dict[str, str], body: bytes) -> int:
        with self.arrived:
            self.got.append((headers, body))
            self.arrived.notify_all()
            return self._statuses.pop(0) if self._statuses else 204

    def wait_for(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, timeout=20)


@contextmanager
def listening(receiver: Receiver) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.answer(dict(self.headers), body))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?key=hidden"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _hook(url: str) -> Webhook:
    return Webhook.model_validate({"url": url, "secret": SECRET})


def test_a_message_arrives_signed() -> None:
    receiver, clock = Receiver(), SimulatedClock()
    with listening(receiver) as url:
        with Webhooks(clock) as webhooks:
            webhooks.send(_hook(url), {"sighting": 7})
            receiver.wait_for(1)
        headers, body = receiver.got[0]
        assert sum(webhooks.delivered.values()) == 1
    seconds, proof = (part.split("=", 1)[1] for part in headers[SIGNATURE].split(","))
    assert proof == signature(SECRET, seconds, body)
    assert proof != signature(SECRET, seconds, body + b" ")
    assert json.loads(body) == {"sighting": 7}
    assert SECRET not in str(headers)


def test_it_is_tried_again_after_longer_and_longer_waits() -> None:
    receiver, clock = Receiver(500, 503), SimulatedClock()
    with listening(receiver) as url:
        with Webhooks(clock) as webhooks:
            webhooks.send(_hook(url), {"sighting": 7})
            receiver.wait_for(3)
        assert not webhooks.failed
    assert clock.monotonic_s() == 0.5 + 1.0
    assert len({body for _, body in receiver.got}) == 1


@pytest.mark.parametrize(("status", "cause"), [(500, "http 500"), (302, "http 302"), (307, "http 307")])
def test_what_is_given_up_is_counted_by_cause(status: int, cause: str) -> None:
    receiver = Receiver(*[status] * ATTEMPTS)
    with listening(receiver) as url:
        with Webhooks(SimulatedClock()) as webhooks:
            webhooks.send(_hook(url), {"sighting": 7})
            receiver.wait_for(ATTEMPTS)
        assert [cause for _, cause in webhooks.failed] == [cause]
        assert "hidden" not in str(webhooks.failed)
    assert len(receiver.got) == ATTEMPTS  # a redirect leads nowhere


def test_nobody_there_is_counted_too() -> None:
    with listening(Receiver()) as url:
        pass
    with Webhooks(SimulatedClock()) as webhooks:
        webhooks.send(_hook(url), {"sighting": 7})
        while not webhooks.failed:
            webhooks._thread.join(0.01)
    assert [cause for _, cause in webhooks.failed] == ["unreachable"]


@pytest.mark.parametrize(
    "url",
    ["http://hook.example/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://", "https://a:b@c/", "x"],
)
def test_only_https_or_loopback(url: str) -> None:
    with pytest.raises(ValidationError):
        _hook(url)
    assert _hook("https://hook.example/x").cameras is None


def test_the_secret_never_prints() -> None:
    assert SECRET not in repr(_hook("https://hook.example/"))
