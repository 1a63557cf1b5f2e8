"""What is wrong with tests by their source alone: ``python -m supertester lint --no-sleep DIR``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supertester.errors import UsageError

__all__ = ["Finding", "check_no_sleep", "python_files", "sleeping_calls"]

_SLEEPS: Final = frozenset(
    f"{module}.sleep" for module in ("time", "asyncio", "anyio", "trio", "curio", "gevent", "eventlet")
)
_ALLOWANCE: Final = "allow_sleep"
_REMEDY: Final = (
    "wait for the condition instead, e.g. with wait_until() or assert_eventually(), or say why there is none with "
    "@allow_sleep(reason=...)"
)
_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, order=True)
class Finding:
    """Something that a rule objects to, and where."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"

    def to_dict(self) -> dict[str, str | int]:
        """Return the finding as plain data."""
        return {"path": self.path, "line": self.line, "message": self.message}


def check_no_sleep(*paths: str | Path) -> list[Finding]:
    """Return the calls that sleep, in the files and folders of *paths*.

    Found by reading the source, which is not run: calls of the ``sleep`` of ``time``, ``asyncio``, ``anyio``, ``trio``,
    ``curio``, ``gevent`` and ``eventlet``, under whatever name a file imports it or gives it. ``sleep(0)``, which only
    lets others run, is fine; so is what stands in a test or class with ``@allow_sleep(reason=...)``, and
    ``asyncio.sleep`` in a class with ``clock="virtual"``, where it takes no time. Who passes ``time.sleep`` on does not
    call it; the option ``sleeps`` of `IsolatedTestCase` notices what such a test does when it runs.

    Raises:
        UsageError: There is no such file or folder, or no Python in it.

    >>> check_no_sleep(__file__)
    []
    """
    return sorted(finding for path in python_files(*paths) for finding in _sleeps_in(path))


def python_files(*paths: str | Path) -> list[Path]:
    """Return the files of Python in *paths*, leaving out hidden folders and ``__pycache__``.

    Raises:
        UsageError: One of them does not exist or holds none.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise UsageError(f"there is no file or folder {str(path)!r} to look into")
        files = [path] if path.is_file() else [each for each in sorted(path.rglob("*.py")) if _is_source(each, path)]
        if not files:
            raise UsageError(f"there is no file of Python in {str(path)!r}; name a folder of tests")
        found.update(dict.fromkeys(files))
    return list(found)


def _is_source(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts  # What the folder itself is called is no matter.
    return path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts)


def _sleeps_in(path: Path) -> Iterator[Finding]:
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        yield Finding(str(path), getattr(error, "lineno", None) or 1, f"is no Python that can be read: {error}")
        return
    for call in sleeping_calls(tree):
        yield Finding(str(path), call.lineno, f"{ast.unparse(call)} sleeps; {_REMEDY}")


def sleeping_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in *tree* that sleep for more than no time, or for how long they do not say."""
    nodes = list(ast.walk(tree))
    names = _names(nodes)
    virtual = _virtual_classes(nodes)
    pending = [(tree, _SLEEPS)]
    while pending:
        node, sleeps = pending.pop()
        if isinstance(node, _Definition) and _is_allowed(node):
            continue
        if node in virtual:
            sleeps -= {"asyncio.sleep"}  # It takes no time there.
        if isinstance(node, ast.Call) and _meant(node.func, names) in sleeps and not _is_no_time(node):
            yield node
        pending.extend((child, sleeps) for child in ast.iter_child_nodes(node))


def _virtual_classes(nodes: Iterable[ast.AST]) -> set[ast.AST]:
    """Return the test cases with ``clock="virtual"``, also those that inherit it from one further up in the file."""
    found: dict[str, ast.AST] = {}
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            clock = next((word.value for word in node.keywords if word.arg == "clock"), None)
            inherits = any(isinstance(base, ast.Name) and base.id in found for base in node.bases)
            is_virtual = inherits if clock is None else isinstance(clock, ast.Constant) and clock.value == "virtual"
            if is_virtual:
                found[node.name] = node
    return set(found.values())


def _names(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return what the file calls modules and functions, and what each really is."""
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            # `import a.b` binds `a`, `import a.b as c` binds what it says.
            names |= {each.asname or each.name.partition(".")[0]: _imported(each) for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    for node in nodes:
        if isinstance(node, ast.Assign) and (meant := _meant(node.value, names)) in _SLEEPS:
            names |= {target.id: meant for target in node.targets if isinstance(target, ast.Name)}
    return names


def _imported(alias: ast.alias) -> str:
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _meant(node: ast.AST, names: dict[str, str]) -> str:
    """Return the dotted name of what *node* stands for, or an empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    dotted = ".".join([names[node.id], *reversed(parts)])
    return dotted.replace("asyncio.tasks.", "asyncio.")


def _is_no_time(call: ast.Call) -> bool:
    given = call.args[0] if call.args else next((word.value for word in call.keywords), None)
    try:
        return given is not None and bool(ast.literal_eval(given) <= 0)
    except (ValueError, TypeError):
        return False


def _is_allowed(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        if name == _ALLOWANCE:
            return True
    return False
