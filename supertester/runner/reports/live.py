"""A display that changes while tests run: how far they are, which have failed, and what is running now."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from supertester._core.lazy import lazy_import
from supertester.runner.outcomes import FAILING, Observer, Running, RunReport, TestOutcome
from supertester.runner.writing import encodable

if TYPE_CHECKING:
    from supertester.runner.declared import DeclaredTest

__all__ = ["LiveReport", "can_be_live"]

_BAD: Final = FAILING | {"contaminated", "flaky", "lost"}
_EVERY: Final = 0.1
"""Seconds between two pictures."""
_RUNNING: Final = 8
"""Tests that run which are shown."""
_LONG: Final = 1.0
"""Seconds after which a test that runs is worth a line."""
_STYLES: Final[Mapping[str, str]] = {"passed": "green", "skipped": "dim", "flaky": "yellow", "contaminated": "yellow"}


def _rich(name: str) -> Any:
    return lazy_import(f"rich.{name}", purpose="the live display", extra="run")


def can_be_live(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether *stream* is a terminal that can be drawn on, for somebody to look at, and ``rich`` is there to do it.

    Where it is not, lines that stay are what is wanted: in a file, in a pipe, in continuous integration.
    """
    if not stream.isatty() or environ.get("TERM") == "dumb" or environ.get("CI") or "NO_COLOR" in environ:
        return False
    from importlib.util import find_spec

    return find_spec("rich") is not None


class LiveReport:
    """Shows a run on a terminal while it goes on, and leaves it to another observer to tell of its end.

    Args:
        end: Who is told of the end, when the display has gone.
        stream: The terminal; standard error if nothing is said.
        buffer: Show nobody what tests write.
        console: The ``rich.console.Console`` to draw on, instead of one for *stream*.
        now: Tells the time, in seconds.
    """

    def __init__(
        self,
        end: Observer,
        *,
        stream: TextIO | None = None,
        buffer: bool = False,
        console: Any = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or _rich("console").Console(file=stream or sys.stderr)
        self._end = end
        self._buffer = buffer
        self._now = now
        self._live: Any = None
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._begun = self._drawn = 0.0
        self._running: Sequence[Running] = ()

    # What happens ------------------------------------------------------------------------------------------------

    def began(self, tests: Sequence[DeclaredTest], *, workers: int, seed: int) -> None:
        """Show the display, or that another round of tests has begun."""
        self._total += len(tests)
        self._end.began(tests, workers=workers, seed=seed)
        if self._live is None:
            self._begun = self._now()
            # It draws when something happens, and so needs no thread of its own.
            self._live = _rich("live").Live(
                console=self._console, auto_refresh=False, transient=True, get_renderable=self._picture
            )
            self._live.start()

    def started(self, test_id: str, worker: int, at: float) -> None:
        """Do nothing: what runs for long is told by `running`."""

    def finished(self, outcome: TestOutcome) -> None:
        """Count the outcome; one that is bad gets a line that stays."""
        self._counts[outcome.outcome] += 1
        if outcome.output and not self._buffer:
            self._say(outcome.output.rstrip("\n"))
        if outcome.outcome in _BAD:
            self._say(f"{outcome.outcome.replace('_', ' ').upper()}: {outcome.test_id}", style="bold red")
            if outcome.message:
                self._say(f"  {outcome.message}")
        self._draw()

    def running(self, tests: Sequence[Running]) -> None:
        """Show the tests that have been running for long."""
        self._running = [each for each in tests if each.seconds >= _LONG][:_RUNNING]
        self._draw()

    def wrote(self, worker: int, text: str) -> None:
        """Show what tests wrote, above the display."""
        self._say(text.rstrip("\n"))

    def noted(self, note: str) -> None:
        """Show what happened to the run itself, above the display."""
        self._say(note)

    def ended(self, report: RunReport) -> None:
        """Take the display away, and let the other observer tell the end."""
        self._close()
        self._end.ended(report)

    # The display -------------------------------------------------------------------------------------------------

    def _say(self, line: str, *, style: str = "") -> None:
        # The style is the text's own: one of the call would be that of the display below it, too.
        text = encodable(line, self._console.file)
        self._console.print(_rich("text").Text(text, style=style), soft_wrap=True)

    def _draw(self) -> None:
        if self._live is not None and self._now() - self._drawn >= _EVERY:
            self._drawn = self._now()
            self._live.refresh()

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _picture(self) -> Any:
        text, file = _rich("text").Text, self._console.file
        done = sum(self._counts.values())
        line = _rich("table").Table.grid(padding=(0, 1))
        bar = _rich("progress_bar").ProgressBar(total=max(self._total, 1), completed=min(done, self._total), width=30)
        line.add_row(bar, text(f"{done}/{self._total}"), self._outcomes(), text(self._times(done), style="dim"))
        rows = [
            text(encodable(f"  {each.seconds:4.0f} s  {each.test_id}", file), overflow="ellipsis", no_wrap=True)
            for each in self._running
        ]
        return _rich("console").Group(line, *rows)

    def _outcomes(self) -> Any:
        text = _rich("text").Text()
        for name, count in self._counts.items():
            text.append(f"{count} {name.replace('_', ' ')} ", style=_STYLES.get(name, "red" if name in _BAD else "dim"))
        return text

    def _times(self, done: int) -> str:
        took = self._now() - self._begun
        left = took / done * (self._total - done) if done else 0.0
        return f"{took:.0f} s, about {left:.0f} s left" if left >= 1 else f"{took:.0f} s"
