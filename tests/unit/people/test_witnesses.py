"""A site and its witnesses on real ports: a restored old database and a rewritten log are found out."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, START_UNIX_S, enrolled, opened
from typer.testing import CliRunner

from consentry.cli import ledger as ledger_cli
from consentry.clock import SimulatedClock
from consentry.config import Ledger as LedgerSettings
from consentry.config import WitnessAddress, load_settings
from consentry.errors import BadConfig, LedgerBroken, WitnessRefused
from consentry.ledger.checkpoint import VerifierKey, open_note
from consentry.ledger.cosignature import WitnessKey
from consentry.ledger.entry import Event
from consentry.ledger.witness import Witness
from consentry.ledger.witness_http import WitnessServer
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE
from consentry.people.roster import show_person
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.people.witnesses import (
    ask_witnesses,
    witness_problems,
    witness_refusals,
    witness_states,
)
from consentry.server.witnessing import keep_witnessed
from consentry.store.database import DATABASE_FILE


@contextmanager
def _witness(folder: Path, *logs: VerifierKey) -> Iterator[WitnessAddress]:
    """A witness that answers on a free port."""
    witness = Witness(folder, logs, SimulatedClock(START_UNIX_S))
    with WitnessServer(witness, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield WitnessAddress(url=server.url, vkey=str(witness.public))
        finally:
            server.shutdown()
            thread.join()
            witness.close()


def _size(site: Site) -> int:
    with site.read() as session:
        return site.ledger.signed_head(session.connection()).size


def _events(site: Site) -> list[str]:
    with site.read() as session:
        return [str(event) for event in session.execute(text("SELECT event FROM ledger_entry")).scalars()]


def _act(site: Site, count: int = 1) -> None:
    for _ in range(count):
        with site.write() as session:
            site.log(session, Event.CAMERA_ADDED, actor=ACTOR, payload={"camera": "door"})


def test_the_newest_checkpoint_is_cosigned_and_then_all_is_quiet(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        _act(site, 3)
        (first,) = ask_witnesses(site, [address])
        assert (first.size, first.problem) == (4, "")
        assert _events(site)[-1] == "witness.cosigned"  # that it began, once
        for _ in range(3):
            ask_witnesses(site, [address], only_behind=True)
        assert _events(site).count("witness.cosigned") == 1
        assert _size(site) == 5
        assert ask_witnesses(site, [address], only_behind=True) == []
        key = WitnessKey.parse(address.vkey)
        with site.read() as session:
            note = site.ledger.checkpoint(session.connection())
            proof = site.ledger.prove(session.connection(), 2)
            site.ledger.verify(session.connection())
        assert open_note(note, key) == open_note(note, site.ledger.verifier)
        assert proof.checkpoint == note  # receipts made from it bear witness too
        _act(site)
        with site.read() as session:
            newer = site.ledger.checkpoint(session.connection())
        with pytest.raises(LedgerBroken, match="no signature"):
            open_note(newer, key)  # not seen yet


def test_a_restored_old_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "site.key"))
    for other in (KEY_VARIABLE, PASSPHRASE_VARIABLE):
        monkeypatch.delenv(other, raising=False)
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        verifier = site.ledger.verifier
    old = tmp_path / "old.db"
    shutil.copy(tmp_path / "data" / DATABASE_FILE, old)
    with _witness(tmp_path / "w", verifier) as address:
        with opened(tmp_path) as site:
            show_person(site, person_id, actor="nosy")
            assert ask_witnesses(site, [address])[0].problem == ""
            ask_witnesses(site, [address])
            assert witness_problems(site) == []
        shutil.copy(old, tmp_path / "data" / DATABASE_FILE)
        with opened(tmp_path) as site:
            with site.read() as session:
                site.ledger.verify(session.connection())  # by itself it cannot know
            (state,) = ask_witnesses(site, [address])
            assert state.refused
            (problem,) = witness_problems(site)
            assert (
                problem
                == f"{state.name} refused: it has cosigned 6 entries of this log, which has only 4: "
                + ("the log was rolled back")
            )
            assert [finding.kind for finding in check_site(site, mend=False, actor=ACTOR)] == ["witness"]
            assert _events(site)[-1] == "witness.refused"
            ask_witnesses(site, [address], only_behind=True)
            assert _events(site).count("witness.refused") == 1
            _act(site, 3)  # growing past what the witness saw does not help
            ask_witnesses(site, [address], only_behind=True)
            assert "the log was rewritten" in witness_refusals(site)[0]
            assert _events(site).count("witness.refused") == 1
    settings = {"url": address.url, "vkey": address.vkey}
    monkeypatch.setenv("CONSENTRY_LEDGER__WITNESSES", json.dumps([settings]))
    for command in (["verify"], ["verify", "--json"]):
        ran = CliRunner().invoke(ledger_cli.app, [*command, "--data", str(tmp_path / "data")])
        assert isinstance(ran.exception, WitnessRefused)
        assert ran.exception.exit_code == 1
        assert state.name in ran.exception.cause
    listed = CliRunner().invoke(
        ledger_cli.app, ["witness", "list", "--json", "--data", str(tmp_path / "data")]
    )
    assert json.loads(listed.output)[0]["problem"].startswith("refused: ")


def test_the_right_database_put_back_is_cosigned_again(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        verifier = site.ledger.verifier
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    database = tmp_path / "data" / DATABASE_FILE
    shutil.copy(database, old)
    with _witness(tmp_path / "w", verifier) as address:
        with opened(tmp_path) as site:
            _act(site, 5)
            ask_witnesses(site, [address])
        shutil.copy(database, new)
        for copy, refused in ((old, True), (new, False)):
            shutil.copy(copy, database)
            with opened(tmp_path) as site:
                assert ask_witnesses(site, [address])[0].refused is refused
                assert bool(witness_refusals(site)) is refused


def test_a_log_rewritten_and_signed_anew_is_refused(tmp_path: Path) -> None:
    """By someone who holds the site key, and knows to leave no trace in the database."""
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        _act(site, 5)
        ask_witnesses(site, [address])
        ask_witnesses(site, [address])
        size = _size(site)
        with site.write() as session:
            for table in ("ledger_payload", "ledger_entry", "ledger_head", "ledger_tile"):
                session.execute(text(f"DELETE FROM {table}"))
            site.ledger.start(session.connection())
        _act(site, size)
        with pytest.raises(LedgerBroken, match="not those of the earlier checkpoint"), site.read() as session:
            site.ledger.verify(session.connection())  # its own table of cosignatures tells already
        with site.write() as session:
            session.execute(text("DELETE FROM cosignature"))
        with site.read() as session:
            site.ledger.verify(session.connection())
        (state,) = ask_witnesses(site, [address])
        assert state.refused
        assert "the log was rewritten" in witness_problems(site)[0]
        assert len(list((tmp_path / "w" / "refused").iterdir())) == 1


def test_a_witness_that_is_not_there_is_told_but_no_alarm(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        with _witness(tmp_path / "w", site.ledger.verifier) as address:
            pass
        (state,) = ask_witnesses(site, [address])
        assert state.problem == "not reached: ConnectError"
        assert witness_problems(site) == [f"{state.name} not reached: ConnectError"]
        assert witness_refusals(site) == []
        assert "witness.refused" not in _events(site)


def test_a_witness_that_does_not_know_the_log(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w") as address:
        (state,) = ask_witnesses(site, [address])
        assert state.problem == "not reached: it was not told of this log: give it the log's key"


def test_another_witness_at_the_address_is_not_believed(tmp_path: Path) -> None:
    with (
        opened(tmp_path) as site,
        _witness(tmp_path / "v", site.ledger.verifier) as one,
        _witness(tmp_path / "w", site.ledger.verifier) as two,
    ):
        mixed = WitnessAddress(url=two.url, vkey=one.vkey)
        (state,) = ask_witnesses(site, [mixed])
        assert state.problem == "not reached: what answers there has not the key of this witness"
        assert [state.problem for state in ask_witnesses(site, [one, two])] == ["", ""]
        ask_witnesses(site, [one, two])
        with site.read() as session:
            note = site.ledger.checkpoint(session.connection())
        for address in (one, two):
            open_note(note, WitnessKey.parse(address.vkey))


def test_a_changed_cosignature_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        for _ in range(2):
            ask_witnesses(site, [address])
        for change in ("size = 1", "note = replace(note, char(10) || '2', char(10) || '1')", "note = ''"):
            with site.read() as session:
                session.execute(text(f"UPDATE cosignature SET {change}"))
                plain = site.ledger.checkpoint(session.connection())
                assert plain.count("\u2014") == 1
                with pytest.raises(LedgerBroken):
                    site.ledger.verify(session.connection())


def test_a_witness_that_forgot_is_asked_from_the_start(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        ask_witnesses(site, [address])
        with site.write() as session:
            session.execute(text("DELETE FROM cosignature"))
        _act(site)
        assert ask_witnesses(site, [address])[0].problem == ""


def test_a_witness_that_is_configured_no_more_is_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        ask_witnesses(site, [address])
        with site.write() as session:
            session.execute(text("UPDATE cosignature SET problem = 'refused: it knows another log'"))
        assert len(witness_refusals(site)) == 1
        assert ask_witnesses(site, []) == []
        assert witness_problems(site) == []
        with site.read() as session:
            site.ledger.verify(session.connection())


class _Rounds(threading.Event):
    """Is set after so many waits, during each of which the log grows or not."""

    def __init__(self, site: Site, acts: list[int]) -> None:
        super().__init__()
        self._site, self._acts = site, acts

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == 7.0
        if not self._acts:
            self.set()
            return True
        _act(self._site, self._acts.pop(0))
        return False


def test_the_hub_asks_while_the_log_grows(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        settings = LedgerSettings(witnesses=[address], witness_every_s=7.0)
        answers: list[int] = []
        rounds = _Rounds(site, [0, 2, 0, 0, 1, 0, 0])
        keep_witnessed(site, settings, rounds, on_answer=lambda: answers.append(1))
        assert len(answers) == 4  # at first, then for the entry that says so, then each growth
        (state,) = witness_states(site, [address])
        assert (state.size, state.problem) == (_size(site), "")
        assert _events(site).count("witness.cosigned") == 1
        with site.read() as session:
            site.ledger.verify(session.connection())


def test_a_broken_log_does_not_end_the_hubs_thread(tmp_path: Path) -> None:
    with opened(tmp_path) as site, _witness(tmp_path / "w", site.ledger.verifier) as address:
        with site.write() as session:
            session.execute(text("UPDATE ledger_tile SET hashes = zeroblob(32)"))
        settings = LedgerSettings(witnesses=[address], witness_every_s=7.0)
        keep_witnessed(site, settings, _Rounds(site, [0, 0]), on_answer=lambda: None)
        assert [state.size for state in witness_states(site, [address])] == [0]


def test_settings(tmp_path: Path) -> None:
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    (tmp_path / "consentry.toml").write_text(
        f'[ledger]\nwitnesses = [{{url = "http://192.0.2.7:8081", vkey = "{vkey}"}}]\n'
    )
    (address,) = load_settings(tmp_path).ledger.witnesses
    with opened(tmp_path) as site, pytest.raises(BadConfig, match="is of type 1, not 4"):
        ask_witnesses(site, [address])
    for url in ("ftp://x", "http://", "http://user:secret@x/", "http://x/?q=1", "x"):
        (tmp_path / "consentry.toml").write_text(f'[ledger]\nwitnesses = [{{url = "{url}", vkey = "v"}}]\n')
        with pytest.raises(BadConfig) as raised:
            load_settings(tmp_path)
        assert "secret" not in str(raised.value)


def test_asking_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "site.key"))
    with opened(tmp_path) as site:
        verifier = site.ledger.verifier
    none = CliRunner().invoke(ledger_cli.app, ["witness", "ask", "--data", str(tmp_path / "data")])
    assert "No witness is configured" in none.output
    with _witness(tmp_path / "w", verifier) as address:
        (tmp_path / "data" / "consentry.toml").write_text(
            f'[ledger]\nwitnesses = [{{url = "{address.url}", vkey = "{address.vkey}"}}]\n'
        )
        never = CliRunner().invoke(ledger_cli.app, ["witness", "list", "--data", str(tmp_path / "data")])
        assert "(asked never)" in never.output
        asked = CliRunner().invoke(ledger_cli.app, ["witness", "ask", "--data", str(tmp_path / "data")])
    assert "has cosigned 1 entries" in asked.output
    assert asked.exit_code == 0
