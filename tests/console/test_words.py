"""What the pages say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest
from tests.unit.people.kit import START, START_UNIX_S, consent

from consentry.console import words
from consentry.people.roster import Person
from consentry.people.sightings import Sighting
from consentry.pipeline.messages import CameraState, Health


def _seen(**changes: Any) -> Sighting:
    values: dict[str, Any] = {
        "camera": "door",
        "track": 1,
        "first_unix_ms": 1_800_000_000_000,
        "last_unix_ms": 1_800_000_002_000,
        "frames": 30,
        "fused_crops": 5,
        "decision": "unknown",
        "person_id": None,
        "score_cosine": None,
        "margin_cosine": None,
        "quality": 0.7,
        "best_xyxy": (1.0, 2.0, 3.0, 4.0),
        "recogniser_sha256": "ab" * 32,
        "calibration": "c1",
        "gallery_digest": "cd" * 32,
        "known_cosine": 0.41,
        "unsure_cosine": 0.36,
    }
    return Sighting(**{**values, **changes})


def _health(state: CameraState, **changes: Any) -> Health:
    values: dict[str, Any] = {
        "detail": "",
        "roster_version": 1,
        "frames_read": 1500,
        "frames_analysed": 1490,
        "faces": 3,
        "tracks": 1,
        "frame_drops": {},
        "live_drops": {},
    }
    return Health(camera="door", state=state, **{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "who", "why"),
    [
        ({}, "Not enrolled", "nobody enrolled comes near 0.41"),
        ({"fused_crops": 0}, "Not enrolled", "no clear picture of the face to compare"),
        (
            {"decision": "known", "person_id": "a", "score_cosine": 0.7},
            "Anna",
            "score 0.70, at least 0.41 needed",
        ),
        (
            {"decision": "known", "person_id": None, "score_cosine": 0.7},
            "Withdrawn since",
            "score 0.70, at least 0.41 needed",
        ),
        ({"decision": "unsure", "score_cosine": 0.38}, "Unsure", "score 0.38, 0.41 needed for a name"),
        (
            {"decision": "unsure", "score_cosine": 0.5},
            "Unsure",
            "score 0.50, but a second person is as close",
        ),
    ],
)
def test_a_sighting_in_words(changes: dict[str, Any], who: str, why: str) -> None:
    seen = _seen(**changes)
    assert words.who_words(seen, {"a": "Anna"}) == who
    assert words.why_words(seen) == why


def test_a_score_is_never_said_as_a_percentage() -> None:
    for changes in (
        {},
        {"decision": "known", "score_cosine": 0.7},
        {"decision": "unsure", "score_cosine": 0.4},
    ):
        assert "%" not in words.why_words(_seen(**changes))


def test_every_state_has_words() -> None:
    for state in get_args(CameraState):
        text, tone = words.state_words(_health(state))
        assert text
        assert tone in ("good", "warn", "bad", "quiet")
    assert words.state_words(None)[0] == "Starting"


def test_counts_tell_staying_live_from_losing() -> None:
    assert words.count_words(None) == "Nothing analysed yet"
    assert words.count_words(_health("streaming")) == "1 490 frames analysed · 1 track"
    dropped = _health("streaming", frame_drops={"stale": 3, "corrupt_frame": 1}, live_drops={"thinned": 9})
    assert (
        words.count_words(dropped) == "1 490 frames analysed · 1 track · 3 frames skipped to stay live"
        " · 1 frame lost"
    )
    assert "1 frame (corrupt frame)" in words.drop_words(dropped)
    assert "9 pictures beyond 12 a second" in words.drop_words(dropped)
    assert words.drop_words(_health("streaming")) == "Nothing was dropped."


@pytest.mark.parametrize(
    ("record", "later", "words_part", "tone"),
    [
        (consent(), timedelta(), "recognised and shown", "good"),
        (consent(may_be_shown=False), timedelta(), "recognised, but covered", "good"),
        (consent(purpose="verification"), timedelta(), "1:1 comparison only", "quiet"),
        (consent(days=1), timedelta(days=2), "No consent in force", "bad"),
    ],
)
def test_a_consent_in_words(record: Any, later: timedelta, words_part: str, tone: str) -> None:
    person = Person("a", "Anna", 0, (record,), 1, 1, "ended on 2027-01-16 08:00 UTC")
    text, found = words.consent_words(person, (START + later).timestamp())
    assert words_part in text
    assert found == tone


def test_the_day_is_said_only_if_it_is_another() -> None:
    now_ms = round(START_UNIX_S * 1000)
    assert len(words.time_words(now_ms, START_UNIX_S)) == 8
    assert "202" in words.time_words(now_ms - 86_400_000 * 2, START_UNIX_S)


def test_a_camera_says_whether_it_recognises() -> None:
    assert words.recognition_words(None, "") == "Recognises people who enrolled and agreed."
    assert words.recognition_words(None, "it is not declared") == "Recognises nobody: it is not declared."
    overdue = _health("overdue")
    assert words.recognition_words(overdue, "its review was due") == ""
    assert words.state_words(overdue) == ("Review overdue", "warn")
