"""`Settings`: how a program is explored, checked when they are given."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError
from supertester.schedule.faults import Faults
from supertester.schedule.invariants import check_invariant
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.named import can_be_complete, named_strategy

__all__ = ["LEVELS", "REPLAY", "Settings", "token_to_replay"]

REPLAY: Final = "SUPERTESTER_REPLAY"
"""The environment variable with the token of the one schedule that is to run."""
LEVELS: Final = ("io", "await")


def token_to_replay() -> str | None:
    """Return the token in the environment, if there is one."""
    return os.environ.get(REPLAY) or None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a program is explored; see `supertester.schedule.explore_schedules` for what each means.

    Raises:
        UsageError: A value makes no sense.
        TypeError: One is of a wrong type.
    """

    schedules: int = 1000
    strategy: str | Strategy = "auto"
    seed: int | None = None
    seconds: float | None = None
    level: str = "await"
    complete: bool = False
    invariant: Callable[[], Any] | None = None
    step_limit: int = 100_000
    faults: Faults | None = None
    leaks: str = "fail"
    database: Path | str | bool = True

    def __post_init__(self) -> None:
        _check_count("schedules", self.schedules, 1)
        _check_count("step_limit", self.step_limit, 1)
        if self.faults is not None and not isinstance(self.faults, Faults):
            raise TypeError(f"faults must be Faults(...), such as Faults(kill=1), got faults={self.faults!r}")
        if self.seed is not None:
            _check_count("seed", self.seed, 0)
        _check_seconds(self.seconds)
        _check_choice("level", self.level, LEVELS)
        _check_choice("leaks", self.leaks, ("fail", "ignore"))
        if not isinstance(self.complete, bool):
            raise TypeError(f"complete must be True or False, got complete={self.complete!r}")
        if self.invariant is not None:
            check_invariant(self.invariant, "invariant must be", "invariant=")
        if not isinstance(self.database, (bool, str, Path)):
            raise TypeError(f"database must be a folder, True or False, got database={self.database!r}")
        if not isinstance(self.strategy, (str, Strategy)):
            raise TypeError(f"strategy must be a name or a Strategy, got strategy={self.strategy!r}")
        strategy = self.make_strategy()
        if self.complete and not can_be_complete(strategy):
            raise UsageError(
                "complete=True needs a strategy that knows when no schedule is left, which are 'auto', 'dpor' and "
                f"'bounded', got strategy={strategy.name!r}; choose one of them, or leave complete= out"
            )

    def make_strategy(self) -> Strategy:
        """Return the strategy, a new one where only its name was given."""
        if isinstance(self.strategy, Strategy):
            return self.strategy
        return named_strategy("dpor" if self.strategy == "auto" and self.complete else self.strategy)

    @classmethod
    def made_of(cls, options: Mapping[str, Any], whose: str) -> Settings:
        """Return the settings that *options* stand for.

        Raises:
            TypeError: One is unknown.
        """
        known = [each.name for each in fields(cls)]
        for name in options:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise TypeError(f"unknown option {name!r} of {whose}{hint}; the options are {', '.join(known)}")
        return cls(**options)


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {name}={value!r}")
    if value < least:
        raise UsageError(f"{name} must be {least} or more, got {name}={value!r}")


def _check_seconds(seconds: float | None) -> None:
    if seconds is not None and checked_seconds("seconds", seconds, positive=True) == math.inf:
        raise UsageError(f"seconds must be finite, got seconds={seconds!r}; None is no limit")


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(choices)}, got {name}={value!r}")
