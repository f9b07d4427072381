"""Tickets: what the server would otherwise have to remember between two steps, sealed, with the browser."""

from __future__ import annotations

import base64
import json
from binascii import Error as Base64Error

from consentry.errors import DataDamaged, Unauthorised
from consentry.people.seal import Kind
from consentry.people.site import Site

TICKET_S = 10 * 60
_MS_PER_S = 1000


def sealed_ticket(site: Site, content: dict[str, str], kind: Kind, whose: str) -> str:
    """`content` for its holder to bring back within `TICKET_S`; they can neither read nor change it.

    Args:
        site: Whose key seals it.
        content: What is to be known in the next step.
        kind: What the steps are for.
        whose: Binds it to a user or browser.
    """
    until_unix_ms = site.now_unix_ms() + TICKET_S * _MS_PER_S
    plain = json.dumps({**content, "until_unix_ms": str(until_unix_ms)}).encode()
    return base64.urlsafe_b64encode(site.key.seal(plain, kind, f"ticket {whose}")).decode()


def opened_ticket(site: Site, ticket: str, kind: Kind, whose: str) -> dict[str, str]:
    """What was sealed in a ticket.

    Raises:
        Unauthorised: it is none of this site, for something else, or too old.
    """
    refused = Unauthorised("this step took too long, or was begun elsewhere", "Begin again")
    try:
        sealed = base64.urlsafe_b64decode(ticket.encode())
        content: dict[str, str] = json.loads(site.key.open(sealed, kind, f"ticket {whose}"))
    except (Base64Error, DataDamaged):
        raise refused from None
    if site.now_unix_ms() >= int(content["until_unix_ms"]):
        raise refused
    return content
