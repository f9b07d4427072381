"""Acts that are killed, backup and restore at every step, all at random moments, happen whole or not at all.

`python -m tests.faults.soak_kill --kills 200` kills as many as were asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.people.test_killed import ROOT, folder

__all__ = ["folder"]


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("words", "least"),
    [
        (["--every-step-of", "backup"], 15),
        (["--every-step-of", "restore", "--stride", "5"], 20),
        (["--kills", "12", "--seed", "7"], 12),
    ],
)
def test_whole_or_not_at_all(folder: Path, words: list[str], least: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.faults.soak_kill", *words, "--in", str(folder)],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["violations"] == 0
    assert told["kills"] >= least
