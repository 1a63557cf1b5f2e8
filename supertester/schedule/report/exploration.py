"""`ExplorationReport`: what came of exploring the schedules of a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final

from supertester.schedule.coverage import Coverage
from supertester.schedule.report.swimlane import Row

__all__ = ["ExplorationReport", "FailingSchedule"]


_MESSAGE: Final = 20
"""Lines of an error that are shown."""


@dataclass(frozen=True, kw_only=True)
class FailingSchedule:
    """The schedule with the fewest forced switches that fails, and why.

    A *forced switch* is a choice that differs from letting a task run until it waits.

    Attributes:
        error: What the program raised in it.
        kind: ``"exception"``, ``"deadlock"``, ``"livelock"``, ``"invariant"`` or ``"leak"``.
        found_by: The strategy that came upon it, or ``"saved"``, or ``"replay"``.
        found_at: In which schedule, from 1.
        token: What replays it; empty if it was neither shrunk nor explained.
        switches: How many forced switches it has.
        switches_found: How many it had when it was found.
        replays: How many schedules shrinking it took.
        shrink_seconds: How many seconds.
        is_least: Whether all schedules with fewer forced switches were tried.
        feasible: ``"fifo"``, ``"io"`` or ``"await"``: what has to be different from asyncio's own order for it.
        feasible_token: What replays a schedule that is feasible at that level, if it is another one.
        feasibility: The same in words.
        needs: What each forced switch asks for, a sentence each.
        conflicts: The accesses whose order made the difference, a sentence each.
        waits: Who waits for whom, a sentence each, if all wait for ever.
        rows: The lines of code that ran, in order; who ran them is in ``lanes``.
        lanes: The names of those who ran.
        swimlane: The same as lines of text.
        command: What shows it again.
        saved: The file that has it.
    """

    error: BaseException
    kind: str
    found_by: str
    found_at: int
    token: str
    switches: int
    switches_found: int
    replays: int = 0
    shrink_seconds: float = 0.0
    is_least: bool = False
    feasible: str = "await"
    feasible_token: str | None = None
    feasibility: str = ""
    needs: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    waits: Sequence[str] = ()
    rows: Sequence[Row] = ()
    lanes: Mapping[Any, str] = field(default_factory=dict)
    swimlane: Sequence[str] = ()
    command: str = ""
    saved: Path | None = None

    @property
    def sentence(self) -> str:
        """The error in one line."""
        text = str(self.error).strip().partition("\n")[0] or _raising_line(self.error)
        return f"{type(self.error).__name__}: {text}" if text else type(self.error).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "error": {"type": type(self.error).__qualname__, "message": str(self.error)},
            "kind": self.kind,
            "found_by": self.found_by,
            "found_at": self.found_at,
            "token": self.token,
            "switches": self.switches,
            "switches_found": self.switches_found,
            "replays": self.replays,
            "is_least": self.is_least,
            "feasible": self.feasible,
            "feasible_token": self.feasible_token,
            "feasibility": self.feasibility,
            "needs": list(self.needs),
            "conflicts": list(self.conflicts),
            "waits": list(self.waits),
            "rows": [
                {"time": row.time, "lane": self.lanes[row.lane], "line": row.shown(self.lanes), "forced": row.forced}
                for row in self.rows
            ],
            "command": self.command,
            "saved": None if self.saved is None else str(self.saved),
        }


@dataclass(frozen=True, kw_only=True)
class ExplorationReport:
    """What came of exploring the schedules of a program; ``str()`` of it is for readers.

    Attributes:
        name: What was explored.
        schedules: How many schedules were run, without those that confirmed, shrunk and explained a failure.
        limit: How many there should have been at most.
        seconds: How long all of it took.
        strategy: What chose the schedules.
        seed: What its random choices came from.
        level: What was allowed to differ from asyncio's own order.
        exhausted: Whether there are no other schedules than those that were run, or none that can differ from them.
        untracked: What was touched without being noted; if there is any, others may differ all the same.
        out_of_time: Whether there was no time for as many as there should have been.
        complete: Whether that was asked for.
        failing: The schedule that fails, or ``None``.
        coverage: How many of the schedules differed, and how likely another one would have; ``None`` for a replay.
        divergence: How a schedule that should have been the same went another way: the program is not deterministic.
    """

    name: str
    schedules: int
    limit: int
    seconds: float
    strategy: str
    seed: int
    level: str = "await"
    exhausted: bool = False
    untracked: Sequence[str] = ()
    out_of_time: bool = False
    complete: bool = False
    failing: FailingSchedule | None = None
    divergence: str | None = None
    coverage: Coverage | None = None

    @property
    def ok(self) -> bool:
        """Whether no schedule failed, and, where that was asked for, none was left out."""
        return self.error is None

    @property
    def error(self) -> BaseException | None:
        """What is wrong, as an exception that has not been raised; ``None`` if nothing is."""
        if self.failing is not None:
            return self.failing.error
        if self.divergence is not None:
            return AssertionError(self.divergence)
        if self.complete and self.exhausted and self.untracked:
            return AssertionError(
                f"{self.schedules} schedules of {self.name} passed, and others may differ, because it touches "
                f"what is not tracked: {', '.join(self.untracked)}; use supertester.schedule.track() or Shared for it"
            )
        if self.complete and not self.exhausted:
            return AssertionError(
                f"not all schedules of {self.name} were run: {self.schedules} passed, and there are more; "
                f"{self._more()}, make the test smaller, or leave complete=True out"
            )
        return None

    def _more(self) -> str:
        """Return what would let more schedules be run."""
        if self.schedules >= self.limit:
            return "allow more with schedules="
        if self.strategy.startswith("bounded:"):
            return f"use strategy='bounded' without a number, as {self.strategy!r} runs none with more preemptions"
        return "allow more time with seconds="

    def __str__(self) -> str:
        return "\n".join(self._lines(with_message=True))

    @property
    def note(self) -> str:
        """The same text, to stand below the message of the error."""
        return "\n".join(self._lines(with_message=False))

    def _lines(self, *, with_message: bool) -> Iterator[str]:
        if self.failing is not None:
            yield f"this schedule of {self.name} fails: {self.failing.sentence}"
            if with_message:
                yield from _rest_of_message(self.failing)
            yield from _failure_lines(self, self.failing)
        elif (error := self.error) is not None:
            yield str(error)
        else:
            yield self._passed()

    def _passed(self) -> str:
        count = f"{self.schedules} schedule{'s' if self.schedules != 1 else ''}"
        all_of_them = ", and no other can differ" if self.exhausted and not self.untracked else ""
        how = f"by {self.strategy}, seed {self.seed}, {self.seconds:.2f} s"
        lines = [f"{self.name} passed under {count}{all_of_them} ({how})"]
        if self.coverage is not None and not all_of_them:
            lines.append(f"  coverage  {self.coverage}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "name": self.name,
            "ok": self.ok,
            "schedules": self.schedules,
            "limit": self.limit,
            "seconds": self.seconds,
            "strategy": self.strategy,
            "seed": self.seed,
            "level": self.level,
            "exhausted": self.exhausted,
            "untracked": list(self.untracked),
            "coverage": None if self.coverage is None else self.coverage.to_dict(),
            "complete": self.complete,
            "failing": None if self.failing is None else self.failing.to_dict(),
            "divergence": self.divergence,
        }


def _raising_line(error: BaseException) -> str:
    """Return the line that raised *error*, which says something where the error itself does not."""
    frames = extract_tb(error.__traceback__)
    return (frames[-1].line or "") if frames else ""


def _rest_of_message(failing: FailingSchedule) -> Iterator[str]:
    """Yield what the error says beyond its first line; who waits for whom is told more precisely elsewhere."""
    if failing.kind != "deadlock":
        lines = str(failing.error).strip().splitlines()[1:]
        yield from (f"    {line}" for line in lines[:_MESSAGE])
        if len(lines) > _MESSAGE:
            yield f"    ... {len(lines) - _MESSAGE} more lines"


def _failure_lines(report: ExplorationReport, failing: FailingSchedule) -> Iterator[str]:
    yield f"  found     {_how_found(report, failing)}"
    if not failing.token:
        yield "  not shrunk and not explained, because Hypothesis was still looking for a smaller example"
        return
    if failing.found_by != "replay":
        yield f"  shrunk    {_how_shrunk(failing)}"
    if failing.feasibility:
        yield f"  feasible  {failing.feasibility}"
    yield from _labelled("switch", failing.needs)
    yield from _labelled("conflict", failing.conflicts)
    if failing.waits:
        yield from _block(failing.waits[0], failing.waits[1:])
    if failing.swimlane:
        yield from _block(f"what happens, by time in seconds{_legend(failing)}:", failing.swimlane)
    if failing.feasible_token is not None and failing.switches:
        yield f"  a schedule that asyncio itself can produce: {failing.feasible_token}"
    if failing.command:
        yield f"  replay with: {failing.command}"
    if failing.saved is not None:
        yield f"  saved in {failing.saved}; the next run tries it first"


def _labelled(label: str, sentences: Sequence[str]) -> Iterator[str]:
    for number, sentence in enumerate(sentences):
        yield f"  {'' if number else label:<8}  {sentence}"


def _legend(failing: FailingSchedule) -> str:
    return " (! marks a forced switch: somebody else was to go on)" if failing.switches else ""


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"  {title}"
    yield from (f"  {line}" for line in lines)


def _how_found(report: ExplorationReport, failing: FailingSchedule) -> str:
    if failing.found_by == "replay":
        return "replayed from a token"
    if failing.found_by == "saved":
        return "in an earlier run, which had saved it"
    return f"by {failing.found_by}, schedule {failing.found_at} of {report.limit}, seed {report.seed}"


def _how_shrunk(failing: FailingSchedule) -> str:
    plural = "" if failing.switches == 1 else "es"
    least = "; none with fewer fails" if failing.is_least and failing.switches else ""
    return (
        f"from {failing.switches_found} to {failing.switches} forced switch{plural} in {failing.replays} replays, "
        f"{failing.shrink_seconds:.2f} s{least}"
    )
