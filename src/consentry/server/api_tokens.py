"""Your authenticator app, and tokens for your programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from consentry.clock import iso_utc
from consentry.server import tokens, totp
from consentry.server.access import Scope
from consentry.server.api_session import Password, address_of
from consentry.server.services import Asking, Behind
from consentry.server.tokens import MOST_DAYS, ApiToken

_MS_PER_S = 1000
_STRICT = ConfigDict(extra="forbid")

routes = APIRouter(tags=["account"])


class Again(BaseModel):
    """One's own password, once more."""

    model_config = _STRICT

    password: Password


class TotpOut(BaseModel):
    """What an authenticator app is set up with. Give `ticket` back with the first code."""

    secret: Annotated[str, Field(repr=False)]
    uri: str
    qr_svg: str
    ticket: str


class FirstCode(BaseModel):
    """The first code of an app, and the ticket that came with its secret."""

    model_config = _STRICT

    ticket: Annotated[str, Field(max_length=1024)]
    code: Annotated[str, Field(max_length=16, repr=False)]


class NewToken(BaseModel):
    """What a program is to be able to do."""

    model_config = _STRICT

    label: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 90


class TokenOut(BaseModel):
    """A token. `token` is there only when it is new, and shown only now."""

    id: str
    label: str
    scopes: list[Scope]
    made: str
    expires: str
    last_used: str | None
    token: Annotated[str | None, Field(repr=False)] = None


@routes.post("/me/totp")
def begin_totp(again: Again, asking: Asking, request: Request, behind: Behind) -> TotpOut:
    """A secret for an authenticator app. It counts once a code of it was given to `/me/totp/confirm`."""
    behind.users.require_password(asking.user, again.password, address_of(request))
    made = totp.begin(behind.site, asking.user.id, asking.user.name)
    return TotpOut(secret=made.secret, uri=made.uri, qr_svg=made.qr_svg, ticket=made.ticket)


@routes.post("/me/totp/confirm", status_code=204)
def confirm_totp(first: FirstCode, asking: Asking, behind: Behind) -> None:
    """From now on, signing in needs a code of this app."""
    totp.confirm(behind.site, asking.user.id, first.ticket, first.code, actor=asking.user.actor)


@routes.get("/tokens")
def own_tokens(asking: Asking, behind: Behind) -> list[TokenOut]:
    """Your tokens that have not run out."""
    return [_token(token) for token in tokens.list_tokens(behind.site, asking.user.id)]


@routes.post("/tokens", status_code=201)
def make_token(wanted: NewToken, asking: Asking, behind: Behind) -> TokenOut:
    """A token for a program; it is in the answer, once."""
    token, secret = tokens.make_token(
        behind.site, asking.user, label=wanted.label, scopes=frozenset(wanted.scopes), days=wanted.days
    )
    return _token(token, secret)


@routes.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: str, asking: Asking, behind: Behind) -> None:
    """End one of your tokens at once."""
    tokens.revoke_token(behind.site, asking.user, token_id)


def _token(token: ApiToken, secret: str | None = None) -> TokenOut:
    last = token.last_used_unix_ms
    return TokenOut(
        id=token.id,
        label=token.label,
        scopes=sorted(token.scopes),
        made=iso_utc(token.made_unix_ms / _MS_PER_S),
        expires=iso_utc(token.expires_unix_ms / _MS_PER_S),
        last_used=iso_utc(last / _MS_PER_S) if last is not None else None,
        token=secret,
    )
