"""`isolate`: an isolated test without a test case, for other harnesses."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import replace
from types import TracebackType
from typing import Any

from supertester.context import Isolation, IsolationContext, current_context
from supertester.env import DEFAULT, Env, current_env
from supertester.isolation.options import Options
from supertester.isolation.scope import Scope

__all__ = ["fetch_isolation_context", "isolate", "put_in_place", "put_isolation_context", "verify_test_isolation"]


class isolate:  # noqa: N801 - used as a function
    """Make the body of an ``async with`` an isolated test; yields its `IsolationContext`.

    At the end its processes are stopped and its cleanups run, and what it left behind is an error.

    Args:
        mode: One of `Isolation`.
        tags: What the test says about itself; ``"test"`` names it.
        env: An environment to be given the cleanup to run, instead of the end of the block; by default that of
            `set_env`.

    Raises:
        UsageError: There is no such mode.
        TypeError: *env* has no method ``on_exit``.
        IsolationFailure: At the end of the block: it left something behind. An exception of the body comes first, and
            gets a note instead.

    >>> async def main():
    ...     async with isolate("registry", tags={"test": "counting"}) as context:
    ...         return context.mode, context.tags["test"]
    >>> asyncio.run(main())
    ('registry', 'counting')
    """

    def __init__(
        self,
        mode: str = Isolation.FULL_ISOLATION.value,
        *,
        tags: Mapping[str, Any] | None = None,
        env: Env | None = None,
    ) -> None:
        if env is not None and not isinstance(env, Env):
            raise TypeError(f"an environment needs a method on_exit(callback), got env={env!r}")
        self._options = Options(isolation=mode, timeout=None)
        self._env = env or current_env()
        caller = sys._getframe(1)
        self._filename = caller.f_code.co_filename
        module = caller.f_globals.get("__name__", "")
        self._modules = frozenset({module})
        self._tags = {"module": module, "file": self._filename, "line": caller.f_lineno, **(tags or {})}

    async def __aenter__(self) -> IsolationContext:
        loop = asyncio.get_running_loop()
        self._scope = scope = Scope(
            str(self._tags.get("test", "anonymous")),
            replace(self._options, clock="virtual") if _has_virtual_time(loop) else self._options,
            loop,
            tags=self._tags,
            env=self._env,
            filename=self._filename,
            modules=self._modules,
        )
        try:
            scope.open()
        except BaseException:
            scope.settle()
            scope.close()
            scope.leave()
            raise
        return scope.context

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        scope = self._scope
        if self._env is not DEFAULT:
            context = copy_context()
            scope.leave()

            async def cleanup() -> None:
                await asyncio.get_running_loop().create_task(_finish(scope), context=context)

            self._env.on_exit(cleanup)
            return
        try:
            await _finish(scope)
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"and then: {failure}")
        finally:
            scope.leave()


def put_in_place() -> None:
    """Put into the process what `isolate` needs, before the control of schedules comes on top.

    Where two replace one attribute, the first to be put in has to be the last to be taken out.
    """
    from supertester.schedule.exploring_loop import ExploringLoop  # Only who explores needs this.
    from supertester.schedule.strategies.fifo import Fifo

    async def nothing() -> None:
        async with isolate(tags={"test": "nothing"}):
            pass

    kind: Any = ExploringLoop
    if asyncio._get_running_loop() is None:  # Else exploration is refused anyway.
        kind(Fifo()).run(nothing())


def _has_virtual_time(loop: asyncio.AbstractEventLoop) -> bool:
    if getattr(loop, "explores", False):
        return True
    # Who runs such a loop has imported its module.
    schedule = sys.modules.get("supertester.schedule.virtual_loop")
    return schedule is not None and isinstance(loop, schedule.VirtualLoop)


async def _finish(scope: Scope) -> None:
    """End the test of *scope*; raise what is wrong with it."""
    if scope.context.closed:
        return
    try:
        if not scope.is_clean():
            await scope.unwind()
        scope.settle()
    finally:
        scope.close()
    failure = scope.take_failure()
    error = scope.take_errors()
    if error is not None and failure is not None and isinstance(error, Exception):
        raise ExceptionGroup(f"the end of {scope.context.test_id}", [error, failure])
    if (found := error or failure) is not None:
        raise found


def fetch_isolation_context() -> IsolationContext | None:
    """Return the context of the test that the calling code belongs to, or ``None``."""
    return current_context.get()


def put_isolation_context(context: IsolationContext | None) -> IsolationContext | None:
    """Let the calling code, and what it starts from now on, belong to the test of *context*; return *context*.

    Raises:
        TypeError: It is neither an `IsolationContext` nor ``None``.
    """
    if context is not None and not isinstance(context, IsolationContext):
        raise TypeError(f"put_isolation_context() takes an IsolationContext or None, got {context!r}")
    current_context.set(context)
    return context


def verify_test_isolation(context: IsolationContext | None) -> bool:
    """Say whether nothing is wrong with a test so far: every tracked process lives, and no problem was noticed.

    Without a context there is nothing to be wrong.
    """
    if context is None:
        return True
    return not context.problems and all(getattr(info.pid, "exit_reason", None) is None for info in context.processes)
