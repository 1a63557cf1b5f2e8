"""Which assertions have a test in which they fail, read from the source of the tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["assertions_of", "check_failing_tests"]

_FAILS = re.compile(r"\b(failure_of|assertRaises\w*|check_planted_bug|assert_found|run_inner|fails|failures?|report)\b")
_NAMES = re.compile(r"\b(?:assert|refute)_\w+")


def functions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the source of each function and method of a file, if an assertion is named in it at all."""
    source = path.read_text(encoding="utf-8")
    if not _NAMES.search(source):
        return
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno])


def assertions_of(package: Path) -> set[str]:
    """Return the names of the assertions that a package defines."""
    names = {name for path in package.rglob("*.py") for name, _ in functions(path)}
    return {name for name in names if name.startswith(("assert_", "refute_"))}


def check_failing_tests(package: Path, tests: Path) -> list[str]:
    """Say which assertions of *package* no test uses where a failure is looked at; nothing if there are none."""
    proven = {
        name
        for path in tests.rglob("*.py")
        for _, source in functions(path)
        if _FAILS.search(source)
        for name in _NAMES.findall(source)
    }
    return [f"{name} has no test in which it fails" for name in sorted(assertions_of(package) - proven)]
