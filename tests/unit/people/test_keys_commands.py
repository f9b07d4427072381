"""`consentry keys`: what it prints, and that it never prints a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.people.kit import enrolled, opened
from typer.testing import CliRunner

from consentry.cli.root import app
from consentry.people.keys import FILE_VARIABLE
from consentry.people.rotation import newest_rotation
from consentry.people.seal import Kind


def test_rotate_and_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "site.key"))
    data = ["--data", str(tmp_path / "data")]

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["keys", *words, *data])
        assert result.exit_code == 0, result.output
        return result.output

    with opened(tmp_path, declared=True):
        pass
    assert "the first enrolment makes one" in run("show")
    assert json.loads(run("show", "--json")) == {"version": None, "made": None}
    with opened(tmp_path) as site:
        enrolled(site, 1, "Ada Example")
    assert run("show").startswith("Template key version 1, made 2027-01-15T08:00:00.000Z")
    assert json.loads(run("rotate", "--json")) == {"version": 2, "people": 1, "templates": 2, "ledger_seq": 4}
    said = run("rotate") + run("show") + run("show", "--json")
    assert "The template key is now version 3: 2 template(s) of 1 person(s)" in said
    with opened(tmp_path) as site, site.read() as session:
        row = newest_rotation(session)
        assert row is not None
        assert row.version == 3
        assert site.key.open(row.sealed_seed, Kind.ROTATION_SEED, "3").hex() not in said
