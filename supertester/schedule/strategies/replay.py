"""Going through one schedule again: exactly, or as far as it goes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice

from supertester.schedule.lanes import Lane
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.token import Path, Switch, shown_path

__all__ = ["Attempted", "Followed", "Replay", "default_choice"]


def default_choice(runnable: list[Lane], current: Lane | None) -> int:
    """Return the choice that is no forced switch: to stay on the lane that ran last, else to run the oldest."""
    return 0 if current is None else runnable.index(current)


class Attempted(Strategy):
    """Makes those of *switches* that can be made, and otherwise stays on a lane until it blocks.

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

    def begin(self, random: random.Random, number: int) -> bool:
        """Begin again; there is always something to do."""
        self.made, self.options, self.choices = [], [], 0
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Make the switch that is wanted here, if there is one and its lane can run."""
        at = self.choices
        self.choices += 1
        chosen = default = default_choice(runnable, current)
        if (wanted := self._wanted.get(at)) is not None:
            chosen = next((index for index, lane in enumerate(runnable) if lane.path == wanted), default)
        if chosen != default:
            self.made.append(Switch(at, runnable[chosen].path, len(runnable)))
        self.options.append([lane.path for index, lane in enumerate(runnable) if index != chosen])
        return chosen


class _Exact(Strategy):
    """A strategy that takes note of where what it wants cannot be had.

    Attributes:
        divergence: The first difference from what was expected, in words, or ``None``.
        made: The forced switches of this schedule.
        choices: How many choices it has had.
    """

    name = "replay"

    def __init__(self) -> None:
        self.divergence: str | None = None
        self.made: list[Switch] = []
        self.choices = 0

    def _take(self, chosen: int, runnable: list[Lane], current: Lane | None) -> int:
        if chosen != default_choice(runnable, current):
            self.made.append(Switch(self.choices, runnable[chosen].path, len(runnable)))
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
        return self._take(default_choice(runnable, current) if chosen is None else chosen, runnable, current)


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
        return self._take(default_choice(runnable, current) if chosen is None else chosen, runnable, current)


def _shown(runnable: list[Lane], limit: int = 8) -> str:
    shown = ", ".join(f"{shown_path(lane.path)} ({lane.label})" for lane in islice(runnable, limit))
    return shown + (f" and {len(runnable) - limit} more" if len(runnable) > limit else "")
