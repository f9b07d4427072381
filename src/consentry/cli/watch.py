"""`consentry watch`: the main job without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from consentry.cli.actor import cli_actor
from consentry.cli.engines import engines
from consentry.cli.options import DataDir, data_dir, say_refused
from consentry.clock import SystemClock
from consentry.config import load_settings
from consentry.errors import NotDeclared, UsageError
from consentry.gallery.calibration import load_calibration
from consentry.ledger.entry import Event
from consentry.media import open_source
from consentry.people.agreed import effective_settings
from consentry.people.cameras import Camera, find_camera, why_overdue
from consentry.people.consent import Place
from consentry.people.declaration import require_declared
from consentry.people.reviews import reviewed_until_unix_s
from consentry.people.roster import gallery_snapshot
from consentry.people.site import Site
from consentry.pipeline.camera import CameraPipeline
from consentry.pipeline.roster import Roster
from consentry.pipeline.sighting import Sighting
from consentry.pipeline.watch import watch as run
from consentry.types import redact_url


def watch(
    source: Annotated[
        str, typer.Argument(help="Video, photo, folder of photos, rtsp://…, http://… or webcam:0.")
    ],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON line per finished track.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the redacted video here (MP4).")] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after this many seconds of the source.")
    ] = None,
    camera: Annotated[
        str, typer.Option(help="Name of the camera in records and consents; of the inventory if it is there.")
    ] = "watch",
    purpose: Annotated[
        str | None, typer.Option(help="Declared purpose to recognise for; the first declared by default.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Recognise who enrolled, hide everyone else, and report each track."""
    folder, clock = data_dir(data), SystemClock()
    wanted_settings = load_settings(folder)
    if out is not None and out.resolve() == Path(source).resolve():
        raise UsageError("the redacted video would overwrite its source", "Choose another --out")
    with Site.open(folder, clock=clock) as site:
        settings = say_refused(*effective_settings(site, wanted_settings))
        known = _reviewed(site, camera)
        declared = require_declared(site, purpose)
        wanted = purpose or declared.declaration.purposes[0]
        end_unix_s = reviewed_until_unix_s(declared, known)
        loaded = engines(settings.vision)
        calibration = load_calibration(loaded.recogniser.sha256)
        references = gallery_snapshot(
            site,
            purpose=wanted,
            recogniser_sha256=loaded.recogniser.sha256,
            at_unix_s=clock.unix_s(),
            retention=settings.retention,
        )
        place = Place(camera, known.zone if known is not None else None)
        roster = Roster(references, place=place, calibration=calibration)
        with site.write() as session:
            site.log(
                session,
                Event.WATCH_STARTED,
                actor=cli_actor(),
                payload={
                    "camera": camera,
                    "source": redact_url(source),
                    "purpose": wanted,
                    "references": len(references),
                    "gallery_digest": roster.gallery.digest,
                },
            )
    report = _print_json if jsonl else _print_line
    pipeline = CameraPipeline(
        camera,
        loaded.detector,
        loaded.recogniser,
        roster,
        settings,
        clock,
        report,
    )
    with open_source(source, camera=camera, settings=settings.media, clock=clock) as opened:
        if not jsonl:
            Console(stderr=True).print(
                f"Watching {redact_url(source)}, {len(references)} references enrolled"
            )
        summary = run(opened, pipeline, clock=clock, out=out, max_seconds=max_seconds, end_unix_s=end_unix_s)
    if jsonl:
        typer.echo(json.dumps(summary.line(), ensure_ascii=False))
    else:
        drops = ", ".join(f"{count} {cause}" for cause, count in summary.drops.items()) or "none"
        done = f"{summary.frames_analysed} frames in {summary.seconds:.1f} s, {summary.tracks} tracks"
        typer.echo(f"{done}, dropped: {drops}")
    if clock.unix_s() >= end_unix_s:
        raise NotDeclared(
            "a review fell due while watching, so nobody may be recognised any more",
            "See `consentry declare show` and `consentry camera list`",
        )


def _reviewed(site: Site, name: str) -> Camera | None:
    """The camera of that name in the inventory; None if it is not there.

    Raises:
        NotDeclared: its review is overdue, so it may not recognise anyone.
    """
    known = find_camera(site, name)
    if known is not None and (overdue := why_overdue(known, site.today())):
        raise NotDeclared(
            f"camera “{name}” may not recognise anyone: {overdue}",
            "Look at it again with `consentry camera review`",
        )
    return known


def _print_json(sighting: Sighting) -> None:
    typer.echo(json.dumps(sighting.line(), ensure_ascii=False))


def _print_line(sighting: Sighting) -> None:
    who = f"known: {sighting.name}" if sighting.person_id else sighting.decision
    typer.echo(f"{sighting.first_s:8.1f}-{sighting.last_s:.1f} s  {who}  ({sighting.reason})")
