"""Registers and maps whose values are all different: the zones of Gibbons and Korach.

"Testing shared memories" (SIAM Journal on Computing, 1997), section 4. All operations on a value have to stand side by
side, the one that wrote it first. So one value comes before another if any of its operations returned before any of the
other's was called, and there is an order if that never holds both ways. From the first return of a value's operations
to the last call it must have been there all the time, which is its zone; where that is reversed, they all overlap, and
only a moment is needed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from operator import attrgetter, lt
from typing import Any

from supertester._core.evidence import shown
from supertester.linear.history import PENDING, Operation
from supertester.linear.special.roles import by_role, of_result
from supertester.linear.special.violation import Order, Violation, violation

__all__ = ["zoned"]

_NAMES = {"register": ("write", "read", 0), "map": ("put", "get", 1)}


@dataclass(frozen=True, slots=True)
class _Zones:
    """The writes, each with a number, and what is known of the value; the last number is of the first value of all."""

    writes: list[Operation]
    reads: list[Operation]
    seen: list[int]
    """For each read the number of the value."""
    first_return: list[float]
    last_call: list[float]

    def operations(self, number: int) -> list[Operation]:
        """Return the operations on one value."""
        reads = [read for read, seen in zip(self.reads, self.seen, strict=True) if seen == number]
        return self.writes[number : number + 1] + reads


def zoned(operations: Sequence[Operation], model: Any) -> Order | Violation | None:
    """Decide the history of a register, or of one key of a map, if no value was written twice."""
    write, read, keys = _NAMES[model.name]
    found = by_role(operations, model, {write: [keys + 1], read: [keys]})
    if found is None:
        return None
    writes, reads = found[write], [each for each in found[read] if each.returned != PENDING]
    numbers = {operation.args[-1]: number for number, operation in enumerate(writes)}
    if len(numbers) < len(writes) or None in numbers:
        return None
    numbers[None] = len(writes)
    seen = [numbers.get(operation.result, -1) for operation in reads]
    if -1 in seen:
        unknown = reads[seen.index(-1)]
        return violation(f"{unknown}, but that was never written", [unknown])
    return of_result(writes, None, model) or _decided(_timed(writes, reads, seen))


def _timed(writes: list[Operation], reads: list[Operation], seen: list[int]) -> _Zones:
    first_return = [each.returned for each in writes] + [-PENDING]
    last_call = [each.invoked for each in writes] + [-PENDING]
    calls, returns = [each.invoked for each in reads], [each.returned for each in reads]
    for number, called, returned in zip(seen, calls, returns, strict=True):
        if returned < first_return[number]:  # noqa: PLR1730 - quicker than min()
            first_return[number] = returned
        if called > last_call[number]:  # noqa: PLR1730
            last_call[number] = called
    return _Zones(writes, reads, seen, first_return, last_call)


def _decided(zones: _Zones) -> Order | Violation:
    """Find whether there is a moment for each value that no other needs."""
    first_return, last_call = zones.first_return, zones.last_call
    for number, write in enumerate(zones.writes):
        if first_return[number] < write.invoked:
            early = min(zones.operations(number), key=attrgetter("returned"))
            return violation(f"{early} returned before {write} was called", [early, write])
    lasting = [number for number, each in enumerate(first_return) if each < last_call[number]]
    lasting.sort(key=first_return.__getitem__)
    begins = [first_return[number] for number in lasting]
    ends = [-PENDING, *[last_call[number] for number in lasting]]
    if any(map(lt, begins, ends)):
        place = list(map(lt, begins, ends)).index(True)
        return _both(zones, lasting[place - 1], lasting[place])
    # Of a write that nobody saw, and that never returned, nobody knows whether it happened.
    brief = [number for number, each in enumerate(first_return) if last_call[number] <= each != PENDING]
    before = list(map(bisect_left, repeat(begins), [last_call[number] for number in brief]))
    if any(map(lt, [first_return[number] for number in brief], [ends[place] for place in before])):
        number, place = next(each for each in zip(brief, before, strict=True) if first_return[each[0]] < ends[each[1]])
        return _both(zones, lasting[place - 1], number)
    return partial(_in_order, zones, lasting, brief, [ends[place] for place in before])


def _in_order(zones: _Zones, lasting: list[int], brief: list[int], free: list[float]) -> list[Operation]:
    """Return the values in order, with their operations: those that need a moment only as soon as they can be."""
    place = list(zones.first_return)
    for number, end in zip(brief, free, strict=True):
        place[number] = max(zones.last_call[number], end)
    groups = [[write] for write in zones.writes] + [[]]
    for number, read in zip(zones.seen, zones.reads, strict=True):
        groups[number].append(read)
    order = sorted(brief + lasting, key=place.__getitem__)
    return list(chain.from_iterable([groups[number] for number in order]))


def _both(zones: _Zones, lasting: int, number: int) -> Violation:
    """Say that a value must have been there while another was."""
    one, other = zones.operations(lasting), zones.operations(number)
    begin, end = min(one, key=attrgetter("returned")), max(one, key=attrgetter("invoked"))
    early, late = min(other, key=attrgetter("returned")), max(other, key=attrgetter("invoked"))
    if lasting == len(zones.writes):
        sentence = f"{end} saw what was there at the beginning, but was called after {early} had returned"
        return violation(sentence, [end, *other[:1], early])
    first, second = shown(one[0].args[-1]), shown(other[0].args[-1])
    sentence = f"{first} was there from the return of {begin} to the call of {end}, "
    if early.returned < late.invoked:
        sentence += f"and {second} from the return of {early} to the call of {late}: these times overlap"
    elif early is late:
        sentence += f"but {second} must have been there in between, when {early} was called and returned"
    else:
        sentence += f"but {second} must have been there in between, when {late} was called and {early} returned"
    return violation(sentence, [one[0], begin, end, other[0], early, late])
