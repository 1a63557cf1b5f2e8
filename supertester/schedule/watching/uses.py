"""What each line of a source file uses that tasks could share: variables, attributes, and objects that can change.

This is about the syntax alone; `supertester.schedule.watching.watcher` asks the frame that runs a line what is meant.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from types import CodeType
from typing import Any, Final

__all__ = ["MUTATING", "PURE", "How", "Use", "uses_in"]


class How(Enum):
    """What happens to the value of an expression."""

    READ = auto()
    WRITE = auto()
    ITERATE = auto()
    """Reads a container, and moves anything else on."""
    COMPARE = auto()
    """Reads all of it, by lines that may not be there to see: those that a dataclass generates."""
    PASS = auto()
    """It is an argument: what happens to it depends on what is called."""
    HOLD = auto()
    """Nothing yet: it is assigned, returned or put into something else."""


@dataclass(frozen=True)
class Use:
    """An expression in a line: a name, an attribute or an item.

    Attributes:
        node: The expression.
        stores: Whether what it names is changed: the variable, the attribute.
        loads: Whether that is looked at.
        how: What happens to the value that is found there.
        call: The call of which it is an argument, or the function.
        is_late: Whether all this happens after an ``await`` in the same line.
    """

    node: ast.expr
    stores: bool
    loads: bool
    how: How
    call: ast.Call | None = None
    is_late: bool = False


READING: Final = frozenset(
    {
        "copy",
        "count",
        "get",
        "index",
        "items",
        "keys",
        "values",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "isdisjoint",
        "issubset",
        "issuperset",
        "join",
        "split",
        "startswith",
        "endswith",
        "format",
        "qsize",
        "empty",
        "full",
    }
)
"""Methods of containers that change nothing."""
MUTATING: Final = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "rotate",
        "setdefault",
        "sort",
        "update",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
    }
)
"""Methods of containers that change them."""
PURE: Final = frozenset(
    {
        "all",
        "any",
        "bool",
        "bytes",
        "dict",
        "enumerate",
        "float",
        "format",
        "frozenset",
        "hash",
        "id",
        "int",
        "isinstance",
        "issubclass",
        "len",
        "list",
        "max",
        "min",
        "print",
        "repr",
        "reversed",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
        "callable",
    }
)
"""Functions that change no argument of theirs."""
_TESTS: Final = (ast.If, ast.While, ast.IfExp, ast.Assert)
_HOLDERS: Final = (
    *(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Return, ast.Yield, ast.YieldFrom, ast.Tuple, ast.List, ast.Dict),
    *(ast.Set, ast.Expr, ast.Lambda, ast.keyword, ast.arguments, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
)
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def uses_in(code: CodeType) -> dict[int, list[Use]] | None:
    """Return the uses in each line of a function's file; ``None`` if its source cannot be read."""
    found = _in_file(code.co_filename)
    # A page of documentation, say, is no module, but its blocks are Python.
    return _in_block(code.co_filename, code.co_firstlineno) if found is None else found


@functools.lru_cache(maxsize=64)
def _in_file(filename: str) -> dict[int, list[Use]] | None:
    return _parsed("".join(linecache.getlines(filename)), 0)


@functools.lru_cache(maxsize=256)
def _in_block(filename: str, first: int) -> dict[int, list[Use]] | None:
    lines = linecache.getlines(filename)[first - 1 :]
    return _parsed(textwrap.dedent("".join(inspect.getblock(lines))), first - 1) if lines else None


def _parsed(source: str, above: int) -> dict[int, list[Use]] | None:
    """Return the uses in each line of *source*, which is preceded by so many lines *above*."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    if not tree.body:
        return None
    found: dict[int, list[Use]] = {}
    for use in _uses(tree, None, None, is_late=False):
        found.setdefault(use.node.lineno + above, []).append(use)
    return found


def _uses(node: ast.AST, parent: ast.AST | None, grandparent: ast.AST | None, *, is_late: bool) -> Iterator[Use]:
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        yield _use(node, parent, grandparent, is_late=is_late)
    late = _late_targets(node)
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr_context):
            yield from _uses(child, node, parent, is_late=is_late or child in late)


def _use(node: Any, parent: Any, grandparent: Any, *, is_late: bool) -> Use:
    changes = not isinstance(node.ctx, ast.Load)
    augments = isinstance(parent, ast.AugAssign) and parent.target is node
    how, call = _how(node, parent, grandparent)
    if augments:
        how = How.WRITE  # A list, say, is extended in place.
    elif changes:
        how = How.HOLD  # The value that was there is of no interest.
    return Use(node, stores=changes, loads=not changes or augments, how=how, call=call, is_late=is_late)


def _how(node: ast.expr, parent: Any, grandparent: Any) -> tuple[How, ast.Call | None]:  # noqa: C901 a table in code
    if isinstance(parent, ast.Attribute):
        if isinstance(grandparent, ast.Call) and grandparent.func is parent:
            return (How.READ if parent.attr in READING else How.WRITE), None
        return (How.READ if isinstance(parent.ctx, ast.Load) else How.WRITE), None
    if isinstance(parent, ast.Subscript):
        reads = parent.slice is node or isinstance(parent.ctx, ast.Load)
        return (How.READ if reads else How.WRITE), None
    if isinstance(parent, ast.Call):
        return (How.HOLD if parent.func is node else How.PASS), parent
    if isinstance(parent, ast.keyword) and isinstance(grandparent, ast.Call):
        return How.PASS, grandparent
    if isinstance(parent, (ast.Await, ast.withitem)):
        return How.WRITE, None
    if isinstance(parent, (ast.For, ast.AsyncFor, ast.comprehension)) and parent.iter is node:
        return How.ITERATE, None
    if isinstance(parent, ast.Compare) and all(isinstance(each, (ast.Is, ast.IsNot)) for each in parent.ops):
        return How.HOLD, None
    if isinstance(parent, (ast.Compare, ast.FormattedValue)):
        return How.COMPARE, None
    if isinstance(parent, ast.IfExp) and parent.test is not node:
        return How.HOLD, None
    if isinstance(parent, _HOLDERS) and not isinstance(parent, _TESTS):
        return How.HOLD, None
    return How.READ, None


def _late_targets(node: ast.AST) -> list[ast.AST]:
    """Return what the statement *node* assigns to after an ``await`` in it, if all of it is in one line."""
    if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) or node.lineno != node.end_lineno:
        return []
    if node.value is None or not any(isinstance(each, ast.Await) for each in ast.walk(node.value)):
        return []
    # An item's container and key are found before the await, but nothing happens to them until after it.
    return list(node.targets) if isinstance(node, ast.Assign) else [node.target] if _is_plain(node) else []


def _is_plain(node: ast.AugAssign | ast.AnnAssign) -> bool:
    """Say whether the target is not looked at before the ``await``, too."""
    return isinstance(node, ast.AnnAssign)
