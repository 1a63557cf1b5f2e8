"""`Remaining`: which tests of a plan still have to be run, and which of them have to be run alone."""

from __future__ import annotations

from supertester.runner.ledger import Ledger
from supertester.runner.plan import Plan, Unit

__all__ = ["Remaining"]


class Remaining:
    """The tests that have no outcome yet.

    Args:
        plan: What to run.
        ledger: Knows the outcomes.
    """

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._plan = plan
        self._open = ledger.open
        self.suspects: set[int] = set()
        """The positions of tests that ran when their worker died, together with others."""

    def __len__(self) -> int:
        """How many there are, without the suspects."""
        return len(self._open) - len(self.suspects)

    def __contains__(self, position: int) -> bool:
        return position in self._open

    def units(self) -> list[Unit]:
        """Return all that can be handed out."""
        return [unit for each in self._plan.units for unit in self.within(each.start, each.stop)]

    def within(self, start: int, stop: int) -> list[Unit]:
        """Return what is left between two positions, as one unit or none."""
        left = [each for each in range(start, stop) if each in self._open and each not in self.suspects]
        return [Unit(left[0], left[-1] + 1)] if left else []

    def companions(self, position: int) -> set[int]:
        """Return the test at *position* and those that are left of its fixture."""

        def fixture(each: int) -> tuple[str | None, int]:
            return self._plan.tests[each].fixture, self._plan.tests[each].attempt

        return {each for each in self._open if each == position or fixture(each) == fixture(position)}
