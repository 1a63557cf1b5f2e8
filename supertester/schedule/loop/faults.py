"""Faults: what a schedule may let happen instead of an ordinary step."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final
from zlib import crc32

from supertester.schedule.lanes import Lane
from supertester.schedule.loop.timers import Timers
from supertester.schedule.strategies.base import Strategy

__all__ = ["Faults"]

_FAULTS: Final = -1
"""What the paths of named faults begin with; lanes have children from 0."""
_TIMER_FIRST: Final = -2


class Faults(Timers):
    """Offers faults to the strategy, after the ordinary lanes, while their budgets last."""

    strategy: Strategy
    choices: list[tuple[int, Lane]]
    faults_left: float = math.inf
    """How many faults may still be chosen."""
    timers_first_left = 0
    """How often the next timer may still fire although others could run."""
    _offered: list[Lane]
    _early: Lane | None = None

    def offer_fault(self, label: str, action: Callable[[], object], key: Any = None, *, times: int = 1) -> Lane:
        """Offer the strategy a fault that it may choose at any step from now on, instead of an ordinary lane.

        Faults are never all that is left to do: when nothing ordinary can run, time passes, or it is a deadlock.

        Args:
            label: What a reader would call it: ``kill worker#1``.
            action: Does it, as a step of its own.
            key: Names the fault among all of the program, with the same ``repr`` in every run; without one, it is
                named as the next child of the lane that is running.
            times: How often it may be chosen.

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
        lane.owner = _Fault(self, lane, action, times)
        self._offered.append(lane)
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
        if lane is self._early:
            return self._let_timer_be_first()
        return self._lane_to_run(lane)

    def _lane_to_run(self, fault: Lane) -> Lane:
        """Return a lane with the action of *fault* in it, and for what that schedules."""
        lane = Lane("fault", fault, fault.children, fault.owner)
        fault.children += 1
        lane._label = fault.label
        lane.callback, lane.args, lane.context, lane.age = fault.owner, (), None, self._age
        return lane

    def _is_possible(self, lane: Lane) -> bool:
        if lane is not self._early:
            return True
        due = self._next_timer()
        return due is not None and due > self._now

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


class _Fault:
    """A fault on offer, which is the callback of its lane."""

    __slots__ = ("action", "context", "lane", "loop", "times")

    def __init__(self, loop: Faults, lane: Lane, action: Callable[[], object], times: int) -> None:
        self.loop = loop
        self.lane = lane
        self.action = action
        self.times = times
        self.context = copy_context()

    def _run(self) -> None:
        self.times -= 1
        if self.times <= 0:
            self.withdraw()
        self.context.run(self.action)

    def withdraw(self) -> None:
        """Take back the offer."""
        if self.lane in self.loop._offered:
            self.loop._offered.remove(self.lane)
