"""The root command, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

import consentry
from consentry.cli import (
    backup,
    bench,
    camera,
    check,
    declare,
    demo,
    doctor,
    dpia,
    keys,
    ledger,
    models,
    notice,
    person,
    request,
    sbom,
    serve,
    user,
)
from consentry.cli import redact as redact_command
from consentry.cli import verify as verify_command
from consentry.cli import verify_receipt as verify_receipt_command
from consentry.cli import watch as watch_command
from consentry.errors import ConsentryError

app = typer.Typer(
    name="consentry",
    help="Cameras and face recognition that can be held to account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"consentry {consentry.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Cameras and face recognition that can be held to account."""


app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("check")(check.check)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(declare.app, name="declare")
app.add_typer(models.app, name="models")
app.add_typer(person.app, name="person")
app.add_typer(keys.app, name="keys")
app.add_typer(user.app, name="user")
app.command("watch")(watch_command.watch)
app.command("verify")(verify_command.verify)
app.command("verify-receipt")(verify_receipt_command.verify_receipt_command)
app.add_typer(camera.app, name="camera")
app.command("notice")(notice.notice)
app.add_typer(dpia.app, name="dpia")
app.add_typer(request.app, name="request")
app.command("redact")(redact_command.redact)
app.add_typer(ledger.app, name="ledger")
app.add_typer(bench.app, name="bench")
app.command("sbom")(sbom.sbom)
app.command("licences")(sbom.licences)


def main() -> None:
    """Run the command line; never returns."""
    try:
        app(standalone_mode=True)
    except ConsentryError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]error:[/] {_plain(error.cause)}.", end=" " if error.mend else "\n")
        if error.mend:
            console.print(f"{_plain(error.mend)}.")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # whoever read our output has left: no error, and nothing more to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _plain(text: str) -> str:
    """`text` without a final stop and with rich's markup taken literally."""
    return text.rstrip(".").replace("[", r"\[")
