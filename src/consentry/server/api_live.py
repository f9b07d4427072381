"""Cameras, their redacted live pictures, and the sightings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from consentry.clock import iso_utc
from consentry.errors import NotFound
from consentry.people.cameras import Camera
from consentry.people.roster import Person
from consentry.people.sightings import RecordedSighting, recent
from consentry.server.services import Asking, Behind, Services, SignedIn
from consentry.types import Outcome

LONGEST_WAIT_S = 20.0
MOST_SIGHTINGS = 500
_BOUNDARY = "consentry-picture"
_MS_PER_S = 1000

routes = APIRouter(tags=["live"])


class CameraOut(BaseModel):
    """A camera and how it does. `docs/api.md` lists states and causes."""

    name: str
    purpose: str
    address: str
    state: str
    detail: str
    frames_read: int
    frames_analysed: int
    faces: int
    tracks: int
    frame_drops: dict[str, int]
    live_drops: dict[str, int]


class PersonRef(BaseModel):
    """Someone enrolled, as a sighting names them."""

    id: str
    name: str


class SightingOut(BaseModel):
    """One decision with all that explains it. Scores are cosines, no probabilities."""

    id: int
    camera: str
    track: int
    first: str
    last: str
    frames: int
    decision: Outcome
    person: PersonRef | None
    score: float | None
    margin: float | None
    known_from: float
    unsure_from: float
    quality: float | None
    fused_crops: int
    best_xyxy: tuple[float, float, float, float]
    model: str
    calibration: str
    gallery_digest: str


@routes.get("/cameras")
def cameras(behind: Behind) -> list[CameraOut]:
    """All cameras and how they do."""
    return [_camera(behind, camera) for camera in behind.hub.cameras]


@routes.get(
    "/cameras/{name}/live.jpg",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 204: {"description": "None, or none newer."}},
)
async def live_jpg(
    name: str,
    asking: Asking,
    behind: Behind,
    after: Annotated[int, Query(ge=0, description="Number of the picture you have.")] = 0,
    wait_s: Annotated[float, Query(ge=0.0, le=LONGEST_WAIT_S, description="Wait for a newer one.")] = 0.0,
) -> Response:
    """The newest redacted picture; its number is in the header `X-Picture-Number`."""
    await run_in_threadpool(_look, behind, asking, name)
    picture = await behind.hub.live.picture_after(name, after, timeout_s=wait_s)
    if picture is None:
        return Response(status_code=204)
    headers = {"X-Picture-Number": str(picture.number), "X-Time-S": f"{picture.time_s:.3f}"}
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


@routes.get(
    "/cameras/{name}/live.mjpg",
    response_class=Response,
    responses={200: {"content": {f"multipart/x-mixed-replace;boundary={_BOUNDARY}": {}}}},
)
async def live_mjpg(name: str, asking: Asking, behind: Behind) -> Response:
    """Redacted pictures as they come, until you leave, the session ends, or the server stops."""
    await run_in_threadpool(_look, behind, asking, name)
    return StreamingResponse(
        _mjpeg(behind, asking, name),
        media_type=f"multipart/x-mixed-replace;boundary={_BOUNDARY}",
    )


@routes.get("/sightings")
def sightings(
    asking: Asking,
    behind: Behind,
    limit: Annotated[int, Query(ge=1, le=MOST_SIGHTINGS)] = 50,
    after: Annotated[int, Query(ge=0, description="Only those with a higher number.")] = 0,
) -> list[SightingOut]:
    """The newest sightings, newest first: at most `limit`, of those only the ones above `after`."""
    behind.views.opened(asking.user, asking.session_token, "sightings")
    names = {person.id: person for person in behind.hub.people}
    return [_sighting(item, names) for item in recent(behind.site, limit) if item.id > after]


def _look(behind: Services, asking: SignedIn, name: str) -> None:
    """Log that this camera is looked at.

    Raises:
        NotFound: there is no such camera.
    """
    if name not in {camera.name for camera in behind.hub.cameras}:
        raise NotFound("there is no camera of that name", "See /api/v1/cameras")
    behind.views.opened(asking.user, asking.session_token, f"live:{name}")


async def _mjpeg(behind: Services, asking: SignedIn, name: str) -> AsyncIterator[bytes]:
    live, number = behind.hub.live, 0
    while not live.closed and await run_in_threadpool(behind.still, asking):
        picture = await live.picture_after(name, number, timeout_s=LONGEST_WAIT_S)
        if picture is not None:
            number = picture.number
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n\r\n"
            yield head.encode() + picture.jpeg + b"\r\n"


def _camera(behind: Services, camera: Camera) -> CameraOut:
    health = behind.hub.live.health(camera.name)
    return CameraOut(
        name=camera.name,
        purpose=camera.purpose,
        address=camera.url_redacted,
        state=health.state if health else "connecting",
        detail=health.detail if health else "its worker is being started",
        frames_read=health.frames_read if health else 0,
        frames_analysed=health.frames_analysed if health else 0,
        faces=health.faces if health else 0,
        tracks=health.tracks if health else 0,
        frame_drops=dict(health.frame_drops) if health else {},
        live_drops=dict(health.live_drops) if health else {},
    )


def _sighting(item: RecordedSighting, people: dict[str, Person]) -> SightingOut:
    seen = item.sighting
    person = people.get(seen.person_id) if seen.person_id else None
    return SightingOut(
        id=item.id,
        camera=seen.camera,
        track=seen.track,
        first=iso_utc(seen.first_unix_ms / _MS_PER_S),
        last=iso_utc(seen.last_unix_ms / _MS_PER_S),
        frames=seen.frames,
        decision=seen.decision,
        person=PersonRef(id=person.id, name=person.name) if person else None,
        score=seen.score_cosine,
        margin=seen.margin_cosine,
        known_from=seen.known_cosine,
        unsure_from=seen.unsure_cosine,
        quality=seen.quality,
        fused_crops=seen.fused_crops,
        best_xyxy=seen.best_xyxy,
        model=seen.recogniser_sha256,
        calibration=seen.calibration,
        gallery_digest=seen.gallery_digest,
    )
