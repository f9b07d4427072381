"""`consentry ledger`: what is printed here is checked elsewhere, with the public key alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.people.kit import opened
from typer.testing import CliRunner

from consentry.cli import ledger
from consentry.cli.actor import cli_actor
from consentry.errors import ConsentryError, LedgerBroken, ReceiptInvalid, UsageError
from consentry.people.keys import FILE_VARIABLE


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with opened(tmp_path, declared=True):
        pass
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "site.key"))
    return tmp_path / "data"


def _run(*words: str) -> str:
    result = CliRunner().invoke(ledger.app, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def _json(*words: str) -> Any:
    return json.loads(_run(*words, "--json"))


def _fails(kind: type[ConsentryError], *words: str) -> str:
    error = CliRunner().invoke(ledger.app, list(words)).exception
    assert isinstance(error, kind), error
    return error.cause


def test_a_proof_is_verified_elsewhere(data: Path, tmp_path: Path) -> None:
    proof, leaf = tmp_path / "1.tlog-proof", tmp_path / "1.leaf"
    proof.write_text(_run("prove", "1", "--leaf", str(leaf), "--data", str(data)))
    vkey = _json("checkpoint", "--data", str(data))["vkey"]
    elsewhere = ["verify-proof", str(proof), "--leaf", str(leaf), "--vkey", vkey]
    assert "The proof holds: this is entry 1 of consentry/ledger/" in _run(*elsewhere)
    assert {"index": 1, "size": 2}.items() <= _json(*elsewhere).items()
    leaf.write_bytes(leaf.read_bytes().replace(b"site.declared", b"site.mended"))
    assert "does not lead to the signed checkpoint" in _fails(ReceiptInvalid, *elsewhere)
    assert "no Ed25519 verifier key" in _fails(LedgerBroken, *elsewhere[:-1], "x")
    assert "cannot be read" in _fails(UsageError, "verify-proof", str(tmp_path / "no"), *elsewhere[2:])
    proof.write_bytes(b"\xff")
    assert "is no text" in _fails(UsageError, *elsewhere)
    nowhere = str(tmp_path / "no" / "leaf")
    assert "cannot be written" in _fails(UsageError, "prove", "1", "--leaf", nowhere, "--data", str(data))


def test_a_copy_is_verified_elsewhere(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "stick"
    written = _json("tiles", str(copy), "--data", str(data))
    assert written["size"] == 2
    assert f"--tiles {copy} --vkey {written['vkey']}" in _run("tiles", str(copy), "--data", str(data))
    elsewhere = ["verify", "--tiles", str(copy), "--vkey", written["vkey"]]
    assert "The copy verifies: 2 entries" in _run(*elsewhere)
    assert _json(*elsewhere) == {name: written[name] for name in ("origin", "size", "root")}
    (copy / "tile" / "0" / "000.p" / "2").write_bytes(bytes(64))
    assert "was changed" in _fails(LedgerBroken, *elsewhere)
    for words in (elsewhere[:3], ["verify", *elsewhere[3:]], [*elsewhere, "--against", str(copy)]):
        assert "go together" in _fails(UsageError, *words)


def test_verifying_says_what_witnesses_say(data: Path) -> None:
    assert _json("verify", "--data", str(data))["witness_refusals"] == []


def test_being_a_witness_until_ctrl_c(data: Path, tmp_path: Path) -> None:
    vkey = _json("checkpoint", "--data", str(data))["vkey"]
    code = "from consentry.cli.ledger_witness import app; app()"
    words = ["serve", "--state", str(tmp_path / "w"), "--listen", "127.0.0.1:0", "--log", vkey]
    with subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Witness at http://127.0.0.1:")
        assert process.stdout.readline().startswith("consentry/witness/")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    for listen in ("8081", "127.0.0.1:", ":port"):
        assert "is no address" in _fails(UsageError, "witness", *words[:3], "--listen", listen, "--log", vkey)


def test_a_commands_actor_has_no_name() -> None:
    assert cli_actor() == f"cli:{os.getuid()}"
