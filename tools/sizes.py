"""Fail when a module is over 600 lines or a function over 80: what does not fit has two ideas in it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

MODULE_LINES = 600
FUNCTION_LINES = 80


def too_long(path: Path) -> list[str]:
    """What is too long in one file, a line each."""
    text = path.read_text(encoding="utf-8")
    found = []
    if text.count("\n") > MODULE_LINES:
        found.append(f"{path}: {text.count(chr(10))} lines, at most {MODULE_LINES}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(f"{path}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}")
    return found


def main() -> int:
    """Check source, tests and tools."""
    root = Path(__file__).parents[1]
    files = [path for folder in ("src", "tests", "tools") for path in sorted((root / folder).rglob("*.py"))]
    found = [line for path in files for line in too_long(path)]
    print("\n".join(found) if found else f"sizes: {len(files)} files within the limits")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
