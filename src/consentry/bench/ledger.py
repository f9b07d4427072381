"""The ledger, on the disk it would lie on: durable appends, proofs and a full verification."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from consentry.bench.figures import Figure
from consentry.clock import Clock
from consentry.ledger.entry import Event
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE
from consentry.people.site import Site
from consentry.people.tombstones import FILE_VARIABLE as TOMBSTONES_VARIABLE

THREADS = 4
PROOFS = 200
_ACTOR = "consentry"
_MS_PER_S = 1000
_FILL_AT_ONCE = 1000


def run(
    *, appends: int, entries: int, folder: Path, clock: Clock, progress: Callable[[float], None]
) -> list[Figure]:
    """Make an installation of its own and measure its ledger.

    Args:
        appends: Acts that are logged one by one, each in a transaction of its own, for each figure.
        entries: Size of the log that is proved and verified.
        folder: Where to make the installation: what its disk can do is part of the figure. Removed again.
        clock: What measures.
        progress: Told the share done, in [0, 1].
    """
    with (
        TemporaryDirectory(dir=folder, prefix="bench-ledger-") as name,
        _own_key(Path(name)),
        Site.open(Path(name) / "data", clock=clock, create=True) as site,
    ):
        alone = _timed(clock, lambda: _append(site, appends))
        progress(0.1)
        each = appends // THREADS
        with ThreadPoolExecutor(THREADS) as threads:
            shares = [site] * THREADS, [each] * THREADS
            together = _timed(clock, lambda: list(threads.map(_append, *shares)))
        progress(0.2)
        _fill(site, entries, lambda share: progress(0.2 + 0.6 * share))
        prove_s, extend_s = _proofs(site, clock, entries)
        progress(0.85)
        with site.read() as session:
            verify_s = _timed(clock, partial(site.ledger.verify, session.connection()))
        progress(1.0)
    return [
        Figure("ledger.durable_appends_per_s", round(appends / alone, 1), "entries/s"),
        Figure(
            f"ledger.durable_appends_per_s.{THREADS}_threads",
            round(each * THREADS / together, 1),
            "entries/s",
        ),
        Figure(f"ledger.prove_ms.{entries}", round(prove_s * _MS_PER_S, 3), "ms"),
        Figure(f"ledger.prove_extends_ms.{entries}", round(extend_s * _MS_PER_S, 3), "ms"),
        Figure(f"ledger.verify_entries_per_s.{entries}", round(entries / verify_s, 1), "entries/s"),
    ]


def _append(site: Site, count: int) -> None:
    for number in range(count):
        with site.write() as session:
            site.log(session, Event.VIEW_OPENED, actor=_ACTOR, payload={"what": f"live:{number}"})


def _fill(site: Site, size: int, progress: Callable[[float], None]) -> None:
    """Let the log grow to `size` entries, many in one transaction."""
    with site.read() as session:
        begun = site.ledger.signed_head(session.connection()).size
    for start in range(begun, size, _FILL_AT_ONCE):
        with site.write() as session:
            for number in range(start, min(start + _FILL_AT_ONCE, size)):
                site.log(session, Event.VIEW_OPENED, actor=_ACTOR, payload={"what": f"live:{number}"})
        progress(start / size)


def _proofs(site: Site, clock: Clock, size: int) -> tuple[float, float]:
    """Median seconds of a proof that an entry is in the log, and that it continues an earlier one."""
    chance = random.Random(size)  # noqa: S311 - which entries are proved is no secret
    inclusion, consistency = [], []
    for number in (chance.randrange(1, size) for _ in range(PROOFS)):
        with site.read() as session:
            connection = session.connection()
            inclusion.append(_timed(clock, partial(site.ledger.prove, connection, number)))
            consistency.append(_timed(clock, partial(site.ledger.prove_extends, connection, number)))
    return statistics.median(inclusion), statistics.median(consistency)


def _timed(clock: Clock, act: Callable[[], object]) -> float:
    began_s = clock.monotonic_s()
    act()
    return clock.monotonic_s() - began_s


@contextmanager
def _own_key(folder: Path) -> Iterator[None]:
    """Within the block new installations keep key and tombstones in `folder`, whatever is set outside."""
    own = {FILE_VARIABLE: str(folder / "site.key"), TOMBSTONES_VARIABLE: str(folder / "tombstones")}
    before = {name: os.environ.pop(name, None) for name in (*own, KEY_VARIABLE, PASSPHRASE_VARIABLE)}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if value is not None})
