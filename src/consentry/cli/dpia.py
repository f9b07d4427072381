"""`consentry dpia`: draft, sign, status of the data protection impact assessment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.files import read_whole, write_file
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.config import load_settings
from consentry.errors import UsageError
from consentry.people.document import to_markdown, to_pdf
from consentry.people.dpia import dpia_status, note_draft, sign_document
from consentry.people.dpia_draft import draft_dpia
from consentry.people.roster import list_people
from consentry.people.site import Site

_FORMS = {".md": to_markdown, ".pdf": to_pdf}

app = typer.Typer(help="The data protection impact assessment.")


@app.command("draft")
def draft_command(
    out: Annotated[Path, typer.Argument(metavar="FILE.md|FILE.pdf", help="Where to write it.")],
    data: DataDir = None,
) -> None:
    """Draft the assessment from the configuration in force; what only people know is left as blanks."""
    form = _FORMS.get(out.suffix.lower())
    if form is None:
        raise UsageError(f"{out.name} is neither a .md nor a .pdf", "Name the file so")
    folder = data_dir(data)
    settings = load_settings(folder)
    with Site.open(folder, clock=SystemClock()) as site:
        made = form(draft_dpia(site, settings, list_people(site)))
        write_file(out, made)
        note_draft(site, made, actor=cli_actor())
    typer.echo(f"Wrote {out}. Complete what is marked, then `consentry dpia sign {out}`.")


@app.command("sign")
def sign_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The completed assessment.")],
    data: DataDir = None,
) -> None:
    """Sign off an assessment: its hash and that of the configuration go into the ledger."""
    content, folder = read_whole(file), data_dir(data)
    with Site.open(folder, clock=SystemClock()) as site:
        document_sha256 = sign_document(site, load_settings(folder), content, actor=cli_actor())
    typer.echo(f"Signed off {file}, SHA-256 {document_sha256}. Keep the file: only its hash is stored.")


@app.command("status")
def status_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Say whether an assessment was signed off, and what changed since; exit code 1 if it does not fit."""
    folder = data_dir(data)
    with Site.open(folder, clock=SystemClock()) as site:
        status = dpia_status(site, load_settings(folder))
    signed = iso_utc(status.signed_unix_ms / 1000) if status.signed_unix_ms is not None else None
    if json_out:
        print_json(
            {
                "signed": signed,
                "actor": status.actor,
                "document_sha256": status.document_sha256,
                "configuration_sha256": status.configuration_sha256,
                "drift": list(status.drift),
            }
        )
    elif signed is None:
        typer.echo("No assessment was signed off yet.")
    else:
        typer.echo(f"Signed off on {signed} by {status.actor}, SHA-256 {status.document_sha256}.")
        typer.echo(f"Changed since: {', '.join(status.drift) or 'nothing'}.")
    if signed is None or status.drift:
        raise typer.Exit(1)
