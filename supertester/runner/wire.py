"""Declared tests and outcomes as plain data, to cross between processes."""

from __future__ import annotations

from typing import Any

from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import Attachment, Problem, Subtest, TestOutcome

__all__ = ["declared_from", "declared_to", "outcome_from", "outcome_to"]

_FIELDS = tuple(DeclaredTest.__dataclass_fields__)


def declared_to(test: DeclaredTest) -> tuple[Any, ...]:
    """Return *test* as plain data."""
    return tuple(dict(test.tags) if name == "tags" else getattr(test, name) for name in _FIELDS)


def declared_from(data: tuple[Any, ...]) -> DeclaredTest:
    """Return the test that `declared_to` made *data* of."""
    return DeclaredTest(**dict(zip(_FIELDS, data, strict=True)))


def outcome_to(outcome: TestOutcome, output: str) -> tuple[Any, ...]:
    """Return what there is to say of *outcome*, but for which test it is of, as plain data."""
    if outcome.outcome == "passed" and not (output or outcome.subtests_run or outcome.reason or outcome.attachments):
        return ("passed", outcome.started, outcome.duration)
    return (
        outcome.outcome,
        outcome.started,
        outcome.duration,
        output,
        outcome.reason,
        outcome.subtests_run,
        tuple((each.description, each.outcome, each.reason) for each in outcome.subtests),
        tuple(_problem_to(each) for each in outcome.problems),
        tuple((each.name, each.kind, each.content) for each in outcome.attachments),
    )


def _problem_to(problem: Problem) -> tuple[Any, ...]:
    packed = None
    if problem.exception is not None:
        from supertester._core.packed_exceptions import pack

        packed = pack(problem.exception)
    return (problem.kind, problem.message, problem.details, problem.subtest, packed)


def outcome_from(
    data: tuple[Any, ...], declared: DeclaredTest | None, *, worker: int, test_id: str = ""
) -> TestOutcome:
    """Return the outcome of *declared*, or of the fixture *test_id*, that `outcome_to` made *data* of."""
    name, started, duration, *more = data
    given: dict[str, Any] = {}
    if more:
        output, reason, run, subtests, problems, attachments = more
        given = {
            "output": output,
            "reason": reason,
            "subtests_run": run,
            "subtests": tuple(Subtest(description=d, outcome=o, reason=r) for d, o, r in subtests),
            "problems": tuple(_problem_from(*each) for each in problems),
            "attachments": tuple(Attachment(name=n, kind=k, content=c) for n, k, c in attachments),
        }
    return TestOutcome(
        test_id=declared.test_id if declared is not None else test_id,
        outcome=name,
        declared=declared,
        started=started,
        duration=duration,
        worker=worker,
        attempt=declared.attempt if declared is not None else 1,
        **given,
    )


def _problem_from(kind: Any, message: str, details: str, subtest: str | None, packed: bytes | None) -> Problem:
    exception = None
    if packed is not None:
        from supertester._core.packed_exceptions import unpack

        exception = unpack(packed)
    return Problem(kind=kind, message=message, details=details, subtest=subtest, exception=exception)
