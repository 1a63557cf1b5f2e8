"""Hypothesis strategies for scenarios: what callers do to a server, and how many of them at once.

Importing this module imports Hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from supertester._core.lazy import lazy_import
from supertester.errors import UsageError
from supertester.scenarios.operations import Operation, checked_kind, normalized
from supertester.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
else:
    st = lazy_import("hypothesis.strategies", purpose="supertester.properties")

__all__ = ["concurrent_scenario", "genserver_operation_sequence"]

_OPTIONS = frozenset(field.name for field in fields(Scenario)) - {"threads"}


def genserver_operation_sequence(
    operations: Iterable[Any] | SearchStrategy[Any],
    *,
    default_operation: str = "call",
    min_length: int = 1,
    max_length: int | None = None,
) -> SearchStrategy[list[Operation]]:
    """Return a strategy of lists of operations, as one logical thread of a scenario does them.

    They shrink towards fewer operations, and towards those that stand first.

    Args:
        operations: What there is to do: ``("call", request)``, ``("cast", message)``, ``("custom", function)``, bare
            terms, or strategies of these; or one strategy of them all.
        default_operation: What a bare term is, ``"call"`` or ``"cast"``.
        min_length: At least so many in a list.
        max_length: At most so many; by default 5, or *min_length* if that is more.

    Raises:
        UsageError: There are no operations, or the lengths make no sense.

    >>> genserver_operation_sequence(["value", ("cast", "reset")], max_length=2).example()  # doctest: +SKIP
    [('call', 'value'), ('cast', 'reset')]
    """
    checked_kind(default_operation)
    least, most = _range("length", min_length, max_length, smallest=0, default=5)
    one = _one_of(operations).map(lambda operation: normalized(operation, default_operation))
    return st.lists(one, min_size=least, max_size=most)


def concurrent_scenario(
    *,
    operations: Iterable[Any] | SearchStrategy[Any],
    min_threads: int = 2,
    max_threads: int | None = None,
    min_ops_per_thread: int = 1,
    max_ops_per_thread: int | None = None,
    default_operation: str = "call",
    timeout_ms: float = 5000,
    call_timeout_ms: float = 1000,
    **options: Any,
) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy of configs for `supertester.harness.from_property_config`.

    They shrink towards fewer threads that do fewer operations.

    Args:
        operations: What the threads do, as for `genserver_operation_sequence`.
        min_threads: At least so many threads.
        max_threads: At most so many; by default 4, or *min_threads* if that is more.
        min_ops_per_thread: At least so many operations in each.
        max_ops_per_thread: At most so many; by default 5, or *min_ops_per_thread* if that is more.
        default_operation: What a bare term is.
        timeout_ms: Of the scenario.
        call_timeout_ms: Of its calls.
        options: Other options of `supertester.harness.Scenario`, which are not drawn.

    Raises:
        UsageError: There are no operations, or the numbers make no sense.
        TypeError: An option is unknown.
    """
    if unknown := sorted(options.keys() - _OPTIONS):
        raise TypeError(f"concurrent_scenario() has no option {unknown[0]!r}, and nor has a Scenario")
    least, most = _range("threads", min_threads, max_threads, smallest=1, default=4)
    script = genserver_operation_sequence(
        operations,
        default_operation=default_operation,
        min_length=min_ops_per_thread,
        max_length=_range("ops_per_thread", min_ops_per_thread, max_ops_per_thread, smallest=0, default=5)[1],
    )
    fixed = {
        "default_operation": default_operation,
        "timeout_ms": timeout_ms,
        "call_timeout_ms": call_timeout_ms,
        "metadata": {},
        "mailbox": None,
        **options,
    }
    return st.fixed_dictionaries(
        {
            "thread_scripts": st.lists(script, min_size=least, max_size=most),
            **{name: st.just(value) for name, value in fixed.items()},
        }
    )


def _one_of(operations: Any) -> SearchStrategy[Any]:
    if isinstance(operations, st.SearchStrategy):
        return operations
    if isinstance(operations, (str, bytes, tuple, dict)) or not isinstance(operations, Iterable):
        raise TypeError(f"operations must be a list of operations or a strategy, got operations={operations!r}")
    each = [one if isinstance(one, st.SearchStrategy) else st.just(one) for one in operations]
    if not each:
        raise UsageError("there is nothing to choose from, got operations=[]")
    return st.one_of(each)


def _range(name: str, least: Any, most: Any, *, smallest: int, default: int) -> tuple[int, int]:
    for side, value in (("min", least), ("max", most)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{side}_{name} must be an integer, got {side}_{name}={value!r}")
    if least < smallest:
        raise UsageError(f"min_{name} must be {smallest} or more, got min_{name}={least!r}")
    if most is None:
        most = max(least, default)
    if most < least:
        raise UsageError(f"max_{name} must be min_{name}={least} or more, got max_{name}={most!r}")
    return least, most
