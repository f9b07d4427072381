"""The rotation of an installation's templates as it is stored, and what brings templates under a new one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from consentry.errors import DataDamaged, NotFound
from consentry.gallery.rotation import SEED_BYTES, Doubles, Rotation
from consentry.people.seal import Kind, SealingKey
from consentry.people.templates import UNTURNED, open_template, seal_turned
from consentry.store.schema import TemplateRotationRow, TemplateRow


@dataclass(frozen=True, slots=True)
class Turned:
    """How many people's templates were brought under a new rotation, and which could not be opened."""

    people: int
    templates: int
    damaged: tuple[str, ...]


def newest_rotation(session: Session) -> TemplateRotationRow | None:
    """The row of the rotation in use; None before the first enrolment."""
    return session.scalars(
        select(TemplateRotationRow).order_by(TemplateRotationRow.version.desc()).limit(1)
    ).one_or_none()


def open_rotation(row: TemplateRotationRow, site_key: SealingKey) -> Rotation:
    """The rotation of a row.

    Raises:
        DataDamaged: the seed was changed, is another version's or another site's.
    """
    return Rotation(row.version, site_key.open(row.sealed_seed, Kind.ROTATION_SEED, str(row.version)))


def add_rotation(
    session: Session, site_key: SealingKey, *, version: int, now_unix_ms: int, compacted: bool
) -> Rotation:
    """Put a rotation with a fresh random seed in use.

    Args:
        version: Higher than any before.
        now_unix_ms: The time.
        compacted: Whether nothing can be left in the database file of a rotation before it.
    """
    seed = secrets.token_bytes(SEED_BYTES)
    session.add(
        TemplateRotationRow(
            version=version,
            made_unix_ms=now_unix_ms,
            sealed_seed=site_key.seal(seed, Kind.ROTATION_SEED, str(version)),
            compacted_unix_ms=now_unix_ms if compacted else None,
        )
    )
    session.flush()
    return Rotation(version, seed)


def are_templates_unturned(session: Session) -> bool:
    """Whether there are templates as schema 1 kept them."""
    unturned = select(TemplateRow.id).where(TemplateRow.rotation_version == UNTURNED).limit(1)
    return session.execute(unturned).first() is not None


def turn_templates(
    session: Session, key_of: Callable[[str], SealingKey], old: Rotation | None, new: Rotation
) -> Turned:
    """Bring every template under `new`, sealed anew with a fresh nonce. What does not open stays as it is.

    Args:
        session: Holds the write lock.
        key_of: Gives the key of a person.
        old: The rotation in use before; None if there was none.
        new: The one from now on.
    """
    changes: dict[int, Doubles] = {UNTURNED: new.matrix}
    if old is not None:
        changes[old.version] = old.change_to(new)
    people, templates, damaged = set(), 0, []
    keys: dict[str, SealingKey] = {}
    for row in session.scalars(select(TemplateRow).where(TemplateRow.rotation_version != new.version)):
        try:
            if row.person_id not in keys:
                keys[row.person_id] = key_of(row.person_id)
            turned = changes[row.rotation_version] @ open_template(row, keys[row.person_id])
        except (DataDamaged, NotFound, KeyError):
            damaged.append(row.id)
            continue
        row.rotation_version = new.version
        row.sealed_template = seal_turned(turned, new.version, keys[row.person_id], row.id)
        people.add(row.person_id)
        templates += 1
    session.flush()
    return Turned(len(people), templates, tuple(damaged))


def forget_rotations_before(session: Session, version: int) -> None:
    """Delete the seeds of earlier rotations: what was under them can be turned back by nobody."""
    session.execute(delete(TemplateRotationRow).where(TemplateRotationRow.version < version))
