"""The inventory: adding a camera, reviewing it, taking it out."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from consentry.media import check_address
from consentry.people.cameras import CameraReview, add_camera, duty_of, remove_camera, review_camera
from consentry.people.consent import Line
from consentry.server.api_live import CameraOut, camera_out
from consentry.server.services import Asking, Behind

_EXACT = ConfigDict(extra="forbid")
_Address = Annotated[str, Field(min_length=1, max_length=2000, repr=False)]

routes = APIRouter(tags=["cameras"])


class CameraIn(BaseModel):
    """A camera to add. Owner and review are taken from the declaration where they are not given."""

    model_config = _EXACT

    name: str
    address: _Address
    purpose: Line
    owner: Line | None = None
    review_due_on: date | None = None
    zone: Line | None = None


class ReviewIn(BaseModel):
    """What a review changes; what is not given stays. An empty zone is none."""

    model_config = _EXACT

    purpose: Line | None = None
    owner: Line | None = None
    review_due_on: date | None = None
    zone: Line | Annotated[str, Field(max_length=0)] | None = None


@routes.post("/cameras", status_code=201)
def add(camera: CameraIn, asking: Asking, behind: Behind) -> CameraOut:
    """Add a camera; it is opened within seconds. Its address is kept under seal and never shown whole.

    Raises:
        UsageError: the name is malformed or taken, the address is none of a camera, owner or review are
            missing, or the review is not due within three years.
    """
    check_address(camera.address)
    duty = duty_of(
        behind.site, purpose=camera.purpose, owner=camera.owner, review_due_on=camera.review_due_on
    )
    added = add_camera(
        behind.site,
        name=camera.name,
        url=camera.address,
        duty=duty,
        zone=camera.zone,
        actor=asking.user.actor,
    )
    return camera_out(behind, added)


@routes.patch("/cameras/{name}")
def review(name: str, change: ReviewIn, asking: Asking, behind: Behind) -> CameraOut:
    """Look at a camera again. One that was overdue goes on within seconds.

    Raises:
        NotFound: there is no such camera.
        UsageError: the review is then not due within three years.
    """
    return camera_out(
        behind,
        review_camera(
            behind.site,
            name,
            CameraReview(
                purpose=change.purpose,
                owner=change.owner,
                review_due_on=change.review_due_on,
                zone=change.zone,
            ),
            actor=asking.user.actor,
        ),
    )


@routes.delete("/cameras/{name}", status_code=204)
def remove(name: str, asking: Asking, behind: Behind) -> Response:
    """Take a camera out; its sightings stay.

    Raises:
        NotFound: there is no such camera.
    """
    remove_camera(behind.site, name, actor=asking.user.actor)
    return Response(status_code=204)
