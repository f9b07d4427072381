"""The web server of a witness: one address, `POST /add-checkpoint`. Also runs alone, for a small machine:

    python -m consentry.ledger.witness_http --state DIR --listen HOST:PORT --log VKEY

Plain HTTP is enough: all that goes over the wire is signed, and none of it is secret.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from consentry.clock import SystemClock
from consentry.errors import ConsentryError, EnvironmentLack, UsageError
from consentry.ledger.checkpoint import VerifierKey
from consentry.ledger.witness import Answer, Witness

PATH = "/add-checkpoint"
MOST_BODY_BYTES = 128 * 1024
SILENT_S = 10.0
MOST_CONNECTIONS = 32

log = logging.getLogger("consentry.witness")


class WitnessServer(ThreadingHTTPServer):
    """Answers for a witness.

    Args:
        witness: Who answers.
        host: Address to listen on.
        port: Port; 0 takes any free one.

    Raises:
        EnvironmentLack: the address cannot be taken.
        UsageError: it is no address.
    """

    daemon_threads = True

    def __init__(self, witness: Witness, host: str, port: int) -> None:
        self.witness = witness
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except socket.gaierror:
            raise UsageError(f"{host} is no address", "Use an address of this machine") from None
        except (OSError, OverflowError) as error:
            raise EnvironmentLack(
                f"{host}:{port} cannot be taken: {error}", "Choose another address"
            ) from None

    @property
    def url(self) -> str:
        """What the log is told."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand a connection to a thread; one too many is closed."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the other side's matter."""
        log.info("connection ended: %s", type(sys.exception()).__name__)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "witness", ""
    timeout = SILENT_S
    server: WitnessServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._answer(Answer(HTTPStatus.LENGTH_REQUIRED, "say how long the request is\n"), close=True)
        elif len(length) > len(str(MOST_BODY_BYTES)) or int(length) > MOST_BODY_BYTES:
            self._answer(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long\n"), close=True)
        else:
            body = self.rfile.read(int(length))
            if self.path == PATH:
                self._answer(self.server.witness.add_checkpoint(body))
            else:
                self._answer(Answer(HTTPStatus.NOT_FOUND, f"there is only POST {PATH}\n"))

    def do_GET(self) -> None:
        self._answer(Answer(HTTPStatus.NOT_FOUND, f"there is only POST {PATH}\n"), close=True)

    def _answer(self, answer: Answer, *, close: bool = False) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        log.debug(format, *args)


def serve_witness(
    state: Path, listen: str, vkeys: Sequence[str], *, ready: Callable[[str, str], None]
) -> None:
    """Be a witness until Ctrl-C; the process may be killed at any moment.

    Args:
        state: Folder of its key and memory.
        listen: `HOST:PORT`.
        vkeys: Public keys of the logs.
        ready: Told its URL and its own public key once it answers.

    Raises:
        UsageError, DataDamaged, EnvironmentLack, DiskFull: see `Witness` and `WitnessServer`.
        LedgerBroken: a public key of a log is none.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()):
        raise UsageError(f"{listen} is no address", "Give HOST:PORT, such as 0.0.0.0:8081")
    witness = Witness(state, [VerifierKey.parse(vkey) for vkey in vkeys], SystemClock())
    with (
        closing(witness),
        WitnessServer(witness, host.strip("[]"), int(port)) as server,
        suppress(KeyboardInterrupt),
    ):
        ready(server.url, str(witness.public))
        server.serve_forever()


def main() -> None:
    """The command of this module."""
    parser = argparse.ArgumentParser(prog="witness", description="Cosigns what continues a log.")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="its key and memory")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--log", action="append", required=True, metavar="VKEY", help="a log's public key")
    given = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s")

    def ready(url: str, vkey: str) -> None:
        sys.stdout.write(f"{url}\n{vkey}\n")
        sys.stdout.flush()

    try:
        serve_witness(given.state, given.listen, given.log, ready=ready)
    except ConsentryError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
