"""The long attack on the API: `python -m tests.security.soak_schemathesis --examples 200`.

Prints {"operations", "cases", "failures"} for all visitors together; exit code 1 when there are failures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.security.visitors import VISITORS, attacked, furnished


def main() -> int:
    """Attack as everybody, one after the other, each on a server of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="requests of each kind per operation")
    examples = parser.parse_args().examples
    operations = cases = 0
    failures: list[str] = []
    for name in VISITORS:
        with tempfile.TemporaryDirectory() as folder, furnished(Path(folder)) as it:
            report = attacked(it, name, examples=examples)
        print(f"{name}: {report.cases} requests", file=sys.stderr)
        operations, cases = max(operations, report.operations), cases + report.cases
        failures += report.failures
    print(json.dumps({"operations": operations, "cases": cases, "failures": failures}, indent=2))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
