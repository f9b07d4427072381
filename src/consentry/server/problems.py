"""One body for every error of the API: RFC 9457 problem details, with a `mend` member.

{"type": "urn:consentry:problem:no-face-found", "title": "No face found", "status": 422,
 "detail": "what is wrong", "mend": "what to do about it", "instance": "/api/v1/people"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from consentry.errors import ConsentryError, FieldsInvalid

MEDIA_TYPE = "application/problem+json"
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")

log = structlog.get_logger("consentry.server")


class Problem(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    mend: str
    instance: str
    fields: dict[str, str] | None = None


_ANSWER: Final[dict[str, Any]] = {
    "description": "A problem (RFC 9457): what is wrong, and how to mend it.",
    "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"default": _ANSWER, 422: _ANSWER}
"""What the OpenAPI document says of errors: all have this body, those of the framework (422) too."""


class TooLarge(ConsentryError):
    """A request body is larger than this server reads."""

    http_status = 413


class MethodNotAllowed(ConsentryError):
    """An address that is there does not take this method."""

    http_status = 405


class LengthMissing(ConsentryError):
    """A request body comes without its length, so that it cannot be bounded."""

    http_status = 411


class TooSlow(ConsentryError):
    """A request body is not there after the time this server waits for it."""

    http_status = 408


def problem(
    *, kind: str, status: int, detail: str, mend: str, instance: str, fields: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response for one error.

    Args:
        kind: Its name in CamelCase; becomes type and title.
        status: HTTP status.
        detail: What is wrong, one line.
        mend: What to do about it; may be empty.
        instance: Path of the request.
        fields: By field of a document, what is wrong with it.
    """
    words = _WORD_START.sub(" ", kind).lower()
    body = Problem(
        type=f"urn:consentry:problem:{words.replace(' ', '-')}",
        title=words.capitalize(),
        status=status,
        detail=detail,
        mend=mend,
        instance=instance,
        fields=dict(fields) if fields else None,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"},
    )


def problem_of(error: ConsentryError, instance: str) -> JSONResponse:
    """The response for one of this project's errors."""
    return problem(
        kind=type(error).__name__,
        status=error.http_status,
        detail=error.cause,
        mend=error.mend,
        instance=instance,
        fields=error.problems if isinstance(error, FieldsInvalid) else None,
    )


def handle_problems(app: FastAPI) -> None:
    """Make every error of `app` a problem, the framework's own 404, 405, 422 and 500 too."""
    app.add_exception_handler(ConsentryError, _on_ours)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_fault)


def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConsentryError)
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", error=type(error).__name__, cause=error.cause)
    return problem_of(error, request.url.path)


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    mends = {
        HTTPStatus.NOT_FOUND: "See docs/api.md for the addresses there are",
        HTTPStatus.METHOD_NOT_ALLOWED: "See docs/api.md for what this address takes",
    }
    response = problem(
        kind="".join(word.capitalize() for word in status.phrase.replace("-", " ").split()),
        status=status,
        detail=f"{request.method} {request.url.path}: {error.detail}",
        mend=mends.get(status, "See docs/api.md"),
        instance=request.url.path,
    )
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _on_invalid(request: Request, error: Exception) -> Response:
    """Says where and why, never what was sent: it may be a password."""
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {str(fault['msg']).lower()}"
        for fault in error.errors()
    ]
    return problem(
        kind="InvalidRequest",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail="; ".join(faults),
        mend="Correct the request; see docs/api.md",
        instance=request.url.path,
    )


def _on_fault(request: Request, error: Exception) -> Response:
    """A fault of this program. Its text stays here: it may hold anything."""
    log.error("request_crashed", error=type(error).__name__)
    return problem(
        kind="InternalFault",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="a fault in the program stopped this request",
        mend="See the server's log, and report it",
        instance=request.url.path,
    )
