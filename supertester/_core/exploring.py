"""Which schedule the calling code belongs to."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from collections import Counter
from threading import get_ident
from typing import Any, Final

__all__ = ["controlled_threads", "current", "served_by", "served_by_nobody"]

_serving: dict[int, Any] = {}
"""For threads in which no loop runs at the moment: the loop whose schedule their code belongs to."""
_NOBODY: Final = object()
controlled_threads: Final[Counter[int]] = Counter()
"""How often each thread has opened the control of entropy."""


def current() -> Any:
    """Return the `ExploringLoop` whose schedule the calling code belongs to, or ``None``.

    None does in a thread that has not opened the control of entropy, whoever has in others.
    """
    thread = get_ident()
    if thread not in controlled_threads:
        return None
    loop = _get_running_loop()
    if _serving and (loop is None or _serving.get(thread) is _NOBODY):
        served = _serving.get(thread)
        return None if served is _NOBODY else served
    return loop if getattr(loop, "explores", False) else None


class served_by:  # noqa: N801 used as a function in `with`
    """Let code of this thread that runs while no loop does belong to the schedule of *loop*: fixtures, jobs."""

    __slots__ = ("_before", "_loop", "_thread")

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        self._thread = thread = get_ident()
        self._before = _serving.get(thread)
        _serving[thread] = self._loop

    def __exit__(self, *_error: object) -> None:
        if self._before is None:
            del _serving[self._thread]
        else:
            _serving[self._thread] = self._before


def served_by_nobody() -> served_by:
    """Let code be no part of a schedule: what the library does once in a process, whichever program comes first."""
    return served_by(_NOBODY)
