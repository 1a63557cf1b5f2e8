"""Programs of concurrent operations: what callers do to a subject, alone and at once, checked against a model.

A `Program` has steps before, branches that run at the same time, and steps after. `run_program` runs it as a scenario
on a fresh subject, writes down when each operation was called and what it returned, and has `supertester.linear` decide
whether the model, a plain class used by one caller at a time, could have answered the same.

`supertester.state_machines.ConcurrentStateMachine` makes a test case of it.
"""

from supertester.programs.drawing import programs
from supertester.programs.machine import Machine, rule
from supertester.programs.program import Program, Step
from supertester.programs.running import ProgramReport, run_program

__all__ = ["Machine", "Program", "ProgramReport", "Step", "programs", "rule", "run_program"]
