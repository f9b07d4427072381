"""`consentry bench`: measured against peers and limits, all in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from consentry.bench import ledger as bench_ledger
from consentry.bench import redact as bench_redact
from consentry.bench import search as bench_search
from consentry.bench import tracking as bench_tracking
from consentry.bench import vision as bench_vision
from consentry.bench import watch as bench_watch
from consentry.bench.clips import portraits
from consentry.bench.figures import Figure, document
from consentry.bench.peers import PEERS_PYTHON
from consentry.bench.photos import label, photos_of_people, photos_of_strangers
from consentry.cli.engines import engines, photo_analyser
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock
from consentry.config import load_settings
from consentry.gallery.fit import calibrate
from consentry.pipeline.builtin import render_demo

app = typer.Typer(help="Measure this machine, against peers where they are installed.", no_args_is_help=True)


PeersPython = Annotated[Path, typer.Option("--peers", help="Python that has the peers.")]


@app.command()
def vision(
    photos: Annotated[
        list[Path] | None, typer.Option(help="Folder of PERSON/photo.jpg, for the verification error.")
    ] = None,
    peers: PeersPython = PEERS_PYTHON,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Time a detection and a template, and count errors and swaps, beside face_recognition."""
    settings = load_settings(data_dir(data))
    analyser = photo_analyser(settings)
    settings.vision.threads = 1
    with _bar("Measuring vision") as progress:
        figures = bench_vision.run(
            engines(settings.vision),
            analyser,
            photos or [],
            python=peers,
            clock=SystemClock(),
            progress=progress,
        )
        with TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            render_demo(clip, *portraits())
            figures += bench_tracking.run(engines(settings.vision), clip, settings, SystemClock())
    _report(figures, json_out)


@app.command()
def redact(
    clip: Annotated[Path | None, typer.Option(help="Video; the built-in one by default.")] = None,
    peers: PeersPython = PEERS_PYTHON,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Time a redaction from file to file, and count the faces it covers, beside deface."""
    settings = load_settings(data_dir(data))
    settings.vision.threads = 1
    exact = settings.vision.model_copy(update={"runtime": "onnxruntime", "threads": 2})
    with _bar("Measuring redaction") as progress:
        figures = bench_redact.run(
            engines(settings.vision).detector,
            engines(exact).detector,
            settings,
            clip=clip,
            python=peers,
            clock=SystemClock(),
            progress=progress,
        )
    _report(figures, json_out)


@app.command()
def search(
    rows: Annotated[int, typer.Option(min=1000, help="Templates in the timed gallery.")] = 1_000_000,
    queries: Annotated[int, typer.Option(min=1, help="Timed searches of each kind.")] = 100,
    proof: Annotated[int, typer.Option(min=1, help="Searches of the completeness proof.")] = 1_000_000,
    photos: Annotated[
        list[Path] | None, typer.Option(help="Folder of PERSON/photo.jpg, for real templates.")
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Time the 1:N search beside FAISS, and prove that it misses nothing; half an hour at full size."""
    real = None
    if photos:
        analyser = photo_analyser(load_settings(data_dir(data)))
        real = label([item for folder in photos for item in photos_of_people(folder)], analyser).templates
    with _bar("Measuring search") as progress:
        figures = bench_search.run(
            rows=rows, queries=queries, proof_searches=proof, progress=progress, real_templates=real
        )
    _report(figures, json_out)


@app.command()
def watch(
    minutes: Annotated[float, typer.Option(min=0.0, help="How long to loop.")] = 1.0,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Time the whole pipeline on a looping 640×360 file with one face, and watch its memory."""
    settings = load_settings(data_dir(data))
    with _bar("Measuring the pipeline") as progress:
        figures = bench_watch.run(
            engines(settings.vision), settings, minutes=minutes, clock=SystemClock(), progress=progress
        )
    _report(figures, json_out)


@app.command()
def ledger(
    appends: Annotated[int, typer.Option(min=8, help="Durable appends of each figure.")] = 2000,
    entries: Annotated[int, typer.Option(min=1000, help="Size of the log proved and verified.")] = 100_000,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Time durable appends, proofs and a full verification of the ledger, on the disk of the data folder."""
    folder = data_dir(data)
    while not folder.is_dir():
        folder = folder.parent
    with _bar("Measuring the ledger") as progress:
        figures = bench_ledger.run(
            appends=appends, entries=entries, folder=folder, clock=SystemClock(), progress=progress
        )
    _report(figures, json_out)


@contextmanager
def _bar(label_: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error, as a function of the share done."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label_, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _report(figures: list[Figure], json_out: bool) -> None:
    if json_out:
        print_json(document(figures))
        return
    for figure in figures:
        beside = f", {figure.peer} {figure.peer_value:g}, ratio {figure.ratio}" if figure.peer else ""
        typer.echo(f"{figure.name}: {figure.value:g} {figure.unit}{beside}")


@app.command()
def calibration(
    people: Annotated[list[Path], typer.Option(help="Folder of PERSON/photo.jpg or person1.jpg.")],
    strangers: Annotated[
        list[Path] | None, typer.Option(help="Folder in which each face is another person.")
    ] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Photo to leave out, by file name.")] = None,
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
    left_out = frozenset(leave_out or ())
    photos = [
        *(item for folder in people for item in photos_of_people(folder)),
        *(item for folder in strangers or () for item in photos_of_strangers(folder, left_out)),
    ]
    with _bar("Looking at photos") as progress:
        found = label(photos, analyser, progress=progress)
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
                f"{fit.frames} crops of {fit.people} people: {fit.non_mated} non-mated,"
                f" spread ×{fit.spread_ratio:.3f}, highest {fit.highest:.3f};"
                f" {fit.mated} mated, 1 % below {fit.mated_p01}"
            )
        typer.echo(f"normal fit: p = {fitted.normal_p}")
