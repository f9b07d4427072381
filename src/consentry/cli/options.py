"""Options every command shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from consentry.config import default_data_dir

DataDir = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of this installation.", show_default="~/.local/share/consentry"),
]
JsonOut = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def data_dir(given: Path | None) -> Path:
    """The folder to work in: the one given, else the user's default."""
    return (given or default_data_dir()).expanduser()


def print_json(document: Any) -> None:
    """Print `document` as the one JSON document of this command."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
