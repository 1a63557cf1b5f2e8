"""Counters that count by one.

Each increment makes one number out of the one before, and when it can have done so is known from those who saw them:
the k-th not before anyone was called who saw less than k, and not after anyone returned who saw k or more. Both limits
only grow with k. So the increments fill the numbers like jobs of equal length with a deadline: the one that returned
first comes first (Jackson's rule; for numbers as slots, Glover, "Maximum matching in a convex bipartite graph", 1967).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import accumulate
from operator import attrgetter
from typing import Any

from supertester.linear.history import PENDING, Operation
from supertester.linear.special.roles import by_role, of_result
from supertester.linear.special.violation import Order, Violation, violation

__all__ = ["counted"]

_NEVER = -PENDING
_NAMED = 4


@dataclass(frozen=True)
class _Counts:
    """A history: who saw which number, who made which, and who made one that is not known."""

    reads: list[Operation]
    known: dict[int, Operation]
    unknown: list[Operation]

    def out_of_range(self) -> Violation | None:
        """Say which number can not be one of the counter's, whatever the order."""
        most = len(self.known) + len(self.unknown)
        for lowest, seen in ((0, self.reads), (1, self.known.values())):
            for each in seen:
                if each.result < lowest:
                    return violation(f"{each}, but the counter begins with 0 and goes up", [each])
                if each.result > most:
                    return violation(f"{each}, but no more than {most} increments were ever called", [each])
        return None

    @property
    def highest(self) -> int:
        """The highest number that anyone saw."""
        numbers: list[int] = [each.result for each in self.reads]
        return max([0, *self.known, *numbers])

    def opener(self, number: int) -> Operation:
        """Return who was called last of all that saw less than *number*, or made it."""
        seen = [each for each in self.reads if each.result < number]
        return max(seen + [each for made, each in self.known.items() if made <= number], key=attrgetter("invoked"))

    def closer(self, number: int) -> Operation:
        """Return who returned first of all that saw *number* or more, or made it."""
        seen = [each for each in self.reads if each.result >= number]
        return min(seen + [each for made, each in self.known.items() if made >= number], key=attrgetter("returned"))


def counted(operations: Sequence[Operation], model: Any) -> Order | Violation | None:
    """Decide the history of a counter that is read and incremented, by one at a time."""
    found = by_role(operations, model, {"read": [0], "add": [0, 1], "increment": [0], "next": [0]})
    if found is None or any(type(each.args[0]) is not int or each.args[0] != 1 for each in found["add"] if each.args):
        return None
    reads = [each for each in found["read"] if each.returned != PENDING]
    made = [each for each in found["next"] if each.returned != PENDING]
    if any(type(each.result) is not int for each in reads + made):
        return None
    unknown = found["add"] + found["increment"]
    wrong = of_result(unknown, None, model)
    if wrong is not None:
        return wrong
    unknown += [each for each in found["next"] if each.returned == PENDING]
    unknown.sort(key=attrgetter("invoked"))
    known = {each.result: each for each in made}
    for each in made:
        if known[each.result] is not each:
            return violation(f"{each} and {known[each.result]} returned the same", [each, known[each.result]])
    counts = _Counts(reads, known, unknown)
    return counts.out_of_range() or _filled(counts)


def _limits(counts: _Counts, highest: int) -> tuple[list[float], list[float]]:
    """Return for each number when it can be made at the earliest, and at the latest."""
    opens, closes = [_NEVER] * (highest + 2), [PENDING] * (highest + 2)
    for each in counts.reads:
        number = each.result
        opens[number + 1] = max(opens[number + 1], each.invoked)
        closes[number] = min(closes[number], each.returned)
    for number, each in counts.known.items():
        opens[number] = max(opens[number], each.invoked)
        closes[number] = min(closes[number], each.returned)
    return list(accumulate(opens, max)), list(accumulate(reversed(closes), min))[::-1]


def _filled(counts: _Counts) -> Order | Violation:
    """Give each number to an increment."""
    highest = counts.highest
    opens, closes = _limits(counts, highest)
    unknown, calls = counts.unknown, [each.invoked for each in counts.unknown]
    makers: list[Operation] = []
    waiting: list[tuple[float, int]] = []
    called = 0
    for number in range(1, highest + 1):
        if opens[number] > closes[number]:
            return _backwards(counts, number)
        if number in counts.known:
            makers.append(counts.known[number])
            continue
        while called < len(calls) and calls[called] <= closes[number]:
            heappush(waiting, (unknown[called].returned, called))
            called += 1
        if not waiting:
            return _too_few(counts, number)
        returned, place = heappop(waiting)
        if returned < opens[number]:
            return _too_many(counts, number, makers, unknown[place])
        makers.append(unknown[place])
    left = sorted([place for _, place in waiting] + list(range(called, len(calls))))
    late = [unknown[place] for place in left if unknown[place].returned != PENDING]
    for each in late:
        if each.returned < opens[highest + 1]:
            return _too_many(counts, highest + 1, makers, each)
    return partial(_in_order, counts.reads, makers, late)


def _in_order(reads: Sequence[Operation], makers: Sequence[Operation], late: Sequence[Operation]) -> list[Operation]:
    order: list[Operation] = []
    number = 0
    for read in sorted(reads, key=attrgetter("result")):
        order += makers[number : read.result]
        order.append(read)
        number = read.result
    return [*order, *makers[number:], *late]


def _backwards(counts: _Counts, number: int) -> Violation:
    more, less = counts.closer(number), counts.opener(number)
    return violation(f"the counter went back: {more} returned before {less} was called", [more, less])


def _too_few(counts: _Counts, number: int) -> Violation:
    seen = counts.closer(number)
    others = [each for each in counts.unknown if each.invoked <= seen.returned]
    sentence = f"{seen}, but only {number - 1} increments that may come before it were called until it returned"
    return violation(sentence, [*others[-_NAMED:], seen])


def _too_many(counts: _Counts, number: int, makers: Sequence[Operation], late: Operation) -> Violation:
    """Say that more increments returned before *number* could be made than there are numbers for."""
    seen = counts.opener(number)
    first = number
    while first > 1 and (first - 1 in counts.known or makers[first - 2].returned < seen.invoked):
        first -= 1
    between = [each for each in makers[first - 1 : number - 1] if each.returned < seen.invoked] + [late]
    others = [each for each in makers[first - 1 : number - 1] if each.returned >= seen.invoked]
    besides = f", besides {', '.join(map(str, others[:_NAMED]))}" if others else ""
    if first == 1:
        sentence = f"{len(between)} increments had returned before {seen} was called{besides}"
        return violation(sentence, [*between[-_NAMED:], *others[:_NAMED], seen])
    before = counts.closer(first - 1)
    sentence = f"{len(between)} increments came between the return of {before} and the call of {seen}{besides}"
    return violation(sentence, [before, *between[-_NAMED:], *others[:_NAMED], seen])
