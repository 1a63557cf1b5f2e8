"""`programs`: a strategy of Hypothesis for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from supertester._core.lazy import lazy_import
from supertester.programs.machine import Machine
from supertester.programs.program import Program, Step

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["programs"]

_LATEST = 3
"""Turns of the event loop by which a step is put off at most."""


def programs(machine: type[Machine], *, put_off: bool = True) -> SearchStrategy[Program]:
    """Return a strategy of programs for *machine*, for ``@given``.

    They shrink towards fewer and simpler steps that begin at once.

    Args:
        machine: The machine.
        put_off: Whether steps may be put off by some turns of the event loop; not needed where schedules are explored.

    Raises:
        UsageError: The machine has no rules or no fitting model.
        TypeError: It is no `Machine`.
    """
    given: Any = machine
    if not (isinstance(given, type) and issubclass(given, Machine)):
        raise TypeError(f"programs() takes a subclass of Machine, got {given!r}")
    st = lazy_import("hypothesis.strategies", purpose="supertester.programs")
    late = st.integers(0, _LATEST) if put_off else st.just(0)
    alone = st.one_of([_steps(st, name, each, st.just(0)) for name, each in machine.rules().items()])
    at_once = st.one_of([_steps(st, name, each, late) for name, each in machine.rules().items()])
    branch = st.lists(at_once, min_size=1, max_size=machine.max_steps)
    parts = st.tuples(
        st.lists(alone, max_size=machine.max_before),
        st.lists(branch, min_size=2, max_size=machine.max_branches),
        st.lists(alone, max_size=machine.max_after),
    )
    # Hypothesis shows what `map` made as its `repr`, which can be run; of `builds` it would show the call.
    strategy: SearchStrategy[Program] = parts.map(
        lambda parts: Program(machine, before=parts[0], branches=parts[1], after=parts[2])
    )
    return strategy


def _steps(st: Any, name: str, arguments: Mapping[str, SearchStrategy[Any]], after: SearchStrategy[int]) -> Any:
    return st.tuples(st.tuples(*arguments.values()), after).map(lambda drawn: Step(name, drawn[0], after=drawn[1]))
