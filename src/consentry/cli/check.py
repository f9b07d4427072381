"""`consentry check`: is everything in the data folder what it should be?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock
from consentry.config import load_settings
from consentry.people.site import Site
from consentry.people.upkeep import check_site


def check(
    mend: Annotated[
        bool, typer.Option("--mend", help="Put right what can be; erases people whose time here has ended.")
    ] = False,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Compare rows, files, seals, consents and ledger; exit code 1 if something is left wrong."""
    folder = data_dir(data)
    retention = load_settings(folder).retention
    with Site.open(folder, clock=SystemClock()) as site:
        findings = check_site(site, mend=mend, actor=cli_actor(), retention=retention)
    left = [finding for finding in findings if not finding.mended]
    if json_out:
        print_json({"ok": not left, "findings": [asdict(finding) for finding in findings]})
    elif not findings:
        typer.echo("All is well.")
    else:
        for finding in findings:
            typer.echo(f"{finding.kind}: {finding.what}. {'Mended' if finding.mended else finding.mend}.")
    if left:
        raise typer.Exit(1)
