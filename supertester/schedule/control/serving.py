"""Which schedule the calling code belongs to."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from threading import get_ident
from typing import Any

__all__ = ["current", "served_by"]

_serving: dict[int, Any] = {}
"""For threads in which no loop runs at the moment: the loop whose schedule their code belongs to."""


def current() -> Any:
    """Return the `ExploringLoop` whose schedule the calling code belongs to, or ``None``."""
    loop = _get_running_loop()
    if loop is None:
        return _serving.get(get_ident()) if _serving else None
    return loop if getattr(loop, "is_exploring", False) else None


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
