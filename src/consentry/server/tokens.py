"""Tokens for programs: shown once, known by their hash, with a reach and an end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import get_args

from sqlalchemy import delete, func, select, update

from consentry.errors import DataDamaged, Forbidden, NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.consent import clean_name
from consentry.people.site import Site
from consentry.server.access import Scope, scopes_of
from consentry.server.users import User
from consentry.store.schema import ApiTokenRow

PREFIX = "cst_"
SECRET_BYTES = 32
MOST_DAYS = 365
MOST_TOKENS = 50
NOTE_USE_MS = 60_000
_MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as its owner sees it later; the secret is not in it.

    Attributes:
        id: To revoke it with.
        label: What it is for.
        user_id: Who made it.
        scopes: How far it reaches, never further than its maker's role at the time of use.
        made_unix_ms, expires_unix_ms, last_used_unix_ms: When; the last to within a minute.
    """

    id: str
    label: str
    user_id: str
    scopes: frozenset[Scope]
    made_unix_ms: int
    expires_unix_ms: int
    last_used_unix_ms: int | None


def make_token(
    site: Site, user: User, *, label: str, scopes: frozenset[Scope], days: int
) -> tuple[ApiToken, str]:
    """A new token of `user` and its secret, which is kept nowhere.

    Raises:
        Forbidden: a scope reaches further than the user's role.
        UsageError: there is no scope, the label is none, it would last too long, or there are too many.
    """
    beyond = scopes - scopes_of(user.role)
    if beyond:
        raise Forbidden(
            f"{', '.join(sorted(beyond))}: further than your own role reaches", "Choose fewer scopes"
        )
    if not scopes or not 1 <= days <= MOST_DAYS:
        raise UsageError(f"a token has a scope and lasts 1 to {MOST_DAYS} days", "Correct the request")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    now_unix_ms = site.now_unix_ms()
    with site.write() as session:
        session.execute(delete(ApiTokenRow).where(ApiTokenRow.expires_unix_ms <= now_unix_ms))
        own = select(func.count()).select_from(ApiTokenRow).where(ApiTokenRow.user_id == user.id)
        if session.execute(own).scalar_one() >= MOST_TOKENS:
            raise UsageError(f"you have {MOST_TOKENS} tokens", "Revoke one first")
        row = ApiTokenRow(
            id=secrets.token_hex(8),
            label=clean_name(label),
            token_sha256=_hash(secret),
            user_id=user.id,
            scopes=sorted(scopes),
            made_unix_ms=now_unix_ms,
            expires_unix_ms=now_unix_ms + days * _MS_PER_DAY,
        )
        session.add(row)
        site.log(
            session,
            Event.TOKEN_MADE,
            actor=user.actor,
            payload={"token": row.id, "scopes": sorted(scopes), "days": days},
        )
        return _token(row), secret


def list_tokens(site: Site, user_id: str) -> list[ApiToken]:
    """A user's tokens that have not run out, oldest first."""
    with site.read() as session:
        rows = session.scalars(
            select(ApiTokenRow)
            .where(ApiTokenRow.user_id == user_id, ApiTokenRow.expires_unix_ms > site.now_unix_ms())
            .order_by(ApiTokenRow.made_unix_ms, ApiTokenRow.id)
        ).all()
        return [_token(row) for row in rows]


def revoke_token(site: Site, user: User, token_id: str) -> None:
    """End one of a user's own tokens.

    Raises:
        NotFound: they have no such token.
    """
    with site.write() as session:
        row = session.get(ApiTokenRow, token_id)
        if row is None or row.user_id != user.id:
            raise NotFound("you have no such token", "See /api/v1/tokens")
        session.delete(row)
        site.log(session, Event.TOKEN_REVOKED, actor=user.actor, payload={"token": token_id})


def token_behind(site: Site, secret: str) -> ApiToken | None:
    """The token with this secret, which is used now; None if it is unknown, revoked or has run out.

    It is looked up by hash, so that the time this takes says nothing about the secret.
    """
    now_unix_ms = site.now_unix_ms()
    with site.read() as session:
        row = session.scalars(
            select(ApiTokenRow).where(ApiTokenRow.token_sha256 == _hash(secret))
        ).one_or_none()
        if row is None or now_unix_ms >= row.expires_unix_ms:
            return None
        token = _token(row)
    if token.last_used_unix_ms is None or now_unix_ms - token.last_used_unix_ms >= NOTE_USE_MS:
        with site.write() as session:
            session.execute(
                update(ApiTokenRow).where(ApiTokenRow.id == token.id).values(last_used_unix_ms=now_unix_ms)
            )
    return token


def _token(row: ApiTokenRow) -> ApiToken:
    return ApiToken(
        id=row.id,
        label=row.label,
        user_id=row.user_id,
        scopes=frozenset(_scope(name) for name in row.scopes),
        made_unix_ms=row.made_unix_ms,
        expires_unix_ms=row.expires_unix_ms,
        last_used_unix_ms=row.last_used_unix_ms,
    )


def _scope(name: str) -> Scope:
    for scope in get_args(Scope):
        if scope == name:
            found: Scope = scope
            return found
    raise DataDamaged(f"a token has the scope “{name}”, which does not exist", "Revoke it")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
