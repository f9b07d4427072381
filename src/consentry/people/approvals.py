"""Acts that two different people must agree to: one asks, another one agrees, then it happens once.

Nobody agrees to what they asked for themselves, and nobody whose account is younger than what was asked.
Only people who have signed in take part, no programs: routes see to that.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import rfc8785
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.config import Role
from consentry.errors import ApprovalNeeded, DataDamaged, Forbidden, NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.agreed import SettingKind, Value, require_weaker
from consentry.people.consent import Line
from consentry.people.site import Site
from consentry.store.schema import AgreedSettingRow, ApprovalRow, UserRow

ApprovalKind = Literal[
    "threshold.lower", "redaction.weaken", "unseal", "bulk.export", "ledger.delete_payloads"
]
State = Literal["open", "agreed", "refused", "expired", "done"]
VALID_MS = 24 * 3600 * 1000
MOST_LISTED = 200

_ADMINS: Final[frozenset[Role]] = frozenset({"admin"})
_OPERATORS: Final[frozenset[Role]] = frozenset({"operator", "admin"})
MAY_ASK: Final[Mapping[ApprovalKind, frozenset[Role]]] = {
    "threshold.lower": _ADMINS,
    "redaction.weaken": _ADMINS,
    "unseal": _OPERATORS,
    "bulk.export": _OPERATORS,
    "ledger.delete_payloads": _ADMINS,
}
MAY_AGREE: Final = _ADMINS
_STRICT = ConfigDict(extra="forbid")


class _SettingPayload(BaseModel):
    """A setting that is to be weaker than its default."""

    model_config = _STRICT
    setting: str
    value: Value


class _UnsealPayload(BaseModel):
    """Sealed recordings that are to be opened."""

    model_config = _STRICT
    camera: Line
    start: AwareDatetime
    end: AwareDatetime


class _ExportPayload(BaseModel):
    """A period whose sightings are to be given away."""

    model_config = _STRICT
    start: AwareDatetime
    end: AwareDatetime


class _PayloadsPayload(BaseModel):
    """The moment before which payloads of the ledger are to be deleted."""

    model_config = _STRICT
    before: AwareDatetime


_FORMS: Final[Mapping[ApprovalKind, type[BaseModel]]] = {
    "threshold.lower": _SettingPayload,
    "redaction.weaken": _SettingPayload,
    "unseal": _UnsealPayload,
    "bulk.export": _ExportPayload,
    "ledger.delete_payloads": _PayloadsPayload,
}


class NewApproval(BaseModel):
    """What somebody asks for."""

    model_config = _STRICT

    kind: ApprovalKind
    payload: dict[str, Any]
    reason: Line = Field(description="Why, for the one who is to agree.")


@dataclass(frozen=True, slots=True)
class Approval:
    """Something asked for, and what became of it.

    Attributes:
        id: Random.
        kind: What sort of act.
        payload: What exactly; see the forms above.
        reason: Why, as the one who asked wrote it.
        asked_by, answered_by: Ids of users.
        asked_unix_ms, expires_unix_ms, answered_unix_ms: When; what was agreed to expires too.
        state: What became of it.
    """

    id: str
    kind: ApprovalKind
    payload: Mapping[str, Any]
    reason: str
    asked_by: str
    asked_unix_ms: int
    expires_unix_ms: int
    answered_by: str | None
    answered_unix_ms: int | None
    state: State


def ask(site: Site, wanted: NewApproval, *, user_id: str) -> Approval:
    """Ask for an act.

    Raises:
        UsageError: the payload does not fit the kind.
        Forbidden: the user's role may not ask for this.
    """
    payload = _checked(wanted.kind, wanted.payload)
    now_unix_ms = site.now_unix_ms()
    if "before" in payload and datetime.fromisoformat(payload["before"]) > _moment(now_unix_ms):
        raise UsageError("`before` has not come yet", "Give a moment that has passed")
    with site.write() as session:
        _require_role(session, user_id, MAY_ASK[wanted.kind])
        row = ApprovalRow(
            id=secrets.token_hex(16),
            kind=wanted.kind,
            payload_json=rfc8785.dumps(payload).decode(),
            reason=wanted.reason,
            asked_by=user_id,
            asked_unix_ms=now_unix_ms,
            expires_unix_ms=now_unix_ms + VALID_MS,
            state="open",
        )
        session.add(row)
        _log(site, session, Event.APPROVAL_ASKED, row, user_id)
        return _approval(row, now_unix_ms)


def agree(site: Site, approval_id: str, *, user_id: str) -> Approval:
    """Agree to what somebody else asked for. A weaker setting is allowed by that; see `use` for the rest.

    Raises:
        NotFound: there is no such thing.
        ApprovalNeeded: the same user asked for it, their account is younger, or it is not open any more.
        Forbidden: the user's role may not agree.
    """
    with site.write() as session:
        row = _open_row(site, session, approval_id)
        user = _require_role(session, user_id, MAY_AGREE)
        if user_id == row.asked_by:
            raise ApprovalNeeded("you asked for this yourself", "Another person must agree to it")
        if user.created_unix_ms > row.asked_unix_ms:
            raise ApprovalNeeded(
                "your account is younger than this", "Someone who was here before must agree"
            )
        _require_role(session, row.asked_by, MAY_ASK[_kind(row)])
        row.state, row.answered_by, row.answered_unix_ms = "agreed", user_id, site.now_unix_ms()
        row.expires_unix_ms = site.now_unix_ms() + VALID_MS
        _log(site, session, Event.APPROVAL_AGREED, row, user_id)
        if _FORMS[_kind(row)] is _SettingPayload:
            _allow_setting(session, row)
            row.state = "done"
            _log(site, session, Event.APPROVAL_USED, row, row.asked_by)
        return _approval(row, site.now_unix_ms())


def refuse(site: Site, approval_id: str, *, user_id: str) -> Approval:
    """Refuse what somebody asked for, or take back what one asked for oneself.

    Raises:
        NotFound, ApprovalNeeded, Forbidden: as `agree` does.
    """
    with site.write() as session:
        row = _open_row(site, session, approval_id)
        if user_id != row.asked_by:
            _require_role(session, user_id, MAY_AGREE)
        row.state, row.answered_by, row.answered_unix_ms = "refused", user_id, site.now_unix_ms()
        _log(site, session, Event.APPROVAL_REFUSED, row, user_id)
        return _approval(row, site.now_unix_ms())


def list_approvals(site: Site) -> list[Approval]:
    """What was asked for, newest first, `MOST_LISTED` at most."""
    newest = select(ApprovalRow).order_by(ApprovalRow.asked_unix_ms.desc(), ApprovalRow.id)
    with site.read() as session:
        rows = session.scalars(newest.limit(MOST_LISTED)).all()
        return [_approval(row, site.now_unix_ms()) for row in rows]


def approval_of(site: Site, approval_id: str) -> Approval:
    """One of them.

    Raises:
        NotFound: there is no such thing.
    """
    with site.read() as session:
        return _approval(_row(session, approval_id), site.now_unix_ms())


def require_agreed(
    site: Site, session: Session, approval_id: str, kind: ApprovalKind, *, user_id: str
) -> Approval:
    """Let the user who asked go on with the act itself, once: call it in the transaction of the act.

    Args:
        site: Whose.
        session: Of the act; when it is rolled back, the approval can be used again.
        approval_id: What was agreed to. Do what its payload says, and nothing else.
        kind: What the caller does.
        user_id: Who does it: the one who asked.

    Raises:
        NotFound: there is no such thing.
        ApprovalNeeded: nobody has agreed, it was used already, it ran out, or it is another kind's or user's.
        Forbidden: their role may not ask for this any more.
    """
    row = _row(session, approval_id)
    approval = _approval(row, site.now_unix_ms())
    if approval.kind != kind or approval.asked_by != user_id:
        raise ApprovalNeeded("this was agreed to for another act or person", "Ask for it yourself")
    _require_role(session, user_id, MAY_ASK[kind])
    if approval.state != "agreed":
        raise ApprovalNeeded(f"this is {approval.state}, not agreed to", "Another person must agree first")
    row.state = "done"
    _log(site, session, Event.APPROVAL_USED, row, user_id)
    return approval


def _checked(kind: ApprovalKind, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload in its canonical form."""
    try:
        checked = _FORMS[kind].model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "payload"
        raise UsageError(f"{field}: {first['msg']}", "See docs/access.md for what each kind takes") from None
    document = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in checked.model_dump().items()
    }
    if isinstance(checked, _SettingPayload):
        setting_kind: SettingKind = "threshold.lower" if kind == "threshold.lower" else "redaction.weaken"
        require_weaker(setting_kind, checked.setting, checked.value)
    elif "start" in document and document["start"] >= document["end"]:
        raise UsageError("the period ends before it begins", "Correct start and end")
    return document


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def _allow_setting(session: Session, row: ApprovalRow) -> None:
    payload = _SettingPayload.model_validate_json(row.payload_json)
    session.merge(
        AgreedSettingRow(
            name=payload.setting,
            value_json=rfc8785.dumps(payload.value).decode(),
            approval_id=row.id,
        )
    )


def _require_role(session: Session, user_id: str, roles: frozenset[Role]) -> UserRow:
    user = session.get(UserRow, user_id)
    if user is None or user.is_disabled or user.role not in roles:
        raise Forbidden("the role of this user does not allow that", "See docs/access.md for who may")
    return user


def _open_row(site: Site, session: Session, approval_id: str) -> ApprovalRow:
    row = _row(session, approval_id)
    state = _approval(row, site.now_unix_ms()).state
    if state != "open":
        raise ApprovalNeeded(f"this is {state} already", "Ask again")
    return row


def _row(session: Session, approval_id: str) -> ApprovalRow:
    row = session.get(ApprovalRow, approval_id)
    if row is None:
        raise NotFound("nothing of that id was asked for", "See /api/v1/approvals")
    return row


def _log(site: Site, session: Session, event: Event, row: ApprovalRow, user_id: str) -> None:
    site.log(
        session,
        event,
        actor=f"user:{user_id}",
        payload={"approval": row.id, "kind": row.kind, "payload_json": row.payload_json},
    )


def _kind(row: ApprovalRow) -> ApprovalKind:
    for kind in get_args(ApprovalKind):
        if kind == row.kind:
            found: ApprovalKind = kind
            return found
    raise DataDamaged(f"there is no act “{row.kind}” to agree to", "Restore a backup")


def _approval(row: ApprovalRow, now_unix_ms: int) -> Approval:
    is_over = row.state in ("open", "agreed") and now_unix_ms >= row.expires_unix_ms
    states: dict[str, State] = {state: state for state in get_args(State)}
    return Approval(
        id=row.id,
        kind=_kind(row),
        payload=_FORMS[_kind(row)].model_validate_json(row.payload_json).model_dump(mode="json"),
        reason=row.reason,
        asked_by=row.asked_by,
        asked_unix_ms=row.asked_unix_ms,
        expires_unix_ms=row.expires_unix_ms,
        answered_by=row.answered_by,
        answered_unix_ms=row.answered_unix_ms,
        state="expired" if is_over else states[row.state],
    )
