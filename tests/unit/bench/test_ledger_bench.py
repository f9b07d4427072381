"""The figures of the ledger's benchmark, at a small size."""

from __future__ import annotations

import os
from pathlib import Path

from consentry.bench.ledger import run
from consentry.clock import SystemClock
from consentry.people.keys import FILE_VARIABLE


def test_figures(tmp_path: Path) -> None:
    before, told = os.environ.get(FILE_VARIABLE), list[float]()
    figures = run(appends=8, entries=1200, folder=tmp_path, clock=SystemClock(), progress=told.append)
    assert [figure.name for figure in figures] == [
        "ledger.durable_appends_per_s",
        "ledger.durable_appends_per_s.4_threads",
        "ledger.prove_ms.1200",
        "ledger.prove_extends_ms.1200",
        "ledger.verify_entries_per_s.1200",
    ]
    assert all(figure.value > 0 and figure.peer is None for figure in figures)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert list(tmp_path.iterdir()) == []
    assert os.environ.get(FILE_VARIABLE) == before
