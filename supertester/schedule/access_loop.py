"""`AccessLoop`: an `ExploringLoop` that notes what each step touched."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import Context
from random import Random
from types import BuiltinFunctionType
from typing import Any

from supertester.schedule.accesses import Accesses
from supertester.schedule.exploring_loop import ExploringLoop, Livelock
from supertester.schedule.lanes import Lane
from supertester.schedule.loop.handles import Handle, TimerHandle
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.tracked_tasks import TrackedFuture, TrackedTask, is_counting, target_of
from supertester.schedule.watched_classes import watched_classes
from supertester.schedule.watching.watcher import Watcher, note_call

__all__ = ["AccessLoop", "loop_for"]

_Cause = tuple[tuple[int, ...], object | None, bool]
"""The steps that made a callback runnable, the object that it changes, and whether it does so by counting."""
_GOING_ON = frozenset({"task", "process"})
"""Kinds of lanes whose callbacks say that their owner goes on: two that are scheduled do the same in either order."""


def loop_for(strategy: Strategy, **options: Any) -> ExploringLoop:
    """Return a new loop for *strategy*: one that notes accesses if the strategy needs them."""
    kind: Any = AccessLoop if strategy.needs_accesses else ExploringLoop
    loop: ExploringLoop = kind(strategy, **options)
    return loop


class AccessLoop(ExploringLoop):
    """An exploring loop that knows of each step what made it runnable and what it touched.

    Attributes:
        accesses: What has been noted; the strategy gets the same as ``strategy.accesses``.
    """

    def __init__(self, strategy: Strategy, **options: Any) -> None:
        super().__init__(strategy, **options)
        self.accesses = Accesses()
        strategy.accesses = self.accesses
        self.accesses.call("loop", self)
        self._watcher = Watcher(self.accesses)
        self._causes: dict[Lane, deque[_Cause]] = {}
        self._offers: dict[Lane, tuple[int, ...]] = {}
        self._set_by: dict[int, tuple[int, ...]] = {}
        self._is_early = False
        self._main: Any = None
        self._task: Any = None
        self._ended: set[int] = set()

    # Steps -----------------------------------------------------------------------------------------------------------

    def _run_steps(self, main: Any) -> None:
        before, after = self.before_step, self.after_step
        self.before_step, self.after_step = _both(self._begin, before), _both(after, self._finish)
        self._main = main
        try:
            with watched_classes(), self._watcher if self.strategy.watches_lines else nullcontext():
                super()._run_steps(main)
        except Livelock:
            self.accesses.cut = True
            raise
        finally:
            self.before_step, self.after_step = before, after
            self.accesses.waiting = [(lane.path, self._causes[lane][0][0]) for lane in self._runnable]

    def _begin(self, lane: Lane) -> None:
        queued = self._causes.get(lane)
        if queued:
            causes, target, counting = queued.popleft()
            self.accesses.begin(lane, causes)
            self._note_target(lane.callback, target, counting=counting)
        else:
            self._begin_fault(lane)
        self._task = getattr(lane.callback, "__self__", None)
        self._watcher.is_on = True

    def _begin_fault(self, lane: Lane) -> None:
        """Begin a step of what was offered; *lane* is the one that its action got, for what that schedules."""
        offered = lane.parent
        assert offered is not None
        self.accesses.begin(offered, self._offers[offered], is_fault=True)
        self.accesses.write(self, "faults")

    def _note_target(self, callback: Any, target: object | None, *, counting: bool) -> None:
        """Note what a plain callback does to the object that it belongs to, or is called with."""
        if counting:
            self.accesses.add(target)
        elif target is not None:
            self.accesses.note_part(target, None, writes=True)
        elif isinstance(function := getattr(callback, "_callback", None), BuiltinFunctionType):
            note_call(self.accesses, function, callback._args)

    def _finish(self) -> None:
        self._watcher.is_on = False
        task = self._task
        if isinstance(task, TrackedTask) and asyncio.Task.done(task) and task.serial not in self._ended:
            self._ended.add(task.serial)
            self.accesses.write(task)
            if task is self._main:
                self.accesses.stop()
        if not self._runnable:
            self.accesses.rest()
        if self._stopping:
            self.accesses.stop()

    def close(self) -> None:
        """End all that is left, in which nothing is explored, and so nothing noted for the strategy."""
        self.accesses = Accesses()
        super().close()

    # What makes lanes runnable ---------------------------------------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        lane = getattr(getattr(callback, "__self__", None), "explored_lane", None)
        if context is not None and lane is not None:
            if lane.kind in _GOING_ON:
                self.accesses.resumed(lane)
            else:
                self.accesses.scheduled(lane)
            self._note_cause(lane, None, counting=False)
        return super().call_soon(callback, *args, context=context)

    def _put(self, lane: Lane, handle: Any) -> Any:
        target = target_of(handle._callback)
        self.accesses.scheduled(lane)
        counting = target is not None and is_counting(handle._callback, handle._args)
        self._note_cause(lane, target, counting=counting, set_by=self._set_by.pop(id(handle), None))
        return super()._put(lane, handle)

    def _note_cause(
        self, lane: Lane, target: object | None, *, counting: bool, set_by: tuple[int, ...] | None = None
    ) -> None:
        causes = self.accesses.now if set_by is None else set_by
        if self._is_early:
            causes = (*causes, len(self.accesses.steps))  # The step that comes now, if this is another timer's.
        entry = (causes, target, counting)
        try:
            self._causes[lane].append(entry)
        except KeyError:
            self._causes[lane] = deque((entry,))

    def _withdraw(self, handle: Handle | TimerHandle, lane: Lane) -> None:
        self.accesses.interrupt(lane)
        for position, entry in enumerate(lane.queue):
            if entry[1] is handle:
                causes, *_ = self._causes[lane][position]
                del self._causes[lane][position]
                self.accesses.cancelled(lane, causes)
                break
        super()._withdraw(handle, lane)

    def offer_fault(
        self, label: str | Callable[[], str], action: Callable[[], object], key: Any = None, **options: Any
    ) -> Lane:
        lane = super().offer_fault(label, action, key, **options)
        self._offers[lane] = self.accesses.now
        self.accesses.offer()
        return lane

    def _take_back(self, fault: Lane) -> None:
        self.accesses.interrupt(fault)
        super()._take_back(fault)

    def fault_left(self, kind: str) -> bool:
        self.accesses.read(self, "faults")
        return super().fault_left(kind)

    # Time and chance -------------------------------------------------------------------------------------------------

    def _leap(self, when: float) -> None:
        self._is_early = bool(self._runnable)
        self.accesses.advance(early=self._is_early)
        super()._leap(when)
        self._is_early = False

    def _set_timer(self, when: float, callback: Any, args: tuple[Any, ...], context: Context | None) -> TimerHandle:
        if when <= self._now:
            # asyncio starts it when all that is ready has run, which depends on the schedule and not on a cause.
            self.accesses.untracked.add("a timer that was due when it was set")
        if self.timers_first_left > 0:
            self.accesses.offer(anything=True)
        handle = super()._set_timer(when, callback, args, context)
        self._set_by[id(handle)] = self.accesses.now
        return handle

    def block(self, seconds: float) -> None:
        self.accesses.untracked.add("time.sleep, which lets time pass in the middle of a step")
        super().block(seconds)

    @property
    def random(self) -> Random:
        """The random numbers of the program: who draws first gets other ones."""
        self.accesses.write(self, "random")
        return super().random

    # Tasks and futures -----------------------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        future = TrackedFuture(loop=self)
        self.accesses.name(future)
        return future

    def _make_task(self, coro: Any, name: str | None, context: Context | None, options: dict[str, Any]) -> Any:
        return self._tracked(super()._make_task(coro, name, context, options))

    def create_task_in(self, lane: Lane, coro: Any, *, name: str, context: Context | None = None) -> Any:
        return self._tracked(super().create_task_in(lane, coro, name=name, context=context))

    def _tracked(self, task: Any) -> Any:
        task.__class__ = TrackedTask
        self.accesses.name(task)
        return task


def _both(first: Callable[..., object] | None, second: Callable[..., object] | None) -> Callable[..., object] | None:
    """Return what calls the two in turn."""
    if first is None or second is None:
        return first or second

    def call(*args: Any) -> None:
        first(*args)
        second(*args)

    return call
