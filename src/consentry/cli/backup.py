"""`consentry backup` and `consentry restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.config import load_settings
from consentry.people.archive import Progress as Told
from consentry.people.site import Site
from consentry.store.database import DATABASE_FILE

_MS_PER_S = 1000


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, on another disk.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="RECIPIENT",
            help="Age recipient that can open it, age1…; may be given more than once.",
            show_default="backup.recipient",
        ),
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Write a backup while the site runs, encrypted. Keep site key and tombstones apart."""
    from consentry.people.backup import make_backup

    folder = data_dir(data)
    recipients = to or load_settings(folder).backup.recipient.split()
    with Site.open(folder, clock=SystemClock()) as site, _bar("Writing the backup") as told:
        report = make_backup(site, file, recipients, actor=cli_actor(), progress=told)
    if json_out:
        print_json(asdict(report) | {"file": str(report.file)})
        return
    typer.echo(
        f"Wrote {report.file}: {report.size_bytes} bytes, {report.blobs} photo(s), "
        f"{report.checkpoint_size} ledger entries, for {len(report.recipients)} recipient(s)."
    )
    typer.echo("Opening it also takes the site key, which is not in it, nor is the list of who withdrew.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `backup` wrote it.")],
    identity: Annotated[
        Path, typer.Option(metavar="FILE", help="The age identity of a recipient, as age-keygen made it.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Throw away what is in the folder, once the backup is in place.")
    ] = False,
    tombstones: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Copy of the list of who withdrew, if the site's own is lost."),
    ] = None,
    withdrawn_may_return: Annotated[
        bool,
        typer.Option(
            "--withdrawn-people-may-return",
            help="Go on without that list: whoever withdrew since the backup is enrolled again.",
        ),
    ] = False,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Restore a backup and erase again whoever has withdrawn since. Stop the server first."""
    from consentry.people.age import read_identities
    from consentry.people.restore import restore_backup
    from consentry.server.run import only_hub

    folder = data_dir(data)
    identities = read_identities(identity)
    with ExitStack() as held:
        if (folder / DATABASE_FILE).is_file():
            held.enter_context(only_hub(folder))
        told = held.enter_context(_bar("Reading the backup"))
        report = restore_backup(
            file,
            folder,
            identities,
            clock=SystemClock(),
            actor=cli_actor(),
            replace=replace,
            tombstones=tombstones,
            withdrawn_may_return=withdrawn_may_return,
            progress=told,
        )
    if json_out:
        print_json(asdict(report))
        return
    typer.echo(
        f"Restored site {report.site_uuid} as of {iso_utc(report.made_unix_ms / _MS_PER_S)}: "
        f"{report.people} people, {report.erased_again} erased again because they had withdrawn."
    )
    typer.echo(
        f"The ledger goes on from {report.checkpoint_size} entries. A witness that has seen more "
        "will refuse it; see docs/backup.md."
    )
    if not report.tombstones_known:
        typer.echo("There was no list of who withdrew: whoever did so since the backup is back.", err=True)


@contextmanager
def _bar(label: str) -> Iterator[Told]:
    """A progress bar on standard error; what it yields takes bytes done and bytes in all."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
