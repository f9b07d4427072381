"""The check of a whole installation: files and rows, ledger, sealed values, and invariant I1."""

from __future__ import annotations

from sqlalchemy import select

from consentry.config import DEFAULT_RETENTION, Retention
from consentry.errors import ConsentInvalid, DataDamaged, LedgerBroken, NotFound
from consentry.ledger.entry import Event
from consentry.people.retention import Ended, enforce, people_past_retention
from consentry.people.returned import check_returned
from consentry.people.roster import consents_of
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.people.templates import UNTURNED, open_template
from consentry.people.witnesses import witness_refusals
from consentry.store.check import Finding, check_store
from consentry.store.schema import PersonRow, PhotoRow, ReceiptRow, TemplateRow

_WHY: dict[Ended, str] = {
    "consent-ended": "their consent has ended",
    "not-seen": "they were not seen for as long as this site keeps people",
}


def check_site(
    site: Site, *, mend: bool, actor: str, retention: Retention = DEFAULT_RETENTION
) -> list[Finding]:
    """Everything that is not as it should be; empty if all is well.

    Args:
        mend: Whether to put right what can be: files and rows that belong to nothing are deleted, and people
            whose consent or term of retention has ended, or who were erased before, are erased. What a backup
            could bring back, such as a damaged seal, is left alone. Mending is logged, so it needs a ledger
            that verifies.
        actor: Who does this, for the ledger.
        retention: How long someone is kept at most.

    Raises:
        ErasureIncomplete: see `withdraw`.
        DataDamaged, DiskFull, EnvironmentLack: the check could not be done at all.
    """
    ledger_findings = _check_ledger(site)
    mend = mend and not ledger_findings
    findings = ledger_findings + _check_witnesses(site)
    findings += check_store(site.database, site.blobs, mend=mend)
    findings += check_returned(site, mend=mend, actor=actor)
    damaged = _check_rotation(site) + _check_sealed(site)
    findings += damaged
    if not damaged:
        findings += _check_retention(site, retention, mend=mend, actor=actor)
    mended = sum(finding.mended for finding in findings)
    if mended:
        with site.write() as session:
            site.log(session, Event.SITE_MENDED, actor=actor, payload={"findings": mended})
    return findings


def _check_ledger(site: Site) -> list[Finding]:
    try:
        with site.read() as session:
            site.ledger.verify(session.connection())
    except LedgerBroken as error:
        return [Finding("ledger", error.cause, error.mend, mended=False)]
    return []


def _check_witnesses(site: Site) -> list[Finding]:
    """A witness that knows another history; nothing here can mend that."""
    mend = "See docs/ledger.md, part “Witnesses”"
    return [Finding("witness", problem, mend, mended=False) for problem in witness_refusals(site)]


def _check_rotation(site: Site) -> list[Finding]:
    """Whether the rotation in use opens and every template is under it."""
    with site.read() as session:
        try:
            rotation = site.rotation(session)
        except DataDamaged as error:
            return [Finding("rotation", error.cause, "Restore a backup", mended=False)]
        others = select(TemplateRow.id).where(
            TemplateRow.rotation_version != (rotation.version if rotation else UNTURNED)
        )
        return [
            Finding(
                "rotation",
                f"template {template_id} is not under the rotation in use, so it is never matched",
                "Restore a backup, or withdraw the person and enrol them anew",
                mended=False,
            )
            for template_id in session.scalars(others)
        ]


def _check_sealed(site: Site) -> list[Finding]:
    """Whether all that is sealed for a person opens and is what it should be."""
    findings = []
    with site.read() as session:
        for person in session.scalars(select(PersonRow)):
            try:
                key = site.person_key(session, person.id)
                key.open(person.sealed_name, Kind.NAME, person.id)
                consents_of(session, person.id, key)
                if person.sealed_refusal is not None:
                    key.open(person.sealed_refusal, Kind.REFUSAL, person.id)
                for receipt in session.scalars(select(ReceiptRow).where(ReceiptRow.person_id == person.id)):
                    key.open(receipt.sealed_receipt, Kind.RECEIPT, receipt.id)
                for row in session.scalars(select(TemplateRow).where(TemplateRow.person_id == person.id)):
                    open_template(row, key)
                for photo in session.scalars(select(PhotoRow).where(PhotoRow.person_id == person.id)):
                    key.open(site.blobs.read(photo.blob_sha256), Kind.PHOTO, photo.id)
            except NotFound:
                how = f"Restore a backup, or run `consentry person withdraw {person.id}`"
                findings.append(
                    Finding("person", f"person {person.id} has lost their key", how, mended=False)
                )
            except (DataDamaged, ConsentInvalid) as error:
                findings.append(
                    Finding("person", f"person {person.id}: {error.cause}", error.mend, mended=False)
                )
    return findings


def _check_retention(site: Site, retention: Retention, *, mend: bool, actor: str) -> list[Finding]:
    past = people_past_retention(site, retention)
    if mend:
        enforce(site, retention, actor)
    return [
        Finding(
            "consent",
            f"person {person_id} is still enrolled though {_WHY[reason]}",
            "Run `consentry check --mend` to erase them, or enrol them anew with a new consent",
            mended=mend,
        )
        for person_id, reason in past.items()
    ]
