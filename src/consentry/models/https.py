"""Fetching one file over https, so that a cut connection costs only what was not yet received."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from consentry.errors import EnvironmentLack, ModelCorrupt, ModelMissing, Offline
from consentry.models.catalogue import ModelEntry, acceptable_url, is_loopback
from consentry.models.store import disk_errors
from consentry.types import redact_url

MAX_REDIRECTS = 5
MAX_ATTEMPTS = 8
OFFLINE_MEND = (
    "Connect this machine, or pull on one that is connected and copy its models folder here (docs/models.md)"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a server is reached.

    Attributes:
        tls: What decides which certificates are trusted; None for httpx's own choice, which follows
            SSL_CERT_FILE.
        connect_timeout_s: Seconds to wait until a connection stands.
        read_timeout_s: Seconds without a byte after which the connection counts as dead.
    """

    tls: ssl.SSLContext | None = None
    connect_timeout_s: float = 15.0
    read_timeout_s: float = 30.0


def download(
    entry: ModelEntry, partial: Path, connection: Connection, reached: Callable[[int], None]
) -> None:
    """Bring `partial` to `entry.size_bytes` bytes from `entry.source`, starting from what it holds.

    A connection that is cut is taken up again (HTTP Range, RFC 9110 section 14) for as long as each
    attempt brings bytes. `reached` is called with the bytes held so far. The hash is not looked at:
    `ModelStore.adopt` does that.

    Raises:
        Offline: the server cannot be reached, does not answer, or answers that it is unwell. What
            was received stays in `partial`.
        ModelMissing: the server says there is no such file.
        ModelCorrupt: the server offers a file of another size.
        EnvironmentLack: access is refused, or a redirect leads away from https.
        DiskFull: no space left; `partial` is removed.
    """
    cause = "the connection was cut"
    with _client(connection) as client:
        for _ in range(MAX_ATTEMPTS):
            before = _held(entry, partial)
            try:
                _receive(client, entry, partial, reached)
            except httpx.InvalidURL:
                raise EnvironmentLack(f"{_where(entry)} is or leads to no valid address") from None
            except httpx.TransportError as error:
                cause = _cause(error, connection)
            held = _held(entry, partial)
            if held == entry.size_bytes:
                return
            if held <= before:
                break
    kept = (
        f"; {held} of {entry.size_bytes} bytes are kept and the next pull goes on from there" if held else ""
    )
    raise Offline(f"cannot fetch {_where(entry)}: {cause}{kept}", OFFLINE_MEND)


def _client(connection: Connection) -> httpx.Client:
    """A client that follows the proxy and certificate settings of the environment."""
    try:
        return httpx.Client(
            verify=connection.tls or True,
            timeout=httpx.Timeout(connection.read_timeout_s, connect=connection.connect_timeout_s),
            headers={"Accept-Encoding": "identity"},
        )
    except (httpx.InvalidURL, ValueError, ImportError, OSError):
        raise EnvironmentLack(
            "the proxy or certificate settings of the environment cannot be used",
            "Check HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE",
        ) from None


def _receive(client: httpx.Client, entry: ModelEntry, partial: Path, reached: Callable[[int], None]) -> None:
    """One request: append to `partial` what the server sends, at most `entry.size_bytes` in all."""
    held = _held(entry, partial)
    if held == entry.size_bytes:
        return
    headers = {"Range": f"bytes={held}-"} if held else {}
    with _answer(client, entry, headers) as response:
        if response.status_code in (206, 416) and not _continues(response, held):
            partial.unlink(missing_ok=True)
            raise ModelCorrupt(
                f"{_where(entry)} cannot give the rest of the file; what was kept of it is removed",
                "Run the pull again: it starts afresh",
            )
        held = _start(response, entry, held)
        try:
            with disk_errors(partial), partial.open("ab" if held else "wb") as stream:
                for chunk in response.iter_raw():
                    held += len(chunk)
                    if held > entry.size_bytes:
                        raise _other_size(entry, f"more than {entry.size_bytes}")
                    stream.write(chunk)
                    reached(held)
        except EnvironmentLack:
            partial.unlink(missing_ok=True)
            raise


def _continues(response: httpx.Response, held: int) -> bool:
    """Whether a partial answer starts at byte `held`."""
    content_range: str = response.headers.get("Content-Range", "")
    return response.status_code == 206 and content_range.startswith(f"bytes {held}-")


def _held(entry: ModelEntry, partial: Path) -> int:
    """Bytes of an earlier attempt that can be built upon; a file that is too long cannot."""
    with disk_errors(partial):
        size = partial.stat().st_size if partial.exists() else 0
        if size > entry.size_bytes:
            partial.unlink()
            return 0
    return size


@contextmanager
def _answer(client: httpx.Client, entry: ModelEntry, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """The answer to a GET of `entry.source` after following its redirects, as a stream."""
    url = entry.source
    for _ in range(MAX_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as response:
            if response.next_request is None:
                yield response
                return
            target = str(response.next_request.url)
        if not acceptable_url(target, loopback_before=is_loopback(url)):
            raise EnvironmentLack(
                f"{_where(entry)} redirects to {redact_url(target)}, which is not https",
                "Nothing was fetched",
            )
        url = target
    raise EnvironmentLack(f"{_where(entry)} redirects more than {MAX_REDIRECTS} times")


def _start(response: httpx.Response, entry: ModelEntry, held: int) -> int:
    """Judge the status line and headers; the offset at which the body starts, `held` or 0."""
    status = response.status_code
    if status in (404, 410):
        raise ModelMissing(
            f"{_where(entry)} answers {status}: its publisher moved or removed it", "Update Consentry"
        )
    if status in (401, 403, 407):
        raise EnvironmentLack(
            f"{_where(entry)} answers {status}: access refused", "Check the proxy or firewall of this network"
        )
    if status not in (200, 206):
        raise Offline(f"{_where(entry)} answers {status}", "Try again later; what was received is kept")
    start = held if status == 206 else 0
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and start + int(length) != entry.size_bytes:
        raise _other_size(entry, str(start + int(length)))
    return start


def _other_size(entry: ModelEntry, size: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"{_where(entry)} offers {size} bytes where the catalogue states {entry.size_bytes}",
        "A sign-in page of this network, or a changed file: nothing of it was kept",
    )


def _cause(error: httpx.TransportError, connection: Connection) -> str:
    """What went wrong, in words; the library's own text could hold addresses."""
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {connection.connect_timeout_s:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"nothing received for {connection.read_timeout_s:g} s"
    if isinstance(error, httpx.ProxyError):
        return "the proxy refused or failed"
    if isinstance(error, httpx.ConnectError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "its certificate is not trusted here (SSL_CERT_FILE names the file of trusted ones)"
        return "the host is unknown or refuses the connection"
    return "the connection was cut"


def _where(entry: ModelEntry) -> str:
    return redact_url(entry.source)
