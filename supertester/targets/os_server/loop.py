"""The event loop of a server in a process of its own: asyncio's, with a short way for the server's messages.

A turn of asyncio's loop costs more than a message. So what comes by the pipe is handled where the loop would wait, as
long as nothing else is to be done; when anything is scheduled, or another descriptor is ready, the loop goes on as
ever.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable
from typing import Any

__all__ = ["ServerLoop"]


class _ServingSelector(selectors.EpollSelector):
    """Waits for what the loop waits for, and for messages, which it hands over itself."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = False
        self._both = select.poll()
        self._both.register(self.fileno(), select.POLLIN)
        self._pipe = -1
        self._take: Callable[[], object] = lambda: None
        self._rest: Callable[[], object] = lambda: None

    def serve(self, pipe: int, take: Callable[[], object], rest: Callable[[], object]) -> None:
        self._pipe, self._take, self._rest = pipe, take, rest
        self._both.register(pipe, select.POLLIN)

    def cease(self) -> None:
        if self._pipe >= 0:
            self._both.unregister(self._pipe)
            self._pipe = -1
            self._take = self._rest = lambda: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.woken = False
        patience = None if timeout is None else max(timeout * 1000, 0)
        poll = self._both.poll
        while True:
            if patience != 0:
                self._rest()
            ready = poll(patience)
            if len(ready) == 1 and ready[0][0] == self._pipe:
                self._take()
            elif ready:
                if any(descriptor == self._pipe for descriptor, _ in ready):
                    self._take()
                return super().select(0)
            if self.woken or patience is not None:
                return []


class ServerLoop(asyncio.SelectorEventLoop):
    """An event loop whose time between two turns belongs to a server."""

    def __init__(self) -> None:
        self._serving = _ServingSelector()
        super().__init__(self._serving)

    def serve(self, pipe: int, take: Callable[[], object], rest: Callable[[], object]) -> None:
        """Call *take* when something has come by the *pipe*, and *rest* before there is nothing to do."""
        self._serving.serve(pipe, take, rest)

    def cease(self) -> None:
        """Call neither any more."""
        self._serving.cease()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        self._serving.woken = True
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        self._serving.woken = True
        return super().call_at(when, callback, *args, context=context)
