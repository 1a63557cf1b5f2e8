"""The event loop of a server in a process of its own: asyncio's, with a short way for the server's messages.

A turn of asyncio's loop costs more than a message. So what comes by the pipe is handled where the loop would wait, as
long as nothing else is to be done; when anything is scheduled, or another descriptor is ready, the loop goes on as
ever.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import signal
from collections.abc import Callable
from threading import get_ident
from typing import Any, Final

__all__ = ["ServerLoop"]

_WAKING: Final = signal.SIGURG
"""What interrupts a read: nobody has another use for it, and where nobody has any, nothing happens."""


class _ServingSelector(selectors.EpollSelector):
    """Waits for what the loop waits for, and for messages, which it hands over itself.

    To wait for one of several costs more than to read what is yet to come. So where there is nothing but the pipe to
    wait for, that is what it does; who has something to say by another way then interrupts the read, for which the pipe
    is made not to block.
    """

    loop: Any

    def __init__(self) -> None:
        super().__init__()
        self.woken = False
        self._both = select.poll()
        self._both.register(self.fileno(), select.POLLIN)
        self._pipe = -1
        self._read: Callable[[], Any] = lambda: None
        self._take: Callable[[Any], object] = lambda _: None
        self._rest: Callable[[], object] = lambda: None
        self._is_alone = False
        self._is_reading = False
        self._heeds_signals = False
        self._thread = get_ident()

    def serve(
        self, pipe: int, read: Callable[[], Any], take: Callable[[Any], object], rest: Callable[[], object]
    ) -> None:
        self._pipe, self._read, self._take, self._rest = pipe, read, take, rest
        self._both.register(pipe, select.POLLIN)
        if signal.getsignal(_WAKING) is signal.SIG_DFL:  # Which would be to ignore it.
            signal.signal(_WAKING, _nothing)
        self._look_around()

    def cease(self) -> None:
        if self._pipe >= 0:
            self._both.unregister(self._pipe)
            self._pipe = -1
            self._take = self._rest = _nothing
            self._is_alone = False

    def heed_signals(self) -> None:
        """Take note that signals come by a descriptor, to which no signal handler calls attention."""
        self._heeds_signals = True
        self._look_around()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._look_around()
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._look_around()
        return key

    def _look_around(self) -> None:
        # The one descriptor is that by which the loop wakes itself.
        self._is_alone = self._pipe >= 0 and len(self.get_map()) == 1 and not self._heeds_signals

    def wake(self) -> None:
        """Let it see what is to be done; called by other threads and signal handlers after they have said what."""
        if self._is_reading:
            os.set_blocking(self._pipe, False)
            if get_ident() != self._thread:
                signal.pthread_kill(self._thread, _WAKING)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.woken = False
        patience = None if timeout is None else max(timeout * 1000, 0)
        poll = self._both.poll
        while True:
            if patience != 0:
                self._rest()
            if self._is_alone and patience is None:
                message = self._awaited()
                if message is None:
                    return super().select(0)
                self._take(message)
            else:
                ready = poll(patience)
                if len(ready) == 1 and ready[0][0] == self._pipe:
                    self._take(self._read())
                elif ready:
                    if any(descriptor == self._pipe for descriptor, _ in ready):
                        self._take(self._read())
                    return super().select(0)
            if self.woken or patience is not None:
                return []

    def _awaited(self) -> Any:
        """Return what comes next; ``None`` if somebody else calls."""
        self._is_reading = True
        try:
            # Who calls adds to this first and then looks whether it is being read here; here it is the other way round.
            return None if self.loop._ready else self._read()
        except BlockingIOError:
            os.set_blocking(self._pipe, True)
            return None
        finally:
            self._is_reading = False


def _nothing(*_: object) -> None:
    """Do nothing."""


class ServerLoop(asyncio.SelectorEventLoop):
    """An event loop whose time between two turns belongs to a server."""

    def __init__(self) -> None:
        self._serving = _ServingSelector()
        self._serving.loop = self
        super().__init__(self._serving)

    def serve(
        self, pipe: int, read: Callable[[], Any], take: Callable[[Any], object], rest: Callable[[], object]
    ) -> None:
        """Call *read* when something has come by the *pipe*, *take* with it, and *rest* before there is nothing to do.

        *read* may be called before, too, and then waits.
        """
        self._serving.serve(pipe, read, take, rest)

    def cease(self) -> None:
        """Call none of them any more."""
        self._serving.cease()

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        self._serving.heed_signals()
        super().add_signal_handler(sig, callback, *args)

    def _write_to_self(self) -> None:
        super()._write_to_self()  # type: ignore[misc]
        self._serving.wake()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        self._serving.woken = True
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        self._serving.woken = True
        return super().call_at(when, callback, *args, context=context)
