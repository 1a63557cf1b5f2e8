"""Who goes along with each test in the process that runs it, and may have a word on its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import TestOutcome

__all__ = ["Companion", "companions_of"]


class Companion(Protocol):
    """Is called in the thread of the test, just before it begins and after it has ended."""

    def begin(self, test: DeclaredTest) -> None:
        """A test is about to begin."""

    def end(self, outcome: TestOutcome) -> TestOutcome:
        """Return the outcome of that test, or what takes its place."""


def companions_of(
    tests: Sequence[DeclaredTest],
    *,
    layer_limits: Mapping[str, float | None] | None = None,
    attachments: bool = False,
    coverage: bool = False,
) -> list[Companion]:
    """Return who goes along with *tests*; nobody where there is nothing to do.

    Args:
        tests: What is to run.
        layer_limits: Seconds that a test of each layer may take, beside what is usual.
        attachments: Whether what tests attach is wanted.
        coverage: Whether lines are measured, in a process that may die.
    """
    found: list[Companion] = []
    if any("layer" in test.tags for test in tests):
        from supertester.runner.guard import LayerGuard

        found.append(LayerGuard(layer_limits))
    if attachments:
        from supertester.runner.attaching import Attacher

        found.append(Attacher())
    if coverage:
        from supertester.runner.covering import Saver

        found.append(Saver())
    return found
