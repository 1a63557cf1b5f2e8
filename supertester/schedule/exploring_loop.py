"""`ExploringLoop`: an event loop that asks a strategy who runs next.

It has asyncio's own tasks and futures, virtual time, and nothing of the world outside: what it cannot control raises
`UsageError` where it is called. Choosing index 0 every time is the order of asyncio itself.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import sys
from asyncio import events
from bisect import insort
from collections import deque
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any, Final, TypeVar
from weakref import WeakSet
from zlib import crc32

from supertester.schedule.escapes import Escapes
from supertester.schedule.explored_task import ExploredTask
from supertester.schedule.handles import Handle, TimerHandle
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.virtual_loop import Deadlock
from supertester.schedule.waits import Explain, describe_waits

__all__ = ["ExploringLoop", "Livelock"]

T = TypeVar("T")

STEP_LIMIT: Final = 100_000
TIME_LIMIT: Final = 1e9
"""Seconds of virtual time: 30 years."""
_RESOLUTION: Final = 1e-9
_FAULTS: Final = -1
"""What the paths of faults begin with; lanes have children from 0."""

_age = attrgetter("age")
_new_task = ExploredTask.__new__
_init_task = ExploredTask.__init__
_names = ["Task-0"]


class Livelock(AssertionError):
    """A schedule has no end: it reached the limit of steps or of virtual time."""


class ExploringLoop(Escapes):
    """An event loop for one schedule of a program.

    Args:
        strategy: Chooses who runs next; its methods ``begin`` and ``end`` are the caller's to call.
        step_limit: Steps after which the schedule is a `Livelock`.
        time_limit: Seconds of virtual time after which it is one.
        timer_first: How often the next timer may fire although others could still run, as a fault (see `offer_fault`).
        fault_budget: How many faults may be chosen in all, ``None`` for no limit.

    Attributes:
        choices: The number of lanes to choose from and the lane chosen, for each choice so far.
        steps: Steps so far; up to date after `run_until_complete`, and during it where a step is watched.
        tasks: All tasks created so far, oldest first.
        unhandled: What `call_exception_handler` was told so far, oldest first.
        before_step, after_step: Called before and after each step, the first with its lane.
        explain: Knows more of the tasks, for the message of a `Deadlock`.

    >>> from supertester.schedule.strategies import Fifo
    >>> ExploringLoop(Fifo()).run(asyncio.sleep(3600, "an hour later"))
    'an hour later'
    """

    # What most schedules never change costs nothing to make when it belongs to the class.
    before_step: Callable[[Lane], object] | None = None
    after_step: Callable[[], object] | None = None
    explain: Explain | None = None
    steps = 0
    _now = 0.0
    _age = 0
    _boundary = 0
    _cancelled_timers = 0
    _stopping = False
    _closed = False
    _early: Lane | None = None
    _handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
    _task_factory: Any = None
    _asyncgens: WeakSet[Any] | None = None

    def __init__(
        self,
        strategy: Strategy,
        *,
        step_limit: int = STEP_LIMIT,
        time_limit: float = TIME_LIMIT,
        timer_first: int = 0,
        fault_budget: int | None = None,
    ) -> None:
        self.strategy = strategy
        self.step_limit = step_limit
        self.time_limit = time_limit
        self.choices: list[tuple[int, Lane]] = []
        self.tasks: list[Any] = []
        self.unhandled: list[dict[str, Any]] = []
        self.root = self.lane = Lane("callback", None, 0)
        self._created = strategy.created if type(strategy).created is not Strategy.created else None
        self._runnable: list[Lane] = []
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._offered: list[Lane] = []
        self._owned: dict[int, Lane] = {}
        self._faults_left = math.inf if fault_budget is None else fault_budget
        if timer_first:
            self._early = Lane("fault", self.root, -2)
            self._early_left = timer_first

    # Running ---------------------------------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run *main* as one schedule, end what it leaves behind, and close the loop.

        Raises:
            Deadlock: All that is left waits for ever.
            Livelock: There was no end within the limits.
        """
        try:
            result: T = self.run_until_complete(main)
            return result
        finally:
            self.close()

    def run_until_complete(self, future: Any) -> Any:
        """Run until *future* is done, and return what comes of it."""
        main = future if asyncio.isfuture(future) else self.create_task(future)
        main.add_done_callback(self._stop_with)
        try:
            self.run_forever()
        finally:
            main.remove_done_callback(self._stop_with)
        return main.result()

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if events._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_begun, finalizer=self._asyncgen_dropped)
        events._set_running_loop(self)
        try:
            self._run_steps()
        finally:
            self._stopping = False
            self.lane = self.root
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _run_steps(self) -> None:  # noqa: C901 a function call per step would cost more than the step
        """Run one step after the other; what is in here is run for every step of every schedule."""
        runnable, offered, timers = self._runnable, self._offered, self._timers
        choose, choices = self.strategy.choose, self.choices
        before, after = self.before_step, self.after_step
        boundary = 0
        lane: Lane | None = None
        step = self.steps
        try:
            for step in range(self.steps + 1, self.step_limit + 1):
                if not runnable:
                    self._pass_time()
                count = len(runnable)
                if offered or self._early is not None:
                    lane = self._choose_with_faults(lane)
                elif count > 1:
                    lane = runnable.pop(
                        choose(runnable, lane if lane is not None and lane.callback is not None else None)
                    )
                    choices.append((count, lane))
                else:
                    lane = runnable.pop()
                if lane.age >= boundary:
                    # All that was ready when the last such round began has run: asyncio would look at its timers now.
                    if timers and timers[0][0] < self._now + _RESOLUTION:
                        self._ring()
                    boundary = self._boundary = self._age
                callback, args, context = lane.callback, lane.args, lane.context
                if lane.more:
                    self._next(lane)
                else:
                    lane.callback = None
                self.lane = lane
                if before is not None:
                    self.steps = step
                    before(lane)
                try:
                    if context is None:
                        callback._run()
                    else:
                        context.run(callback, *args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 as asyncio does
                    self._callback_failed(callback, error)
                if after is not None:
                    after()
                if self._stopping:
                    break
            else:
                self._refuse_to_go_on()
        finally:
            self.steps = step

    def stop(self) -> None:
        """Stop after the step that is running."""
        self._stopping = True

    def _stop_with(self, main: asyncio.Future[Any]) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    # Callbacks and their lanes ---------------------------------------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Run *callback* in its lane, after what is there already."""
        if context is None:
            return self._call_soon(callback, args, None)
        try:
            lane = callback.__self__.explored_lane
        except AttributeError:
            return self._call_soon(callback, args, context)
        # A step of a task, which asyncio gives no handle to.
        age = self._age
        self._age = age + 1
        if lane.callback is None:
            lane.callback = callback
            lane.args = args
            lane.context = context
            lane.age = age
            self._runnable.append(lane)
        elif lane.more is None:
            lane.more = deque(((age, callback, args, context),))
        else:
            lane.more.append((age, callback, args, context))
        return None

    def _call_soon(self, callback: Any, args: tuple[Any, ...], context: Any) -> Handle:
        handle = Handle(callback, args, self, context)
        handle.lane = lane = self._lane_of_callback(callback)
        self._put(lane, handle)
        return handle

    def _put(self, lane: Lane, handle: Any) -> None:
        age = self._age
        self._age = age + 1
        if lane.callback is None:
            lane.callback, lane.args, lane.context, lane.age = handle, (), None, age
            self._runnable.append(lane)
        elif lane.more is None:
            lane.more = deque([(age, handle, (), None)])
        else:
            lane.more.append((age, handle, (), None))

    def _lane_of_callback(self, callback: Any) -> Lane:
        owner = getattr(callback, "__self__", None)
        if owner is None:
            return self.lane
        if hasattr(type(owner), "schedule_lane"):
            return self.lane_of(owner)
        if isinstance(owner, asyncio.Task) and owner.get_loop() is self:
            return self.lane_of(owner)
        return self.lane

    def lane_of(self, owner: Any) -> Lane:
        """Return the lane that *owner* has of its own: a task, or an object with the attribute ``schedule_lane``.

        The first call makes it, as the next child of the lane that is running: call it when the object is made, so that
        its path does not depend on who uses it first.
        """
        try:
            return owner.explored_lane  # type: ignore[no-any-return]
        except AttributeError:
            pass
        lane = self._owned.get(id(owner))
        if lane is None:
            kind = "task" if isinstance(owner, asyncio.Task) else str(owner.schedule_lane)
            lane = self._owned[id(owner)] = self.new_lane(kind, owner)
        return lane

    def new_lane(self, kind: str, owner: Any = None) -> Lane:
        """Return a new lane, the next child of the one that is running."""
        parent = self.lane
        number = parent.children
        parent.children = number + 1
        lane = Lane(kind, parent, number, owner)
        if self._created is not None:
            self._created(lane, parent)
        return lane

    def call_in(self, lane: Lane, callback: Callable[..., object], *args: Any) -> Handle:
        """Run *callback* in *lane*, after what is there already."""
        handle = Handle(callback, args, self, None)
        handle.lane = lane
        self._put(lane, handle)
        return handle

    def _next(self, lane: Lane) -> None:
        """Put the next callback of *lane* at its head, and the lane where its age belongs."""
        assert lane.more
        lane.age, lane.callback, lane.args, lane.context = lane.more.popleft()
        insort(self._runnable, lane, key=_age)

    def _withdraw(self, handle: Any, lane: Lane) -> None:
        """Take a cancelled callback out of its lane."""
        if lane.callback is handle:
            self._runnable.remove(lane)
            if lane.more:
                self._next(lane)
            else:
                lane.callback = None
        elif lane.more:
            lane.more = deque(entry for entry in lane.more if entry[1] is not handle)

    # Time ------------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time in seconds, from 0."""
        return self._now

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> TimerHandle:  # type: ignore[override]
        if delay is None:
            raise TypeError("delay must not be None")
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> TimerHandle:  # type: ignore[override]
        if when is None:
            raise TypeError("when cannot be None")
        handle = TimerHandle(when, callback, args, self, context, self.lane)
        age = self._age
        self._age = age + 1
        heapq.heappush(self._timers, (when, age, handle))
        return handle

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        self._cancelled_timers += 1
        if self._cancelled_timers > 100 and self._cancelled_timers * 2 > len(self._timers):
            self._timers[:] = [each for each in self._timers if not each[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    def _next_timer(self) -> float | None:
        """Return when the next timer fires, if there is one."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        return timers[0][0] if timers else None

    def _pass_time(self) -> None:
        """Let time leap to the next timer, as nothing is left to do before."""
        when = self._next_timer()
        if when is None:
            raise Deadlock(self.describe_deadlock())
        self._leap(when)

    def _leap(self, when: float) -> None:
        if when > self.time_limit:
            raise Livelock(f"no end after {self.time_limit:g} s of virtual time\n{describe_waits(self, self.explain)}")
        self._now = max(self._now, when)
        self._ring()

    def _ring(self) -> None:
        """Give each timer that is due a lane."""
        timers = self._timers
        end = self._now + max(_RESOLUTION, math.ulp(self._now))
        while timers and timers[0][0] < end:
            _, _, handle = heapq.heappop(timers)
            if handle._cancelled:
                self._cancelled_timers -= 1
                continue
            handle._scheduled = False
            handle.lane = lane = Lane("timer", handle.parent, handle.number, handle.delay)
            if self._created is not None:
                self._created(lane, handle.parent)
            self._put(lane, handle)

    # Faults ----------------------------------------------------------------------------------------------------------

    def offer_fault(self, label: str, action: Callable[[], object], key: Any = None, *, times: int = 1) -> Lane:
        """Offer the strategy a fault that it may choose at any step from now on, instead of an ordinary lane.

        Args:
            label: What a reader would call it: ``kill worker#1``.
            action: Does it, as a step of its own.
            key: Names the fault among all of the program, the same in every run; without one it is named as the next
                child of the lane that is running.
            times: How often it may be chosen.

        Returns:
            Its lane; ``withdraw()`` takes the offer back.
        """
        if key is None:
            lane = self.new_lane("fault")
        else:
            lane = Lane("fault", self.root, 0)
            lane._path = (_FAULTS, crc32(repr(key).encode()))
        lane._label = label
        lane.mark = None
        self._offered.append(lane)
        lane.owner = _Fault(self, lane, action, times)
        return lane

    def _choose_with_faults(self, current: Lane | None) -> Lane:
        candidates: list[Lane] = [*self._runnable, *(self._offered if self._faults_left > 0 else ())]
        early = self._early
        if early is not None and self._early_left > 0 and self._next_timer() is not None:
            candidates.append(early)
        index = 0
        if len(candidates) > 1:
            known = current if current is not None and current.callback is not None else None
            index = self.strategy.choose(candidates, known)
            self.choices.append((len(candidates), candidates[index]))
        lane = candidates[index]
        if index < len(self._runnable):
            del self._runnable[index]
            return lane
        self._faults_left -= 1
        if lane is early:
            self._early_left -= 1
            self._leap(self._next_timer() or 0.0)
            return self._runnable.pop()
        lane.age, lane.callback, lane.args, lane.context = self._age, lane.owner, (), None
        return lane

    def _chosen_fault(self, fault: _Fault) -> None:
        fault.times -= 1
        if fault.times <= 0:
            self._offered.remove(fault.lane)

    # Exceptions ------------------------------------------------------------------------------------------------------

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note an exception that nobody caught in `unhandled`, and tell the handler that was set, if one was."""
        self.unhandled.append(context)
        if self._handler is not None:
            self._handler(self, context)

    def _callback_failed(self, callback: Any, error: BaseException) -> None:
        self.call_exception_handler({"message": f"Exception in callback {callback!r}", "exception": error})

    def _refuse_to_go_on(self) -> None:
        raise Livelock(f"no end after {self.step_limit} steps\n{describe_waits(self, self.explain)}")

    def describe_deadlock(self) -> str:
        """Say what each task waits for, as the message of a `Deadlock`."""
        return (
            f"everything waits for ever (at {self._now:g} s of virtual time): nothing is ready to run and no timer is "
            f"set\n{describe_waits(self, self.explain)}"
        )

    # Tasks and futures -----------------------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None, **options: Any) -> Any:
        if self._task_factory is not None:
            return self._make_with_factory(coro, name, context, options)
        return self._make_task(coro, name, context, options)

    def _make_task(self, coro: Any, name: str | None, context: Any, options: dict[str, Any]) -> ExploredTask:
        tasks = self.tasks
        parent = self.lane
        number = parent.children
        parent.children = number + 1
        task = _new_task(ExploredTask)
        task.serial = serial = len(tasks) + 1
        task.explored_lane = lane = Lane("task", parent, number, task)
        if name is None:
            while serial >= len(_names):
                _names.append(f"Task-{len(_names)}")
            name = _names[serial]
        if self._created is not None:
            self._created(lane, parent)
        tasks.append(task)
        _init_task(task, coro, loop=self, name=name, context=context, **options)
        return task

    def set_task_factory(self, factory: Any) -> None:
        """Let *factory* make the tasks, as asyncio does."""
        if factory is not None and not callable(factory):
            raise TypeError("task factory must be a callable or None")
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def _make_with_factory(self, coro: Any, name: str | None, context: Any, options: dict[str, Any]) -> Any:
        if context is not None:
            options["context"] = context
        return self._task_factory(self, coro, **options)

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 as asyncio has it
        """Ignore it."""

    def _asyncgen_begun(self, generator: Any) -> None:
        if self._asyncgens is None:
            self._asyncgens = WeakSet()
        self._asyncgens.add(generator)

    def _asyncgen_dropped(self, generator: Any) -> None:
        if self._asyncgens is not None:
            self._asyncgens.discard(generator)
        self.create_task(generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """End the async generators that are left."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Return: there is no executor, its jobs are steps of the schedule."""

    def close(self) -> None:
        """End what is left, without a trace."""
        if self._closed:
            return
        for task in self.tasks:
            if not task.done():
                task._log_destroy_pending = False
            elif task._log_traceback:
                task._log_traceback = False
            lane = getattr(task, "explored_lane", None)
            if lane is not None:
                lane.owner = None
        self._closed = True


class _Fault:
    """A fault on offer; it is its lane's callback."""

    __slots__ = ("action", "lane", "loop", "times")

    def __init__(self, loop: ExploringLoop, lane: Lane, action: Callable[[], object], times: int) -> None:
        self.loop = loop
        self.lane = lane
        self.action = action
        self.times = times

    def _run(self) -> None:
        self.loop._chosen_fault(self)
        self.action()

    def withdraw(self) -> None:
        self.times = 0
        if self.lane in self.loop._offered:
            self.loop._offered.remove(self.lane)
