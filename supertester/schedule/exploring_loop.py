"""`ExploringLoop`: an event loop that asks a strategy who runs next.

It has asyncio's own tasks and futures, virtual time, and nothing of the world outside: what it cannot control raises
`UsageError` where it is called. Choosing index 0 every time is the order of asyncio itself.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from asyncio import events
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from supertester.errors import UsageError
from supertester.schedule.lanes import Lane
from supertester.schedule.loop.endings import Endings
from supertester.schedule.loop.jobs import Jobs
from supertester.schedule.loop.senses import Senses
from supertester.schedule.loop.timers import PER_SECOND, Livelock
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.virtual_loop import Deadlock
from supertester.schedule.waits import describe_waits

__all__ = ["STEP_LIMIT", "TIME_LIMIT", "ExploringLoop", "Livelock"]

T = TypeVar("T")

STEP_LIMIT: Final = 100_000
TIME_LIMIT: Final = 1e9
"""Seconds of virtual time: 30 years."""
_LATELY: Final = 100
"""Choices that are told of when there is no end."""


class ExploringLoop(Endings, Jobs, Senses):
    """An event loop for one schedule of a program.

    Args:
        strategy: Chooses who runs next; its methods ``begin`` and ``end`` are the caller's to call.
        step_limit: Steps after which the schedule is a `Livelock`.
        time_limit: Seconds of virtual time after which it is one.
        timer_first: How often the next timer may fire although others could still run, as a fault (see `offer_fault`).
        fault_budget: How many faults may be chosen in all; ``None`` for no limit.
        seed: What the random numbers of the program come from; see `supertester.schedule.entropy.controlled_entropy`.

    Attributes:
        choices: The number of lanes to choose from and the lane chosen, for each choice so far.
        steps: Steps so far; up to date when no step runs, and during steps if there is a `before_step`.
        lane: The lane that runs, or ran last.
        tasks: All tasks created so far, oldest first; none after `close`.
        left: The tasks that were not done when `close` was called.
        unhandled: What `call_exception_handler` was told so far, oldest first.
        before_step: Called before each step with its lane, whose head is what will run.
        after_step: Called after each step.
        explain: Knows more of the tasks, for messages that say what each waits for.

    Raises:
        UsageError: A limit or number makes no sense.
        TypeError: *strategy* is no `Strategy`.

    >>> from supertester.schedule.strategies import Fifo
    >>> ExploringLoop(Fifo()).run(asyncio.sleep(3600, "an hour later"))
    'an hour later'
    """

    explores = True
    """By which code that imports nothing from here knows such a loop."""
    # What most schedules never change costs nothing to make when it belongs to the class.
    get_debug = bool
    """Returns `False`; each future asks for it, and a function of Python's own is the quickest answer."""
    first_failure: Any = None
    """For whoever runs the schedule; the loop never touches it."""
    slow_callback_duration = 0.1
    """As asyncio has it; nothing is slow in virtual time."""
    _stopping = False
    _limit: int | None = None
    """The age from which on callbacks are no longer run, because the program has ended."""

    def __init__(
        self,
        strategy: Strategy,
        *,
        step_limit: int = STEP_LIMIT,
        time_limit: float = TIME_LIMIT,
        timer_first: int = 0,
        fault_budget: int | None = None,
        seed: int = 0,
    ) -> None:
        if step_limit < 1 or not time_limit > 0 or timer_first < 0 or not isinstance(strategy, Strategy):
            _complain(strategy, step_limit, time_limit, timer_first)
        self.strategy = strategy
        self.step_limit = step_limit
        self.time_limit = time_limit
        self.seed = seed
        self.choices = []
        self.tasks = []
        self.unhandled = []
        self.root = self.lane = Lane("callback", None, 0)
        self._created = None if type(strategy).created is Strategy.created else strategy.created
        self._runnable = []
        self._timers = []
        self._offered = []
        self._owned = {}
        if fault_budget is not None:
            self.faults_left = fault_budget
        if timer_first:
            self._offer_timer_first(timer_first)

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
        """Run until *future* is done and asyncio would notice, and return what comes of it."""
        main = future if asyncio.isfuture(future) else self.create_task(future)
        self._run(main)
        if not main.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        return main.result()

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        self._run(None)

    def _run(self, main: asyncio.Future[Any] | None) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if events._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")
        hooks = self._hook_generators()
        self._thread = threading.get_ident()
        events._set_running_loop(self)
        try:
            self._run_steps(main)
        finally:
            self._stopping = False
            self._limit = None
            self.lane = self.root
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _run_steps(self, main: Any) -> None:  # noqa: C901, PLR0915 function calls would cost more than the steps do
        """Run one step after the other until *main* is done, and what asyncio would still run then."""
        runnable, offered, timers = self._runnable, self._offered, self._timers
        choose, choices = self.strategy.choose, self.choices
        before = self.before_step
        main_lane = getattr(main, "explored_lane", None)
        if main is not None and main_lane is None:
            main.add_done_callback(self._stop_with)
        round_ends = 0
        lane: Lane | None = None
        is_ending = False
        step = begin = self.steps
        try:
            for step in range(begin + 1, self.step_limit + 1):
                if not runnable:
                    if is_ending:
                        break
                    self._pass_time()
                if offered or is_ending:
                    lane = self._choose_among_some(lane)
                    if lane is None:
                        break
                elif (count := len(runnable)) > 1:
                    lane = runnable.pop(choose(runnable, None if lane is None or lane.callback is None else lane))
                    choices.append((count, lane))
                else:
                    lane = runnable.pop()
                if lane.age >= round_ends:
                    # All that was ready when the round began has run: asyncio would look at its timers now.
                    if timers and timers[0][0] <= self._now * PER_SECOND + 0.5:
                        self._ring()
                    round_ends = self._age
                callback = lane.callback
                args = lane.args
                context = lane.context
                self.lane = lane
                if before is not None:
                    self.steps = step
                    before(lane)
                if lane.more:
                    self._next(lane)
                else:
                    lane.callback = None
                try:
                    if context is None:
                        callback._run()
                    else:
                        context.run(callback, *args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 as asyncio does
                    self._step_failed(error)
                if self.after_step is not None:  # May be set by what the step ran.
                    self.after_step()
                if self._stopping or (lane is main_lane and main.done()):
                    main_lane = None
                    is_ending = True
                    self._limit = round_ends
            else:
                self._refuse_to_go_on()
        finally:
            self.steps = step

    def _choose_among_some(self, current: Lane | None) -> Lane | None:
        """Choose where there are faults on offer or the program has ended; ``None`` if nothing is left to run."""
        if self._limit is None:
            return self._choose_with_faults(current)
        # asyncio ends the round in which the program ended, and runs another one, unless it was told to stop.
        while not (lanes := [lane for lane in self._runnable if lane.age < self._limit]):
            if self._stopping:
                return None
            self._stopping = True
            self._limit = self._age
        index = 0
        if len(lanes) > 1:
            known = None if current is None or current.callback is None or current not in lanes else current
            index = self.strategy.choose(lanes, known)
            self.choices.append((len(lanes), lanes[index]))
        self._runnable.remove(lanes[index])
        return lanes[index]

    def _pass_time(self) -> None:
        """Let time leap to the next timer, as nothing is left to do before."""
        due = self._next_timer()
        if due is None or due == math.inf:
            raise Deadlock(self.describe_deadlock())
        self._leap(due)

    def stop(self) -> None:
        """Stop when what was ready before this step has run."""
        self._stopping = True

    def _stop_with(self, _main: asyncio.Future[Any]) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 as asyncio has it
        """Let futures note where they were made, as asyncio does; that costs much."""
        answer = bool(enabled)
        self.get_debug = lambda: answer  # type: ignore[assignment,misc]

    # Messages --------------------------------------------------------------------------------------------------------

    def _refuse_to_go_on(self) -> None:
        raise Livelock(
            f"no end within {self.step_limit} steps (`step_limit`), at {self._now:g} s of virtual time; "
            f"{self._describe_busiest()}\n{describe_waits(self, self.explain)}"
        )

    def _describe_busiest(self) -> str:
        """Say who ran lately, the busiest first."""
        latest = self.choices[-_LATELY:]
        if not latest:
            return f"nobody else could run than {self.lane.label}"
        counts = Counter(lane.label for _, lane in latest).most_common(3)
        return f"the last {len(latest)} choices fell on " + ", ".join(f"{name} ({count})" for name, count in counts)

    def describe_deadlock(self) -> str:
        """Say what each task waits for, as the message of a `Deadlock`."""
        return (
            f"everything waits for ever (at {self._now:g} s of virtual time): nothing is ready to run and no timer is "
            f"set\n{describe_waits(self, self.explain)}"
        )


def _complain(strategy: object, step_limit: int, time_limit: float, timer_first: int) -> None:
    if not isinstance(strategy, Strategy):
        raise TypeError(f"ExploringLoop needs a Strategy, such as Fifo(), got {strategy!r}")
    if step_limit < 1:
        raise UsageError(f"step_limit must be at least 1, got step_limit={step_limit!r}")
    if not time_limit > 0:
        raise UsageError(f"time_limit must be more than 0 seconds, got time_limit={time_limit!r}")
    raise UsageError(f"timer_first must be at least 0, got timer_first={timer_first!r}")
