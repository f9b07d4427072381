"""A server with pages but without cameras: prints address and a session token, ends with its input.

Usage: python tests/console/small_server.py FOLDER [declared] [people]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.unit.people.kit import consent, enrolled, sighting
from tests.unit.server.kit import running

from consentry.console.mount import mount_console
from consentry.people.sightings import record

HOSTILE_NAME = "<img src=x onerror=alert(1)> & Söhne"


def main() -> None:
    """Serve until standard input ends."""
    folder, what = Path(sys.argv[1]), sys.argv[2:]
    with running(folder, declared="declared" in what, prepare=mount_console) as it:
        if "people" in what:
            person = enrolled(it.site, 1, HOSTILE_NAME, consent(may_be_shown=False))
            record(it.site, sighting(decision="known", person_id=person.person_id, score_cosine=0.7))
            record(it.site, sighting(decision="unsure", score_cosine=0.38))
            record(it.site, sighting())
        sys.stdout.write(f"{it.address} {it.session()}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
