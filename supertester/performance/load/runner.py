"""Puts a load on a system, and finds out beforehand whether it can."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Final

from supertester._core.waiting import checked_seconds
from supertester.attachments import attach
from supertester.performance.load.first import FirstOperation
from supertester.performance.load.histogram import Histogram
from supertester.performance.load.machine import Busyness
from supertester.performance.load.plan import LoadPlan
from supertester.performance.load.process_load import ProcessSampler
from supertester.performance.load.progress import Progress
from supertester.performance.load.recorder import Recorder
from supertester.performance.load.report import LoadReport
from supertester.performance.load.users import TaskUsers, ThreadUsers, Users
from supertester.performance.measurement import check_callable
from supertester.telemetry.emission import spanned

__all__ = ["run_load", "run_plan"]

_CHECK_SECONDS: Final = 0.2
_LAG_NS: Final = 2_000_000
"""How late the generator may begin one in a hundred operations that do nothing."""
_LEAD_NS: Final = 2_000_000
_TICK: Final = 0.5
_AT_ONCE: Final = 0.05
"""Seconds in which what only makes a coroutine does so."""
_WORTH_SHOWING: Final = 10.0


async def run_load(
    operation: Callable[..., Any],
    *,
    users: int,
    rate: float,
    duration: float,
    ramp_up: float = 0.0,
    phase: str = "spread",
    seed: int = 0,
    deadline: float = 5.0,
    chaos: Callable[..., Any] | None = None,
    progress: bool | None = None,
    process: Any = None,
) -> LoadReport:
    """Let *users* do *operation* at a given rate, whatever the system does with it, and return what came of it.

    When each operation is due is decided beforehand. One that has to wait, because its user is still busy with the one
    before, begins late, and its latency counts from when it was due. Async operations run as tasks, plain ones in a
    thread for each user. Time is real, and memory does not grow with the number of operations.

    Before, operations that do nothing show whether the generator can keep up; if not, the report is not ``valid``.

    Args:
        operation: What to do; it may take the number of its user. An exception is an error, which the report counts.
        users: How many there are.
        rate: Operations per second of each user.
        duration: Seconds.
        ramp_up: Seconds, of *duration*, in which the users begin.
        phase: ``"spread"`` or ``"random"``; see `LoadPlan`.
        seed: Of what is random.
        deadline: Seconds to wait, in the end, for what is late.
        chaos: Run beside; it may take a function that puts a word into the timeline, and says with ``kind=`` whether
            that is an ``"event"``, a ``"fault"`` or a ``"recovery"``. The journal of what it returns goes there too.
        progress: Show how far it has come on standard error; by default if it takes ten seconds or more.
        process: A process of the operating system, e.g. the server: what it uses meanwhile, with all that it has
            started, is in the ``process`` of the report.

    Raises:
        UsageError: A number makes no sense, or the process has ended.
        TypeError: *operation* cannot be called, or a number is none.

    >>> async def main():
    ...     async def operation():
    ...         await asyncio.sleep(0)
    ...     return await run_load(operation, users=2, rate=50, duration=0.1)
    >>> report = asyncio.run(main())
    >>> report.operations, report.success_rate
    (10, 1.0)
    """
    plan = LoadPlan(users=users, rate=rate, duration=duration, ramp_up=ramp_up, phase=phase, seed=seed)
    return await run_plan(plan, operation, deadline=deadline, chaos=chaos, progress=progress, process=process)


@spanned("performance.run_load", current=False)
async def run_plan(
    plan: LoadPlan,
    operation: Callable[..., Any],
    *,
    deadline: float = 5.0,
    chaos: Callable[..., Any] | None = None,
    progress: bool | None = None,
    process: Any = None,
) -> LoadReport:
    """Do the same by a *plan*, e.g. one machine's share of a greater one."""
    check_callable(operation)
    checked_seconds("deadline", deadline)
    if chaos is not None and not callable(chaos):
        raise TypeError(f"chaos must be a function, plain or async, got chaos={chaos!r}")
    run = _Run(plan, _of_user(operation))
    sampler = None if process is None else ProcessSampler(process)
    check = await run.check()
    busyness = Busyness()
    async with nullcontext() if sampler is None else sampler.running():
        await run.run(deadline, chaos, plan.duration >= _WORTH_SHOWING if progress is None else progress)
    reason = _objection(check)
    totals = run.recorder.totals()
    report = LoadReport(
        users=len(plan.numbers),
        rate=plan.rate,
        duration=plan.duration,
        operations=totals.operations,
        succeeded=totals.succeeded,
        errors=totals.errors,
        error_samples=tuple(totals.samples),
        elapsed=totals.last_ns / 1e9,
        latency=totals.latency,
        service=totals.service,
        lag=totals.lag,
        check=check,
        valid=not reason,
        invalid_reason=reason,
        own_cpu=busyness.own(),
        foreign_cpu=busyness.foreign(),
        timeline=totals.timeline,
        process=None if sampler is None else sampler.load(),
    )
    attach(f"load of {report.users} users", report)
    return report


def _of_user(operation: Callable[..., Any]) -> Callable[[int], Any]:
    """Return *operation* as a function of the number of its user."""
    if takes_argument(operation):
        return operation
    if inspect.iscoroutinefunction(operation):

        async def alone(_: int) -> Any:
            return await operation()

        return alone
    return lambda _: operation()


def takes_argument(fn: Callable[..., Any]) -> bool:
    """Say whether *fn* has to be given something."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in positional and each.default is each.empty for each in parameters)


def _objection(check: Histogram) -> str:
    """Say why the generator cannot keep up, from how late operations ended that do nothing."""
    for percent in (99, 90, 50):
        late = check.value_at(percent)
        if late is None:
            continue  # There were too few operations to know it.
        if late <= _LAG_NS:
            break
        return (
            f"the generator, not the system, is too slow for this load: even operations that do nothing ended "
            f"{late / 1e6:.3g} ms late (p{percent}; at most {_LAG_NS / 1e6:g} ms is put up with)"
        )
    return ""


async def _nothing_async(_: int) -> None: ...


def _nothing(_: int) -> None: ...


class _Run:
    """One run of a plan."""

    def __init__(self, plan: LoadPlan, operation: Callable[[int], Any]) -> None:
        self.plan = plan
        self.recorder = Recorder()
        self._operation = operation
        self._is_async: bool | None = True if inspect.iscoroutinefunction(operation) else None
        self._first: FirstOperation | None = None

    async def check(self) -> Histogram:
        """Return how late operations begin that do nothing, at the rate of the plan."""
        await self._find_out()
        seconds = min(_CHECK_SECONDS, self.plan.duration)
        plan = replace(self.plan, duration=seconds, ramp_up=min(self.plan.ramp_up, seconds / 2))
        recorder = Recorder()
        recorder.began_ns = time.perf_counter_ns() + _LEAD_NS
        await self._users(plan, _nothing_async if self._is_async else _nothing, recorder).run(_CHECK_SECONDS)
        # Nobody but the generator can be the reason here.
        return recorder.totals().latency

    async def _find_out(self) -> None:
        """Begin the first operation if nothing else tells whether they are async; it counts as the first.

        It may wait for what other users do, so it is not waited for.
        """
        self.recorder.began_ns = time.perf_counter_ns()
        if self._is_async is not None:
            return
        number = self.plan.numbers[0]
        self._is_async = False
        if next(self.plan.due(number), None) is None:
            return
        first = self._first = FirstOperation(self._operation, number, self.recorder)
        result = await first.result(_AT_ONCE)
        if inspect.isawaitable(result):
            self._is_async = True
            await first.finish(result)

    def _users(
        self, plan: LoadPlan, operation: Callable[[int], Any], recorder: Recorder, first: FirstOperation | None = None
    ) -> Users:
        kind: type[TaskUsers | ThreadUsers] = TaskUsers if self._is_async else ThreadUsers
        return kind(plan, operation, recorder, first=first)

    async def run(self, deadline: float, chaos: Callable[..., Any] | None, show: bool) -> None:  # noqa: FBT001
        recorder = self.recorder
        recorder.began_ns = time.perf_counter_ns() + _LEAD_NS
        users = self._users(self.plan, self._operation, recorder, self._first)
        progress = asyncio.ensure_future(self._show(Progress(recorder, self.plan.duration))) if show else None
        beside = asyncio.ensure_future(self._beside(chaos)) if chaos is not None else None
        try:
            await users.run(deadline)
            if beside is not None:
                await asyncio.wait([beside], timeout=deadline)
        finally:
            for task in (progress, beside):
                if task is not None and not task.done():
                    task.cancel()
            await asyncio.gather(*(task for task in (progress, beside) if task is not None), return_exceptions=True)
        if beside is not None and not beside.cancelled() and (error := beside.exception()) is not None:
            raise error

    def _now(self) -> float:
        return (time.perf_counter_ns() - self.recorder.began_ns) / 1e9

    async def _show(self, progress: Progress) -> None:
        try:
            while True:
                progress.update(max(self._now(), 0.0))
                await asyncio.sleep(_TICK)
        finally:
            progress.close()

    async def _beside(self, chaos: Callable[..., Any]) -> None:
        """Run *chaos*, and put what it did into the timeline."""
        began, timeline = self._now(), self.recorder.totals().timeline

        def mark(what: str, kind: str = "event") -> None:
            timeline.mark(self._now(), what, kind)

        result = partial(chaos, mark)() if takes_argument(chaos) else chaos()
        if inspect.isawaitable(result):
            result = await result
        for event in getattr(result, "journal", ()):
            timeline.mark(began + event.at_ms / 1000, f"{event.fault} {event.target}", "fault")
