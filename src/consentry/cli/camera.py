"""`consentry camera`: add, list, probe, review, remove."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock
from consentry.config import load_settings
from consentry.errors import UsageError
from consentry.media import probe
from consentry.people.cameras import (
    Camera,
    CameraReview,
    add_camera,
    duty_of,
    list_cameras,
    remove_camera,
    review_camera,
    why_overdue,
)
from consentry.people.site import Site

app = typer.Typer(help="The cameras of this installation.")


@app.command("add")
def add_command(
    name: Annotated[str, typer.Argument(help="How to call it.")],
    url: Annotated[str, typer.Argument(help="Its address; a password in it is kept under seal.")],
    purpose: Annotated[
        str, typer.Option(help="What it is there for; a declared purpose for 1:N recognition.")
    ],
    owner: Annotated[
        str | None, typer.Option(help="Who answers for it.", show_default="the declaration's controller")
    ] = None,
    review_due: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Day of the next review, e.g. 2027-06-30; after it the camera stops recognising.",
            show_default="the declaration's",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Named place it stands in, which consents can be limited to.")
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Add a camera to the inventory."""
    with Site.open(data_dir(data), clock=SystemClock(), create=True) as site:
        duty = duty_of(site, purpose=purpose, owner=owner, review_due_on=_date(review_due))
        camera = add_camera(site, name=name, url=url, duty=duty, zone=zone, actor=cli_actor())
    if json_out:
        print_json(_document(camera))
        return
    typer.echo(f"Added camera {camera.name}: {camera.url_redacted}")


@app.command("list")
def list_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """List the cameras."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        cameras, today = list_cameras(site), site.today()
    if json_out:
        print_json([_document(camera) | {"why_overdue": why_overdue(camera, today)} for camera in cameras])
        return
    if not cameras:
        typer.echo("There is no camera yet.")
    for camera in cameras:
        state = why_overdue(camera, today) or f"next review {camera.review_due_on}"
        typer.echo(f"{camera.name}  {camera.url_redacted}  {camera.purpose}  {camera.owner}, {state}")


@app.command("probe")
def probe_command(
    url: Annotated[str, typer.Argument(help="Address to try; nothing is stored.")],
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Connect, read one picture, and say what the source is."""
    info = probe(url, settings=load_settings(data_dir(data)).media, clock=SystemClock())
    if json_out:
        print_json(asdict(info))
        return
    rate = f"{info.fps:g} frames/s" if info.fps else "rate not stated"
    typer.echo(f"{info.name}: {info.kind}, {info.codec}, {info.frame_wh[0]}×{info.frame_wh[1]}, {rate}")


@app.command("review")
def review_command(
    name: Annotated[str, typer.Argument(help="As `camera list` shows it.")],
    until: Annotated[
        str, typer.Option(metavar="DATE", help="Day of the next review, e.g. 2027-06-30.", show_default=False)
    ],
    purpose: Annotated[str | None, typer.Option(help="A new purpose.", show_default="as before")] = None,
    owner: Annotated[
        str | None, typer.Option(help="Who answers for it now.", show_default="as before")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Named place it stands in; empty for none.", show_default="as before")
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Look at a camera again: it goes on until the next review. Without this it stops when overdue."""
    change = CameraReview(purpose=purpose, owner=owner, review_due_on=_date(until), zone=zone)
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        camera = review_camera(site, name, change, actor=cli_actor())
    if json_out:
        print_json(_document(camera))
        return
    typer.echo(f"Reviewed camera {camera.name}: {camera.purpose}, {camera.owner}, next by {until}")


@app.command("remove")
def remove_command(
    name: Annotated[str, typer.Argument(help="As `camera list` shows it.")], data: DataDir = None
) -> None:
    """Take a camera out of the inventory; its sightings stay."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        remove_camera(site, name, actor=cli_actor())
    typer.echo(f"Removed camera {name}.")


def _date(given: str | None) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise UsageError(f"{given} is no date", "Give it as year-month-day, e.g. 2027-06-30") from None


def _document(camera: Camera) -> dict[str, object]:
    review = camera.review_due_on.isoformat() if camera.review_due_on else None
    return asdict(camera) | {"review_due_on": review}
