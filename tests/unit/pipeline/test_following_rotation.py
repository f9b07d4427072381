"""A change of the template key while a face is followed: cut or decided anew, never compared across."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.people.kit import PURPOSE, START_UNIX_S, consent, template

from consentry.config import Settings
from consentry.errors import EngineError
from consentry.gallery.calibration import load_calibration
from consentry.gallery.rotation import Rotation
from consentry.models.catalogue import Catalogue
from consentry.people.consent import Place
from consentry.people.roster import Reference
from consentry.pipeline.following import Followed, Following
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import sighting_of
from consentry.pipeline.worker import recogniser_sha256
from consentry.types import Face, Floats, Frame, Picture
from consentry.vision.align import ARCFACE_112_XY
from consentry.vision.track import Track

CALIBRATION = load_calibration(recogniser_sha256(Settings().vision, Catalogue.load()))
KEYS = (Rotation(1, bytes(32)), Rotation(2, bytes(range(32))), None)
STEP_S = 0.21
ADA, STRANGER = 1, 2
FACE = Face(np.array([110, 70, 205, 190], np.float32), ARCFACE_112_XY + np.array([100, 70], np.float32), 0.9)


def _roster(key: Rotation | None) -> Roster:
    """Ada is enrolled, under `key`; under None nobody is."""
    references = []
    if key is not None:
        turned = key.turn(template(ADA, 0)).astype(np.float32)
        references = [Reference("p1", "Ada", turned, PURPOSE, (consent(),), key)]
    return Roster(references, place=Place("door"), calibration=CALIBRATION)


ROSTERS = tuple(_roster(key) for key in KEYS)


class OnePerson:
    """A recogniser that sees the same person in every crop, a little differently each time."""

    sha256 = CALIBRATION.model_sha256
    dimensions = 512

    def __init__(self, person: int) -> None:
        self._person, self.made = person, 0

    def templates(self, crops_bgr: Picture) -> Floats:
        self.made += 1
        return np.stack([template(self._person, self.made)] * len(crops_bgr))

    def close(self) -> None:
        pass


def _picture() -> Picture:
    """Sharp and full of contrast, so that a crop of it is good enough."""
    noise = np.random.default_rng(3).normal(128, 150, (300, 320, 3))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.2), 20, 235).astype(np.uint8)


PICTURE = _picture()


class Watched:
    """One face, seen every `STEP_S` and followed as the pipeline does: one that is cut goes on as another."""

    def __init__(self, person: int) -> None:
        self.following = Following(OnePerson(person), Settings().recognition)
        self.ended: list[Followed] = []
        self._time_s, self._id = 0.0, 1
        self._track = self._new_track()

    def see(self, roster: Roster) -> None:
        """The face in the next frame."""
        self._time_s += STEP_S
        self._track.last_s = self._time_s
        frame = Frame("door", round(self._time_s / STEP_S), self._time_s, PICTURE)
        if not self.following.observe(self._track, frame, roster, START_UNIX_S):
            self.end(roster)

    def end(self, roster: Roster) -> None:
        """The track is over."""
        item = self.following.end(self._track, roster, START_UNIX_S)
        if item is not None:
            self.ended.append(item)
        self._id += 1
        self._track = self._new_track()

    def now(self) -> Followed | None:
        """What is known of the present track."""
        return self.following.of(self._track.track_id)

    def outcomes(self) -> Sequence[str]:
        """What was decided of each track that is over."""
        return [item.decision.outcome if item.decision else item.undecided for item in self.ended]

    def _new_track(self) -> Track:
        return Track(self._id, self._time_s, self._time_s, 1, FACE)


def test_a_decided_track_is_cut_and_the_rest_is_decided_under_the_new_key() -> None:
    watched = Watched(ADA)
    for roster in (ROSTERS[0], ROSTERS[1]):
        for _ in range(8):
            watched.see(roster)
    watched.end(ROSTERS[1])
    assert watched.outcomes() == ["known", "known"]
    first, second = watched.ended
    assert (first.rotation, second.rotation) == KEYS[:2]
    assert second.decision is not None
    assert second.decision.gallery_digest == ROSTERS[1].gallery.digest


def test_an_undecided_track_collects_from_the_start() -> None:
    watched = Watched(ADA)
    for _ in range(3):
        watched.see(ROSTERS[0])
    for _ in range(4):
        watched.see(ROSTERS[1])
    item = watched.now()
    assert item is not None
    assert (item.decision, len(item.evidence), item.rotation) == (None, 4, KEYS[1])
    watched.see(ROSTERS[1])
    watched.end(ROSTERS[1])
    (decision,) = [item.decision for item in watched.ended]
    assert decision is not None
    assert (decision.outcome, decision.frames) == ("known", 5)


def test_what_was_collected_under_the_old_key_is_never_searched_under_the_new_one() -> None:
    watched = Watched(ADA)
    for _ in range(3):
        watched.see(ROSTERS[0])
    watched.end(ROSTERS[1])
    (item,) = watched.ended
    sighting = sighting_of("door", item, model=CALIBRATION.model_sha256, calibration=CALIBRATION.version)
    assert (sighting.decision, sighting.score, sighting.crops) == ("unknown", None, 0)
    assert sighting.reason == "the template key was changed before it could be decided"


def test_the_same_key_sent_again_cuts_nothing() -> None:
    watched = Watched(ADA)
    for _ in range(8):
        watched.see(ROSTERS[0])
    for _ in range(8):
        watched.see(_roster(Rotation(1, bytes(32))))
    watched.end(ROSTERS[0])
    assert watched.outcomes() == ["known"]


def test_after_a_cut_the_face_is_covered_until_it_is_proved_again() -> None:
    watched = Watched(ADA)
    for _ in range(8):
        watched.see(ROSTERS[0])
    shown_until_s = watched._time_s
    assert watched.following.may_show(1, shown_until_s - STEP_S, ROSTERS[0], START_UNIX_S)
    watched.see(ROSTERS[1])
    cut_s = watched._time_s
    assert not watched.following.may_show(1, cut_s, ROSTERS[1], START_UNIX_S)
    for _ in range(4):
        watched.see(ROSTERS[1])
        assert not watched.following.may_show(2, watched._time_s, ROSTERS[1], START_UNIX_S)


@given(
    person=st.sampled_from([ADA, STRANGER]),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans()), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_whenever_the_key_changes_no_score_is_of_two_keys(
    person: int, steps: list[tuple[int, int, bool]]
) -> None:
    """Across two keys mates score about 0: Ada would be unknown to a gallery that has her."""
    watched = Watched(person)
    for index, frames, ends in steps:
        for _ in range(frames):
            watched.see(ROSTERS[index])
        if ends:
            watched.end(ROSTERS[index])
    watched.end(ROSTERS[0])
    for item in watched.ended:
        if item.decision is None:
            continue
        expected = "known" if person == ADA and item.rotation is not None else "unknown"
        assert item.decision.outcome == expected
        digests = {roster.rotation: roster.gallery.digest for roster in ROSTERS}
        assert item.decision.gallery_digest == digests[item.rotation]


def test_references_under_two_keys_are_refused_together() -> None:
    one, other = KEYS[:2]
    references = [Reference("p", "Ada", template(ADA, 0), PURPOSE, (consent(),), key) for key in (one, other)]
    with pytest.raises(EngineError, match="under different rotations"):
        Roster(references, place=Place("door"), calibration=CALIBRATION)
