"""Declared tests, outcomes and reports, made without running anything."""

from __future__ import annotations

from typing import Any

from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import Problem, RunReport, TestOutcome

__all__ = ["declared", "outcome", "report"]


def declared(name: str, *, index: int = 0, **more: Any) -> DeclaredTest:
    """Return the test *name*, e.g. ``tests.test_a.TestA.test_x``."""
    module, class_name, method = name.rsplit(".", 2) if name.count(".") >= 2 else ("tests.test_a", "TestA", name)
    return DeclaredTest(index=index, test_id=name, module=module, class_name=class_name, method=method, **more)


def outcome(name: str, kind: Any = "passed", *, message: str = "", details: str = "", **more: Any) -> TestOutcome:
    """Return what became of the test *name*."""
    problems = (Problem(kind="failure", message=message, details=details or message),) if message else ()
    more.setdefault("declared", declared(name, attempt=more.get("attempt", 1)))
    return TestOutcome(test_id=name, outcome=kind, problems=problems, **more)


def report(*outcomes: TestOutcome, **more: Any) -> RunReport:
    """Return a report of these outcomes."""
    count = sum(not each.is_fixture for each in outcomes)
    executed = sum(not each.is_fixture and each.outcome != "lost" for each in outcomes)
    given = {"declared": count, "executed": executed, "seed": 7341, "workers": 1, "duration": 1.5, **more}
    return RunReport(tests=outcomes, **given)
