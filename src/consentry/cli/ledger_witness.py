"""`consentry ledger witness`: be one, and ask those of this site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.config import load_settings
from consentry.errors import WitnessRefused
from consentry.ledger.recompute import SEE_DOCS
from consentry.ledger.witness_http import serve_witness
from consentry.people.site import Site
from consentry.people.witnesses import WitnessState, ask_witnesses, witness_states

app = typer.Typer(help="Other machines that remember the log, so that it cannot be rolled back.")
_MS_PER_S = 1000


@app.command("serve")
def serve_command(
    state: Annotated[Path, typer.Option(metavar="DIR", help="Folder of its key and memory.")],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where it answers.")],
    log: Annotated[list[str], typer.Option(metavar="VKEY", help="Public key of a log to watch over.")],
) -> None:
    """Be a witness of other machines' logs until Ctrl-C; needs no data folder."""

    def ready(url: str, vkey: str) -> None:
        typer.echo(f"Witness at {url}, public key:\n{vkey}")

    serve_witness(state, listen, log, ready=ready)


@app.command("list")
def list_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """List the witnesses of this site, and what each has cosigned."""
    folder = data_dir(data)
    with Site.open(folder, clock=SystemClock()) as site:
        states = witness_states(site, load_settings(folder).ledger.witnesses)
    _report(states, json_out=json_out)


@app.command("ask")
def ask_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Ask each witness now to cosign the newest checkpoint."""
    folder = data_dir(data)
    with Site.open(folder, clock=SystemClock()) as site:
        states = ask_witnesses(site, load_settings(folder).ledger.witnesses)
    _report(states, json_out=json_out)
    refusals = [f"{state.name} {state.problem}" for state in states if state.refused]
    if refusals:
        raise WitnessRefused("; ".join(refusals), SEE_DOCS)


def _report(states: list[WitnessState], *, json_out: bool) -> None:
    if json_out:
        print_json(
            [
                {
                    "name": state.name,
                    "vkey": state.vkey,
                    "size": state.size,
                    "asked": _moment(state.asked_unix_ms),
                    "problem": state.problem,
                }
                for state in states
            ]
        )
        return
    if not states:
        typer.echo("No witness is configured: see docs/ledger.md, part “Witnesses”.")
    for state in states:
        said = state.problem or f"has cosigned {state.size} entries"
        typer.echo(f"{state.name}: {said} (asked {_moment(state.asked_unix_ms) or 'never'})")


def _moment(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else iso_utc(unix_ms / _MS_PER_S)
