"""Cameras over the API: added, reviewed, removed, their passwords never told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.people.kit import PURPOSE
from tests.unit.server.kit import Running

from consentry.people.cameras import camera_url, list_cameras

ADDRESS = "rtsp://admin:hunter2secret@127.0.0.1:9/stream?token=tokensecret"
DOOR = {"name": "Front door", "address": ADDRESS, "purpose": PURPOSE}


@pytest.fixture
def unhosted(own_server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A server whose hub starts no worker: the addresses here lead nowhere."""
    monkeypatch.setattr(own_server.services.hub, "_spec", lambda: None)
    return own_server


def test_add_review_and_remove(unhosted: Running) -> None:
    with unhosted.owner() as owner:
        added = owner.post("/api/v1/cameras", json=DOOR | {"zone": "lobby"})
        assert added.status_code == 201, added.text
        assert added.json()["address"] == "rtsp://***@127.0.0.1:9/stream?***"
        assert added.json()["owner"] == "Example Ltd"  # the declaration's controller
        assert camera_url(unhosted.site, "Front door") == ADDRESS
        changed = owner.patch(
            "/api/v1/cameras/Front door", json={"review_due_on": "2028-06-30", "owner": "Ada", "zone": ""}
        )
        assert changed.status_code == 200, changed.text
        assert changed.json()["review_due_on"] == "2028-06-30"
        assert (changed.json()["owner"], changed.json()["zone"]) == ("Ada", None)
        assert changed.json()["purpose"] == PURPOSE
        unhosted.services.hub.look()
        listed = owner.get("/api/v1/cameras").json()
        assert listed[0]["why_not_recognising"] == "nobody is enrolled whose consent holds here"
        assert owner.delete("/api/v1/cameras/Front door").status_code == 204
        assert owner.delete("/api/v1/cameras/Front door").status_code == 404
        assert owner.patch("/api/v1/cameras/Front door", json={"owner": "x"}).status_code == 404
        said = added.text + changed.text + str(listed)
    assert "hunter2" not in said
    assert "tokensecret" not in said
    events = [event for event, actor in unhosted.events() if actor == unhosted.owner_actor]
    assert events[-3:] == ["camera.added", "camera.reviewed", "camera.removed"]


@pytest.mark.parametrize(
    "change",
    [
        {"address": "/etc/passwd"},
        {"address": "file:///etc/passwd"},
        {"address": "gopher://127.0.0.1/"},
        {"address": "rtsp://admin:hunter2secret@/x"},
        {"address": "rtsp://admin:hunter2secret@x@y/"},
        {"address": "webcam:x"},
        {"address": ""},
        {"address": ["rtsp://admin:hunter2secret@127.0.0.1/"]},
        {"name": "a/b"},
        {"purpose": " "},
        {"review_due_on": "2020-01-01"},
        {"review_due_on": "hunter2secret"},
        {"record_everything": True},
    ],
)
def test_what_is_no_camera_is_refused_without_repeating_it(server: Running, change: dict[str, Any]) -> None:
    with server.owner() as owner:
        refused = owner.post("/api/v1/cameras", json=DOOR | change)
    assert refused.status_code in (400, 422), refused.text
    assert "hunter2" not in refused.text
    assert list_cameras(server.site) == []


def test_nobody_else_may(server: Running) -> None:
    with server.client() as nobody:
        assert nobody.post("/api/v1/cameras", json=DOOR).status_code == 401
        assert nobody.patch("/api/v1/cameras/door", json={}).status_code == 401
        assert nobody.delete("/api/v1/cameras/door").status_code == 401
