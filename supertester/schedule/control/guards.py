"""Threads, processes, sockets, signals and blocking waits past the loop of an explored program, refused at once."""

from __future__ import annotations

import functools
import multiprocessing.process
import os
import signal
import socket
import subprocess
import threading
from asyncio.events import _get_running_loop
from typing import Any, Final

from supertester._core.exploring import current
from supertester._core.origin import transparent
from supertester._core.replacing import Undo, replace_attribute
from supertester.schedule.loop.escapes import IO, PROCESSES, SIGNALS, THREADS, refusal

__all__ = ["install"]

_BLOCKING: Final = (
    "no other task or job goes on while this one does not, so nobody can end the wait: wait with asyncio, as for "
    "asyncio.Event, in a task"
)
_GUARDED: Final[tuple[tuple[Any, str, str, str], ...]] = (
    (threading.Thread, "start", "threading.Thread.start()", THREADS),
    (subprocess.Popen, "__init__", "subprocess.Popen()", PROCESSES),
    (multiprocessing.process.BaseProcess, "start", "multiprocessing.Process.start()", PROCESSES),
    (socket.socket, "connect", "socket.connect()", IO),
    (socket, "getaddrinfo", "socket.getaddrinfo()", IO),
    (signal, "signal", "signal.signal()", SIGNALS),
    *((os, name, f"os.{name}()", PROCESSES) for name in ("fork", "posix_spawn", "posix_spawnp", "system")),
)


def install() -> list[Undo]:
    """Refuse what no schedule controls, in steps and jobs of explored programs; not in their synchronous fixtures."""
    return [
        *(
            replace_attribute(each, name, _guard(getattr(each, name), what, why))
            for each, name, what, why in _GUARDED
            if hasattr(each, name)  # Not every system forks.
        ),
        replace_attribute(threading.Condition, "wait", _guard_wait(threading.Condition.wait)),
    ]


def _guard(original: Any, what: str, remedy: str) -> Any:
    @functools.wraps(original)
    @transparent
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _is_step():
            raise refusal(what, remedy)
        return original(*args, **kwargs)

    return guarded


def _guard_wait(original: Any) -> Any:
    @functools.wraps(original)
    @transparent
    def wait(self: threading.Condition, timeout: float | None = None) -> Any:
        # With a timeout it would end, in real time, and always in vain.
        if (timeout is None or timeout > 0) and _is_step():
            raise refusal("threading.Condition.wait()", _BLOCKING)
        return original(self, timeout)

    return wait


def _is_step() -> bool:
    loop = current()
    return loop is not None and (loop.is_in_job or _get_running_loop() is loop)
