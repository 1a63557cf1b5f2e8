"""Virtual time in a test: which event loop it has, and what of the test counts as outside work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread
from typing import Any

from supertester.context import IsolationContext
from supertester.errors import Unsupported
from supertester.isolation.identity import stamp_of
from supertester.isolation.leaks import children, threads
from supertester.otp.standing import standing_of
from supertester.schedule.clock import ExploringClock, VirtualClock
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.virtual_loop import VirtualLoop

__all__ = ["enter_virtual_time", "new_loop"]


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
    loop.explain = standing_of
    return loop


def enter_virtual_time(context: IsolationContext, loop: Any) -> Callable[[], object]:
    """Let the time of *context* be that of *loop*, and its threads and child processes be outside work.

    Returns:
        What ends that.
    """
    if isinstance(loop, ExploringLoop):
        context.clock = ExploringClock(loop)
        loop.explain = standing_of
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
