"""Stacks whose values are all different.

A value whose push and pop overlap can be pushed and popped at one moment, and is in nobody's way. Any other is in the
stack from the return of its push to the call of its pop. Where these times leave a gap, the stack can be empty, and
what is before it is decided apart from what is behind. Where they leave none, one value must lie at the bottom all the
time: it was pushed before all else was, and popped after. If there is one, nothing is lost by putting it there and
going on with the others; if there is none, that is the violation. This is the way of "Efficient decrease-and-conquer
linearizability monitoring" by Lee and Mathur (2024) and of "Efficient linearizability monitoring" by Abdulla and others
(PLDI 2025), on other structures: see `Layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from operator import itemgetter
from typing import Any

from supertester._core.evidence import shown
from supertester.linear.history import Operation
from supertester.linear.special.cover import chain_over, empty_moments, filled, never_empty, segments
from supertester.linear.special.layers import Layers
from supertester.linear.special.pairs import Pairs, pairs_of
from supertester.linear.special.violation import Order, Violation, violation

__all__ = ["last_in_first_out"]

_TRIES = 100
"""How many ways are tried in which calls that never returned may have taken something out."""


@dataclass(frozen=True)
class _Stuck:
    """There is no order: not even of these values, as they are."""

    values: Sequence[int]
    say: Callable[[], Violation]


def last_in_first_out(operations: Sequence[Operation], model: Any) -> Order | Violation | None:
    """Decide the history of a stack, if no value was put in twice."""
    pairs = pairs_of(operations, model, "push", "pop")
    if not isinstance(pairs, Pairs):
        return pairs
    found = _decided(pairs)
    if not isinstance(found, _Stuck):
        return found
    left = [number for number, each in enumerate(pairs.take) if each is None]
    if not pairs.spare or not left:
        return found.say()
    # As if each call that never returned could have taken out any number of values.
    at_most = _decided(pairs.given(dict.fromkeys(left, pairs.spare[0])))
    return at_most.say() if isinstance(at_most, _Stuck) else _with_takers(pairs, found)


def _with_takers(pairs: Pairs, stuck: _Stuck) -> Order | Violation | None:
    """Find out which values were taken out by calls that never returned; ``None`` if that takes too long.

    If some values are stuck, at least one of them must have been taken out by such a call, or they stay so.
    """
    tried: set[frozenset[tuple[int, int]]] = set()
    work: list[dict[int, int]] = [{}]
    while work:
        takers = work.pop()
        if frozenset(takers.items()) in tried:
            continue
        if len(tried) > _TRIES:
            return None
        tried.add(frozenset(takers.items()))
        found = _decided(pairs.given({value: pairs.spare[number] for value, number in takers.items()}))
        if not isinstance(found, _Stuck):
            return found
        idle = [number for number in reversed(range(len(pairs.spare))) if number not in takers.values()]
        loose = [value for value in found.values if pairs.take[value] is None and value not in takers]
        work += [{**takers, value: number} for value in loose for number in idle]
    first = stuck.say()
    sentence = f"{first.sentence}; nor is there an order if calls that never returned took something out"
    return violation(sentence, first.evidence)


def _decided(pairs: Pairs) -> Order | _Stuck:
    occupied = segments(filled(pairs))
    moments = empty_moments(pairs, occupied)
    if isinstance(moments, Operation):
        chain = chain_over(pairs, range(len(pairs.put)), moments.invoked, moments.returned)
        return _Stuck(chain, partial(never_empty, pairs, moments))
    times = zip(pairs.put_called, pairs.put_returned, pairs.take_called, pairs.take_returned, strict=True)
    lasting = [(number, each) for number, each in enumerate(times) if each[1] < each[2]]
    layers = Layers([each for _, each in lasting])
    stuck = layers.peel()
    if stuck is not None:
        chain = _without_bottom(pairs, [lasting[each][0] for each in stuck])
        return _Stuck(chain, partial(_no_bottom, pairs, chain))
    return partial(_in_order, pairs, layers, [number for number, _ in lasting], occupied, moments)


def _in_order(
    pairs: Pairs,
    layers: Layers,
    numbers: Sequence[int],
    occupied: Sequence[tuple[float, float]],
    moments: Sequence[float],
) -> list[Operation]:
    """Return the operations in order: those of each time at which there is something, and between them the others."""
    order: list[Operation] = []
    starts: list[float] = []
    pauses = sorted(zip(moments, pairs.empty, strict=True), key=itemgetter(0), reverse=True)
    for part, (begin, _) in enumerate([*occupied, (float("inf"), 0.0)]):
        while pauses and pauses[-1][0] <= begin:
            starts.append(pauses[-1][0])
            order.append(pauses.pop()[1])
        for each, is_put in layers.nested(part) if part < len(occupied) else ():
            number = numbers[each]
            operation = pairs.put[number] if is_put else pairs.take[number]
            if operation is not None:
                starts.append((pairs.put_called if is_put else pairs.take_called)[number])
                order.append(operation)
    return _with_brief(pairs, order, list(accumulate(starts, max)))


def _with_brief(pairs: Pairs, order: list[Operation], starts: list[float]) -> list[Operation]:
    """Add the values that can be pushed and popped at one moment, each at its first."""
    for number, (called, begin) in enumerate(zip(pairs.take_called, pairs.put_returned, strict=True)):
        taker = pairs.take[number]
        if called <= begin and taker is not None:
            order += (pairs.put[number], taker)
            starts += (called, called)
    return [order[place] for place in sorted(range(len(order)), key=starts.__getitem__)]


def _without_bottom(pairs: Pairs, stuck: Sequence[int]) -> list[int]:
    """Return a few of the values which keep the stack from being empty, and of which none can lie at the bottom."""
    begin = min(pairs.put_returned[each] for each in stuck)
    end = max(pairs.take_called[each] for each in stuck)
    chain = chain_over(pairs, stuck, begin, end)
    while len(chain) > 2 and _has_no_bottom(pairs, chain[1:]):
        del chain[0]
    while len(chain) > 2 and _has_no_bottom(pairs, chain[:-1]):
        del chain[-1]
    return chain


def _no_bottom(pairs: Pairs, chain: Sequence[int]) -> Violation:
    evidence = [one for each in chain for one in (pairs.put[each], pairs.take[each])]
    return violation(_crossing(pairs, *chain) if len(chain) == 2 else _in_turn(pairs, chain), evidence)


def _has_no_bottom(pairs: Pairs, chain: Sequence[int]) -> bool:
    begin, end = pairs.put_returned[chain[0]], pairs.take_called[chain[-1]]
    return not any(pairs.put_called[each] <= begin and end <= pairs.take_returned[each] for each in chain)


def _crossing(pairs: Pairs, one: int, other: int) -> str:
    below, above = (shown(pairs.put[each].args[0]) for each in (one, other))
    return (
        f"{below} was pushed before {above} and taken from under it: {pairs.put[one]} returned "
        f"before {pairs.put[other]} was called, and that returned before {pairs.end_of(one)}; "
        f"but {pairs.take[one]} returned before {pairs.end_of(other)}"
    )


def _in_turn(pairs: Pairs, chain: Sequence[int]) -> str:
    values = [shown(pairs.put[each].args[0]) for each in chain]
    first, last = pairs.put[chain[0]], pairs.end_of(chain[-1])
    reasons = []
    for each, value in zip(chain, values, strict=True):
        if pairs.put_called[each] > pairs.put_returned[chain[0]]:
            reasons.append(f"{value} was pushed after that time began")
        else:
            reasons.append(f"{value} was popped before it was over")
    return (
        f"from the return of {first} to {last} the stack was never empty, for it held {', '.join(values[:-1])} and "
        f"{values[-1]}, each until after the next was there; but none of them was at the bottom all that time: "
        + "; ".join(reasons)
    )
