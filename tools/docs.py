"""Fail when the documentation and the code disagree.

`docs/reference.md` is written from the code (`tools/docs.py --write`): settings, commands with their
options, errors; so is the table of routes and roles in `docs/access.md`. `docs/licences.md` is written from
the pinned requirements, the installed packages' metadata and the catalogue. The other pages are checked:
every route is in docs/api.md, every relative link leads somewhere, every decision record has its parts,
the versions agree, and every licence fits.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel

import consentry
from consentry import errors
from consentry.cli.components import ACCEPTED, NATIVE, licence_of, misfits
from consentry.cli.root import app
from consentry.config import Role, Settings
from consentry.models.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
LICENCES = ROOT / "docs" / "licences.md"
ACCESS_PAGE = ROOT / "docs" / "access.md"
TABLE_START, TABLE_END = "<!-- written by tools/docs.py -->\n", "<!-- until here -->"
DECISION_PARTS = ("Status:", "**Goal", "**Decision", "**Alternatives")


def settings_table() -> Iterator[str]:
    """Every setting, its default and meaning."""
    yield "| setting | default | what it does |"
    yield "| --- | --- | --- |"
    for group, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, setting in model.model_fields.items():
            default = setting.get_default(call_default_factory=True, validated_data={})
            yield f"| `{group}.{name}` | `{default}` | {setting.description} |"


def commands() -> Iterator[str]:
    """Every command with its arguments and options, as its help says it."""
    root = typer.main.get_command(app)
    yield from _command_lines("consentry", root)


def _command_lines(name: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children:
        for child, inner in children.items():
            yield from _command_lines(f"{name} {child}", inner)
        return
    summary = " ".join((command.help or "").split())
    yield f"### `{name}`"
    yield ""
    yield summary
    yield ""
    for parameter in command.params:
        if parameter.name != "help":
            kind = parameter.param_type_name
            words = " ".join((getattr(parameter, "help", None) or "").split())
            shown = ", ".join(parameter.opts) if kind == "option" else (parameter.metavar or parameter.name)
            yield f"- `{shown}`: {words}"
    yield ""


def error_table() -> Iterator[str]:
    """Every error with its exit code and HTTP status."""
    yield "| error | exit code | HTTP status | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.ConsentryError):
            meaning = (inspect.getdoc(kind) or "").splitlines()[0]
            yield f"| `{name}` | {kind.exit_code} | {kind.http_status} | {meaning} |"


def reference() -> str:
    """The whole of docs/reference.md."""
    parts = [
        "# Reference",
        "",
        "Status: current. Written from the code by `tools/docs.py --write`; do not edit.",
        "",
        "## Settings",
        "",
        "In `consentry.toml` in the data folder, as `[group]` and `name = value`. The environment wins:"
        " `CONSENTRY_GROUP__NAME`, e.g. `CONSENTRY_RECOGNITION__FPIR=0.001`.",
        "",
        *settings_table(),
        "",
        "Folders: `CONSENTRY_MODELS_DIR` (weights), `XDG_DATA_HOME` (default data folder), `XDG_CONFIG_HOME`"
        " (site keys). The site key can also come from `CONSENTRY_SITE_KEY_FILE`, `CONSENTRY_SITE_KEY` or"
        " `CONSENTRY_SITE_PASSPHRASE`, see [consent](consent.md).",
        "",
        "## Commands",
        "",
        "Exit codes: 0 done, 1 found wanting, 2 wrong usage, 3 the environment lacks something.",
        "",
        *commands(),
        "## Errors",
        "",
        *error_table(),
    ]
    return "\n".join(parts) + "\n"


def stale_reference() -> Iterator[str]:
    """Whether docs/reference.md is what the code would write."""
    if not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != reference():
        yield "docs/reference.md is out of date: run tools/docs.py --write"


def pinned() -> dict[str, str]:
    """Name and version of every package in requirements/run.txt."""
    text = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def licences() -> str:
    """The whole of docs/licences.md."""
    packages = []
    for name, version in pinned().items():
        inside = "; ".join(f"{library}: {licence}" for library, licence in NATIVE.get(name, {}).items())
        packages.append(f"| {name} | {version} | {licence_of(name)} | {inside} |")
    parts = [
        "# Third-party licences",
        "",
        "Status: current. Written by `tools/docs.py --write` from `requirements/run.txt`, the packages'"
        " metadata and the catalogue; do not edit. `consentry licences` lists what is installed on a machine,"
        " `consentry sbom` the same as CycloneDX. Licences are SPDX expressions.",
        "",
        "Consentry itself is under [Apache-2.0](../LICENSE). It ships none of what is listed here: packages"
        " are fetched by pip from the index of your choice, models by `consentry models pull`. `make check`"
        " fails when a licence is not on the list in `cli/components.py`.",
        "",
        "## Accepted in spite of their licence",
        "",
        *(f"- **{library}**, in `{name}`. {why}" for (name, library), why in ACCEPTED.items()),
        "",
        "## Packages",
        "",
        "| package | version | licence | inside its wheel, under another one |",
        "| --- | --- | --- | --- |",
        *packages,
        "",
        "## Models and pictures",
        "",
        "| name | pack | licence | note |",
        "| --- | --- | --- | --- |",
        *(
            f"| {entry.name} | {entry.pack} | {entry.licence} | {entry.licence_note} |"
            for entry in Catalogue.load().models
        ),
    ]
    return "\n".join(parts) + "\n"


def stale_licences() -> Iterator[str]:
    """Whether docs/licences.md is what would be written, and no licence keeps the work from being used."""
    if not LICENCES.exists() or LICENCES.read_text(encoding="utf-8") != licences():
        yield "docs/licences.md is out of date: run tools/docs.py --write"
    for line in misfits({name: licence_of(name) for name in pinned()}, Catalogue.load().models):
        yield f"does not fit Apache-2.0: {line}"


def access_table() -> Iterator[str]:
    """Every route with the roles that may use it, and whether a program's token can."""
    from consentry.server.access import ACCESS, OPEN, for_programs

    yield "| route | viewer | operator | auditor | admin | tokens |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row, roles in ACCESS.items():
        marks = ["open" if roles == OPEN else "yes" if role in roles else "" for role in get_args(Role)]
        tokens = "" if roles == OPEN or not for_programs(row) else "yes"
        yield f"| `{row}` | {' | '.join(marks)} | {tokens} |"


def access_page() -> str:
    """docs/access.md with the table as the code has it now."""
    before, _, rest = ACCESS_PAGE.read_text(encoding="utf-8").partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    return before + TABLE_START + "\n".join(access_table()) + "\n" + TABLE_END + after


def stale_access_page() -> Iterator[str]:
    """Whether the published table of routes and roles is the one that the guard asks."""
    if ACCESS_PAGE.read_text(encoding="utf-8") != access_page():
        yield "docs/access.md is out of date: run tools/docs.py --write"


def undocumented_routes() -> Iterator[str]:
    """Routes of the API that docs/api.md does not name."""
    from consentry.server.app import api_paths

    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for path in api_paths():
        if f"`{path}`" not in text and f" {path}`" not in text:
            yield f"docs/api.md does not name {path}"


def broken_links() -> Iterator[str]:
    """Relative links of all pages that lead nowhere."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)} links to {target}, which is not there"


def unfinished_decisions() -> Iterator[str]:
    """Decision records without one of their parts."""
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for part in DECISION_PARTS:
            if part not in text and part.replace("**", "## ") not in text:
                yield f"{page.relative_to(ROOT)} has no part {part}"


def unnamed_version() -> Iterator[str]:
    """The version must be in the changelog."""
    if f"## {consentry.__version__}" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"CHANGELOG.md has no part for {consentry.__version__}"


def main() -> int:
    """Check, or with --write renew the written pages and the table of docs/access.md first."""
    if "--write" in sys.argv:
        REFERENCE.write_text(reference(), encoding="utf-8")
        LICENCES.write_text(licences(), encoding="utf-8")
        ACCESS_PAGE.write_text(access_page(), encoding="utf-8")
    checks = (
        stale_reference,
        stale_licences,
        stale_access_page,
        undocumented_routes,
        broken_links,
        unfinished_decisions,
        unnamed_version,
    )
    found = [line for check in checks for line in check()]
    print("\n".join(found) if found else "docs: in step with the code")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
