"""`Faults`: what may go wrong in an explored schedule, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError

__all__ = ["KINDS", "TIMER_FIRST", "Faults", "kind_of", "no_more_faults"]

TIMER_FIRST: Final = "timer_first"
KINDS: Final = ("kill", "crash", "drop", "duplicate", "delay", TIMER_FIRST)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What may go wrong in a schedule, each kind so many times at most; when, and to whom, the schedule chooses.

    A fault that a failure does not need shrinks away. Those that it does need are in its report and in its token.

    Args:
        kill: Processes that end at once with the reason ``KILLED``; a supervisor will start them again.
        crash: Processes that end with an exception between two messages; their ``terminate`` is called.
        drop: Messages that are lost.
        duplicate: Messages that arrive twice.
        delay: Messages that arrive *seconds* late; others overtake them.
        timer_first: Timers that fire although something else could still run: a timeout before the reply.
        targets: Who may be hit: registered names, classes of servers, pids, functions that are given a pid and say
            whether; one of these or several. By default every server that is no supervisor.
        seconds: How late a message is that is delayed, in virtual time.

    Raises:
        UsageError: A number makes no sense, or nothing may go wrong at all.
        TypeError: One is no number.

    >>> Faults(kill=1, drop=2).budgets()
    {'kill': 1, 'drop': 2}
    """

    kill: int = 0
    crash: int = 0
    drop: int = 0
    duplicate: int = 0
    delay: int = 0
    timer_first: int = 0
    targets: Any = None
    seconds: float = 1.0

    def __post_init__(self) -> None:
        for kind in KINDS:
            _check_count(kind, getattr(self, kind))
        checked_seconds("seconds", self.seconds)
        if not self.budgets():
            raise UsageError(f"nothing may go wrong: give one of {', '.join(KINDS)}, as in Faults(kill=1)")

    def budgets(self) -> dict[str, int]:
        """Return how often each kind may happen, of those that may."""
        return {kind: count for kind in KINDS if (count := getattr(self, kind))}

    def chosen(self) -> tuple[Any, ...] | None:
        """Return the *targets*, or ``None`` for the default."""
        targets = self.targets
        if targets is None:
            return None
        is_several = isinstance(targets, (list, tuple, set, frozenset))
        return tuple(targets) if is_several else (targets,)


def no_more_faults() -> None:
    """Let nothing go wrong from here on, so that what is left can recover and be looked at.

    Where no schedule is explored, nothing happens.

    >>> async def main():
    ...     no_more_faults()
    >>> asyncio.run(main())
    """
    loop: Any = asyncio.get_running_loop()
    if getattr(loop, "explores", False):
        loop.faults_left = 0


def _check_count(name: str, count: Any) -> None:
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{name} must be a whole number, got {name}={count!r}")
    if count < 0:
        raise UsageError(f"{name} must be 0 or more, got {name}={count!r}")


def kind_of(lane: Any) -> str:
    """Return of which kind the fault is that *lane* offers."""
    return getattr(lane.owner, "kind", TIMER_FIRST)
