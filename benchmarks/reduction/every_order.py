"""`EveryOrder`: all schedules of a program, one after the other, without any reduction."""

from __future__ import annotations

import random
from typing import Any

from supertester.schedule.strategies.base import Strategy

__all__ = ["EveryOrder"]


class EveryOrder(Strategy):
    """Runs every sequence of choices there is, without any reduction."""

    def __init__(self) -> None:
        self.exhausted = False
        self._choices: list[list[int]] = []  # The number of lanes at each choice, and which of them runs.
        self._position = 0

    def begin(self, _random: random.Random, number: int) -> bool:
        self._position = 0
        if number == 0:
            return True
        while self._choices and self._choices[-1][1] + 1 == self._choices[-1][0]:
            self._choices.pop()
        if not self._choices:
            self.exhausted = True
            return False
        self._choices[-1][1] += 1
        return True

    def choose(self, runnable: list[Any], _current: Any) -> int:
        if self._position == len(self._choices):
            self._choices.append([len(runnable), 0])
        self._position += 1
        return self._choices[self._position - 1][1]
