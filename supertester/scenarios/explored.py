"""`explore_scenario`: a scenario under many schedules."""

from __future__ import annotations

from typing import Any, cast

from supertester._core.naming import describe
from supertester.errors import UsageError
from supertester.isolation.standalone import isolate, put_in_place
from supertester.scenarios.operations import shown_operation
from supertester.scenarios.report import ScenarioReport
from supertester.scenarios.runner import run_scenario
from supertester.scenarios.scenario import Scenario
from supertester.schedule.explore import explore_named
from supertester.schedule.report import ExplorationReport
from supertester.schedule.run import user_line

__all__ = ["ScenarioFailed", "explore_scenario"]


class ScenarioFailed(AssertionError):
    """A scenario failed under some schedule; ``report`` is its own report.

    Attributes:
        schedule_signature: What is the same for two failures of one kind.
    """

    def __init__(self, report: ScenarioReport) -> None:
        super().__init__(str(report))
        self.report = report
        word, *details = report.error or ("",)
        errors = [each for each in details if isinstance(each, BaseException)]
        self.schedule_signature = (word, *((type(each).__qualname__, user_line(each.__traceback__)) for each in errors))


def explore_scenario(scenario: Scenario, **options: Any) -> ExplorationReport:
    """Run *scenario* under one schedule after another until it fails.

    Each schedule has a world of processes of its own; the logical threads are tasks.

    Args:
        scenario: As `run_scenario` takes it.
        options: Those of `supertester.schedule.explore_schedules`.

    Raises:
        UsageError: The scenario has threads of the operating system, or bounds for its performance: neither has a
            meaning where the schedule decides, and time is virtual.
        TypeError: *scenario* is no `Scenario`.

    >>> from supertester.otp import Agent
    >>> scenario = Scenario(lambda: Agent.start_link(0), [["value"], ["value"]])
    >>> explore_scenario(scenario, schedules=20, database=False).ok
    True
    """
    if not isinstance(scenario, Scenario):
        raise TypeError(f"explore_scenario() takes a Scenario, got {scenario!r}")
    if scenario.mode != "tasks":
        raise UsageError(
            f"explore_scenario() takes a scenario with mode='tasks', got mode={scenario.mode!r}: threads of the "
            "operating system go on when they like"
        )
    if scenario.performance_expectations:
        raise UsageError(
            "explore_scenario() takes no scenario with performance_expectations: time is virtual in a schedule; run it "
            "with run_scenario() to measure it"
        )

    async def one_schedule() -> None:
        async with isolate(tags={"test": "scenario"}):
            report = await run_scenario(scenario)
        if not report.ok:
            raise ScenarioFailed(report)

    put_in_place()
    return explore_named(one_schedule, _name_of(scenario), options, "explore_scenario")


def _name_of(scenario: Scenario) -> str:
    """Return what tells scenarios apart in the database of failures."""
    scripts = "; ".join(", ".join(map(shown_operation, script)) for script in cast(Any, scenario.threads))
    owner = getattr(scenario.setup, "__self__", None)
    setup = f"{owner.__qualname__}." if isinstance(owner, type) else ""
    return f"the scenario of {setup}{describe(scenario.setup).rpartition('.')[2]} with {scripts}"
