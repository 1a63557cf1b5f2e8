"""What an explored program can learn of time and chance."""

from __future__ import annotations

import random

from supertester._core.seeds import derive_seed
from supertester.schedule.loop.timers import Timers

__all__ = ["Senses"]


class Senses(Timers):
    """Answers for the clocks and random numbers of the process, while it runs the program that asks."""

    seed: int = 0
    _readings = 0
    _random: random.Random | None = None

    @property
    def random(self) -> random.Random:
        """The random numbers of the program, which begin with the seed."""
        if self._random is None:
            self._random = random.Random(derive_seed(self.seed, "program"))
        return self._random

    def read_clock(self) -> int:
        """Return the virtual time in nanoseconds, a little later at each call.

        Nothing takes no time: a program that divides by how long something took must be able to.
        """
        self._readings += 1
        return round(self._now * 1e9) + self._readings

    def block(self, seconds: float) -> None:
        """Let *seconds* pass in the middle of a step, as ``time.sleep`` does."""
        self._now += seconds
