"""Scenarios and what runs them; `supertester.harness` is where they are used from."""

from supertester.scenarios.concurrently import run_concurrently
from supertester.scenarios.in_threads import run_in_threads
from supertester.scenarios.operations import Operation, normalized
from supertester.scenarios.parallel import check_parallel
from supertester.scenarios.report import ScenarioEvent, ScenarioReport, ThreadReport
from supertester.scenarios.runner import run_scenario, run_with_performance
from supertester.scenarios.scenario import Scenario
from supertester.scenarios.success import check_success_rate

__all__ = [
    "Operation",
    "Scenario",
    "ScenarioEvent",
    "ScenarioReport",
    "ThreadReport",
    "check_parallel",
    "check_success_rate",
    "normalized",
    "run_concurrently",
    "run_in_threads",
    "run_scenario",
    "run_with_performance",
]
