"""`consentry request`: requests by people and authorities, as the public page counts them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.people.requests import (
    RequestKind,
    RequestOutcome,
    answer_request,
    list_requests,
    record_request,
)
from consentry.people.site import Site

app = typer.Typer(help="Requests received; counted on the public page, without who asked.")


@app.command("add")
def add_command(
    kind: Annotated[RequestKind, typer.Argument(help="What was asked for, or by an authority.")],
    outcome: Annotated[RequestOutcome, typer.Option(help="How it was answered.")] = "open",
    data: DataDir = None,
) -> None:
    """Record a request that came by letter, call or in person."""
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.write() as session:
        number = record_request(site, session, kind, outcome, actor=cli_actor())
    typer.echo(f"Recorded request {number}: {kind}, {outcome}.")


@app.command("answer")
def answer_command(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `request list` shows it.")],
    outcome: Annotated[RequestOutcome, typer.Argument(help="How it was answered: done or refused.")],
    data: DataDir = None,
) -> None:
    """Say how an open request was answered."""
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.write() as session:
        answer_request(site, session, number, outcome, actor=cli_actor())
    typer.echo(f"Request {number}: {outcome}.")


@app.command("list")
def list_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """List the requests, oldest first."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        requests = list_requests(site)
    if json_out:
        print_json([asdict(request) for request in requests])
        return
    if not requests:
        typer.echo("There was no request yet.")
    for request in requests:
        received = iso_utc(request.received_unix_ms / 1000)
        typer.echo(f"{request.id}  {received}  {request.kind}  {request.outcome}")
