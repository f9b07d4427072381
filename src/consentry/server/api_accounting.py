"""What an operator owes: the notice to print, the impact assessment, requests received."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from consentry.clock import iso_utc
from consentry.people.dpia import dpia_status, sign_off
from consentry.people.notice import NoticeForm, print_notice
from consentry.people.requests import RequestKind, RequestOutcome, record_request
from consentry.server.services import Asking, Behind, Services
from consentry.server.users import User

_MS_PER_S = 1000
_Camera = Annotated[str | None, Query(description="For this camera; all of them if not given.")]

routes = APIRouter(tags=["accounting"])


class DpiaOut(BaseModel):
    """The newest sign-off of the impact assessment; `drift` names what was changed since."""

    signed: str | None
    actor: str | None
    document_sha256: str | None
    configuration_sha256: str
    drift: list[str]


class SignOff(BaseModel):
    """The document that is signed off, by its hash; it stays with whoever signs."""

    model_config = ConfigDict(extra="forbid")

    document_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RequestIn(BaseModel):
    """A request that came by letter, call or in person."""

    model_config = ConfigDict(extra="forbid")

    kind: RequestKind
    outcome: RequestOutcome = "open"


class RequestOut(BaseModel):
    """The number of a request."""

    id: int


@routes.get("/notice.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
def notice_pdf(asking: Asking, behind: Behind, camera: _Camera = None) -> Response:
    """The notice to print. Raises as `print_notice` does."""
    return _notice(behind, asking.user, "pdf", camera)


@routes.get("/notice.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
def notice_svg(asking: Asking, behind: Behind, camera: _Camera = None) -> Response:
    """The same as a picture. Raises as `print_notice` does."""
    return _notice(behind, asking.user, "svg", camera)


@routes.get("/dpia")
def dpia(behind: Behind) -> DpiaOut:
    """Whether an impact assessment was signed off, and whether it still fits."""
    status = dpia_status(behind.site, behind.settings)
    signed = status.signed_unix_ms
    return DpiaOut(
        signed=iso_utc(signed / _MS_PER_S) if signed is not None else None,
        actor=status.actor,
        document_sha256=status.document_sha256,
        configuration_sha256=status.configuration_sha256,
        drift=list(status.drift),
    )


@routes.post("/dpia/sign-off", status_code=201)
def dpia_sign_off(document: SignOff, asking: Asking, behind: Behind) -> DpiaOut:
    """Record that this document assesses the configuration as it is now."""
    sign_off(behind.site, behind.settings, document.document_sha256, actor=asking.user.actor)
    return dpia(behind)


@routes.post("/requests", status_code=201)
def add_request(request: RequestIn, asking: Asking, behind: Behind) -> RequestOut:
    """Count a request; the public page states how many there were."""
    with behind.site.write() as session:
        number = record_request(behind.site, session, request.kind, request.outcome, actor=asking.user.actor)
    return RequestOut(id=number)


def _notice(behind: Services, user: User, form: NoticeForm, camera: str | None) -> Response:
    made = print_notice(behind.site, behind.settings, form, camera=camera, actor=user.actor)
    media_type = "application/pdf" if form == "pdf" else "image/svg+xml"
    headers = {"Content-Disposition": f'attachment; filename="notice.{form}"'}
    return Response(made, media_type=media_type, headers=headers)
