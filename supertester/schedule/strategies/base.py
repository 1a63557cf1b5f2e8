"""`Strategy`: who of those that could run next does."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from supertester.schedule.accesses import Accesses
from supertester.schedule.lanes import Lane

__all__ = ["Strategy"]


class Strategy:
    """Chooses which lane runs next, for one schedule after another.

    Attributes:
        name: What users call it.
        needs_accesses: Whether it wants to know what each step read and wrote.
        watches_lines: Then, whether lines of the user's code are watched for it, which takes long; otherwise only what
            objects report by themselves is known.
        accesses: Then, what the steps of the current run touched; whoever makes the loop of the run puts it here.
        is_systematic: Whether it makes no schedule twice, and tries faults at each step by itself.
        exhausted: When `begin` has said that nothing is left: whether that is because every schedule was run.
    """

    name: str = "strategy"
    needs_accesses: ClassVar[bool] = False
    watches_lines: bool = True
    is_systematic: ClassVar[bool] = False
    exhausted: bool = True
    accesses: Accesses

    def begin(self, random: random.Random, number: int) -> bool:
        """Begin schedule *number* (from 0), with its random numbers; ``False`` if nothing is left to explore."""
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        """Return the index of the lane that runs next.

        Args:
            runnable: At least two lanes, the one whose head is oldest first: index 0 is what asyncio itself would run.
                Faults come last. The list is the loop's own: read it and let it be.
            current: The lane that ran last, if it can go on, else ``None``.
        """
        return 0

    def created(self, lane: Lane, parent: Lane | None) -> None:
        """Learn of a new lane. The loop calls this only where a strategy overrides it."""

    def end(self, run: Any) -> None:
        """Learn from the finished run."""
