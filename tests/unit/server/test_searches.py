"""Comparing by request: bounded for each user, logged, and answered with coarse scores and no template."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.people.kit import ACTOR, FakeAnalyser, consent, duty, opened, sighting, template
from tests.unit.server.kit import OWN, Running, png, running

from consentry.clock import SimulatedClock
from consentry.config import Settings
from consentry.errors import LedgerBroken, TooManyAttempts
from consentry.gallery.rounding import rounded
from consentry.models.catalogue import Catalogue
from consentry.people.cameras import add_camera
from consentry.people.roster import list_people
from consentry.people.sightings import record
from consentry.people.site import Site
from consentry.pipeline.worker import recogniser_sha256
from consentry.server.searches import WINDOW_S, Searches
from consentry.server.users import User

MOST = Settings().server.searches_per_minute
ANNA = User("a" * 16, "anna", "operator")
BEN = User("b" * 16, "ben", "operator")
SCORES = re.compile(r"(score|margin)(_cosine)?")


class CalibratedAnalyser(FakeAnalyser):
    """Made-up faces that pass for the default recogniser's, so that there is a calibration for them."""

    recogniser_sha256 = recogniser_sha256(Settings().vision, Catalogue.load())


@pytest.fixture
def calibrated_server(tmp_path: Path) -> Iterator[Running]:
    """A server that can compare made-up faces."""
    with running(tmp_path, declared=True, analyser=CalibratedAnalyser()) as it:
        yield it


def _searches(server: Running) -> list[dict[str, Any]]:
    """Payloads of all searches in the ledger."""
    with server.site.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT payload_json FROM ledger_payload JOIN ledger_entry USING (seq) "
            "WHERE event = 'search.made' ORDER BY seq"
        )
        return [json.loads(payload) for (payload,) in rows]


def _ask(client: httpx.Client, kind: str, person: int = 1, pose: int = 5) -> httpx.Response:
    """A comparison of each kind."""
    picture = ("photo", ("p.png", png(person, pose)))
    if kind == "verify":
        return client.post("/api/v1/verify", files=[picture, picture])
    if kind == "identify":
        return client.post("/api/v1/identify", files=[picture])
    form = {"name": "Somebody Else", "consent": consent().model_dump_json()}
    return client.post("/api/v1/people", data=form, files=[picture])


def test_after_so_many_in_a_minute_a_user_must_wait_and_all_is_logged(calibrated_server: Running) -> None:
    server = calibrated_server
    with server.owner() as owner:
        assert _ask(owner, "enrol").status_code == 201
        kinds = ["identify", "verify", "enrol"] * MOST
        answers = [_ask(owner, kind).status_code for kind in kinds[: MOST - 1]]
        assert set(answers) == {200, 409}
        server.clock.advance(20.0)
        for kind in ("identify", "verify", "enrol"):
            refused = _ask(owner, kind)
            assert refused.status_code == 429
            assert refused.json()["type"] == "urn:consentry:problem:too-many-attempts"
            assert refused.json()["mend"] == "Try again in 40 seconds"
        assert len(owner.get("/api/v1/people").json()) == 1  # everything else still answers
        server.clock.advance(40.0)
        assert _ask(owner, "identify").status_code == 200
    logged = _searches(server)
    assert [one["outcome"] for one in logged] == ["made"] * MOST + ["refused"] * 3 + ["made"]
    assert [one["kind"] for one in logged[:4]] == ["enrol", "identify", "verify", "enrol"]
    assert [one["purpose"] for one in logged[:3]] == [None, "entrance", None]
    assert [one["photos"] for one in logged[:3]] == [1, 1, 2]


@given(waits_8th_s=st.lists(st.integers(0, 160), min_size=1, max_size=60), per_minute=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_no_minute_holds_more_and_nobody_waits_longer_than_said(
    waits_8th_s: list[int], per_minute: int
) -> None:
    clock = SimulatedClock()
    searches = _Unlogged(clock, per_minute)
    passed_s: list[float] = []
    for wait_8th_s in waits_8th_s:
        clock.advance(wait_8th_s / 8)
        left_s = searches._wait_s("anna")
        if left_s == 0:
            passed_s.append(clock.monotonic_s())
        else:
            assert 0 < left_s <= WINDOW_S
            clock.advance(math.ceil(left_s))
            assert searches._wait_s("anna") == 0
            passed_s.append(clock.monotonic_s())
    for begin_s in passed_s:
        assert len([at_s for at_s in passed_s if 0 <= at_s - begin_s < WINDOW_S]) <= per_minute


class _Unlogged(Searches):
    """Only the counting."""

    def __init__(self, clock: SimulatedClock, per_minute: int) -> None:
        super().__init__(None, clock, per_minute)  # type: ignore[arg-type]


def test_each_user_has_their_own_count(tmp_path: Path) -> None:
    clock = SimulatedClock()
    with opened(tmp_path, clock=clock) as site:
        searches = Searches(site, clock, 2)
        for user in (ANNA, ANNA, BEN, BEN):
            searches.begin(user, "verify", photos=2)
        for user in (ANNA, BEN):
            with pytest.raises(TooManyAttempts, match="2 comparisons a minute"):
                searches.begin(user, "verify", photos=2)


def test_what_cannot_be_logged_is_not_compared(tmp_path: Path) -> None:
    clock = SimulatedClock()
    with opened(tmp_path, clock=clock) as site:
        with site.write() as session:
            session.connection().exec_driver_sql("UPDATE ledger_head SET frontier = zeroblob(4)")
        with pytest.raises(LedgerBroken):
            Searches(site, clock, 2).begin(ANNA, "verify", photos=2)


def test_no_answer_holds_a_fine_score_or_a_template(calibrated_server: Running) -> None:
    """Every address of the API that gives JSON, walked to its leaves."""
    server = calibrated_server
    with server.owner() as owner:
        anna = _ask(owner, "enrol").json()["person_id"]
        _with_something_to_tell(server.site, anna)
        server.services.hub.people = tuple(list_people(server.site))
        answers = {
            "known": _ask(owner, "identify", 1, 6),
            "unknown": _ask(owner, "identify", 2, 6),
            "verified": _ask(owner, "verify", 1, 7),
            "refused": _ask(owner, "enrol", 1, 8),
            "rotated": owner.post("/api/v1/keys/rotate"),
        }
        paths = owner.get("/api/v1/openapi.json").json()["paths"]
        for path, methods in paths.items():
            if "get" in methods and "application/json" in methods["get"]["responses"]["200"]["content"]:
                filled = path.format(person_id=anna, name="door", seq=0, sighting_id=1)
                answers[path] = owner.get(f"/api/v1{filled}")
    assert answers["known"].json()["decision"] == "known"
    assert "score 0." in answers["known"].json()["reason"]
    found: list[float] = []
    for name, answer in answers.items():
        assert answer.status_code in (200, 409), (name, answer.text)
        found += _scores_of(answer.json())
        for said in re.findall(r"(?:score|cosine|within) (-?0\.\d+)", answer.text):
            assert len(said) <= len("-0.12"), (name, said)
        _holds_no_template(name, answer)
    assert len(found) >= 5
    assert all(score == round(score, 2) for score in found), found


def _with_something_to_tell(site: Site, person_id: str) -> None:
    record(site, sighting(decision="known", person_id=person_id, score_cosine=0.7123, margin_cosine=0.3456))
    record(site, sighting(decision="unsure", score_cosine=0.3987, margin_cosine=0.0123))
    add_camera(site, name="door", url="rtsp://127.0.0.1:1/", duty=duty("x"), actor=ACTOR)


def _scores_of(value: object) -> list[float]:
    """Every number that an answer calls a score or a margin."""
    if isinstance(value, list):
        return [score for item in value for score in _scores_of(item)]
    if not isinstance(value, dict):
        return []
    own = [item for name, item in value.items() if SCORES.fullmatch(name) and isinstance(item, float)]
    return own + [score for item in value.values() for score in _scores_of(item)]


def _holds_no_template(name: str, answer: httpx.Response) -> None:
    for numbers in _lists_of(answer.json()):
        assert len(numbers) < 100, name
    assert not re.search(r"[A-Za-z0-9+/_-]{2000}", answer.text), name  # 512 numbers, however they are packed
    for kind in (np.float64, np.float32, np.float16):
        for pose in range(5, 9):
            packed = template(1, pose).astype(kind).tobytes()
            assert base64.b64encode(packed[:30]).decode() not in answer.text, name
            assert packed[:32].hex() not in answer.text, name


def _lists_of(value: object) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _lists_of(item)


def test_rounding_keeps_none_and_two_places() -> None:
    assert rounded(None) is None
    assert (rounded(0.41499), rounded(-0.005), rounded(0.7)) == (0.41, -0.01, 0.7)


def test_the_key_changes_while_the_server_runs_and_everyone_is_still_known(
    calibrated_server: Running,
) -> None:
    server = calibrated_server
    with server.owner() as owner:
        _ask(owner, "enrol")
        before = _ask(owner, "identify").json()
        rotated = owner.post("/api/v1/keys/rotate")
        assert rotated.status_code == 200
        assert rotated.json() | {"ledger_seq": 0} == {
            "version": 2,
            "people": 1,
            "templates": 1,
            "ledger_seq": 0,
        }
        after = _ask(owner, "identify").json()
    assert (after["decision"], after["score"], after["person"]) == (
        before["decision"],
        before["score"],
        before["person"],
    )
    assert after["gallery_digest"] != before["gallery_digest"]
    assert ("keys.rotated", server.owner_actor) in server.events()


def test_the_key_is_not_changed_for_a_stranger(calibrated_server: Running) -> None:
    with httpx.Client(base_url=calibrated_server.address, headers=OWN) as nobody:
        assert nobody.post("/api/v1/keys/rotate").status_code == 401
    assert "keys.rotated" not in [event for event, _ in calibrated_server.events()]
