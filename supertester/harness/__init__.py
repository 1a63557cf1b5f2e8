"""Scenarios: several callers at once, what they did in one order, and what must hold afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supertester._core.lazy import lazy_attributes
from supertester.harness.builders import (
    chaos_inject_crash,
    chaos_kill_children,
    default_invariant,
    from_property_config,
    simple_genserver_scenario,
)
from supertester.harness.implements import check_implements
from supertester.scenarios import (
    Operation,
    Scenario,
    ScenarioEvent,
    ScenarioReport,
    ThreadReport,
    check_parallel,
    check_success_rate,
    run_concurrently,
    run_in_threads,
    run_scenario,
    run_with_performance,
)

if TYPE_CHECKING:
    from supertester.scenarios.explored import ScenarioFailed, explore_scenario

__all__ = [
    "Operation",
    "Scenario",
    "ScenarioEvent",
    "ScenarioFailed",
    "ScenarioReport",
    "ThreadReport",
    "chaos_inject_crash",
    "chaos_kill_children",
    "check_implements",
    "check_parallel",
    "check_success_rate",
    "default_invariant",
    "explore_scenario",
    "from_property_config",
    "run_concurrently",
    "run_in_threads",
    "run_scenario",
    "run_with_performance",
    "simple_genserver_scenario",
]

if not TYPE_CHECKING:  # What only exploration needs is loaded by who explores.
    __getattr__ = lazy_attributes(
        __name__, dict.fromkeys(("ScenarioFailed", "explore_scenario"), "supertester.scenarios.explored")
    )
