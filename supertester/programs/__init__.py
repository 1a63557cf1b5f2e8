"""Programs of concurrent operations: what callers do to a subject, alone and at once, checked against a model.

A `Program` has steps before, branches that run at the same time, and steps after. `run_program` runs it as a scenario
on a fresh subject, writes down when each operation was called and what it returned, and has `supertester.linear` decide
whether the model, a plain class used by one caller at a time, could have answered the same. `explore_program` does it
under many schedules.

`supertester.state_machines.ConcurrentStateMachine` makes a test case of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supertester.programs.drawing import programs
from supertester.programs.machine import Machine, rule
from supertester.programs.program import Program, Step
from supertester.programs.running import ProgramReport, run_program

if TYPE_CHECKING:
    from supertester.programs.exploring import ProgramFailed, explore_program, replay_program, told

__all__ = [
    "Machine",
    "Program",
    "ProgramFailed",
    "ProgramReport",
    "Step",
    "explore_program",
    "programs",
    "replay_program",
    "rule",
    "run_program",
    "told",
]

if not TYPE_CHECKING:  # What only exploration needs is loaded by who explores.

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from supertester.programs import exploring

        return getattr(exploring, name)
