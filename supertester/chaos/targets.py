"""Whom chaos can hit."""

from __future__ import annotations

from typing import Any

from supertester.errors import Unsupported
from supertester.otp.process import Process
from supertester.otp.refs import Reference, existing

__all__ = ["check_embedded", "server_of"]

_FOREIGN = frozenset({"_asyncio", "asyncio", "concurrent", "multiprocessing", "subprocess", "threading"})
"""Packages whose tasks, threads, processes and pools are sometimes taken for a target."""


def check_embedded(target: Any, what: str) -> None:
    """Refuse a task, a thread, a process of the operating system, or a pool of these.

    Raises:
        Unsupported: It is one; the message says why that cannot be.
    """
    for cls in type(target).__mro__:
        if cls.__module__.partition(".")[0] in _FOREIGN:
            raise Unsupported(
                f"{what}: {target!r} is a {cls.__module__}.{cls.__qualname__} and no process of supertester.otp, so "
                "nobody stands between its messages; give a server or a supervisor"
            )


def server_of(target: Reference, what: str) -> Process:
    """Return the live process of a server.

    Raises:
        UsageError: It is dead or unknown.
        Unsupported: It is no server.
    """
    check_embedded(target, what)
    process = existing(target, what)
    if process.server is None:
        raise Unsupported(f"{what}: {process!r} has no server whose handlers could be held up or whose state changed")
    return process
