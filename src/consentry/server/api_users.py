"""Users: who may sign in, as what; for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from consentry.clock import iso_utc
from consentry.server import accounts
from consentry.server.access import Role
from consentry.server.accounts import Account
from consentry.server.services import Asking, Behind

_MS_PER_S = 1000
_STRICT = ConfigDict(extra="forbid")

routes = APIRouter(tags=["users"])


class NewUser(BaseModel):
    """Somebody who is to sign in."""

    model_config = _STRICT

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: Role


class UserChange(BaseModel):
    """What is to be different; what is left out stays."""

    model_config = _STRICT

    role: Role | None = None
    is_disabled: bool | None = None
    reset_password: bool = False
    reset_totp: bool = False


class UserOut(BaseModel):
    """A user. `password` is there only when it is new, and shown only now."""

    id: str
    name: str
    role: Role
    created: str
    is_disabled: bool
    has_totp: bool
    oidc_issuer: str | None
    password: str | None = Field(None, repr=False)


@routes.get("/users")
def users(behind: Behind) -> list[UserOut]:
    """All users, in the order they were added."""
    return [_user(account) for account in accounts.list_accounts(behind.site)]


@routes.post("/users", status_code=201)
def add_user(wanted: NewUser, asking: Asking, behind: Behind) -> UserOut:
    """Add a user; their random password is in the answer, once."""
    user, password = accounts.add_user(behind.site, wanted.name, wanted.role, actor=asking.user.actor)
    return _user(accounts.account_of(behind.site, user.id), password)


@routes.patch("/users/{user_id}")
def change_user(user_id: str, change: UserChange, asking: Asking, behind: Behind) -> UserOut:
    """Change role, disable or enable, reset password or authenticator app. Ends the user's sessions."""
    site, actor, password = behind.site, asking.user.actor, None
    accounts.account_of(site, user_id)
    if change.role is not None:
        accounts.change_role(site, user_id, change.role, actor=actor)
    if change.is_disabled is not None:
        accounts.set_disabled(site, user_id, change.is_disabled, actor=actor)
    if change.reset_password:
        password = accounts.reset_password(site, user_id, actor=actor)
    if change.reset_totp:
        accounts.reset_totp(site, user_id, actor=actor)
    behind.sessions.close_all(user_id)
    return _user(accounts.account_of(site, user_id), password)


@routes.delete("/users/{user_id}", status_code=204)
def remove_user(user_id: str, asking: Asking, behind: Behind) -> None:
    """Erase a user: name, password, tokens; their sessions end. The ledger keeps a random id."""
    accounts.remove_user(behind.site, user_id, actor=asking.user.actor)
    behind.sessions.close_all(user_id)


def _user(account: Account, password: str | None = None) -> UserOut:
    return UserOut(
        id=account.user.id,
        name=account.user.name,
        role=account.user.role,
        created=iso_utc(account.created_unix_ms / _MS_PER_S),
        is_disabled=account.is_disabled,
        has_totp=account.user.has_totp,
        oidc_issuer=account.oidc_issuer,
        password=password,
    )
