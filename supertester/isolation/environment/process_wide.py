"""What belongs to the process as a whole: a test may change it while no other test runs in the process."""

from __future__ import annotations

from typing import NamedTuple

from supertester._core.origin import here
from supertester.context import IsolationContext, Problem
from supertester.errors import UsageError
from supertester.isolation import identity

__all__ = ["are_any", "claim", "release", "welcome"]


class _Claim(NamedTuple):
    holder: IsolationContext
    what: str
    line: str | None


_claims: dict[object, _Claim] = {}
"""What is changed now, by what it is, and by whom."""


def are_any() -> bool:
    """Say whether anything is changed now."""
    return bool(_claims)


def claim(context: IsolationContext, key: object, what: str, *, action: str, instead: str) -> None:
    """Let *context* change a thing of the whole process, until `release`.

    Args:
        context: The test.
        key: What identifies the thing.
        what: What it is called.
        action: What the test is about to do.
        instead: What it could do without changing the process.

    Raises:
        UsageError: Other tests are running in the process.
    """
    mine = _claims.get(key)
    if mine is not None and _is_within(context, mine.holder):
        return
    others = identity.others(context)
    if not others:
        # First claimed and then looked again, while who begins is first seen and then looks: one of the two notices.
        _claims[key] = _Claim(context, what, here(2))
        others = identity.others(context)
        if others:
            release(context, key)
    if others:
        raise UsageError(
            f"{action} would change {what} for the whole process, in which {_counted(others)}; {instead}, "
            f"or let this test run alone, with isolation='contamination_detection'"
        )


def release(context: IsolationContext, key: object) -> None:
    """Say that *context* has put back what it had changed."""
    found = _claims.get(key)
    if found is not None and found.holder is context:
        del _claims[key]


def welcome(context: IsolationContext) -> None:
    """Blame those who have changed the process that *context* begins to run in."""
    for each in list(_claims.values()):
        if not each.holder.closed and not _is_within(context, each.holder):
            each.holder.report(
                Problem(
                    "environment",
                    f"the test changed {each.what} for the whole process (at {each.line or 'an unknown line'}), and "
                    f"test {context.test_id!r} began to run in it meanwhile; let one of them run alone, with "
                    f"isolation='contamination_detection'",
                )
            )


def _is_within(context: IsolationContext | None, holder: IsolationContext) -> bool:
    while context is not None and context is not holder:
        context = context.outer
    return context is holder


def _counted(others: list[str]) -> str:
    first = f"test {others[0]!r} runs too"
    return first if len(others) == 1 else f"{first} and {len(others) - 1} more"
