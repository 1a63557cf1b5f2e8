"""What an `ExploringLoop` gives back for a scheduled callback, so that it can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from supertester.schedule.lanes import Lane

__all__ = ["Handle", "TimerHandle"]


class Handle(asyncio.Handle):
    """A callback in a lane."""

    __slots__ = ("lane",)

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], loop: Any, context: Context | None) -> None:
        # What asyncio's own does, without the calls that it makes for that.
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None

    lane: Lane

    def cancel(self) -> None:
        """Take it out of its lane: a lane with nothing else in it can no longer be chosen."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]
            self._loop._withdraw(self, self.lane)


class TimerHandle(asyncio.TimerHandle):
    """A callback with a time; it gets a lane of its own when that has come."""

    __slots__ = ("delay", "lane", "number", "parent")

    def __init__(  # noqa: PLR0917 called once per timer, where keywords cost
        self,
        when: float,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None,
        parent: Lane,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True
        self.parent = parent
        self.number = number = parent.children
        parent.children = number + 1
        self.delay: float = when - loop._now
        self.lane: Lane | None = None

    def cancel(self) -> None:
        """Never fire, or be taken out of the lane if it has begun to."""
        if self._cancelled:
            return
        self._cancelled = True
        if self._scheduled:
            self._loop._timer_handle_cancelled(self)
        else:
            lane = self.lane
            if lane is not None and (lane.callback is self or lane.more):
                self._loop._withdraw(self, lane)
        self._callback = self._args = None  # type: ignore[assignment]
