"""A person's own page: the whole of their rights through a personal link, and attacks on it."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import structlog
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    consent,
    declaration,
    enrolled,
    kept_without_photo,
    photo,
    sighting,
)
from tests.unit.server.kit import Running, png, running, served

from consentry.people.consents import add_consent
from consentry.people.declaration import declare
from consentry.people.erase import withdraw
from consentry.people.links import hand_out_link
from consentry.people.receipts import verify_receipt
from consentry.people.requests import count_requests
from consentry.people.roster import list_people, show_person
from consentry.people.sightings import Sighting, record
from consentry.server.app import create_app
from consentry.server.my_session import (
    MY_COOKIE,
    MY_SESSION_S,
    REFUSED_PHOTOS_PER_PERSON,
    WRONG_LINKS_PER_ADDRESS,
)

HOSTILE = "<script>alert(1)</script> & 'Söhne'"
ALL_OF_IT = ("", "/photos/1", "/receipts/1", "/export.zip", "/withdraw")


def seen(person_id: str, **changes: object) -> Sighting:
    """A sighting of somebody, with a score of more digits than may be shown."""
    return sighting(decision="known", person_id=person_id, score_cosine=0.71828, **changes)


@contextmanager
def visitor(server: Running, person_id: str) -> Iterator[httpx.Client]:
    """Somebody in a browser who has opened a personal link of `person_id`."""
    link = f"/my/{hand_out_link(server.site, person_id, actor=ACTOR)}"
    with httpx.Client(base_url=server.address, timeout=20.0, headers={"Origin": server.address}) as client:
        assert client.get(link).status_code == 200
        yield client


def consent_link(page: str, purpose: str) -> str:
    found = re.search(rf'href="/my/withdraw\?consent=([0-9a-f]+)">Withdraw only “{purpose}”', page)
    assert found, page
    return found.group(1)


def test_the_link_leads_on_to_an_address_without_the_secret(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    token = hand_out_link(own_server.site, ada, actor=ACTOR)
    with httpx.Client(base_url=own_server.address) as client:
        way_in = client.get(f"/my/{token}")
        cookie = way_in.headers["set-cookie"]
        assert way_in.headers["referrer-policy"] == "no-referrer"
        assert 'http-equiv="refresh" content="0;url=/my"' in way_in.text
        assert token not in way_in.text
        assert token not in cookie
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "samesite=strict", "path=/my", f"max-age={MY_SESSION_S}"} <= parts
        assert "secure" not in parts
        page = client.get("/my")
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert "Ada Example" in page.text
        assert "script" not in page.headers["content-security-policy"]
        assert token not in page.text


def test_the_cookie_is_secure_behind_the_proxy_that_people_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTRY_SERVER__PUBLIC_URL", "https://cameras.example.org")
    with running(tmp_path, declared=True) as server:
        token = hand_out_link(server.site, enrolled(server.site, 1, "Ada").person_id, actor=ACTOR)
        with httpx.Client(base_url=server.address) as client:
            by_proxy = client.get(f"/my/{token}", headers={"Host": "cameras.example.org"})
            straight = client.get(f"/my/{token}")
    assert "Secure" in by_proxy.headers["set-cookie"]
    assert "Secure" not in straight.headers["set-cookie"]


def test_the_page_shows_everything_held(own_server: Running) -> None:
    site = own_server.site
    ada = enrolled(site, 1, "Ada Example", consent(zones=frozenset({"lobby"}), may_be_shown=False)).person_id
    record(site, seen(ada))
    record(site, sighting(camera="yard"))
    owner = own_server.services.users.of("owner")
    assert owner is not None
    show_person(site, ada, actor=owner.actor)
    show_person(site, ada, actor="user:0123456789abcdef")
    show_person(site, ada, actor="cli:1000")
    with visitor(own_server, ada) as client:
        page = client.get("/my").text
    for words in (
        "Ada Example",
        PURPOSE,
        "in force",
        "zones lobby",
        "your face is covered",
        "https://example.org/notice, version 3",
        "a badge",
        "2 templates by a model",
        "ab" * 6,
        "door: recognised as you: score 0.72, 0.41 needed",
        f"Your record was looked at by an administrator (user {owner.id})",
        "Your record was looked at by someone whose account is gone (user 0123456789abcdef)",
        "Your record was looked at by the command line of the server (user 1000 there)",
        "Your record was looked at by you, through your personal link",
        f"You were enrolled by {ACTOR}, for: {PURPOSE}",
        "Example Ltd",
        "privacy@example.org",
        "25 Apr 2027, 08:00 UTC, or at once",
        "15 Jan 2027, 08:00 UTC, by yourself",
        'href="/my/receipts/1"',
    ):
        assert words in page, words
    assert "yard" not in page
    assert "0.718" not in page


def test_photos_and_receipts_are_theirs_as_they_were_given(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    with visitor(own_server, ada) as client:
        given = {photo(1, 0).original, photo(1, 1).original}
        answers = [client.get(f"/my/photos/{number}") for number in (1, 2)]
        assert {answer.content for answer in answers} == given
        for answer in answers:
            assert answer.headers["content-type"] == "image/jpeg"
            assert answer.headers["cache-control"] == "no-store"
            assert "sandbox" in answer.headers["content-security-policy"]
        receipt = client.get("/my/receipts/1")
        assert "attachment" in receipt.headers["content-disposition"]
        verified = verify_receipt(receipt.content, str(own_server.site.ledger.verifier))
        assert verified is not None
        for wrong in ("0", "3", "-1", "99999999999999999999", "x", "1/2", "..%2f1"):
            for what in ("photos", "receipts"):
                assert client.get(f"/my/{what}/{wrong}").status_code in (401, 404), wrong


def test_looking_is_logged_once_for_each_session(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    for path in ALL_OF_IT:
        with visitor(own_server, ada) as client:
            for _ in range(3):
                assert client.get(f"/my{path}").status_code == 200
    assert own_server.events().count(("person.viewed", "person")) == len(ALL_OF_IT)
    assert count_requests(own_server.site)["access"]["done"] == len(ALL_OF_IT)


def test_a_link_that_is_only_fetched_shows_nothing_and_logs_no_view(own_server: Running) -> None:
    """Messengers fetch links to show a preview of them."""
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    with visitor(own_server, ada) as client:
        assert "Ada" not in client.get(f"/my/{hand_out_link(own_server.site, ada, actor=ACTOR)}").text
    assert ("person.viewed", "person") not in own_server.events()


def test_the_copy_holds_everything_but_no_template(own_server: Running) -> None:
    site = own_server.site
    ada = enrolled(site, 1, "Ada Example").person_id
    for number in range(501):
        record(site, seen(ada, first_unix_ms=1_799_999_990_000 + number))
    with visitor(own_server, ada) as client:
        answer = client.get("/my/export.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert sorted(files) == [
        "checkpoint.txt",
        "person.json",
        "photo-1.jpg",
        "photo-2.jpg",
        "receipt-1.json",
        "sightings.jsonl",
    ]
    assert {files["photo-1.jpg"], files["photo-2.jpg"]} == {photo(1, 0).original, photo(1, 1).original}
    document = json.loads(files["person.json"])
    assert (document["name"], document["photos"], document["sightings"]) == ("Ada Example", 2, 501)
    assert document["templates"] == [{"recogniser_sha256": "ab" * 32, "count": 2}]
    assert document["consents"][0]["purpose"] == PURPOSE
    assert document["ledger"][-1]["event"] == "person.exported"
    lines = [json.loads(line) for line in files["sightings.jsonl"].splitlines()]
    assert len(lines) == 501
    assert len({one["first"] for one in lines}) == 501
    assert {one["score"] for one in lines} == {0.72}
    assert own_server.events()[-2:] == [("person.exported", "person"), ("request.received", "person")]
    with site.read() as session:
        assert files["checkpoint.txt"].decode() == site.ledger.checkpoint(session.connection())
    assert count_requests(site)["export"]["done"] == 1


def test_a_name_is_corrected_and_workers_notice(own_server: Running) -> None:
    site = own_server.site
    ada = enrolled(site, 1, "Ada Exmaple").person_id
    before = site.gallery_version
    with visitor(own_server, ada) as client:
        changed = client.post("/my/name", data={"name": "  Ada   Example "})
        assert (changed.status_code, changed.headers["location"]) == (303, "/my?done=name")
        page = client.get(changed.headers["location"]).text
        assert "Your name has been corrected." in page
        assert 'value="Ada Example"' in page
        for wrong, words in (
            ("", "1 to 200"),
            ("a\nb", "no line breaks"),
            ("x" * 201, "1 to 200"),
            ("Ada Example", "held already"),
        ):
            refused = client.post("/my/name", data={"name": wrong})
            assert (refused.status_code, words in refused.text) == (400, True), wrong
            assert 'role="alert"' in refused.text
    assert [person.name for person in list_people(site)] == ["Ada Example"]
    assert site.gallery_version > before
    assert own_server.events().count(("person.corrected", "person")) == 1
    assert count_requests(site)["correct"]["done"] == 1


def test_a_newer_photo_by_the_rules_of_enrolment(own_server: Running) -> None:
    ada, ben = (enrolled(own_server.site, n, name).person_id for n, name in ((1, "Ada"), (2, "Ben")))
    own_server.clock.advance(1)
    with visitor(own_server, ada) as client:
        added = client.post("/my/photos", files=[("photo", ("a.png", png(1, 5)))])
        assert (added.status_code, added.headers["location"]) == (303, "/my?done=photo"), added.text
        assert client.get("/my/photos/3").content == png(1, 5)
        for sent, status, words in (
            (png(2, 4), 422, "not the one enrolled"),
            (png(3), 422, "not the one enrolled"),
            (png(1, 0, 0), 422, "no face found"),
            (png(1, 0, 2), 422, "2 faces found"),
            (b"<svg onload=alert(1)>", 422, "photo"),
        ):
            refused = client.post("/my/photos", files=[("photo", ("a.png", sent))])
            assert (refused.status_code, words in refused.text) == (status, True), refused.text
            assert ben not in refused.text
        assert client.post("/my/photos", data={"photo": "text"}).status_code == 400
        many = [("photo", (f"{n}.png", png(1, n))) for n in range(18)]
        assert "20 at most" in client.post("/my/photos", files=many).text
    assert {person.id: person.photos for person in list_people(own_server.site)} == {ada: 3, ben: 2}
    assert own_server.events().count(("search.made", "person")) == 5  # only what could be looked at


def test_someone_whose_photo_was_refused_has_the_same_rights(own_server: Running) -> None:
    cleo = kept_without_photo(own_server.site, 3, "Cleo Refused")
    with visitor(own_server, cleo) as client:
        page = client.get("/my").text
        assert "no face found" in page
        assert "Cleo Refused" in page
        with zipfile.ZipFile(io.BytesIO(client.get("/my/export.zip").content)) as archive:
            assert "no face found" in json.loads(archive.read("person.json"))["photos_refused"]
        assert client.get("/my/photos/1").status_code == 404
        assert client.post("/my/name", data={"name": "Cleo Named"}).status_code == 303
        assert client.post("/my/photos", files=[("photo", ("a.png", png(3)))]).status_code == 303
        assert "no face found" not in client.get("/my").text
        assert client.post("/my/withdraw").status_code == 200
    assert list_people(own_server.site) == []


def test_photos_do_not_tell_who_else_is_enrolled(own_server: Running) -> None:
    ada, cleo = (
        enrolled(own_server.site, 1, "Ada Example").person_id,
        kept_without_photo(own_server.site, 3, "Cleo Refused"),
    )
    with visitor(own_server, cleo) as client:
        for _ in range(REFUSED_PHOTOS_PER_PERSON):
            asked = client.post("/my/photos", files=[("photo", ("a.png", png(1, 7)))])
            assert (asked.status_code, "This photo cannot be added" in asked.text) == (422, True)
            assert ada not in asked.text
            assert "enrolled already" not in asked.text
        locked = client.post("/my/photos", files=[("photo", ("a.png", png(3)))])
        assert (locked.status_code, "Try again" in locked.text) == (429, True)
        own_server.clock.advance(15 * 60 + 1)
        assert client.post("/my/photos", files=[("photo", ("a.png", png(3)))]).status_code == 303


def test_withdrawing_destroys_everything_and_the_link_dies(own_server: Running) -> None:
    site = own_server.site
    ada, ben = (enrolled(site, n, name).person_id for n, name in ((1, "Ada Example"), (2, "Ben")))
    record(site, seen(ada))
    token = hand_out_link(site, ada, actor=ACTOR)
    with visitor(own_server, ada) as elsewhere, visitor(own_server, ada) as client:
        before = client.get("/my/withdraw").text
        for words in ("2 photos", "2 templates", "1 consent record", "1 sighting<", "a badge"):
            assert words in before, words
        assert {person.id for person in list_people(site)} == {ada, ben}
        gone = client.post("/my/withdraw")
        assert gone.status_code == 200
        entry = re.search(r"entry <strong>(\d+)</strong>", gone.text)
        assert entry
        assert own_server.events()[int(entry.group(1))] == ("person.withdrawn", "person")
        for words in ("2 photos", "2 templates", "1 sighting"):
            assert words in gone.text, words
        assert f'{MY_COOKIE}=""' in gone.headers["set-cookie"]
        proof = re.search(r"<pre>(.*?)</pre>", gone.text, re.DOTALL)
        assert proof
        verify_receipt(
            proof.group(1).replace("&quot;", '"').replace("&#x27;", "'").encode(),
            str(site.ledger.verifier),
        )
        for path in ALL_OF_IT:
            assert elsewhere.get(f"/my{path}").status_code == 404, path
        assert elsewhere.post("/my/withdraw").status_code == 404
        dead, never = elsewhere.get(f"/my/{token}"), elsewhere.get("/my/" + "x" * 43)
        assert (dead.status_code, dead.text) == (404, never.text)
        assert "Ada" not in dead.text
    assert [person.id for person in list_people(site)] == [ben]
    assert count_requests(site)["erase"]["done"] == 1


def test_one_purpose_of_several_is_withdrawn_alone(own_server: Running) -> None:
    site = own_server.site
    declare(site, declaration(PURPOSE, "canteen"), actor=ACTOR)
    ada = enrolled(site, 1, "Ada Example").person_id
    with visitor(own_server, ada) as client:
        assert "Withdraw only" not in client.get("/my").text
    add_consent(site, ada, consent(purpose="canteen"), ACTOR)
    with visitor(own_server, ada) as client:
        chosen = consent_link(client.get("/my").text, "canteen")
        assert "Withdraw your consent to “canteen”" in client.get(f"/my/withdraw?consent={chosen}").text
        ended = client.post("/my/withdraw", data={"consent": chosen})
        assert (ended.status_code, ended.headers["location"]) == (303, "/my?done=consent")
        page = client.get("/my").text
        assert "not in force: it was withdrawn" in page
        assert "Withdraw only" not in page
        again = client.post("/my/withdraw", data={"consent": chosen})
        assert again.status_code == 404
        assert client.get("/my/withdraw?consent=" + "0" * 32).status_code == 404
    assert [(person.photos, person.why_not_live) for person in list_people(site)] == [(2, None)]
    assert count_requests(site)["object"]["done"] == 1


def test_what_cannot_be_erased_is_said(own_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    site = own_server.site
    ada = enrolled(site, 1, "Ada Example").person_id
    (site.data_dir / "note.txt").write_text("Ada Example was here", encoding="utf-8")
    with visitor(own_server, ada) as client:
        answer = client.post("/my/withdraw")
        assert answer.status_code == 500
        assert "You have withdrawn, but not all is clean" in answer.text
        assert "note.txt" in answer.text
        assert "privacy@example.org" in answer.text
        assert client.get("/my").status_code == 404
    assert list_people(site) == []
    assert count_requests(site)["erase"] == {"open": 1, "done": 0, "refused": 0}


def test_everything_from_outside_is_text_never_markup(own_server: Running) -> None:
    site = own_server.site
    hostile = declaration(HOSTILE).model_copy(update={"controller": HOSTILE, "contact": HOSTILE})
    declare(site, hostile, actor=ACTOR)
    hostile_consent = consent(
        purpose=HOSTILE, cameras=frozenset({HOSTILE}), zones=frozenset({HOSTILE})
    ).model_copy(update={"alternative": HOSTILE})
    ada = enrolled(site, 1, HOSTILE, hostile_consent).person_id
    record(site, seen(ada, camera=HOSTILE))
    show_person(site, ada, actor=HOSTILE)
    with visitor(own_server, ada) as client:
        pages = [client.get("/my"), client.get("/my/withdraw"), client.get(f"/my?done={HOSTILE}")]
        pages.append(client.post("/my/name", data={"name": HOSTILE + "\n"}))
        pages.append(client.post("/my/withdraw"))
    for page in pages:
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert pages[0].text.count("&lt;script&gt;") >= 7


def test_without_a_session_every_address_but_the_way_in_is_closed(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    with own_server.owner() as owner:  # an account is no key to somebody's own page
        for client in (owner, httpx.Client(base_url=own_server.address, headers={"X-Consentry": "1"})):
            for path in ALL_OF_IT:
                answer = client.get(f"/my{path}")
                assert (answer.status_code, "leads nowhere" in answer.text) == (404, True), path
            for path in ("/withdraw", "/name", "/photos", "/leave"):
                answer = client.post(f"/my{path}", data={"name": "x"})
                assert (answer.status_code, "leads nowhere" in answer.text) == (404, True), path
        client.close()
    assert list_people(own_server.site)[0].id == ada


def test_another_persons_session_shows_only_that_person(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    ben = enrolled(own_server.site, 2, "Ben Other").person_id
    with visitor(own_server, ada) as client:
        text = client.get("/my").text
        assert "Ben" not in text
        assert ben not in text
        others = {photo(2, 0).original, photo(2, 1).original}
        assert not others & {client.get(f"/my/photos/{number}").content for number in range(-2, 9)}
    with visitor(own_server, ben) as client, visitor(own_server, ada) as other:
        mine = consent_ids(own_server, ada)
        assert client.post("/my/withdraw", data={"consent": mine}).status_code == 404
        assert other.get("/my").status_code == 200


def consent_ids(server: Running, person_id: str) -> str:
    return next(one.consent_ids[0] for one in list_people(server.site) if one.id == person_id)


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "ü", '"; broken', "a.b.c"])
def test_made_up_cookies_are_nobody(server: Running, token: str) -> None:
    with httpx.Client(base_url=server.address) as client:
        answer = client.get("/my", headers=[(b"cookie", f"{MY_COOKIE}={token}".encode())])
    assert (answer.status_code, "leads nowhere" in answer.text) == (404, True)


def test_guessing_is_locked_out_but_the_right_link_still_opens(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    token = hand_out_link(own_server.site, ada, actor=ACTOR)
    with httpx.Client(base_url=own_server.address) as client:
        for number in range(WRONG_LINKS_PER_ADDRESS):
            assert client.get(f"/my/{token[:-6]}{number:06}").status_code == 404
        for guess in ("x" * 43, token[:-1], token + "x", token.swapcase()):
            assert client.get(f"/my/{guess}").status_code == 429, guess
        assert client.get(f"/my/{token}").status_code == 200
        own_server.clock.advance(15 * 60 + 1)
        assert client.get("/my/" + "x" * 43).status_code == 404


def test_a_session_ends_after_half_an_hour_and_when_left(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    with visitor(own_server, ada) as client:
        own_server.clock.advance(MY_SESSION_S - 1)
        assert "It closes at 08:30 UTC" in client.get("/my").text
        own_server.clock.advance(1)
        assert client.get("/my").status_code == 404
    with visitor(own_server, ada) as client:
        stolen = client.cookies[MY_COOKIE]
        assert client.post("/my/leave").status_code == 200
        client.cookies.set(MY_COOKIE, stolen, domain="127.0.0.1", path="/my")
        assert client.get("/my").status_code == 404


def test_a_restarted_hub_asks_for_the_link_again(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    token = hand_out_link(own_server.site, ada, actor=ACTOR)
    with visitor(own_server, ada) as client:
        kept = client.cookies[MY_COOKIE]
    with served(create_app(own_server.services)) as address, httpx.Client(base_url=address) as client:
        client.cookies.set(MY_COOKIE, kept, domain="127.0.0.1", path="/my")
        assert "Open the link of your newest receipt again" in client.get("/my").text
        assert client.get(f"/my/{token}").status_code == 200
        assert client.get("/my").status_code == 200


def test_only_ten_sessions_of_one_person_and_none_pushes_out_anothers(own_server: Running) -> None:
    ada, ben = (enrolled(own_server.site, n, name).person_id for n, name in ((1, "Ada"), (2, "Ben")))
    with visitor(own_server, ben) as other, visitor(own_server, ada) as first:
        token = hand_out_link(own_server.site, ada, actor=ACTOR)
        with httpx.Client(base_url=own_server.address) as client:
            for _ in range(10):
                client.get(f"/my/{token}")
            assert client.get("/my").status_code == 200
        assert first.get("/my").status_code == 404
        assert other.get("/my").status_code == 200


def test_no_other_site_acts_for_the_person(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    with visitor(own_server, ada) as client:
        for origin in ("https://evil.test", "null", own_server.address.replace("127.0.0.1", "localhost")):
            for path in ("/withdraw", "/name", "/photos", "/leave"):
                answer = client.post(f"/my{path}", data={"name": "Evil"}, headers={"Origin": origin})
                assert answer.status_code == 403, (origin, path)
            assert client.get("/my", headers={"Origin": origin}).status_code == 403
        del client.headers["Origin"]
        assert client.post("/my/withdraw").status_code == 403
    assert [person.name for person in list_people(own_server.site)] == ["Ada Example"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_give_nothing_away(server: Running, method: str) -> None:
    person_id = next((one.id for one in list_people(server.site)), None)
    person_id = person_id or enrolled(server.site, 1, "Ada Example").person_id
    token = hand_out_link(server.site, person_id, actor=ACTOR)
    with visitor(server, person_id) as client:
        for path in (*(f"/my{path}" for path in ALL_OF_IT), f"/my/{token}", "/my/" + "x" * 43):
            answer = client.request(method, path)
            assert answer.status_code in (401, 403, 404, 405), path
            assert "set-cookie" not in answer.headers
            assert "Ada" not in answer.text


def test_strangers_may_send_little_and_the_person_a_photo(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    large = png(1, 3, size=4) + b"\0" * 200_000
    with httpx.Client(base_url=own_server.address, headers={"Origin": own_server.address}) as client:
        for accept, words in (("text/html", "open your personal link again"), ("*/*", "problem:too-large")):
            headers = {"Accept": accept}
            answer = client.post("/my/photos", files=[("photo", ("a.png", large))], headers=headers)
            assert (answer.status_code, words in answer.text) == (413, True), answer.text
    with visitor(own_server, ada) as client:
        assert client.post("/my/photos", files=[("photo", ("a.png", large))]).status_code == 303
        assert client.post("/my/name", data={"name": "x" * 20_000}).status_code == 413


def test_no_link_or_cookie_is_logged_or_kept(
    own_server: Running,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pytest gives uvicorn's access log the handler that this program takes from it
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "handlers", [])
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    token = hand_out_link(own_server.site, ada, actor=ACTOR)
    with (
        structlog.testing.capture_logs() as said,
        caplog.at_level(logging.DEBUG),
        httpx.Client(base_url=own_server.address, headers={"Origin": own_server.address}) as client,
    ):
        logging.getLogger("httpx").setLevel(logging.CRITICAL)  # the test's own side
        logging.getLogger("httpcore").setLevel(logging.CRITICAL)
        client.get(f"/my/{token}")
        client.get(f"/my/{token}x")
        client.get("/my")
        cookie = client.cookies[MY_COOKIE]
        (own_server.site.data_dir / "note.txt").write_text("Ada Example", encoding="utf-8")
        client.post("/my/withdraw")
        printed = capfd.readouterr()
    everywhere = f"{said}{caplog.text}{printed.out}{printed.err}"
    assert "erasure_incomplete" in everywhere
    files = b"".join(file.read_bytes() for file in own_server.site.data_dir.rglob("*") if file.is_file())
    for secret in (token, cookie):
        assert secret not in everywhere
        assert secret.encode() not in files
    payloads = own_server.events()
    assert token not in str(payloads)


def test_withdrawing_twice_at_once_erases_once(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    statuses: list[int] = []
    with visitor(own_server, ada) as one, visitor(own_server, ada) as other:

        def press(client: httpx.Client) -> Callable[[], None]:
            return lambda: statuses.append(client.post("/my/withdraw").status_code)

        threads = [threading.Thread(target=press(client)) for client in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200, 404]
    assert count_requests(own_server.site)["erase"] == {"open": 0, "done": 1, "refused": 0}
    assert own_server.events().count(("person.withdrawn", "person")) == 1


def test_an_operators_withdrawal_ends_the_persons_session(own_server: Running) -> None:
    ada = enrolled(own_server.site, 1, "Ada Example").person_id
    with visitor(own_server, ada) as client:
        assert client.get("/my").status_code == 200
        withdraw(own_server.site, ada, reason="asked", actor=ACTOR)
        for path in ALL_OF_IT:
            assert client.get(f"/my{path}").status_code == 404, path
