"""Pulling over https and from a file: real TLS, cut connections, wrong answers, silence."""

from __future__ import annotations

import hashlib
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trustme

from consentry.errors import EnvironmentLack, ModelCorrupt, ModelMissing, Offline
from consentry.models.catalogue import Catalogue, ModelEntry
from consentry.models.https import MAX_ATTEMPTS, Connection
from consentry.models.pull import Means, PullResult, pull
from consentry.models.store import ModelStore

if TYPE_CHECKING:
    from tests.integrations.models.conftest import LocalServer, Recorder

EntryMaker = Callable[..., ModelEntry]

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Pulling:
    """A store, and pulls into it from the local TLS server."""

    def __init__(self, folder: Path, trusting: ssl.SSLContext, recorder: Recorder) -> None:
        self.store = ModelStore(folder)
        self.recorder = recorder
        self.means = Means(connection=Connection(trusting, connect_timeout_s=5.0, read_timeout_s=5.0))

    def __call__(self, *entries: ModelEntry) -> list[PullResult]:
        return pull(entries, self.store, self.recorder, self.means)

    def files(self) -> dict[str, int]:
        """Size in bytes of every file in the store but its lock, by relative path."""
        found = sorted(path for path in self.store.folder.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.store.folder)): path.stat().st_size
            for path in found
            if path.name != "lock"
        }


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """These servers are on this machine, whatever proxy it uses for others."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def pulling(tmp_path: Path, trusting: ssl.SSLContext, recorder: Recorder) -> Pulling:
    return Pulling(tmp_path / "models", trusting, recorder)


def test_a_file_is_fetched_verified_and_then_left_alone(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    https_server.serve("/x", CONTENT)
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    first, second = pulling(entry)[0], pulling(entry)[0]
    assert (first.fetched, second.fetched) == (True, False)
    assert first.path == second.path
    assert first.path.read_bytes() == CONTENT
    assert https_server.requests == [("/x", "")]
    assert pulling.recorder.begun == [("sample", len(CONTENT))]
    assert pulling.recorder.bytes_reached[-1] == len(CONTENT)
    assert pulling.recorder.bytes_reached == sorted(pulling.recorder.bytes_reached)
    assert pulling.recorder.ended == [True]


def test_a_damaged_file_is_fetched_again(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    https_server.serve("/x", CONTENT)
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    pulling(entry)[0].path.write_bytes(b"damaged")
    assert pulling(entry)[0].path.read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_kept(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    https_server.serve("/x", CONTENT[::-1])
    with pytest.raises(ModelCorrupt, match="differs from its pinned"):
        pulling(make_entry(CONTENT, f"{https_server.url}/x"))
    assert pulling.files() == {}
    assert pulling.recorder.ended == [False]


@pytest.mark.parametrize("length", [0, 10, len(CONTENT) - 1, len(CONTENT) + 1])
def test_another_size_is_refused_before_it_is_fetched(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker, length: int
) -> None:
    https_server.serve("/x", (CONTENT + b"x")[:length])
    with pytest.raises(
        ModelCorrupt, match=f"offers {length} bytes where the catalogue states {len(CONTENT)}"
    ):
        pulling(make_entry(CONTENT, f"{https_server.url}/x"))
    assert pulling.files() == {}
    assert pulling.recorder.bytes_reached == []


def test_a_body_without_a_stated_end_is_cut_off_at_the_pinned_size(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(CONTENT)

    https_server.answers["/x"] = endless
    with pytest.raises(ModelCorrupt, match="offers more than"):
        pulling(make_entry(CONTENT, f"{https_server.url}/x"))
    assert pulling.files() == {}


def test_a_cut_connection_is_taken_up_where_it_stopped(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    https_server.serve_ranges("/x", CONTENT, cut_after=300_000, cuts=2)
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    assert pulling(entry)[0].path.read_bytes() == CONTENT
    assert https_server.requests == [("/x", ""), ("/x", "bytes=300000-"), ("/x", "bytes=600000-")]
    assert list(pulling.files()) == [f"sha256/{entry.sha256}"]


def test_what_was_received_is_kept_for_the_next_pull(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    https_server.serve_ranges("/x", CONTENT, cut_after=1000, cuts=1)
    cut = https_server.answers["/x"]

    def cut_then_unwell(request: BaseHTTPRequestHandler) -> None:
        https_server.answer("/x", 503)
        cut(request)

    https_server.answers["/x"] = cut_then_unwell
    with pytest.raises(Offline, match="answers 503"):
        pulling(entry)
    assert pulling.files() == {f"partial/{entry.sha256}": 1000}
    https_server.serve_ranges("/x", CONTENT)
    assert pulling(entry)[0].path.read_bytes() == CONTENT
    assert https_server.requests[-1] == ("/x", "bytes=1000-")


def test_a_server_that_always_cuts_is_given_up(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    https_server.serve_ranges("/x", CONTENT, cut_after=10, cuts=10**6)
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    with pytest.raises(Offline, match="connection was cut; 80 of 1048576 bytes are kept"):
        pulling(entry)
    assert len(https_server.requests) == MAX_ATTEMPTS
    assert pulling.files() == {f"partial/{entry.sha256}": 80}


def test_a_server_without_ranges_starts_afresh(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    pulling.store.partial(entry).write_bytes(CONTENT[:1000])
    https_server.serve("/x", CONTENT)
    assert pulling(entry)[0].path.read_bytes() == CONTENT


def test_a_wrong_partial_file_is_found_by_its_hash_and_removed(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    https_server.serve_ranges("/x", CONTENT)
    pulling.store.partial(entry).write_bytes(b"wrong")
    with pytest.raises(ModelCorrupt):
        pulling(entry)
    assert pulling.files() == {}
    assert pulling(entry)[0].fetched


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_partial_file_that_is_whole_or_too_long(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker, size: int
) -> None:
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    https_server.serve("/x", CONTENT)
    pulling.store.partial(entry).write_bytes((CONTENT + b"extra")[:size])
    assert pulling(entry)[0].path.read_bytes() == CONTENT
    assert len(https_server.requests) == (0 if size == len(CONTENT) else 1)


@pytest.mark.parametrize("status", [206, 416])
def test_an_answer_that_cannot_continue_clears_the_partial_file(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker, status: int
) -> None:
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    pulling.store.partial(entry).write_bytes(CONTENT[:1000])
    https_server.answer("/x", status, Content_Range="bytes 5-9/10")
    with pytest.raises(ModelCorrupt, match="starts afresh"):
        pulling(entry)
    assert pulling.files() == {}


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, ModelMissing, "moved or removed"),
        (410, ModelMissing, "moved or removed"),
        (401, EnvironmentLack, "access refused"),
        (403, EnvironmentLack, "access refused"),
        (304, Offline, "answers 304"),
        (429, Offline, "answers 429"),
        (500, Offline, "answers 500"),
    ],
)
def test_each_refusal_has_its_own_name(
    https_server: LocalServer,
    pulling: Pulling,
    make_entry: EntryMaker,
    status: int,
    error: type[EnvironmentLack],
    words: str,
) -> None:
    https_server.answer("/x", status)
    with pytest.raises(error, match=words) as caught:
        pulling(make_entry(CONTENT, f"{https_server.url}/x"))
    assert type(caught.value) is error
    assert caught.value.exit_code == 3
    assert pulling.files() == {}


def test_redirects_are_followed_to_https_only(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    entry = make_entry(CONTENT, f"{https_server.url}/x")
    https_server.serve("/y", CONTENT)
    https_server.answer("/x", 302, Location="/y")
    assert pulling(entry)[0].path.read_bytes() == CONTENT
    pulling(entry)[0].path.unlink()
    for target in ("http://example.org/y?token=secret", "ftp://127.0.0.1/y", "https://"):
        https_server.answer("/x", 302, Location=target)
        with pytest.raises(EnvironmentLack) as caught:
            pulling(entry)
        assert "secret" not in str(caught.value)
    https_server.answer("/x", 302, Location="/x")
    with pytest.raises(EnvironmentLack, match="redirects more than"):
        pulling(entry)
    assert pulling.files() == {}


def test_plain_http_on_loopback_is_allowed(
    http_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    http_server.serve("/x", CONTENT)
    assert pulling(make_entry(CONTENT, f"{http_server.url}/x"))[0].fetched


def test_a_certificate_nobody_trusts_is_named(
    https_server: LocalServer, tmp_path: Path, recorder: Recorder, make_entry: EntryMaker
) -> None:
    stranger = ssl.create_default_context()
    trustme.CA().configure_trust(stranger)
    with pytest.raises(Offline, match=r"certificate is not trusted.*SSL_CERT_FILE"):
        pull(
            [make_entry(CONTENT, f"{https_server.url}/x")],
            ModelStore(tmp_path),
            recorder,
            Means(connection=Connection(stranger)),
        )
    assert https_server.requests == []


@pytest.mark.parametrize(
    ("scheme", "words"), [("http", r"nothing received for 0\.2 s"), ("https", r"no connection within 0\.3 s")]
)
def test_a_host_that_never_answers_times_out(
    tmp_path: Path, recorder: Recorder, make_entry: EntryMaker, scheme: str, words: str
) -> None:
    """A silent host takes the connection; with https it is the TLS handshake that it never ends."""
    connection = Connection(connect_timeout_s=0.3, read_timeout_s=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = make_entry(CONTENT, f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(Offline, match=words):
            pull([entry], ModelStore(tmp_path), recorder, Means(connection=connection))


def test_a_host_that_refuses_or_resets_is_offline(
    pulling: Pulling, https_server: LocalServer, make_entry: EntryMaker
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Offline, match="refuses the connection") as caught:
        pulling(make_entry(CONTENT, f"https://127.0.0.1:{port}/x"))
    assert "copy its models folder" in caught.value.mend

    def reset(request: BaseHTTPRequestHandler) -> None:
        linger_none = struct.pack("ii", 1, 0)
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
        request.connection.close()

    https_server.answers["/x"] = reset
    with pytest.raises(Offline, match="connection was cut"):
        pulling(make_entry(CONTENT, f"{https_server.url}/x"))


def test_an_address_that_is_none_is_named(pulling: Pulling, make_entry: EntryMaker) -> None:
    with pytest.raises(EnvironmentLack, match="no valid address"):
        pulling(make_entry(CONTENT, "https://127.0.0.1:port/x"))


def test_a_proxy_that_cannot_be_used_or_refuses_is_named(
    pulling: Pulling, http_server: LocalServer, make_entry: EntryMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make_entry(CONTENT, "https://127.0.0.1:9/x")
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://127.0.0.1:9")
    with pytest.raises(EnvironmentLack, match="proxy or certificate settings"):
        pulling(entry)
    monkeypatch.setenv("HTTPS_PROXY", http_server.url)
    with pytest.raises(Offline, match="the proxy refused or failed"):
        pulling(entry)


def test_a_certificate_file_that_is_absent_is_named(
    tmp_path: Path, recorder: Recorder, make_entry: EntryMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    with pytest.raises(EnvironmentLack, match="SSL_CERT_FILE"):
        pull([make_entry(CONTENT, "https://127.0.0.1:9/x")], ModelStore(tmp_path), recorder)


def test_ctrl_c_leaves_only_what_can_be_resumed(
    http_server: LocalServer, tmp_path: Path, make_entry: EntryMaker
) -> None:
    entry = make_entry(CONTENT, f"{http_server.url}/x")
    program = """
import sys
from pathlib import Path
from consentry.models.catalogue import Catalogue, ModelEntry
from consentry.models.pull import pull
from consentry.models.store import ModelStore
class Told:
    def begin(self, label, total_bytes): pass
    def reached(self, done_bytes): print(done_bytes, flush=True)
    def end(self, whole): pass
try:
    pull([ModelEntry.model_validate_json(sys.argv[2])], ModelStore(Path(sys.argv[1])), Told())
except KeyboardInterrupt:
    sys.exit(130)
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "models"), entry.model_dump_json()]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:

        def send_some_and_wait(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(len(CONTENT)))
            request.end_headers()
            request.wfile.write(CONTENT[:1000])
            request.wfile.flush()
            child.wait(timeout=60)

        http_server.answers["/x"] = send_some_and_wait
        assert child.stdout is not None
        assert child.stdout.readline() == "1000\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 130
    found = [path for path in (tmp_path / "models").rglob("*") if path.is_file() and path.name != "lock"]
    assert [(path.name, path.read_bytes()) for path in found] == [(entry.sha256, CONTENT[:1000])]


def test_the_first_failure_stops_the_pull_and_keeps_what_was_finished(
    https_server: LocalServer, pulling: Pulling, make_entry: EntryMaker
) -> None:
    https_server.serve("/x", CONTENT)
    good = make_entry(CONTENT, f"{https_server.url}/x")
    absent = make_entry(b"absent", f"{https_server.url}/absent", name="absent")
    with pytest.raises(ModelMissing):
        pulling(good, absent)
    assert pulling.store.state(good) == "verified"
    assert list(pulling.files()) == [f"sha256/{good.sha256}"]


def test_the_opencv_zoo_pack_loads_from_a_server_laid_out_like_its_own(
    https_server: LocalServer, pulling: Pulling
) -> None:
    entries = []
    for real in Catalogue.load().pack("opencv-zoo"):
        path, content = urlsplit(real.source).path, real.name.encode()
        https_server.answer(path, 302, Location=f"/media{path}")
        https_server.serve(f"/media{path}", content)
        pinned = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        entries.append(real.model_copy(update={"source": https_server.url + path, **pinned}))
    assert [result.path.read_bytes() for result in pulling(*entries)] == [b"yunet-2023mar", b"sface-2021dec"]


def test_a_file_source_is_copied_and_verified(
    tmp_path: Path, pulling: Pulling, make_entry: EntryMaker
) -> None:
    (tmp_path / "own.onnx").write_bytes(CONTENT)
    entry = make_entry(CONTENT, f"file:{tmp_path}/own.onnx")
    assert pulling(entry)[0].path.read_bytes() == CONTENT
    assert (tmp_path / "own.onnx").exists()
    wrong = make_entry(b"other", f"file:{tmp_path}/own.onnx")
    with pytest.raises(ModelCorrupt):
        pulling(wrong)
    with pytest.raises(EnvironmentLack, match="No such file"):
        pulling(make_entry(b"absent", f"file:{tmp_path}/absent.onnx"))
    assert list(pulling.files()) == [f"sha256/{entry.sha256}"]
