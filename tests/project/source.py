"""Rules about what the source says, read with `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from supertester.runner.lint import sleeping_calls

__all__ = ["check_collectable_names", "check_sleeps", "statements"]


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield *tree* and every statement in it. Most of a tree are expressions, which `ast.walk` goes through as well."""
    yield tree
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        part = getattr(tree, name, None)
        for each in part if isinstance(part, list) else ():  # The body of a lambda is none.
            yield from statements(each)


def check_sleeps(folder: Path) -> list[str]:
    """Say where a file under *folder* sleeps for a time it wrote down. `sleep(0)` only lets others run, and is fine."""
    return [
        f"{path}:{call.lineno}: {ast.unparse(call)} waits for a duration; wait for a condition"
        for path in sorted(folder.rglob("*.py"))
        if "sleep" in (source := path.read_text(encoding="utf-8"))
        for call in sleeping_calls(ast.parse(source, str(path)))
        if is_positive_constant(call)
    ]


def is_positive_constant(call: ast.Call) -> bool:
    duration = call.args[0] if call.args else next((word.value for word in call.keywords), None)
    return isinstance(duration, ast.Constant) and isinstance(duration.value, (int, float)) and duration.value > 0


def check_collectable_names(root: Path) -> list[str]:
    """Say what the package in *root* names so that a test runner would collect it as a test."""
    return [
        f"{path}:{lineno}: a test runner would collect {name!r}"
        for path in sorted(root.rglob("*.py"))
        if "test_" in (source := path.read_text(encoding="utf-8"))
        for name, lineno in defined_names(ast.parse(source, str(path)))
        if name.startswith("test_")
    ]


def defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield functions, methods, classes, and what is assigned at the top of a module or class."""
    for node in statements(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node.lineno
        if isinstance(node, (ast.Module, ast.ClassDef)):
            for statement in node.body:
                for target in assigned(statement):
                    if isinstance(target, ast.Name):
                        yield target.id, statement.lineno


def assigned(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, ast.AnnAssign) and statement.value else []
