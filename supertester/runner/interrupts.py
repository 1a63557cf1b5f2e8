"""Ctrl-C while a run goes on: once is a request, twice an order."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Counts the interruptions of a run; its `reader` is readable when there is one.

    In another thread than the main one it hears of none: those belong to the program around it.
    """

    def __init__(self) -> None:
        self.asked = 0
        """How often the run was asked to end; a request to terminate counts for two."""
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Interrupts:
        self.reader, self._writer = os.pipe()
        self._undo.callback(os.close, self.reader)
        self._undo.callback(os.close, self._writer)
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        if threading.current_thread() is threading.main_thread():
            # Python calls the handlers between two of its steps. Who just then begins to wait, or whose signal comes in
            # another thread, would not hear of it.
            before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            self._undo.callback(signal.set_wakeup_fd, before)
            for name, weight in [("SIGINT", 1), ("SIGTERM", 2), ("SIGHUP", 2)]:
                if (number := getattr(signal, name, None)) is not None:
                    self._listen(number, weight)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def silence(self) -> None:
        """Read what made `reader` readable."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass

    def _listen(self, number: int, weight: int) -> None:
        before: Any = signal.getsignal(number)
        if before is signal.SIG_IGN or before is None:
            return  # `nohup` means it.

        def heard(*_: object) -> None:
            self.asked += weight
            with contextlib.suppress(BlockingIOError):
                os.write(self._writer, b"i")

        signal.signal(number, heard)
        self._undo.callback(signal.signal, number, before)
