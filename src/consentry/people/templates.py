"""Templates as they are kept: checked, packed as little-endian float32, sealed with the person's key."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.errors import DataDamaged, EngineError
from consentry.people.seal import Kind, SealingKey
from consentry.store.schema import TemplateRow
from consentry.types import Floats

DIMENSIONS = 512
_NORM_TOLERANCE = 1e-3
_PACKED = np.dtype("<f4")


def pack_template(template: Floats) -> bytes:
    """A template as 2048 bytes.

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
    return template.astype(_PACKED).tobytes()


def open_template(row: TemplateRow, key: SealingKey) -> Floats:
    """The template of a row: float32 (512,), unit norm.

    Raises:
        DataDamaged: it was changed, or moved from another row.
    """
    packed = key.open(row.sealed_template, Kind.TEMPLATE, row.id)
    if len(packed) != DIMENSIONS * _PACKED.itemsize:
        raise DataDamaged(f"template {row.id} has {len(packed)} bytes", "Restore a backup")
    return np.frombuffer(packed, _PACKED).astype(np.float32)


def templates_of(
    session: Session, person_id: str, key: SealingKey, recogniser_sha256: str
) -> Iterator[Floats]:
    """A person's templates made by one recogniser, oldest first.

    Raises:
        DataDamaged: one does not open.
    """
    wanted = (
        select(TemplateRow)
        .where(TemplateRow.person_id == person_id, TemplateRow.recogniser_sha256 == recogniser_sha256)
        .order_by(TemplateRow.added_unix_ms, TemplateRow.id)
    )
    for row in session.scalars(wanted):
        yield open_template(row, key)
