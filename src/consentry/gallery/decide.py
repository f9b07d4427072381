"""Open-set identification: known, unsure or unknown, with everything needed to explain it (I4)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from consentry.config import Recognition
from consentry.errors import EngineError
from consentry.gallery.calibration import Calibration
from consentry.gallery.index import Index
from consentry.types import Floats, Outcome

SEARCH_LIMIT = 1000
"""Most references a search gives back: more than this above the floor never changes a decision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one search.

    Attributes:
        outcome: "known", "unsure" or "unknown".
        person_id: Who, for "known" only: an unsure guess names nobody.
        score: Cosine of the best reference, or None when none came within the unsure band.
        margin: `score` less the best score of a second person (of the band's floor if there is none).
        threshold: Cosine from which a track is known.
        reason: One clause in words.
        quality: Of the best crop, in [0, 1].
        frames: Crops fused into the probe.
        references: Templates searched.
        model_sha256: The recogniser.
        calibration: Its version.
        gallery_digest: SHA-256 over the searched references.
    """

    outcome: Outcome
    person_id: str | None
    score: float | None
    margin: float | None
    threshold: float
    reason: str
    quality: float
    frames: int
    references: int
    model_sha256: str
    calibration: str
    gallery_digest: str


class Gallery:
    """The references of one search, fixed at construction.

    Args:
        templates: Unit-norm float32 (N, D); N may be 0.
        person_ids: The person of each row.
        calibration: Of the recogniser that made the templates.

    Raises:
        EngineError: rows and persons differ in number.
    """

    def __init__(self, templates: Floats, person_ids: Sequence[str], calibration: Calibration) -> None:
        if len(templates) != len(person_ids):
            raise EngineError(f"{len(templates)} templates for {len(person_ids)} persons")
        self._person_ids = list(person_ids)
        self._index = Index(templates)
        self.calibration = calibration
        self.digest = gallery_digest(templates, person_ids)

    def __len__(self) -> int:
        return len(self._person_ids)

    def decide(self, probe: Floats, *, frames: int, quality: float, policy: Recognition) -> Decision:
        """Search `probe` (D,), fused from `frames` crops, and decide under `policy`."""
        calibration = self.calibration
        threshold = calibration.identification_threshold(
            fpir=policy.fpir, templates=max(1, len(self)), frames=frames
        )
        floor = threshold - policy.unsure_band
        best: dict[str, float] = {}
        if len(self):
            found = self._index.search(probe, floor, SEARCH_LIMIT)
            for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
                best.setdefault(self._person_ids[row], score)
        ranked = sorted(best.items(), key=lambda item: -item[1])
        outcome, reason = _outcome(ranked, threshold, floor, policy.min_margin, len(self))
        top = ranked[0] if ranked else None
        second = ranked[1][1] if len(ranked) > 1 else floor
        return Decision(
            outcome=outcome,
            person_id=top[0] if top and outcome == "known" else None,
            score=round(top[1], 4) if top else None,
            margin=round(top[1] - second, 4) if top else None,
            threshold=threshold,
            reason=reason,
            quality=round(quality, 3),
            frames=frames,
            references=len(self),
            model_sha256=calibration.model_sha256,
            calibration=calibration.version,
            gallery_digest=self.digest,
        )

    def confirms(self, probe: Floats, person_id: str, *, policy: Recognition) -> bool:
        """Whether a single later crop still fits `person_id`: at or above the one-frame threshold."""
        rows = [row for row, owner in enumerate(self._person_ids) if owner == person_id]
        if not rows:
            return False
        threshold = self.calibration.identification_threshold(fpir=policy.fpir, templates=max(1, len(self)))
        return bool((self._index.scores(probe, np.array(rows)) >= threshold - policy.unsure_band).any())


def _outcome(
    ranked: list[tuple[str, float]], threshold: float, floor: float, min_margin: float, references: int
) -> tuple[Outcome, str]:
    if not references:
        return "unknown", "nobody is enrolled"
    if not ranked:
        return "unknown", f"no reference reaches {floor:.3f}"
    score = ranked[0][1]
    if score < threshold:
        return "unsure", f"best score {score:.2f} is just under the threshold {threshold:.3f}"
    if len(ranked) > 1 and score - ranked[1][1] < min_margin:
        return "unsure", f"two people within {score - ranked[1][1]:.2f}, {min_margin:g} needed"
    return "known", f"score {score:.2f} is at least {threshold:.3f}"


def gallery_digest(templates: Floats, person_ids: Sequence[str]) -> str:
    """SHA-256 that names this set of references whatever their order."""
    rows = sorted(
        hashlib.sha256(person.encode() + b"\0" + np.ascontiguousarray(row).tobytes()).digest()
        for person, row in zip(person_ids, templates, strict=True)
    )
    return hashlib.sha256(b"".join(rows)).hexdigest()
