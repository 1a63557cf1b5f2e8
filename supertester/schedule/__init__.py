"""Time and order under control, on the standard library alone.

Event loops whose clock leaps over waiting, and `explore_schedules`, which runs a program under one schedule after
another and says which one fails, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supertester._core.lazy import lazy_attributes
from supertester.schedule.virtual_loop import LONG_PATIENCE, PATIENCE, Deadlock, VirtualLoop

if TYPE_CHECKING:
    from supertester.schedule.clock import ExploringClock, VirtualClock
    from supertester.schedule.diagnosis import NotDeterministic
    from supertester.schedule.explore import explore_schedules, replay_schedule
    from supertester.schedule.exploring_loop import ExploringLoop, Livelock
    from supertester.schedule.faults import Faults, no_more_faults
    from supertester.schedule.invariants import watch_invariant
    from supertester.schedule.report import ExplorationReport, FailingSchedule
    from supertester.schedule.run import InvariantViolated, Leaked
    from supertester.schedule.strategies.base import Strategy
    from supertester.schedule.tracked import Shared, track

__all__ = [
    "LONG_PATIENCE",
    "PATIENCE",
    "Deadlock",
    "ExplorationReport",
    "ExploringClock",
    "ExploringLoop",
    "FailingSchedule",
    "Faults",
    "InvariantViolated",
    "Leaked",
    "Livelock",
    "NotDeterministic",
    "Shared",
    "Strategy",
    "VirtualClock",
    "VirtualLoop",
    "explore_schedules",
    "no_more_faults",
    "replay_schedule",
    "track",
    "watch_invariant",
]

# What only exploration needs is loaded by who explores.
_HOMES = {
    "supertester.schedule.clock": ("ExploringClock", "VirtualClock"),
    "supertester.schedule.diagnosis": ("NotDeterministic",),
    "supertester.schedule.explore": ("explore_schedules", "replay_schedule"),
    "supertester.schedule.exploring_loop": ("ExploringLoop", "Livelock"),
    "supertester.schedule.faults": ("Faults", "no_more_faults"),
    "supertester.schedule.invariants": ("watch_invariant",),
    "supertester.schedule.report": ("ExplorationReport", "FailingSchedule"),
    "supertester.schedule.run": ("InvariantViolated", "Leaked"),
    "supertester.schedule.strategies.base": ("Strategy",),
    "supertester.schedule.tracked": ("Shared", "track"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # A type checker reads the imports above.
    __getattr__ = lazy_attributes(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
