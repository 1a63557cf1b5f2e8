"""Errors that an event loop has nobody to tell: of callbacks, of tasks that nobody awaits, of transports."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from supertester.context import IsolationContext, Problem
from supertester.isolation import tasks

__all__ = ["LoopErrors", "problem_of"]

Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_LATE = "Task was destroyed but it is pending!"


class LoopErrors:
    """Routes what a loop reports to the test that is to blame.

    Args:
        context: The test.
        loop: Where it runs.
        report: Takes a problem, or says that it is too late for it.
        whole_loop: Everything on this loop belongs to the test. Otherwise only what was created in its context does,
            and the rest goes to the handler that was there before.
    """

    def __init__(
        self,
        context: IsolationContext,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[Problem], bool],
        *,
        whole_loop: bool,
    ) -> None:
        self._context = context
        self._report = report
        self._loop = loop
        self._whole_loop = whole_loop
        self._previous = None if whole_loop else _living(loop.get_exception_handler())
        loop.set_exception_handler(self)

    def __call__(self, loop: asyncio.AbstractEventLoop, event: dict[str, Any]) -> None:
        if not (self._is_ours(event) and self._report(problem_of(event))):
            if (previous := _living(self._previous)) is not None:
                previous(loop, event)
            else:
                loop.default_exception_handler(event)

    def _is_ours(self, event: dict[str, Any]) -> bool:
        if self._whole_loop:
            return True
        for key in ("task", "future", "handle"):
            if (thing := event.get(key)) is not None and (owner := tasks.owner_of(thing)) is not None:
                return owner is self._context
        return False

    def close(self) -> None:
        """Put the handler before back, unless somebody replaced this one."""
        if not self._whole_loop and self._loop.get_exception_handler() is self:
            self._loop.set_exception_handler(_living(self._previous))

    def living(self) -> Handler | None:
        """Return this handler, or the first before it whose test has not ended: tests need not end in any order."""
        if not self._context.closed:
            self._previous = _living(self._previous)
            return self
        return _living(self._previous)


def _living(handler: Handler | None) -> Handler | None:
    return handler.living() if isinstance(handler, LoopErrors) else handler


def problem_of(event: dict[str, Any]) -> Problem:
    """Return the problem that *event* is, which a loop had nobody to tell of."""
    message = event.get("message") or "the event loop reports an error"
    error = event.get("exception")
    task = event.get("task") or event.get("future")
    if isinstance(task, asyncio.Task):
        what = f"task {tasks.describe_task(task)}"
        if message == _LATE:
            return Problem("tasks", f"{what} was left running, and nobody held it any more")
        message = (
            f"background {what} failed and nobody retrieved its exception"
            if error is not None
            else f"{what}: {message}"
        )
    elif (handle := event.get("handle")) is not None:
        message = f"callback {handle!r} failed"
    shown = f"{message}: {error!r}" if error is not None else str(message)
    details = "".join(traceback.format_exception(error)) if error is not None else ""
    return Problem("callback" if "handle" in event else "task", shown, details)
