"""Everything that a program can come to, as far as a strategy looks."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

from supertester.errors import UsageError
from supertester.schedule.access_loop import loop_for
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.faults import Faults
from supertester.schedule.strategies.base import Strategy

__all__ = ["Explored", "Program", "TooMany", "explore"]

Program = Callable[[], Coroutine[Any, Any, Hashable]]


@dataclass(frozen=True)
class Explored:
    """All runs of a program under one strategy: what each came to."""

    outcomes: list[Hashable]
    strategy: Any


class TooMany(Exception):
    """There are more runs than anybody wanted."""


def explore(
    program: Program,
    strategy: Strategy,
    *,
    limit: int = 100_000,
    faults: Faults | None = None,
    make_loop: Callable[[Strategy], ExploringLoop] = loop_for,
) -> Explored:
    """Run *program* until *strategy* has nothing left.

    A program with a method ``left`` also comes to what that returns when the run is over.
    """
    outcomes: list[Hashable] = []
    while strategy.begin(random.Random(0), len(outcomes)):
        if len(outcomes) == limit:
            raise TooMany(f"more than {limit} runs")
        loop = make_loop(strategy)
        if faults is not None:
            loop.allow_faults(faults)
        outcomes.append(_outcome(program, loop))
        strategy.end(None)
    return Explored(outcomes, strategy)


def _outcome(program: Program, loop: Any) -> Hashable:
    try:
        outcome: Hashable = loop.run_until_complete(program())
    except UsageError:
        raise
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 that is one of its outcomes
        outcome = type(error).__name__
    left = program.left() if hasattr(program, "left") else None
    for task in loop.tasks:
        if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:
            task.get_coro().close()  # Or it is reported as never awaited.
    loop.close()
    return outcome if left is None else (outcome, left)
