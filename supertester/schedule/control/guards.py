"""Threads, processes and sockets that an explored program would start past its loop, refused where it does."""

from __future__ import annotations

import functools
import multiprocessing.process
import socket
import subprocess
import threading
from asyncio.events import _get_running_loop
from typing import Any, Final

from supertester._core.replacing import Undo, replace_attribute
from supertester.schedule.control.serving import current
from supertester.schedule.loop.escapes import IO, PROCESSES, THREADS, refusal

__all__ = ["install"]

_GUARDED: Final[tuple[tuple[Any, str, str, str], ...]] = (
    (threading.Thread, "start", "threading.Thread.start()", THREADS),
    (subprocess.Popen, "__init__", "subprocess.Popen()", PROCESSES),
    (multiprocessing.process.BaseProcess, "start", "multiprocessing.Process.start()", PROCESSES),
    (socket.socket, "connect", "socket.connect()", IO),
    (socket, "getaddrinfo", "socket.getaddrinfo()", IO),
)


def install() -> list[Undo]:
    """Refuse what no schedule controls, in steps and jobs of explored programs; not in their synchronous fixtures."""
    return [
        replace_attribute(holder, name, _guard(getattr(holder, name), what, why))
        for holder, name, what, why in _GUARDED
    ]


def _guard(original: Any, what: str, remedy: str) -> Any:
    @functools.wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        loop = current()
        if loop is not None and (loop.is_in_job or _get_running_loop() is loop):
            raise refusal(what, remedy)
        return original(*args, **kwargs)

    return guarded
