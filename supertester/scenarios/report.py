"""What came of a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from supertester import linear
from supertester._core.evidence import shown
from supertester._core.naming import describe
from supertester._core.outcome import Outcome
from supertester._core.seeds import VARIABLE
from supertester.scenarios.operations import Operation, shown_operation

__all__ = ["ScenarioEvent", "ScenarioReport", "ThreadReport"]

_LINES = 40
"""Events that a failure shows."""


@dataclass(frozen=True, kw_only=True)
class ScenarioEvent:
    """One operation of a logical thread.

    Attributes:
        thread: Which thread did it, from 1.
        step: Which of its operations it was, from 1.
        operation: A pair such as ``("call", "value")``.
        outcome: The reply or result, or the error; a cast that was handled has the value ``"ok"``.
        invocation_ns: When it began, in nanoseconds since the threads were released.
        response_ns: When it was done.
    """

    thread: int
    step: int
    operation: Operation
    outcome: Outcome[Any]
    invocation_ns: int
    response_ns: int

    @property
    def duration_ms(self) -> float:
        """How long it took, in milliseconds."""
        return (self.response_ns - self.invocation_ns) / 1e6

    def __str__(self) -> str:
        outcome = shown(self.outcome.value) if self.outcome.ok else f"error {shown(self.outcome.error)}"
        when = f"{self.invocation_ns / 1e6:10.3f} to {self.response_ns / 1e6:10.3f} ms"
        return f"{when}  thread {self.thread}, step {self.step}: {shown_operation(self.operation)} -> {outcome}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "thread": self.thread,
            "step": self.step,
            "operation": shown_operation(self.operation),
            "outcome": self.outcome.to_dict(),
            "invocation_ns": self.invocation_ns,
            "response_ns": self.response_ns,
        }


@dataclass(frozen=True)
class ThreadReport:
    """What one logical thread did: its events in order, and how many of them failed."""

    thread: int
    events: tuple[ScenarioEvent, ...]
    errors: int


@dataclass(frozen=True, kw_only=True)
class ScenarioReport:
    """What came of a scenario.

    Attributes:
        ok: Whether nothing failed.
        error: ``None``, or what failed as a tuple that begins with a word: ``setup_failed``, ``invalid_setup_return``,
            ``thread_failure``, ``too_many_errors``, ``chaos_failed``, ``performance_failed``, ``invariant_failed``,
            ``cleanup_failed``.
        events: All operations, in the order in which they were done.
        metrics: ``duration_ms``, ``overall_duration_ms``, ``total_operations``, ``thread_count``,
            ``operation_errors``, ``mailbox_observed``.
        mailbox: What `supertester.performance.measure_mailbox_growth` saw, or ``None``.
        chaos: ``result`` and ``duration_ms`` of the chaos function, or ``None``.
        performance: The measurement of the run, or ``None``.
        metadata: Of the scenario, with its ``scenario_id``.
        context: What the set-up gave beside the subject.
        seed: The seed of the test that it ran in.
        program: The scenario as a short program.
    """

    ok: bool
    error: tuple[Any, ...] | None
    events: tuple[ScenarioEvent, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    mailbox: Any = None
    chaos: Mapping[str, Any] | None = None
    performance: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    program: str = ""

    @property
    def threads(self) -> tuple[ThreadReport, ...]:
        """What each thread did, in the order of the scenario."""
        by_thread: dict[int, list[ScenarioEvent]] = {
            number: [] for number in range(1, self.metrics.get("thread_count", 0) + 1)
        }
        for event in self.events:
            by_thread[event.thread].append(event)
        return tuple(
            ThreadReport(number, tuple(events), sum(not event.outcome.ok for event in events))
            for number, events in by_thread.items()
        )

    @property
    def history(self) -> tuple[linear.Operation, ...]:
        """The operations in the order in which they began, as `supertester.linear.check_linearizable` takes them.

        A request that is a text is the name of an operation, one that is a tuple its name and arguments. What ended in
        an error of the call may have had its effect or not, so it counts as pending.
        """
        return tuple(sorted(map(_in_history, self.events), key=lambda operation: operation.invoked))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield "the scenario passed" if self.error is None else f"the scenario failed: {_shown_error(self.error)}"
        errors = self.metrics.get("operation_errors", 0)
        if errors:
            yield f"{errors} of {self.metrics['total_operations']} operations failed"
        yield from ("the scenario:", *(f"  {line}" for line in self.program.splitlines()))
        if self.events:
            skipped = len(self.events) - _LINES
            yield "what was done, in the order of the replies" + (
                f", without the first {skipped}:" if skipped > 0 else ":"
            )
            yield from (f"  {event}" for event in self.events[-_LINES:])
        if self.chaos is not None:
            yield f"chaos: {shown(self.chaos)}"
        yield f"seed of the test: {self.seed}; see it again with {VARIABLE} of the run"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form; what JSON does not know is shown as text."""
        return {
            "ok": self.ok,
            "error": None if self.error is None else [self.error[0], *map(shown, self.error[1:])],
            "events": [event.to_dict() for event in self.events],
            "threads": [{"thread": each.thread, "errors": each.errors} for each in self.threads],
            "metrics": dict(self.metrics),
            "mailbox": _dict_of(self.mailbox),
            "chaos": _dict_of(self.chaos),
            "performance": _dict_of(self.performance),
            "metadata": Outcome(dict(self.metadata)).to_dict()["value"],
            "context": Outcome(dict(self.context)).to_dict()["value"],
            "seed": self.seed,
            "program": self.program,
        }


def _in_history(event: ScenarioEvent) -> linear.Operation:
    kind, content = event.operation
    name, *args = content if isinstance(content, tuple) and content else (content,)
    if kind == "custom":
        name, args = describe(content).rpartition(".")[2], []
    is_known = event.outcome.ok or kind == "custom"
    value = None if kind == "cast" else event.outcome.value
    return linear.Operation(
        event.thread,
        str(name),
        tuple(args),
        value if event.outcome.ok else event.outcome.error,
        event.invocation_ns,
        event.response_ns if is_known else linear.PENDING,
    )


def _dict_of(report: Any) -> Any:
    if report is None:
        return None
    to_dict = getattr(report, "to_dict", None)
    return to_dict() if to_dict is not None else Outcome(dict(report)).to_dict()["value"]


def _shown_error(error: tuple[Any, ...]) -> str:
    return " ".join([str(error[0]), *(str(each) if isinstance(each, str) else shown(each) for each in error[1:])])
