"""A server with pages and somebody enrolled: prints what an attacker would like to have, ends with its input.

Usage: python tests/security/whole_server.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.unit.people.kit import enrolled
from tests.unit.server.kit import running

from consentry.console.mount import mount_console

PERSON = "Wilhelmina Quitzow"


def main() -> None:
    """Serve until standard input ends."""
    with running(Path(sys.argv[1]), declared=True, prepare=mount_console) as it:
        enrolled(it.site, 1, PERSON)
        told = {
            "address": it.address,
            "owner": it.session(),
            "auditor": it.session(it.user("auditor")),
            "viewer": it.session(it.user("viewer")),
            "password": it.password,
            "data": str(it.site.data_dir),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
