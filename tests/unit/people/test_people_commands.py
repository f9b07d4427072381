"""The commands of people, declaration, ledger, cameras and check, on a real data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.unit.people.kit import PURPOSE, consent, declaration, enrolled, photo
from typer.testing import CliRunner

from consentry.cli import camera, check, declare, ledger, person, verify_receipt
from consentry.clock import SimulatedClock, SystemClock
from consentry.errors import (
    ConsentInvalid,
    ConsentryError,
    LedgerBroken,
    NotDeclared,
    NotFound,
    SiteKeyMissing,
    UsageError,
)
from consentry.people.declaration import require_declared
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE
from consentry.people.links import person_behind
from consentry.people.site import Site
from consentry.store.database import DATABASE_FILE

NOW = datetime.now(UTC)


DUTY = ("--purpose", PURPOSE, "--owner", "Example Ltd", "--review-due", "2028-06-30")


@dataclass
class Commands:
    """Runs commands on one data folder."""

    folder: Path

    def __post_init__(self) -> None:
        self._app = typer.Typer(pretty_exceptions_enable=False)
        self._app.add_typer(person.app, name="person")
        self._app.add_typer(declare.app, name="declare")
        self._app.add_typer(ledger.app, name="ledger")
        self._app.add_typer(camera.app, name="camera")
        self._app.command("check")(check.check)
        self._plain = typer.Typer(pretty_exceptions_enable=False)
        self._plain.command()(verify_receipt.verify_receipt_command)

    def run(self, *words: str, code: int = 0) -> str:
        """Standard output of a command that ends with `code`."""
        result = CliRunner().invoke(self._app, [*words, "--data", str(self.folder)])
        assert (result.exit_code, result.exception if code == 0 else None) == (code, None), result.output
        return result.output

    def json(self, *words: str, code: int = 0) -> Any:
        """The one JSON document a command prints."""
        return json.loads(self.run(*words, "--json", code=code))

    def fails(self, kind: type[ConsentryError], *words: str) -> ConsentryError:
        """The error a command ends with."""
        error = CliRunner().invoke(self._app, [*words, "--data", str(self.folder)]).exception
        assert isinstance(error, kind), error
        return error

    def verified(self, receipt: Path) -> Any:
        """What `verify-receipt` says of a file, with the key that the ledger command prints."""
        vkey = self.json("ledger", "checkpoint")["vkey"]
        result = CliRunner().invoke(self._plain, [str(receipt), "--vkey", vkey, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    def site(self) -> Site:
        return Site.open(self.folder, clock=SystemClock())


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return Commands(tmp_path / "data")


def _declared(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "declaration.json"
    due = NOW.date().replace(year=NOW.year + 1, day=1)
    path.write_text(declaration(review_due_on=due).model_dump_json())
    commands.run("declare", str(path))


def test_before_anything_there_is_nothing(commands: Commands) -> None:
    for words in (
        ("person", "list"),
        ("declare", "show"),
        ("ledger", "verify"),
        ("camera", "list"),
        ("check",),
    ):
        error = commands.fails(NotFound, *words)
        assert "holds no installation" in error.cause
    assert not commands.folder.exists()


def test_declaring(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    shown = commands.json("declare", "show")
    assert shown["in_force"] is True
    assert shown["declaration"]["purposes"] == [PURPOSE]
    assert "In force: 1:N recognition may be used." in commands.run("declare", "show")
    with commands.site() as site:
        assert not require_declared(site, PURPOSE).is_demo
    assert "stays one" in commands.fails(UsageError, "declare", "--demo").cause


def test_declaring_a_demo(commands: Commands) -> None:
    assert commands.json("declare", "--demo")["declaration"]["is_demo"] is True


@pytest.mark.parametrize("words", [[], ["file.json", "--demo"]])
def test_declaring_what(commands: Commands, words: list[str]) -> None:
    assert "say what to declare" in commands.fails(UsageError, "declare", *words).cause
    assert not commands.folder.exists()


def test_a_person_from_list_to_withdrawal(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    assert commands.run("person", "list") == "Nobody is enrolled.\n"
    with commands.site() as site:
        person_id = enrolled(site, 1, "Ada Example", consent(start=NOW)).person_id

    (listed,) = commands.json("person", "list")
    assert (listed["id"], listed["name"], listed["live"]) == (person_id, "Ada Example", True)
    assert listed["purposes"] == [PURPOSE]
    assert f"{person_id}  Ada Example  consent to {PURPOSE} until" in commands.run("person", "list")
    assert commands.json("person", "show", person_id)["consents"][0]["alternative"] == "a badge"
    assert "2 photo(s), 2 template(s)" in commands.run("person", "show", person_id)

    exported = tmp_path / "out" / "ada"
    commands.run("person", "export", person_id, "--out", str(exported))
    assert {path.name for path in exported.iterdir()} == {"person.json", "photo-1.jpg", "photo-2.jpg"}
    assert (exported / "person.json").stat().st_mode & 0o777 == 0o600
    originals = {photo(1, pose).original for pose in (0, 1)}
    assert {(exported / f"photo-{number}.jpg").read_bytes() for number in (1, 2)} == originals
    assert json.loads((exported / "person.json").read_text())["name"] == "Ada Example"
    assert commands.json("person", "export", person_id)["id"] == person_id
    error = commands.fails(UsageError, "person", "export", person_id, "--out", str(exported))
    assert "is there already" in error.cause

    report = commands.json("person", "withdraw", person_id)
    assert (report["templates"], report["photos"]) == (2, 2)
    assert commands.json("person", "list") == []
    assert "nobody with the id" in commands.fails(NotFound, "person", "show", person_id).cause
    assert commands.run("check") == "All is well.\n"
    assert commands.json("ledger", "verify")["payloads_erased"] == 6


def test_a_fresh_link_for_who_lost_theirs(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _declared(commands, tmp_path)
    with commands.site() as site:
        person_id = enrolled(site, 1, "Ada Example", consent(start=NOW)).person_id
    assert commands.run("person", "link", person_id).startswith("http://127.0.0.1:8080/my/")
    monkeypatch.setenv("CONSENTRY_SERVER__PUBLIC_URL", "https://cameras.example.org/")
    link = commands.json("person", "link", person_id)["link"]
    assert link.startswith("https://cameras.example.org/my/")
    with commands.site() as site:
        assert person_behind(site, link.rpartition("/")[2]) == person_id
    assert "nobody with the id" in commands.fails(NotFound, "person", "link", "0" * 32).cause


def test_withdrawing_says_what_it_did(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    with commands.site() as site:
        person_id = enrolled(site, 1, "Ada Example", consent(start=NOW)).person_id
    said = commands.run("person", "withdraw", person_id)
    assert f"Erased person {person_id}: 2 template(s), 2 photo(s)" in said
    assert "none found" in said


def test_an_ended_consent_shows(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    past = SimulatedClock((NOW - timedelta(days=9)).timestamp())
    with Site.open(commands.folder, clock=past) as site:
        enrolled(site, 1, "Ada Example", consent(start=NOW - timedelta(days=10), days=5))
    (listed,) = commands.json("person", "list")
    assert listed["live"] is False
    assert "not recognised: the consent ended on" in commands.run("person", "list")
    found = commands.json("check", code=1)
    assert found["ok"] is False
    assert [finding["kind"] for finding in found["findings"]] == ["consent"]
    assert "Mended." in commands.run("check", "--mend")
    assert commands.json("person", "list") == []


@pytest.mark.parametrize("words", [[], ["--consent", "c.json", "--consent-demo"]])
def test_enrolling_needs_one_consent(commands: Commands, words: list[str]) -> None:
    error = commands.fails(UsageError, "person", "enrol", "Ada", "photo.jpg", *words)
    assert "needs a consent record" in error.cause
    assert not commands.folder.exists()


def test_enrolling_checks_the_consent_before_photos_and_models(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    path = tmp_path / "consent.json"
    words = ("person", "enrol", "Ada", str(tmp_path / "no-photo.jpg"))
    path.write_text(consent(start=NOW, days=1e-9).model_dump_json(exclude={"is_demo"}))
    assert "ended on" in commands.fails(ConsentInvalid, *words, "--consent", str(path)).cause
    path.write_text(consent(start=NOW, purpose="canteen").model_dump_json(exclude={"is_demo"}))
    assert "“canteen”" in commands.fails(ConsentInvalid, *words, "--consent", str(path)).cause
    assert "demo folder" in commands.fails(ConsentInvalid, *words, "--consent-demo").cause
    assert commands.json("person", "list") == []


def test_the_ledger(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    kept = tmp_path / "checkpoint"
    kept.write_text(commands.run("ledger", "checkpoint"))
    signed = commands.json("ledger", "checkpoint")
    assert (signed["size"], signed["checkpoint"]) == (2, kept.read_text())
    assert signed["vkey"].startswith(signed["origin"] + "+")
    commands.run("camera", "add", "door", "rtsp://admin:hunter2@192.0.2.1/", "--purpose", PURPOSE)
    verified = commands.json("ledger", "verify", "--against", str(kept))
    assert (verified["size"], verified["extends_size"]) == (3, 2)
    assert "still begins with the 2 entries" in commands.run("ledger", "verify", "--against", str(kept))
    proof = commands.json("ledger", "prove", "1")
    assert (proof["index"], proof["size"], json.loads(proof["leaf"])["event"]) == (1, 3, "site.declared")
    assert commands.run("ledger", "prove", "2").startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert "no entry 3" in commands.fails(NotFound, "ledger", "prove", "3").cause
    missing = str(tmp_path / "nothing")
    assert "cannot be read" in commands.fails(UsageError, "ledger", "verify", "--against", missing).cause
    kept.write_text("no note")
    commands.fails(LedgerBroken, "ledger", "verify", "--against", str(kept))


def test_cameras_never_show_a_password(commands: Commands) -> None:
    added = commands.run("camera", "add", "door", "rtsp://admin:hunter2@192.0.2.1/", *DUTY)
    listed = commands.run("camera", "list")
    as_json = commands.json("camera", "list")
    assert as_json[0]["url_redacted"] == "rtsp://***@192.0.2.1/"
    assert "hunter2" not in added + listed + json.dumps(as_json)
    commands.run("camera", "remove", "door")
    assert commands.run("camera", "list") == "There is no camera yet.\n"


def test_a_folder_without_its_key(commands: Commands, tmp_path: Path) -> None:
    commands.run("declare", "--demo")
    for key in (tmp_path / "config" / "consentry" / "keys").iterdir():
        key.unlink()
    for words in (("person", "list"), ("ledger", "verify"), ("check",), ("declare", "--demo")):
        error = commands.fails(SiteKeyMissing, *words)
        assert error.exit_code == 3


def test_until_declared_1_to_n_is_off(commands: Commands) -> None:
    error = commands.fails(UsageError, "camera", "add", "door", "rtsp://192.0.2.1/", "--purpose", PURPOSE)
    assert "needs an owner and the day of its next review" in error.cause
    commands.run("camera", "add", "door", "rtsp://192.0.2.1/", *DUTY)
    shown = commands.json("declare", "show")
    assert shown == {
        "in_force": False,
        "why_not": "this site has not declared what it recognises people for",
        "declaration": None,
    }
    with commands.site() as site, pytest.raises(NotDeclared):
        require_declared(site)
    assert (commands.folder / DATABASE_FILE).is_file()


def test_consents_come_and_go(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    with commands.site() as site:
        first = enrolled(site, 1, "Ada Example", consent(start=NOW))
    assert "but erased on" not in commands.run("person", "list")
    record, receipt = tmp_path / "consent.json", tmp_path / "receipt.json"
    record.write_text(consent(start=NOW, days=700).model_dump_json(exclude={"is_demo"}))
    words = ("person", "add-consent", first.person_id, "--consent", str(record))
    added = commands.json(*words, "--receipt", str(receipt))
    assert commands.verified(receipt)["receipt"]["record"]["record_id"] == added["consent_id"]
    assert json.loads(receipt.read_text()) == added["receipt"]
    assert receipt.stat().st_mode & 0o777 == 0o600
    assert "is there already" in commands.fails(UsageError, *words, "--receipt", str(receipt)).cause
    assert commands.json("person", "receipts", first.person_id) == [
        added["receipt"],
        json.loads(first.receipt),
    ]
    assert f"consent  {PURPOSE}  {added['consent_id']}" in commands.run("person", "receipts", first.person_id)
    (listed,) = commands.json("person", "list")
    assert listed["purposes"] == [PURPOSE, PURPOSE]
    assert listed["expires"] < listed["valid_until"]
    assert "but erased on" in commands.run("person", "list")
    shown = commands.json("person", "show", first.person_id)["consents"]
    assert {one["id"] for one in shown} == {first.consent_id, added["consent_id"]}

    said = commands.run("person", "withdraw-consent", first.person_id, first.consent_id)
    assert "another one of person" in said
    last = tmp_path / "last.json"
    ended = commands.json(
        "person", "withdraw-consent", first.person_id, added["consent_id"], "--receipt", str(last)
    )
    assert ended["erasure"]["templates"] == 2
    assert commands.verified(last)["receipt"]["kind"] == "erasure"
    assert commands.json("person", "list") == []


def test_a_withdrawal_gives_a_receipt(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    with commands.site() as site:
        person_id = enrolled(site, 1, "Ada Example", consent(start=NOW)).person_id
    receipt = tmp_path / "receipt.json"
    commands.run("person", "withdraw", person_id, "--receipt", str(receipt))
    assert commands.verified(receipt)["receipt"]["erasure"]["pii_principal_id"] == person_id


def test_a_refusal(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    record, receipt = tmp_path / "refusal.json", tmp_path / "receipt.json"
    refusal = consent(start=NOW).model_copy(update={"state": "refused"})
    record.write_text(refusal.model_dump_json(exclude={"is_demo"}))
    said = commands.run("person", "refuse", "--consent", str(record), "--receipt", str(receipt))
    assert "nothing of the person was kept" in said
    assert commands.verified(receipt)["entry"]["event"] == "consent.refused"
    assert commands.json("person", "list") == []


def test_the_term_of_retention_is_a_setting(commands: Commands, tmp_path: Path) -> None:
    _declared(commands, tmp_path)
    past = SimulatedClock((NOW - timedelta(days=9)).timestamp())
    with Site.open(commands.folder, clock=past) as site:
        enrolled(site, 1, "Ada Example", consent(start=NOW - timedelta(days=10)))
    assert commands.run("check") == "All is well.\n"
    (commands.folder / "consentry.toml").write_text("[retention]\nlast_seen_days = 5\n")
    (found,) = commands.json("check", code=1)["findings"]
    assert "not seen for as long" in found["what"]
    assert "Mended." in commands.run("check", "--mend")
    assert commands.json("person", "list") == []


def test_a_receipt_that_is_not_there(commands: Commands, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        verify_receipt.verify_receipt_command(tmp_path / "nothing.json", "key")
