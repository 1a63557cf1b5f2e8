"""What a line of source reads and writes: attributes, items, and variables that functions share.

Found from the syntax of the line and the variables of the frame that runs it, for explanations: nothing is called to
find it, no property and no ``__getattr__``, so what cannot be known without that is left out.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
import tokenize
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Final

from supertester.schedule.watching.values import NOWHERE, UNKNOWN, member_of, value_of

__all__ = ["Touch", "expression_for", "source_of", "touched_by"]

_MUTATORS: Final = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem"),
        *("popleft", "put", "put_nowait", "remove", "reverse", "rotate", "setdefault", "sort", "update"),
        *("difference_update", "intersection_update", "symmetric_difference_update"),
    }
)
_CONTAINERS: Final = (list, dict, set, bytearray)


@dataclass(frozen=True)
class Touch:
    """One access to something that two tasks can share.

    Attributes:
        place: What is the same for the same thing, and keeps it alive, as long as that is compared.
        text: What the source calls it.
        writes: Whether it may be changed.
    """

    place: Hashable
    text: str
    writes: bool


def source_of(filename: str, line: int) -> str:
    """Return the text of a line, stripped; nothing, where there is no source."""
    return linecache.getline(filename, line).strip()


def touched_by(frame: FrameType, line: int, keep: list[Any], *, resumed: bool) -> Iterator[Touch]:
    """Yield what *frame* touches in *line*.

    Args:
        frame: Is about to run the line, or to go on with it after an ``await`` in it.
        line: The line.
        keep: Gets the objects that are meant, so that the numbers of those are not given to others.
        resumed: Whether it goes on: then it does what comes after the ``await``, which is mostly to store.
    """
    for node, writes, after_await in _nodes_of(frame.f_code).get(line, ()):
        if after_await is resumed and (place := _place(node, frame, keep)) is not None:
            yield Touch(place, ast.unparse(node), writes)


def expression_for(wanted: Any, frame: FrameType, line: int) -> str | None:
    """Return what the source calls the object *wanted* in *line*, or ``None``."""
    for node, _, _ in _nodes_of(frame.f_code).get(line, ()):
        if _value(node, frame) is wanted:
            return ast.unparse(node)
    return None


# The syntax ----------------------------------------------------------------------------------------------------------

_Found = tuple[ast.expr, bool, bool]


def _nodes_of(code: CodeType) -> dict[int, list[_Found]]:
    """Return, for each line, what it touches: the expression, whether it writes, and whether it does so late.

    Late is what happens after an ``await`` of the same statement.
    """
    found = _nodes_in_file(code.co_filename)
    return _nodes_in_function(code) if found is None else found


@functools.lru_cache(maxsize=64)
def _nodes_in_file(filename: str) -> dict[int, list[_Found]] | None:
    return _nodes("".join(linecache.getlines(filename)))


@functools.lru_cache(maxsize=256)
def _nodes_in_function(code: CodeType) -> dict[int, list[_Found]]:
    """Do the same for a function in a file that is not Python as a whole, such as a page of documentation."""
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    try:
        source = textwrap.dedent("".join(inspect.getblock(lines)))
    except (SyntaxError, tokenize.TokenError):
        return {}
    return _nodes("\n" * (code.co_firstlineno - 1) + source) or {}


def _nodes(source: str) -> dict[int, list[_Found]] | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    found: dict[int, list[_Found]] = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt):
            awaits = any(isinstance(node, ast.Await) for node in _own(statement))
            for node, writes in _accesses(statement):
                found.setdefault(node.lineno, []).append((node, writes, awaits and writes))
    return found


def _own(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of *statement* without those of the statements in it, and of functions that it only defines."""
    stack = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, (ast.stmt, ast.excepthandler))]
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.Lambda):
            stack += [each for each in ast.iter_child_nodes(node) if not isinstance(each, (ast.stmt, ast.match_case))]


def _accesses(statement: ast.stmt) -> Iterator[tuple[ast.expr, bool]]:
    for node in _own(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.value, node.func.attr in _MUTATORS
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Name)):
            yield node, not isinstance(node.ctx, ast.Load)
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, (ast.Attribute, ast.Subscript, ast.Name)):
        yield statement.target, False


# The values ----------------------------------------------------------------------------------------------------------


def _place(node: ast.expr, frame: FrameType, keep: list[Any]) -> Hashable | None:
    if isinstance(node, ast.Name):
        variable = _variable(node.id, frame)
        return variable if variable is not None else _container(_value(node, frame), keep)
    if isinstance(node, ast.Attribute):
        base = _value(node.value, frame)
        if base is UNKNOWN or callable(member_of(base, node.attr)):
            return None
        keep.append(base)
        return ("attribute", id(base), node.attr)
    if isinstance(node, ast.Subscript):
        base, key = _value(node.value, frame), _value(node.slice, frame)
        if base is UNKNOWN:
            return None
        keep.append(base)
        return ("item", id(base), repr(key)) if isinstance(key, (int, str, tuple)) else ("container", id(base))
    return None


def _variable(name: str, frame: FrameType) -> Hashable | None:
    """Return a place for a variable that other functions share; a mere local one has none."""
    code = frame.f_code
    if name in code.co_freevars or name in code.co_cellvars:
        # The cell itself is out of reach; functions of one file that share a name mostly share the variable.
        value = frame.f_locals.get(name)
        return None if callable(value) or isinstance(value, _CONTAINERS) else ("nonlocal", code.co_filename, name)
    if name not in code.co_varnames and name in frame.f_globals:
        value = frame.f_globals[name]
        plain = value is None or isinstance(value, (bool, int, float, str, tuple))
        return ("global", id(frame.f_globals), name) if plain else None
    return None


def _container(value: Any, keep: list[Any]) -> Hashable | None:
    if not isinstance(value, _CONTAINERS) and type(value).__name__ not in {"deque", "Queue", "LifoQueue"}:
        return None
    keep.append(value)
    return ("container", id(value))


def _value(node: ast.expr, frame: FrameType) -> Any:
    """Return what *node* stands for if that can be known without calling anything, else `UNKNOWN`."""
    value = value_of(node, frame)
    return UNKNOWN if value is NOWHERE else value
