"""The acts that are killed half-way, what they start from, and what must be true whenever they died.

`soak_kill.py` kills them at random moments, `test_killed_backup.py` at every step.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from tests.faults.people.killed import kill_before
from tests.unit.people.kit import ACTOR, START_UNIX_S, enrolled, opened, photo, secrets_of, template
from tests.unit.people.test_backup import IDENTITY, RECIPIENT

from consentry.clock import SimulatedClock
from consentry.people.backup import make_backup
from consentry.people.erase import withdraw
from consentry.people.restore import restore_backup
from consentry.people.roster import list_people, show_person
from consentry.people.scan import Needle, pieces, scan_for
from consentry.people.settle import RESTORE_PART
from consentry.people.site import Site
from consentry.people.snapshot import BACKUP_PART
from consentry.people.upkeep import check_site
from consentry.store.pending import is_compaction_pending

ADA, BEN, CLEO = "Ada Example", "Ben Neighbour", "Cleo Newcomer"
REKEY = "consentry.people.rekey"
ACTS = ("enrol", "withdraw", "append", "backup", "restore") + (
    ("rotate",) if importlib.util.find_spec(REKEY) else ()
)


@dataclass(frozen=True)
class Base:
    """What an act starts from.

    Attributes:
        folder: An installation with its keys.
        sealed: All that it holds of Ada, as it lies on the disk.
    """

    folder: Path
    sealed: tuple[Needle, ...]


def prepare(act: str, folder: Path) -> Base:
    """An installation ready for `act`. Ada is enrolled, unless the act enrols her or has to keep her out."""
    with opened(folder, declared=True) as site:
        enrolled(site, 2, BEN)
        sealed: tuple[Needle, ...] = ()
        if act != "enrol":
            enrolled(site, 1, ADA)
            sealed = tuple(sealed_traces(site, person_of(site, ADA)))
        if act == "restore":
            make_backup(site, folder / "old.age", [RECIPIENT], actor=ACTOR)
            withdraw(site, person_of(site, ADA), reason="asked", actor=ACTOR)
            enrolled(site, 3, CLEO)
    return Base(folder, sealed)


@contextmanager
def ready(act: str, folder: Path) -> Iterator[Callable[[], object]]:
    """What performs `act`; what comes before it is done."""
    if act == "restore":
        with secrets_of(folder):
            clock = SimulatedClock(START_UNIX_S)
            yield lambda: restore_backup(
                folder / "old.age", folder / "data", [IDENTITY], clock=clock, actor=ACTOR, replace=True
            )
        return
    with opened(folder) as site:
        if act == "enrol":
            yield lambda: enrolled(site, 1, ADA)
        elif act == "backup":
            yield lambda: make_backup(site, folder / "new.age", [RECIPIENT], actor=ACTOR)
        elif act == "rotate":
            yield lambda: importlib.import_module(REKEY).rotate_keys(site, actor=ACTOR)
        else:
            ada = person_of(site, ADA)
            if act == "withdraw":
                yield lambda: withdraw(site, ada, reason="asked", actor=ACTOR)
            else:
                yield lambda: show_person(site, ada, actor=ACTOR)


def dies_at(act: str, folder: Path, step: int) -> bool:
    """Whether `act` in `folder`, killed before its step number `step`, died there and did not get through."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with ready(act, folder) as perform:
                kill_before(step)
                perform()
            code = 0
        finally:
            os._exit(code)
    return was_killed(child)


def was_killed(child: int) -> bool:
    """Wait for a child; whether it was killed. One that failed by itself ends the whole."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise SystemExit(f"the act failed by itself: status {status}")
    return False


def copy_of(base: Base, folder: Path) -> Path:
    """A copy to kill an act in."""
    shutil.copytree(base.folder, folder)
    return folder


def took_place(act: str, base: Base, folder: Path) -> bool:
    """Whether the act has taken place in `folder`, whose process died; it must have wholly or not at all.

    Raises:
        AssertionError: an invariant does not hold.
    """
    with opened(folder, create=False) as site:
        assert check_site(site, mend=False, actor=ACTOR) == []
        assert not is_compaction_pending(site.database)
        assert not (site.data_dir / BACKUP_PART).exists()
        assert not (site.data_dir / RESTORE_PART).exists()
        people = {person.name: (person.photos, person.templates) for person in list_people(site)}
        assert set(people.values()) == {(2, 2)}
        assert len(list(site.blobs.names())) == 2 * len(people)
        assert scan_for(folder / "data", clear_traces()).hits == ()  # never readable, enrolled or not
        happened = _happened(act, site, set(people))
        if ADA not in people:
            assert scan_for(folder / "data", base.sealed).hits == ()
        return happened


def _happened(act: str, site: Site, names: set[str]) -> bool:
    logged = _logged(site)
    assert logged.count("person.withdrawn") <= 1
    if act == "enrol":
        assert logged.count("person.enrolled") == len(names)
        assert BEN in names
        return ADA in names
    if act == "withdraw":
        assert (ADA in names) == ("person.withdrawn" not in logged)
        assert BEN in names
        return ADA not in names
    if act == "restore":
        assert names in ({BEN, CLEO}, {BEN})
        assert (names == {BEN}) == ("backup.restored" in logged)
        return names == {BEN}
    assert names == {ADA, BEN}
    event = {"append": "person.viewed", "backup": "backup.made", "rotate": "keys.rotated"}[act]
    if act == "backup":
        _check_backup(site)
    assert logged.count(event) <= 1
    return event in logged


def _check_backup(site: Site) -> None:
    """A backup that has its name is whole, and is the one that was logged."""
    file = site.data_dir.parent / "new.age"
    if file.exists():
        with site.read() as session:
            payloads = session.execute(text("SELECT payload_json FROM ledger_payload")).scalars()
            hashes = {json.loads(payload).get("sha256") for payload in payloads}
        assert hashlib.sha256(file.read_bytes()).hexdigest() in hashes


def _logged(site: Site) -> list[str]:
    with site.read() as session:
        site.ledger.verify(session.connection())
        return list(session.execute(text("SELECT event FROM ledger_entry")).scalars())


def person_of(site: Site, name: str) -> str:
    """The id of the one person of that name."""
    (person_id,) = [person.id for person in list_people(site) if person.name == name]
    return person_id


def sealed_traces(site: Site, person_id: str) -> list[Needle]:
    """What is stored of a person, as it lies on the disk."""
    values: list[bytes] = []
    with site.read() as session:
        for column, table in (
            ("wrapped_key", "person_key"),
            ("sealed_template", "template"),
            ("sealed_record", "consent"),
        ):
            stored = text(f"SELECT {column} FROM {table} WHERE person_id = :person_id")
            values += session.execute(stored, {"person_id": person_id}).scalars()
        blobs = text("SELECT blob_sha256 FROM photo WHERE person_id = :person_id")
        names = session.execute(blobs, {"person_id": person_id}).scalars().all()
    values += [site.blobs.read(name) for name in names]
    return [needle for value in values for needle in pieces("sealed", value, 8)]


def clear_traces(person: int = 1, name: str = ADA) -> list[Needle]:
    """What of a made-up person must be readable nowhere."""
    return [
        *(needle for pose in (0, 1) for needle in pieces("template", template(person, pose).tobytes(), 8)),
        *(needle for pose in (0, 1) for needle in pieces("photo", photo(person, pose).original, 8)),
        Needle("name", name.encode()),
        Needle("name", name.encode("utf-16-le")),
    ]
