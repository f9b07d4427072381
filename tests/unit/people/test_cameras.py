"""The camera inventory keeps addresses sealed and shows them without passwords."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.people.kit import ACTOR, duty, opened

from consentry.errors import NotFound, UsageError
from consentry.people.cameras import add_camera, camera_url, list_cameras, remove_camera
from consentry.people.scan import Needle, scan_for

URL = "rtsp://admin:hunter2secret@192.0.2.5/stream?token=tokensecret"


def test_a_password_is_under_seal_and_comes_back_for_opening_only(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        added = add_camera(site, name="Front door", url=URL, duty=duty(), actor=ACTOR)
        assert added.url_redacted == "rtsp://***@192.0.2.5/stream?***"
        assert list_cameras(site) == [added]
        assert camera_url(site, "Front door") == URL
        site.database.compact()
        secrets = [Needle("password", b"hunter2secret"), Needle("token", b"tokensecret")]
        assert scan_for(tmp_path, secrets).hits == ()
        assert scan_for(tmp_path, [Needle("name", b"Front door")]).hits != ()  # the scan does see the file


def test_adding_twice_and_removing(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        add_camera(site, name="door", url=URL, duty=duty(), actor=ACTOR)
        with pytest.raises(UsageError, match="there is a camera “door” already"):
            add_camera(site, name="door", url="rtsp://192.0.2.6/", duty=duty(), actor=ACTOR)
        remove_camera(site, "door", actor=ACTOR)
        assert list_cameras(site) == []
        for ask in (lambda: remove_camera(site, "door", actor=ACTOR), lambda: camera_url(site, "door")):
            with pytest.raises(NotFound, match="there is no camera “door”"):
                ask()


@pytest.mark.parametrize("name", ["", " door", "a/b", "x" * 65, "rtsp://admin:hunter2@192.0.2.5/"])
def test_what_cannot_name_a_camera(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as site, pytest.raises(UsageError) as raised:
        add_camera(site, name=name, url=URL, duty=duty(), actor=ACTOR)
    assert "hunter2" not in str(raised.value)


def test_a_camera_needs_a_purpose(tmp_path: Path) -> None:
    with opened(tmp_path) as site, pytest.raises(UsageError, match="needs a purpose"):
        add_camera(site, name="door", url=URL, duty=duty(" "), actor=ACTOR)
