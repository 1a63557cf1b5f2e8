"""Every schedule of a small program: what the tests of the explored runtime run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from supertester.otp import Pid, Root, Runtime, sys
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Strategy

__all__ = ["Exhaustive", "asked", "explore", "outcomes", "world"]

Program = Callable[[], Coroutine[Any, Any, Any]]


class Exhaustive(Strategy):
    """Takes each path through the choices once, depth first; where it is not on, the order is asyncio's."""

    name = "exhaustive"

    def __init__(self) -> None:
        self.path: list[list[int]] = []  # The chosen index and how many there were, choice by choice.
        self.at = 0
        self.on = False

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        if not self.on:
            return 0
        if self.at == len(self.path):
            self.path.append([0, len(runnable)])
        chosen, count = self.path[self.at]
        assert count == len(runnable), "the program is not the same in every run"
        self.at += 1
        return chosen

    def next(self) -> bool:
        """Go on to the next path; say whether there is one."""
        self.at = 0
        self.on = False
        while self.path and self.path[-1][0] == self.path[-1][1] - 1:
            self.path.pop()
        if self.path:
            self.path[-1][0] += 1
        return bool(self.path)


def outcomes(program: Program, *, limit: int = 20_000, **options: Any) -> dict[Any, int]:
    """Run every schedule of *program*; return what they returned, or the types of their exceptions, with the counts."""
    strategy = Exhaustive()
    seen: dict[Any, int] = {}
    for _ in range(limit):
        loop = ExploringLoop(strategy, **options)
        try:
            outcome = loop.run(program())
        except Exception as error:  # noqa: BLE001
            outcome = type(error)
        seen[outcome] = seen.get(outcome, 0) + 1
        if not strategy.next():
            return seen
    raise AssertionError(f"more than {limit} schedules; make the program smaller")


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[Root]:
    """Let the body be a process of a runtime of its own, whose processes end with it."""
    async with Runtime(**options) as runtime:
        root = runtime.new_root()
        token = runtime.activate(root)
        try:
            yield root
        finally:
            explore(on=False)
            runtime.deactivate(token)


def explore(*, on: bool = True) -> None:
    """Try all orders from here on, or no longer."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ExploringLoop)
    if isinstance(loop.strategy, Exhaustive):
        loop.strategy.on = on


async def asked(pid: Pid) -> Any:
    """Return the state of *pid*, without a message that a fault could hit."""
    return await sys.get_state(pid)
