"""Runs the application: takes the port first, ends in order on the first signal, at once on the second."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from consentry.errors import EnvironmentLack, UsageError
from consentry.server.hub import Hub
from consentry.store.parts import exclusive

LOCK_FILE = "hub.lock"
CLOSE_CONNECTIONS_WITHIN_S = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger("consentry.server")


@contextmanager
def only_hub(data_dir: Path) -> Iterator[None]:
    """Be the one hub of a data folder: the only writer of its sightings and sessions.

    Raises:
        EnvironmentLack: another hub runs on it.
        DiskFull: the folder cannot be written to.
    """
    with exclusive(data_dir / LOCK_FILE) as is_free:
        if not is_free:
            raise EnvironmentLack(
                f"another Consentry serves {data_dir} already", "Stop it, or give another folder with --data"
            )
        yield


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens; `port` 0 takes any free one.

    Raises:
        EnvironmentLack: the port is in use, or may not be taken.
        UsageError: `host` is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise UsageError(f"{host} is no address", "Use 127.0.0.1, or an address of this machine") from None
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise EnvironmentLack(
                    f"port {port} of {host} is in use", "Stop what uses it, or choose another with --port"
                ) from None
            if error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(f"{host} is no address of this machine", "Use 127.0.0.1") from None
            raise EnvironmentLack(
                f"port {port} of {host} cannot be taken: {error.strerror}", "Choose another with --port"
            ) from None
        yield listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(listener: socket.socket) -> str:
    """What to type into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, hub: Hub, listener: socket.socket, *, ready: Callable[[], None]) -> None:
    """Start the hub, answer requests until a signal comes, then stop in order.

    Order: no new requests; live pictures end; the worker ends its tracks and their sightings are
    recorded; the threads end. A second signal ends the worker and this process at once.

    Args:
        app: The application.
        hub: Its hub, not started yet.
        listener: Where requests come in.
        ready: Called once requests are answered.
    """
    server = _Server(web_config(app), hub, ready)
    before = {number: signal.signal(number, server.on_signal) for number in _SIGNALS}
    try:
        hub.start()
        try:
            server.run(sockets=[listener])
        finally:
            hub.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    log.info("stopped")


def web_config(app: FastAPI) -> uvicorn.Config:
    """How the web server is run: it tells nothing about itself and believes no proxy."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # addresses of requests may hold a sign-in token
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_CONNECTIONS_WITHIN_S,
        ws_max_size=1024 * 1024,
    )


class _Server(uvicorn.Server):
    """uvicorn, with this program's own signals."""

    def __init__(self, config: uvicorn.Config, hub: Hub, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._hub, self._ready = hub, ready
        self._signals = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `on_signal`, which also holds before and after uvicorn runs."""
        yield

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """First: stop in order. Second: stop at once."""
        self._signals += 1
        if self._signals == 1:
            self.should_exit = True
            return
        self._hub.kill()
        os._exit(128 + number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let everyone who waits for pictures go before their connections are closed."""
        await run_in_threadpool(self._hub.begin_stop)
        await super().shutdown(sockets)
