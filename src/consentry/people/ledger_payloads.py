"""Deleting old payloads of the ledger, which two people must have agreed to."""

from __future__ import annotations

from consentry.errors import UsageError
from consentry.ledger.entry import Event
from consentry.people.site import Site


def delete_old_payloads(site: Site, *, before_unix_ms: int, approval_id: str, actor: str) -> int:
    """Delete the payloads of all entries from before a moment, and log it, in one transaction.

    The entries themselves stay, and the tree with them. SQLite overwrites what it deletes with zeros; copies
    of the database from before keep it.

    Args:
        before_unix_ms: The first moment whose payloads stay, milliseconds since 1970 UTC.
        approval_id: What two people have agreed to; that is for the caller to see to.
        actor: Who does this, for the ledger.

    Returns:
        How many payloads were deleted.

    Raises:
        UsageError: the moment has not come yet.
        LedgerBroken: the head of the ledger was tampered with; nothing is deleted.
    """
    if before_unix_ms > site.now_unix_ms():
        raise UsageError(
            "payloads cannot be deleted before they are written", "Give a moment that has passed"
        )
    with site.write() as session:
        deleted = site.ledger.delete_payloads(session.connection(), before_unix_ms)
        site.log(
            session,
            Event.LEDGER_PAYLOADS_DELETED,
            actor=actor,
            payload={"before_unix_ms": before_unix_ms, "deleted": deleted, "approval_id": approval_id},
        )
    return deleted
