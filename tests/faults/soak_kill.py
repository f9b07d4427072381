"""Kills acts with SIGKILL at random moments and looks whether every invariant holds after the restart.

    python -m tests.faults.soak_kill --kills 200 --seed 1

Half of the moments are steps of the act (statements, commits, syncs, renames, removals), half are points in
time, in microseconds from its start. Prints one JSON line; exit code 1 if anything was violated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.people.acts import ACTS, Base, copy_of, dies_at, prepare, ready, took_place, was_killed

from consentry.clock import SystemClock
from consentry.errors import ConsentryError

MOST_STEPS = 2000
MEMORY = Path("/dev/shm")


class Tally:
    """What came out."""

    def __init__(self) -> None:
        self.kills = self.violations = 0
        self.by_act: dict[str, dict[str, int]] = {}

    def look(self, act: str, base: Base, folder: Path) -> None:
        """Open what a killed act left."""
        counts = self.by_act.setdefault(act, {"kills": 0, "before": 0, "after": 0})
        self.kills += 1
        counts["kills"] += 1
        try:
            counts["after" if took_place(act, base, folder) else "before"] += 1
        except (AssertionError, ConsentryError, OSError):
            self.violations += 1
            print(f"{act} killed, see {folder}:\n{traceback.format_exc()}", file=sys.stderr)
        else:
            shutil.rmtree(folder)


def kill_at_random(kills: int, seed: int, folder: Path, acts: tuple[str, ...] = ACTS) -> Tally:
    """Kill acts in turn until `kills` of them have died."""
    chance, tally = random.Random(seed), Tally()
    bases = {act: prepare(act, folder / f"base-{act}") for act in acts}
    steps = {act: _steps_of(bases[act], act, folder) for act in acts}
    durations_s = {act: _duration_s(bases[act], act, folder) for act in acts}
    tries = 0
    while tally.kills < kills:
        act = acts[tally.kills % len(acts)]
        copy = copy_of(bases[act], folder / f"kill-{tries}")
        tries += 1
        if tries % 2:
            died = dies_at(act, copy, chance.randint(1, steps[act]))
        else:
            died = _dies_after(act, copy, chance.uniform(0, 1.05) * durations_s[act])
        if died:
            tally.look(act, bases[act], copy)
        else:
            shutil.rmtree(copy)  # it was done before its time came
    return tally


def kill_at_every_step(act: str, folder: Path, stride: int) -> Tally:
    """Kill `act` before each of its steps in turn, or before each one in `stride` of them."""
    base, tally = prepare(act, folder / "base"), Tally()
    for step in range(1, MOST_STEPS, stride):
        copy = copy_of(base, folder / f"step-{step}")
        if not dies_at(act, copy, step):
            return tally
        tally.look(act, base, copy)
    raise SystemExit("the act never ended")


def _steps_of(base: Base, act: str, folder: Path) -> int:
    """Number of steps of an act, by bisection."""
    low, high = 1, MOST_STEPS
    while low < high:
        middle = (low + high + 1) // 2
        copy = copy_of(base, folder / f"steps-{middle}")
        low, high = (middle, high) if dies_at(act, copy, middle) else (low, middle - 1)
        shutil.rmtree(copy)
    return low


def _duration_s(base: Base, act: str, folder: Path) -> float:
    """How long an act takes that nobody kills."""
    clock, copy = SystemClock(), copy_of(base, folder / "duration")
    with _started(act, copy) as child:
        began_s = clock.monotonic_s()
        assert not was_killed(child)
        taken_s = clock.monotonic_s() - began_s
    shutil.rmtree(copy)
    return taken_s


def _dies_after(act: str, folder: Path, delay_s: float) -> bool:
    """Whether an act was still running `delay_s` after its start, when it was killed."""
    with _started(act, folder) as child:
        SystemClock().sleep(delay_s)
        os.kill(child, signal.SIGKILL)  # not waited for yet, so it cannot be anybody else's number
        return was_killed(child)


@contextmanager
def _started(act: str, folder: Path) -> Iterator[int]:
    """A child that has just begun the act."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(told)
            with ready(act, folder) as perform:
                os.write(tell, b"!")
                perform()
                code = 0
        finally:
            os._exit(code)
    os.close(tell)
    try:
        assert os.read(told, 1) == b"!"
        yield child
    finally:
        os.close(told)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-step-of", choices=ACTS)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--in", dest="folder", type=Path)
    asked = parser.parse_args()
    place = asked.folder or (MEMORY if os.access(MEMORY, os.W_OK) else None)
    folder = Path(tempfile.mkdtemp(prefix="consentry-kill-", dir=place))
    if asked.every_step_of:
        tally = kill_at_every_step(asked.every_step_of, folder, asked.stride)
    else:
        tally = kill_at_random(asked.kills, asked.seed, folder)
    print(json.dumps({"kills": tally.kills, "violations": tally.violations, "by_act": tally.by_act}))
    if not tally.violations:
        shutil.rmtree(folder)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
