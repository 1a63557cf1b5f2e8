"""Waiting until processes that were sent SIGSTOP stand still.

One thread of a process takes the signal. Until that thread gets a processor, which may take long on a busy machine, the
others go on: they answer, and start further processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import psutil

__all__ = ["come_to_rest", "is_at_rest"]

_T = TypeVar("_T")

_LOOK: Final = 0.0002
"""Seconds between two looks: only a parent is told."""


def come_to_rest(moving: Callable[[], list[_T]], within: float) -> list[_T]:
    """Block until *moving* returns nobody any more, for so many seconds at most; return whom it returned last."""
    deadline = time.monotonic() + within
    while (left := moving()) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return left


def is_at_rest(process: psutil.Process) -> bool:
    """Say whether a process is stopped, or has ended.

    Raises:
        psutil.Error: It is gone, or is somebody else's.
    """
    import psutil

    return process.status() in (
        psutil.STATUS_STOPPED,
        psutil.STATUS_TRACING_STOP,
        psutil.STATUS_ZOMBIE,
        psutil.STATUS_DEAD,
    )
