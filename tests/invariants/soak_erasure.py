"""Runs many random histories of enrolment, withdrawal, backup and restore.

    python -m tests.invariants.soak_erasure --histories 100

Prints one JSON line; ends with the failing history, step by step, if anything readable remained.
"""

from __future__ import annotations

import argparse
import json

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.invariants.erasure_histories import ErasureHistories


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20, help="most steps of one history")
    asked = parser.parse_args()
    run_state_machine_as_test(
        ErasureHistories,
        settings=settings(
            max_examples=asked.histories,
            stateful_step_count=asked.steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    done = {"histories": ErasureHistories.histories, "steps": ErasureHistories.steps, "remains": 0}
    print(json.dumps(done))


if __name__ == "__main__":
    main()
