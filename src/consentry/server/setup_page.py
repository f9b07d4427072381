"""The page where the owner declares what people are recognised for; until then only 1:1 works."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from consentry.errors import ConsentryError, FieldsInvalid
from consentry.people.declaration import (
    ACCEPTABLE_USE,
    Declared,
    current_declaration,
    declare,
    parse_declaration,
    reason_not_in_force,
)
from consentry.server.services import Asking, Behind, Services
from consentry.server.sheet import sheet, text
from consentry.server.users import User

PROPOSED_REVIEW = timedelta(days=365)
_TICK = "acceptable_use_accepted"
_FIELDS = (
    ("purposes", "Purposes", "What people are recognised for, one on each line, such as “entrance”.", 4),
    ("controller", "Controller", "Who answers for it: name and postal address.", 1),
    ("contact", "Contact", "Where people can ask and withdraw: e-mail or telephone.", 1),
    ("legal_basis", "Legal basis", "Such as “Explicit consent, GDPR Art. 9(2)(a)”.", 1),
    ("notice.text", "Notice", "What people are told before a camera sees them.", 8),
    ("notice.posted_at", "Where the notice hangs", "Such as “beside the front door, at eye level”.", 1),
    ("review_due_on", "Next review", "From the day after, nobody is recognised until you declare anew.", 0),
)
"""Name in the document, label, hint, and lines of the field; 0 for a day."""

setup_routes = APIRouter(include_in_schema=False)


@setup_routes.get("/setup")
def setup_page(_asking: Asking, behind: Behind) -> Response:
    """The form, with the declaration as it is, so that a review changes only what must change."""
    declared = current_declaration(behind.site)
    if declared is not None and declared.is_demo:
        return sheet("Setting up", _head(behind, declared), status=200)
    return sheet("Setting up", _head(behind, declared) + _form(_values(behind, declared), {}))


@setup_routes.post("/setup")
async def setup(request: Request, asking: Asking, behind: Behind) -> Response:
    """Declare what was filled in, or show the form again with what is wrong beside each field."""
    sent = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
    values = {name: sent.get(name, [""])[0].replace("\r\n", "\n") for name, *_ in _FIELDS}
    values[_TICK] = sent.get(_TICK, [""])[0]
    return await run_in_threadpool(_declare, behind, asking.user, values)


def _declare(behind: Services, user: User, values: Mapping[str, str]) -> Response:
    try:
        declaration = parse_declaration(_document(values), today=behind.site.today())
        declare(behind.site, declaration, actor=user.actor)
    except ConsentryError as error:
        problems = error.problems if isinstance(error, FieldsInvalid) else {}
        said = f'<div class="bad" role="alert">Nothing was declared. {text(_summary(error, problems))}</div>'
        head = _head(behind, current_declaration(behind.site))
        return sheet("Setting up", head + said + _form(values, problems), status=error.http_status)
    return RedirectResponse("/", status_code=303)


def _document(values: Mapping[str, str]) -> str:
    """The form as the JSON document that `consentry declare` reads."""
    lines = (line.strip() for line in values["purposes"].splitlines())
    return json.dumps(
        {
            "schema_version": "consentry-declaration-1",
            "purposes": [line for line in lines if line],
            "controller": values["controller"].strip(),
            "contact": values["contact"].strip(),
            "legal_basis": values["legal_basis"].strip(),
            "notice": {
                "text": values["notice.text"].strip(),
                "posted_at": values["notice.posted_at"].strip(),
            },
            "review_due_on": values["review_due_on"],
            _TICK: values[_TICK] == "yes",
        }
    )


def _values(behind: Services, declared: Declared | None) -> dict[str, str]:
    if declared is None:
        due = behind.site.today() + PROPOSED_REVIEW
        return dict.fromkeys((name for name, *_ in _FIELDS), "") | {"review_due_on": due.isoformat()}
    now = declared.declaration
    return {
        "purposes": "\n".join(now.purposes),
        "controller": now.controller,
        "contact": now.contact,
        "legal_basis": now.legal_basis,
        "notice.text": now.notice.text,
        "notice.posted_at": now.notice.posted_at,
        "review_due_on": now.review_due_on.isoformat(),
    }


def _summary(error: ConsentryError, problems: Mapping[str, str]) -> str:
    if not problems:
        return str(error)
    return f"{len(problems)} field{'s need' if len(problems) > 1 else ' needs'} another look."


def _head(behind: Services, declared: Declared | None) -> str:
    why_not = reason_not_in_force(behind.site)
    if declared is not None and declared.is_demo:
        now = "This is a demo’s folder and stays one. Start with an empty folder for real use."
    elif why_not:
        now = f"Only 1:1 verification works now: {why_not}. Fill this in to recognise people by camera."
    else:
        now = "People may be recognised under the declaration below. Declaring anew replaces it."
    return f'<h1>What people are recognised for</h1><p class="lead">{text(now)} <a href="/">Live page</a></p>'


def _form(values: Mapping[str, str], problems: Mapping[str, str]) -> str:
    fields = "".join(
        _field(name, label, hint, lines, values[name], _problem(problems, name))
        for name, label, hint, lines in _FIELDS
    )
    ticked = " checked" if values.get(_TICK) == "yes" else ""
    problem = _problem(problems, _TICK)
    invalid, said = _said(_TICK, problem and "must be accepted")
    return (
        f'<form method="post" action="/setup">{fields}<h2>Acceptable use</h2>'
        f"<blockquote>{text(ACCEPTABLE_USE)}</blockquote>"
        f'<label class="tick"><input type="checkbox" name="{_TICK}" value="yes"{ticked}{invalid}>'
        f"We accept this and will keep to it.</label>{said}"
        '<button type="submit">Declare</button></form>'
    )


def _field(name: str, label: str, hint: str, lines: int, value: str, problem: str) -> str:
    invalid, said = _said(name, problem)
    tag = f'id="{name}" name="{name}" aria-describedby="{name}-hint {name}-bad"{invalid}'
    if lines > 1:
        control = f'<textarea {tag} rows="{lines}">\n{text(value)}</textarea>'
    else:
        control = f'<input {tag} type="{"text" if lines else "date"}" value="{text(value)}">'
    return (
        f'<label for="{name}">{label}</label><p class="hint" id="{name}-hint">{text(hint)}</p>{control}{said}'
    )


def _said(name: str, problem: str) -> tuple[str, str]:
    """The mark of a field with a problem, and what is said below it."""
    if not problem:
        return "", ""
    return ' aria-invalid="true"', f'<p class="bad" id="{name}-bad">{text(problem)}</p>'


def _problem(problems: Mapping[str, str], name: str) -> str:
    """What is wrong with a field or a part of it, such as `purposes.0`."""
    return next(
        (what for field, what in problems.items() if field == name or field.startswith(f"{name}.")), ""
    )
