"""`consentry verify-receipt`: is a receipt what the site issued? Needs its public key, no data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import JsonOut, print_json
from consentry.clock import iso_utc
from consentry.errors import UsageError
from consentry.people.receipt_form import verify_receipt
from consentry.people.receipt_page import receipt_page
from consentry.store.failures import mapped_errors
from consentry.store.files import write_new_file


def verify_receipt_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt, JSON.")],
    vkey: Annotated[
        str,
        typer.Option(metavar="VKEY", help="The site's public key, from elsewhere than the receipt."),
    ],
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="New HTML file with the receipt, to print.")
    ] = None,
    json_out: JsonOut = False,
) -> None:
    """Check a receipt offline: signature, ledger entry and its proof. Fails with what does not fit."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"receipt {file}: {error.strerror}", "Give the path of a JSON file") from None
    verified = verify_receipt(content, vkey)
    if page is not None:
        with mapped_errors(page):
            write_new_file(page, receipt_page(verified).encode())
    body, entry, checkpoint = verified.body, verified.entry, verified.checkpoint
    if json_out:
        print_json(
            {
                "receipt": body.model_dump(mode="json"),
                "entry": {"seq": entry.seq, "time": iso_utc(entry.time_unix_ms / 1000), "event": entry.event},
                "checkpoint": {
                    "origin": checkpoint.origin,
                    "size": checkpoint.size,
                    "root": checkpoint.root.hex(),
                },
            }
        )
        return
    about = f" for {', '.join(part.purpose for part in body.purposes)}" if body.purposes else ""
    typer.echo(f"Genuine: a receipt of {body.kind}{about}, issued {body.issued:%Y-%m-%d %H:%M} UTC.")
    log = f"{checkpoint.origin}, which had {checkpoint.size} entries then"
    typer.echo(f"It is entry {entry.seq} of the ledger {log}.")
