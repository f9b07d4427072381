"""`consentry sbom` and `consentry licences`: what the product is made of, for machines and for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import JsonOut, print_json
from consentry.clock import SystemClock
from consentry.errors import UsageError
from consentry.models.catalogue import Catalogue


def sbom(
    out: Annotated[Path | None, typer.Option(help="Write it here instead of printing it.")] = None,
) -> None:
    """Print the bill of materials of this installation: CycloneDX 1.6, JSON."""
    from consentry.cli.bill import bill_of_materials

    document = bill_of_materials(SystemClock())
    if out is None:
        typer.echo(document)
        return
    try:
        out.write_text(document + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write {out}: {error.strerror}", "Choose a folder you can write to"
        ) from None


def licences(json_out: JsonOut = False) -> None:
    """List every package and model with its licence; exit code 1 when one does not fit Apache-2.0."""
    from consentry.cli.components import ACCEPTED, NATIVE, installed_packages, misfits

    packages, models = installed_packages(), Catalogue.load().models
    wrong = list(misfits({package.name: package.licence for package in packages}, models))
    if json_out:
        print_json(
            {
                "ok": not wrong,
                "packages": [
                    {
                        "name": package.name,
                        "version": package.version,
                        "licence": package.licence,
                        "inside": dict(NATIVE.get(package.name, {})),
                    }
                    for package in packages
                ],
                "models": [{"name": entry.name, "licence": entry.licence} for entry in models],
                "accepted": {f"{name}: {library}": why for (name, library), why in ACCEPTED.items()},
                "misfits": wrong,
            }
        )
    else:
        for package in packages:
            typer.echo(f"{package.name} {package.version}: {package.licence}")
            for library, licence in NATIVE.get(package.name, {}).items():
                typer.echo(f"  with {library}: {licence}")
        for entry in models:
            typer.echo(f"model {entry.name}: {entry.licence}")
        for line in wrong:
            typer.echo(f"does not fit Apache-2.0: {line}", err=True)
    if wrong:
        raise typer.Exit(1)
