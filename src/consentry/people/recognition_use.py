"""For how long cameras recognised people: kept by camera and day (UTC), stated on the transparency page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from sqlalchemy import func, select

from consentry.people.site import Site
from consentry.store.schema import RecognitionUseRow


def add_use(site: Site, used_s: Mapping[tuple[str, str], float]) -> None:
    """Add seconds by camera and day (ISO date).

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    if not used_s:
        return
    with site.write() as session:
        for (camera, day), seconds in used_s.items():
            row = session.get(RecognitionUseRow, (camera, day))
            if row is None:
                session.add(RecognitionUseRow(camera=camera, day=day, recognised_s=seconds))
            else:
                row.recognised_s += seconds


def hours_by_camera(site: Site, *, since: date) -> dict[str, float]:
    """Hours in which each camera recognised people, from the day `since` on; removed cameras too."""
    with site.read() as session:
        rows = session.execute(
            select(RecognitionUseRow.camera, func.sum(RecognitionUseRow.recognised_s))
            .where(RecognitionUseRow.day >= since.isoformat())
            .group_by(RecognitionUseRow.camera)
            .order_by(RecognitionUseRow.camera)
        ).all()
    return {camera: seconds / 3600 for camera, seconds in rows}
