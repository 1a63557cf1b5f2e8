"""Whether a supervision tree is built as it should be."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester.errors import CallExit, UsageError
from supertester.otp import supervisor as otp
from supertester.otp.child_spec import STRATEGIES
from supertester.otp.process import Process
from supertester.otp.refs import Reference
from supertester.otp.supervision import BaseSupervisor, Child
from supertester.trees import supervisor_of

__all__ = ["check_supervision_tree_structure"]

_PATIENCE = 5.0
"""Seconds that each supervisor may take to answer."""

_OF_SUPERVISOR = ("supervisor", "strategy", "max_restarts", "max_seconds", "children", "ordered")
_OF_CHILD = ("module", "modules", "type", "restart", "shutdown", "significant")


async def check_supervision_tree_structure(supervisor: Reference, expected: Mapping[str, Any]) -> Mismatch | None:
    """Say how the tree under *supervisor* differs from *expected*, or return ``None``.

    What is expected of a supervisor is a mapping with any of these keys:

    - ``"supervisor"``: its class; ``"strategy"``, ``"max_restarts"``, ``"max_seconds"``;
    - ``"children"``: all its children, by default none; in start order if ``"ordered"`` is true, else in any.

    A child is ``(id, what)``, where *what* is its class, or a mapping with any of ``"module"``, ``"modules"``,
    ``"type"``, ``"restart"``, ``"shutdown"``, ``"significant"``, and the keys above if it is a supervisor whose own
    children are to be checked. The children of a `DynamicSupervisor` go by the ids of their specs.

    Raises:
        UsageError: *expected* has an unknown key or the same id twice; or *supervisor* is dead, unknown, or no
            supervisor.
        TypeError: *expected* is not of this form.

    >>> import asyncio
    >>> from supertester.otp import Agent, ChildSpec, Supervisor
    >>> async def main():
    ...     supervisor = await Supervisor.start_link([ChildSpec("cache", Agent, args=(0,))])
    ...     return await check_supervision_tree_structure(supervisor, {"children": [("cache", Supervisor)]})
    >>> print(asyncio.run(main()).message)
    the supervision tree is not as expected:
      child 'cache' is of Agent, expected Supervisor
    """
    _check_form(expected, "expected", _OF_SUPERVISOR)
    process = supervisor_of(supervisor, "assert_supervision_tree_structure")
    problems = [problem async for problem in _differences(process, expected, "")]
    if not problems:
        return None
    lines = "\n".join(f"  {problem}" for problem in problems)
    return Mismatch(f"the supervision tree is not as expected:\n{lines}", list(_drawn(process, "")))


# The form of what is expected ---------------------------------------------------------------------------------------


def _check_form(expected: Any, where: str, known: Sequence[str]) -> None:
    if not isinstance(expected, Mapping):
        raise TypeError(f"{where} must be a mapping with keys such as 'strategy' and 'children', got {expected!r}")
    for key in expected:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise UsageError(f"{where} has the unknown key {key!r}{hint}; the known ones are {', '.join(known)}")
    strategy = expected.get("strategy")
    if strategy is not None and strategy not in STRATEGIES:
        raise UsageError(f"{where}: a strategy is one of {', '.join(map(repr, STRATEGIES))}, got {strategy!r}")
    children = expected.get("children", ())
    if isinstance(children, Mapping) or not isinstance(children, Collection):
        raise TypeError(f"{where}: children must be a list of (id, class) or (id, mapping), got {children!r}")
    seen: set[Any] = set()
    for entry in children:
        id, what = _entry(entry, where)
        if id in seen:
            raise UsageError(f"{where} has the child {id!r} twice; ids are unique")
        seen.add(id)
        if not isinstance(what, type):
            _check_form(what, f"{where} > {id!r}", (*_OF_CHILD, *_OF_SUPERVISOR))


def _entry(entry: Any, where: str) -> tuple[Any, Any]:
    if not (isinstance(entry, tuple) and len(entry) == 2):
        raise TypeError(f"{where}: a child is (id, class) or (id, mapping), got {entry!r}")
    id, what = entry
    if not isinstance(what, (type, Mapping)):
        raise TypeError(f"{where}: of the child {id!r} a class or a mapping is expected, got {what!r}")
    return id, what


# The comparison -----------------------------------------------------------------------------------------------------


async def _differences(process: Process, expected: Mapping[str, Any], path: str) -> AsyncIterator[str]:
    """Yield, as text, how the supervisor *process* differs from *expected*."""
    server = process.server
    if not isinstance(server, BaseSupervisor):
        yield f"{path or repr(process)} is no supervisor"
        return
    try:
        await otp.which_children(process, _PATIENCE)  # It knows of all that has happened when it has answered.
    except CallExit as error:
        yield f"{path or repr(process)} did not tell its children: {error.reason!r}"
        return
    where = f"{path}: " if path else ""
    if "supervisor" in expected and type(server) is not expected["supervisor"]:
        yield f"{where}the supervisor is a {type(server).__qualname__}, expected {describe(expected['supervisor'])}"
    for name in ("strategy", "max_restarts", "max_seconds"):
        if name in expected and (actual := getattr(server.spec, name)) != expected[name]:
            yield f"{where}{name} is {actual!r}, expected {expected[name]!r}"
    children = _children(server)
    wanted = dict(expected.get("children", ()))
    for problem in _compare_ids([child.spec.id for child in children], wanted, ordered=expected.get("ordered", False)):
        yield where + problem
    for child in children:
        if child.spec.id in wanted:
            async for problem in _child_differences(child, wanted[child.spec.id], path):
                yield problem


def _compare_ids(actual: list[Any], wanted: Mapping[Any, Any], *, ordered: bool) -> Iterator[str]:
    present = set(actual)
    missing = [id for id in wanted if id not in present]
    extra = [id for id in actual if id not in wanted]
    if len(actual) != len(wanted):
        yield f"it has {len(actual)} children, expected {len(wanted)}"
    if missing:
        yield f"missing: {', '.join(map(repr, missing))}"
    if extra:
        yield f"not expected: {', '.join(map(repr, extra))}"
    if ordered and not missing and not extra and actual != list(wanted):
        yield f"the start order is {actual!r}, expected {list(wanted)!r}"


async def _child_differences(child: Child, what: Any, path: str) -> AsyncIterator[str]:
    spec = child.spec
    shown = f"{path} > {spec.id!r}" if path else f"child {spec.id!r}"
    if isinstance(what, type):
        what = {"module": what}
    modules = _modules_of(child)
    for module in [*([what["module"]] if "module" in what else []), *what.get("modules", ())]:
        if module not in modules:
            yield f"{shown} is of {', '.join(map(describe, modules)) or 'unknown modules'}, expected {describe(module)}"
    for name in ("type", "restart", "shutdown", "significant"):
        if name in what and (actual := getattr(spec, name)) != what[name]:
            yield f"{shown}: {name} is {actual!r}, expected {what[name]!r}"
    if any(key in what for key in _OF_SUPERVISOR):
        if child.process is None:
            yield f"{shown} is {child.pid}, so its children cannot be compared"
            return
        async for problem in _differences(child.process, what, shown):
            yield problem


def _children(server: Any) -> list[Child]:
    """Return the children of a `Supervisor` or a `DynamicSupervisor`, in start order."""
    return [key if value is None else value for key, value in server.children.items()]


def _modules_of(child: Child) -> list[Any]:
    """Return what the spec says of the child's classes, and what it turned out to be."""
    modules = list(child.spec.modules or ())
    if child.process is not None and type(child.process.server) not in modules:
        modules.append(type(child.process.server))
    return modules


def _drawn(process: Process, indent: str) -> Iterator[str]:
    """Yield the actual tree, a line for each process."""
    server = process.server
    strategy = f" {server.spec.strategy}" if isinstance(server, BaseSupervisor) else ""
    if not indent:
        yield f"{type(server).__qualname__}{strategy}, {process!r}"
    for child in _children(server) if isinstance(server, BaseSupervisor) else ():
        spec, below = child.spec, child.process
        kind = below.server if below is not None else None
        also = f" {kind.spec.strategy}" if isinstance(kind, BaseSupervisor) else ""
        modules = ", ".join(map(describe, _modules_of(child)))
        yield f"{indent}  {spec.id!r}: {modules}{also}, {spec.restart} {spec.type}, {child.pid!r}"
        if below is not None:
            yield from _drawn(below, indent + "  ")
