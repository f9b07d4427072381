"""Sightings are kept as they were decided, and never name whom they should not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.people.kit import ACTOR, RECOGNISER, enrolled, opened

from consentry.errors import EngineError
from consentry.people.erase import withdraw
from consentry.people.sightings import RecordedSighting, Sighting, recent, record

SIGHTING = Sighting(
    camera="door",
    track=7,
    first_unix_ms=1_800_000_000_000,
    last_unix_ms=1_800_000_002_500,
    frames=60,
    fused_crops=5,
    decision="known",
    person_id=None,
    score_cosine=0.71,
    margin_cosine=None,
    quality=0.8,
    best_xyxy=(1.5, 2.0, 33.25, 44.0),
    recogniser_sha256=RECOGNISER,
    calibration="default-1",
    gallery_digest="cd" * 32,
    known_cosine=0.4,
    unsure_cosine=0.35,
)


def test_what_was_recorded_comes_back_newest_first(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        known = replace(SIGHTING, person_id=person_id, margin_cosine=0.3)
        unknown = replace(SIGHTING, decision="unknown", score_cosine=None, quality=None, fused_crops=0)
        assert record(site, known) < record(site, unknown)
        found = recent(site, 10)
        assert found == [RecordedSighting(2, unknown), RecordedSighting(1, known)]
        assert recent(site, 1) == found[:1]


def test_someone_who_withdraws_is_not_named_any_more(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        known = replace(SIGHTING, person_id=person_id)
        record(site, known)
        assert withdraw(site, person_id, reason="asked", actor=ACTOR).sightings == 1
        record(site, known)  # decided before the withdrawal, recorded after it
        assert [found.sighting for found in recent(site, 10)] == [replace(known, person_id=None)] * 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decision": "unsure", "person_id": "x"}, "must not name a person"),
        ({"decision": "perhaps"}, "is no decision"),
        ({"last_unix_ms": 0}, "ends before it begins"),
        ({"best_xyxy": (1.0, 2.0)}, "must have 4 values"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        replace(SIGHTING, **changes)
