"""What is added to the failure of a test: how to see it again, and what the test's processes had been through."""

from __future__ import annotations

from supertester._core.origin import is_foreign
from supertester._core.seeds import VARIABLE, run_seed
from supertester.context import IsolationContext
from supertester.isolation.scope import evidence

__all__ = ["add_evidence", "explain", "trim"]


def explain(error: BaseException, test_id: str, context: IsolationContext | None) -> None:
    """Add to *error* how to run the test again, and the evidence; once, although a subtest's failure comes twice.

    Args:
        error: The failure.
        test_id: What ``unittest`` calls the test.
        context: The test; ``None`` if Hypothesis refused it before its first example.
    """
    if any(VARIABLE in note for note in getattr(error, "__notes__", ())):
        return
    seed = run_seed() if context is None else context.run_seed  # The test may have changed its environment.
    error.add_note(f"replay with: {VARIABLE}={seed} python -m unittest {test_id}")
    if context is not None:
        add_evidence(error, context)


def add_evidence(error: BaseException, context: IsolationContext) -> None:
    """Add to *error* what happened in the test before, as far as that is known."""
    if found := evidence(context):
        error.add_note(found)


def trim(error: BaseException) -> None:
    """Leave out the frames between the test runner and the user's code; all, where the case itself found a failure."""
    trace = error.__traceback__
    while trace is not None and is_foreign(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is not None or isinstance(error, AssertionError):
        error.__traceback__ = trace
