"""`Subject`: what is explored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from supertester.schedule.run import Program
from supertester.schedule.token import Schedule, Switch, fingerprint

__all__ = ["Subject"]


@dataclass(frozen=True)
class Subject:
    """What is explored.

    Attributes:
        program: Runs one schedule.
        name: What it is called, the same in every run.
        command: What shows a failure again, given the token.
        through: Exceptions that are no failures, and end the exploration.
    """

    program: Program
    name: str
    command: Callable[[str], str]
    through: tuple[type[BaseException], ...] = ()

    @property
    def fingerprint(self) -> int:
        """What its tokens know it by."""
        return fingerprint(self.name)

    def token(self, switches: tuple[Switch, ...], choices: int, seed: int) -> str:
        """Return the token of one of its schedules."""
        return Schedule(switches, choices, seed, self.fingerprint).token()
