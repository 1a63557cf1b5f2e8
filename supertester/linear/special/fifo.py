"""Queues whose values are all different.

A value comes before another if it was put in, or taken out, in full before the other. There is an order if no two
values come before each other: of the value that was in first and the one that was out first, at least one then comes
before all others. So an order is found by taking such values away one by one ("Efficient decrease-and-conquer
linearizability monitoring" by Lee and Mathur, 2024), and a violation is a matter of two values.

A call that found the queue empty needs a moment at which nothing was certainly in it. Which values come before that
moment then follows, for of those that may come next the one that was taken out first is put first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import accumulate, repeat
from operator import itemgetter, lt
from typing import Any

from supertester._core.evidence import shown
from supertester.linear.history import Operation
from supertester.linear.special.cover import Fill, empty_moments, filled, never_empty, segments
from supertester.linear.special.pairs import Pairs, pairs_of
from supertester.linear.special.violation import Order, Violation, violation

__all__ = ["first_in_first_out"]


def first_in_first_out(operations: Sequence[Operation], model: Any) -> Order | Violation | None:
    """Decide the history of a queue, if no value was put in twice."""
    pairs = pairs_of(operations, model, "enqueue", "dequeue")
    if not isinstance(pairs, Pairs):
        return pairs
    if pairs.spare:
        pairs = _with_takers(pairs)
    fill = filled(pairs)
    moments = empty_moments(pairs, segments(fill)) if pairs.empty else []
    if isinstance(moments, Operation):
        return never_empty(pairs, moments)
    return _out_of_turn(pairs, fill) or partial(_in_order, pairs, moments)


def _with_takers(pairs: Pairs) -> Pairs:
    """Give what was never taken out to the calls that never returned, which may have taken it.

    What was in first has to be out first, so one after the other. None is better off with less: to have been taken out
    at any time since the call includes that it was never.
    """
    left = [number for number, each in enumerate(pairs.take) if each is None]
    left.sort(key=pairs.put_returned.__getitem__)
    return pairs.given(dict(zip(left, pairs.spare, strict=False)))


def _out_of_turn(pairs: Pairs, fill: Fill) -> Violation | None:
    """Say which value was in before another, and out after it, if there are such."""
    order, begins, latest = fill
    # How many were in when each was put in.
    before = list(map(bisect_left, repeat(begins), pairs.put_called))
    if not any(map(lt, pairs.take_returned, [latest[count] for count in before])):
        return None
    other = next(number for number, count in enumerate(before) if pairs.take_returned[number] < latest[count])
    one = max(order[: before[other]], key=pairs.take_called.__getitem__)
    sentence = (
        f"{shown(pairs.put[one].args[0])} was put in before {shown(pairs.put[other].args[0])}: {pairs.put[one]} "
        f"returned before {pairs.put[other]} was called; but it was not taken out before it: {pairs.take[other]} "
    )
    late = pairs.take[one]
    if late is None:
        sentence += f"returned, and {shown(pairs.put[one].args[0])} was never taken out"
    elif late.pending:
        sentence += "returned before any call was made that may have taken it"
    else:
        sentence += f"returned before {late} was called"
    return violation(sentence, [pairs.put[one], pairs.put[other], late, pairs.take[other]])


def _values_in_order(pairs: Pairs) -> list[int]:
    """Return the values from the front to the back, of all that may come next the one that was taken out first."""
    put_called, put_returned = pairs.put_called, pairs.put_returned
    take_called, take_returned = pairs.take_called, pairs.take_returned
    count = len(put_called)
    by_put_return = sorted(range(count), key=put_returned.__getitem__)
    by_take_call = sorted(range(count), key=take_called.__getitem__)
    by_take_return = sorted(range(count), key=take_returned.__getitem__)
    rank = [0] * count
    for place, number in enumerate(by_take_call):
        rank[number] = place
    half_free, gone = bytearray(count), bytearray(count)
    ready: list[int] = []
    order: list[int] = []
    puts = takes = first_put = first_take = 0
    while len(order) < count:
        while gone[by_put_return[first_put]]:
            first_put += 1
        while gone[by_take_return[first_take]]:
            first_take += 1
        limit = put_returned[by_put_return[first_put]]
        while puts < count and put_called[puts] <= limit:
            if half_free[puts]:
                heappush(ready, rank[puts])
            half_free[puts] = 1
            puts += 1
        limit = take_returned[by_take_return[first_take]]
        while takes < count and take_called[number := by_take_call[takes]] <= limit:
            if half_free[number]:
                heappush(ready, takes)
            half_free[number] = 1
            takes += 1
        number = by_take_call[heappop(ready)]
        gone[number] = 1
        order.append(number)
    return order


def _in_order(pairs: Pairs, moments: Sequence[float]) -> list[Operation]:
    """Return the operations in order: each at the first moment at which those before it have been."""
    values = _values_in_order(pairs)
    order: list[Operation] = []
    start, floor = 0, -float("inf")
    out = [pairs.take_called[number] for number in values] if moments else []
    out.sort()
    for moment, operation in sorted(zip(moments, pairs.empty, strict=True), key=itemgetter(0)):
        stop = bisect_right(out, moment)
        order += _block(pairs, values[start:stop], floor)
        order.append(operation)
        start, floor = stop, moment
    return order + _block(pairs, values[start:], floor)


def _block(pairs: Pairs, values: list[int], floor: float) -> list[Operation]:
    puts = list(accumulate([pairs.put_called[number] for number in values], max, initial=floor))[1:]
    # What is taken out comes before what never is.
    takes = [each for number in values if (each := pairs.take[number]) is not None]
    called = [pairs.take_called[number] for number in values[: len(takes)]]
    moments = puts + list(accumulate(map(max, called, puts), max))
    operations = [pairs.put[number] for number in values] + takes
    return [operations[place] for place in sorted(range(len(operations)), key=moments.__getitem__)]
