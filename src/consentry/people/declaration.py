"""The deployment declaration: who uses 1:N recognition here, what for, and on what ground (invariant I7).

Before one exists, and once its review is overdue, only 1:1 verification works.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from sqlalchemy import func, select

from consentry.errors import FieldsInvalid, NotDeclared, UsageError
from consentry.ledger.entry import Event
from consentry.people.consent import DEMO, VERIFICATION, Line
from consentry.people.site import Site
from consentry.store.schema import DeclarationRow, PersonRow

ACCEPTABLE_USE = (
    "We recognise only people who enrolled and consented to the purposes named here. We do not identify or "
    "follow anyone else, search recordings for a stranger, keep watch lists, infer traits such as ethnicity, "
    "sex, age or emotion from faces, run cameras covertly, or act on a recognition alone where the act has a "
    "serious effect on someone. Whoever prefers not to be recognised gets what is offered another way."
)
MAX_REVIEW_PERIOD = timedelta(days=3 * 365 + 1)
DEMO_REVIEW_PERIOD = timedelta(days=365)
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_DEMO_ONLY = f"the purpose “{DEMO}” is for demos only"
_SEE_DOCS = "See docs/consent.md for its form"
_WORDS = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "must be one line that says something",
    "too_short": "needs one at least",
}


class PostedNotice(BaseModel):
    """What people are told, and where they can read it before they are seen by a camera."""

    model_config = _STRICT

    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    posted_at: Line


class Declaration(BaseModel):
    """What an operator declares. `docs/consent.md` explains each field."""

    model_config = _STRICT

    schema_version: Literal["consentry-declaration-1"]
    purposes: Annotated[tuple[Line, ...], Field(min_length=1)]
    controller: Line
    contact: Line
    legal_basis: Line
    notice: PostedNotice
    review_due_on: date
    acceptable_use_accepted: Literal[True]

    @field_validator("purposes")
    @classmethod
    def _is_for_identification(cls, purposes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if _today(info) and DEMO in purposes:
            raise ValueError(_DEMO_ONLY)
        if VERIFICATION in purposes:
            raise ValueError(f"“{VERIFICATION}” is 1:1 and needs no declaration")
        if len(set(purposes)) != len(purposes):
            raise ValueError("a purpose is named twice")
        return purposes

    @field_validator("review_due_on")
    @classmethod
    def _is_due_in_time(cls, due: date, info: ValidationInfo) -> date:
        today = _today(info)
        if today is not None and (problem := _why_not_due(due, today)):
            raise ValueError(problem)
        return due


@dataclass(frozen=True, slots=True)
class Declared:
    """The declaration in force, when it was made, and whether it is a demo's."""

    declaration: Declaration
    made_unix_ms: int
    is_demo: bool


def read_declaration(path: Path) -> Declaration:
    """The declaration in a JSON file.

    Raises:
        UsageError: there is no such file.
        FieldsInvalid: a field is missing, unknown or malformed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"declaration {path}: {error.strerror}", "Give the path of a JSON file") from None
    return parse_declaration(content, f"the declaration {path}")


def parse_declaration(
    content: bytes | str, where: str = "the declaration", *, today: date | None = None
) -> Declaration:
    """The declaration in JSON text.

    Args:
        where: What to call it in the message.
        today: If given, what `declare` would refuse on that day is among the problems too.

    Raises:
        FieldsInvalid: fields are missing, unknown or malformed; names each of them.
    """
    try:
        return Declaration.model_validate_json(content, context={"today": today})
    except ValidationError as error:
        problems: dict[str, str] = {}
        for fault in error.errors(include_url=False, include_input=False):
            field = ".".join(str(part) for part in fault["loc"]) or "the document"
            problems.setdefault(field, _in_words(fault))
        raise FieldsInvalid(where, problems, _SEE_DOCS) from None


def declare(site: Site, declaration: Declaration, *, actor: str) -> None:
    """Put a declaration in force from now on, and log it.

    Raises:
        FieldsInvalid: the review date is past or more than three years away, or a purpose is reserved for
            demos.
        UsageError: the folder is a demo's, which it stays for good.
    """
    if DEMO in declaration.purposes:
        raise FieldsInvalid(
            "the declaration",
            {"purposes": _DEMO_ONLY},
            "Name the real purpose",
        )
    _store(site, declaration, is_demo=False, actor=actor)


def declare_demo(site: Site, *, actor: str) -> None:
    """Make this a demo folder: its only purpose is `demo`, and real declarations are refused from then on.

    Raises:
        UsageError: the folder has a real declaration, or real people are enrolled in it.
    """
    review_due_on = site.today() + DEMO_REVIEW_PERIOD
    declaration = Declaration(
        schema_version="consentry-declaration-1",
        purposes=(DEMO,),
        controller="A demo of Consentry",
        contact="whoever started it",
        legal_basis="none needed: public-domain portraits",
        notice=PostedNotice(
            text="This is a demo. It shows rendered people made from two public-domain portraits.",
            posted_at="on the demo's page",
        ),
        review_due_on=review_due_on,
        acceptable_use_accepted=True,
    )
    _store(site, declaration, is_demo=True, actor=actor)


def reason_not_in_force(site: Site, purpose: str | None = None) -> str:
    """Why 1:N recognition may not be used for `purpose`; empty if it may. See `require_declared`."""
    try:
        require_declared(site, purpose)
    except NotDeclared as error:
        return error.cause
    return ""


def current_declaration(site: Site) -> Declared | None:
    """The newest declaration, overdue or not; None if there never was one."""
    newest = select(DeclarationRow).order_by(DeclarationRow.id.desc()).limit(1)
    with site.read() as session:
        row = session.scalars(newest).one_or_none()
        if row is None:
            return None
        declaration = Declaration.model_validate_json(row.document_json)
        return Declared(declaration, row.made_unix_ms, row.is_demo)


def require_declared(site: Site, purpose: str | None = None) -> Declared:
    """The declaration in force: the gate before any 1:N recognition (invariant I7).

    Args:
        purpose: One it must name; None if any will do.

    Raises:
        NotDeclared: there is none, its review is overdue, or it does not name the purpose.
    """
    declared = current_declaration(site)
    if declared is None:
        raise NotDeclared(
            "this site has not declared what it recognises people for",
            "Run `consentry declare FILE` or fill in /setup; until then only 1:1 verification works",
        )
    due = declared.declaration.review_due_on
    if site.today() > due:
        raise NotDeclared(
            f"the declaration of this site was due for review on {due.isoformat()}",
            "Review it at /setup or by `consentry declare FILE`; until then only 1:1 verification works",
        )
    if purpose is not None and purpose not in declared.declaration.purposes:
        raise NotDeclared(
            f"purpose “{purpose}” is not declared here, only {', '.join(declared.declaration.purposes)}",
            "Declare it with `consentry declare FILE`, or use a declared one",
        )
    return declared


def _store(site: Site, declaration: Declaration, *, is_demo: bool, actor: str) -> None:
    if problem := _why_not_due(declaration.review_due_on, site.today()):
        raise FieldsInvalid(
            "the declaration",
            {"review_due_on": problem},
            "Set the day by which you will look at this declaration again",
        )
    document = rfc8785.dumps(declaration.model_dump(mode="json")).decode()
    with site.write() as session:
        newest = select(DeclarationRow.is_demo).order_by(DeclarationRow.id.desc()).limit(1)
        was_demo = session.scalars(newest).one_or_none()
        people = session.execute(select(func.count()).select_from(PersonRow)).scalar_one()
        if was_demo is None and is_demo and people:
            raise UsageError(
                "people are enrolled here, so this cannot become a demo folder", "Use an empty folder"
            )
        if was_demo is not None and was_demo != is_demo:
            raise UsageError(
                f"this is {'a demo' if was_demo else 'a real'} folder and stays one",
                "Give another folder with --data",
            )
        session.add(DeclarationRow(made_unix_ms=site.now_unix_ms(), is_demo=is_demo, document_json=document))
        site.bump_gallery_version(session)
        site.log(
            session,
            Event.SITE_DECLARED,
            actor=actor,
            payload={
                "declaration_sha256": hashlib.sha256(document.encode()).hexdigest(),
                "is_demo": is_demo,
            },
        )


def _today(info: ValidationInfo) -> date | None:
    """The day a declaration is to be made, if it is."""
    today = info.context.get("today") if info.context else None
    assert today is None or isinstance(today, date)
    return today


def _why_not_due(due: date, today: date) -> str:
    if today < due <= today + MAX_REVIEW_PERIOD:
        return ""
    return f"{due.isoformat()} is not within the next three years"


def _in_words(fault: ErrorDetails) -> str:
    """What is wrong with a field, for whoever fills it in."""
    kind = fault["type"]
    if kind.startswith("date"):
        return "must be a day such as 2027-06-30"
    if kind == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    return _WORDS.get(kind, fault["msg"])
