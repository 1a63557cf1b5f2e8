"""The embedded runtime of one test: its root process, and what the test leaves running in it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextvars import Token
from typing import Any

from supertester._core.naming import describe
from supertester._core.origin import here
from supertester.context import Isolation, IsolationContext, Problem
from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, install_once
from supertester.isolation.tasks import give_up
from supertester.otp.process import Process
from supertester.otp.reasons import KILL, is_crash
from supertester.otp.runtime import Runtime, current, default_runtime, stand_ins

__all__ = [
    "enter_world",
    "join_world",
    "kill",
    "leave_world",
    "leftover",
    "offer_world",
    "process_leak",
    "stoppable",
    "watch_crashes",
]

_HISTORY = 8
"""Messages that each process of a test remembers, as evidence."""

_started_at: weakref.WeakKeyDictionary[Process, str] = weakref.WeakKeyDictionary()


def offer_world() -> None:
    """Let plain code of a test find the root process, and make the world for it if there is none yet."""
    install_once(_stand_in)


def _stand_in() -> Undo:
    stand_ins.append(_root)
    return lambda: stand_ins.remove(_root)


def _root() -> Process | None:
    context = owner()
    return None if context is None else context.root


def enter_world(context: IsolationContext, loop: asyncio.AbstractEventLoop, *, whole_loop: bool = False) -> Token[Any]:
    """Give *context* its runtime and root process: a runtime of its own, in mode ``basic`` the default one of *loop*.

    Both are current in the present context until `leave_world` is given what this returns.
    """
    context.loop = loop
    if context.mode == Isolation.BASIC.value:
        runtime = default_runtime(loop)
        context.registry = None
    else:
        runtime = Runtime(history=_HISTORY, loop=loop)
        context.registry = runtime.names
        if whole_loop:  # So that code in a context from before finds it, too.
            loop._supertester_runtime = runtime  # type: ignore[attr-defined]
    if _note_line not in runtime.on_spawn:
        runtime.on_spawn.append(_note_line)
    context.runtime = runtime
    context.clock = runtime.clock
    context.root = runtime.new_root()
    return runtime.activate(context.root)


def join_world(context: IsolationContext) -> None:
    """Make the root process of *context* current in the present context, unless another process is."""
    if current.get() is None:
        current.set(context.root)


def leave_world(token: Token[Any]) -> None:
    """Make current again what was before `enter_world`."""
    current.reset(token)


def _note_line(process: Process) -> None:
    line = here(2)
    if line is not None:
        _started_at[process] = line


def watch_crashes(context: IsolationContext) -> Callable[[], object]:
    """Let every crash in the runtime of *context* fail the test; return a function that ends that."""
    watching = [True]

    def died(process: Process) -> None:
        if watching and is_crash(process.exit_reason):
            context.report(Problem("crash", f"{_shown(process)} crashed: {process.exit_reason!r}"))

    assert context.runtime is not None
    context.runtime.on_spawn.append(lambda process: process.on_exit(died))
    return watching.clear


def _own(context: IsolationContext) -> list[Process]:
    """Return the live processes of the test, oldest first, without its root."""
    runtime: Runtime | None = context.made("runtime")
    root = context.made("root")
    if runtime is None:
        return []
    if context.mode == Isolation.BASIC.value:
        return runtime.descendants(root)
    return [process for process in runtime.processes if process is not root]


def stoppable(context: IsolationContext) -> list[Process]:
    """Return what cleanup has to stop, oldest first: the root's children, and tracked processes that nobody supervises.

    Their descendants are not among them: a supervisor stops its own children, and would restart what is taken from it.
    """
    tracked = {info.pid for info in context.processes}
    root = context.made("root")
    return [
        process
        for process in _own(context)
        if process.parent is root
        or (process in tracked and (process.parent is None or process.parent.exit_reason is not None))
    ]


def leftover(context: IsolationContext) -> list[Process]:
    """Return the live processes that nothing has stopped, oldest first."""
    return _own(context)


def names_of(process: Process) -> tuple[str, ...]:
    """Return what *process* goes by."""
    registered = () if process.name is None else (str(process.name),)
    return (*registered, describe(process.initial_call))


def process_leak(process: Process) -> Problem:
    """Return the problem that *process* is when it is left running."""
    spawner = process.spawner
    orphan = f"; its parent {spawner!r} is gone" if spawner is not None and spawner.exit_reason is not None else ""
    return Problem(
        "processes",
        f"{_shown(process)} was left running{orphan}; stop it in the test, or start it with start_link()",
    )


def _shown(process: Process) -> str:
    line = _started_at.get(process)
    return f"process {process!r}" + (f" (started at {line})" if line else "")


async def kill(context: IsolationContext, processes: list[Process], timeout: float) -> list[str]:
    """Kill *processes* and wait for their code to end; name those that still ran after *timeout* seconds."""
    runtime = context.runtime
    assert runtime is not None
    for process in reversed(processes):
        process.exit(KILL)
    waiting = [task for task in runtime.tasks if getattr(task, "supertester_pid", None) in processes]
    if not waiting:
        return []
    _, pending = await asyncio.wait(waiting, timeout=timeout)
    give_up(pending)
    return [f"{_shown(_pid_of(task))} would not die: {describe(task.get_coro())}" for task in pending]


def _pid_of(task: Any) -> Process:
    pid: Process = task.supertester_pid
    return pid
