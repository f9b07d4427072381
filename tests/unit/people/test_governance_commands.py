"""The commands of reviews, notice, impact assessment and requests, on a real data folder."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.people.kit import PURPOSE, declaration
from typer.testing import CliRunner

from consentry.cli.doctor import _site
from consentry.cli.root import app
from consentry.clock import SystemClock
from consentry.errors import ConsentryError, NotDeclared, NotFound, UsageError
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE
from consentry.people.site import Site

NOW = datetime.now(UTC)
LATER = (NOW + timedelta(days=200)).date().isoformat()
URL = "rtsp://admin:hunter2@192.0.2.1/"


@dataclass
class Commands:
    """Runs commands on one data folder."""

    folder: Path

    def run(self, *words: str, code: int = 0) -> str:
        """Standard output of a command that ends with `code`."""
        result = CliRunner().invoke(app, [*words, "--data", str(self.folder)])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def json(self, *words: str, code: int = 0) -> Any:
        """The one JSON document a command prints."""
        return json.loads(self.run(*words, "--json", code=code))

    def fails(self, kind: type[ConsentryError], *words: str) -> str:
        """The error a command ends with, in words."""
        error = CliRunner().invoke(app, [*words, "--data", str(self.folder)]).exception
        assert isinstance(error, kind), error
        return str(error)

    def sql(self, statement: str) -> None:
        """Change the database behind the program's back."""
        with Site.open(self.folder, clock=SystemClock()) as site, site.write() as session:
            session.execute(text(statement))


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A declared site with one camera."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    it = Commands(tmp_path / "data")
    path = tmp_path / "declaration.json"
    path.write_text(declaration(review_due_on=NOW.date() + timedelta(days=100)).model_dump_json())
    it.run("declare", str(path))
    it.run("camera", "add", "door", URL, "--purpose", PURPOSE)
    return it


def test_an_overdue_camera_says_so_and_a_review_brings_it_back(commands: Commands, tmp_path: Path) -> None:
    commands.sql("UPDATE camera SET review_due_on = '2026-01-31'")
    listed = commands.run("camera", "list")
    assert "its review was due on 2026-01-31" in listed
    assert "consentry camera review" in listed
    assert "camera door" in {finding.name for finding in _site(commands.folder)}
    refused = commands.fails(NotDeclared, "watch", str(tmp_path / "none.mp4"), "--camera", "door")
    assert "may not recognise anyone" in refused
    commands.fails(UsageError, "camera", "review", "door", "--until", "tomorrow")
    commands.fails(NotFound, "camera", "review", "gate", "--until", LATER)
    reviewed = commands.json("camera", "review", "door", "--until", LATER, "--owner", "Ada")
    assert (reviewed["review_due_on"], reviewed["owner"]) == (LATER, "Ada")
    assert commands.json("camera", "list")[0]["why_overdue"] == ""
    assert "hunter2" not in commands.run("camera", "list")


def test_an_address_that_cannot_be_opened_is_refused_without_repeating_it(commands: Commands) -> None:
    said = commands.fails(UsageError, "camera", "add", "gate", "rtsp://u:hunter2@x@y/", "--purpose", PURPOSE)
    assert "hunter2" not in said


def test_the_notice(commands: Commands, tmp_path: Path) -> None:
    for name in ("sign.pdf", "sign.svg"):
        said = commands.run("notice", str(tmp_path / name), "--camera", "door")
        assert "http://127.0.0.1:8080/transparency" in said
        assert (tmp_path / name).stat().st_size > 1000
    commands.fails(UsageError, "notice", str(tmp_path / "sign.png"))
    commands.fails(UsageError, "notice", str(tmp_path / "no folder" / "sign.pdf"))
    commands.fails(NotFound, "notice", str(tmp_path / "sign.pdf"), "--camera", "gate")


def test_draft_sign_and_drift(commands: Commands, tmp_path: Path) -> None:
    draft = tmp_path / "dpia.md"
    assert commands.json("dpia", "status", code=1)["signed"] is None
    commands.run("dpia", "draft", str(draft))
    commands.run("dpia", "draft", str(tmp_path / "dpia.pdf"))
    commands.fails(UsageError, "dpia", "draft", str(tmp_path / "dpia.doc"))
    commands.fails(UsageError, "dpia", "sign", str(tmp_path / "none.md"))
    draft.write_text(draft.read_text().replace("…", "Because."))
    commands.run("dpia", "sign", str(draft))
    assert commands.json("dpia", "status")["drift"] == []
    assert "impact assessment" in {one.name for one in _site(commands.folder) if one.state == "ok"}
    (commands.folder / "consentry.toml").write_text("[retention]\nsightings_days = 90\n")
    status = commands.json("dpia", "status", code=1)
    assert status["drift"] == ["settings.retention.sightings_days"]
    assert "settings.retention.sightings_days" in str(_site(commands.folder))
    assert "has changed since" in commands.fails(UsageError, "dpia", "sign", str(draft))


def test_requests(commands: Commands) -> None:
    assert "no request yet" in commands.run("request", "list")
    commands.run("request", "add", "authority")
    commands.run("request", "add", "access", "--outcome", "done")
    commands.run("request", "answer", "1", "refused")
    assert [(one["kind"], one["outcome"]) for one in commands.json("request", "list")] == [
        ("authority", "refused"),
        ("access", "done"),
    ]
    commands.fails(NotFound, "request", "answer", "9", "done")
    commands.run("request", "add", "gossip", code=2)


def test_a_fault_in_the_settings_is_said(commands: Commands) -> None:
    (commands.folder / "consentry.toml").write_text("[server]\npublic_url = 'cameras'\n")
    command = [sys.executable, "-c", "from consentry.cli.root import main; main()", "dpia", "status"]
    done = subprocess.run(
        [*command, "--data", str(commands.folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "server.public_url" in done.stderr
