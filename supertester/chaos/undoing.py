"""What chaos did is undone: at the end of a block, by hand, or at the end of the test at the latest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from supertester.context import current_context

__all__ = ["at_end_of_test"]


def at_end_of_test(undo: Callable[[], object]) -> Callable[[], None]:
    """Call *undo*, plain or async, at the end of the running test, if one runs; return a function that forgets it."""
    context = current_context.get()
    if context is None or context.closed:
        return lambda: None
    context.add_cleanup(undo)
    entry = context.cleanups[-1]

    def forget() -> None:
        with suppress(ValueError):  # The end of the test has taken it.
            context.cleanups.remove(entry)

    return forget
