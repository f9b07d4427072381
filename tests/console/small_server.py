"""A server with pages but without cameras: prints address and a session token, ends with its input.

Usage: python tests/console/small_server.py FOLDER [declared] [people] [auditor] [approvals]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.unit.people.kit import consent, enrolled
from tests.unit.server.kit import running

from consentry.console.mount import mount_console
from consentry.people.approvals import NewApproval, ask
from consentry.people.sightings import Sighting, record

_PERIOD = {"camera": "door", "start": "2027-01-15T08:00:00Z", "end": "2027-01-15T09:00:00Z"}
HOSTILE_NAME = "<img src=x onerror=alert(1)> & Söhne"


def main() -> None:
    """Serve until standard input ends."""
    folder, what = Path(sys.argv[1]), sys.argv[2:]
    with running(folder, declared="declared" in what, prepare=mount_console) as it:
        if "people" in what:
            person = enrolled(it.site, 1, HOSTILE_NAME, consent(may_be_shown=False))
            for decision, person_id in (("known", person.person_id), ("unsure", None), ("unknown", None)):
                record(it.site, _sighting(decision, person_id))
        if "approvals" in what:
            for user in (it.user("admin"), it.user("admin", "owner")):
                wanted = NewApproval(kind="unseal", payload=_PERIOD, reason=HOSTILE_NAME)
                ask(it.site, wanted, user_id=user.id)
        token = it.session(it.user("auditor")) if "auditor" in what else it.session()
        sys.stdout.write(f"{it.address} {token}\n")
        sys.stdout.flush()
        sys.stdin.read()


def _sighting(decision: str, person_id: str | None) -> Sighting:
    score = {"known": 0.7, "unsure": 0.38}.get(decision)
    return Sighting(
        camera="door",
        track=1,
        first_unix_ms=1_799_999_990_000,
        last_unix_ms=1_799_999_992_000,
        frames=30,
        fused_crops=5,
        decision=decision,  # type: ignore[arg-type]
        person_id=person_id,
        score_cosine=score,
        margin_cosine=None,
        quality=0.7,
        best_xyxy=(1.0, 2.0, 3.0, 4.0),
        recogniser_sha256="ab" * 32,
        calibration="c1",
        gallery_digest="cd" * 32,
        known_cosine=0.41,
        unsure_cosine=0.36,
    )


if __name__ == "__main__":
    main()
