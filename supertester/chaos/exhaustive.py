"""All the ways in which things can go wrong: a fault at every failpoint, a cancellation at every await."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.origin import is_foreign, show_line
from supertester._core.waiting import checked_seconds
from supertester.chaos.journal import note
from supertester.errors import UsageError
from supertester.failpoints import Action, Failpoints, switched_on

__all__ = ["CancellationRun", "FailpointRun", "cancel_at_every_await", "check_cancellation_safe", "exhaust_failpoints"]


# Failpoints ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FailpointRun:
    """One run of a function with faults at chosen hits of its failpoints.

    Attributes:
        faults: The failpoints that failed, with the number of the hit, from 1.
        hits: All failpoints that were passed, in order.
        result: What the function returned, or ``None``.
        error: What it raised, or ``None``.
    """

    faults: tuple[tuple[str, int], ...]
    hits: tuple[str, ...]
    result: Any
    error: BaseException | None

    @property
    def handled(self) -> bool:
        """Whether the function dealt with the faults itself."""
        return self.error is None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "faults": [list(each) for each in self.faults],
            "hits": list(self.hits),
            "result": shown(self.result),
            "error": None if self.error is None else shown(self.error),
        }


class _Plan(Failpoints):
    """Fails at the hits that are planned, and notes all."""

    def __init__(self, planned: frozenset[int], action: Action) -> None:
        super().__init__(0)
        self._planned = planned
        self._action = action
        self.order: list[str] = []
        self.faults: list[tuple[str, int]] = []

    def decide(self, name: str) -> Action | None:
        self.order.append(name)
        if len(self.order) - 1 not in self._planned:
            return None
        self.faults.append((name, self.order.count(name)))
        note("failpoint", name, {"hit": self.order.count(name)})
        return self._action


async def exhaust_failpoints(
    fn: Callable[[], Any], *, raises: str = "", max_faults: int = 1, limit: int = 1000
) -> list[FailpointRun]:
    """Run *fn* without a fault, and then with a fault at every hit of a failpoint, up to *max_faults* of them in a run.

    What *fn* has to keep true, it should check itself: what it raises is the ``error`` of the run.

    Args:
        fn: Plain or async; has to do the same in every run but for the faults.
        raises: What the failpoints raise, as in the action ``raise(...)``; by default
            `supertester.failpoints.InjectedFault`.
        max_faults: How many faults there may be in one run.
        limit: Runs after which it is given up.

    Raises:
        UsageError: *fn* passes no failpoint, or there are more runs than *limit*.

    >>> from supertester.failpoints import InjectedFault, failpoint
    >>> def save():
    ...     failpoint("open")
    ...     try:
    ...         failpoint("write")
    ...     except InjectedFault:
    ...         return "kept the old one"
    >>> [(run.faults, run.handled) for run in asyncio.run(exhaust_failpoints(save))]
    [((), True), ((('open', 1),), False), ((('write', 1),), True)]
    """
    if max_faults < 1 or limit < 1:
        raise UsageError(f"max_faults and limit must be 1 or more, got max_faults={max_faults!r}, limit={limit!r}")
    action = Action("raise", raises)
    runs: list[FailpointRun] = []
    plans = [frozenset[int]()]
    while plans:
        if len(runs) >= limit:
            raise UsageError(f"there are more than limit={limit} runs; lower max_faults or raise limit")
        planned = plans.pop(0)
        plan = _Plan(planned, action)
        runs.append(await _run(fn, plan))
        if len(planned) < max_faults:
            first = max(planned, default=-1) + 1
            plans += [planned | {hit} for hit in range(first, len(plan.order))]
    if not runs[0].hits:
        raise UsageError(
            f"{shown(fn)} passes no failpoint, so there is nothing to exhaust; put failpoint(name) into it"
        )
    return runs


async def _run(fn: Callable[[], Any], plan: _Plan) -> FailpointRun:
    result, error = None, None
    with switched_on(plan):
        try:
            result = fn()
            if inspect.isawaitable(result):
                result = await result
        except Exception as raised:  # noqa: BLE001 - it is the outcome of the run
            result, error = None, raised
    return FailpointRun(faults=tuple(plan.faults), hits=tuple(plan.order), result=result, error=error)


# Cancellation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CancellationRun:
    """One run of a coroutine that was cancelled at one of its awaits.

    Attributes:
        index: At which await, from 0; ``None`` for the run that was not cancelled.
        place: The line of the await.
        outcome: ``"cancelled"``, ``"swallowed"`` if it returned all the same, ``"raised"``, or ``"stuck"`` if it went
            on; ``"returned"`` or ``"raised"`` for the run that was not cancelled.
        result: What it returned or raised.
    """

    index: int | None
    place: str
    outcome: str
    result: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"index": self.index, "place": self.place, "outcome": self.outcome, "result": shown(self.result)}


@dataclass(eq=False)
class _Stepped:
    """Awaits a coroutine and cancels the present task at one of the awaits at which it gives up control."""

    coroutine: Any
    index: int | None
    awaits: int = 0
    place: str = ""
    _steps: Any = field(default=None, repr=False)

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._steps = self.coroutine.__await__()
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                waited = steps.throw(thrown) if thrown is not None else steps.send(sent)
            except StopIteration as stop:
                return stop.value
            if self.awaits == self.index:
                self.place = _where(self.coroutine)
                task = asyncio.current_task()
                assert task is not None
                task.cancel("cancelled by the test, at one await after the other")
            self.awaits += 1
            try:
                sent, thrown = (yield waited), None
            except BaseException as error:  # noqa: BLE001 - goes on into the coroutine
                thrown = error


def _where(coroutine: Any) -> str:
    """Return the innermost line at which *coroutine* waits that is not of asyncio or of this library."""
    place = "unknown line"
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and not is_foreign(frame.f_code.co_filename):
            place = show_line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return place


async def cancel_at_every_await(
    fn: Callable[[], Awaitable[Any]],
    check: Callable[[], Any] | None = None,
    *,
    limit: int = 1000,
    timeout: float = 5.0,
) -> list[CancellationRun]:
    """Run *fn* to its end once, and then again for each of its awaits, cancelled there.

    Only those awaits count at which it gives up control; one that is over at once cannot be cancelled.

    Args:
        fn: Returns a new coroutine each time, which has to do the same each time.
        check: Called after each run, plain or async; what it raises is raised, with a note about the run.
        limit: Runs after which it is given up.
        timeout: Seconds that it may take to end when it is cancelled; the run in which it does not is the last one.

    Raises:
        UsageError: There are more runs than *limit*.
        TypeError: *fn* returns nothing that can be awaited.

    >>> async def transfer():
    ...     await asyncio.sleep(0)
    ...     await asyncio.sleep(0)
    ...     return "done"
    >>> [run.outcome for run in asyncio.run(cancel_at_every_await(transfer))]
    ['returned', 'cancelled', 'cancelled']
    """
    checked_seconds("timeout", timeout)
    runs: list[CancellationRun] = []
    awaits = 1
    while len(runs) <= awaits:
        if len(runs) > limit:
            raise UsageError(f"there are more than limit={limit} runs; raise limit")
        index = len(runs) - 1 if runs else None
        coroutine = fn()
        if not hasattr(coroutine, "__await__"):
            raise TypeError(f"{shown(fn)} must return a coroutine, got {shown(coroutine)}")
        stepped = _Stepped(coroutine, index)
        run = await _run_cancelled(stepped, timeout)
        runs.append(run)
        awaits = stepped.awaits if index is None else awaits
        if index is not None:
            note("cancel", shown(fn), {"await": index, "place": run.place})
        if run.outcome == "stuck":
            break
        if check is not None:
            await _checked(check, run)
    return runs


async def _run_cancelled(stepped: _Stepped, timeout: float) -> CancellationRun:
    async def run() -> Any:
        return await stepped

    task = asyncio.create_task(run())
    try:
        await asyncio.wait([task], timeout=None if stepped.index is None else timeout)
    except BaseException:
        task.cancel()
        raise
    outcome: str
    result: Any
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=timeout)
        outcome, result = "stuck", f"for {timeout:g} s"
    elif task.cancelled():
        outcome, result = "cancelled", None
    elif (error := task.exception()) is not None:
        outcome, result = "raised", error
    else:
        outcome, result = ("returned" if stepped.index is None else "swallowed"), task.result()
    return CancellationRun(index=stepped.index, place=stepped.place, outcome=outcome, result=result)


async def _checked(check: Callable[[], Any], run: CancellationRun) -> None:
    try:
        result = check()
        if inspect.isawaitable(result):
            await result
    except Exception as error:
        which = "not cancelled" if run.index is None else f"cancelled at await {run.index}, {run.place}"
        error.add_note(f"after the run that was {which}")
        raise


async def check_cancellation_safe(
    fn: Callable[[], Awaitable[Any]],
    check: Callable[[], Any] | None = None,
    *,
    limit: int = 1000,
    timeout: float = 5.0,
) -> Mismatch | None:
    """Say at which awaits *fn* does not end when it is cancelled, or what *check* found after that, or return ``None``.

    The arguments are those of `cancel_at_every_await`; what *check* raises other than ``AssertionError`` is raised.
    """
    try:
        runs = await cancel_at_every_await(fn, check, limit=limit, timeout=timeout)
    except AssertionError as error:
        return Mismatch("\n".join([str(error), *error.__notes__]))
    bad = [run for run in runs[1:] if run.outcome != "cancelled"]
    if runs[0].outcome == "raised":
        return Mismatch(f"it fails without being cancelled: {runs[0].result!r}")
    if not bad:
        return None
    lines = [f"await {run.index}, {run.place}: {run.outcome} {shown(run.result)}" for run in bad]
    return Mismatch(f"{len(bad)} of {len(runs) - 1} cancellations did not end it", lines)
