"""`explore_program`: a program under many schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertester.isolation.standalone import isolate, put_in_place
from supertester.programs.program import Program
from supertester.programs.running import ProgramReport, ProgramRun
from supertester.scenarios import ScenarioReport
from supertester.schedule.explore import explored, replayed
from supertester.schedule.report import ExplorationReport
from supertester.schedule.run import AsyncProgram
from supertester.schedule.settings import Settings
from supertester.schedule.subject import Subject

__all__ = ["ProgramFailed", "explore_program", "replay_program", "told"]


class ProgramFailed(AssertionError):
    """A program failed under some schedule; ``report`` is its own report.

    Attributes:
        schedule_signature: What is the same for two failures of one kind.
    """

    def __init__(self, report: ProgramReport) -> None:
        super().__init__("\n".join(report.lines()))
        self.report = report
        self.schedule_signature = (report.verdict, report.error)


def explore_program(program: Program, **options: Any) -> ExplorationReport:
    """Run *program* under one schedule after another until it fails, each on a fresh subject.

    When its steps run is up to the schedule, so they need not be put off with ``after``. In an example of Hypothesis a
    schedule that fails is shrunk and explained only when the example has been.

    Args:
        program: As `run_program` takes it.
        options: Those of `supertester.schedule.explore_schedules`.

    Raises:
        TypeError: *program* is no `Program`, or an option is unknown.
        UsageError: An option makes no sense, the model has no such operation, or an event loop is running already.

    Example::

        report = explore_program(Program(StockMachine, branches=[[Step("take")], [Step("take")]]), schedules=100)
        assert report.ok, told(report)
    """
    subject, settings = _explorable(program, options, "explore_program")
    return explored(subject, settings, "explore_program")


def replay_program(program: Program, token: str, **options: Any) -> ExplorationReport:
    """Run the one schedule of *program* that *token* stands for.

    Args:
        program: As it was when it failed.
        token: Is printed with a failure, and is ``report.failing.token``.
        options: Those of `explore_program` that change what a schedule is, such as ``faults``.

    Raises:
        UsageError: It is no token, or the program goes another way than the token says; the step is named.
        TypeError: *program* is no `Program`, or there is no such option.
    """
    subject, settings = _explorable(program, options, "replay_program")
    return replayed(subject, settings, token, "replay_program")


def told(report: ExplorationReport) -> str:
    """Return what there is to say of a program that was explored: what came of it, and under which schedule."""
    failing = report.failing
    if failing is None or not isinstance(failing.error, ProgramFailed):
        return str(report)
    _, *schedule = report.note.splitlines()
    return "\n".join([str(failing.error), "it happens under this schedule:", *schedule])


def _explorable(program: Program, options: Mapping[str, Any], whose: str) -> tuple[Subject, Settings]:
    if not isinstance(program, Program):
        raise TypeError(f"{whose}() takes a Program, got {program!r}")
    settings = Settings.made_of(options, f"{whose}()")
    put_in_place()
    machine = program.machine

    async def main() -> tuple[ProgramRun, ScenarioReport]:
        async with isolate(tags={"test": "program"}):
            run = ProgramRun(program)
            return run, await run.run()

    return (
        Subject(
            AsyncProgram(main, leaks=settings.leaks, judge=_judge),
            f"{machine.__module__}.{machine.__qualname__}: {program!r}",
            lambda token: f"replay_program({program!r}, {token!r})",
        ),
        settings,
    )


def _judge(result: tuple[ProgramRun, ScenarioReport]) -> None:
    run, scenario = result
    report = run.judged(scenario)
    if not report.ok:
        raise ProgramFailed(report)
