"""The auditor's page: declaration, state of the ledger, models. No pictures, and nobody's name."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import html, ui
from starlette.concurrency import run_in_threadpool

from consentry.clock import iso_utc
from consentry.console.parts import HEAD, top
from consentry.models.catalogue import Catalogue
from consentry.people.declaration import current_declaration, reason_not_in_force
from consentry.people.witnesses import witness_problems
from consentry.server.services import Services, SignedIn

_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class _Read:
    """What the page shows, read at once."""

    declaration: tuple[tuple[str, str], ...]
    why_not_in_force: str
    checkpoint: str
    verifier_key: str
    witness_problems: tuple[str, ...]
    models: tuple[tuple[str, str], ...]


async def build_audit_page(services: Services, asking: SignedIn) -> None:
    """Make the page; it shows how things were when it was opened.

    Raises:
        ConsentryError: the data folder cannot be read.
    """
    read = await run_in_threadpool(_read, services)
    ui.add_head_html(HEAD)
    with html.div().classes("c-root"):
        top(f"Audit of {services.site.name}", asking)
        with html.div().classes("c-main c-plain"):
            with html.section().props('aria-label="Declaration"').classes("c-card"):
                _title("Declaration", "in force" if not read.why_not_in_force else "not in force")
                if read.why_not_in_force:
                    html.p(read.why_not_in_force).classes("c-empty")
                _facts(read.declaration)
            with html.section().props('aria-label="Ledger"').classes("c-card"):
                _title("Ledger", "newest checkpoint")
                html.pre(read.checkpoint).classes("c-empty")
                for problem in read.witness_problems:
                    html.p(f"{problem}.").props('role="alert"').classes("c-empty")
                _facts((("Verifies with", read.verifier_key),))
            with html.section().props('aria-label="Models"').classes("c-card"):
                _title("Models", "in use")
                _facts(read.models)


def _read(services: Services) -> _Read:
    newest, why_not = current_declaration(services.site), reason_not_in_force(services.site)
    declared: list[tuple[str, str]] = []
    if newest is not None:
        declared = [
            ("Purposes", ", ".join(newest.declaration.purposes)),
            ("Controller", newest.declaration.controller),
            ("Contact", newest.declaration.contact),
            ("Legal basis", newest.declaration.legal_basis),
            ("Review due", newest.declaration.review_due_on.isoformat()),
            ("Made", iso_utc(newest.made_unix_ms / _MS_PER_S)),
        ]
    with services.site.read() as session:
        note = services.site.ledger.checkpoint(session.connection())
    pack = Catalogue.load().pack(services.settings.vision.pack)
    return _Read(
        declaration=tuple(declared),
        why_not_in_force=f"{why_not}." if why_not else "",
        checkpoint=note,
        verifier_key=str(services.site.ledger.verifier),
        witness_problems=tuple(witness_problems(services.site)),
        models=tuple(
            (entry.name, f"{entry.kind}, {entry.licence}, SHA-256 {entry.sha256}") for entry in pack
        ),
    )


def _title(title: str, state: str) -> None:
    with html.div().classes("c-head"):
        html.h2(title)
        html.span(state).classes("c-count")


def _facts(facts: tuple[tuple[str, str], ...]) -> None:
    with html.dl().classes("c-pairs"):
        for name, value in facts:
            html.dt(name)
            html.dd(value)
