"""`consentry bench`: measured against peers and limits, all in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from consentry.bench.photos import label, photos_of_people, photos_of_strangers
from consentry.cli.engines import photo_analyser
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.config import load_settings
from consentry.gallery.calibration import calibrate

app = typer.Typer(help="Measure this machine, against peers where they are installed.", no_args_is_help=True)


@app.command()
def calibration(
    people: Annotated[list[Path], typer.Option(help="Folder of PERSON/photo.jpg or person1.jpg.")],
    strangers: Annotated[list[Path], typer.Option(help="Folder in which each face is another person.")] = [],  # noqa: B006
    leave_out: Annotated[list[str], typer.Option(help="Photo to leave out, by file name.")] = [],  # noqa: B006
    version: Annotated[str, typer.Option(help="Name written into every decision.")] = "own",
    describe: Annotated[str, typer.Option(help="What the photos are.")] = "own photos",
    out: Annotated[Path | None, typer.Option(help="Write the calibration here.")] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Measure how alike strangers look to the recogniser, and fit the thresholds to it."""
    settings = load_settings(data_dir(data))
    settings.vision.runtime = "onnxruntime"
    analyser = photo_analyser(settings)
    photos = [item for folder in people for item in photos_of_people(folder)]
    photos += [item for folder in strangers for item in photos_of_strangers(folder, frozenset(leave_out))]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Looking at photos", total=1.0)
        found = label(photos, analyser, progress=lambda share: bar.update(task, completed=share))
    fitted = calibrate(
        found.templates,
        found.people,
        model_sha256=analyser.recogniser_sha256,
        version=version,
        data=describe,
    )
    if out is not None:
        out.write_text(fitted.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if json_out:
        print_json(fitted.model_dump())
    else:
        skipped = ", ".join(f"{count} {why}" for why, count in found.skipped.items() if count) or "none"
        typer.echo(f"{fitted.people} people, {fitted.photos} templates, left out: {skipped}")
        typer.echo(f"strangers: mean {fitted.mean:.4f}, sd {fitted.sd:.4f}, at most {fitted.sd_upper:.4f}")
        for fit in fitted.fits:
            typer.echo(
                f"{fit.frames} crops of {fit.people} people: {fit.non_mated} non-mated, spread ×{fit.spread_ratio:.3f},"
                f" highest {fit.highest:.3f}; {fit.mated} mated, 1 % below {fit.mated_p01}"
            )
        typer.echo(f"normal fit: p = {fitted.normal_p}")
