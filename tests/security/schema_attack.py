"""Attacks every operation of the OpenAPI document with what fits its schema and with what does not.

An answer is a failure when it is a 5xx, when its status, type or body is not what the document declares,
when a request that breaks the schema is accepted, or when it holds what its reader's role may not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.unit.server.kit import OWN

from consentry.server.access import ACCESS, OPEN, Role, for_programs
from consentry.server.app import API_PATH

CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who sends requests.

    Attributes:
        name: For the report.
        role: What they are; None: nobody has signed in.
        shows: Gives the headers that prove it, anew for each request, because one of them signs out.
        is_program: Whether it is a token's holder.
    """

    name: str
    role: Role | None
    shows: Callable[[], Mapping[str, str]]
    is_program: bool = False

    def may(self, operation: str) -> bool:
        """Whether the table of access lets them use `METHOD path`."""
        if operation not in ACCESS:
            return False
        if ACCESS[operation] == OPEN:
            return True
        return self.role in ACCESS[operation] and (not self.is_program or for_programs(operation))


@dataclass
class Report:
    """What came of an attack: operations and requests tried, and what was wrong, a line each."""

    operations: int = 0
    cases: int = 0
    failures: list[str] = field(default_factory=list)


def attack(
    address: str, visitor: Visitor, *, document: dict[str, Any], secrets: Mapping[str, str], examples: int
) -> Report:
    """Attack all operations as `visitor`.

    Args:
        address: Of the server.
        visitor: Who attacks.
        document: The OpenAPI document.
        secrets: Texts that only some may read, each with an operation that shows it: only who may use that
            operation may find the text in an answer.
        examples: Requests for each operation that fit the schema, and as many that do not.
    """
    report = Report()
    hidden = [text for text, operation in secrets.items() if not visitor.may(operation)]
    for operation in _operations(document):
        report.operations += 1
        for mode in GenerationMode:
            _attack_one(
                operation, mode, report, address=address, visitor=visitor, hidden=hidden, examples=examples
            )
    return report


def photos() -> st.SearchStrategy[bytes]:
    """Small real pictures of several formats, and bytes that are none."""
    grey = np.full((8, 8, 3), 90, np.uint8)
    real = [cv2.imencode(suffix, grey)[1].tobytes() for suffix in (".jpg", ".png", ".webp", ".bmp")]
    cut = [picture[: len(picture) // 2] for picture in real]
    return st.one_of(st.sampled_from(real + cut), st.binary(max_size=64))


schemathesis.openapi.format("binary", photos())


def _operations(document: dict[str, Any]) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok)
        yield found.ok()


def _attack_one(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    report: Report,
    *,
    address: str,
    visitor: Visitor,
    hidden: list[str],
    examples: int,
) -> None:
    label = f"{operation.method.upper()} {API_PATH}{operation.path}"

    @seed(20261124)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def send(case: Case[Any]) -> None:
        report.cases += 1
        answer = case.call(
            base_url=f"{address}{API_PATH}",
            headers={**OWN, **visitor.shows()},
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
        where = f"{visitor.name}: {label} ({mode.value}): {answer.status_code}"
        report.failures += [f"{where}: shows {text!r}" for text in hidden if text.encode() in answer.content]
        if not visitor.may(label):
            if answer.status_code not in (400, 401, 403, 404, 405, 411, 413, 422, 429):
                report.failures.append(f"{where}: is not refused")
            return
        try:
            case.validate_response(answer, checks=CHECKED)
        except FailureGroup as group:
            report.failures += [
                f"{where}: {one.title}: {one.message} {case.as_curl_command()}" for one in group.exceptions
            ]

    try:
        send()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing breaks the schema of an operation that takes nothing
