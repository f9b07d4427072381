"""Whether a consent allows something is decided in one module: nothing else compares its fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "src" / "consentry"
DECIDES = {"people/consent.py"}
WORDS_ONLY = {"console/words.py", "people/receipt_page.py", "server/my_page.py"}
"""Choose how to say what was agreed or decided."""

FIELDS = {"valid_from", "valid_until", "given_on", "may_be_shown"}
STATES = {"given", "refused", "withdrawn", "expired"}


def _deciding(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions on which the way of the program depends."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield node.test
        elif isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield node
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


def decisions(source: str) -> set[int]:
    """Lines that decide something by a field of a consent."""
    found = set()
    for expression in _deciding(ast.parse(source)):
        inner = list(ast.walk(expression))
        names = {node.attr for node in inner if isinstance(node, ast.Attribute)}
        constants = {node.value for node in inner if isinstance(node, ast.Constant)}
        if names & FIELDS or ("state" in names and constants & STATES):
            found.add(expression.lineno)
    return found


def test_nothing_else_decides() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name not in DECIDES | WORDS_ONLY:
            assert decisions(path.read_text(encoding="utf-8")) == set(), name


def test_the_one_module_does() -> None:
    for name in DECIDES | WORDS_ONLY:
        assert decisions((PACKAGE / name).read_text(encoding="utf-8")) != set()


@pytest.mark.parametrize(
    "line",
    [
        "if record.valid_until > now: pass",
        "x = [r for r in records if r.may_be_shown]",
        "y = 1 if not record.may_be_shown else 2",
        "z = record.state == 'given' and other",
        "w = now < min(r.valid_until.timestamp() for r in records)",
    ],
)
def test_what_counts_as_deciding(line: str) -> None:
    assert decisions(line) == {1}


def test_telling_is_not_deciding() -> None:
    assert decisions("out = ConsentOut(valid_until=record.valid_until, state=record.state)") == set()
