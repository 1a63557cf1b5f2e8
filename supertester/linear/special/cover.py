"""When something is certainly there: from the return of the call that put it in to the call that took it out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from supertester._core.evidence import shown
from supertester.linear.history import PENDING, Operation
from supertester.linear.special.pairs import Pairs
from supertester.linear.special.violation import Violation, violation

__all__ = ["Fill", "chain_over", "empty_moments", "filled", "never_empty", "segments"]

_NAMED = 4


class Fill(NamedTuple):
    """The values in the order in which the calls that put them in returned."""

    order: list[int]
    begins: list[float]
    """When those calls returned."""
    latest: list[float]
    """When the last of the values up to each can be out; one before the first, which is never."""


def filled(pairs: Pairs) -> Fill:
    """Return when what was put in can be out."""
    order = sorted(range(len(pairs.put)), key=pairs.put_returned.__getitem__)
    begins = [pairs.put_returned[number] for number in order]
    latest = accumulate([pairs.take_called[number] for number in order], max, initial=-PENDING)
    return Fill(order, begins, list(latest))


def segments(fill: Fill) -> list[tuple[float, float]]:
    """Return the times at which the object can not be empty, in order, as open intervals that do not overlap."""
    _, begins, latest = fill
    if not begins:
        return []
    # Before what is put in when all before it can be out, there is a gap.
    starts = [place for place, (begin, end) in enumerate(zip(begins, latest, strict=False)) if begin >= end]
    ends = [latest[place] for place in [*starts[1:], len(begins)]]
    return [(begins[place], end) for place, end in zip(starts, ends, strict=True) if begins[place] < end]


def empty_moments(pairs: Pairs, occupied: Sequence[tuple[float, float]]) -> list[float] | Operation:
    """Return for each operation that found the object empty the first moment at which it can have been.

    Or return an operation for which there is none.
    """
    begins = [begin for begin, _ in occupied]
    moments = []
    for operation in pairs.empty:
        moment = operation.invoked
        before = bisect_left(begins, moment) - 1
        if before >= 0 and moment < occupied[before][1]:
            moment = occupied[before][1]
        if moment > operation.returned:
            return operation
        moments.append(moment)
    return moments


def never_empty(pairs: Pairs, operation: Operation) -> Violation:
    """Say what was there all the time while *operation* ran, which found nothing."""
    chain = chain_over(pairs, range(len(pairs.put)), operation.invoked, operation.returned)
    parts = [
        f"{shown(pairs.put[each].args[0])} from the return of {pairs.put[each]} to {pairs.end_of(each)}"
        for each in chain[:_NAMED]
    ]
    more = f", and {len(chain) - _NAMED} more" if len(chain) > _NAMED else ""
    evidence = [operation, *[one for each in chain[:_NAMED] for one in (pairs.put[each], pairs.take[each])]]
    sentence = f"{operation} found nothing, but there was always something while it ran: {'; '.join(parts)}{more}"
    return violation(sentence, evidence)


def chain_over(pairs: Pairs, among: Iterable[int], begin: float, end: float) -> list[int]:
    """Return the fewest values of *among* which together are there at every moment from *begin* to *end*."""
    spans = sorted((pairs.put_returned[each], pairs.take_called[each], each) for each in among)
    chain: list[int] = []
    position, reached = 0, begin
    while reached <= end:
        furthest = (reached, -1)
        while position < len(spans):
            low = spans[position][0]
            # What begins just then is the first only if nothing was there before.
            if low > reached or (low == reached and (low > begin or furthest[1] >= 0)):
                break
            furthest = max(furthest, spans[position][1:], key=itemgetter(0))
            position += 1
        if furthest[1] < 0:
            break
        reached = furthest[0]
        chain.append(furthest[1])
    return chain
