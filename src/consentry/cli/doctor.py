"""`consentry doctor`: what this machine and installation have, and how to mend what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import openvino
import typer
from rich.console import Console

import consentry
from consentry.cli.engines import processor_name, remembered_choice
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock
from consentry.config import Settings, load_settings, models_dir
from consentry.errors import ConsentryError
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.people.agreed import effective_settings
from consentry.people.cameras import list_cameras, why_overdue
from consentry.people.declaration import current_declaration, reason_not_in_force
from consentry.people.dpia import dpia_status
from consentry.people.site import Site
from consentry.store.database import DATABASE_FILE

LIBRARIES = ("av", "opencv-python-headless", "numpy", "openvino", "onnxruntime", "faiss-cpu", "nicegui")
LEAST_FREE_GB = 2.0
BUILT_UNIX_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, and the mend when it is not well."""

    name: str
    state: Literal["ok", "note", "missing"]
    detail: str
    mend: str = ""


def doctor(data: DataDir = None, json_out: JsonOut = False) -> None:
    """Report versions, processor, runtime, models, disk, clock and site; exit code 3 when something lacks."""
    findings = [finding for look in _looks(data_dir(data)) for finding in look()]
    lacking = [finding for finding in findings if finding.state == "missing"]
    if json_out:
        print_json({"ok": not lacking, "findings": [asdict(finding) for finding in findings]})
    else:
        marks = {"ok": "[green]ok     [/]", "note": "[yellow]note   [/]", "missing": "[red]missing[/]"}
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            mend = f"  → {finding.mend}" if finding.mend else ""
            console.print(f"{marks[finding.state]} {finding.name}: {finding.detail}{mend}")
    if lacking:
        raise typer.Exit(3)


def _looks(folder: Path) -> Iterator[Callable[[], list[Finding]]]:
    yield _versions
    yield _processor
    yield _models
    yield lambda: _runtime(folder)
    yield lambda: _disk(folder)
    yield _clock
    yield lambda: _site(folder)


def _versions() -> list[Finding]:
    listed = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return [
        Finding("consentry", "ok", f"{consentry.__version__}, Python {platform.python_version()}"),
        Finding("libraries", "ok", f"{listed}, SQLite {sqlite3.sqlite_version}"),
    ]


def _processor() -> list[Finding]:
    abilities = ", ".join(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [Finding("processor", "ok", f"{processor_name()}, {cores} usable cores, {abilities}")]


def _models() -> list[Finding]:
    store, catalogue = ModelStore(models_dir()), Catalogue.load()
    found = []
    for entry in catalogue.models:
        state = store.state(entry)
        default = entry.pack in catalogue.pull_by_default
        pull = f"run `consentry models pull {entry.pack}`"
        if state == "verified":
            found.append(Finding(f"model {entry.name}", "ok", f"verified, {entry.sha256[:12]}"))
        elif default:
            found.append(Finding(f"model {entry.name}", "missing", str(state), pull))
        else:
            found.append(Finding(f"model {entry.name}", "note", f"{state}, optional", pull))
    return found


def _runtime(folder: Path) -> list[Finding]:
    try:
        choice = remembered_choice(load_settings(folder).vision)
    except ConsentryError as error:
        return [Finding("runtime", "missing", error.cause, error.mend)]
    return [Finding("runtime", "ok", f"{choice.runtime}; {choice.reason}")]


def _disk(folder: Path) -> list[Finding]:
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    detail = f"{free_gb:.1f} GB free for {folder}"
    if not os.access(there, os.W_OK):
        return [Finding("disk", "missing", f"no right to write to {there}", "Give it to this user")]
    if free_gb < LEAST_FREE_GB:
        return [Finding("disk", "missing", detail, f"Free at least {LEAST_FREE_GB:g} GB")]
    return [Finding("disk", "ok", detail)]


def _clock() -> list[Finding]:
    now_s = SystemClock().unix_s()
    said = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if now_s < BUILT_UNIX_S:
        mend = "Set the clock: consents are checked against it"
        return [Finding("clock", "missing", f"{said} lies before this program was written", mend)]
    return [Finding("clock", "ok", said)]


def _site(folder: Path) -> list[Finding]:
    if not (folder / DATABASE_FILE).exists():
        mend = "`consentry declare FILE` or `person enrol` makes one"
        return [Finding("site", "note", f"no installation in {folder} yet", mend)]
    try:
        with Site.open(folder, clock=SystemClock()) as site:
            settings = load_settings(folder)
            return [
                *_refused(site, settings),
                _declaration(site),
                *_overdue_cameras(site),
                *_assessment(site, settings),
            ]
    except ConsentryError as error:
        return [Finding("site", "missing", error.cause, error.mend)]


def _refused(site: Site, settings: Settings) -> list[Finding]:
    ask = "Set the default again, or ask for it at /approvals"
    _, refused = effective_settings(site, settings)
    return [Finding(f"setting {one.setting}", "note", str(one), ask) for one in refused]


def _declaration(site: Site) -> Finding:
    declared, why_not = current_declaration(site), reason_not_in_force(site)
    if declared is None or why_not:
        mend = "`consentry declare FILE` to identify"
        return Finding("site", "note", f"only 1:1 verification works: {why_not}", mend)
    return Finding("site", "ok", f"declared for {', '.join(declared.declaration.purposes)}")


def _overdue_cameras(site: Site) -> list[Finding]:
    mend = "look at it again with `consentry camera review NAME --until DATE`"
    return [
        Finding(f"camera {camera.name}", "note", why, mend)
        for camera in list_cameras(site)
        if (why := why_overdue(camera, site.today()))
    ]


def _assessment(site: Site, settings: Settings) -> list[Finding]:
    """Whether the impact assessment still fits; nothing if none was signed off."""
    status = dpia_status(site, settings)
    if status.document_sha256 is None:
        return []
    if status.drift:
        mend = "draft it anew with `consentry dpia draft FILE`, complete and sign it"
        return [Finding("impact assessment", "note", f"changed since: {', '.join(status.drift)}", mend)]
    return [Finding("impact assessment", "ok", "signed off, and the configuration is as it was")]
