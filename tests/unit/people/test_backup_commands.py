"""`consentry backup` and `consentry restore`, on a real data folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.people.kit import consent, declaration, enrolled
from tests.unit.people.test_backup import IDENTITY, RECIPIENT
from typer.testing import CliRunner, Result

from consentry.cli.root import app
from consentry.clock import SystemClock
from consentry.config import keys_dir
from consentry.errors import BackupRefused, ConsentryError, EnvironmentLack, UsageError
from consentry.people.declaration import declare
from consentry.people.erase import withdraw
from consentry.people.roster import list_people
from consentry.people.site import Site
from consentry.server.run import only_hub


class Installation:
    """A data folder with one person, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.identity = folder / "identity.txt"
        self.identity.write_text(f"# public key: {RECIPIENT}\n{IDENTITY}\n")
        now = datetime.now(UTC)
        with self.site(create=True) as site:
            declare(site, declaration(review_due_on=now.date().replace(year=now.year + 1, day=1)), actor="t")
            self.person_id = enrolled(site, 1, "Ada Example", consent(start=now)).person_id

    def site(self, *, create: bool = False) -> Site:
        return Site.open(self.data, clock=SystemClock(), create=create)

    def run(self, *words: str) -> Result:
        """What a command prints that gets through."""
        result = CliRunner().invoke(app, [*words, "--data", str(self.data)])
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result

    def fails(self, kind: type[ConsentryError], *words: str) -> str:
        """What a command says that ends with such an error."""
        error = CliRunner().invoke(app, [*words, "--data", str(self.data)]).exception
        assert isinstance(error, kind), error
        return str(error)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_there_and_back(installation: Installation) -> None:
    file = installation.folder / "b.age"
    made = json.loads(installation.run("backup", str(file), "--to", RECIPIENT, "--json").stdout)
    assert made["file"] == str(file)
    assert made["size_bytes"] == file.stat().st_size
    assert made["recipients"] == [RECIPIENT]
    with installation.site() as site:
        withdraw(site, installation.person_id, reason="asked", actor="test")
    words = ("restore", str(file), "--identity", str(installation.identity))
    assert "is not empty" in installation.fails(UsageError, *words)
    with only_hub(installation.data):
        assert "serves" in installation.fails(EnvironmentLack, *words, "--replace")
    restored = json.loads(installation.run(*words, "--replace", "--json").stdout)
    assert (restored["people"], restored["erased_again"]) == (0, 1)
    with installation.site() as site:
        assert list_people(site) == []
    assert installation.run("check").stdout == "All is well.\n"


def test_recipients_of_the_settings_and_what_is_said(installation: Installation) -> None:
    file = installation.folder / "b.age"
    assert "nobody is named who may open" in installation.fails(UsageError, "backup", str(file))
    (installation.data / "consentry.toml").write_text(f'[backup]\nrecipient = "{RECIPIENT}"\n')
    said = installation.run("backup", str(file)).stdout
    assert "2 photo(s), " in said
    assert "ledger entries, for 1 recipient(s)" in said
    assert "also takes the site key" in said
    for list_file in keys_dir().glob("*.tombstones"):
        list_file.unlink()
    words = ("restore", str(file), "--identity", str(installation.identity), "--replace")
    assert "could bring them back" in installation.fails(BackupRefused, *words)
    told = installation.run(*words, "--withdrawn-people-may-return")
    assert "Restored site" in told.stdout
    assert "whoever did so since the backup is back" in told.stderr
    installation.identity.write_text("nothing\n")
    assert "holds no age identity" in installation.fails(UsageError, *words)
