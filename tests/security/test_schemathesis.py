"""Nothing that fits or breaks the OpenAPI document makes the API fail, or tell a role what it may not see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.responses import JSONResponse, Response
from tests.security.visitors import PERSON, VISITORS, attacked, document_of, furnished

from consentry.server import access
from consentry.server.access import ACCESS, VIEWING

EXAMPLES, FEWER_EXAMPLES = 10, 3


@pytest.mark.parametrize("name", VISITORS)
def test_the_api_holds_whoever_attacks_it(tmp_path: Path, name: str) -> None:
    with furnished(tmp_path) as it:
        report = attacked(it, name, examples=EXAMPLES if name == "admin" else FEWER_EXAMPLES)
    assert report.failures == []
    assert report.cases > 2 * report.operations


def test_the_attack_sees_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash, a wrong body and somebody's name, put into a server on purpose."""
    with furnished(tmp_path) as it:

        def crashes(number: int) -> int:
            return 1 // (number - number)

        def tells() -> Response:
            return JSONResponse({"number": PERSON})

        it.api.add_api_route("/crashes", crashes)
        it.api.add_api_route("/tells", tells, responses={200: {"model": int}})
        it.api.openapi_schema = None
        for row in ("GET /api/v1/crashes", "GET /api/v1/tells"):
            monkeypatch.setitem(ACCESS, row, VIEWING)
            pattern = re.compile(row.split(" ")[1])
            monkeypatch.setattr(access, "_PATTERNS", [*access._PATTERNS, (row, pattern)])
        whole = document_of(it)
        wrong = {**whole, "paths": {path: whole["paths"][path] for path in ("/crashes", "/tells")}}
        found = attacked(it, "viewer", examples=2, document=wrong).failures
    assert any("/crashes" in line and "500" in line for line in found)
    assert any("/tells" in line and "shows" in line for line in found)
    assert any("/tells" in line and "violates schema" in line for line in found)


def test_every_operation_says_what_its_errors_look_like(tmp_path: Path) -> None:
    with furnished(tmp_path) as it:
        paths = document_of(it)["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            default = operation["responses"]["default"]["content"]
            assert list(default) == ["application/problem+json"], (method, path)
            assert "HTTPValidationError" not in str(operation["responses"]), (method, path)
