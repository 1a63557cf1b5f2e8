"""``--threads N``: many tests at once in one process, which is what isolated tests are for.

Each thread takes units and runs their tests, as a worker does that has one. What tests write through ``sys.stdout`` and
``sys.stderr`` is told apart by thread; what goes past those, or comes from further threads, belongs to no test.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from supertester.isolation.port_registry import import_before_threads
from supertester.runner.capture import MOST
from supertester.runner.ladder import climb, on_raise
from supertester.runner.worker import Worker

__all__ = ["run_threads"]

_mine: contextvars.ContextVar[_Written | None] = contextvars.ContextVar("supertester_written", default=None)


class _Written:
    """What one thread wrote: a `Capture` without a file."""

    def __init__(self) -> None:
        self._text = ""
        self._left_out = 0

    def write(self, text: str) -> None:
        """Add *text*; of too much, the middle is left out."""
        self._text += text
        if len(self._text) > 2 * MOST:
            half = MOST // 2
            self._left_out += len(self._text) - MOST
            self._text = self._text[:half] + self._text[-half:]

    def take(self) -> str:
        """Return what was written since the last time."""
        text, left_out, self._text, self._left_out = self._text, self._left_out, "", 0
        if not left_out:
            return text
        half = MOST // 2
        return f"{text[:half]}\n... {left_out} characters left out ...\n{text[half:]}"


class _ByThread:
    """Stands for a stream, and gives what a test writes to that test."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text* where the present test's output goes."""
        written = _mine.get()
        if written is None:
            self._stream.write(text)
        else:
            written.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of *lines*."""
        for each in lines:
            self.write(each)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run_threads(make: Callable[..., Worker], number: int, dumps: int) -> None:
    """Run units in *number* threads until there are no more.

    Args:
        make: Makes a worker for one thread, given ``capture`` and ``slot``.
        number: How many threads.
        dumps: Where the stacks go of tests that run out of time.
    """
    written = [_Written() for _ in range(number)]
    workers = [make(capture=each, slot=slot) for slot, each in enumerate(written)]
    done = threading.Semaphore(0)
    failures: list[BaseException] = []
    import_before_threads()

    def run(worker: Worker, own: _Written) -> None:
        _mine.set(own)
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)
        finally:
            done.release()

    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stack.callback(setattr, sys, name, getattr(sys, name))
            setattr(sys, name, _ByThread(getattr(sys, name)))
        stack.callback(on_raise(lambda: climb([worker.ladder for worker in workers]), dumps))
        for slot, (worker, own) in enumerate(zip(workers, written, strict=True)):
            threading.Thread(target=run, args=(worker, own), name=f"tests-{slot}", daemon=True).start()
        for _ in workers:
            done.acquire()  # Signals are handled here meanwhile, which `Thread.join` does not promise.
    if failures:
        raise failures[0]
