"""Personal links: whoever holds one is the person, without an account. Only a hash of the secret is kept."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy.orm import Session

from consentry.errors import NotFound
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.store.schema import PersonLinkRow

TOKEN_BYTES = 32


def issue_link(site: Site, session: Session, person_id: str) -> str:
    """A new secret that leads to the page of `person_id`; earlier ones stay valid. Goes with the person."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(
        PersonLinkRow(token_sha256=_hash(token), person_id=person_id, made_unix_ms=site.now_unix_ms())
    )
    return token


def hand_out_link(site: Site, person_id: str, *, actor: str) -> str:
    """A fresh link for someone who lost theirs; returns its secret, and logs that there is one more.

    Args:
        actor: Who hands it out, for the ledger.

    Raises:
        NotFound: no such person.
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    with site.write() as session:
        pseudonym = site.person_key(session, person_id).pseudonym(person_id)
        token = issue_link(site, session, person_id)
        site.log(
            session,
            Event.PERSON_LINK_ISSUED,
            actor=actor,
            payload={"person_id": person_id},
            subject_pseudonym=pseudonym,
        )
    return token


def person_behind(site: Site, token: str) -> str:
    """The id of the person whose link this is.

    Raises:
        NotFound: there is no such link, or its person has withdrawn.
    """
    with site.read() as session:
        row = session.get(PersonLinkRow, _hash(token))
        if row is None:
            raise NotFound(
                "this personal link leads to nobody",
                "If you withdrew, nothing is held of you any more; else use the link of your newest receipt",
            )
        return row.person_id


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
