"""A server with pages but without cameras: prints address and a session token, ends with its input.

Usage: python tests/console/small_server.py FOLDER [declared] [people] [auditor] [approvals]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.people.kit import consent, enrolled, sighting
from tests.unit.server.kit import running

from consentry.config import WitnessAddress
from consentry.console.mount import mount_console
from consentry.ledger.cosignature import WitnessKey
from consentry.people.approvals import NewApproval, ask
from consentry.people.sightings import record
from consentry.people.witnesses import ask_witnesses

_PERIOD = {"camera": "door", "start": "2027-01-15T08:00:00Z", "end": "2027-01-15T09:00:00Z"}
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
        if "unreached witness" in what:
            key = WitnessKey("pi.example", Ed25519PrivateKey.generate().public_key())
            ask_witnesses(it.site, [WitnessAddress(url="http://127.0.0.1:1", vkey=str(key))])
        if "approvals" in what:
            for user in (it.user("admin"), it.user("admin", "owner")):
                wanted = NewApproval(kind="unseal", payload=_PERIOD, reason=HOSTILE_NAME)
                ask(it.site, wanted, user_id=user.id)
        token = it.session(it.user("auditor")) if "auditor" in what else it.session()
        sys.stdout.write(f"{it.address} {token}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
