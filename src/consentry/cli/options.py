"""Options every command shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from consentry.config import Settings, default_data_dir
from consentry.people.agreed import Refused

DataDir = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of this installation.", show_default="~/.local/share/consentry"),
]
JsonOut = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def data_dir(given: Path | None) -> Path:
    """The folder to work in: the one given, else the user's default."""
    return (given or default_data_dir()).expanduser()


def say_refused(used: Settings, refused: list[Refused]) -> Settings:
    """Say on standard error which settings are not used, and why; returns those that are."""
    for one in refused:
        typer.echo(f"warning: {one}", err=True)
    return used


def print_json(document: Any) -> None:
    """Print `document` as the one JSON document of this command."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
