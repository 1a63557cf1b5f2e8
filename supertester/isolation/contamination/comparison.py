"""`Comparison`: the process before a test and after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from supertester.context import IsolationContext, Problem
from supertester.isolation.contamination import interpreter, libraries, logs, process, workers
from supertester.isolation.contamination.difference import CannotRestore, Difference, Resource, Since
from supertester.isolation.contamination.modules import LOADED, declared

__all__ = ["Comparison", "contamination_of"]

_MOST = 20
"""Differences of one kind that are shown; the others are counted and restored."""

_RESOURCES: list[Resource] = [
    *workers.RESOURCES,
    *libraries.RESOURCES,
    *process.RESOURCES,
    LOADED,
    *logs.RESOURCES,
    *interpreter.RESOURCES,
]
"""In the order in which they are restored."""


class Comparison:
    """What the process was when this was made, to be compared with what it is.

    Args:
        context: The test, which has to run alone.
        modules: The names of further modules to compare.
    """

    def __init__(self, context: IsolationContext, modules: Sequence[str] = ()) -> None:
        self._context = context
        resources = [resource for name in modules for resource in declared(name)]
        # Patches go first: their own undoing is better than ours.
        self._before = [(each, each.take()) for each in [*_RESOURCES, *resources]]
        self._modules = frozenset(sys.modules)

    def differences(self) -> list[Difference]:
        """Return what differs now."""
        return [difference for _, found in self._found() for difference in found]

    def _found(self) -> list[tuple[Resource, list[Difference]]]:
        since = Since(self._context, frozenset(sys.modules) - self._modules)
        found = ((resource, self._of(resource, before, since)) for resource, before in self._before)
        return [(resource, differences) for resource, differences in found if differences]

    def _of(self, resource: Resource, before: Any, since: Since) -> list[Difference]:
        try:
            return list(resource.differences(before, since))
        except Exception as error:  # noqa: BLE001 - objects of the user take part in the comparison
            self._context.report(Problem("contamination", f"{resource.name} could not be compared: {error!r}"))
            return []

    def end(self) -> None:
        """Report what differs, and make it what it was. All is compared before anything is restored."""
        for resource, found in self._found():
            for difference in found[:_MOST]:
                self._context.report(_problem(difference, _restored(difference)))
            endings = [_restored(difference) for difference in found[_MOST:]]
            if endings:
                refused = [each for each in endings if each != _RESTORED]
                ending = f"{len(refused)} could not be restored, e.g. {refused[0]}" if refused else _RESTORED
                message = f"{resource.name}: {len(endings)} more differences; {ending}"
                self._context.report(Problem("contamination", message))


_RESTORED = "restored"


def _restored(difference: Difference) -> str:
    """Undo *difference*, and say what came of it."""
    try:
        difference.undo()
    except CannotRestore as reason:
        return f"cannot be restored: {reason}"
    except Exception as error:  # noqa: BLE001 - shown with the difference
        return f"restoring it failed: {error!r}"
    return _RESTORED


def _problem(difference: Difference, ending: str) -> Problem:
    message = f"{difference.what} was {difference.before} before the test and is {difference.after} after it; {ending}"
    return Problem("contamination", message, difference.details)


@contextmanager
def contamination_of(context: IsolationContext, setting: Any) -> Iterator[Comparison]:
    """Compare the process before the body with what it is afterwards; the test of *context* fails for what differs."""
    comparison = Comparison(context, setting if isinstance(setting, (list, tuple)) else ())
    try:
        yield comparison
    finally:
        comparison.end()
