"""`consentry models`: JSON alone on standard output, and an error with the right exit code."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consentry.cli.models import PullBars, app
from consentry.errors import ConsentryError, ModelCorrupt, ModelMissing, Offline, UsageError
from consentry.models.card import render_card
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore

CATALOGUE = Catalogue.load()


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder."""
    monkeypatch.setenv("CONSENTRY_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def run(*arguments: str) -> Result:
    """`consentry models ARGUMENTS`."""
    return CliRunner().invoke(app, list(arguments))


def failed(kind: type[ConsentryError], *arguments: str) -> Result:
    """The same, which must raise `kind` for the root command to report."""
    result = run(*arguments)
    assert type(result.exception) is kind
    return result


def test_list_names_everything_and_the_folder(models_folder: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [entry.name for entry in CATALOGUE.models]
    assert all(line.endswith("missing") for line in lines[:-1])
    assert lines[-1] == f"Models folder: {models_folder}"
    assert not models_folder.exists()


def test_list_as_json_is_one_document(models_folder: Path, tmp_path: Path) -> None:
    document = json.loads(run("list", "--json", "--data", str(tmp_path)).stdout)
    assert document["folder"] == str(models_folder)
    assert [row["name"] for row in document["models"]] == [entry.name for entry in CATALOGUE.models]
    first = document["models"][0]
    assert (first["state"], first["sha256"]) == ("missing", CATALOGUE.models[0].sha256)


def test_verify_says_what_is_missing() -> None:
    result = failed(ModelMissing, "verify", "--json")
    document = json.loads(result.stdout)
    assert document["ok"] is False
    required = [row["name"] for row in document["models"] if row["required"]]
    assert required == [entry.name for entry in CATALOGUE.default_entries()]
    assert all(name in str(result.exception) for name in required)
    assert "yunet" not in str(result.exception)


def test_verify_puts_a_corrupt_file_first_even_of_an_optional_pack(models_folder: Path) -> None:
    store, entry = ModelStore(models_folder), CATALOGUE.entry("yunet-2023mar")
    store.partial(entry)
    (models_folder / "sha256").mkdir()
    (models_folder / "sha256" / entry.sha256).write_bytes(b"other bytes")
    result = failed(ModelCorrupt, "verify")
    assert "yunet-2023mar" in str(result.exception)
    assert "consentry models pull opencv-zoo" in str(result.exception)
    assert "corrupt (optional)" in result.stdout


def test_card_prints_the_card() -> None:
    for entry in CATALOGUE.models:
        assert run("card", entry.name).stdout == render_card(entry)


def test_unknown_names_are_wrong_usage() -> None:
    failed(UsageError, "card", "nonsense")
    failed(UsageError, "pull", "nonsense")


def test_pull_without_a_network_is_offline_and_leaves_nothing(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:s3cret@127.0.0.1:{port}/simple")
    result = failed(Offline, "pull")
    assert result.stdout == ""
    assert "Fetching centerface" in result.stderr
    assert "s3cret" not in str(result.exception) + result.output
    assert [path.name for path in models_folder.rglob("*") if path.is_file()] == ["lock"]


def test_progress_bars_show_on_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    with PullBars() as bars:
        bars.reached(3)
        bars.begin("known", 10)
        bars.reached(10)
        bars.end(True)
        bars.begin("unseen", None)
        bars.end(False)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Fetching known" in shown.err
    assert shown.err.count("100%") == 1
    assert "Fetching unseen" in shown.err
