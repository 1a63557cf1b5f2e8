"""Which schedule the calling code belongs to."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def served_by(loop: Any) -> Iterator[None]:
    """Let code of this thread that runs while no loop does belong to the schedule of *loop*: fixtures, jobs."""
    thread = get_ident()
    before = _serving.get(thread)
    _serving[thread] = loop
    try:
        yield
    finally:
        if before is None:
            del _serving[thread]
        else:
            _serving[thread] = before
