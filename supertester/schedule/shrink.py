"""Shrinking: the fewest forced switches with which a program still fails in the same way.

A schedule is a list of forced switches (see `supertester.schedule.token`), and every list is a schedule: a switch to a
lane that cannot run just then is left out. So switches can be dropped in any order, first many at once and then one by
one (delta debugging, Zeller and Hildebrandt 2002). That ends in a list of which none can be spared, which need not be
the shortest: dropping one moves what comes after it. So in the end all schedules of fewer switches are tried, none
first, then one, as far as the budget goes (iterative context bounding, Musuvathi and Qadeer 2007). Most bugs need one
or two.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from supertester.schedule.token import Path, Switch

__all__ = ["REPLAYS", "SECONDS", "Attempt", "Shrunk", "shrink"]

REPLAYS: Final = 3_000
"""How many replays shrinking may take."""
SECONDS: Final = 5.0
"""How many seconds of this thread's processor time: what is found is not to depend on what else the machine does."""

Switches = tuple[Switch, ...]


@dataclass(frozen=True)
class Attempt:
    """What came of trying some switches.

    Attributes:
        fails: Whether it failed in the same way.
        switches: Those that could be made.
        more: Returns the switches that could have been made after the last of these, each by itself.
    """

    fails: bool
    switches: Switches
    more: Callable[[], Sequence[Switch]] = tuple


@dataclass(frozen=True)
class Shrunk:
    """What shrinking came to.

    Attributes:
        switches: The fewest that were found.
        replays: How many schedules were tried.
        is_least: Whether every schedule with fewer switches was tried.
    """

    switches: Switches
    replays: int
    is_least: bool


class _OutOfBudget(Exception):
    pass


def shrink(
    switches: Iterable[Switch],
    attempt: Callable[[Switches], Attempt],
    *,
    replays: int = REPLAYS,
    seconds: float = SECONDS,
) -> Shrunk:
    """Return the fewest forced switches with which ``attempt`` still fails.

    Args:
        switches: Those that were found to fail.
        attempt: Runs a schedule.
        replays: How often it may be called.
        seconds: How long it may take in all, in processor time of this thread.

    >>> def attempt(tried):  # Fails with any switch to lane 0.1.
    ...     return Attempt(any(each.lane == (0, 1) for each in tried), tried)
    >>> shrink([Switch((0,), 1, (0, 2)), Switch((0,), 2, (0, 1)), Switch((0,), 3, (0, 1))], attempt).switches
    (Switch(giving=(0,), turn=2, lane=(0, 1)),)
    """
    search = _Search(tuple(switches), attempt, replays, time.thread_time() + seconds)
    is_least = False
    try:
        search.drop()
        is_least = search.look_for_fewer()
    except _OutOfBudget:
        pass
    return Shrunk(search.best, search.replays, is_least)


class _Search:
    def __init__(
        self, switches: Switches, attempt: Callable[[Switches], Attempt], replays: int, deadline: float
    ) -> None:
        self.best = switches
        self.replays = 0
        self._attempt = attempt
        self._limit = replays
        self._deadline = deadline
        self._tried: set[Switches] = set()

    def _try(self, switches: Switches) -> Attempt | None:
        """Try *switches*, and take what was made of them if it fails and is less; ``None`` if that is known already."""
        if switches in self._tried:
            return None
        if self.replays >= self._limit or time.thread_time() > self._deadline:
            raise _OutOfBudget
        self._tried.add(switches)
        self.replays += 1
        made = self._attempt(switches)
        self._tried.add(made.switches)
        if made.fails and len(made.switches) < len(self.best):
            self.best = made.switches
        return made

    def _is_better(self, switches: Switches) -> bool:
        before = self.best
        self._try(switches)
        return self.best is not before

    # Dropping ------------------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Drop switches, in halves, quarters and so on, until none can be spared."""
        self._is_better(())
        size = len(self.best)
        while size:
            if not any(self._is_better(each) for each in _without(self.best, size)):
                size //= 2
            size = min(size, len(self.best))

    # Trying all ----------------------------------------------------------------------------------------------------

    def look_for_fewer(self) -> bool:
        """Try all schedules with fewer switches, those with the fewest first; say whether that came to an end."""
        if not self.best:
            return True
        self._tried.clear()  # What more there is after them has to be seen again.
        base = self._try(())
        prefixes = [(base.switches, base.more)] if base is not None else []
        for size in itertools.count(1):
            if not prefixes or size >= len(self.best):
                return True
            longer: list[tuple[Switches, Callable[[], Sequence[Switch]]]] = []
            for prefix, more in prefixes:
                for switch in self._likely_first(more()):
                    made = self._try((*prefix, switch))
                    if made is None or len(made.switches) < size:
                        continue
                    if made.fails:
                        return True
                    if size + 1 < len(self.best):
                        longer.append((made.switches, made.more))
            prefixes = longer
        return True

    def _likely_first(self, switches: Sequence[Switch]) -> list[Switch]:
        """Return *switches* in an order in which one that fails is likely to come soon.

        Who gives way matters more than who goes on instead, because all others do sooner or later; and it is likely to
        be somebody who does so in what fails already.
        """
        giving = {switch.giving for switch in self.best}
        first: dict[tuple[Path, int], Switch] = {}
        for switch in switches:
            first.setdefault((switch.giving, switch.turn), switch)
        chosen = set(first.values())
        return sorted(switches, key=lambda switch: (switch not in chosen, switch.giving not in giving))


def _without(switches: Switches, size: int) -> Iterator[Switches]:
    """Yield *switches* without *size* of them in a row, first without the last ones, which nothing builds on."""
    for end in range(len(switches), 0, -size):
        yield switches[: max(end - size, 0)] + switches[end:]
