"""What the pages say about cameras, sightings and consents, in plain English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from consentry.people.consent import VERIFICATION, ConsentRecord
from consentry.people.roster import Person
from consentry.people.sightings import Sighting
from consentry.pipeline.messages import CameraState, Health

Tone = Literal["good", "warn", "bad", "quiet"]

_STATES: Mapping[CameraState, tuple[str, Tone]] = {
    "connecting": ("Connecting", "quiet"),
    "streaming": ("Live", "good"),
    "unreachable": ("Unreachable", "bad"),
    "unauthorised": ("Password refused", "bad"),
    "ended": ("Ended", "quiet"),
    "failed": ("Not working", "bad"),
    "stopped": ("Stopped", "quiet"),
    "overdue": ("Review overdue", "warn"),
}
STALE = "stale"
_CAUSES = {
    STALE: "overtaken by newer ones",
    "thinned": "beyond 12 a second",
    "replaced": "overtaken by newer ones before they were sent",
    "analysis_failed": "that could not be analysed, shown covered",
}
_MS_PER_S = 1000


def state_words(health: Health | None) -> tuple[str, Tone]:
    """A camera's state in a word or two, and how to colour it."""
    return _STATES[health.state] if health else ("Starting", "quiet")


def recognition_words(health: Health | None, why_not: str) -> str:
    """Whether people are recognised on a camera, and why not; empty where its state says so already."""
    if health is not None and health.state == "overdue":
        return ""
    return f"Recognises nobody: {why_not}." if why_not else "Recognises people who enrolled and agreed."


def count_words(health: Health | None) -> str:
    """What a camera did so far, such as `612 frames analysed · 9 tracks · 3 frames dropped`."""
    if health is None:
        return "Nothing analysed yet"
    stale = health.frame_drops.get(STALE, 0)
    lost = sum(health.frame_drops.values()) - stale
    parts = [_many(health.frames_analysed, "frame") + " analysed", _many(health.tracks, "track")]
    if stale:
        parts.append(_many(stale, "frame") + " skipped to stay live")
    if lost:
        parts.append(_many(lost, "frame") + " lost")
    return " · ".join(parts)


def drop_words(health: Health | None) -> str:
    """What was dropped and why, by cause."""
    if health is None:
        return "Nothing was dropped."
    causes = [f"{_many(count, 'frame')} {_plain(cause)}" for cause, count in health.frame_drops.items()]
    causes += [f"{_many(count, 'picture')} {_plain(cause)}" for cause, count in health.live_drops.items()]
    return f"Not analysed or not sent: {'; '.join(causes)}." if causes else "Nothing was dropped."


def who_words(seen: Sighting, names: Mapping[str, str]) -> str:
    """Who a sighting is of: a name only for those who are enrolled now."""
    if seen.decision == "unsure":
        return "Unsure"
    if seen.decision == "unknown":
        return "Not enrolled"
    return names.get(seen.person_id or "", "Withdrawn since")


def why_words(seen: Sighting) -> str:
    """Score against threshold in words. The score is a cosine, no probability."""
    if not seen.fused_crops:
        return "no clear picture of the face to compare"
    if seen.score_cosine is None:
        return f"nobody enrolled comes near {seen.known_cosine:.2f}"
    score = f"score {seen.score_cosine:.2f}"
    if seen.decision == "known":
        return f"{score}, at least {seen.known_cosine:.2f} needed"
    if seen.score_cosine < seen.known_cosine:
        return f"{score}, {seen.known_cosine:.2f} needed for a name"
    return f"{score}, but a second person is as close"


def time_words(unix_ms: int, now_unix_s: float) -> str:
    """When, in this machine's time zone: `14:03:22`, with the day if it is not today."""
    moment = datetime.fromtimestamp(unix_ms / _MS_PER_S).astimezone()
    today = datetime.fromtimestamp(now_unix_s).astimezone().date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%-d %b %Y, %H:%M")


def consent_words(person: Person, now_unix_s: float) -> tuple[str, Tone]:
    """What a person's consent allows now, and how to colour it."""
    live = [one for one in person.consents if _is_live(one, now_unix_s)]
    if not live:
        return f"No consent in force: it {person.why_not_live or 'is missing'}", "bad"
    record = max(live, key=lambda one: one.valid_until)
    until = record.valid_until.astimezone().strftime("%-d %B %Y")
    if record.purpose == VERIFICATION:
        return f"1:1 comparison only, until {until}", "quiet"
    shown = "recognised and shown" if record.may_be_shown else "recognised, but covered"
    return f"Consents to be {shown}, until {until}", "good"


def _is_live(record: ConsentRecord, now_unix_s: float) -> bool:
    return record.why_not(purpose=record.purpose, at_unix_s=now_unix_s, act="match") is None


def _plain(cause: str) -> str:
    return _CAUSES.get(cause, f"({cause.replace('_', ' ')})")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")
