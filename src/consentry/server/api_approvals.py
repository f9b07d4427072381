"""What two people decide: acts that one asks for and another agrees to, and confirmations of sightings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from consentry.clock import iso_utc
from consentry.config import Settings
from consentry.errors import ApprovalNeeded
from consentry.people.agreed import PROTECTED, Value, agreed_values, take_back
from consentry.people.approvals import (
    Approval,
    ApprovalKind,
    NewApproval,
    State,
    agree,
    approval_of,
    ask,
    list_approvals,
    refuse,
    require_agreed,
)
from consentry.people.bulk import export_sightings
from consentry.people.confirmations import Answer, Confirmation, Outcome, confirmation
from consentry.people.ledger_payloads import delete_old_payloads
from consentry.server.services import Asking, Behind

_MS_PER_S = 1000

SightingId = Annotated[int, Path(ge=1, le=2**63 - 1)]

routes = APIRouter(tags=["two people"])


class ApprovalOut(BaseModel):
    """Something asked for. `is_mine` marks what you asked for yourself and cannot agree to."""

    id: str
    kind: ApprovalKind
    payload: dict[str, Any]
    reason: str
    state: State
    asked_by: str
    asked: str
    expires: str
    answered_by: str | None
    answered: str | None
    is_mine: bool


class Confirming(BaseModel):
    """Whether the person in a sighting is who it says."""

    model_config = ConfigDict(extra="forbid")

    answer: Answer


class ConfirmationOut(BaseModel):
    """Your answer; and, once you have given it, those of the others and what follows."""

    sighting: int
    mine: Answer | None
    others: list[Answer] | None
    outcome: Outcome | None


class ProtectedSetting(BaseModel):
    """A setting that protects people. `refused` is what is set but not used, because nobody agreed to it."""

    setting: str
    kind: str
    default: Value
    used: Value
    refused: Value | None
    agreed: Value | None


class HookOut(BaseModel):
    """How an outside action goes. `failed` counts by cause."""

    consequential: bool
    where: str
    delivered: int
    failed: dict[str, int]


@routes.get("/approvals")
def approvals(asking: Asking, behind: Behind) -> list[ApprovalOut]:
    """What was asked for, newest first."""
    return [_approval(item, asking.user.id) for item in list_approvals(behind.site)]


@routes.post("/approvals", status_code=201)
def ask_for(wanted: NewApproval, asking: Asking, behind: Behind) -> ApprovalOut:
    """Ask for an act that another person must agree to, within a day."""
    return _approval(ask(behind.site, wanted, user_id=asking.user.id), asking.user.id)


@routes.post("/approvals/{approval_id}/agree")
def agree_to(approval_id: str, asking: Asking, behind: Behind) -> ApprovalOut:
    """Agree to what somebody else asked for. 409 if it was you."""
    return _approval(agree(behind.site, approval_id, user_id=asking.user.id), asking.user.id)


@routes.post("/approvals/{approval_id}/refuse")
def refuse_it(approval_id: str, asking: Asking, behind: Behind) -> ApprovalOut:
    """Refuse what somebody asked for, or take back what you asked for."""
    return _approval(refuse(behind.site, approval_id, user_id=asking.user.id), asking.user.id)


@routes.post(
    "/approvals/{approval_id}/result",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}, "application/json": {}}}},
)
def result(approval_id: str, asking: Asking, behind: Behind) -> Response:
    """Do what you asked for and another agreed to, once: ZIP of a bulk export, or how much was deleted."""
    approval = approval_of(behind.site, approval_id)
    if approval.kind == "bulk.export":
        packed = export_sightings(behind.site, approval_id, behind.settings.retention, user_id=asking.user.id)
        headers = {"Content-Disposition": f'attachment; filename="sightings-{approval_id[:8]}.zip"'}
        return Response(packed, media_type="application/zip", headers=headers)
    if approval.kind == "ledger.delete_payloads":
        with behind.site.write() as session:
            require_agreed(behind.site, session, approval_id, approval.kind, user_id=asking.user.id)
        before_unix_ms = round(datetime.fromisoformat(approval.payload["before"]).timestamp() * _MS_PER_S)
        deleted = delete_old_payloads(
            behind.site,
            before_unix_ms=before_unix_ms,
            approval_id=approval_id,
            actor=asking.user.actor,
        )
        return JSONResponse({"deleted": deleted})
    raise ApprovalNeeded(f"{approval.kind} has no result to fetch", "See docs/access.md for what follows it")


@routes.get("/settings")
def settings(behind: Behind) -> list[ProtectedSetting]:
    """The settings that protect people: what is used, and what is set but refused."""
    agreed, refused = agreed_values(behind.site), {one.setting: one.wanted for one in behind.refused}
    defaults = Settings.model_construct()
    return [
        ProtectedSetting(
            setting=name,
            kind=protection.kind,
            default=_value(defaults, name),
            used=_value(behind.settings, name),
            refused=refused.get(name),
            agreed=agreed.get(name),
        )
        for name, protection in PROTECTED.items()
    ]


@routes.delete("/settings/{setting}", status_code=204)
def take_setting_back(setting: str, asking: Asking, behind: Behind) -> None:
    """Let the default hold again, from the next start on; nobody else need agree."""
    take_back(behind.site, setting, actor=asking.user.actor)


@routes.get("/sightings/{sighting_id}/confirmations")
def confirmations(sighting_id: SightingId, asking: Asking, behind: Behind) -> ConfirmationOut:
    """Your answer; those of the others only once you have given yours."""
    return _confirmation(confirmation(behind.site, sighting_id, user_id=asking.user.id))


@routes.post("/sightings/{sighting_id}/confirmations", status_code=201)
def confirm_sighting(
    sighting_id: SightingId, confirming: Confirming, asking: Asking, behind: Behind
) -> ConfirmationOut:
    """Say whether it is who it says. After two different people's `same`, consequential actions happen."""
    return _confirmation(behind.actions.confirmed(sighting_id, confirming.answer, user_id=asking.user.id))


@routes.get("/actions")
def actions(behind: Behind) -> list[HookOut]:
    """The outside actions there are, and how their messages arrive."""
    return [
        HookOut(
            where=one.where,
            consequential=one.consequential,
            delivered=one.delivered,
            failed=one.failed,
        )
        for one in behind.actions.states()
    ]


def _approval(item: Approval, user_id: str) -> ApprovalOut:
    return ApprovalOut(
        id=item.id,
        kind=item.kind,
        payload=dict(item.payload),
        reason=item.reason,
        state=item.state,
        asked_by=item.asked_by,
        asked=iso_utc(item.asked_unix_ms / _MS_PER_S),
        expires=iso_utc(item.expires_unix_ms / _MS_PER_S),
        answered_by=item.answered_by,
        answered=iso_utc(item.answered_unix_ms / _MS_PER_S) if item.answered_unix_ms else None,
        is_mine=item.asked_by == user_id,
    )


def _confirmation(found: Confirmation) -> ConfirmationOut:
    return ConfirmationOut(
        sighting=found.sighting,
        mine=found.mine,
        others=list(found.others) if found.others is not None else None,
        outcome=found.outcome,
    )


def _value(settings: Settings, name: str) -> Value:
    group, field = name.split(".")
    value: Value = getattr(getattr(settings, group), field)
    return value
