"""Templates as they are kept: under the installation's rotation, then sealed with the person's key.

The seal binds the version of the rotation: a value from before a change of the template key does not open
as one from after it. Values are kept as float64, so that turning one back gives the recogniser's float32
bit for bit, which is what the proof of an erasure looks for, and so that re-keying never adds up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.errors import DataDamaged, EngineError
from consentry.gallery.rotation import DIMENSIONS, Doubles, Rotation
from consentry.people.seal import Kind, SealingKey
from consentry.store.schema import TemplateRow
from consentry.types import Floats

UNTURNED = 0
"""Rotation version of a template that schema 1 kept as the recogniser made it."""

_NORM_TOLERANCE = 1e-3
_KEPT = np.dtype("<f8")
_KEPT_UNTURNED = np.dtype("<f4")


def seal_template(template: Floats, rotation: Rotation, key: SealingKey, template_id: str) -> bytes:
    """What is kept of a template that the recogniser made.

    Raises:
        EngineError: it is not float32 (512,) of unit norm.
    """
    if template.shape != (DIMENSIONS,) or template.dtype != np.float32:
        raise EngineError(
            f"a template must be float32 ({DIMENSIONS},), but is {template.dtype} {template.shape}"
        )
    norm = float(np.linalg.norm(template))
    if not abs(norm - 1.0) <= _NORM_TOLERANCE:  # also catches nan
        raise EngineError(f"a template must have unit norm, but has {norm:.4f}")
    return seal_turned(rotation.turn(template), rotation.version, key, template_id)


def seal_turned(turned: Doubles, rotation_version: int, key: SealingKey, template_id: str) -> bytes:
    """What is kept of a template, float64 (512,), that is under a rotation already."""
    return key.seal(turned.astype(_KEPT).tobytes(), Kind.TEMPLATE, _record_id(template_id, rotation_version))


def open_template(row: TemplateRow, key: SealingKey) -> Doubles:
    """The template of a row as it is kept: float64 (512,), unit norm, under the rotation the row names.

    Raises:
        DataDamaged: it was changed, moved from another row, or is from under another rotation.
    """
    kept = _KEPT_UNTURNED if row.rotation_version == UNTURNED else _KEPT
    packed = key.open(row.sealed_template, Kind.TEMPLATE, _record_id(row.id, row.rotation_version))
    if len(packed) != DIMENSIONS * kept.itemsize:
        raise DataDamaged(f"template {row.id} has {len(packed)} bytes", "Restore a backup")
    template = np.frombuffer(packed, kept).astype(np.float64)
    if not abs(float(np.linalg.norm(template)) - 1.0) <= _NORM_TOLERANCE:
        raise DataDamaged(f"template {row.id} has not unit norm", "Restore a backup")
    return template


def templates_of(
    session: Session, person_id: str, key: SealingKey, recogniser_sha256: str, rotation: Rotation | None
) -> Iterator[Floats]:
    """A person's templates made by one recogniser, float32 (512,) under `rotation`, oldest first.

    Args:
        rotation: The one in use; None if nobody was enrolled yet.

    Raises:
        DataDamaged: one does not open, or is under another rotation.
    """
    wanted = (
        select(TemplateRow)
        .where(TemplateRow.person_id == person_id, TemplateRow.recogniser_sha256 == recogniser_sha256)
        .order_by(TemplateRow.added_unix_ms, TemplateRow.id)
    )
    for row in session.scalars(wanted):
        template = open_template(row, key)
        if rotation is None or row.rotation_version != rotation.version:
            raise DataDamaged(
                f"template {row.id} is under another rotation than the one in use", "Restore a backup"
            )
        yield template.astype(np.float32)


def _record_id(template_id: str, rotation_version: int) -> str:
    return template_id if rotation_version == UNTURNED else f"{template_id}/{rotation_version}"
