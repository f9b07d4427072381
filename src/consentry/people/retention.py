"""Retention: what has had its time is destroyed, whoever forgot to do it.

A person's time ends with their last consent, or with the term since they were last seen, whichever comes
first (740 ILCS 14/15(a) has both ceilings). From that moment nobody is matched: `gallery_snapshot` sees to
that. The engine here, run by the hub every hour and by `consentry check --mend`, then destroys what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, select

from consentry.config import Retention
from consentry.ledger.entry import Event
from consentry.people.consent import held_until_unix_s
from consentry.people.erase import ErasureReport, withdraw
from consentry.people.roster import consents_by_id, consents_of, expires_unix_s, last_seen
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.store.schema import ConsentRow, PersonRow, SightingRow

Ended = Literal["consent-ended", "not-seen"]
_MS_PER_DAY = 86_400_000
_ENGINE = "retention"


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What one run of the engine did.

    Attributes:
        erased: The people whose time had ended.
        consents_expired: Number of consents that had run out, of people who stay as well.
        sightings_deleted: Number of records of sightings that were too old.
    """

    erased: tuple[ErasureReport, ...]
    consents_expired: int
    sightings_deleted: int


def enforce(site: Site, retention: Retention, actor: str) -> RetentionReport:
    """Destroy everything whose time has ended by the site's clock.

    Each consent that has run out gets its entry in the ledger, then each person whose time has ended is
    erased. A clock that was set back ends nobody's time.

    Raises:
        DataDamaged: something sealed does not open.
        ErasureIncomplete, EnvironmentLack, DiskFull: see `withdraw`.
    """
    past = people_past_retention(site, retention)
    expired = _mark_expired(site, actor)
    erased = tuple(
        withdraw(site, person_id, reason=reason, actor=actor) for person_id, reason in past.items()
    )
    return RetentionReport(erased, expired, _delete_old_sightings(site, retention, actor))


def people_past_retention(site: Site, retention: Retention) -> dict[str, Ended]:
    """Ids of people of whom nothing may be there any more (invariant I1), and why.

    One whose consent has not begun, because the clock was set back, is not among them.

    Raises:
        DataDamaged: something sealed does not open.
    """
    now_unix_s = site.clock.unix_s()
    found: dict[str, Ended] = {}
    with site.read() as session:
        for row in session.scalars(select(PersonRow).order_by(PersonRow.id)):
            records = consents_of(session, row.id, site.person_key(session, row.id))
            if now_unix_s >= held_until_unix_s(records):
                found[row.id] = "consent-ended"
            elif now_unix_s >= expires_unix_s(records, last_seen(row), retention):
                found[row.id] = "not-seen"
    return found


def _mark_expired(site: Site, actor: str) -> int:
    """Note in record and ledger which consents have run out; returns how many."""
    now_unix_s = site.clock.unix_s()
    with site.read() as session:
        people = session.scalars(select(PersonRow.id)).all()
        due = [
            person_id
            for person_id in people
            if any(
                record.has_run_out(now_unix_s)
                for record in consents_of(session, person_id, site.person_key(session, person_id))
            )
        ]
    count = 0
    for person_id in due:
        with site.write() as session:
            if session.get(PersonRow, person_id) is None:
                continue  # withdrew in the meantime
            key = site.person_key(session, person_id)
            for consent_id, record in consents_by_id(session, person_id, key):
                if not record.has_run_out(now_unix_s):
                    continue
                ended = record.ended("expired", at_unix_s=record.valid_until.timestamp(), entity=_ENGINE)
                row = session.get_one(ConsentRow, consent_id)
                row.sealed_record = key.seal(ended.model_dump_json().encode(), Kind.CONSENT, consent_id)
                site.log(
                    session,
                    Event.CONSENT_EXPIRED,
                    actor=actor,
                    payload={"person_id": person_id, "consent_id": consent_id, "purpose": record.purpose},
                    subject_pseudonym=key.pseudonym(person_id),
                )
                count += 1
            site.bump_gallery_version(session)
    return count


def _delete_old_sightings(site: Site, retention: Retention, actor: str) -> int:
    oldest_unix_ms = site.now_unix_ms() - retention.sightings_days * _MS_PER_DAY
    old = SightingRow.last_unix_ms < oldest_unix_ms
    with site.read() as session:
        if session.scalars(select(SightingRow.id).where(old).limit(1)).first() is None:
            return 0
    with site.write() as session:
        deleted = session.execute(delete(SightingRow).where(old).returning(SightingRow.id)).all()
        site.log(session, Event.SIGHTINGS_EXPIRED, actor=actor, payload={"sightings": len(deleted)})
    return len(deleted)
