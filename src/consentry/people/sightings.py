"""Sightings: the record of each decision, with all that explains it (invariant I4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import get_args

from sqlalchemy import select

from consentry.errors import EngineError
from consentry.people.site import Site
from consentry.store.schema import PersonRow, SightingRow
from consentry.types import Outcome


@dataclass(frozen=True, slots=True)
class Sighting:
    """One decision about one track.

    Attributes:
        camera: The camera's name.
        track: Number of the track within one run of the camera.
        first_unix_ms, last_unix_ms: When it was seen, milliseconds since 1970 UTC.
        frames: Frames in which it was seen.
        fused_crops: Pictures of the face fused into the probe; 0 if nothing was compared.
        decision: `known`, `unsure` or `unknown`.
        person_id: Who; only if known.
        score_cosine: To the best person; None if nothing was compared.
        margin_cosine: Lead over the second person; None if there was none.
        quality: Of the best picture, in [0, 1]; None if there was none.
        best_xyxy: Box of the best face, x_min, y_min, x_max, y_max in pixels of its frame.
        recogniser_sha256: The model that made the probe.
        calibration: Version of the calibration used.
        gallery_digest: Of the references searched.
        known_cosine, unsure_cosine: The thresholds used.

    Raises:
        EngineError: the values contradict each other.
    """

    camera: str
    track: int
    first_unix_ms: int
    last_unix_ms: int
    frames: int
    fused_crops: int
    decision: Outcome
    person_id: str | None
    score_cosine: float | None
    margin_cosine: float | None
    quality: float | None
    best_xyxy: tuple[float, float, float, float]
    recogniser_sha256: str
    calibration: str
    gallery_digest: str
    known_cosine: float
    unsure_cosine: float

    def __post_init__(self) -> None:
        if self.decision not in get_args(Outcome):
            raise EngineError(f"{self.decision!r} is no decision")
        if self.person_id is not None and self.decision != "known":
            raise EngineError(f"a sighting that is {self.decision} must not name a person")
        if self.first_unix_ms > self.last_unix_ms:
            raise EngineError("a sighting ends before it begins")
        if len(self.best_xyxy) != 4:
            raise EngineError(f"best_xyxy must have 4 values, but has {len(self.best_xyxy)}")


@dataclass(frozen=True, slots=True)
class RecordedSighting:
    """A sighting and its number; numbers grow in the order of recording."""

    id: int
    sighting: Sighting


def record(site: Site, sighting: Sighting) -> int:
    """Keep a sighting; returns its number.

    Someone who withdrew since the decision is not named any more; the term of retention of someone known
    runs from here anew.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    values = asdict(sighting)
    values["best_xyxy"] = [float(value) for value in sighting.best_xyxy]
    with site.write() as session:
        person = session.get(PersonRow, sighting.person_id) if sighting.person_id is not None else None
        if person is None:
            values["person_id"] = None
        else:
            seen_unix_ms = min(sighting.last_unix_ms, site.now_unix_ms())
            person.last_seen_unix_ms = max(person.last_seen_unix_ms, seen_unix_ms)
        row = SightingRow(**values)
        session.add(row)
        session.flush()
        return row.id


def recent(site: Site, limit: int) -> list[RecordedSighting]:
    """The newest sightings, newest first, `limit` at most.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    with site.read() as session:
        rows = session.scalars(select(SightingRow).order_by(SightingRow.id.desc()).limit(limit)).all()
        return [RecordedSighting(row.id, _sighting(row)) for row in rows]


def sightings_of(
    site: Site, person_id: str, *, limit: int, before_id: int | None = None
) -> list[RecordedSighting]:
    """The sightings that name a person, newest first, `limit` at most.

    Args:
        before_id: Only those with a smaller number: the last one of the part before.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    theirs = select(SightingRow).where(SightingRow.person_id == person_id)
    if before_id is not None:
        theirs = theirs.where(SightingRow.id < before_id)
    with site.read() as session:
        rows = session.scalars(theirs.order_by(SightingRow.id.desc()).limit(limit)).all()
        return [RecordedSighting(row.id, _sighting(row)) for row in rows]


def _sighting(row: SightingRow) -> Sighting:
    x_min, y_min, x_max, y_max = row.best_xyxy
    return Sighting(
        camera=row.camera,
        track=row.track,
        first_unix_ms=row.first_unix_ms,
        last_unix_ms=row.last_unix_ms,
        frames=row.frames,
        fused_crops=row.fused_crops,
        decision=_OUTCOMES[row.decision],
        person_id=row.person_id,
        score_cosine=row.score_cosine,
        margin_cosine=row.margin_cosine,
        quality=row.quality,
        best_xyxy=(x_min, y_min, x_max, y_max),
        recogniser_sha256=row.recogniser_sha256,
        calibration=row.calibration,
        gallery_digest=row.gallery_digest,
        known_cosine=row.known_cosine,
        unsure_cosine=row.unsure_cosine,
    )


_OUTCOMES: dict[str, Outcome] = {"known": "known", "unsure": "unsure", "unknown": "unknown"}
