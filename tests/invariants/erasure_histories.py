"""Random histories of one installation: people come, withdraw, are backed up, restored and run out of time.

`test_i1_erasure_histories.py` runs a few, `python -m tests.invariants.soak_erasure` a hundred.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select
from tests.faults.people.acts import REKEY, clear_traces, sealed_traces
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START_UNIX_S,
    consent,
    enrolled,
    opened,
    secrets_of,
)
from tests.unit.people.test_backup import IDENTITY, RECIPIENT

from consentry.clock import SimulatedClock
from consentry.errors import DuplicatePerson
from consentry.people.backup import make_backup
from consentry.people.erase import withdraw
from consentry.people.restore import restore_backup
from consentry.people.roster import gallery_snapshot
from consentry.people.scan import Needle, scan_for
from consentry.people.site import Site
from consentry.people.upkeep import check_site
from consentry.store.schema import PersonKeyRow, PersonRow, TemplateRow

DAY_S = 86_400
MOST_DAYS = 300  # the declaration holds for a year
MEMORY = Path("/dev/shm")
PEOPLE = range(1, 6)


@dataclass(frozen=True)
class Enrolled:
    """Someone as this history knows them: which made-up person, and until when their consent holds."""

    person: int
    until_unix_s: float

    @property
    def name(self) -> str:
        """A name that stands nowhere else."""
        return f"Person Distinctive {self.person}"


class ErasureHistories(RuleBasedStateMachine):
    """The installation, and what must be true of it."""

    histories = steps = 0

    def __init__(self) -> None:
        super().__init__()
        self._held = ExitStack()
        place = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(dir=place)))
        (self.folder / "tmp").mkdir()
        self._held.enter_context(patch.dict(os.environ, {"TMPDIR": str(self.folder / "tmp")}))
        self.clock = SimulatedClock(START_UNIX_S)
        self.here: dict[str, Enrolled] = {}
        self.gone: set[str] = set()
        self.sealed: dict[str, list[Needle]] = {}
        self.backups: list[dict[str, Enrolled]] = []
        self.copies: list[dict[str, Enrolled]] = []
        self._opened = ExitStack()
        self.site: Site

    @initialize()
    def begin(self) -> None:
        """A new installation."""
        self._open(declared=True)

    @rule(person=st.sampled_from(PEOPLE), days=st.integers(5, 120))
    def enrol(self, person: int, days: int) -> None:
        """Someone new, someone who comes back, or someone who is enrolled already."""
        now_unix_s = self.clock.unix_s()
        someone = Enrolled(person, now_unix_s + days * DAY_S)
        record = consent(days=days, start=datetime.fromtimestamp(now_unix_s, UTC))
        if person in {other.person for other in self.here.values()}:
            with pytest.raises(DuplicatePerson):
                enrolled(self.site, person, someone.name, record)
            return
        person_id = enrolled(self.site, person, someone.name, record).person_id
        self.here[person_id] = someone
        self.sealed[person_id] = sealed_traces(self.site, person_id)

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """One of those enrolled."""
        number = data.draw(st.integers(0, len(self.here) - 1))
        person_id = list(self.here)[number]  # by number, because ids are random
        withdraw(self.site, person_id, reason="asked", actor=ACTOR)
        self._forget([person_id])

    @rule()
    def back_up(self) -> None:
        """To a file of its own."""
        make_backup(self.site, self._backup(len(self.backups)), [RECIPIENT], actor=ACTOR)
        self.backups.append(dict(self.here))

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Any of the backups, in place of what is there."""
        number = data.draw(st.integers(0, len(self.backups) - 1))
        self._opened.close()
        with secrets_of(self.folder):
            restore_backup(
                self._backup(number),
                self.folder / "data",
                [IDENTITY],
                clock=self.clock,
                actor=ACTOR,
                replace=True,
            )
        self._back_to(self.backups[number])
        self._open()

    @rule()
    def copy_by_hand(self) -> None:
        """As an operator who knows no better."""
        self._opened.close()
        shutil.copytree(self.folder / "data", self.folder / f"copy-{len(self.copies)}")
        self.copies.append(dict(self.here))
        self._open()

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def put_back_by_hand(self, data: st.DataObject) -> None:
        """Any of these copies."""
        number = data.draw(st.integers(0, len(self.copies) - 1))
        self._opened.close()
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / f"copy-{number}", self.folder / "data")
        self._back_to(self.copies[number])
        self._open()
        check_site(self.site, mend=True, actor=ACTOR)  # as the server does from time to time

    @precondition(lambda self: self._days_gone() < MOST_DAYS - 40)
    @rule(days=st.integers(1, 40))
    def time_goes_by(self, days: int) -> None:
        """Consents end, and the server looks for those that have."""
        self.clock.advance(days * DAY_S)
        check_site(self.site, mend=True, actor=ACTOR)
        self._forget(self._ended(self.here))

    @rule()
    def reopen(self) -> None:
        """As after a restart."""
        self._opened.close()
        self._open()

    @precondition(lambda self: importlib.util.find_spec(REKEY) is not None)
    @rule()
    def rotate(self) -> None:
        """All templates come under a new key."""
        importlib.import_module(REKEY).rotate_keys(self.site, actor=ACTOR)
        for person_id in self.here:
            self.sealed[person_id] += sealed_traces(self.site, person_id)

    @invariant()
    def holds(self) -> None:
        """Everything that must be true at any time."""
        type(self).steps += 1
        with self.site.read() as session:
            assert set(session.scalars(select(PersonRow.id))) == set(self.here)
            assert set(session.scalars(select(PersonKeyRow.person_id))) == set(self.here)
            assert set(session.scalars(select(TemplateRow.person_id))) == set(self.here)
            self.site.ledger.verify(session.connection())
        found = gallery_snapshot(
            self.site, purpose=PURPOSE, recogniser_sha256=RECOGNISER, at_unix_s=self.clock.unix_s()
        )
        assert {(reference.person_id, reference.name) for reference in found} == {
            (person_id, someone.name) for person_id, someone in self.here.items()
        }
        assert check_site(self.site, mend=False, actor=ACTOR) == []
        clear = [needle for person in PEOPLE for needle in clear_traces(person, Enrolled(person, 0).name)]
        assert scan_for(self.folder, clear).hits == ()
        ids = [Needle(f"id {person_id}", person_id.encode()) for person_id in self.gone]
        sealed = [needle for person_id in self.gone for needle in self.sealed[person_id]]
        assert scan_for(self.folder / "data", [*ids, *sealed]).hits == ()
        assert scan_for(self.folder / "tmp", [*ids, *sealed]).files == 0

    def teardown(self) -> None:
        """The end of one history."""
        type(self).histories += 1
        self._opened.close()
        self._held.close()

    def _open(self, *, declared: bool = False) -> None:
        self.site = self._opened.enter_context(opened(self.folder, clock=self.clock, declared=declared))

    def _backup(self, number: int) -> Path:
        return self.folder / f"{number}.age"

    def _back_to(self, before: dict[str, Enrolled]) -> None:
        """Only those are here who were then, have not withdrawn since and whose consent has not ended."""
        ended = self._ended(before)
        self.here = {
            person_id: someone
            for person_id, someone in before.items()
            if person_id not in self.gone and person_id not in ended
        }
        self._forget(ended)

    def _ended(self, people: dict[str, Enrolled]) -> list[str]:
        now_unix_s = self.clock.unix_s()
        return [person_id for person_id, someone in people.items() if now_unix_s >= someone.until_unix_s]

    def _forget(self, people: Iterable[str]) -> None:
        for person_id in people:
            self.here.pop(person_id, None)
            self.gone.add(person_id)

    def _days_gone(self) -> float:
        return (self.clock.unix_s() - START_UNIX_S) / DAY_S
