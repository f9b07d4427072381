"""`/transparency` and `/policy`: open, from live configuration, and without anything personal."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, PURPOSE, declaration, duty, enrolled
from tests.unit.server.kit import Running, running

from consentry.config import Retention, Settings
from consentry.ledger.checkpoint import open_note
from consentry.people.cameras import add_camera
from consentry.people.declaration import declare
from consentry.people.recognition_use import add_use
from consentry.people.requests import record_request
from consentry.people.sightings import Sighting, record
from consentry.store.schema import UserRow

PUBLIC = ("/transparency", "/policy", "/api/v1/transparency", "/api/v1/policy")
SECRETS = (
    "Zebedee",
    "Quagmire",
    "zebedee.q@example.org",
    "hunter2secret",
    "camuser",
    "192.0.2.77",
    "tokensecret",
)


def _sighting(person_id: str | None) -> Sighting:
    return Sighting(
        camera="Front door",
        track=1,
        first_unix_ms=1_799_999_990_000,
        last_unix_ms=1_799_999_992_000,
        frames=30,
        fused_crops=5,
        decision="known" if person_id else "unknown",
        person_id=person_id,
        score_cosine=0.7319 if person_id else None,
        margin_cosine=None,
        quality=0.7,
        best_xyxy=(1.0, 2.0, 3.0, 4.0),
        recogniser_sha256="ab" * 32,
        calibration="c1",
        gallery_digest="cd" * 32,
        known_cosine=0.41,
        unsure_cosine=0.36,
    )


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    """A server of people with distinctive names, cameras with passwords, a user, sightings, requests."""
    settings = Settings(retention=Retention(last_seen_days=77, sightings_days=12))
    folder = tmp_path_factory.mktemp("lived")
    (folder / "data").mkdir()
    (folder / "data" / "consentry.toml").write_text("[retention]\nlast_seen_days = 77\nsightings_days = 12\n")
    with running(folder, declared=True, settings=settings) as it:
        it.services.hub._spec = lambda: None  # type: ignore[method-assign]
        person = enrolled(it.site, 1, "Zebedee Quagmire")
        url = "rtsp://camuser:hunter2secret@192.0.2.77/stream?token=tokensecret"
        add_camera(it.site, name="Front door", url=url, duty=duty(), zone="lobby", actor=ACTOR)
        for person_id in (person.person_id, *[None] * 7):
            record(it.site, _sighting(person_id))
        add_use(it.site, {("Front door", it.site.today().isoformat()): 5400.0})
        with it.site.write() as session:
            record_request(it.site, session, "authority", "refused", actor=ACTOR)
            session.add(
                UserRow(
                    id="00" * 8,
                    name="zebedee.q@example.org",
                    password_argon2id=None,
                    role="viewer",
                    created_unix_ms=0,
                )
            )
        it.services.hub.look()
        yield it, person.person_id


@pytest.mark.parametrize("path", PUBLIC)
def test_open_to_anyone_and_names_nobody(lived_in: tuple[Running, str], path: str) -> None:
    it, person_id = lived_in
    with it.client() as nobody:
        answer = nobody.get(path)
    assert answer.status_code == 200, answer.text
    shown = html.unescape(answer.text)
    assert PURPOSE in shown
    for secret in (*SECRETS, person_id, "owner@", "0.7319", str(it.site.data_dir), "rtsp"):
        assert secret not in shown, secret
    for row in ("zebedee", "quagmire"):
        assert row not in shown.lower()


def _json(it: Running, path: str) -> Any:
    with it.client() as nobody:
        return nobody.get(f"/api/v1/{path}").json()


def test_what_transparency_states(lived_in: tuple[Running, str]) -> None:
    it, _ = lived_in
    stated = _json(it, "transparency")
    assert stated["in_force"] is True
    assert stated["cameras"] == [
        {
            "name": "Front door",
            "purpose": PURPOSE,
            "owner": "Example Ltd",
            "zone": "lobby",
            "review_due_on": duty().review_due_on.isoformat(),
            "may_recognise": True,
            "recognised_hours": 1.5,
        }
    ]
    assert stated["people_enrolled"] == {PURPOSE: None}  # one person: fewer than 5
    assert stated["sightings"] == {"known": None, "unsure": None, "unknown": 7}
    assert stated["requests"]["authority"] == {"open": 0, "done": 0, "refused": 1}
    assert stated["errors"]["by_group"] == "not measured yet"
    assert stated["errors"]["up_to_references"] == 10
    assert 0.3 < stated["errors"]["threshold"] < 0.7
    note = stated["ledger"]["checkpoint"]
    assert stated["ledger"]["verifier_key"] == str(it.site.ledger.verifier)
    open_note(note, it.site.ledger.verifier)
    with it.client() as nobody:
        page = nobody.get("/transparency").text
    assert "fewer than 5" in page
    assert html.escape(note) in page
    assert "<script" not in page


def test_counts_that_single_nobody_out_are_stated(tmp_path: Path) -> None:
    with running(tmp_path, declared=True) as it:
        for number in range(5):
            enrolled(it.site, number + 1, f"Person {number}")
            it.services.hub.look()
            expected = 5 if number == 4 else None
            assert _json(it, "transparency")["people_enrolled"] == {PURPOSE: expected}


def test_the_policy_follows_the_configuration(lived_in: tuple[Running, str], server: Running) -> None:
    it, _ = lived_in
    with it.client() as nobody, server.client() as elsewhere:
        ours, theirs = (html.unescape(one.get("/policy").text) for one in (nobody, elsewhere))
    assert "77 days after they were last seen" in ours
    assert "12 days after they were made" in ours
    assert "365 days after they were last seen" in theirs
    assert "30 days after they were made" in theirs
    assert "privacy@example.org" in ours


def test_a_new_declaration_shows_at_once(own_server: Running) -> None:
    with own_server.client() as nobody:
        declare(own_server.site, declaration("canteen till <b>"), actor=ACTOR)
        for path in ("/transparency", "/policy"):
            page = nobody.get(path).text
            assert "canteen till &lt;b&gt;" in page
            assert f">{PURPOSE}<" not in page


def test_before_a_declaration_they_say_so(undeclared_server: Running) -> None:
    with undeclared_server.client() as nobody:
        assert "No camera recognises anyone now" in nobody.get("/transparency").text
        assert "no camera recognises anyone" in nobody.get("/policy").text
        stated = nobody.get("/api/v1/transparency").json()
    assert (stated["in_force"], stated["declaration"]) == (False, None)


@pytest.mark.parametrize("what", ["configuration", "data"])
def test_what_cannot_be_read_is_an_error_and_no_empty_page(own_server: Running, what: str) -> None:
    if what == "configuration":
        (own_server.site.data_dir / "consentry.toml").write_text("[retention]\nlast_seen_days = 'many'\n")
    else:
        with own_server.site.write() as session:
            session.execute(text("ALTER TABLE declaration RENAME TO declaration_lost"))
    with own_server.client() as nobody:
        for path in PUBLIC:
            answer = nobody.get(path)
            assert answer.status_code == 503, answer.text
            assert "cannot be read" in answer.text
            assert str(own_server.site.data_dir) not in answer.text
            assert not re.search(r"<h2|cameras\"", answer.text)
    if what == "data":
        with own_server.site.write() as session:
            session.execute(text("ALTER TABLE declaration_lost RENAME TO declaration"))
