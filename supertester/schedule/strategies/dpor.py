"""Dynamic partial order reduction: run one schedule of each class of schedules that can differ, and know when done.

After each run its races are looked at: for each pair of conflicting steps that nothing else orders, a run that begins
with the reverse is put on the list, unless one is there. *Source sets* keep that list short (one of several possible
beginnings is enough), *sleep sets* stop a run that can only repeat, in another order, what was run. The algorithm is
source-DPOR of Abdulla, Aronis, Jonsson and Sagonas, "Optimal dynamic partial order reduction", POPL'14. It needs no
rule for locks: a task that waits for an `asyncio.Lock` has run the step in which it asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from supertester.errors import UsageError
from supertester.schedule.accesses import Accesses
from supertester.schedule.happens_before import HappensBefore
from supertester.schedule.lanes import Lane
from supertester.schedule.steps import Path, Step, dependent
from supertester.schedule.strategies.base import Strategy

__all__ = ["Dpor"]


class _Node:
    """A state of the program: what could run there, what did, and what must not be forgotten."""

    __slots__ = ("chosen", "done", "sleep", "step", "todo")

    def __init__(self, chosen: Path, sleep: dict[Path, Step], todo: set[Path]) -> None:
        self.chosen = chosen
        self.sleep = sleep  # What need not run from here, with what it would touch.
        self.todo = todo  # The source set so far, with what has run.
        self.step: Step | None = None  # What the chosen lane touched.
        self.done: set[Path] = set()  # What ran from here.

    def next_choice(self) -> Path | None:
        """Note that the chosen lane has run, and return what is left to run from here."""
        self.done.add(self.chosen)
        if self.step is not None and self.step.lane == self.chosen:
            self.sleep[self.chosen] = self.step
        return min((path for path in self.todo if path not in self.sleep and path not in self.done), default=None)


class Dpor(Strategy):
    """Explores until nothing is left: at least one run of every class of runs that differ in what they touched when.

    Args:
        watches_lines: Whether to see what lines of the user's code do to variables, attributes and containers. Without
            that runs are several times as fast, and only `Shared` and tracked state is seen.

    >>> import asyncio
    >>> from supertester.schedule import explore_schedules
    >>> async def two_tasks():
    ...     await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    >>> report = explore_schedules(two_tasks, strategy=Dpor(watches_lines=False), database=False)
    >>> report.schedules, report.exhausted
    (1, True)
    """

    name = "dpor"
    needs_accesses = True
    is_systematic = True

    def __init__(self, *, watches_lines: bool = True) -> None:
        self.watches_lines = watches_lines
        self.exhausted = False
        """Whether every class has been run. Only then is the absence of failures a proof."""
        self.accesses = Accesses()
        """What the current run touches; whoever runs the schedules puts those of each run here."""
        self.untracked: set[str] = set()
        """What was touched without being noted, in words; if there is any, being exhausted proves nothing."""
        self.cut = False
        """Whether a run was broken off, as one without an end is."""
        self.redundant = 0
        """How many runs turned out to repeat another one in a different order."""
        self._nodes: list[_Node] = []
        self._planned = 0  # So many nodes at the beginning are as they were decided; the last of them is new.
        self._followed = 0  # So many steps of this run have been taken note of.
        self._sleep: dict[Path, Step] = {}  # What need not run in the state after them.
        self._asleep = False  # Whether this run can only repeat another.
        self._started = False

    def begin(self, random: Random, number: int) -> bool:
        """Prepare the next run; ``False`` when there is none."""
        if self._started and not self._backtrack():
            self.exhausted = not self.cut
            return False
        self._started = True
        self._asleep = False
        self._followed = 0
        self._sleep = {}
        return True

    def _backtrack(self) -> bool:
        """Go back to the latest state from which something is left to be run, and decide to run it."""
        nodes = self._nodes
        while nodes:
            node = nodes[-1]
            choice = node.next_choice()
            if choice is not None:
                node.chosen, node.step = choice, None
                self._planned = len(nodes)
                return True
            nodes.pop()
        return False

    def choose(self, runnable: Sequence[Lane], current: Lane | None) -> int:
        """Return which of *runnable* runs next: as planned, then whatever need not sleep."""
        self._follow()
        position = len(self.accesses.steps)
        if self._asleep:
            return 0
        if position == len(self._nodes) and not self._branch(runnable, current):
            return 0
        chosen = self._nodes[position].chosen
        for index, lane in enumerate(runnable):
            if lane.path == chosen:
                return index
        self._miss(position, [lane.path for lane in runnable])
        return 0

    def _miss(self, position: int, runnable: Iterable[Path]) -> None:
        """Go on after the lane that was to run next turned out not to be among the runnable ones.

        After the end of the program asyncio runs what was ready at certain moments, and no more; what that is can
        differ for orders that are otherwise the same. Then all that can run there is tried.

        Raises:
            UsageError: This is not after the end of the program.
        """
        node = self._nodes[position]
        if not any(step.last for step in self.accesses.steps[:position]):
            raise UsageError(_DIVERGED.format(position=position, lane=node.chosen))
        node.todo.update(runnable)
        self._asleep = True

    def _branch(self, runnable: Sequence[Lane], current: Lane | None) -> bool:
        """Decide for the first time what runs in a new state; ``False`` if everything there sleeps."""
        awake = [lane for lane in runnable if lane.path not in self._sleep]
        if not awake:
            self._asleep = True
            return False
        ordinary = [lane for lane in awake if lane.kind != "fault"]
        chosen = (ordinary or awake)[0]  # As asyncio would, so that who waits for another in a loop lets it come.
        # No race shows that a fault that was only offered could have happened, so each is tried wherever it is.
        todo = {chosen.path, *(lane.path for lane in awake if lane.kind == "fault")}
        self._nodes.append(_Node(chosen.path, self._sleep, todo))
        return True

    def _follow(self) -> None:
        """Take note of the steps since the last choice; those without a choice get their nodes here."""
        steps, nodes = self.accesses.steps, self._nodes
        for position in range(self._followed, len(steps)):
            step = steps[position]
            if position == len(nodes):
                self._asleep |= step.lane in self._sleep
            if self._asleep:
                return
            if position == len(nodes):
                nodes.append(_Node(step.lane, self._sleep, {step.lane}))
            node = nodes[position]
            if node.chosen != step.lane and not step.early:
                self._miss(position, [step.lane])
                return
            node.step = step
            self._followed = position + 1
            if self._followed >= self._planned:
                self._sleep = {
                    lane: other
                    for lane, other in node.sleep.items()
                    if lane != step.lane and not dependent(other, step)
                }

    def end(self, run: Any) -> None:
        """Find the races of the run that has ended, and plan their reversal."""
        self._follow()
        self.redundant += self._asleep
        self.untracked |= self.accesses.untracked
        self.cut |= self.accesses.cut
        order = HappensBefore(self.accesses.steps[: self._followed])
        for number in range(max(self._planned - 1, 0), self._followed):
            for first in order.races[number]:
                lanes = order.reversal(first, number)
                if order.steps[number].early:
                    # A timer that fires early has no lane before; what lets it is tried wherever it is on offer.
                    lanes = [lane for lane in lanes if lane != order.steps[number].lane]
                if lanes:
                    self._plan(first, lanes)
            for lane, causes in order.steps[number].disabled:
                self._plan_missing(number, lane, causes)
        for number in [step for step in range(self._followed) if order.steps[step].last][-1:]:
            for lane, causes in self.accesses.waiting:
                self._plan_missing(number, lane, causes)

    def _plan(self, position: int, lanes: list[Path]) -> None:
        """See to it that a run begins, from the state at *position*, with one of *lanes*."""
        node = self._nodes[position]
        if not any(lane in node.todo or lane in node.sleep for lane in lanes):
            node.todo.add(lanes[0])

    def _plan_missing(self, position: int, lane: Path, causes: tuple[int, ...]) -> None:
        """See to it that *lane* also runs before the step at *position*, which took its turn away."""
        if max(causes, default=-1) < position and lane != self._nodes[position].chosen:
            self._plan(position, [lane])


_DIVERGED = (
    "The explored test is not deterministic: step {position} was of the lane {lane} before, and that lane is not"
    " runnable there now. Something outside of the loop decides what runs: time, randomness, the order of a set, a"
    " global that outlives the run, or an object that was made before it."
)
