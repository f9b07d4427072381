"""Enrol, verify and identify through the API, with the real models and the two public-domain portraits."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import httpx
import numpy as np
import pytest
from tests.unit.people.kit import consent
from tests.unit.server.kit import Running, running

from consentry.types import Picture
from consentry.vision.analyse import PhotoAnalyst
from consentry.vision.load import Engines

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def real_server(
    tmp_path_factory: pytest.TempPathFactory, fast_engines: Engines, collins_bgr: Picture
) -> Iterator[Running]:
    """Eileen Collins is enrolled through the API; Grace Hopper is not."""
    folder = tmp_path_factory.mktemp("real")
    with running(folder, declared=True, analyser=PhotoAnalyst(fast_engines)) as it:
        with it.owner() as owner:
            form = {"name": "Eileen Collins", "consent": consent().model_dump_json()}
            made = owner.post("/api/v1/people", data=form, files=[_photo(collins_bgr)])
            assert made.status_code == 201, made.text
        yield it


def _photo(bgr: Picture) -> tuple[str, tuple[str, bytes]]:
    return "photo", ("p.jpg", bytes(cv2.imencode(".jpg", bgr)[1]))


def _darker(bgr: Picture) -> Picture:
    return (bgr * 0.8).astype(np.uint8)


def _posted(server: Running, path: str, *photos: Picture) -> httpx.Response:
    with server.owner() as owner:
        return owner.post(path, files=[_photo(bgr) for bgr in photos])


def test_verify_tells_one_person_from_two(
    real_server: Running, collins_bgr: Picture, hopper_bgr: Picture
) -> None:
    same = _posted(real_server, "/api/v1/verify", collins_bgr, _darker(collins_bgr))
    other = _posted(real_server, "/api/v1/verify", collins_bgr, hopper_bgr)
    assert same.json()["match"] is True
    assert other.json()["match"] is False
    assert same.json()["score"] > same.json()["threshold"] > other.json()["score"]


def test_identify_knows_who_enrolled_and_nobody_else(
    real_server: Running, collins_bgr: Picture, hopper_bgr: Picture
) -> None:
    known = _posted(real_server, "/api/v1/identify", collins_bgr[:, ::-1].copy()).json()
    assert known["decision"] == "known"
    assert known["person"]["name"] == "Eileen Collins"
    before = [event for event, _ in real_server.events()].count("search.made")
    unknown = _posted(real_server, "/api/v1/identify", hopper_bgr).json()
    assert (unknown["decision"], unknown["person"]) == ("unknown", None)
    assert unknown["references"] == 1
    assert [event for event, _ in real_server.events()].count("search.made") == before + 1


def test_identify_for_a_purpose_that_is_not_declared_is_refused(
    real_server: Running, collins_bgr: Picture
) -> None:
    answer = _posted(real_server, "/api/v1/identify?purpose=marketing", collins_bgr)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:consentry:problem:not-declared"
