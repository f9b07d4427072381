"""`consentry ledger`: verify, prove, checkpoint, tiles, and what checks them elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli import ledger_witness
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock
from consentry.errors import UsageError, WitnessRefused
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note
from consentry.ledger.log import LedgerState
from consentry.ledger.proof import parse_proof, verify_proof
from consentry.ledger.recompute import SEE_DOCS
from consentry.ledger.static import verify_copy, write_copy
from consentry.people.site import Site
from consentry.people.witnesses import witness_refusals

app = typer.Typer(help="The log of every sensitive act, which cannot be rewritten unnoticed.")
app.add_typer(ledger_witness.app, name="witness")


@app.command("verify")
def verify_command(
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint kept elsewhere: was anything before it rewritten?"),
    ] = None,
    tiles: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Verify this copy, not the log itself; needs --vkey.")
    ] = None,
    vkey: Annotated[
        str | None, typer.Option(metavar="VKEY", help="The log's public key, known from elsewhere.")
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Recompute the whole log, or a copy of it, and compare it with its signed checkpoint."""
    if tiles is not None or vkey is not None:
        _verify_copy(tiles, vkey, against, json_out=json_out)
        return
    old_note = None if against is None else _read(against)
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.read() as session:
        state = site.ledger.verify(session.connection())
        old = None if old_note is None else site.ledger.verify_extends(session.connection(), old_note)
        refusals = witness_refusals(site)
    _report_verified(state, old, against, refusals, json_out=json_out)
    if refusals:
        raise WitnessRefused("; ".join(refusals), SEE_DOCS)


def _verify_copy(tiles: Path | None, vkey: str | None, against: Path | None, *, json_out: bool) -> None:
    if tiles is None or vkey is None or against is not None:
        raise UsageError("--tiles and --vkey go together, and without --against", "Give both, or neither")
    head = verify_copy(tiles, VerifierKey.parse(vkey))
    if json_out:
        print_json({"origin": head.origin, "size": head.size, "root": head.root.hex()})
        return
    typer.echo(f"The copy verifies: {head.size} entries of {head.origin}, root {head.root.hex()}.")


@app.command("tiles")
def tiles_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; an earlier copy there is continued.")
    ],
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Write the log as plain files (C2SP tlog-tiles), such as onto a USB stick; without payloads."""
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.read() as session:
        head = write_copy(site.ledger, session.connection(), folder)
        vkey = str(site.ledger.verifier)
    if json_out:
        print_json({"origin": head.origin, "size": head.size, "root": head.root.hex(), "vkey": vkey})
        return
    typer.echo(f"{head.size} entries written. Verify them anywhere:")
    typer.echo(f"  consentry ledger verify --tiles {folder} --vkey {vkey}")


def _report_verified(
    state: LedgerState, old: Checkpoint | None, against: Path | None, refusals: list[str], *, json_out: bool
) -> None:
    if json_out:
        print_json(
            {
                "size": state.size,
                "root": state.root.hex(),
                "payloads_kept": state.payloads_kept,
                "payloads_erased": state.payloads_erased,
                "extends_size": None if old is None else old.size,
                "witness_refusals": refusals,
            }
        )
        return
    typer.echo(
        f"The ledger verifies: {state.size} entries, root {state.root.hex()}, "
        f"{state.payloads_erased} payload(s) erased by withdrawals and agreed deletions."
    )
    if old is not None:
        typer.echo(f"It still begins with the {old.size} entries of {against}.")


@app.command("prove")
def prove_command(
    seq: Annotated[int, typer.Argument(metavar="SEQ", help="Number of the entry, from 0.", min=0)],
    leaf: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the entry itself here, for `verify-proof`.")
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Print the proof that an entry is in the log (C2SP tlog-proof), checkable without the log."""
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.read() as session:
        proof = site.ledger.prove(session.connection(), seq)
        vkey = str(site.ledger.verifier)
    if leaf is not None:
        _write(leaf, proof.leaf)
    if json_out:
        print_json(
            {
                "index": proof.index,
                "size": proof.size,
                "leaf": proof.leaf.decode(),
                "path": [sibling.hex() for sibling in proof.path],
                "checkpoint": proof.checkpoint,
                "vkey": vkey,
            }
        )
        return
    typer.echo(proof.text(), nl=False)


@app.command("verify-proof")
def verify_proof_command(
    proof: Annotated[Path, typer.Argument(metavar="FILE", help="What `ledger prove` printed.")],
    leaf: Annotated[Path, typer.Option(metavar="FILE", help="The entry, byte by byte.")],
    vkey: Annotated[str, typer.Option(metavar="VKEY", help="The log's public key, known from elsewhere.")],
    json_out: JsonOut = False,
) -> None:
    """Check that an entry is in a log, with its public key and nothing else of it."""
    parsed = parse_proof(_read(proof))
    entry = _read_bytes(leaf)
    checkpoint = verify_proof(parsed, entry, VerifierKey.parse(vkey))
    if json_out:
        print_json(
            {
                "index": parsed.index,
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
            }
        )
        return
    typer.echo(
        f"The proof holds: this is entry {parsed.index} of {checkpoint.origin}, "
        f"which had {checkpoint.size} entries then."
    )


@app.command("checkpoint")
def checkpoint_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Print the newest signed checkpoint. Keep copies elsewhere: only they reveal a rewritten log."""
    with Site.open(data_dir(data), clock=SystemClock()) as site, site.read() as session:
        note = site.ledger.checkpoint(session.connection())
        verifier = site.ledger.verifier
    if json_out:
        checkpoint = Checkpoint.parse(open_note(note, verifier))
        print_json(
            {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "checkpoint": note,
                "vkey": str(verifier),
            }
        )
        return
    typer.echo(note, nl=False)


def _read(path: Path) -> str:
    try:
        return _read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text: {error}", "Give the file as it was printed") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Give the file you kept") from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Give another place") from None
