"""`run_scenario`: set up, let all threads loose, check what must hold, clean up; one deadline for all of it."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from supertester import telemetry
from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.naming import describe
from supertester._core.outcome import Outcome
from supertester._core.seeds import run_seed
from supertester.attachments import attach
from supertester.context import current_context
from supertester.errors import UsageError
from supertester.linear import Linearizability
from supertester.otp.process import Process
from supertester.otp.refs import existing
from supertester.otp.results import IGNORE
from supertester.performance import check_expectations, measure_mailbox_growth, measure_operation
from supertester.processes import cleanup_processes
from supertester.scenarios.operations import shown_operation
from supertester.scenarios.report import ScenarioReport
from supertester.scenarios.scenario import Scenario
from supertester.scenarios.threads import LogicalThreads

__all__ = ["run_scenario", "run_with_performance"]

_next_id = itertools.count(1).__next__
_CLEANUP = 5.0
"""Seconds that the cleanup may take, beyond the deadline of the run."""


async def run_scenario(scenario: Scenario) -> ScenarioReport:
    """Run *scenario* and report what came of it; a scenario that fails is reported, not raised.

    The threads start together. One deadline, ``timeout_ms``, holds for the set-up, the threads, the chaos and the
    invariant; the cleanup runs in any case, also when this is cancelled, and has 5 s of its own.

    Raises:
        TypeError: *scenario* is no `Scenario`.

    >>> from supertester.otp import GenServer
    >>> class Counter(GenServer):
    ...     def init(self):
    ...         return 0
    ...     def handle_call(self, request, sender):
    ...         self.state += 1
    ...         return self.state
    >>> async def main():
    ...     return await run_scenario(Scenario(Counter.start_link, [["next"], ["next"]]))
    >>> report = asyncio.run(main())
    >>> report.ok, sorted(event.outcome.value for event in report.events)
    (True, [1, 2])
    """
    if not isinstance(scenario, Scenario):
        raise TypeError(f"run_scenario() takes a Scenario, got {scenario!r}")
    return await _Run(scenario).run()


async def run_with_performance(scenario: Scenario, **expectations: float) -> ScenarioReport:
    """Run *scenario* with *expectations* added to its own.

    Args:
        scenario: The scenario.
        expectations: As `supertester.performance.check_expectations` takes them; here at least one.

    Raises:
        UsageError: There is none.
    """
    if not expectations:
        raise UsageError("run_with_performance() needs at least one bound, e.g. max_time_ms=500")
    merged = {**scenario.performance_expectations, **expectations}
    return await run_scenario(replace(scenario, performance_expectations=merged))


class _Failed(Exception):
    """The run has failed; ``error`` says how, in the words of the report."""

    def __init__(self, *error: Any) -> None:
        super().__init__(*error)
        self.error = error


@dataclass(eq=False)
class _Run:
    """One run of a scenario."""

    scenario: Scenario
    began: int = field(default_factory=time.perf_counter_ns)
    subject: Any = None
    context: dict[str, Any] = field(default_factory=dict)
    threads: LogicalThreads | None = None
    duration_ms: float = 0.0
    mailbox: Any = None
    chaos: dict[str, Any] | None = None
    performance: Any = None
    error: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        self.metadata = {**self.scenario.metadata, "scenario_id": _next_id()}

    async def run(self) -> ScenarioReport:
        telemetry.emit("concurrent.scenario.start", {"system_time_us": time.time_ns() // 1000}, self.metadata)
        try:
            with telemetry.span("concurrent.scenario", self.metadata):
                try:
                    await self._within_deadline()
                finally:
                    await self._clean_up()
        except BaseException as error:
            self.error = self.error or ("interrupted", error)
            raise
        finally:
            self._tell_end()
        report = self.report()
        attach(f"scenario {self.metadata['scenario_id']}", report)
        return report

    def _tell_end(self) -> None:
        status = {"duration_ms": self._elapsed_ms(), "status": "ok" if self.error is None else "error"}
        error = {} if self.error is None else {"error": repr(self.error)}
        telemetry.emit("concurrent.scenario.stop", status, {**self.metadata, **error})

    def _elapsed_ms(self) -> float:
        return (time.perf_counter_ns() - self.began) / 1e6

    async def _within_deadline(self) -> None:
        stage = "setup"
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout_at(loop.time() + self.scenario.timeout_ms / 1000)
        try:
            async with deadline:
                await self._set_up()
                if loop.time() >= (deadline.when() or 0):
                    raise TimeoutError  # It kept the event loop from saying so.
                stage = "threads"
                await self._measured(self._observed)
                if not deadline.expired():
                    stage = "invariant"
                    await self._check()
            if deadline.expired():
                raise TimeoutError  # What was to end then has swallowed it.
        except TimeoutError:
            self.error = self._overrun(stage)
        except _Failed as failure:
            self.error = failure.error

    def _overrun(self, stage: str) -> tuple[Any, ...]:
        if stage == "setup":
            return ("setup_failed", "timeout")
        if stage == "invariant":
            return ("invariant_failed", "timeout")
        assert self.threads is not None
        busy = [
            f"thread {number} in step {step}: {shown_operation(operation)}"
            for number, (step, operation) in sorted(self.threads.running.items())
        ]
        if not busy and self.scenario.chaos is not None and self.threads.done:
            return ("chaos_failed", "timeout")
        return ("thread_failure", "timeout", "; ".join(busy[:10]) or "no thread was in an operation")

    # The parts -----------------------------------------------------------------------------------------------------

    async def _set_up(self) -> None:
        result = (await _guarded("setup_failed", self.scenario.setup)).unwrap()
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
            self.subject, self.context = result[0], dict(result[1])
        else:
            self.subject = result
        if self.subject is None or self.subject is IGNORE:
            self.subject = None
            raise _Failed("invalid_setup_return", result)

    async def _measured(self, run: Callable[[], Any]) -> None:
        expectations = self.scenario.performance_expectations
        if not expectations:
            await run()
            return
        self.performance = await measure_operation(run, once=True)
        mismatch = check_expectations(self.performance, **expectations)
        if mismatch is not None:
            raise _Failed("performance_failed", str(mismatch), self.performance)
        numbers = {name: getattr(self.performance, name) for name in ("time_us", "memory_bytes", "reductions")}
        telemetry.emit("performance.scenario.measured", numbers, self.metadata)

    async def _observed(self) -> None:
        if self.scenario.mailbox is None:
            await self._concurrently()
            return
        if _process_of(self.subject) is None:
            raise _Failed("setup_failed", f"{shown(self.subject)} has no mailbox to observe")
        self.mailbox = await measure_mailbox_growth(self.subject, self._concurrently, **self.scenario.mailbox)
        names = ("initial_size", "final_size", "max_size", "avg_size")
        telemetry.emit(
            "concurrent.mailbox.sample", {name: getattr(self.mailbox, name) for name in names}, self.metadata
        )

    async def _concurrently(self) -> None:
        """Run the threads, and the chaos beside them."""
        self.threads = threads = LogicalThreads(self.scenario, self.subject)
        chaos = asyncio.create_task(self._chaos(threads)) if self.scenario.chaos is not None else None
        began = time.perf_counter_ns()
        try:
            try:
                await threads.run()
            except Exception as error:
                raise _Failed("thread_failure", error) from error
            self.duration_ms = (time.perf_counter_ns() - began) / 1e6
            if chaos is not None:
                await chaos
        finally:
            if chaos is not None and not chaos.done():
                chaos.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await chaos
        self._check_errors()

    async def _chaos(self, threads: LogicalThreads) -> None:
        assert self.scenario.chaos is not None
        await threads.released.wait()
        began = time.perf_counter_ns()
        error: Any = "interrupted"
        telemetry.emit("chaos.start", {}, self.metadata)
        try:
            context = {"metadata": self.metadata, "setup_context": self.context, **self.context}
            outcome = await _guarded("chaos_failed", self.scenario.chaos, self.subject, context)
            error = outcome.error
            self.chaos = {"result": outcome.unwrap(), "duration_ms": (time.perf_counter_ns() - began) / 1e6}
        finally:
            told = {} if error is None else {"error": repr(error)}
            duration = (time.perf_counter_ns() - began) / 1e6
            telemetry.emit("chaos.stop", {"duration_ms": duration}, {**self.metadata, **told})

    def _check_errors(self) -> None:
        limit, errors = self.scenario.max_errors, self._errors()
        if limit is not None and errors > limit:
            raise _Failed("too_many_errors", errors, f"at most {limit} allowed")

    def _errors(self) -> int:
        return sum(not event.outcome.ok for event in self.threads.events) if self.threads is not None else 0

    async def _check(self) -> None:
        if self.scenario.invariant is None:
            return
        report = self.report()
        seen = {
            name: getattr(report, name) for name in ("events", "history", "threads", "metrics", "metadata", "chaos")
        }
        context = {**self.context, **seen, "mailbox": self.mailbox, "performance": self.performance}
        value = (await _guarded("invariant_failed", self.scenario.invariant, self.subject, context)).unwrap()
        if isinstance(value, Outcome) and not value.ok:
            raise _Failed("invariant_failed", value.error)
        if isinstance(value, Mismatch):
            raise _Failed("invariant_failed", str(value))
        if value is False or (isinstance(value, Linearizability) and not value):
            raise _Failed("invariant_failed", "returned_false" if value is False else value.explanation)

    async def _clean_up(self) -> None:
        if self.subject is None:
            return
        cancellations = _cancellations()
        try:
            async with asyncio.timeout(_CLEANUP):
                if self.scenario.cleanup is not None:
                    await _called(self.scenario.cleanup, self.subject, self.context)
                elif (process := _process_of(self.subject)) is not None:
                    await cleanup_processes([process])
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancellations() > cancellations:
                raise
            self.error = ("cleanup_failed", error, self.error)

    def report(self) -> ScenarioReport:
        """Return what is known so far."""
        events = tuple(self.threads.events) if self.threads is not None else ()
        scripts: Any = self.scenario.threads
        context = current_context.get()
        return ScenarioReport(
            ok=self.error is None,
            error=self.error,
            events=events,
            metrics={
                "duration_ms": self.duration_ms,
                "overall_duration_ms": self._elapsed_ms(),
                "total_operations": len(events),
                "thread_count": len(scripts),
                "operation_errors": sum(not event.outcome.ok for event in events),
                "mailbox_observed": self.scenario.mailbox is not None,
            },
            mailbox=self.mailbox,
            chaos=self.chaos,
            performance=self.performance,
            metadata=self.metadata,
            context=self.context,
            seed=context.seed if context is not None else run_seed(),
            program=_program(self.scenario),
        )


def _process_of(subject: Any) -> Process | None:
    """Return the live process that *subject* is or names, if it does; one that can be called is not called for this."""
    if callable(subject) and not isinstance(subject, Process):
        return None
    try:
        return existing(subject, "a scenario")
    except (TypeError, UsageError):
        return None


async def _called(function: Callable[..., Any], *args: Any) -> Any:
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


async def _guarded(word: str, function: Callable[..., Any], *args: Any) -> Outcome[Any]:
    """Call *function*, plain or async; whatever it raises fails the run with *word*, an interruption excepted."""
    cancellations = _cancellations()
    try:
        return Outcome(await _called(function, *args))
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _cancellations() > cancellations:
            raise
        raise _Failed(word, error) from error


def _cancellations() -> int:
    """Return how often somebody wanted the present task to end; more than before: now."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _program(scenario: Scenario, limit: int = 12) -> str:
    """Return *scenario* as a short program: equal threads are shown once."""
    lines = [f"setup: {describe(scenario.setup)}"]
    scripts: list[tuple[Any, ...]] = list(scenario.threads)
    first = 1
    for script, group in itertools.groupby(scripts, key=lambda script: list(map(shown_operation, script))):
        count = len(list(group))
        which = f"thread {first}" if count == 1 else f"threads {first} to {first + count - 1}"
        more = f" ... {len(script) - limit} more" if len(script) > limit else ""
        lines.append(f"{which}: {', '.join(script[:limit])}{more}")
        first += count
    if len(lines) > 2 * limit:
        lines[2 * limit :] = [f"... {len(lines) - 2 * limit} more lines"]
    if scenario.chaos is not None:
        lines.append(f"chaos: {describe(scenario.chaos)}")
    if scenario.invariant is not None:
        lines.append(f"invariant: {describe(scenario.invariant)}")
    return "\n".join(lines)
