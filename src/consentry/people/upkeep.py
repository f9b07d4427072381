"""The check of a whole installation: files and rows, ledger, sealed values, and invariant I1."""

from __future__ import annotations

from sqlalchemy import select

from consentry.errors import ConsentInvalid, DataDamaged, EngineError, LedgerBroken, NotFound
from consentry.ledger.entry import Event
from consentry.people.erase import erase_expired, people_without_consent
from consentry.people.returned import check_returned
from consentry.people.roster import consents_of
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.people.templates import open_template, pack_template
from consentry.store.check import Finding, check_store
from consentry.store.schema import PersonRow, PhotoRow, TemplateRotationRow, TemplateRow

_UNTURNED = 0  # templates of schema 1, under no rotation


def check_site(site: Site, *, mend: bool, actor: str) -> list[Finding]:
    """Everything that is not as it should be; empty if all is well.

    Args:
        mend: Whether to put right what can be: files and rows that belong to nothing are deleted, and people
            whose consent has ended or who were erased before are erased. What a backup could bring back, such
            as a damaged seal, is left alone. Mending is logged, so it needs a ledger that verifies.
        actor: Who does this, for the ledger.

    Raises:
        ErasureIncomplete: see `withdraw`.
        DataDamaged, DiskFull, EnvironmentLack: the check could not be done at all.
    """
    ledger_findings = _check_ledger(site)
    mend = mend and not ledger_findings
    findings = ledger_findings + check_store(site.database, site.blobs, mend=mend)
    findings += check_returned(site, mend=mend, actor=actor)
    findings += _check_rotations(site)
    damaged = _check_sealed(site)
    findings += damaged
    if not damaged:
        findings += _check_consents(site, mend=mend, actor=actor)
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


def _check_sealed(site: Site) -> list[Finding]:
    """Whether all that is sealed for a person opens and is what it should be."""
    findings = []
    with site.read() as session:
        for person in session.scalars(select(PersonRow)):
            try:
                key = site.person_key(session, person.id)
                key.open(person.sealed_name, Kind.NAME, person.id)
                consents_of(session, person.id, key)
                for row in session.scalars(select(TemplateRow).where(TemplateRow.person_id == person.id)):
                    pack_template(open_template(row, key))
                for photo in session.scalars(select(PhotoRow).where(PhotoRow.person_id == person.id)):
                    key.open(site.blobs.read(photo.blob_sha256), Kind.PHOTO, photo.id)
            except NotFound:
                how = f"Restore a backup, or run `consentry person withdraw {person.id}`"
                findings.append(
                    Finding("person", f"person {person.id} has lost their key", how, mended=False)
                )
            except (DataDamaged, ConsentInvalid, EngineError) as error:
                findings.append(
                    Finding("person", f"person {person.id}: {error.cause}", error.mend, mended=False)
                )
    return findings


def _or_erase(person_id: str) -> str:
    return f"Restore a backup, or run `consentry person withdraw {person_id}` and enrol them anew"


def _check_rotations(site: Site) -> list[Finding]:
    """Templates under a rotation that is not there can be compared with nothing."""
    with site.read() as session:
        known = {_UNTURNED, *session.scalars(select(TemplateRotationRow.version))}
        rows = session.scalars(select(TemplateRow).where(TemplateRow.rotation_version.not_in(known)))
        return [
            Finding(
                "template",
                f"template {row.id} is under rotation {row.rotation_version}, which is not there",
                _or_erase(row.person_id),
                mended=False,
            )
            for row in rows
        ]


def _check_consents(site: Site, *, mend: bool, actor: str) -> list[Finding]:
    ended = people_without_consent(site)
    if mend:
        erase_expired(site, actor=actor)
    return [
        Finding(
            "consent",
            f"person {person_id} is still enrolled though their consent has ended",
            "Run `consentry check --mend` to erase them, or enrol them anew with a new consent",
            mended=mend,
        )
        for person_id in ended
    ]
