"""When which user is to do what: decided beforehand, whatever the system does with it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from supertester.errors import UsageError

__all__ = ["LoadPlan"]


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """An open model: operations are due at times of their own, also while earlier ones are late.

    Attributes:
        users: How many there are. A user does one operation after the other.
        rate: Operations that each of them has to do, per second.
        duration: Seconds in which operations become due.
        ramp_up: Seconds in which the users begin, one after the other, at equal distances.
        phase: ``"spread"``: each user at equal distances, and not at the same moment as the others; ``"random"``: as
            if the users knew nothing of each other, with exponential distances (a Poisson process).
        seed: Of what is random.
        numbers: Which of the users; all of them, unless several machines share them.
    """

    users: int
    rate: float
    duration: float
    ramp_up: float = 0.0
    phase: str = "spread"
    seed: int = 0
    numbers: range = field(default=range(0))

    def __post_init__(self) -> None:
        if isinstance(self.users, bool) or not isinstance(self.users, int):
            raise TypeError(f"users must be a whole number, got users={self.users!r}")
        if self.users < 1:
            raise UsageError(f"users must be at least 1, got users={self.users!r}")
        for name in ("rate", "duration", "ramp_up"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number, got {name}={value!r}")
            least = "0 or more" if name == "ramp_up" else "more than 0"
            if not 0 <= value < float("inf") or (value == 0 and name != "ramp_up"):
                raise UsageError(f"{name} must be {least}, and not infinite, got {name}={value!r}")
        if self.ramp_up > self.duration:
            raise UsageError(f"ramp_up={self.ramp_up!r} is longer than duration={self.duration!r}; give more duration")
        if self.phase not in ("spread", "random"):
            raise UsageError(f"phase must be 'spread' or 'random', got phase={self.phase!r}")
        if not self.numbers:
            object.__setattr__(self, "numbers", range(self.users))

    def due(self, number: int) -> Iterator[int]:
        """Yield when user *number* has to begin each operation, in nanoseconds after the start.

        >>> [at // 1_000_000 for at in LoadPlan(users=2, rate=4, duration=1).due(1)]
        [125, 375, 625, 875]
        """
        begin = self.ramp_up * number / self.users
        if self.phase == "spread":
            begin += number / self.users / self.rate
            count = 0
            while (at := begin + count / self.rate) < self.duration:
                yield round(at * 1e9)
                count += 1
        else:
            chance = random.Random(f"{self.seed}/{number}")
            at = begin + chance.expovariate(self.rate)
            while at < self.duration:
                yield round(at * 1e9)
                at += chance.expovariate(self.rate)

    def shares(self, machines: int) -> list[LoadPlan]:
        """Divide the users among *machines* whose clocks agree; the reports add up with `LoadReport.merged`.

        Raises:
            UsageError: There is no machine, or no user for one of them.
        """
        if isinstance(machines, bool) or not isinstance(machines, int):
            raise TypeError(f"machines must be a whole number, got machines={machines!r}")
        if machines < 1:
            raise UsageError(f"there must be at least 1 machine, got machines={machines!r}")
        if machines > len(self.numbers):
            raise UsageError(
                f"there are only {len(self.numbers)} users for {machines} machines, got machines={machines!r}; use "
                "fewer machines, or more users"
            )
        return [replace(self, numbers=self.numbers[index::machines]) for index in range(machines)]
