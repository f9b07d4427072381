"""What the tests of people share: an installation in a temporary folder, and made-up faces.

The analyser here stands in for detector and recogniser where those are not the point: a picture's first
three bytes say who is in it, in which pose, and how many faces there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from consentry.clock import Clock, SimulatedClock
from consentry.errors import NoFaceFound
from consentry.people.cameras import CameraDuty
from consentry.people.consent import ConsentNotice, ConsentRecord, ConsentScope
from consentry.people.declaration import Declaration, PostedNotice, declare
from consentry.people.enrol import EnrolmentResult, Photo, enrol
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE
from consentry.people.roster import list_people
from consentry.people.sightings import Sighting
from consentry.people.site import Site
from consentry.people.tombstones import FILE_VARIABLE as TOMBSTONES_VARIABLE
from consentry.types import Floats, Picture
from consentry.vision.sample import FaceSample

START_UNIX_S = 1_800_000_000.0
START = datetime.fromtimestamp(START_UNIX_S, UTC)
PURPOSE = "entrance"
RECOGNISER = "ab" * 32
ACTOR = "tester"
NO_FACE, MANY_FACES, BLURRED = 0, 2, 9


@contextmanager
def secrets_of(folder: Path) -> Iterator[None]:
    """Site key and tombstones are looked for in `folder`."""
    environment = {
        FILE_VARIABLE: str(folder / "site.key"),
        KEY_VARIABLE: "",
        PASSPHRASE_VARIABLE: "",
        TOMBSTONES_VARIABLE: str(folder / "tombstones"),
    }
    with patch.dict(os.environ, environment):
        yield


@contextmanager
def opened(
    folder: Path, *, clock: Clock | None = None, create: bool = True, declared: bool = False
) -> Iterator[Site]:
    """The installation in `folder/data`, its key in `folder/site.key`, at `START_UNIX_S`."""
    with secrets_of(folder):
        site = Site.open(folder / "data", clock=clock or SimulatedClock(START_UNIX_S), create=create)
        with site:
            if declared:
                declare(site, declaration(), actor=ACTOR)
            yield site


def declaration(*purposes: str, review_due_on: date | None = None) -> Declaration:
    """A valid declaration of `purposes`, `PURPOSE` by default, due for review in a year."""
    return Declaration(
        schema_version="consentry-declaration-1",
        purposes=purposes or (PURPOSE,),
        controller="Example Ltd",
        contact="privacy@example.org",
        legal_basis="explicit consent, GDPR Art. 9(2)(a)",
        notice=PostedNotice(text="Cameras here recognise people who agreed.", posted_at="at the door"),
        review_due_on=review_due_on or START.date() + timedelta(days=365),
        acceptable_use_accepted=True,
    )


def consent(
    *,
    purpose: str = PURPOSE,
    start: datetime = START,
    days: float = 100,
    may_be_shown: bool = True,
    cameras: frozenset[str] | None = None,
    zones: frozenset[str] | None = None,
) -> ConsentRecord:
    """A consent given at `start` for `days`."""
    return ConsentRecord(
        schema_version="consentry-consent-1",
        purpose=purpose,
        state="given",
        given_on=start,
        valid_from=start,
        valid_until=start + timedelta(days=days),
        notice=ConsentNotice(uri="https://example.org/notice", version="3", sha256="0" * 64),
        may_be_shown=may_be_shown,
        alternative="a badge",
        scope=ConsentScope(cameras=cameras, zones=zones),
        given_by="person",
    )


def duty(purpose: str = PURPOSE) -> CameraDuty:
    """What a camera is there for, with a review in half a year."""
    return CameraDuty(purpose, owner="Example Ltd", review_due_on=START.date() + timedelta(days=180))


def template(person: int, pose: int) -> Floats:
    """A unit vector near to the others of `person` (cosine about 0.8) and far from everyone else's."""
    base = np.random.default_rng(person).standard_normal(512)
    noise = np.random.default_rng(1000 * person + pose + 7).standard_normal(512)
    mixed = base + 0.5 * noise
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def photo(person: int, pose: int = 0, faces: int = 1) -> Photo:
    """A photo of `person` whose bytes are random but for a JPEG's first three."""
    bgr = np.zeros((4, 4, 3), np.uint8)
    bgr[0, 0] = person, pose, faces
    noise = np.random.default_rng(100 * person + pose).integers(0, 256, 5000, dtype=np.uint8)
    return Photo(f"{person}-{pose}.jpg", b"\xff\xd8\xff" + noise.tobytes(), bgr)


class FakeAnalyser:
    """See the module's text; `seen` counts the pictures it was given."""

    recogniser_sha256 = RECOGNISER

    def __init__(self) -> None:
        self.seen = 0

    def analyse(self, bgr: Picture) -> list[FaceSample]:
        self.seen += 1
        person, pose, faces = (int(value) for value in bgr[0, 0])
        refusals = ("face is 20 px wide, 64 needed",) if faces == BLURRED else ()
        sample = FaceSample(
            xyxy=np.array([0, 0, 4, 4], np.float32),
            landmarks_xy=np.zeros((5, 2), np.float32),
            score=0.9,
            template=template(person, pose),
            quality=0.1 if refusals else 0.8,
            refusals=refusals,
        )
        return [sample] * (1 if refusals else faces)


def kept_without_photo(site: Site, person: int, name: str) -> str:
    """Somebody whose photo shows no face and who is kept all the same; returns their id."""
    before = {one.id for one in list_people(site)}
    with pytest.raises(NoFaceFound):
        enrol(
            site,
            FakeAnalyser(),
            name=name,
            photos=[photo(person, 0, NO_FACE)],
            consent=consent(),
            actor=ACTOR,
            keep_refused=True,
        )
    (kept,) = {one.id for one in list_people(site)} - before
    return kept


def sighting(**changes: object) -> Sighting:
    """The record of a decision: two seconds at the door, of nobody who is enrolled."""
    start_unix_ms = round(START_UNIX_S * 1000)
    values: dict[str, object] = {
        "camera": "door",
        "track": 1,
        "first_unix_ms": start_unix_ms,
        "last_unix_ms": start_unix_ms + 2000,
        "frames": 30,
        "fused_crops": 5,
        "decision": "unknown",
        "person_id": None,
        "score_cosine": None,
        "margin_cosine": None,
        "quality": 0.7,
        "best_xyxy": (1.0, 2.0, 3.0, 4.0),
        "recogniser_sha256": RECOGNISER,
        "calibration": "c1",
        "gallery_digest": "cd" * 32,
        "known_cosine": 0.41,
        "unsure_cosine": 0.36,
    }
    return Sighting(**{**values, **changes})  # type: ignore[arg-type]


def enrolled(site: Site, person: int, name: str, record: ConsentRecord | None = None) -> EnrolmentResult:
    """Enrol made-up `person` from two photos."""
    return enrol(
        site,
        FakeAnalyser(),
        name=name,
        photos=[photo(person, 0), photo(person, 1)],
        consent=record or consent(),
        actor=ACTOR,
    )
