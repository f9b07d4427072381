"""`/transparency` and `/policy`: open to anyone, as pages without a script and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from fastapi import APIRouter
from fastapi.responses import Response

from consentry.config import load_settings
from consentry.errors import ConsentryError, EnvironmentLack
from consentry.people.counts import count_words
from consentry.people.policy import Policy, policy
from consentry.people.transparency import (
    CheckpointStatement,
    ErrorStatement,
    PublicCamera,
    PublicDeclaration,
    Transparency,
    transparency,
)
from consentry.server.services import Behind, Services
from consentry.server.sheet import bullets, facts, sheet, table, text

_Statement = TypeVar("_Statement", Transparency, Policy)
_DECISIONS = {
    "known": "Someone enrolled was recognised",
    "unsure": "Unsure: nobody was named",
    "unknown": "Not enrolled: nobody was named",
}
_KINDS = {
    "access": "See what is held",
    "correct": "Correct it",
    "export": "Get a copy",
    "erase": "Withdraw and be erased",
    "object": "Object",
    "authority": "By the police, a court or another authority",
}

public_pages = APIRouter(include_in_schema=False)
open_routes = APIRouter(tags=["public"])

log = structlog.get_logger("consentry.server")


@open_routes.get("/transparency")
def transparency_json(behind: Behind) -> Transparency:
    """Purpose, cameras, counts, error, hours of recognition, requests received, ledger: nothing personal.

    Raises:
        EnvironmentLack: configuration or data cannot be read.
    """
    return _stated(behind, _transparency)


@open_routes.get("/policy")
def policy_json(behind: Behind) -> Policy:
    """What is kept, for how long, how it is protected, and which rights people have.

    Raises:
        EnvironmentLack: configuration or data cannot be read.
    """
    return _stated(behind, _policy)


@public_pages.get("/transparency")
def transparency_page(behind: Behind) -> Response:
    """The same to read."""
    return _page(behind, "Transparency", _transparency, _transparency_body)


@public_pages.get("/policy")
def policy_page(behind: Behind) -> Response:
    """The same to read."""
    return _page(behind, "Policy", _policy, _policy_body)


def _transparency(behind: Services) -> Transparency:
    return transparency(
        behind.site,
        behind.settings,
        people=behind.hub.people,
        recogniser_sha256=behind.hub.recogniser_sha256,
    )


def _policy(behind: Services) -> Policy:
    return policy(behind.site, behind.settings)


def _stated(behind: Services, state: Callable[[Services], _Statement]) -> _Statement:
    """A statement, or an error that tells strangers nothing about this machine.

    The settings are read again, though those in force are stated: a file that can no longer be read means
    that what is in force will not survive the next start.

    Raises:
        EnvironmentLack: configuration or data cannot be read.
    """
    try:
        load_settings(behind.site.data_dir)
        return state(behind)
    except ConsentryError as error:
        log.error("public_page_failed", error=type(error).__name__, cause=error.cause)
        raise EnvironmentLack(
            "the configuration or the data of this installation cannot be read",
            "Whoever runs it finds the cause in the server's log",
        ) from None


def _page(
    behind: Services,
    title: str,
    state: Callable[[Services], _Statement],
    body: Callable[[_Statement], str],
) -> Response:
    try:
        statement = _stated(behind, state)
    except ConsentryError as error:
        said = f'<h1>{title}</h1><div class="bad" role="alert">This page cannot be shown: {text(error)}</div>'
        return sheet(title, said, status=error.http_status)
    return sheet(title, body(statement))


def _transparency_body(statement: Transparency) -> str:
    kept_small = f"Below {statement.suppressed_below} no number is given, so that nobody is singled out."
    requests = [
        (_KINDS[kind], *(str(outcomes[outcome]) for outcome in ("open", "done", "refused")))
        for kind, outcomes in statement.requests.items()
    ]
    seen = [(_DECISIONS[decision], count_words(count)) for decision, count in statement.sightings.items()]
    enrolled = [(purpose, count_words(count)) for purpose, count in statement.people_enrolled.items()]
    return (
        "<h1>What these cameras recognise, and how that is watched</h1>"
        '<p class="lead">People who enrolled and agreed are recognised. Everyone else is covered before a '
        "picture is stored or shown. This page is made from the configuration in force; it names nobody. "
        '<a href="/policy">What is kept, and your rights</a></p>'
        f"{_declared(statement.declaration, statement.why_not)}"
        f"<h2>Cameras</h2>{_cameras(statement.cameras, statement.days)}"
        "<h2>Counts</h2>"
        f"{table(f'People enrolled. {kept_small}', ('Purpose', 'People'), enrolled, 1) if enrolled else ''}"
        f"{table(f'Sightings of the last {statement.days} days', ('Outcome', 'Sightings'), seen, 1)}"
        f"<h2>Error</h2>{_errors(statement.errors)}"
        "<h2>Requests received</h2>"
        f"{table('Since this installation began', ('Request', 'Open', 'Done', 'Refused'), requests, 3)}"
        f"<h2>Log of sensitive acts</h2>{_ledger(statement.ledger)}"
        f"<footer>Made {text(statement.made)}. The same as JSON: "
        '<a href="/api/v1/transparency">/api/v1/transparency</a></footer>'
    )


def _policy_body(statement: Policy) -> str:
    terms = [
        (term.what, ("the earliest of: " if len(term.until) > 1 else "") + "; ".join(term.until))
        for term in statement.terms
    ]
    return (
        "<h1>What is kept, for how long, and your rights</h1>"
        '<p class="lead">Made from the configuration in force. <a href="/transparency">Cameras, counts and '
        "error</a></p>"
        f"{_declared(statement.declaration, '')}"
        f"<h2>How long</h2>{table('Kept until', ('What', 'Until'), terms)}"
        "<h2>What is kept and how it is protected</h2>"
        f"{facts((one.what, one.how) for one in statement.stored)}"
        f"<h2>What is not kept</h2>{bullets(statement.not_stored)}"
        f"<h2>Your rights</h2>{bullets(statement.rights)}<p>{text(statement.how_to_use_them)}</p>"
        f"<h2>Who else gets it</h2><p>{text(statement.processors)}</p>"
        '<footer>The same as JSON: <a href="/api/v1/policy">/api/v1/policy</a></footer>'
    )


def _declared(declaration: PublicDeclaration | None, why_not: str) -> str:
    off = f'<p class="bad">No camera recognises anyone now: {text(why_not)}.</p>' if why_not else ""
    if declaration is None:
        return off or "<p>Nothing has been declared yet: no camera recognises anyone.</p>"
    return (
        off
        + "<h2>What for, and who answers for it</h2>"
        + facts(
            (
                ("Purpose", ", ".join(declaration.purposes)),
                ("Controller", declaration.controller),
                ("Contact", declaration.contact),
                ("Legal basis", declaration.legal_basis),
                ("Looked at again by", declaration.review_due_on.isoformat()),
                ("Notice hangs", declaration.notice_posted_at),
            )
        )
        + f'<blockquote class="notice">{text(declaration.notice)}</blockquote>'
    )


def _cameras(cameras: tuple[PublicCamera, ...], days: int) -> str:
    if not cameras:
        return "<p>There is no camera yet.</p>"
    rows = [
        (
            one.name,
            one.purpose,
            one.owner,
            one.zone or "–",
            one.review_due_on.isoformat() if one.review_due_on else "overdue",
            "yes" if one.may_recognise else "no, switched off",
            f"{one.recognised_hours:.1f}",
        )
        for one in cameras
    ]
    heads = ("Camera", "Purpose", "Owner", "Zone", "Next review", "May recognise", "Hours")
    return table(f"Hours: time in which people were recognised, last {days} days", heads, rows, 1)


def _errors(errors: ErrorStatement) -> str:
    return facts(
        (
            ("Strangers who may get a name, at most", f"{errors.wanted_fpir:.2%} of those who pass"),
            ("Threshold", f"cosine {errors.threshold:.3f}, for up to {errors.up_to_references} references"),
            ("Calibration", f"{errors.calibration}, of {errors.calibration_people} people"),
            ("Recogniser (SHA-256)", errors.recogniser_sha256),
            ("Error by group of people", errors.by_group),
        )
    )


def _ledger(ledger: CheckpointStatement) -> str:
    witnesses = [
        (one.name, one.cosigned_size, one.asked, "yes" if one.is_well else "no: it refused or was away")
        for one in ledger.witnesses
    ]
    heads = ("Witness", "Entries cosigned", "Asked", "Well")
    return (
        "<p>Keep a copy of this checkpoint: whoever rewrites the log later cannot match it.</p>"
        f"<pre>{text(ledger.checkpoint)}</pre><p>It is verified with the key</p>"
        f"<pre>{text(ledger.verifier_key)}</pre>"
        f"{table('Witnesses elsewhere', heads, witnesses) if witnesses else '<p>No witness is set up.</p>'}"
    )
