"""What tests of loops with virtual time share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from supertester.schedule import VirtualLoop

__all__ = ["DAY", "HOUR", "MOMENT", "Gate", "here", "run"]

T = TypeVar("T")

HOUR = 3600
DAY = 24 * HOUR
MOMENT = 0.05
"""Real seconds; longer than the virtual timeouts that must not strike in it."""


def run(main: Coroutine[Any, Any, T], *, debug: bool = False) -> T:
    """Run *main* in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop, debug=debug) as runner:
        return runner.run(main)


def here() -> VirtualLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


class Gate:
    """Something outside that happens in a `MOMENT` of real time, without a sleep: other threads can wait for it."""

    def __init__(self, loop: VirtualLoop, then: Callable[[], object] | None = None) -> None:
        self._event = threading.Event()
        self._then = then
        loop.patience = loop.long_patience = 60  # It will happen, however late the machine is.
        loop.wall.call_later(MOMENT, self._open)

    def _open(self) -> None:
        self._event.set()
        if self._then is not None:
            self._then()

    def wait(self) -> bool:
        return self._event.wait(60)
