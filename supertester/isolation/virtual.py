"""Virtual time in a test: which event loop it has, what of the test counts as outside work, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread
from typing import Any

from supertester._core.awaits import frames_of
from supertester._core.evidence import shown
from supertester.context import IsolationContext
from supertester.errors import Unsupported
from supertester.isolation.identity import stamp_of
from supertester.isolation.leaks import children, threads
from supertester.otp.messages import Call
from supertester.otp.process import Process
from supertester.schedule.clock import ExploringClock, VirtualClock
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.virtual_loop import VirtualLoop

__all__ = ["enter_virtual_time", "new_loop"]

_MAILBOX = "supertester.otp.mailbox"


def new_loop(factory: Callable[[], asyncio.AbstractEventLoop] | None) -> VirtualLoop:
    """Return a new event loop with virtual time.

    Raises:
        Unsupported: *factory* makes loops of another kind.
    """
    loop = VirtualLoop() if factory is None else factory()
    if not isinstance(loop, VirtualLoop):
        kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
        loop.close()
        raise Unsupported(
            f"clock='virtual' needs an event loop whose time it decides, and loop_factory makes one of {kind}; leave "
            "loop_factory out, or let it make a subclass of supertester.schedule.VirtualLoop"
        )
    loop.explain = _explain
    return loop


def enter_virtual_time(context: IsolationContext, loop: Any) -> Callable[[], object]:
    """Let the time of *context* be that of *loop*, and its threads and child processes be outside work.

    Returns:
        What ends that.
    """
    if isinstance(loop, ExploringLoop):
        context.clock = ExploringClock(loop)
        loop.explain = _explain
        return _nothing
    context.clock = VirtualClock(loop)
    context.jobs = loop.outside.add_job
    source = partial(_running_of, context, loop)
    loop.outside.sources.append(source)
    return partial(loop.outside.sources.remove, source)


def _nothing() -> None: ...


def _running_of(context: IsolationContext, loop: VirtualLoop) -> Iterator[str]:
    """Yield the threads and child processes of the test, without the workers of pools, which wait for jobs."""
    births = context.births
    if births is None:
        return
    if births.threads:
        for leak in threads.find(context, loop):
            if isinstance(leak.thing, Thread):
                yield f"thread {leak.thing.name!r} (started at {stamp_of(leak.thing)[1]})"
            elif getattr(leak.thing, "_pending_work_items", None):
                yield "jobs of a pool of processes"
    if births.children:
        for leak in children.find(context):
            is_quiet = getattr(
                leak.thing, "supertester_is_quiet", None
            )  # Of those that say when they have nothing to do.
            if is_quiet is None or not is_quiet():
                yield f"child process {leak.thing.pid}"


# Who waits for whom -------------------------------------------------------------------------------------------------


def _explain(task: asyncio.Task[Any]) -> tuple[str | None, Any, str | None]:
    """Return what is known of *task* beyond what asyncio knows: its name, its coroutine, and what that waits for."""
    process: Process | None = getattr(task, "supertester_pid", None)
    if process is None:
        return None, task.get_coro(), _called_in(task.get_coro())
    if process.steps is None:
        return f"process {process!r}", task.get_coro(), "a message"
    return f"process {process!r}", process.steps, _called_in(process.steps)


def _called_in(steps: Any) -> str | None:
    """Return whose reply the coroutine *steps* waits for, or ``None``."""
    for _, frame in frames_of(steps):
        if frame.f_globals.get("__name__") == _MAILBOX:
            slot = frame.f_locals.get("slot")
            if isinstance(slot, Call):
                return f"the reply of {slot.process!r} to {shown(slot.request)}"
    return None
