"""What a person's own page says about ledger entries, sightings and consents, in plain English."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from consentry.ledger.entry import Event
from consentry.people.consent import ConsentScope
from consentry.people.held import Look
from consentry.people.requests import THE_PERSON
from consentry.people.sightings import Sighting

_EVENTS: dict[str, str] = {
    Event.PERSON_ENROLLED: "You were enrolled",
    Event.PERSON_VIEWED: "Your record was looked at",
    Event.PERSON_EXPORTED: "A copy of your data was made",
    Event.PERSON_CORRECTED: "Your record was corrected",
    Event.PERSON_LINK_ISSUED: "A personal link to this page was handed out",
    Event.CONSENT_GIVEN: "A consent of yours was recorded",
    Event.CONSENT_REFUSED: "Your refusal was recorded",
    Event.CONSENT_WITHDRAWN: "A consent of yours was withdrawn",
    Event.CONSENT_EXPIRED: "A consent of yours ended",
    Event.RECEIPT_ISSUED: "A receipt was made for you",
    Event.PHOTO_REFUSED: "A photo of you was refused and not kept",
    Event.SIGHTING_CONFIRMED: "Someone checked whether a sighting is really you",
    Event.ACTION_TAKEN: "Something was set off by a sighting of you",
    Event.BULK_EXPORTED: "Data of many people were exported, yours among them",
}
_ROLES = {
    "viewer": "a viewer",
    "operator": "an operator",
    "auditor": "an auditor",
    "admin": "an administrator",
}
_DECISIONS = {"known": "recognised as you", "unsure": "unsure", "unknown": "not recognised"}
_SERVER = "consentry"
_MS_PER_S = 1000


def event_words(event: str) -> str:
    """What happened; an event without words of its own is named as the ledger names it."""
    return _EVENTS.get(event, f"“{event}”")


def who_words(look: Look) -> str:
    """Who did it: the person, the server itself, its command line, or a user by role and id."""
    kind, _, rest = look.actor.partition(":")
    if look.actor == THE_PERSON:
        return "you, through your personal link"
    if look.actor == _SERVER:
        return "the server itself"
    if kind == "cli":
        return f"the command line of the server (user {rest} there)"
    if kind == "user":
        role = _ROLES.get(look.role or "")
        return f"{role} (user {rest})" if role else f"someone whose account is gone (user {rest})"
    return look.actor


def sighting_words(seen: Sighting) -> str:
    """The decision, and the score against the threshold. The score is a cosine, no probability."""
    decision = _DECISIONS[seen.decision]
    if seen.score_cosine is None:
        return decision
    return f"{decision}: score {seen.score_cosine:.2f}, {seen.known_cosine:.2f} needed"


def given_by_words(given_by: Literal["person", "legal_representative"]) -> str:
    """Who gave a consent."""
    return "yourself" if given_by == "person" else "your legal representative"


def scope_words(scope: ConsentScope) -> str:
    """Where a consent holds."""
    cameras = f"cameras {', '.join(sorted(scope.cameras))}" if scope.cameras is not None else ""
    zones = f"zones {', '.join(sorted(scope.zones))}" if scope.zones is not None else ""
    return " in ".join(part for part in (cameras, zones) if part) or "everywhere here"


def many(count: int, noun: str, plural: str = "") -> str:
    """Such as `1 photo`, `2 photos` and `2 entries`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def moment_words(unix_ms: int) -> str:
    """Such as `15 Jan 2027, 08:00 UTC`."""
    return utc_words(datetime.fromtimestamp(unix_ms / _MS_PER_S, UTC))


def utc_words(moment: datetime) -> str:
    """The same of a date and time in any time zone."""
    return moment.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")
