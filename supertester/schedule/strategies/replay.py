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

    __slots__ = ("_in_a_row", "_last", "_late")

    def __init__(self) -> None:
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
        choices: How many choices it has had.
        options: For each choice, the lanes that could have gone on instead of the one that did.
    """

    name = "replay"

    def __init__(self, switches: Iterable[Switch]) -> None:
        self._wanted = {switch.at: switch.lane for switch in switches}
        self.made: list[Switch] = []
        self.options: list[list[Path]] = []
        self.choices = 0
        self._course = Course()

    def begin(self, random: random.Random, number: int) -> bool:
        """Begin again; there is always something to do."""
        self.made, self.options, self.choices = [], [], 0
        self._course = Course()
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the switch that is wanted here, if there is one and its lane can run."""
        at = self.choices
        self.choices += 1
        chosen = default = self._course.default(runnable, current)
        if (wanted := self._wanted.get(at)) is not None:
            chosen = next((index for index, lane in enumerate(runnable) if lane.path == wanted), default)
        if chosen != default:
            self.made.append(Switch(at, runnable[chosen].path, len(runnable)))
        self._course.take(runnable[chosen], runnable[default])
        self.options.append([lane.path for index, lane in enumerate(runnable) if index != chosen])
        return chosen


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

    def _take(self, wanted: int | None, runnable: list[Lane], current: Lane | None) -> int:
        """Make the choice that is *wanted*, or the default one if there is none."""
        default = self._course.default(runnable, current)
        chosen = default if wanted is None else wanted
        self.instead_of = None
        if chosen != default:
            self.made.append(Switch(self.choices, runnable[chosen].path, len(runnable)))
            self.instead_of = runnable[default]
        self._course.take(runnable[chosen], runnable[default])
        self.choices += 1
        return chosen

    def _find(self, wanted: Path, among: int, runnable: list[Lane]) -> int | None:
        """Return where *wanted* is in *runnable*, or note that it is not; with the first divergence all ends."""
        if self.divergence is not None:
            return None
        found = next((index for index, lane in enumerate(runnable) if lane.path == wanted), None)
        if found is None:
            self.divergence = (
                f"at choice {self.choices} lane {shown_path(wanted)} should go on, and it is not among those that can: "
                f"{_shown(runnable)}"
            )
        elif among != len(runnable):
            self.divergence = (
                f"at choice {self.choices} there were {among} lanes to choose from, and now there are {len(runnable)}: "
                f"{_shown(runnable)}"
            )
            return None
        return found

    def finish(self, choices: int) -> str | None:
        """Return how the schedule differs from one of so many *choices*, or ``None``."""
        if self.divergence is None and self.choices != choices:
            self.divergence = f"it ended after {self.choices} choices, and there should be {choices}"
        return self.divergence


class Replay(_Exact):
    """Follows the forced switches of a token to the letter."""

    def __init__(self, switches: Iterable[Switch]) -> None:
        super().__init__()
        self._switches = {switch.at: switch for switch in switches}

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the switch of the token, or none."""
        chosen = None
        if (switch := self._switches.get(self.choices)) is not None:
            chosen = self._find(switch.lane, switch.among, runnable)
        return self._take(chosen, runnable, current)


class Followed(_Exact):
    """Makes the very choices of a run again."""

    def __init__(self, choices: Iterable[tuple[int, Lane]]) -> None:
        super().__init__()
        # Lanes of the run before are not kept alive, only their names.
        self._choices = [(among, lane.path) for among, lane in choices]

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the same choice."""
        chosen = None
        if self.choices < len(self._choices):
            among, path = self._choices[self.choices]
            chosen = self._find(path, among, runnable)
        return self._take(chosen, runnable, current)


def _shown(runnable: list[Lane], limit: int = 8) -> str:
    shown = ", ".join(f"{shown_path(lane.path)} ({lane.label})" for lane in islice(runnable, limit))
    return shown + (f" and {len(runnable) - limit} more" if len(runnable) > limit else "")
