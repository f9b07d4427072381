"""Acts that two different people must agree to, and settings that count only then."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.people.kit import START, START_UNIX_S, consent, duty, enrolled, opened

from consentry.clock import SimulatedClock
from consentry.config import DEFAULT_RETENTION, Recognition, Redaction, Settings, Vision
from consentry.errors import ApprovalNeeded, ConsentryError, Forbidden, NotFound, UsageError
from consentry.ledger.checkpoint import Checkpoint, open_note
from consentry.people.agreed import PROTECTED, agreed_values, effective_settings, take_back
from consentry.people.approvals import (
    VALID_MS,
    ApprovalKind,
    NewApproval,
    agree,
    approval_of,
    ask,
    list_approvals,
    refuse,
    require_agreed,
)
from consentry.people.bulk import export_sightings
from consentry.people.cameras import add_camera
from consentry.people.erase import withdraw
from consentry.people.sightings import Sighting, record
from consentry.people.site import Site
from consentry.store.schema import UserRow

PAYLOADS: dict[ApprovalKind, dict[str, object]] = {
    "threshold.lower": {"setting": "recognition.fpir", "value": 0.01},
    "redaction.weaken": {"setting": "redaction.style", "value": "blur"},
    "unseal": {"camera": "door", "start": START.isoformat(), "end": "2027-01-16T00:00:00Z"},
    "bulk.export": {"start": START.isoformat(), "end": "2027-01-16T00:00:00Z"},
    "ledger.delete_payloads": {"before": START.isoformat()},
}
PLAIN_KINDS: list[ApprovalKind] = ["unseal", "bulk.export", "ledger.delete_payloads"]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_UNIX_S)


@pytest.fixture
def site(tmp_path: Path, clock: SimulatedClock) -> Iterator[Site]:
    """With two admins, an operator and a viewer."""
    with opened(tmp_path, clock=clock, declared=True) as it:
        with it.write() as session:
            for name, role in (("ada", "admin"), ("bob", "admin"), ("olga", "operator"), ("vera", "viewer")):
                session.add(UserRow(id=name, name=name, role=role, created_unix_ms=it.now_unix_ms()))
        yield it


def _ask(site: Site, kind: ApprovalKind, user_id: str = "ada", **payload: object) -> str:
    wanted = NewApproval(kind=kind, payload=payload or PAYLOADS[kind], reason="a reason")
    return ask(site, wanted, user_id=user_id).id


def _use(site: Site, approval_id: str, kind: ApprovalKind, user_id: str = "ada") -> None:
    with site.write() as session:
        require_agreed(site, session, approval_id, kind, user_id=user_id)


def _events(site: Site) -> list[str]:
    with site.read() as session:
        rows = session.connection().exec_driver_sql("SELECT event FROM ledger_entry ORDER BY seq")
        return [str(event) for (event,) in rows]


@pytest.mark.parametrize("kind", PLAIN_KINDS)
def test_one_asks_another_agrees_then_it_happens_once(site: Site, kind: ApprovalKind) -> None:
    approval_id = _ask(site, kind)
    with pytest.raises(ApprovalNeeded):
        _use(site, approval_id, kind)
    with pytest.raises(ApprovalNeeded):
        agree(site, approval_id, user_id="ada")
    assert agree(site, approval_id, user_id="bob").state == "agreed"
    with pytest.raises(ApprovalNeeded):
        agree(site, approval_id, user_id="bob")
    for other in ("bob", "olga"):
        with pytest.raises(ApprovalNeeded):
            _use(site, approval_id, kind, other)
    for wrong in set(PLAIN_KINDS) - {kind}:
        with pytest.raises(ApprovalNeeded):
            _use(site, approval_id, wrong)
    _use(site, approval_id, kind)
    assert approval_of(site, approval_id).state == "done"
    with pytest.raises(ApprovalNeeded):
        _use(site, approval_id, kind)
    assert _events(site)[-3:] == ["approval.asked", "approval.agreed", "approval.used"]


def test_an_act_that_fails_leaves_the_approval_to_be_used_again(site: Site) -> None:
    approval_id = _ask(site, "unseal")
    agree(site, approval_id, user_id="bob")

    def fail() -> None:
        with site.write() as session:
            require_agreed(site, session, approval_id, "unseal", user_id="ada")
            raise RuntimeError("the act failed")

    with pytest.raises(RuntimeError):
        fail()
    _use(site, approval_id, "unseal")


@pytest.mark.parametrize("kind", get_args(ApprovalKind))
def test_who_may_ask_and_who_may_agree(site: Site, kind: ApprovalKind) -> None:
    with pytest.raises(Forbidden):
        _ask(site, kind, "vera")
    if kind in ("unseal", "bulk.export"):
        approval_id = _ask(site, kind, "olga")
    else:
        with pytest.raises(Forbidden):
            _ask(site, kind, "olga")
        approval_id = _ask(site, kind)
    for user_id in ("vera", "nobody"):
        with pytest.raises(Forbidden):
            agree(site, approval_id, user_id=user_id)
    assert approval_of(site, approval_id).state == "open"


def test_it_runs_out_before_and_after_agreement(site: Site, clock: SimulatedClock) -> None:
    first, second = _ask(site, "unseal"), _ask(site, "unseal")
    clock.advance(VALID_MS / 1000 - 1)
    agree(site, second, user_id="bob")
    clock.advance(1)
    assert {one.id: one.state for one in list_approvals(site)} == {first: "expired", second: "agreed"}
    with pytest.raises(ApprovalNeeded):
        agree(site, first, user_id="bob")
    clock.advance(VALID_MS / 1000 - 1)
    with pytest.raises(ApprovalNeeded):
        _use(site, second, "unseal")


def test_refused_and_taken_back(site: Site) -> None:
    for user_id in ("bob", "ada"):
        approval_id = _ask(site, "unseal")
        assert refuse(site, approval_id, user_id=user_id).state == "refused"
        with pytest.raises(ApprovalNeeded):
            agree(site, approval_id, user_id="bob")
    with pytest.raises(Forbidden):
        refuse(site, _ask(site, "unseal"), user_id="vera")


def test_an_account_made_for_the_purpose_does_not_count(site: Site, clock: SimulatedClock) -> None:
    approval_id = _ask(site, "unseal")
    clock.advance(1)
    with site.write() as session:
        session.add(UserRow(id="puppet", name="puppet", role="admin", created_unix_ms=site.now_unix_ms()))
    with pytest.raises(ApprovalNeeded):
        agree(site, approval_id, user_id="puppet")


def test_who_was_disabled_or_demoted_neither_agrees_nor_goes_on(site: Site) -> None:
    approval_id = _ask(site, "ledger.delete_payloads")
    agree(site, approval_id, user_id="bob")
    open_id = _ask(site, "unseal", "olga")
    with site.write() as session:
        session.get_one(UserRow, "ada").role = "operator"
        session.get_one(UserRow, "bob").is_disabled = True
    with pytest.raises(Forbidden):
        _use(site, approval_id, "ledger.delete_payloads")
    with pytest.raises(Forbidden):
        agree(site, open_id, user_id="bob")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("threshold.lower", {"setting": "recognition.fpir", "value": 0.001}),
        ("threshold.lower", {"setting": "recognition.fpir", "value": 2.0}),
        ("threshold.lower", {"setting": "recognition.fpir", "value": "x"}),
        ("threshold.lower", {"setting": "redaction.style", "value": "blur"}),
        ("threshold.lower", {"setting": "server.port", "value": 1}),
        ("redaction.weaken", {"setting": "redaction.style", "value": "none"}),
        ("redaction.weaken", {"setting": "redaction.style", "value": "solid"}),
        ("redaction.weaken", {"setting": "redaction.margin", "value": -1.0}),
        ("redaction.weaken", {"setting": "redaction.style"}),
        ("bulk.export", {"start": START.isoformat(), "end": START.isoformat()}),
        ("bulk.export", {"start": "yesterday", "end": START.isoformat()}),
        ("bulk.export", {"start": START.isoformat(), "end": START.isoformat(), "more": 1}),
        ("ledger.delete_payloads", {}),
        ("ledger.delete_payloads", {"before": "2030-01-01T00:00:00Z"}),
    ],
)
def test_what_cannot_be_asked_for(site: Site, kind: ApprovalKind, payload: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ask(site, NewApproval(kind=kind, payload=payload, reason="x"), user_id="ada")
    assert list_approvals(site) == []


def test_redaction_cannot_be_switched_off_by_any_agreement() -> None:
    """Every value that can be agreed to is one of these settings, and none of them means “no cover”."""
    assert {name for name, one in PROTECTED.items() if one.kind == "redaction.weaken"} == {
        "vision.cover_score",
        "vision.detect_wh",
        "redaction.style",
        "redaction.margin",
        "redaction.lead_s",
        "redaction.trail_s",
    }
    assert set(get_args(Redaction.model_fields["style"].annotation)) == {"solid", "mosaic", "blur"}


WEAKER = Settings.model_construct(
    vision=Vision(find_score=0.3, cover_score=0.6, detect_wh=(320, 384)),
    recognition=Recognition(fpir=0.01, min_margin=0.01, track_crops=1, min_face_px=16),
    redaction=Redaction(style="blur", margin=0.1, lead_s=0.0, trail_s=0.0),
)


def test_weaker_values_do_not_count_alone(site: Site) -> None:
    for where in (site, None):
        used, refused = effective_settings(where, WEAKER)
        assert {one.setting for one in refused} == set(PROTECTED)
        for name in PROTECTED:
            group, field = name.split(".")
            assert getattr(getattr(used, group), field) == getattr(
                getattr(Settings.model_construct(), group), field
            )
    assert WEAKER.redaction.style == "blur"
    assert "two people must agree" in str(refused[0])


def test_stronger_values_count_without_anybody() -> None:
    stronger = Settings.model_construct(
        recognition=Recognition(fpir=0.0001, min_margin=0.2, track_crops=9, min_face_px=64),
        redaction=Redaction(margin=0.6, lead_s=2.0, trail_s=2.0),
        vision=Vision(find_score=0.7, cover_score=0.1, detect_wh=(1280, 736)),
    )
    used, refused = effective_settings(None, stronger)
    assert (used, refused) == (stronger, [])


def test_what_was_agreed_to_counts_as_far_as_it_was_agreed_to(site: Site) -> None:
    agree(site, _ask(site, "threshold.lower"), user_id="bob")
    agree(site, _ask(site, "redaction.weaken"), user_id="bob")
    assert agreed_values(site) == {"recognition.fpir": 0.01, "redaction.style": "blur"}
    used, refused = effective_settings(site, WEAKER)
    assert (used.recognition.fpir, used.redaction.style) == (0.01, "blur")
    assert {one.setting for one in refused} == set(PROTECTED) - {"recognition.fpir", "redaction.style"}
    further = Settings.model_construct(
        recognition=Recognition(fpir=0.02), redaction=Redaction(style="mosaic")
    )
    used, refused = effective_settings(site, further)
    assert (used.recognition.fpir, used.redaction.style, len(refused)) == (0.003, "solid", 2)
    take_back(site, "recognition.fpir", actor="test")
    assert effective_settings(site, WEAKER)[0].recognition.fpir == 0.003
    with pytest.raises(NotFound):
        take_back(site, "recognition.fpir", actor="test")


def test_a_smaller_picture_to_look_for_faces_in_is_agreed_to_side_by_side(site: Site) -> None:
    asked = _ask(site, "redaction.weaken", setting="vision.detect_wh", value=[320, 192])
    agree(site, asked, user_id="bob")
    for detect_wh, used_wh in (((320, 192), (320, 192)), ((640, 200), (640, 200)), ((300, 384), (640, 384))):
        used, _ = effective_settings(site, Settings.model_construct(vision=Vision(detect_wh=detect_wh)))
        assert used.vision.detect_wh == used_wh
    for value in ([640, 384], [320], "320x192", [320.5, 192]):
        with pytest.raises(UsageError):
            _ask(site, "redaction.weaken", setting="vision.detect_wh", value=value)


@given(
    fpir=st.floats(1e-6, 0.999),
    margin=st.floats(0.0, 1.0),
    cover=st.floats(0.0, 1.0),
    trail_s=st.floats(0.0, 5.0),
)
def test_nothing_in_use_is_ever_weaker_than_its_default(
    fpir: float, margin: float, cover: float, trail_s: float
) -> None:
    wanted = Settings.model_construct(
        recognition=Recognition(fpir=fpir, min_margin=margin),
        vision=Vision(cover_score=cover),
        redaction=Redaction(trail_s=trail_s),
    )
    used, _ = effective_settings(None, wanted)
    assert used.recognition.fpir <= 0.003
    assert used.recognition.min_margin >= 0.05
    assert used.vision.cover_score <= 0.2
    assert used.redaction.trail_s >= 0.7


def _seen(camera: str, person_id: str | None, *, after_s: float = 60) -> Sighting:
    at_unix_ms = round((START_UNIX_S + after_s) * 1000)
    return Sighting(
        camera=camera,
        track=1,
        first_unix_ms=at_unix_ms,
        last_unix_ms=at_unix_ms + 1000,
        frames=9,
        fused_crops=5,
        decision="known" if person_id else "unknown",
        person_id=person_id,
        score_cosine=0.7 if person_id else None,
        margin_cosine=None,
        quality=0.7,
        best_xyxy=(1.0, 2.0, 3.0, 4.0),
        recogniser_sha256="ab" * 32,
        calibration="c",
        gallery_digest="d",
        known_cosine=0.4,
        unsure_cosine=0.3,
    )


def test_a_bulk_export_names_only_those_whose_consent_allows_it(site: Site) -> None:
    yes = enrolled(site, 1, "=Anna Yes")
    no = enrolled(site, 2, "Bert No", consent(may_be_shown=False))
    elsewhere = enrolled(site, 3, "Cleo Elsewhere", consent(cameras=frozenset({"back"})))
    gone = enrolled(site, 4, "Dora Gone")
    add_camera(site, name="door", url="rtsp://127.0.0.1:1/", duty=duty(), actor="t")
    for person in (yes, no, elsewhere, gone):
        record(site, _seen("door", person.person_id))
    record(site, _seen("door", None))
    record(site, _seen("door", yes.person_id, after_s=2 * 86400))
    withdraw(site, gone.person_id, reason="asked", actor="t")
    approval_id = _ask(site, "bulk.export", "olga")
    with pytest.raises(ApprovalNeeded):
        export_sightings(site, approval_id, DEFAULT_RETENTION, user_id="olga")
    agree(site, approval_id, user_id="ada")
    packed = export_sightings(site, approval_id, DEFAULT_RETENTION, user_id="olga")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        lines = archive.read("sightings.csv").decode().splitlines()
        checkpoint = Checkpoint.parse(
            open_note(archive.read("checkpoint.txt").decode(), site.ledger.verifier)
        )
    assert checkpoint.size == len(_events(site))  # the entry about this export is the last it covers
    assert len(lines) == 1 + 5
    assert [line.rsplit(",", 1)[1] for line in lines] == ["name", "'=Anna Yes", "", "", "", ""]
    assert "0.7" not in "".join(lines)
    assert _events(site)[-2:] == ["approval.used", "bulk.exported"]
    with pytest.raises(ConsentryError):
        export_sightings(site, approval_id, DEFAULT_RETENTION, user_id="olga")
