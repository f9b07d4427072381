"""The deployment declaration: its form, its review, and a demo that stays one."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.people.kit import ACTOR, PURPOSE, START, START_UNIX_S, consent, declaration, enrolled, opened

from consentry.clock import SimulatedClock
from consentry.errors import NotDeclared, UsageError
from consentry.people.consent import VERIFICATION
from consentry.people.declaration import (
    current_declaration,
    declare,
    declare_demo,
    read_declaration,
    require_declared,
)

DAY_S = 86_400.0


def test_what_was_declared_is_in_force(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        assert current_declaration(site) is None
        declare(site, declaration(), actor=ACTOR)
        declared = require_declared(site, PURPOSE)
    assert declared.declaration == declaration()
    assert (declared.is_demo, declared.made_unix_ms) == (False, START_UNIX_S * 1000)


def test_the_newest_counts(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        declare(site, declaration("canteen"), actor=ACTOR)
        require_declared(site, "canteen")
        with pytest.raises(NotDeclared, match="purpose “entrance” is not declared here, only canteen"):
            require_declared(site, PURPOSE)


def test_an_overdue_review_ends_it(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        declare(site, declaration(review_due_on=START.date() + timedelta(days=10)), actor=ACTOR)
        clock.advance(10 * DAY_S)
        require_declared(site)
        clock.advance(DAY_S)
        with pytest.raises(NotDeclared, match="was due for review on 2027-01-25"):
            require_declared(site)
        assert current_declaration(site) is not None
        declare(site, declaration(review_due_on=START.date() + timedelta(days=100)), actor=ACTOR)
        require_declared(site)


@pytest.mark.parametrize("days", [-1, 0, 3 * 365 + 2])
def test_review_dates_that_make_no_sense(tmp_path: Path, days: int) -> None:
    with opened(tmp_path) as site:
        with pytest.raises(UsageError, match="not within the next three years"):
            declare(site, declaration(review_due_on=START.date() + timedelta(days=days)), actor=ACTOR)
        assert current_declaration(site) is None


def _document(**changes: Any) -> str:
    return json.dumps(declaration().model_dump(mode="json") | changes)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "declaration.json"
    with pytest.raises(UsageError, match="No such file"):
        read_declaration(path)
    path.write_text(_document())
    assert read_declaration(path) == declaration()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acceptable_use_accepted": False}, "acceptable_use_accepted: Input should be True"),
        ({"acceptable_use_accepted": "true"}, "acceptable_use_accepted"),
        ({"purposes": []}, "purposes"),
        ({"purposes": [VERIFICATION]}, "needs no declaration"),
        ({"purposes": ["a", "a"]}, "named twice"),
        ({"controller": ""}, "controller"),
        ({"review_due_on": "soon"}, "review_due_on"),
        ({"notice": {"text": "", "posted_at": "door"}}, "notice.text"),
        ({"watch_list": []}, "watch_list: Extra inputs"),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = tmp_path / "declaration.json"
    path.write_text(_document(**changes))
    with pytest.raises(UsageError, match=words):
        read_declaration(path)


def test_a_demo_stays_a_demo(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare_demo(site, actor=ACTOR)
        declare_demo(site, actor=ACTOR)  # each start of the demo may say so again
        assert require_declared(site, "demo").is_demo
        with pytest.raises(UsageError, match="this is a demo folder and stays one"):
            declare(site, declaration(), actor=ACTOR)


def test_a_real_folder_never_becomes_a_demo(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        with pytest.raises(UsageError, match="this is a real folder and stays one"):
            declare_demo(site, actor=ACTOR)
        with pytest.raises(UsageError, match="for demos only"):
            declare(site, declaration("demo"), actor=ACTOR)


def test_people_enrolled_keep_a_folder_from_becoming_a_demo(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        enrolled(site, 1, "Ada Example", consent(purpose=VERIFICATION))
        with pytest.raises(UsageError, match="people are enrolled here"):
            declare_demo(site, actor=ACTOR)
