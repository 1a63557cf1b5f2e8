"""How far a load has come, for those who wait: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final, TextIO

from supertester.performance.load.recorder import Recorder

__all__ = ["Progress"]

_LINES: Final = 10


class Progress:
    """Shows how far a load has come.

    Args:
        recorder: Where operations are noted.
        seconds: How long it takes.
        stream: Where to show it; by default standard error.
    """

    def __init__(self, recorder: Recorder, seconds: float, stream: TextIO | None = None) -> None:
        self._recorder = recorder
        self._seconds = seconds
        self._stream = sys.stderr if stream is None else stream
        self._shown = 0
        self._bar, self._task = _rich_bar(self._stream, seconds)

    def update(self, elapsed: float) -> None:
        """Show the state after so many seconds."""
        done = min(elapsed, self._seconds)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=self._state())
        elif int(done / self._seconds * _LINES) > self._shown:
            self._shown = int(done / self._seconds * _LINES)
            self._stream.write(f"load: {done:.0f} of {self._seconds:g} s, {self._state()}\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()

    def _state(self) -> str:
        totals = self._recorder.totals()
        failed = totals.operations - totals.succeeded
        late = totals.latency.value_at(99)
        slow = "" if late is None else f", p99 {late / 1e6:.3g} ms"
        return f"{totals.operations} operations, {failed} failed{slow}"


def _rich_bar(stream: TextIO, seconds: float) -> tuple[Any, Any]:
    """Return a started bar and its task, or nothing where there is no terminal, or no rich."""
    if not stream.isatty():
        return None, None
    try:
        console, progress = import_module("rich.console"), import_module("rich.progress")
    except ImportError:
        return None, None
    columns = (progress.BarColumn(), progress.TimeRemainingColumn(), progress.TextColumn("{task.description}"))
    bar = progress.Progress(*columns, console=console.Console(file=stream), transient=True)
    bar.start()
    return bar, bar.add_task("", total=seconds)
