"""`check_success_rate`: whether enough of many calls succeeded, and what became of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.outcome import Outcome
from supertester.errors import UsageError

__all__ = ["check_success_rate"]

_SHOWN: Final = 20


def check_success_rate(
    outcomes: Iterable[Outcome[Any]], at_least: float, *, evidence: Iterable[Any] = ()
) -> Mismatch | None:
    """Say whether fewer of *outcomes* are good than *at_least*, and how the others failed.

    Args:
        outcomes: Those of `run_concurrently` or `run_in_threads`.
        at_least: The share, from 0 to 1.
        evidence: What may have been the reason, such as the ``hits`` of a `supertester.chaos.FailureDeck`; shown.

    Raises:
        UsageError: There are no outcomes, or the share is not from 0 to 1.

    >>> print(check_success_rate([Outcome(1), Outcome(error=OSError("gone"))], 0.75, evidence=["the cable was cut"]))
    1 of 2 succeeded (50.000%), expected at least 75.000%: 1 OSError
      1. call 1: OSError('gone')
      2. the cable was cut
    """
    if isinstance(at_least, bool) or not isinstance(at_least, (int, float)):
        raise TypeError(f"at_least must be a number from 0 to 1, got at_least={at_least!r}")
    if not 0 <= at_least <= 1:
        raise UsageError(f"at_least must be from 0 to 1, got at_least={at_least!r}")
    found = list(outcomes)
    if not found:
        raise UsageError("there are no outcomes, so there is no rate of success")
    failed = [(number, outcome.error) for number, outcome in enumerate(found) if not outcome.ok]
    good = len(found) - len(failed)
    if good >= at_least * len(found) - 1e-9:
        return None
    kinds = Counter(_kind(error) for _, error in failed)
    lines = [f"call {number}: {shown(error)}" for number, error in failed[:_SHOWN]]
    lines += [f"and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return Mismatch(
        f"{good} of {len(found)} succeeded ({good / len(found):.3%}), expected at least {at_least:.3%}: {counted}",
        [*lines, *map(str, evidence)],
    )


def _kind(error: Any) -> str:
    return type(error).__name__ if isinstance(error, BaseException) else shown(error)
