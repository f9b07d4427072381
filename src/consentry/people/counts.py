"""Counts that may be published: how many people, how many sightings, never who."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from sqlalchemy import func, select

from consentry.people.roster import Person
from consentry.people.site import Site
from consentry.store.schema import SightingRow, UserRow
from consentry.types import Outcome

SMALLEST_SHOWN = 5
_MS_PER_DAY = 86_400_000


def people_by_purpose(people: Iterable[Person], at_unix_s: float) -> dict[str, int]:
    """How many people have a consent in force, by its purpose; who has none is not counted."""
    counts: Counter[str] = Counter()
    for person in people:
        counts.update(
            {
                record.purpose
                for record in person.consents
                if record.why_not(purpose=record.purpose, at_unix_s=at_unix_s, act="match") is None
            }
        )
    return dict(sorted(counts.items()))


def sightings_by_decision(site: Site, *, days: int) -> dict[Outcome, int]:
    """How many sightings of the last `days` had each decision; each decision is named, also with 0."""
    since_unix_ms = site.now_unix_ms() - days * _MS_PER_DAY
    with site.read() as session:
        rows = session.execute(
            select(SightingRow.decision, func.count())
            .where(SightingRow.first_unix_ms >= since_unix_ms)
            .group_by(SightingRow.decision)
        ).all()
    counts = {str(decision): count for decision, count in rows}
    return {decision: counts.get(decision, 0) for decision in get_args(Outcome)}


def users_by_role(site: Site) -> dict[str, int]:
    """How many users have each role."""
    with site.read() as session:
        rows = session.execute(
            select(UserRow.role, func.count()).group_by(UserRow.role).order_by(UserRow.role)
        ).all()
    return {str(role): count for role, count in rows}


def coarse(count: int) -> int | None:
    """`count` if it singles nobody out; None if it is below `SMALLEST_SHOWN`, also when it is 0."""
    return count if count >= SMALLEST_SHOWN else None


def count_words(count: int | None) -> str:
    """What `coarse` gave, in words."""
    return f"fewer than {SMALLEST_SHOWN}" if count is None else f"{count:,}".replace(",", " ")
