"""Pools of ``multiprocessing``, of processes and of threads, that a test has left open.

A pool whose processes are killed can never be shut down: they may hold a lock that it needs for that. So a pool is one
leak, and ends by its own finaliser.
"""

from __future__ import annotations

import sys
from threading import Thread
from typing import Any

from supertester.context import IsolationContext
from supertester.isolation.identity import origin_of
from supertester.isolation.leaks.leak import Leak, plainly

__all__ = ["find", "workers"]

_POOLS = "multiprocessing.pool"
_WORKERS = 3
"""Where the list of workers stands among the arguments of a pool's finaliser."""


def find(context: IsolationContext) -> list[Leak]:
    """Return the pools of the test that are open."""
    return [_leak(thread, finalizer) for thread, finalizer in _open_pools(context)]


def workers(context: IsolationContext) -> list[Any]:
    """Return the processes and threads that work for the open pools of the test."""
    return [worker for _, finalizer in _open_pools(context) for worker in list(finalizer._args[_WORKERS])]


def _open_pools(context: IsolationContext) -> list[tuple[Thread, Any]]:
    """Return the thread that looks after the workers, and the finaliser, of each open pool."""
    if _POOLS not in sys.modules:
        return []
    threads = [thread for thread in list(context.births.threads) if _looks_after_workers(thread)]
    finalizers = list(sys.modules["multiprocessing.util"]._finalizer_registry.values()) if threads else []
    return [(thread, each) for thread in threads for each in finalizers if thread in (each._args or ())]


def _looks_after_workers(thread: Thread) -> bool:
    target: Any = getattr(thread, "_target", None)
    return getattr(target, "__module__", None) == _POOLS and target.__name__ == "_handle_workers"


def _leak(thread: Thread, finalizer: Any) -> Leak:
    origin = origin_of(thread)
    members = list(finalizer._args[_WORKERS])
    is_threads = all(isinstance(member, Thread) for member in members)
    name = "ThreadPool" if is_threads else "Pool"
    return Leak(
        kind="threads" if is_threads else "children",
        thing=finalizer,
        names=(name, *(member.name for member in members)),
        message=lambda: (
            f"{name} with {len(members)} {'thread' if is_threads else 'child process'}{_plural(members, is_threads)}"
            f"{plainly(origin, 'created')} was left open; close it and join it, or use it in a with statement"
        ),
        origin=origin,
        end=Thread(target=finalizer, name="supertester-pool", daemon=True).start,  # It waits for the workers' end.
        takes_time=True,
        has_ended=lambda: not thread.is_alive() and not any(member.is_alive() for member in members),
        is_ending=getattr(thread, "_state", None) != "RUN",
    )


def _plural(members: list[Any], is_threads: bool) -> str:  # noqa: FBT001
    if len(members) == 1:
        return ""
    return "s" if is_threads else "es"
