"""Threads and executors that a test has left running."""

from __future__ import annotations

import dis
import sys
import traceback
import weakref
from functools import cache
from pathlib import Path
from threading import Thread, Timer
from types import CodeType
from typing import Any

from supertester._core.origin import is_foreign, is_standard, show_line
from supertester.context import IsolationContext
from supertester.isolation.identity import origin_of, stamping
from supertester.isolation.installed import Undo, install_once, is_installed, replace_attribute
from supertester.isolation.leaks import pools
from supertester.isolation.leaks.leak import Leak, is_part_of, plainly

__all__ = ["find", "watch"]

_PROCESS_POOLS = "concurrent.futures.process"
_PROCESS_POOL_FILE = str(Path("concurrent", "futures", "process.py"))
_HELPERS = ("asyncio.unix_events", "multiprocessing.pool")
"""Threads of these are there for child processes and pools, and end with them."""
_POLLER = ("grpc._cython.cygrpc", "_poll_wrapper")
"""What the one thread runs that polls for all of ``grpc.aio``, as long as anything refers to a channel."""


def watch() -> None:
    """Note from now on which tests make pools of processes, once there are such; other executors are always noted."""
    if _PROCESS_POOLS in sys.modules:
        install_once(_install)


def _install() -> Undo:
    pool = sys.modules[_PROCESS_POOLS].ProcessPoolExecutor
    return replace_attribute(pool, "__init__", stamping(pool.__init__))


def find(context: IsolationContext, loop: Any) -> list[Leak]:
    """Return the threads of the test that have not ended, each executor once for all of its threads."""
    running = sorted(context.births.threads, key=lambda each: each.ident or 0)
    # Before anything here refers to an executor: one that is found then, and whose workers rest, is held by others.
    at_work = {thread for thread in running if _is_at_work(thread)}
    pooled = pools.workers(context)
    executors: dict[Any, list[Thread]] = {}
    leaks: list[Leak] = []
    for thread in running:
        executor = _executor_of(thread)
        if executor is not None:
            if not is_part_of(loop, executor) and _is_made_by(context, executor, thread):
                executors.setdefault(executor, []).append(thread)
        elif not _is_helper(thread) and not any(thread is worker for worker in pooled):
            leaks.append(_thread_leak(thread))
    return [
        *(_executor_leak(executor, threads, at_work.isdisjoint(threads)) for executor, threads in executors.items()),
        *leaks,
    ]


def _executor_of(thread: Thread) -> Any:
    """Return the executor that *thread* works for, or ``None`` if there is none, or none any more."""
    reference: Any = getattr(thread, "executor_reference", None)  # The thread that manages a pool of processes.
    if reference is None:
        arguments = getattr(thread, "_args", ())  # Deleted when `Thread.run` ends, as is the target.
        if _loop_of_worker(thread) is not None and arguments:
            reference = arguments[0]
    return reference() if isinstance(reference, weakref.ref) else None


def _is_made_by(context: IsolationContext, executor: Any, thread: Thread) -> bool:
    stamp = getattr(executor, "_supertester", None)
    if stamp is None:
        # Made outside of tests; or a pool of processes, of the test that imported those.
        return hasattr(thread, "executor_reference") and not is_installed(_install)
    return stamp[0] is context


def _is_helper(thread: Thread) -> bool:
    target = getattr(thread, "_target", None)
    name = getattr(target, "__module__", None), getattr(target, "__name__", "")
    if name == _POLLER or (name[0] in _HELPERS and name[1] != "worker"):
        return True
    origin = origin_of(thread)
    return origin is not None and any(name.endswith(_PROCESS_POOL_FILE) for name, _ in origin.calls())


def _executor_leak(executor: Any, threads: list[Thread], is_at_rest: bool) -> Leak:  # noqa: FBT001
    origin = origin_of(executor) or origin_of(threads[0])
    kind = type(executor).__name__
    counted = f" with {len(threads)} threads" if len(threads) > 1 else ""
    what = f"{kind}{counted}{plainly(origin, 'created')}"
    is_shut_down = bool(getattr(executor, "_shutdown", False) or getattr(executor, "_shutdown_thread", False))

    def message() -> str:
        if not is_shut_down:
            return f"{what} was left open; shut it down, or use it in a with statement"
        busy = [f"thread {thread.name!r}{_position(thread)}" for thread in threads if thread.is_alive()]
        return f"{what} was shut down, but what it does has not ended: {'; '.join(busy) or 'it was late'}"

    return Leak(
        kind="threads",
        thing=executor,
        names=(kind, *(thread.name for thread in threads)),
        message=message,
        origin=origin,
        end=lambda: _shut_down(executor, threads),
        takes_time=True,
        has_ended=lambda: not any(thread.is_alive() for thread in threads),
        is_ending=is_shut_down or not is_at_rest,
    )


def _is_at_work(thread: Thread) -> bool:
    """Say whether a worker of a pool of threads is about something, and so may be all that still holds the pool.

    The pool of a server of grpc is: nobody shuts it down, and it goes when the last call has been seen to its end.
    """
    frame, worker = sys._current_frames().get(thread.ident or 0), _loop_of_worker(thread)
    if frame is None or worker is None:
        return False
    rest = _line_of_rest(worker.__code__)
    return rest is not None and (frame.f_code is not worker.__code__ or frame.f_lineno != rest)


def _loop_of_worker(thread: Thread) -> Any:
    """Return the function that a worker of a pool of threads runs, and ``None`` for other threads and after its end."""
    target = getattr(thread, "_target", None)
    return target if getattr(target, "__module__", None) == "concurrent.futures.thread" else None


@cache
def _line_of_rest(worker: CodeType) -> int | None:
    """Return the line at which a worker waits for work, and holds nothing; ``None`` if there is no such."""
    lines = (each.positions and each.positions.lineno for each in dis.get_instructions(worker) if each.argval == "get")
    return next(lines, None)


def _shut_down(executor: Any, threads: list[Thread]) -> None:
    processes = [process for thread in threads for process in list((getattr(thread, "processes", None) or {}).values())]
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _thread_leak(thread: Thread) -> Leak:
    origin = origin_of(thread)
    daemon = "daemon thread" if thread.daemon else "thread"
    return Leak(
        kind="threads",
        thing=thread,
        names=(thread.name,),
        message=lambda: (
            f"{daemon} {thread.name!r}{plainly(origin, 'started')} was left running{_position(thread)}; "
            "let it end and join it"
        ),
        origin=origin,
        end=thread.cancel if isinstance(thread, Timer) else lambda: None,
        has_ended=lambda: not thread.is_alive(),
    )


def _position(thread: Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return ""
    places = [(each.f_code.co_filename, number, each.f_code.co_name) for each, number in traceback.walk_stack(frame)]
    theirs = (place for place in places if not (is_standard(place[0]) or is_foreign(place[0])))
    return f", now at {show_line(*next(theirs, places[0]))}"
