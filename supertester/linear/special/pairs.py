"""Queues and stacks: each value with the call that put it in, and the one that took it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import lt
from typing import Any

from supertester._core.evidence import shown
from supertester.linear.history import PENDING, Operation
from supertester.linear.special.roles import by_role, of_result
from supertester.linear.special.violation import Violation, violation

__all__ = ["Pairs", "pairs_of"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The values of a history, in the order in which the calls that put them in were made.

    The times are those between which the effect must lie: a value was in before it was out.
    """

    put: list[Operation]
    take: list[Operation | None]
    """``None`` for what was never taken out."""
    empty: list[Operation]
    """What found nothing."""
    spare: list[Operation]
    """What never returned, and may have taken something out."""
    put_called: list[float]
    put_returned: list[float]
    take_called: list[float]
    take_returned: list[float]

    def given(self, takers: dict[int, Operation]) -> Pairs:
        """Return the same with *takers*, which never returned, for values that nobody else took out."""
        take, called = [*self.take], [*self.take_called]
        for each, taker in takers.items():
            take[each], called[each] = taker, max(taker.invoked, self.put_called[each])
        return replace(self, take=take, take_called=called)

    def end_of(self, each: int) -> str:
        """Return as words until when a value is certainly there."""
        taker = self.take[each]
        if taker is None:
            return "the end"
        return "the first call that may have taken it" if taker.pending else f"the call of {taker}"


def pairs_of(operations: Sequence[Operation], model: Any, put: str, take: str) -> Pairs | Violation | None:
    """Return the pairs of *operations*, or what is wrong with one of them, or ``None`` if a value was put in twice."""
    found = by_role(operations, model, {put: [1], take: [0]})
    if found is None:
        return None
    puts, takes = found[put], found[take]
    index = {operation.args[0]: number for number, operation in enumerate(puts)}
    if len(index) < len(puts) or None in index:
        return None
    return of_result(puts, None, model) or _paired(puts, takes, index)


def _paired(puts: list[Operation], takes: list[Operation], index: dict[Any, int]) -> Pairs | Violation:
    spare = [operation for operation in takes if operation.returned == PENDING]
    if spare:
        takes = [operation for operation in takes if operation.returned != PENDING]
    numbers = [index.get(operation.result) for operation in takes]
    empty = [operation for operation in takes if operation.result is None] if None in numbers else []
    taken: list[Operation | None] = [None] * len(puts)
    for number, operation in zip(numbers, takes, strict=True):
        if number is None:
            if operation.result is not None:
                return violation(f"{operation}, but {shown(operation.result)} was never put in", [operation])
        elif taken[number] is not None:
            sentence = f"{taken[number]} and {operation} took out the same, which was put in once"
            return violation(sentence, [puts[number], taken[number], operation])
        else:
            taken[number] = operation
    return _timed(puts, taken, empty, spare)


def _timed(
    puts: list[Operation], taken: list[Operation | None], empty: list[Operation], spare: list[Operation]
) -> Pairs | Violation:
    put_called = [each.invoked for each in puts]
    put_returned = [each.returned for each in puts]
    if PENDING in put_returned and None in taken:
        # What may never have been put in, and was not seen, is best left out: it can only be in the way.
        kept = [number for number, each in enumerate(taken) if each is not None or put_returned[number] != PENDING]
        if len(kept) < len(puts):
            return _timed([puts[number] for number in kept], [taken[number] for number in kept], empty, spare)
    take_called = [PENDING if each is None else each.invoked for each in taken]
    take_returned = [PENDING if each is None else each.returned for each in taken]
    if any(map(lt, take_returned, put_called)):
        number = next(number for number, called in enumerate(put_called) if take_returned[number] < called)
        sentence = f"{taken[number]} returned before {puts[number]} was called"
        return violation(sentence, [taken[number], puts[number]])
    # Conditions are quicker than min() and max().
    put_returned = [one if one < other else other for one, other in zip(put_returned, take_returned, strict=True)]  # noqa: FURB136
    take_called = [one if one > other else other for one, other in zip(take_called, put_called, strict=True)]  # noqa: FURB136
    return Pairs(puts, taken, empty, spare, put_called, put_returned, take_called, take_returned)
