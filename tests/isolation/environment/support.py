"""Running isolated tests side by side, in threads of this process."""

import threading
from collections.abc import Callable
from typing import Any

from supertester.testing import RecordingResult, inner_case, run_inner

__all__ = ["PATIENCE", "report_of", "side_by_side"]

PATIENCE = 20.0
"""Seconds after which a test that waits for another gives up."""


def report_of(body: Callable[[Any], Any], **options: Any) -> str:
    """Run *body* as an isolated test and return what failed."""
    return run_inner(inner_case(body, **options)).report


def side_by_side(*bodies: Callable[[Any, Callable[[], object]], Any], **options: Any) -> list[str]:
    """Run *bodies* as isolated tests at once; return what failed in each.

    Each is given its test case and a function that waits until all the others have called it as often. None begins
    before all have begun.
    """
    barrier = threading.Barrier(len(bodies))
    results = [RecordingResult() for _ in bodies]

    def run(body: Callable[..., Any], result: RecordingResult) -> None:
        def test(case: Any) -> None:
            try:
                meet()
                body(case, meet)
            except BaseException:
                barrier.abort()
                raise
            meet()

        run_inner(inner_case(test, **options), result=result)

    def meet() -> None:
        barrier.wait(PATIENCE)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(bodies, results, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [result.report for result in results]
