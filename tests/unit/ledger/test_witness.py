"""A witness: what it cosigns, what it refuses, and that it forgets nothing."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consentry.clock import SimulatedClock
from consentry.errors import DataDamaged, EnvironmentLack, LedgerBroken, UsageError
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note, sign_note, signature_line
from consentry.ledger.cosignature import WitnessKey, cosign, cosignature_in
from consentry.ledger.tree import EMPTY_ROOT, consistency_proof, frontier_of, leaf_hash
from consentry.ledger.witness import SIZE_TYPE, Submission, Witness
from consentry.ledger.witness_http import MOST_BODY_BYTES, WitnessServer

LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "consentry/ledger/test"
LOG = VerifierKey(ORIGIN, LOG_KEY.public_key())
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
FORK = [*LEAVES[:7], *(leaf_hash(bytes([number, 1])) for number in range(33))]
LAST = len(LEAVES) - 1
ROUNDS, ASKS = 8, 4
UNIX_S = 1_800_000_000
MODULE, ANYWHERE = "consentry.ledger.witness_http", "127.0.0.1:0"


def _note(size: int, leaves: list[bytes] = LEAVES, *, key: Ed25519PrivateKey = LOG_KEY) -> str:
    return sign_note(Checkpoint(ORIGIN, size, frontier_of(leaves[:size]).root()).text(), ORIGIN, key)


def _ask(old: int, size: int, leaves: list[bytes] = LEAVES) -> bytes:
    return Submission(old, tuple(consistency_proof(old, leaves[:size])), _note(size, leaves)).text().encode()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    witness = Witness(tmp_path / "state", [LOG], SimulatedClock(UNIX_S))
    yield witness
    witness.close()


def test_a_cosignature_is_what_the_specification_says(witness: Witness) -> None:
    answer = witness.add_checkpoint(_ask(0, 5))
    assert answer.status == HTTPStatus.OK
    dash, name, encoded = answer.body.removesuffix("\n").split(" ")
    signed = base64.b64decode(encoded)
    vkey_name, vkey_id, vkey_key = str(witness.public).split("+", 2)
    typed = base64.b64decode(vkey_key)
    assert (dash, name, typed[0]) == ("\u2014", vkey_name, 4)
    assert signed[:4] == hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    assert signed[:4].hex() == vkey_id
    assert struct.unpack(">Q", signed[4:12]) == (UNIX_S,)
    text = f"{ORIGIN}\n5\n{base64.b64encode(frontier_of(LEAVES[:5]).root()).decode()}\n"
    message = f"cosignature/v1\ntime {UNIX_S}\n{text}".encode()
    Ed25519PublicKey.from_public_bytes(typed[1:]).verify(signed[12:], message)


def test_a_cosigned_note_opens_with_either_key(witness: Witness) -> None:
    line = witness.add_checkpoint(_ask(0, 5)).body
    both = _note(5) + line
    assert open_note(both, LOG) == open_note(both, witness.public)
    assert cosignature_in(both, witness.public) == line
    signed = bytearray(base64.b64decode(line.split(" ")[2]))
    signed[11] ^= 1
    later = signature_line(witness.public.name, bytes(signed))  # the same, as if a second apart
    for changed in (both.replace("\n5\n", "\n6\n"), _note(5), _note(5) + later):
        with pytest.raises(LedgerBroken):
            open_note(changed, witness.public)


def test_a_signature_without_its_time_is_none() -> None:
    name, key = "w", Ed25519PrivateKey.generate()
    public = WitnessKey(name, key.public_key())
    encoded = base64.b64encode(public.key_id() + b"short").decode()
    with pytest.raises(LedgerBroken, match="wrong"):
        open_note(f"text\n\n\u2014 {name} {encoded}\n", public)
    with pytest.raises(LedgerBroken, match="no signature"):  # a log's key is another key, though the same
        open_note(f"text\n\n{cosign(chr(10), name, key, 1)}", VerifierKey(name, key.public_key()))


def test_keys_of_logs_and_witnesses_are_told_apart(witness: Witness) -> None:
    assert WitnessKey.parse(str(witness.public)) == witness.public
    with pytest.raises(LedgerBroken, match="of type 4, not 1"):
        VerifierKey.parse(str(witness.public))
    with pytest.raises(LedgerBroken, match="of type 1, not 4"):
        WitnessKey.parse(str(LOG))


def test_it_follows_a_log_that_grows(witness: Witness) -> None:
    for old, new in [(0, 0), (0, 1), (1, 1), (1, 7), (7, 8), (8, 40), (40, 40)]:
        answer = witness.add_checkpoint(_ask(old, new))
        assert answer.status == HTTPStatus.OK, (old, new)
        cosignature_in(_note(new) + answer.body, witness.public)


def test_it_refuses_a_log_that_was_rolled_back(witness: Witness) -> None:
    witness.add_checkpoint(_ask(0, 20))
    for old, new in [(0, 20), (0, 30), (5, 30), (10, 10), (0, 1), (25, 30)]:
        answer = witness.add_checkpoint(_ask(old, new))
        assert (answer.status, answer.body, answer.media_type) == (HTTPStatus.CONFLICT, "20\n", SIZE_TYPE)
    assert witness.add_checkpoint(_ask(20, 21)).status == HTTPStatus.OK


def test_it_refuses_another_history_that_is_longer(witness: Witness) -> None:
    witness.add_checkpoint(_ask(0, 20))
    assert witness.add_checkpoint(_ask(20, 30, FORK)).status == HTTPStatus.UNPROCESSABLE_ENTITY
    empty = Submission(20, (), _note(30)).text().encode()
    assert witness.add_checkpoint(empty).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert witness.add_checkpoint(_ask(20, 30)).status == HTTPStatus.OK


def test_two_histories_of_one_size_are_kept_as_evidence(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(_ask(0, 20))
    for _ in range(2):
        answer = witness.add_checkpoint(_ask(20, 20, FORK))
        assert (answer.status, answer.body) == (HTTPStatus.CONFLICT, "20\n")
    (evidence,) = (tmp_path / "state" / "refused").iterdir()
    assert json.loads(evidence.read_text()) == {"cosigned": _note(20), "refused": _note(20, FORK)}


def test_a_tree_of_nothing_has_one_root(witness: Witness) -> None:
    other = sign_note(Checkpoint(ORIGIN, 0, LEAVES[0]).text(), ORIGIN, LOG_KEY)
    assert Checkpoint.parse(open_note(_note(0), LOG)).root == EMPTY_ROOT
    answer = witness.add_checkpoint(Submission(0, (), other).text().encode())
    assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_it_listens_to_the_logs_it_knows_only(witness: Witness) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = Submission(0, (), _note(5, key=stranger)).text().encode()
    assert witness.add_checkpoint(forged).status == HTTPStatus.FORBIDDEN
    text = Checkpoint("another/log", 5, LEAVES[0]).text()
    unknown = Submission(0, (), sign_note(text, "another/log", stranger)).text().encode()
    assert witness.add_checkpoint(unknown).status == HTTPStatus.NOT_FOUND


def test_lines_that_a_log_adds_are_cosigned_with_it(witness: Witness) -> None:
    text = Checkpoint(ORIGIN, 3, frontier_of(LEAVES[:3]).root()).text() + "an extension\n"
    note = sign_note(text, ORIGIN, LOG_KEY)
    answer = witness.add_checkpoint(Submission(0, (), note).text().encode())
    assert open_note(note + answer.body, witness.public) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"old 0\n",
        b"old 00\n\n" + _note(5).encode(),
        b"old -1\n\n" + _note(5).encode(),
        b"new 0\n\n" + _note(5).encode(),
        b"old 0\nAAAA\n\n" + _note(5).encode(),
        b"old 0\n!\n\n" + _note(5).encode(),
        b"old 0\n" + f"{'A' * 43}=\n".encode() * 64 + b"\n" + _note(5).encode(),
        b"old 0\n\nno checkpoint\n",
        b"old 0\n\nno checkpoint\n\n\xe2\x80\x94 x AAAA\n",
        b"old 6\n\n" + _note(5).encode(),
    ],
)
def test_what_is_no_request(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body).status == HTTPStatus.BAD_REQUEST


def test_it_remembers_when_it_is_started_again(tmp_path: Path) -> None:
    first = Witness(tmp_path, [LOG], SimulatedClock())
    first.add_checkpoint(_ask(0, 20))
    with pytest.raises(EnvironmentLack, match="another process"):
        Witness(tmp_path, [LOG], SimulatedClock())
    first.close()
    again = Witness(tmp_path, [LOG], SimulatedClock())
    assert again.public == first.public
    assert again.add_checkpoint(_ask(0, 10)).body == "20\n"
    again.close()
    assert (tmp_path / "key.json").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize(
    ("file", "content", "cause"),
    [
        ("seen.json", None, "has lost its memory"),
        ("key.json", None, "has lost its key"),
        ("seen.json", "{", "cannot be read"),
        ("seen.json", "[]", "cannot be read"),
        ("seen.json", '{"consentry/ledger/test": "no note"}', "cannot be read"),
        ("seen.json", json.dumps({"another/log": _note(3)}), "cannot be read"),
        ("key.json", "{}", "cannot be read"),
        ("key.json", '{"name": "x", "seed": "AAAA"}', "cannot be read"),
    ],
)
def test_without_its_memory_it_does_not_go_on(
    tmp_path: Path, file: str, content: str | None, cause: str
) -> None:
    witness = Witness(tmp_path, [LOG], SimulatedClock())
    witness.add_checkpoint(_ask(0, 20))
    witness.close()
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(DataDamaged, match=cause):
        Witness(tmp_path, [LOG], SimulatedClock())


def test_one_key_for_each_log(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two keys"):
        Witness(tmp_path, [LOG, LOG], SimulatedClock())


def test_what_cannot_be_kept_is_not_cosigned(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(_ask(0, 5))
    (tmp_path / "state" / "seen.new").mkdir()
    assert witness.add_checkpoint(_ask(5, 6)).status == HTTPStatus.INTERNAL_SERVER_ERROR
    (tmp_path / "state" / "seen.new").rmdir()
    assert witness.add_checkpoint(_ask(5, 7)).status == HTTPStatus.OK


@contextmanager
def _served(witness: Witness) -> Iterator[WitnessServer]:
    with WitnessServer(witness, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _request(
    server: WitnessServer, body: bytes | None, *, path: str = "/add-checkpoint", method: str = "POST"
) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], content


def test_over_http(witness: Witness) -> None:
    with _served(witness) as server:
        status, _, line = _request(server, _ask(0, 9))
        assert status == HTTPStatus.OK
        cosignature_in(_note(9) + line, witness.public)
        assert _request(server, _ask(0, 4)) == (HTTPStatus.CONFLICT, SIZE_TYPE, "9\n")
        assert _request(server, b"nonsense")[0] == HTTPStatus.BAD_REQUEST
        assert _request(server, _ask(9, 9), path="/")[0] == HTTPStatus.NOT_FOUND
        assert _request(server, None, method="GET")[0] == HTTPStatus.NOT_FOUND


def test_requests_without_bounds_are_not_read(witness: Witness) -> None:
    with _served(witness) as server:
        for header, status in [
            (f"Content-Length: {MOST_BODY_BYTES + 1}", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
            ("Content-Length: " + "9" * 5000, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
            ("Content-Length: -1", HTTPStatus.LENGTH_REQUIRED),
            ("Transfer-Encoding: chunked", HTTPStatus.LENGTH_REQUIRED),
        ]:
            with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as peer:
                peer.sendall(f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n{header}\r\n\r\n".encode())
                assert f" {status} ".encode() in peer.recv(200)


def test_an_address_that_cannot_be_taken(witness: Witness) -> None:
    with _served(witness) as server, pytest.raises(EnvironmentLack, match="cannot be taken"):
        WitnessServer(witness, "127.0.0.1", server.server_port)
    with pytest.raises(UsageError, match="is no address"):
        WitnessServer(witness, "no such host.invalid", 0)


def test_it_runs_alone_with_little(tmp_path: Path) -> None:
    """What a small machine needs: Python and cryptography."""
    code = (
        "import sys, consentry.ledger.witness_http;"
        "print({m.split('.')[0] for m in sys.modules if not m.startswith('_')} - sys.stdlib_module_names)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert eval(printed) <= {"consentry", "cryptography", "sitecustomize"}


@pytest.mark.timeout(60)
def test_killed_at_any_moment_it_remembers_what_it_answered(tmp_path: Path) -> None:
    """SIGKILL while it is asked without pause: what it has cosigned, the next one knows."""
    answered = 0
    for delay in range(ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--state", str(tmp_path), "--log", str(LOG), "--listen", ANYWHERE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        vkey = process.stdout.readline().strip()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/add-checkpoint", body=_ask(LAST, LAST))  # only asks what it knows
        answer = connection.getresponse()
        body = answer.read().decode()
        known = int(body) if answer.status == HTTPStatus.CONFLICT else LAST
        assert answered <= known <= answered + 1
        answered = known
        killer: threading.Timer | None = None
        try:
            for number in range(ASKS):
                if number == ASKS - 2:  # two more are asked for while the end draws near
                    killer = threading.Timer(0.001 * delay, process.send_signal, [signal.SIGKILL])
                    killer.start()
                connection.request("POST", "/add-checkpoint", body=_ask(answered, answered + 1))
                answer = connection.getresponse()
                line = answer.read().decode()
                assert answer.status == HTTPStatus.OK
                cosignature_in(_note(answered + 1) + line, WitnessKey.parse(vkey))
                answered += 1
        except (OSError, http.client.HTTPException):
            pass
        assert killer is not None
        killer.join()
        process.wait()
        connection.close()
        process.stdout.close()
    assert answered >= ROUNDS * (ASKS - 2)
