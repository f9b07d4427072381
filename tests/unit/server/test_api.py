"""The routes: what they give, and what goes into the ledger for it."""

from __future__ import annotations

import tempfile

import cv2
import numpy as np
import pytest
from tests.unit.people.kit import PURPOSE, consent, duty, enrolled
from tests.unit.server.kit import Running

from consentry.errors import DiskFull
from consentry.people.cameras import add_camera
from consentry.people.roster import list_people
from consentry.people.sightings import Sighting, record
from consentry.pipeline.messages import Health, LivePicture, SightingMade

JPEG = b"\xff\xd8\xff\xe0 a redacted picture"


def _sighting(**changes: object) -> Sighting:
    values: dict[str, object] = {
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
    return Sighting(**{**values, **changes})  # type: ignore[arg-type]


def _health(state: str, **changes: object) -> Health:
    values: dict[str, object] = {
        "camera": "door",
        "state": state,
        "detail": "",
        "roster_version": 1,
        "frames_read": 10,
        "frames_analysed": 8,
        "faces": 3,
        "tracks": 1,
        "frame_drops": {"stale": 2},
        "live_drops": {"thinned": 1},
    }
    return Health(**{**values, **changes})  # type: ignore[arg-type]


def _png(person: int, pose: int = 0, faces: int = 1, size: int = 4) -> bytes:
    """A picture that the stand-in analyser of the kit takes for a photo of `person`."""
    bgr = np.zeros((size, size, 3), np.uint8)
    bgr[0, 0] = person, pose, faces
    return bytes(cv2.imencode(".png", bgr)[1])


def test_health_is_open_and_says_nothing_else(server: Running) -> None:
    with server.client() as client:
        assert client.get("/api/v1/health").json() == {"status": "ok"}


def test_sightings_newest_first_with_everything_that_explains_them(own_server: Running) -> None:
    anna = enrolled(own_server.site, 1, "Anna Example")
    known = _sighting(decision="known", person_id=anna.person_id, score_cosine=0.7, margin_cosine=0.3)
    first, second = record(own_server.site, known), record(own_server.site, _sighting())
    own_server.services.hub.people = tuple(list_people(own_server.site))
    with own_server.owner() as owner:
        both = owner.get("/api/v1/sightings").json()
        assert [one["id"] for one in both] == [second, first]
        assert both[0]["person"] is None
        assert both[1]["person"] == {"id": anna.person_id, "name": "Anna Example"}
        assert both[1]["first"] == "2027-01-15T08:00:00.000Z"
        assert (both[1]["score"], both[1]["known_from"]) == (0.7, 0.41)
        assert len(owner.get("/api/v1/sightings?limit=1").json()) == 1
        assert [one["id"] for one in owner.get(f"/api/v1/sightings?after={first}").json()] == [second]
        assert owner.get(f"/api/v1/sightings?after={second}").json() == []
    assert own_server.events().count(("view.opened", own_server.owner_actor)) == 1


def test_enrol_view_and_withdraw_each_leave_an_entry(own_server: Running) -> None:
    form = {"name": "Anna Example", "consent": consent().model_dump_json()}
    photos = [("photo", ("a.png", _png(1, 0))), ("photo", ("b.png", _png(1, 1)))]
    with own_server.owner() as owner:
        made = owner.post("/api/v1/people", data=form, files=photos)
        assert made.status_code == 201, made.text
        person_id = made.json()["person_id"]
        listed = owner.get("/api/v1/people").json()
        assert [(one["name"], one["photos"], one["why_not_live"]) for one in listed] == [
            ("Anna Example", 2, None)
        ]
        assert listed[0]["consents"][0]["purpose"] == PURPOSE
        assert owner.get(f"/api/v1/people/{person_id}").json()["id"] == person_id
        again = owner.post("/api/v1/people", data=form, files=photos)
        assert again.status_code == 409
        gone = owner.delete(f"/api/v1/people/{person_id}")
        assert (gone.status_code, gone.json()["templates"]) == (200, 2)
        assert owner.get("/api/v1/people").json() == []
        assert owner.delete(f"/api/v1/people/{person_id}").status_code == 404
    events = [event for event, actor in own_server.events() if actor == own_server.owner_actor]
    assert events == ["person.enrolled", "view.opened", "person.viewed", "person.withdrawn"]


@pytest.mark.parametrize(
    ("form", "photos", "status", "kind"),
    [
        ({"consent": "{}"}, [_png(1)], 422, "consent-invalid"),
        ({"name": "A"}, [_png(1)], 400, "usage-error"),
        ({"name": "A", "consent": "valid"}, [], 400, "usage-error"),
        ({"name": "A", "consent": "valid"}, [b"no picture"], 422, "bad-media"),
        ({"name": "A", "consent": "valid"}, [_png(2, 0, 0)], 422, "no-face-found"),
        ({"name": "A", "consent": "valid"}, [_png(2, 0, 2)], 422, "many-faces-found"),
        ({"name": "A", "consent": "valid"}, [_png(2, 0, 9)], 422, "poor-quality"),
        ({"name": " ", "consent": "valid"}, [_png(2)], 400, "usage-error"),
        ({"name": "A", "consent": "other purpose"}, [_png(2)], 422, "consent-invalid"),
        ({"name": "A", "consent": "expired"}, [_png(2)], 422, "consent-invalid"),
        ({"name": "A", "consent": "demo"}, [_png(2)], 422, "consent-invalid"),
    ],
)
def test_what_cannot_be_enrolled_is_refused_and_leaves_nothing(
    server: Running, form: dict[str, str], photos: list[bytes], status: int, kind: str
) -> None:
    consents = {
        "valid": consent(),
        "other purpose": consent(purpose="marketing"),
        "expired": consent(start=consent().given_on.replace(year=2020)),
        "demo": consent().model_copy(update={"is_demo": True}),
    }
    text = form.get("consent")
    if text in consents:
        form = form | {"consent": consents[text].model_dump_json()}
    with server.owner() as owner:
        answer = owner.post(
            "/api/v1/people",
            data=form,
            files=[("photo", ("p.png", photo)) for photo in photos] or {"other": ("p.png", b"x")},
        )
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:consentry:problem:{kind}")
        assert owner.get("/api/v1/people").json() == []
    assert not [file for file in (server.site.data_dir / "blobs").rglob("*") if file.is_file()]


def test_photos_never_touch_a_temporary_file(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise DiskFull("a photo went to a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1200, 3), np.uint8)
    noise[0, 0] = 1, 0, 1
    large = bytes(cv2.imencode(".png", noise)[1])
    assert len(large) > 3_000_000  # beyond what is spooled to disk by default
    with server.owner() as owner:
        answer = owner.post(
            "/api/v1/verify", files=[("photo", ("a.png", large)), ("photo", ("b.png", large))]
        )
    assert answer.json()["type"] == "urn:consentry:problem:bad-config"  # made-up faces have no calibration


def test_verify_works_undeclared_and_wants_two_photos(undeclared_server: Running) -> None:
    with undeclared_server.owner() as owner:
        one = owner.post("/api/v1/verify", files=[("photo", ("a.png", _png(1)))])
        assert one.json()["type"] == "urn:consentry:problem:usage-error"
        none = owner.post("/api/v1/verify", files=[("photo", ("a.png", _png(1, 0, 0)))] * 2)
        assert none.json()["type"] == "urn:consentry:problem:no-face-found"


def test_identify_needs_a_declaration(undeclared_server: Running) -> None:
    with undeclared_server.owner() as owner:
        answer = owner.post("/api/v1/identify", files={"photo": ("a.png", _png(1))})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:consentry:problem:not-declared")
        declared = owner.get("/api/v1/declaration").json()
    assert (declared["in_force"], declared["declaration"]) == (False, None)
    assert "not declared" in declared["reason"]
    assert "search.made" not in [event for event, _ in undeclared_server.events()]


def test_declaration_checkpoint_and_models(server: Running) -> None:
    with server.owner() as owner:
        declared = owner.get("/api/v1/declaration").json()
        assert declared["in_force"]
        assert declared["declaration"]["purposes"] == [PURPOSE]
        checkpoint = owner.get("/api/v1/ledger/checkpoint").json()
        assert checkpoint["checkpoint"].startswith(server.site.ledger.origin + "\n")
        assert checkpoint["verifier_key"] == str(server.site.ledger.verifier)
        models = owner.get("/api/v1/models").json()
    assert {one["kind"] for one in models} == {"detector", "recogniser"}
    assert all(len(one["sha256"]) == 64 and one["licence"] for one in models)


def test_cameras_never_show_their_passwords(own_server: Running) -> None:
    add_camera(
        own_server.site,
        name="door",
        url="rtsp://admin:secret@127.0.0.1:1/a?k=secret",
        duty=duty("x"),
        actor="t",
    )
    hub = own_server.services.hub
    with own_server.owner() as owner:
        while not hub.cameras:  # the hub looks for new cameras twice a second
            owner.get("/api/v1/me")
        answer = owner.get("/api/v1/cameras")
    assert answer.json()[0]["address"] == "rtsp://***@127.0.0.1:1/a?***"
    assert "secret" not in answer.text


def test_live_pictures_wait_for_a_newer_one(own_server: Running) -> None:
    hub = own_server.services.hub
    hub.live.told(_health("streaming"))
    with own_server.owner() as owner:
        assert owner.get("/api/v1/cameras/door/live.jpg").status_code == 404
        _make_door(own_server)
        assert owner.get("/api/v1/cameras/door/live.jpg").status_code == 204
        hub.live.show(LivePicture("door", 0, 0.5, JPEG))
        first = owner.get("/api/v1/cameras/door/live.jpg")
        assert (first.content, first.headers["content-type"]) == (JPEG, "image/jpeg")
        assert first.headers["cache-control"] == "no-store"
        number = int(first.headers["x-picture-number"])
        same = owner.get(f"/api/v1/cameras/door/live.jpg?after={number}")
        assert same.status_code == 204
        hub.live.show(LivePicture("door", 1, 0.6, JPEG + b"2"))
        newer = owner.get(f"/api/v1/cameras/door/live.jpg?after={number}&wait_s=5")
        assert newer.content == JPEG + b"2"
    assert [event for event, _ in own_server.events()].count("view.opened") == 1


def test_the_stream_ends_with_the_session(own_server: Running) -> None:
    hub = own_server.services.hub
    _make_door(own_server)
    hub.live.show(LivePicture("door", 0, 0.5, JPEG))
    with own_server.owner() as owner, owner.stream("GET", "/api/v1/cameras/door/live.mjpg") as stream:
        parts = stream.iter_bytes()
        received = b""
        while JPEG not in received:
            received += next(parts)
        assert b"Content-Type: image/jpeg" in received
        own_server.services.sessions.close_all(own_server.user("admin", "owner").id)
        hub.live.show(LivePicture("door", 1, 0.6, JPEG + b"2"))
        rest = b"".join(parts)  # ends, because the session has
    assert rest.count(b"Content-Type") <= 1


def test_a_sighting_that_cannot_be_recorded_is_counted(own_server: Running) -> None:
    hub = own_server.services.hub
    with own_server.site.write() as session:
        session.connection().exec_driver_sql("DROP TABLE sighting")
    hub._take(SightingMade(_sighting()))
    assert hub.unrecorded == 1


def test_when_it_cannot_be_read_who_enrolled_nobody_is_recognised(own_server: Running) -> None:
    hub = own_server.services.hub
    enrolled(own_server.site, 1, "Anna Example")
    _make_door(own_server)
    while not hub.people:
        own_server.clock.sleep(0)
    assert hub._roster.version >= 0
    with own_server.site.write() as session:
        session.connection().exec_driver_sql("DROP TABLE site")
    while hub._roster.version != -1:
        own_server.clock.sleep(0)
    assert not hub._roster.references
    assert hub.healthy


def _make_door(server: Running) -> None:
    """Let the hub know a camera `door`, an address where nothing answers."""
    add_camera(server.site, name="door", url="rtsp://127.0.0.1:1/door", duty=duty("x"), actor="t")
    while not server.services.hub.cameras:
        server.services.clock.sleep(0)
