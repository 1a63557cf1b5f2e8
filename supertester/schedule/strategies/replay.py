"""Going through one schedule again: exactly, or as far as it goes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from typing import Final

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.token import Path, Switch, shown_path

__all__ = ["Attempted", "Course", "Followed", "Replay"]


_POLLS: Final = 16
"""Choices in a row at which a lane goes on before it has to let others."""


class Course:
    """What goes on where no switch is forced: the lane that ran last, else the one whose turn came first.

    A lane that had to give way by a forced switch waits until no other can go on, or it is switched to: as if what it
    awaits took long. So one switch is enough for "this message comes late", however much happens meanwhile (delay
    bounding, Emmi, Qadeer and Rakamarić 2011). A lane that goes on and on without ever waiting polls for what another
    has to do, and gives way by itself.
    """

    __slots__ = ("_in_a_row", "_last", "_late", "_turns")

    def __init__(self) -> None:
        self._turns: dict[Lane, int] = {}
        self._late: dict[Lane, None] = {}
        self._last: Lane | None = None
        self._in_a_row = 0

    def default(self, runnable: list[Lane], current: Lane | None) -> int:
        """Return the choice that is no forced switch."""
        late = self._late
        if current is not None:
            late.pop(current, None)
            if current is not self._last or self._in_a_row < _POLLS:
                return runnable.index(current)
            late[current] = None
        if not late:
            return 0
        for index, lane in enumerate(runnable):
            if lane not in late and lane.kind != "fault":
                return index
        return runnable.index(next(lane for lane in late if lane in runnable))

    def turn(self, default: Lane) -> int:
        """Return the how-manieth time it is the turn of *default*; called once for each choice."""
        self._turns[default] = turn = self._turns.get(default, 0) + 1
        return turn

    def take(self, chosen: Lane, default: Lane) -> None:
        """Take note that *chosen* goes on, although *default* would have."""
        self._late.pop(chosen, None)
        if chosen is not default and default not in self._late:
            self._late[default] = None
        self._in_a_row = self._in_a_row + 1 if chosen is self._last else 0
        self._last = chosen


class Attempted(Strategy):
    """Makes those of *switches* that can be made, and otherwise follows its `Course`.

    Attributes:
        made: The forced switches of this schedule.
    """

    name = "replay"

    def __init__(self, switches: Iterable[Switch]) -> None:
        self._wanted = {(switch.giving, switch.turn): switch.lane for switch in switches}
        self.made: list[Switch] = []
        self._others: list[tuple[Lane, int, list[Lane]]] = []
        self._course = Course()

    def begin(self, random: random.Random, number: int) -> bool:
        """Begin again; there is always something to do."""
        self.made, self._others = [], []
        self._course = Course()
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the switch that is wanted here, if there is one and its lane can run."""
        course = self._course
        chosen = default = course.default(runnable, current)
        giving = runnable[default]
        turn = course.turn(giving)
        if (wanted := self._wanted.get((giving.path, turn))) is not None:
            chosen = next((index for index, lane in enumerate(runnable) if lane.path == wanted), default)
        if chosen != default:
            self.made.append(Switch(giving.path, turn, runnable[chosen].path))
            self._others.clear()
        else:
            self._others.append((giving, turn, runnable.copy()))
        course.take(runnable[chosen], giving)
        return chosen

    def more(self) -> list[Switch]:
        """Return the switches that could have been made after the last of those that were."""
        return [
            Switch(giving.path, turn, lane.path)
            for giving, turn, lanes in self._others
            for lane in lanes
            if lane is not giving
        ]


class _Exact(Strategy):
    """A strategy that takes note of where what it wants cannot be had.

    Attributes:
        divergence: The first difference from what was expected, in words, or ``None``.
        made: The forced switches of this schedule.
        choices: How many choices it has had.
        instead_of: If the last choice was a forced switch: the lane that would have gone on.
    """

    name = "replay"

    def __init__(self) -> None:
        self.divergence: str | None = None
        self.made: list[Switch] = []
        self.choices = 0
        self.instead_of: Lane | None = None
        self._course = Course()

    def _take(self, wanted: int | None, default: int, turn: int, runnable: list[Lane]) -> int:
        """Make the choice that is *wanted*, or the default one if there is none."""
        chosen = default if wanted is None else wanted
        giving = runnable[default]
        self.instead_of = None
        if chosen != default:
            self.made.append(Switch(giving.path, turn, runnable[chosen].path))
            self.instead_of = giving
        self._course.take(runnable[chosen], giving)
        self.choices += 1
        return chosen

    def _find(self, wanted: Path, runnable: list[Lane]) -> int | None:
        """Return where *wanted* is in *runnable*, or note that it is not."""
        found = next((index for index, lane in enumerate(runnable) if lane.path == wanted), None)
        if found is None and self.divergence is None:
            self.divergence = (
                f"at choice {self.choices} lane {shown_path(wanted)} should go on, and it is not among those that can: "
                f"{_shown(runnable)}"
            )
        return found


class Replay(_Exact):
    """Follows the forced switches of a token to the letter."""

    def __init__(self, switches: Iterable[Switch]) -> None:
        super().__init__()
        self._switches = {(switch.giving, switch.turn): switch for switch in switches}

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the switch of the token, or none."""
        default = self._course.default(runnable, current)
        turn = self._course.turn(runnable[default])
        switch = self._switches.pop((runnable[default].path, turn), None)
        wanted = None if switch is None else self._find(switch.lane, runnable)
        return self._take(wanted, default, turn, runnable)

    def finish(self) -> str | None:
        """Return how the schedule went another way than the token says, or ``None``."""
        if self.divergence is None and self._switches:
            switch = next(iter(self._switches.values()))
            self.divergence = (
                f"it ended after {self.choices} choices, and lane {shown_path(switch.giving)} had not come to its turn "
                f"{switch.turn}, at which lane {shown_path(switch.lane)} should have gone on instead"
            )
        return self.divergence


class Followed(_Exact):
    """Makes the very choices of a run again."""

    def __init__(self, choices: Iterable[tuple[int, Lane]]) -> None:
        super().__init__()
        # Lanes of the run before are not kept alive, only their names.
        self._choices = [(among, lane.path) for among, lane in choices]

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the same choice."""
        default = self._course.default(runnable, current)
        wanted = None
        if self.choices < len(self._choices) and self.divergence is None:
            among, path = self._choices[self.choices]
            wanted = self._find(path, runnable)
            if among != len(runnable) and self.divergence is None:
                self.divergence = (
                    f"at choice {self.choices} there were {among} lanes to choose from, and now there are "
                    f"{len(runnable)}: {_shown(runnable)}"
                )
        return self._take(wanted, default, self._course.turn(runnable[default]), runnable)

    def finish(self) -> str | None:
        """Return how the schedule differs from the run, or ``None``."""
        if self.divergence is None and self.choices != len(self._choices):
            self.divergence = f"it ended after {self.choices} choices, and there should be {len(self._choices)}"
        return self.divergence


def _shown(runnable: list[Lane], limit: int = 8) -> str:
    shown = ", ".join(f"{shown_path(lane.path)} ({lane.label})" for lane in islice(runnable, limit))
    return shown + (f" and {len(runnable) - limit} more" if len(runnable) > limit else "")
