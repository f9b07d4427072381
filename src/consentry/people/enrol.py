"""Enrolment: photos of one person in, sealed templates out, all of it or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.config import Retention
from consentry.errors import (
    ConsentInvalid,
    DuplicatePerson,
    EnrolmentRefused,
    ManyFacesFound,
    NoFaceFound,
    NotDeclared,
    PoorQuality,
    UsageError,
)
from consentry.gallery.rotation import Rotation
from consentry.ledger.entry import Event
from consentry.people.consent import (
    VERIFICATION,
    ConsentRecord,
    clean_name,
    live_consent,
    live_for_any_purpose,
)
from consentry.people.declaration import require_declared
from consentry.people.keys import new_person_key
from consentry.people.receipts import Holder, Terms, issue_receipt
from consentry.people.roster import consents_in_force
from consentry.people.seal import Kind, SealingKey
from consentry.people.site import Site
from consentry.people.templates import seal_template, templates_of
from consentry.store.schema import BlobRow, ConsentRow, PersonKeyRow, PersonRow, PhotoRow, TemplateRow
from consentry.types import Picture
from consentry.vision.sample import FaceSample, PhotoAnalyser

SAME_PERSON_COSINE = 0.33
"""Least mean cosine of a photo's face to the others of one enrolment. With the default recogniser one in a
thousand pairs of strangers reaches it (4 950 pairs of 10 people: a small sample)."""

DUPLICATE_COSINE = 0.45
"""Cosine from which a new face counts as someone already enrolled. Well above the value that one in a
thousand pairs of strangers reaches, because a wrong refusal here has no other way out than a call."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo to enrol from.

    Attributes:
        label: What to call it in messages; not kept.
        original: The bytes of the file; sealed and kept.
        bgr: The same decoded, uint8 (H, W, 3).
    """

    label: str
    original: bytes = field(repr=False)
    bgr: Picture = field(repr=False)


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """What was found in one photo.

    Attributes:
        label: The photo's.
        quality: Of its one face, in [0, 1]; None if there is not exactly one.
        refusals: Why it cannot be used; empty if it can.
    """

    label: str
    quality: float | None
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnrolmentResult:
    """Someone has been enrolled.

    Attributes:
        person_id: Their new id.
        consent_id: Of the consent record kept.
        ledger_seq: Number of the ledger entry.
        photos: One report for each photo, all without refusals.
        receipt: For the person to take home, JSON.
        link: To their own page; whoever has it is them.
    """

    person_id: str
    consent_id: str
    ledger_seq: int
    photos: tuple[PhotoReport, ...]
    receipt: bytes
    link: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PhotosAdded:
    """Someone has new photos.

    Attributes:
        ledger_seq: Number of the ledger entry.
        photos: One report for each photo, all without refusals.
    """

    ledger_seq: int
    photos: tuple[PhotoReport, ...]


@dataclass(frozen=True, slots=True)
class _Assessed:
    report: PhotoReport
    sample: FaceSample | None
    refused_as: type[EnrolmentRefused] | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Someone whose photos and consent have been accepted."""

    name: str
    consent: ConsentRecord
    photos: Sequence[Photo]
    samples: Sequence[FaceSample]
    recogniser_sha256: str


def enrol(
    site: Site,
    analyser: PhotoAnalyser,
    *,
    name: str,
    photos: Sequence[Photo],
    consent: ConsentRecord,
    actor: str,
    keep_refused: bool = False,
    terms: Terms | None = None,
    duplicate_cosine: float = DUPLICATE_COSINE,
) -> EnrolmentResult:
    """Enrol one person. The consent is checked before any photo is looked at.

    Args:
        name: Of the person; must be the consent's, if that has one.
        photos: At least one, each showing exactly one face, all of the same person.
        actor: Who does this, for the ledger.
        keep_refused: Whether someone whose photos cannot be used is kept without a photo, so that they can
            see why and give better ones. The error is raised all the same, with their receipt.
        terms: What the settings say of retention and links; the defaults if None.
        duplicate_cosine: From which cosine on a face is someone else's who is enrolled already.

    Raises:
        UsageError: no photo, or no usable name.
        ConsentInvalid: the consent does not allow it here and now.
        NoFaceFound, ManyFacesFound, PoorQuality, EnrolmentRefused: a photo cannot be used; the message
            lists every such photo. The class is that of the refusal if all photos have the same.
        DuplicatePerson: the face belongs to someone enrolled, named by id only.
        DiskFull and others of `consentry.store`: nothing was kept.
    """
    name = clean_name(name)
    if not photos:
        raise UsageError("no photo was given", "Give at least one photo that shows the person's face")
    require_enrolment_consent(site, consent, name)
    terms = terms or Terms()
    try:
        samples, reports = _accepted(analyser, photos)
    except EnrolmentRefused as refusal:
        if not keep_refused:
            raise
        raise _kept_without_photo(site, name, consent, refusal, actor=actor, terms=terms) from None
    candidate = _Candidate(name, consent, photos, samples, analyser.recogniser_sha256)
    person_id, consent_id = uuid.uuid4().hex, uuid.uuid4().hex
    with ExitStack() as undo:
        with site.write() as session:
            rotation = site.ensure_rotation(session)
            _refuse_duplicate(site, session, candidate, duplicate_cosine, rotation, terms.retention)
            key = _keep_person(site, session, candidate, person_id, consent_id)
            for photo, sample in zip(photos, samples, strict=True):
                blob_sha256 = _keep_photo(site, session, candidate, person_id, key, photo, sample, rotation)
                undo.callback(site.blobs.remove, blob_sha256)
            site.bump_gallery_version(session)
            issued = issue_receipt(
                site,
                session,
                "consent",
                consent,
                consent_id,
                holder=Holder(person_id, key),
                actor=actor,
                terms=terms,
            )
            entry = site.log(
                session,
                Event.PERSON_ENROLLED,
                actor=actor,
                payload={
                    "person_id": person_id,
                    "consent_id": consent_id,
                    "purpose": consent.purpose,
                    "photos": len(photos),
                    "recogniser_sha256": candidate.recogniser_sha256,
                },
                subject_pseudonym=key.pseudonym(person_id),
            )
        undo.pop_all()
    return EnrolmentResult(person_id, consent_id, entry.seq, reports, issued.content, issued.link or "")


def add_photos(
    site: Site,
    analyser: PhotoAnalyser,
    person_id: str,
    photos: Sequence[Photo],
    *,
    actor: str,
    terms: Terms | None = None,
    duplicate_cosine: float = DUPLICATE_COSINE,
) -> PhotosAdded:
    """Give someone more photos: to be recognised better, or at all if their first ones were refused.

    Raises:
        UsageError: no photo.
        NotFound: no such person.
        ConsentInvalid: no consent of theirs is in force.
        NoFaceFound, ManyFacesFound, PoorQuality, EnrolmentRefused: a photo cannot be used, or shows someone
            else than before; nothing was kept.
        DuplicatePerson: the face belongs to someone else who is enrolled.
    """
    if not photos:
        raise UsageError("no photo was given", "Give at least one photo that shows the person's face")
    terms = terms or Terms()
    with site.read() as session:
        consent = _consent_in_force(site, session, person_id, terms.retention)
    samples, reports = _accepted(analyser, photos)
    with ExitStack() as undo:
        with site.write() as session:
            consent = _consent_in_force(site, session, person_id, terms.retention)
            key, row = site.person_key(session, person_id), session.get_one(PersonRow, person_id)
            name = key.open(row.sealed_name, Kind.NAME, person_id).decode()
            candidate = _Candidate(name, consent, photos, samples, analyser.recogniser_sha256)
            rotation = site.ensure_rotation(session)
            _refuse_someone_else(session, candidate, person_id, key, rotation)
            _refuse_duplicate(
                site, session, candidate, duplicate_cosine, rotation, terms.retention, but=person_id
            )
            for photo, sample in zip(photos, samples, strict=True):
                blob_sha256 = _keep_photo(site, session, candidate, person_id, key, photo, sample, rotation)
                undo.callback(site.blobs.remove, blob_sha256)
            was_refused, row.sealed_refusal = row.sealed_refusal is not None, None
            row.last_seen_unix_ms = max(row.last_seen_unix_ms, site.now_unix_ms())
            site.bump_gallery_version(session)
            entry = site.log(
                session,
                Event.PERSON_ENROLLED if was_refused else Event.PERSON_CORRECTED,
                actor=actor,
                payload={
                    "person_id": person_id,
                    "photos": len(photos),
                    "recogniser_sha256": candidate.recogniser_sha256,
                },
                subject_pseudonym=key.pseudonym(person_id),
            )
        undo.pop_all()
    return PhotosAdded(entry.seq, reports)


def require_enrolment_consent(site: Site, consent: ConsentRecord, name: str) -> None:
    """Whether someone called `name` may be enrolled here and now with this consent.

    Raises:
        UsageError: no usable name.
        ConsentInvalid: says why not.
    """
    require_acceptable(site, consent, name)
    live_consent([consent], purpose=consent.purpose, at_unix_s=site.clock.unix_s(), act="enrol")


def require_acceptable(site: Site, consent: ConsentRecord, name: str) -> None:
    """Whether this site may take such a record from someone called `name`, now or for later.

    The purpose must be a declared one; `verification`, which is 1:1, needs no declaration.

    Raises:
        UsageError: no usable name.
        ConsentInvalid: says why not.
    """
    name = clean_name(name)
    if consent.events:
        raise ConsentInvalid("the consent has a history already", "Give the record as the person gave it")
    if consent.person.name is not None and clean_name(consent.person.name) != name:
        raise ConsentInvalid(
            "the consent is another person's: its name is not the one to enrol", "Give the right file"
        )
    allowed = {VERIFICATION}
    is_demo_site = False
    try:
        declared = require_declared(site)
        allowed |= set(declared.declaration.purposes)
        is_demo_site = declared.is_demo
    except NotDeclared:
        pass  # without a declaration only 1:1 verification is allowed, which `allowed` says
    if consent.is_demo and not is_demo_site:
        raise ConsentInvalid(
            "a demo consent counts only in a demo folder",
            "Use --consent FILE, or run `consentry declare --demo` on another data folder",
        )
    if consent.purpose not in allowed:
        raise ConsentInvalid(
            f"the consent is for purpose “{consent.purpose}”, this site may enrol for "
            + ", ".join(f"“{purpose}”" for purpose in sorted(allowed)),
            "Ask for a consent to one of these, or declare the purpose with `consentry declare FILE`",
        )


def _accepted(
    analyser: PhotoAnalyser, photos: Sequence[Photo]
) -> tuple[list[FaceSample], tuple[PhotoReport, ...]]:
    """The one face of each photo.

    Raises:
        EnrolmentRefused: at least one photo cannot be used.
    """
    assessed = _assess(analyser, photos)
    refused = [one for one in assessed if one.refused_as is not None]
    if refused:
        kinds = {one.refused_as for one in refused}
        kind = kinds.pop() if len(kinds) == 1 else EnrolmentRefused
        assert kind is not None
        raise kind(
            "; ".join(f"{one.report.label}: {', '.join(one.report.refusals)}" for one in refused),
            "Nothing was kept. Give photos that each show this one person, large, sharp and from the front",
        )
    samples = [one.sample for one in assessed if one.sample is not None]
    return samples, tuple(one.report for one in assessed)


def _assess(analyser: PhotoAnalyser, photos: Sequence[Photo]) -> list[_Assessed]:
    assessed = [_assess_one(photo.label, analyser.analyse(photo.bgr)) for photo in photos]
    usable = {
        index: one.sample
        for index, one in enumerate(assessed)
        if one.refused_as is None and one.sample is not None
    }
    for index, mean_cosine in _odd_ones(usable).items():
        report = PhotoReport(
            assessed[index].report.label,
            assessed[index].report.quality,
            (
                "the face is not the one of the other photos "
                f"(mean cosine {mean_cosine:.2f}, {SAME_PERSON_COSINE} needed)",
            ),
        )
        assessed[index] = _Assessed(report, assessed[index].sample, EnrolmentRefused)
    return assessed


def _assess_one(label: str, samples: list[FaceSample]) -> _Assessed:
    if not samples:
        return _Assessed(PhotoReport(label, None, ("no face found",)), None, NoFaceFound)
    if len(samples) > 1:
        reason = f"{len(samples)} faces found, exactly one needed"
        return _Assessed(PhotoReport(label, None, (reason,)), None, ManyFacesFound)
    sample = samples[0]
    report = PhotoReport(label, sample.quality, sample.refusals)
    return _Assessed(report, sample, PoorQuality if sample.refusals else None)


def _odd_ones(usable: dict[int, FaceSample]) -> dict[int, float]:
    """Photos whose face is not the others', with their mean cosine to those left when they were set aside.

    The least alike is set aside first, so that one stranger among three photos does not pull down the mean
    of the other two. Of two photos that differ nobody can say which is odd: both are.
    """
    left = dict(usable)
    odd: dict[int, float] = {}
    while len(left) > 1:
        cosines = np.stack([sample.template for sample in left.values()])
        similarity = cosines @ cosines.T
        means = (similarity.sum(axis=1) - similarity.diagonal()) / (len(left) - 1)
        worst = int(np.argmin(means))
        if means[worst] >= SAME_PERSON_COSINE:
            break
        if len(left) == 2:
            odd |= dict.fromkeys(left, float(means[worst]))
            break
        index = list(left)[worst]
        odd[index] = float(means[worst])
        del left[index]
    return odd


def _kept_without_photo(
    site: Site, name: str, consent: ConsentRecord, refusal: EnrolmentRefused, *, actor: str, terms: Terms
) -> EnrolmentRefused:
    """Keep someone with name, consent and why their photos were refused; returns the error to raise."""
    person_id, consent_id = uuid.uuid4().hex, uuid.uuid4().hex
    candidate = _Candidate(name, consent, (), (), "")
    with site.write() as session:
        key = _keep_person(site, session, candidate, person_id, consent_id)
        row = session.get_one(PersonRow, person_id)
        row.sealed_refusal = key.seal(refusal.cause.encode(), Kind.REFUSAL, person_id)
        holder = Holder(person_id, key)
        issued = issue_receipt(
            site, session, "consent", consent, consent_id, holder=holder, actor=actor, terms=terms
        )
        site.log(
            session,
            Event.PHOTO_REFUSED,
            actor=actor,
            payload={"person_id": person_id},
            subject_pseudonym=key.pseudonym(person_id),
        )
    error = type(refusal)(
        refusal.cause,
        f"No photo was kept; the name, the consent and this reason were, as person {person_id}. Their page, "
        f"also to withdraw: {issued.link}. Add photos that each show this one person, large, sharp and from "
        "the front",
    )
    error.receipt = issued.content
    return error


def _consent_in_force(site: Site, session: Session, person_id: str, retention: Retention) -> ConsentRecord:
    """A consent of theirs that allows keeping a template now.

    Raises:
        NotFound: no such person.
        ConsentInvalid: there is none.
    """
    key = site.person_key(session, person_id)
    records = consents_in_force(session, person_id, key, retention)
    return live_for_any_purpose(records, at_unix_s=site.clock.unix_s(), act="enrol")


def _refuse_someone_else(
    session: Session, candidate: _Candidate, person_id: str, key: SealingKey, rotation: Rotation
) -> None:
    """Compare with the person's present templates, if they have any.

    Raises:
        EnrolmentRefused: the photos show someone else, or there is nothing to compare with any more.
    """
    kept = list(templates_of(session, person_id, key, candidate.recogniser_sha256, rotation))
    if not kept:
        if session.scalars(select(TemplateRow.id).where(TemplateRow.person_id == person_id)).first():
            raise EnrolmentRefused(
                "the templates kept are of another recogniser, so nothing shows that this is the same person",
                "Nothing was kept. Withdraw the person and enrol them anew",
            )
        return
    probes = rotation.turn(np.stack([sample.template for sample in candidate.samples]))
    cosines = probes @ np.stack(kept).T
    odd = [
        f"{photo.label}: the face is not the one enrolled "
        f"(mean cosine {mean:.2f}, {SAME_PERSON_COSINE} needed)"
        for photo, mean in zip(candidate.photos, cosines.mean(axis=1), strict=True)
        if mean < SAME_PERSON_COSINE
    ]
    if odd:
        raise EnrolmentRefused("; ".join(odd), "Nothing was kept. Give photos of the person enrolled")


def _keep_person(
    site: Site, session: Session, candidate: _Candidate, person_id: str, consent_id: str
) -> SealingKey:
    """Add the person, their key and their consent; returns the key."""
    key, wrapped_key = new_person_key(site.key, site.site_uuid, person_id)
    now_unix_ms = site.now_unix_ms()
    sealed_name = key.seal(candidate.name.encode(), Kind.NAME, person_id)
    session.add(PersonRow(id=person_id, enrolled_unix_ms=now_unix_ms, sealed_name=sealed_name))
    session.flush()
    session.add(PersonKeyRow(person_id=person_id, wrapped_key=wrapped_key))
    sealed_record = key.seal(candidate.consent.model_dump_json().encode(), Kind.CONSENT, consent_id)
    session.add(
        ConsentRow(
            id=consent_id, person_id=person_id, received_unix_ms=now_unix_ms, sealed_record=sealed_record
        )
    )
    return key


def _keep_photo(
    site: Site,
    session: Session,
    candidate: _Candidate,
    person_id: str,
    key: SealingKey,
    photo: Photo,
    sample: FaceSample,
    rotation: Rotation,
) -> str:
    """Write one photo's blob, then add its rows; returns the blob's name."""
    photo_id, template_id = uuid.uuid4().hex, uuid.uuid4().hex
    sealed_template = seal_template(sample.template, rotation, key, template_id)
    sealed_photo = key.seal(photo.original, Kind.PHOTO, photo_id)
    blob_sha256 = site.blobs.write(sealed_photo)
    now_unix_ms = site.now_unix_ms()
    session.add(BlobRow(sha256=blob_sha256, size_bytes=len(sealed_photo), written_unix_ms=now_unix_ms))
    session.flush()
    session.add(
        PhotoRow(id=photo_id, person_id=person_id, blob_sha256=blob_sha256, added_unix_ms=now_unix_ms)
    )
    session.flush()
    session.add(
        TemplateRow(
            id=template_id,
            person_id=person_id,
            photo_id=photo_id,
            recogniser_sha256=candidate.recogniser_sha256,
            quality=sample.quality,
            added_unix_ms=now_unix_ms,
            sealed_template=sealed_template,
            rotation_version=rotation.version,
        )
    )
    return blob_sha256


def _declared_purposes(site: Site) -> tuple[str, ...]:
    """What 1:N recognition may be used for here and now."""
    try:
        return require_declared(site).declaration.purposes
    except NotDeclared:
        return ()


def _may_be_searched(records: Sequence[ConsentRecord], purposes: Sequence[str], unix_s: float) -> bool:
    """Whether one of these consents allows comparing its person 1:N for one of `purposes` now."""
    for purpose in purposes:
        with suppress(ConsentInvalid):
            live_consent(records, purpose=purpose, at_unix_s=unix_s, act="match")
            return True
    return False


def _refuse_duplicate(
    site: Site,
    session: Session,
    candidate: _Candidate,
    duplicate_cosine: float,
    rotation: Rotation,
    retention: Retention,
    but: str | None = None,
) -> None:
    """Compare with everyone whose consent to a declared purpose is in force, except `but`.

    That is 1:N, so neither side may be one who agreed to 1:1 only, and before a declaration nobody is
    compared (invariant I7). One face under two ids does no harm to a comparison with a claimed identity.

    Raises:
        DuplicatePerson: the best of them reaches `duplicate_cosine`.
    """
    declared = _declared_purposes(site)
    if candidate.consent.purpose not in declared:
        return
    probes = rotation.turn(np.stack([sample.template for sample in candidate.samples]))
    best_cosine, best_id = -1.0, ""
    for person_id in session.scalars(select(PersonRow.id)):
        key = site.person_key(session, person_id)
        records = consents_in_force(session, person_id, key, retention)
        if person_id == but or not _may_be_searched(records, declared, site.clock.unix_s()):
            continue
        for template in templates_of(session, person_id, key, candidate.recogniser_sha256, rotation):
            cosine = float((probes @ template).max())
            if cosine > best_cosine:
                best_cosine, best_id = cosine, person_id
    if best_cosine >= duplicate_cosine:
        raise DuplicatePerson(
            f"this face is enrolled already, as person {best_id} (cosine {best_cosine:.2f})",
            f"Nothing was kept. To enrol anew, withdraw first: `consentry person withdraw {best_id}`",
        )
