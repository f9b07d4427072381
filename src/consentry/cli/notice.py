"""`consentry notice`: the sheet that hangs beside a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.files import write_file
from consentry.cli.options import DataDir, data_dir
from consentry.clock import SystemClock
from consentry.config import load_settings
from consentry.errors import UsageError
from consentry.people.notice import print_notice, public_address
from consentry.people.site import Site


def notice(
    out: Annotated[Path, typer.Argument(metavar="FILE.pdf|FILE.svg", help="Where to write it.")],
    camera: Annotated[
        str | None, typer.Option(help="For this camera, with its owner and purpose.", show_default="all")
    ] = None,
    data: DataDir = None,
) -> None:
    """Print the notice people can read before a camera sees them, with a QR code to the public page."""
    form = out.suffix.lower()
    if form not in (".pdf", ".svg"):
        raise UsageError(f"{out.name} is neither a .pdf nor a .svg", "Name the file so")
    folder = data_dir(data)
    settings = load_settings(folder)
    with Site.open(folder, clock=SystemClock()) as site:
        made = print_notice(
            site, settings, "pdf" if form == ".pdf" else "svg", camera=camera, actor=cli_actor()
        )
    write_file(out, made)
    typer.echo(f"Wrote {out}. Its QR code leads to {public_address(settings)}")
    if not settings.server.public_url:
        typer.echo("  Set server.public_url to where people reach that page, then print again.", err=True)
