"""A transition system in miniature, and all of its runs: what partial order reduction is held against.

It has lanes, steps and wake-ups like the exploring loop, but no asyncio, and it notes what it touches by itself.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Any

from benchmarks.reduction.every_order import EveryOrder
from supertester.schedule.accesses import Accesses
from supertester.schedule.strategies.dpor import Dpor

__all__ = ["Box", "EveryOrder", "Latch", "Mutex", "Toy", "outcomes"]

Steps = Iterator[object]
BLOCKED = object()
"""What a lane yields if it goes on only when it is woken; any other value means that it merely lets others run."""


class Lane:
    def __init__(self, path: tuple[int, ...], steps: Steps) -> None:
        self.path = path
        self.kind = "task"
        self.steps = steps
        self.causes: deque[tuple[int, ...]] = deque()
        self.done = False


class Toy:
    """One run: variables, lanes, and everything that they touch."""

    def __init__(self, strategy: Any) -> None:
        self.strategy = strategy
        self.accesses = strategy.accesses = Accesses()
        self.variables: dict[Hashable, Any] = {}
        self.lanes: list[Lane] = []
        self.current: Lane | None = None
        self.failed: str | None = None

    def read(self, variable: Hashable) -> Any:
        self.accesses._step.reads.add(variable)
        return self.variables.get(variable, 0)

    def write(self, variable: Hashable, value: Any) -> None:
        self.accesses._step.writes.add(variable)
        self.variables[variable] = value

    def spawn(self, steps: Steps) -> Lane:
        lane = Lane((len(self.lanes),), steps)
        self.lanes.append(lane)
        self.wake(lane)
        return lane

    def wake(self, lane: Lane) -> None:
        lane.causes.append(self.accesses.now)

    def cancel(self, lane: Lane) -> None:
        """Take away what the lane was to do next, as the cancelling of a scheduled callback does."""
        self.accesses.interrupt(lane)
        if lane.causes:
            self.accesses.cancelled(lane, lane.causes.popleft())

    def fail(self, why: str) -> None:
        self.failed = why

    def run(self) -> Hashable:
        while (runnable := [lane for lane in self.lanes if lane.causes]) and self.failed is None:
            lane = runnable[0]
            if len(runnable) > 1:
                lane = runnable[self.strategy.choose(runnable, self.current if self.current in runnable else None)]
            self.step(lane)
        if self.failed is not None:
            self.accesses.stop()
            self.accesses.waiting = [(lane.path, lane.causes[0]) for lane in runnable]
        stuck = tuple(lane.path for lane in self.lanes if not lane.done)
        return (self.failed, () if self.failed else stuck, tuple(sorted(self.variables.items(), key=repr)))

    def step(self, lane: Lane) -> None:
        self.current = lane
        self.accesses.begin(lane, lane.causes.popleft())
        try:
            if next(lane.steps) is not BLOCKED:
                self.wake(lane)
        except StopIteration:
            lane.done = True


class Mutex:
    """A lock like asyncio's: asking is a step, and whoever is woken has it."""

    def __init__(self, toy: Toy, name: str) -> None:
        self.toy, self.name = toy, name
        self.owner: Lane | None = None
        self.waiting: deque[Lane] = deque()

    def acquire(self) -> Iterator[object]:
        self.toy.write(self.name, 0)
        assert self.toy.current is not None
        if self.owner is None:
            self.owner = self.toy.current
        else:
            self.waiting.append(self.toy.current)
            yield BLOCKED

    def release(self) -> None:
        self.toy.write(self.name, 0)
        self.owner = self.waiting.popleft() if self.waiting else None
        if self.owner is not None:
            self.toy.wake(self.owner)


class Latch:
    """An event."""

    def __init__(self, toy: Toy, name: str) -> None:
        self.toy, self.name = toy, name
        self.open = False
        self.waiting: list[Lane] = []

    def set(self) -> None:
        self.toy.write(self.name, 0)
        self.open = True
        for lane in self.waiting:
            self.toy.wake(lane)
        self.waiting = []

    def wait(self) -> Iterator[object]:
        assert self.toy.current is not None
        if self.open:
            self.toy.read(self.name)
        else:
            self.toy.write(self.name, 0)
            self.waiting.append(self.toy.current)
            yield BLOCKED


class Box:
    """A mailbox with one owner; each message is a step of its own."""

    def __init__(self, toy: Toy, name: str) -> None:
        self.toy, self.name = toy, name
        self.messages: deque[Any] = deque()
        self.waiting: Lane | None = None

    def put(self, message: Any) -> None:
        self.toy.accesses._step.writes.add(self.name)
        self.messages.append((message, self.toy.accesses.now))
        if self.waiting is not None:
            self.toy.wake(self.waiting)
            self.waiting = None

    def get(self) -> Generator[object, None, Any]:
        owner = self.toy.current
        assert owner is not None
        if self.messages:
            owner.causes.append(self.messages[0][1])  # It happens after its put, whenever the owner asked.
        else:
            self.waiting = owner
        yield BLOCKED
        return self.messages.popleft()[0]


Program = Callable[[Toy], None]


def outcomes(program: Program, strategy: Any, limit: int = 100_000) -> tuple[list[Hashable], Any]:
    """Return what each run of *program* came to, and the strategy."""
    found: list[Hashable] = []
    while strategy.begin(random.Random(0), len(found)):
        assert len(found) < limit, f"more than {limit} runs"
        toy = Toy(strategy)
        program(toy)
        found.append(toy.run())
        strategy.end(None)
    return found, strategy


def reduced(program: Program, limit: int = 100_000) -> tuple[list[Hashable], Dpor]:
    return outcomes(program, Dpor(), limit)
