"""Adding, changing and removing users. There is always someone left who may do that.

The ledger calls users by their id. A name stands in the user's row only, and goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consentry.errors import Forbidden, NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.consent import clean_name
from consentry.people.site import Site
from consentry.server import passwords
from consentry.server.access import Role
from consentry.server.users import User, new_user_id, user_of
from consentry.store.schema import UserRow

MOST_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the list of users shows them.

    Attributes:
        user: Who.
        created_unix_ms: When they were added.
        is_disabled: Whether they may not sign in at present.
        oidc_issuer: The provider they sign in with; None for a password.
    """

    user: User
    created_unix_ms: int
    is_disabled: bool
    oidc_issuer: str | None


def list_accounts(site: Site) -> list[Account]:
    """All users, in the order they were added."""
    with site.read() as session:
        rows = session.scalars(select(UserRow).order_by(UserRow.created_unix_ms, UserRow.id)).all()
        return [_account(row) for row in rows]


def account_of(site: Site, user_id: str) -> Account:
    """One user.

    Raises:
        NotFound: there is none with that id.
    """
    with site.read() as session:
        return _account(_row(session, user_id))


def account_named(site: Site, name: str) -> Account:
    """The user of that name, disabled or not.

    Raises:
        NotFound: there is none.
    """
    with site.read() as session:
        row = session.scalars(select(UserRow).where(UserRow.name == name)).one_or_none()
        if row is None:
            raise NotFound(f"there is no user called {name}", "See `consentry user list`")
        return _account(row)


def add_user(site: Site, name: str, role: Role, *, actor: str) -> tuple[User, str]:
    """A new user and their random password, which is kept nowhere.

    Raises:
        UsageError: the name is taken, or is none.
    """
    cleaned = clean_name(name)
    if len(cleaned) > MOST_NAME_CHARACTERS:
        raise UsageError(f"a user's name has at most {MOST_NAME_CHARACTERS} characters", "Give another name")
    password = passwords.random_password()
    encoded = passwords.hashed(password)
    with site.write() as session:
        if session.scalars(select(UserRow).where(UserRow.name == cleaned)).one_or_none() is not None:
            raise UsageError(f"there is a user called {cleaned} already", "Give another name")
        row = UserRow(
            id=new_user_id(),
            name=cleaned,
            password_argon2id=encoded,
            role=role,
            created_unix_ms=site.now_unix_ms(),
        )
        session.add(row)
        site.log(session, Event.USER_ADDED, actor=actor, payload={"user": row.id, "role": role})
        return user_of(row), password


def change_role(site: Site, user_id: str, role: Role, *, actor: str) -> None:
    """Let someone do other things from now on; their sessions are over.

    Raises:
        NotFound: there is no such user.
        Forbidden: they are the last admin who may sign in.
    """
    with site.write() as session:
        row = _row(session, user_id)
        row.role = role
        require_an_admin(session)
        site.log(session, Event.USER_CHANGED, actor=actor, payload={"user": user_id, "role": role})


def set_disabled(site: Site, user_id: str, disabled: bool, *, actor: str) -> None:
    """Let nobody sign in as this user, or let them again. Raises as `change_role` does."""
    with site.write() as session:
        row = _row(session, user_id)
        row.is_disabled = disabled
        require_an_admin(session)
        site.log(session, Event.USER_CHANGED, actor=actor, payload={"user": user_id, "disabled": disabled})


def remove_user(site: Site, user_id: str, *, actor: str) -> None:
    """Erase a user: name, password, tokens. Raises as `change_role` does."""
    with site.write() as session:
        session.delete(_row(session, user_id))
        require_an_admin(session)
        site.log(session, Event.USER_REMOVED, actor=actor, payload={"user": user_id})


def reset_password(site: Site, user_id: str, *, actor: str) -> str:
    """A new random password, which is kept nowhere; the old one is void, and all sessions are over.

    Raises:
        NotFound: there is no such user.
        UsageError: they sign in by OIDC.
    """
    password = passwords.random_password()
    _set_password(site, user_id, password, actor=actor)
    return password


def choose_password(site: Site, user: User, password: str) -> None:
    """The password that a user wants; all their sessions are over.

    Raises:
        UsageError: it is too short, or they sign in by OIDC.
    """
    passwords.require_good(password, user.name)
    _set_password(site, user.id, password, actor=user.actor)


def reset_totp(site: Site, user_id: str, *, actor: str) -> None:
    """Forget someone's authenticator app, which they have lost.

    Raises:
        NotFound: there is no such user.
    """
    with site.write() as session:
        _row(session, user_id).sealed_totp = None
        site.log(session, Event.USER_CHANGED, actor=actor, payload={"user": user_id, "totp": "reset"})


def _set_password(site: Site, user_id: str, password: str, *, actor: str) -> None:
    encoded = passwords.hashed(password)
    with site.write() as session:
        row = _row(session, user_id)
        if row.oidc_issuer is not None:
            raise UsageError("this user signs in by OIDC and has no password", "Change it at the provider")
        row.password_argon2id = encoded
        site.log(session, Event.USER_PASSWORD_RENEWED, actor=actor, payload={"user": user_id})


def require_an_admin(session: Session) -> None:
    """Let a change of users stand only if an admin who may sign in is left.

    Raises:
        Forbidden: none would be.
    """
    session.flush()
    left = (
        select(func.count())
        .select_from(UserRow)
        .where(UserRow.role == "admin", UserRow.is_disabled.is_(False))
    )
    if not session.execute(left).scalar_one():
        raise Forbidden("nobody would be left who may run this site", "Make another user admin first")


def _row(session: Session, user_id: str) -> UserRow:
    row = session.get(UserRow, user_id)
    if row is None:
        raise NotFound("there is no such user", "See `consentry user list` or /api/v1/users")
    return row


def _account(row: UserRow) -> Account:
    return Account(user_of(row), row.created_unix_ms, row.is_disabled, row.oidc_issuer)
