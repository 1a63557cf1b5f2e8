"""Faults: what a schedule may let happen instead of an ordinary step."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final
from zlib import crc32

from supertester.schedule.faults import Faults, kind_of
from supertester.schedule.lanes import Lane
from supertester.schedule.loop.timers import Timers
from supertester.schedule.strategies.base import Strategy

__all__ = ["Fault", "FaultLanes"]

_FAULTS: Final = -1
"""What the paths of named faults begin with; lanes have children from 0."""
_TIMER_FIRST: Final = -2


class FaultLanes(Timers):
    """Offers faults to the strategy, after the ordinary lanes, while their budgets last."""

    strategy: Strategy
    choices: list[tuple[int, Lane]]
    faults_left: float = math.inf
    """How many faults may still be chosen."""
    faults: Faults | None = None
    """What may go wrong, where `allow_faults` was called; for whatever offers faults."""
    kinds_left: dict[str, int] | None = None
    """How often each kind may still happen."""
    has_offered = False
    """Whether anybody has offered a fault so far."""
    timers_first_left = 0
    """How often the next timer may still fire although others could run."""
    _offered: list[Lane]
    _early: Lane | None = None

    def allow_faults(self, faults: Faults) -> None:
        """Let *faults* happen: each kind as often as it says."""
        self.faults = faults
        self.kinds_left = faults.budgets()
        if faults.timer_first:
            self._offer_timer_first(faults.timer_first)

    def offer_fault(
        self,
        label: str | Callable[[], str],
        action: Callable[[], object],
        key: Any = None,
        *,
        times: int = 1,
        kind: str = "",
    ) -> Lane:
        """Offer the strategy a fault that it may choose at any step from now on, instead of an ordinary lane.

        Faults are never all that is left to do: when nothing ordinary can run, time passes, or it is a deadlock.

        Args:
            label: What a reader would call it: ``kill worker#1``; or a function that says so when it is chosen.
            action: Does it, as a step of its own.
            key: Names the fault among all of the program, with the same ``repr`` in every run; without one, it is
                named as the next child of the lane that is running.
            times: How often it may be chosen.
            kind: Of which kind it is, ``"kill"`` say; none of a kind is chosen when as many of it have been as
                `allow_faults` allows.

        Returns:
            Its lane; ``withdraw()`` takes the offer back.

        >>> loop.offer_fault("drop the first message", mailbox.clear, key="drop").path  # doctest: +SKIP
        (-1, 2193425103)
        """
        if key is None:
            lane = self.new_lane("fault")
        else:
            lane = Lane("fault", self.root, 0)
            lane._path = (_FAULTS, crc32(repr(key).encode()))
        lane._label = label
        lane.owner = Fault(self, lane, action, times, kind)
        self._offered.append(lane)
        self.has_offered = True
        return lane

    def _offer_timer_first(self, times: int) -> None:
        lane = self._early = Lane("fault", self.root, _TIMER_FIRST)
        lane._label = "the next timer first"
        self.timers_first_left = times
        self._offered.append(lane)

    def _choose_with_faults(self, current: Lane | None) -> Lane:
        """Let the strategy choose among what is runnable and the faults on offer."""
        runnable = self._runnable
        faults = [lane for lane in self._offered if self._is_possible(lane)] if self.faults_left > 0 else []
        if not faults and len(runnable) == 1:
            return runnable.pop()
        candidates = [*runnable, *faults]
        index = self.strategy.choose(
            candidates, current if current is not None and current.callback is not None else None
        )
        lane = candidates[index]
        self.choices.append((len(candidates), lane))
        if index < len(runnable):
            del runnable[index]
            return lane
        self.faults_left -= 1
        if self.kinds_left is not None:
            self._spend(lane)
        if lane is self._early:
            return self._let_timer_be_first()
        return self._lane_to_run(lane)

    def _spend(self, fault: Lane) -> None:
        """Count *fault*, and withdraw the rest of its kind if that was the last."""
        left = self.kinds_left
        kind = kind_of(fault)
        if left is not None and kind in left:
            left[kind] -= 1
            if left[kind] <= 0:
                for lane in [lane for lane in self._offered if lane is not fault and kind_of(lane) == kind]:
                    self._offered.remove(lane)

    def fault_left(self, kind: str) -> bool:
        """Say whether a fault of that *kind* may still happen, so that it makes sense to offer one."""
        left = self.kinds_left
        return self.faults_left > 0 and (left is None or left.get(kind, 0) > 0)

    def _take_back(self, fault: Lane) -> None:
        if fault in self._offered:
            self._offered.remove(fault)

    def _lane_to_run(self, fault: Lane) -> Lane:
        """Return a lane with the action of *fault* in it, and for what that schedules."""
        lane = Lane("fault", fault, fault.children, fault.owner)
        fault.children += 1
        label = fault._label
        lane._label = label if isinstance(label, str) else label()  # Now: what it is about may soon be another thing.
        if fault.owner.times == 1:
            fault._label = lane._label
        lane.callback, lane.args, lane.context, lane.age = fault.owner, (), None, self._age
        return lane

    def _is_possible(self, lane: Lane) -> bool:
        if lane is not self._early:
            return True
        due = self._next_timer()
        return due is not None and self._now < due <= self.time_limit

    def _let_timer_be_first(self) -> Lane:
        self.timers_first_left -= 1
        if self.timers_first_left <= 0:
            assert self._early is not None
            self._offered.remove(self._early)
        runnable = self._runnable
        waiting = len(runnable)
        due = self._next_timer()
        assert due is not None
        self._leap(due)
        return runnable.pop(waiting)


class Fault:
    """A fault on offer, which is the callback of its lane."""

    __slots__ = ("action", "context", "kind", "lane", "loop", "times")

    def __init__(self, loop: FaultLanes, lane: Lane, action: Callable[[], object], times: int, kind: str) -> None:
        self.loop = loop
        self.lane = lane
        self.action = action
        self.times = times
        self.kind = kind
        self.context = copy_context()

    def _run(self) -> None:
        self.times -= 1
        if self.times <= 0:
            self.withdraw()
        self.context.run(self.action)

    def withdraw(self) -> None:
        """Take back the offer."""
        self.loop._take_back(self.lane)
