"""Hosts that refuse, stay silent or talk nonsense: a typed error within the timeout, for every protocol."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import BadMedia, MediaError, SourceTimeout, SourceUnreachable, UsageError
from consentry.media import open_source

TIMEOUT_S = 1.0
SCHEMES = ["rtsp", "rtsps", "http", "https"]


@contextmanager
def listening(answer: bytes | None, *, accept: bool = True) -> Iterator[int]:
    """A port that accepts and then sends `answer` and closes, or with None says nothing at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        server.settimeout(0.1)
        held: list[socket.socket] = []
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                held.append(connection)
                if answer is not None:
                    connection.settimeout(5.0)
                    connection.recv(4096)
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve)
        if accept:
            thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            if accept:
                thread.join()
            for connection in held:
                connection.close()


def failure(url: str) -> tuple[MediaError, float]:
    """The error that opening `url` gives, and after how many seconds."""
    media = Media(open_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S)
    began_s = time.monotonic()
    with pytest.raises(MediaError) as caught:
        open_source(url, camera="gate", settings=media, clock=SystemClock())
    took_s = time.monotonic() - began_s
    assert caught.value.__context__ is None
    assert "hunter2" not in f"{caught.value}{caught.value!r}"
    return caught.value, took_s


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_host_that_never_answers_is_a_timeout(scheme: str) -> None:
    with listening(None) as port:
        error, took_s = failure(f"{scheme}://admin:hunter2@127.0.0.1:{port}/stream")
    assert type(error) is SourceTimeout
    assert TIMEOUT_S * 0.9 <= took_s < TIMEOUT_S + 1.0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_closed_port_is_unreachable_at_once(scheme: str) -> None:
    with listening(None, accept=False) as port:
        pass
    error, took_s = failure(f"{scheme}://admin:hunter2@127.0.0.1:{port}/stream")
    assert type(error) is SourceUnreachable
    assert took_s < TIMEOUT_S


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_unknown_host_is_unreachable(scheme: str) -> None:
    error, _ = failure(f"{scheme}://admin:hunter2@no-such-camera.invalid/stream")
    assert type(error) is SourceUnreachable
    assert "unknown" in error.cause


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_host_that_talks_nonsense_is_bad_media(scheme: str) -> None:
    with listening(b"220 this is a mail server\r\n" * 20) as port:
        error, took_s = failure(f"{scheme}://admin:hunter2@127.0.0.1:{port}/stream")
    assert type(error) is BadMedia
    assert took_s < TIMEOUT_S + 1.0


@pytest.mark.parametrize(
    "login",
    [
        "admin:hun@ter2",
        "admin:hun/ter2",
        "admin:1/ter2",
        "admin:1#ter2",
        "admin:1?ter2",
        "admin:hun ter2",
        "@",
    ],
)
def test_a_password_that_would_be_misread_is_refused_without_repeating_it(login: str) -> None:
    with pytest.raises(UsageError, match="no valid URL") as caught:
        open_source(f"rtsp://{login}@127.0.0.1/a", camera="gate", settings=Media(), clock=SystemClock())
    assert "ter2" not in f"{caught.value}{caught.value!r}"
    assert "%40" in caught.value.mend


@pytest.mark.parametrize("url", ["rtsp://", "http://", "rtsp://:99999999/", "http://[::1", "rtsp://a b/c"])
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no valid URL"):
        open_source(url, camera="gate", settings=Media(), clock=SystemClock())
