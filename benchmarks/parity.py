"""Whether exploring loops keep asyncio's order where nobody asks for another: ``python -m benchmarks.parity``.

Random programs run once on asyncio's own loop, whose clock alone is replaced, and once on an exploring loop with the
strategy that always takes the first lane. Every step must be the same, in the same order and at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import selectors
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.parity_programs import Program
from supertester._core.live_tasks import tasks_of
from supertester.schedule import Deadlock
from supertester.schedule.entropy import controlled_entropy
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo, Strategy

__all__ = ["StockLoop", "differences", "main"]

_INSTANT = 1e-9
"""Seconds between setting two timers: those that are due together fire in the order in which they were set."""
_SOON = 1e-3
"""Seconds within which timers fire in one round, as those do that asyncio wakes up for in the same millisecond."""
_DIGITS = 5


class StockLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with a clock that leaps over waiting, and sets in the order of exploration."""

    explores = True

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_NoWaiting(self))
        self._clock_resolution = _SOON
        self._count = 0
        self._timers_set = 0

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        self._timers_set += 1
        return super().call_at(when + self._timers_set * _INSTANT, callback, *args, context=context)

    def read_clock(self) -> int:
        return round(self.time() * 1e9)

    def make_task(self, _loop: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Make a task that has the same hash in every process."""
        self._count += 1
        task = _Numbered.__new__(_Numbered)
        task.number = self._count
        task.__init__(coro, loop=self, **options)  # type: ignore[misc]
        return task


class _Numbered(asyncio.Task[Any]):
    number: int

    def __hash__(self) -> int:
        return self.number


class _NoWaiting(selectors.DefaultSelector):
    def __init__(self, loop: StockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is left to do")
        self._loop._now = round(self._loop._now + timeout, _DIGITS)
        found: list[Any] = super().select(0)
        return found


def run_by_asyncio(program: Program) -> list[Any]:
    """Return the steps of *program* on asyncio's loop."""
    loop = StockLoop()
    eager = {"eager_start": True} if program.is_eager else {}
    loop.set_task_factory(lambda each, coro, **options: loop.make_task(each, coro, **eager, **options))
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        steps = _steps_of(program, loop)
        _end(loop)
    finally:
        loop.close()
    return steps


def _end(loop: StockLoop) -> None:
    """Cancel what is left, so that nothing complains."""
    for _ in range(3):
        left = tasks_of(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=1.0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))


def run_exploring(program: Program, strategy: Strategy | None = None) -> list[Any]:
    """Return the steps of *program* on an exploring loop."""
    loop = ExploringLoop(strategy or Fifo())
    if program.is_eager:
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    try:
        return _steps_of(program, loop)
    finally:
        loop.close()


def _steps_of(program: Program, loop: asyncio.AbstractEventLoop) -> list[Any]:
    try:
        loop.run_until_complete(program.main())
        ended = "ended"
    except Deadlock:
        ended = "deadlock"
    except BaseException as error:  # noqa: BLE001 it is part of what is compared
        ended = repr(error)
    return [*program.log, ended]


def differences(programs: range, strategy: Strategy | None = None) -> list[str]:
    """Return a line for each of the programs that does not take the same steps on both loops."""
    found = []
    with controlled_entropy():
        for seed in programs:
            program = Program(seed)
            expected = run_by_asyncio(program)
            seen = run_exploring(program, strategy)
            if expected != seen:
                at = next((at for at, pair in enumerate(zip(expected, seen, strict=False)) if pair[0] != pair[1]), -1)
                found.append(f"program {seed} differs at step {at}: {expected[at]} on asyncio, {seen[at]} exploring")
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", type=int, default=5_000, metavar="N", help="how many programs (5000)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the seed of the first (0)")
    options = parser.parse_args(arguments)
    found = differences(range(options.first, options.first + options.programs))
    print(
        "\n".join([*found, f"Python {platform.python_version()}: {len(found)} of {options.programs:,} programs differ"])
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
