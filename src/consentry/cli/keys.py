"""`consentry keys`: rotate, show."""

from __future__ import annotations

from dataclasses import asdict

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.people.rekey import rotate_keys
from consentry.people.rotation import newest_rotation
from consentry.people.site import Site

app = typer.Typer(help="The key that templates are turned by before they are sealed.")


@app.command("rotate")
def rotate_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Change the template key, also while the service runs: old templates become worthless."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        report = rotate_keys(site, actor=cli_actor())
    if json_out:
        print_json(asdict(report))
        return
    typer.echo(
        f"The template key is now version {report.version}: {report.templates} template(s) of "
        f"{report.people} person(s) are under it. Ledger entry {report.ledger_seq}."
    )


@app.command("show")
def show_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Show which template key is in use and when it was made; never the key."""
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.read() as session:
        row = newest_rotation(session)
        version, made = (row.version, iso_utc(row.made_unix_ms / 1000)) if row else (None, None)
    if json_out:
        print_json({"version": version, "made": made})
    elif version is None:
        typer.echo("There is no template key yet: the first enrolment makes one.")
    else:
        typer.echo(f"Template key version {version}, made {made}.")
