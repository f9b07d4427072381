"""Enrolment with the real detector and recogniser on the two public-domain portraits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from tests.unit.people.kit import ACTOR, START_UNIX_S, opened
from typer.testing import CliRunner

from consentry.cli import declare, person
from consentry.errors import DuplicatePerson, EnrolmentRefused, ManyFacesFound, NoFaceFound
from consentry.gallery.calibration import load_calibration
from consentry.people.consent import DEMO, demo_consent
from consentry.people.declaration import declare_demo
from consentry.people.enrol import Photo, enrol
from consentry.people.roster import gallery_snapshot, list_people
from consentry.people.site import Site
from consentry.pipeline.roster import ANYWHERE, Roster
from consentry.types import Picture
from consentry.vision.analyse import PhotoAnalyst
from consentry.vision.load import Engines

pytestmark = pytest.mark.models


def _photo(label: str, bgr: Picture) -> Photo:
    encoded, jpeg = cv2.imencode(".jpg", bgr)
    assert encoded
    return Photo(label, jpeg.tobytes(), bgr)


def _enrol(site: Site, engines: Engines, name: str, *photos: Photo) -> str:
    return enrol(
        site,
        PhotoAnalyst(engines),
        name=name,
        photos=photos,
        consent=demo_consent(START_UNIX_S),
        actor=ACTOR,
    ).person_id


def test_two_people_are_two_and_one_is_one(
    tmp_path: Path, exact_engines: Engines, collins_bgr: Picture, hopper_bgr: Picture
) -> None:
    with opened(tmp_path) as site:
        declare_demo(site, actor=ACTOR)
        collins = _enrol(site, exact_engines, "Eileen Collins", _photo("collins.jpg", collins_bgr))
        hopper = _enrol(site, exact_engines, "Grace Hopper", _photo("hopper.jpg", hopper_bgr))
        assert collins != hopper
        darker = (collins_bgr * 0.8).astype(np.uint8)
        with pytest.raises(DuplicatePerson, match=f"as person {collins}"):
            _enrol(site, exact_engines, "Someone Else", _photo("darker.jpg", darker))
        analyst = PhotoAnalyst(exact_engines)
        references = gallery_snapshot(
            site, purpose=DEMO, recogniser_sha256=analyst.recogniser_sha256, at_unix_s=START_UNIX_S
        )
        (sample,) = analyst.analyse(collins_bgr)
        roster = Roster(references, place=ANYWHERE, calibration=load_calibration(analyst.recogniser_sha256))
        probe = roster.probes(sample.template)
        cosines = {one.name: float(one.template @ probe) for one in references}
        assert cosines["Eileen Collins"] > 0.999
        assert cosines["Grace Hopper"] < 0.33


def test_what_a_photo_must_not_be(
    tmp_path: Path, exact_engines: Engines, collins_bgr: Picture, hopper_bgr: Picture
) -> None:
    height = min(len(collins_bgr), len(hopper_bgr))
    both = np.hstack([collins_bgr[:height], hopper_bgr[:height]])
    small = np.full_like(collins_bgr, 128)
    shrunk = cv2.resize(collins_bgr, (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)
    small[200:264, 200:264] = shrunk
    with opened(tmp_path) as site:
        declare_demo(site, actor=ACTOR)
        with pytest.raises(ManyFacesFound, match=r"both\.jpg: 2 faces found"):
            _enrol(site, exact_engines, "Both", _photo("both.jpg", both))
        with pytest.raises(NoFaceFound, match=r"grey\.jpg: no face found"):
            _enrol(site, exact_engines, "Grey", _photo("grey.jpg", np.full_like(collins_bgr, 128)))
        with pytest.raises(EnrolmentRefused, match=r"small\.jpg: .*(px|no face found)"):
            _enrol(site, exact_engines, "Small", _photo("small.jpg", small))
        with pytest.raises(EnrolmentRefused, match="not the one of the other photos"):
            _enrol(
                site,
                exact_engines,
                "Mixed",
                _photo("collins.jpg", collins_bgr),
                _photo("hopper.jpg", hopper_bgr),
            )
        assert list_people(site) == []
        assert list(site.blobs.names()) == []


def test_the_command(tmp_path: Path, collins_bgr: Picture) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.add_typer(person.app, name="person")
    app.add_typer(declare.app, name="declare")
    path = tmp_path / "collins.jpg"
    path.write_bytes(_photo("collins.jpg", collins_bgr).original)
    data = ["--data", str(tmp_path / "data")]
    assert CliRunner().invoke(app, ["declare", "--demo", *data]).exit_code == 0
    words = ["person", "enrol", "Eileen Collins", str(path), "--consent-demo", "--json", *data]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    enrolled = json.loads(result.output)
    listed = json.loads(CliRunner().invoke(app, ["person", "list", "--json", *data]).output)
    assert [(one["id"], one["name"], one["live"]) for one in listed] == [
        (enrolled["person_id"], "Eileen Collins", True)
    ]
    assert listed[0]["enrolled"][:10] == datetime.now(UTC).date().isoformat()
