"""Run by `test_killed.py` in its own process: kills an act with SIGKILL before each of its steps in turn.

A step is a statement sent to the database, a commit, a sync, a rename or a removal of a file. For each of
them a copy of the prepared installation is made and a child is forked that starts the act and dies there,
until one gets through. Prints the folders of those that died as a JSON list.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from tests.unit.people.kit import ACTOR, enrolled, opened

from consentry.people.erase import withdraw
from consentry.people.rekey import rotate_keys
from consentry.people.roster import list_people
from consentry.people.site import Site

MOST_STEPS = 500


def main(act: str, folder: Path) -> None:
    """Prepare `folder/base`, then kill `act` at every step."""
    base = folder / "base"
    with opened(base, declared=True) as site:
        enrolled(site, 2, "Ben Neighbour")
        if act != "enrol":
            enrolled(site, 1, "Ada Example")
    died = []
    for step in range(1, MOST_STEPS):
        copy = folder / f"step-{step:03}"
        shutil.copytree(base, copy)
        if not _dies_at(step, copy, act):
            break
        died.append(str(copy))
    else:
        raise SystemExit("the act never ended")
    print(json.dumps(died))


def _dies_at(step: int, folder: Path, act: str) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with opened(folder) as site:
                kill_before(step)
                _perform(site, act)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise SystemExit(f"the act failed by itself at step {step}: status {status}")
    return False


def _perform(site: Site, act: str) -> None:
    if act == "enrol":
        enrolled(site, 1, "Ada Example")
    elif act == "rotate":
        rotate_keys(site, actor=ACTOR)
    else:
        (person_id,) = [person.id for person in list_people(site) if person.name == "Ada Example"]
        withdraw(site, person_id, reason="asked", actor=ACTOR)


def kill_before(step: int) -> None:
    """Let this process die before its step number `step` from now, counted from 1."""
    left = step

    def count(*_: Any, **__: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            count()
            return function(*arguments, **named)

        return call

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
