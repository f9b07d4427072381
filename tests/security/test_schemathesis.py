"""Nothing that fits or breaks the OpenAPI document makes the API fail, or tell a role what it may not see."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.security.schema_attack import Visitor
from tests.security.visitors import PERSON, attacked, document, furnished, visitors

EXAMPLES = 12


@pytest.mark.parametrize("number", range(2))
def test_the_api_holds_whoever_attacks_it(tmp_path: Path, number: int) -> None:
    with furnished(tmp_path) as it:
        visitor = visitors(it)[number]
        report = attacked(it, visitor, examples=EXAMPLES)
    assert report.failures == []
    assert report.cases > 5 * report.operations


def test_the_attack_sees_what_is_wrong(tmp_path: Path) -> None:
    """A crash, an undeclared status, a wrong body and a name for everybody, put into a server on purpose."""
    with furnished(tmp_path) as it:

        def crashes(number: int) -> int:
            return 1 // (number - number)

        def tells() -> str:
            return PERSON

        it.api.add_api_route("/crashes", crashes)
        it.api.add_api_route("/tells", tells, response_model=None)
        it.api.openapi_schema = None
        found = attacked(it, Visitor("nobody", "viewer", visitors(it)[0].shows), examples=3).failures
    assert any("/crashes" in line and "500" in line for line in found)
    assert any("/tells" in line and "shows" in line for line in found)


def test_every_operation_says_what_its_errors_look_like(tmp_path: Path) -> None:
    with furnished(tmp_path) as it:
        paths = document(it)["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            default = operation["responses"]["default"]["content"]
            assert list(default) == ["application/problem+json"], (method, path)
            assert "HTTPValidationError" not in str(operation["responses"]), (method, path)
