"""What someone agrees to after enrolment: another consent, one less, or none from the start."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from consentry.errors import ConsentInvalid, NotFound
from consentry.people.consent import ConsentRecord, held_until_unix_s, live_consent
from consentry.people.enrol import require_acceptable
from consentry.people.erase import ErasureReport, withdraw
from consentry.people.receipts import Holder, Terms, issue_erasure_receipt, issue_receipt
from consentry.people.roster import consents_by_id, consents_of, expires_unix_s, last_seen, why_not_live
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.store.schema import ConsentRow, PersonRow


@dataclass(frozen=True, slots=True)
class ConsentAdded:
    """Someone agreed to something more.

    Attributes:
        consent_id: Of the record kept.
        ledger_seq: Number of the ledger entry.
        receipt: For the person to take home, JSON.
        link: To their own page.
    """

    consent_id: str
    ledger_seq: int
    receipt: bytes
    link: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """Someone took one consent back.

    Attributes:
        receipt: Of the withdrawal, JSON.
        erasure: What was destroyed, if this was the last consent in force; else None.
        erasure_receipt: The proof of that; empty if there was none.
    """

    receipt: bytes
    erasure: ErasureReport | None
    erasure_receipt: bytes


def add_consent(
    site: Site, person_id: str, record: ConsentRecord, actor: str, *, terms: Terms | None = None
) -> ConsentAdded:
    """Keep another consent of someone enrolled: to a second purpose, or a renewal of the first.

    The term since they were last seen runs from here anew.

    Args:
        record: Given; it may begin later, but not after the end of those there are.
        actor: Who does this, for the ledger.
        terms: What the settings say of retention and links; the defaults if None.

    Raises:
        NotFound: no such person.
        ConsentInvalid: this site may not take it, it has ended, it leaves a gap, or the person's own time
            here has ended.
    """
    terms = terms or Terms()
    consent_id = uuid.uuid4().hex
    with site.write() as session:
        key, row = site.person_key(session, person_id), session.get_one(PersonRow, person_id)
        name = key.open(row.sealed_name, Kind.NAME, person_id).decode()
        require_acceptable(site, record, name)
        now_unix_s = site.clock.unix_s()
        live_consent(
            [record],
            purpose=record.purpose,
            at_unix_s=record.begun_unix_s(now_unix_s),
            act="enrol",
        )
        held = consents_of(session, person_id, key)
        if record.starts_after(max(now_unix_s, held_until_unix_s(held))):
            raise ConsentInvalid(
                "the consent begins after the end of those there are, and in between nothing may be kept",
                "Ask for one that begins earlier, or enrol the person anew when it begins",
            )
        if now_unix_s >= expires_unix_s([*held, record], last_seen(row), terms.retention):
            raise ConsentInvalid(
                "this person's time here has ended, so they are about to be erased",
                "Enrol them anew",
            )
        session.add(
            ConsentRow(
                id=consent_id,
                person_id=person_id,
                received_unix_ms=site.now_unix_ms(),
                sealed_record=key.seal(record.model_dump_json().encode(), Kind.CONSENT, consent_id),
            )
        )
        row.last_seen_unix_ms = max(row.last_seen_unix_ms, site.now_unix_ms())
        site.bump_gallery_version(session)
        holder = Holder(person_id, key)
        issued = issue_receipt(
            site, session, "consent", record, consent_id, holder=holder, actor=actor, terms=terms
        )
    return ConsentAdded(consent_id, issued.ledger_seq, issued.content, issued.link or "")


def withdraw_consent(
    site: Site, person_id: str, consent_id: str, actor: str, *, terms: Terms | None = None
) -> ConsentWithdrawn:
    """Take back one consent. Without another one in force, the person is erased.

    Raises:
        NotFound: no such person, or they have no such consent.
        ConsentInvalid: it has ended already.
        ErasureIncomplete and others: see `withdraw`.
    """
    terms = terms or Terms()
    now_unix_s = site.clock.unix_s()
    with site.write() as session:
        key = site.person_key(session, person_id)
        records = dict(consents_by_id(session, person_id, key))
        record = records.get(consent_id)
        if record is None:
            raise NotFound(
                f"person {person_id} has no consent {consent_id}", "See `consentry person show` for the ids"
            )
        if record.events:
            raise ConsentInvalid(f"the consent {record.why_ended()} already", "Nothing is left to withdraw")
        records[consent_id] = record.ended("withdrawn", at_unix_s=now_unix_s, entity="person")
        row = session.get_one(ConsentRow, consent_id)
        sealed = key.seal(records[consent_id].model_dump_json().encode(), Kind.CONSENT, consent_id)
        row.sealed_record = sealed
        stays = why_not_live(list(records.values()), now_unix_s) is None
        site.bump_gallery_version(session)
        issued = issue_receipt(
            site,
            session,
            "withdrawal",
            records[consent_id],
            consent_id,
            holder=Holder(person_id, key),
            with_link=stays,
            actor=actor,
            terms=terms,
        )
    if stays:
        return ConsentWithdrawn(issued.content, None, b"")
    report = withdraw(site, person_id, reason="asked", actor=actor)
    return ConsentWithdrawn(issued.content, report, issue_erasure_receipt(site, report, actor=actor))


def record_refusal(site: Site, record: ConsentRecord, actor: str, *, terms: Terms | None = None) -> bytes:
    """Note that someone said no, without keeping who: one ledger entry, and a receipt for them.

    Args:
        record: Its state is `refused`; its name is not looked at.
        actor: Who does this, for the ledger.
        terms: What the settings say of retention; the defaults if None.

    Returns:
        The receipt, JSON.

    Raises:
        ConsentInvalid: it is no refusal, or for a purpose that this site does not have.
    """
    if record.why_ended() != "was refused":
        raise ConsentInvalid("the record is no refusal", "Give one whose state is “refused”")
    require_acceptable(site, record, record.person.name or "nobody")
    with site.write() as session:
        issued = issue_receipt(
            site,
            session,
            "refusal",
            record,
            uuid.uuid4().hex,
            holder=None,
            actor=actor,
            terms=terms or Terms(),
        )
    return issued.content
