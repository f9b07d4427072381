"""`consentry declare FILE | --demo | show`: the deployment declaration, without which only 1:1 works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.errors import UsageError
from consentry.people.declaration import (
    ACCEPTABLE_USE,
    current_declaration,
    declare,
    declare_demo,
    read_declaration,
    reason_not_in_force,
)
from consentry.people.site import Site

SHOW = "show"

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"allow_interspersed_args": True},
    subcommand_metavar="",
)


@app.callback(epilog=f"Acceptable use, which a declaration accepts: {ACCEPTABLE_USE}")
def declare_command(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE|show", help="A declaration, JSON; or `show` for the present one."),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make this a demo folder, for good.")] = False,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Declare who recognises people here, what for and on what ground; 1:N recognition needs it."""
    if (file is None) != demo:
        raise UsageError("say what to declare", "Give a FILE, or --demo, or `show`")
    clock = SystemClock()
    if file == SHOW:
        with Site.open(data_dir(data), clock=clock) as site:
            _show(site, json_out=json_out)
        return
    declaration = None if file is None else read_declaration(Path(file))
    with Site.open(data_dir(data), clock=clock, create=True) as site:
        if declaration is None:
            declare_demo(site, actor=cli_actor())
        else:
            declare(site, declaration, actor=cli_actor())
        _show(site, json_out=json_out)


def _show(site: Site, *, json_out: bool) -> None:
    declared, problem = current_declaration(site), reason_not_in_force(site) or None
    if declared is None:
        document: dict[str, object] = {}
    else:
        document = declared.declaration.model_dump(mode="json") | {
            "made": iso_utc(declared.made_unix_ms / 1000),
            "is_demo": declared.is_demo,
        }
    if json_out:
        print_json({"in_force": problem is None, "why_not": problem, "declaration": document or None})
        return
    for field, value in document.items():
        typer.echo(f"{field}: {value}")
    typer.echo("In force: 1:N recognition may be used." if problem is None else f"Not in force: {problem}.")
