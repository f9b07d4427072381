"""`consentry verify`: 1:1, works before any declaration, stores nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.engines import photo_analyser
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.config import load_settings
from consentry.gallery.calibration import load_calibration
from consentry.gallery.verify import FMR_TARGET, the_face
from consentry.gallery.verify import verify as compare
from consentry.media import read_photo


def verify(
    first: Annotated[Path, typer.Argument(metavar="A", help="A photo of one person.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another photo of one person.")],
    fmr: Annotated[
        float, typer.Option(min=1e-9, max=0.4, help="Wanted share of different people that pass.")
    ] = FMR_TARGET,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Say whether two photos show one person; exit code 1 when they do not."""
    settings = load_settings(data_dir(data))
    photos = [read_photo(path, max_pixels=settings.media.max_pixels) for path in (first, second)]
    analyser = photo_analyser(settings)
    faces = [the_face(analyser, bgr, path.name) for bgr, path in zip(photos, (first, second), strict=True)]
    result = compare(faces[0], faces[1], load_calibration(analyser.recogniser_sha256), fmr_target=fmr)
    if json_out:
        print_json(asdict(result))
    else:
        word = "the same person" if result.match else "not the same person, or not surely"
        typer.echo(f"{word}: score {result.score:.3f}, threshold {result.threshold:.3f} for FMR {fmr:g}")
    if not result.match:
        raise typer.Exit(1)
