"""`consentry redact`: hide every face of a video or photo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from consentry.cli.engines import engines
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json, say_refused
from consentry.clock import SystemClock
from consentry.config import Settings, load_settings
from consentry.errors import UsageError
from consentry.media import open_source, read_photo, write_photo
from consentry.people.agreed import effective_settings
from consentry.pipeline.anonymise import Anonymiser, anonymise_photo
from consentry.pipeline.watch import watch as run
from consentry.privacy.cover import Style
from consentry.privacy.redact import Redacted
from consentry.vision.engines import Detector

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


def redact(
    source: Annotated[str, typer.Argument(metavar="IN", help="Video or photo.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="MP4 for a video, JPEG or PNG for a photo.")],
    style: Annotated[Style | None, typer.Option(help="What covers a face.")] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Hide every face; nobody is recognised and nothing is stored. Sound is left out."""
    settings = say_refused(*effective_settings(None, load_settings(data_dir(data))))
    if style is not None:
        settings.redaction.style = style
    if out.resolve() == Path(source).resolve():
        raise UsageError("the redacted copy would overwrite its source", "Choose another OUT")
    loaded = engines(settings.vision)
    if Path(source).suffix.lower() in PHOTO_SUFFIXES:
        document = _photo(Path(source), out, loaded.detector, settings)
    else:
        document = _video(source, out, loaded.detector, settings)
    if json_out:
        print_json(document)
    else:
        typer.echo(f"{document['faces']} faces hidden in {out}")


def _photo(source: Path, out: Path, detector: Detector, settings: Settings) -> dict[str, Any]:
    bgr = read_photo(source, max_pixels=settings.media.max_pixels)
    hidden = anonymise_photo(
        bgr, detector, cover_score=settings.vision.cover_score, redaction=settings.redaction
    )
    write_photo(out, bgr)
    return {"out": str(out), "faces": hidden, "frames": 1}


def _video(source: str, out: Path, detector: Detector, settings: Settings) -> dict[str, Any]:
    clock = SystemClock()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} frames"))
    with (
        open_source(source, camera="redact", settings=settings.media, clock=clock) as opened,
        Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("Hiding faces", total=None)

        def step(_: Redacted) -> None:
            bar.advance(task)

        summary = run(opened, Anonymiser(detector, settings), clock=clock, out=out, on_frame=step)
    return {
        "out": str(out),
        "faces": summary.faces,
        "frames": summary.frames_analysed,
        "tracks": summary.tracks,
        "drops": summary.drops,
        "seconds": summary.seconds,
    }
