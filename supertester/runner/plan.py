"""`Plan`: what belongs together, and what begins first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from supertester.runner.declared import DeclaredTest

__all__ = ["Plan", "Settings", "Unit"]


class Unit(NamedTuple):
    """Tests that one worker runs one after the other: positions of a plan, from *start* up to *stop*."""

    start: int
    stop: int


class Plan:
    """Tests in the order in which they are handed out, in units.

    The tests of a class or module fixture are one unit, so that the fixture runs once. Every other test is a unit by
    itself: a worker that is free takes the next one, so nobody waits while another has work in store. The longest units
    come first, by what earlier runs took; that is Graham's rule of the longest processing time, whose schedule ends at
    most a third later than the best one (SIAM J. Appl. Math. 17, 1969). Units of unknown length come before all others.
    """

    def __init__(self, tests: Sequence[DeclaredTest], units: Sequence[Unit]) -> None:
        self.tests = tuple(tests)
        self.units = tuple(units)

    @classmethod
    def of(
        cls, tests: Sequence[DeclaredTest], durations: Mapping[str, float] | None = None, *, keep_order: bool = False
    ) -> Plan:
        """Return the plan for *tests*.

        Args:
            tests: What to run.
            durations: Seconds that tests took, by id.
            keep_order: Begin in the order of *tests*; a fixture whose tests are apart in it runs several times.
        """
        groups = _runs(tests) if keep_order else _groups(tests)
        if durations and not keep_order:
            groups.sort(key=lambda group: -_length(group, durations))
        ordered: list[DeclaredTest] = []
        units: list[Unit] = []
        for group in groups:
            units.append(Unit(len(ordered), len(ordered) + len(group)))
            ordered += group
        return cls(ordered, units)


class Settings:
    """What a worker has to know of the options; plain data."""

    def __init__(
        self,
        *,
        failfast: bool = False,
        tb_locals: bool = False,
        keep_exceptions: bool = False,
        keep_set_up: bool = False,
        threads: int = 1,
        timeout: float | None = None,
        warnings: str | None = None,
        layer_limits: Mapping[str, float | None] | None = None,
        attachments: bool = False,
        coverage: bool = False,
    ) -> None:
        self.failfast = failfast
        self.tb_locals = tb_locals
        self.keep_exceptions = keep_exceptions
        self.keep_set_up = keep_set_up
        """Leave fixtures set up between units, for the next may need the same."""
        self.threads = threads
        self.timeout = timeout
        self.warnings = warnings
        self.layer_limits = layer_limits
        self.attachments = attachments
        self.coverage = coverage

    def one_by_one(self) -> Settings:
        """Return the same with one test at a time."""
        return Settings(**{**vars(self), "threads": 1})

    def limit_of(self, test: DeclaredTest) -> float | None:
        """Return the seconds that *test* may take: as its tag says, or else as usual, or more if its class says so."""
        if "timeout" in test.tags:
            own = test.tags["timeout"]
            return None if own is None else float(own)
        if self.timeout is None or test.own_limit is None:
            return None
        return max(self.timeout, test.own_limit * 1.5)  # It reports better itself that it took too long.


def _runs(tests: Sequence[DeclaredTest]) -> list[list[DeclaredTest]]:
    groups: list[list[DeclaredTest]] = []
    for test in tests:
        if test.fixture is not None and groups and groups[-1][-1].fixture == test.fixture:
            groups[-1].append(test)
        else:
            groups.append([test])
    return groups


def _groups(tests: Sequence[DeclaredTest]) -> list[list[DeclaredTest]]:
    groups: dict[object, list[DeclaredTest]] = {}
    for number, test in enumerate(tests):
        # The second attempt at a test is there to be another run of its fixture too.
        key = number if test.fixture is None else (test.fixture, test.attempt)
        groups.setdefault(key, []).append(test)
    return list(groups.values())


def _length(group: Sequence[DeclaredTest], durations: Mapping[str, float]) -> float:
    known = [durations[test.test_id] for test in group if test.test_id in durations]
    if not known:
        return float("inf")
    return sum(known) * len(group) / len(known)
