"""What lies at the bottom of a stack, and what is left when it is taken away, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from supertester.linear.special.maxima import Maxima

__all__ = ["Layers"]

_NONE = -1


class _Layer:
    """Values that lie one upon the other, the lowest first, and what comes on top of them, one after the other."""

    __slots__ = ("above", "values")

    def __init__(self) -> None:
        self.values: list[int] = []
        self.above: list[_Layer] = []


class _Part:
    """Values which together keep the stack from being empty; their places are from ``first`` to ``last``."""

    __slots__ = ("first", "last", "later", "layer", "longest", "sooner")

    def __init__(self, first: int, last: int, longest: int, layer: _Layer) -> None:
        self.first, self.last, self.longest, self.layer = first, last, longest, layer
        self.sooner: list[int] = []
        """Those pushed too late for the bottom, as far as is known; a heap of their ranks by the push."""
        self.later: list[int] = []
        """The others; a heap of their ranks by the pop, the latest first."""


class Layers:
    """Takes bottom by bottom away from values that are given as (push called, returned, pop called, returned).

    A value's place is its number by the returns of the pushes. There is a gap where all values of lower places have
    been popped; so it lies before a *leader*, a value that is in longer than all before it. If a leader goes, others
    lead in its place; each is looked for once, in a tree of maxima. If a part falls into two, the smaller is gone
    through, so each value is moved a logarithmic number of times.
    """

    def __init__(self, values: Sequence[tuple[float, float, float, float]]) -> None:
        self._number = sorted(range(len(values)), key=lambda number: values[number][1])
        ordered = [values[number] for number in self._number]
        columns = [list(column) for column in zip(*ordered, strict=True)] or [[], [], [], []]
        self._pushed, self._begin, self._end, self._popped = columns
        self._count = count = len(ordered)
        self._by_push, self._push_rank = _ranked(self._pushed, latest_first=False)
        self._by_pop, self._pop_rank = _ranked(self._popped, latest_first=True)
        self._next, self._previous = list(range(1, count + 1)), list(range(-1, count - 1))
        self._leads = bytearray(count)
        self._leader_after, self._leader_before = [_NONE] * count, [_NONE] * count
        self._in_time = bytearray(count)
        self._part: list[_Part | None] = [None] * count
        self._maxima = Maxima(self._end)
        self._work = self._parts()
        self._roots = [part.layer for part in self._work]

    def _parts(self) -> list[_Part]:
        parts: list[_Part] = []
        reached = -float("inf")
        for place, (begin, end) in enumerate(zip(self._begin, self._end, strict=True)):
            if begin >= reached:
                parts.append(_Part(place, place, _NONE, _Layer()))
            part = parts[-1]
            part.last = place
            if end > reached:
                self._lead(place, part.longest)
                part.longest, reached = place, end
            self._part[place] = part
            part.sooner.append(self._push_rank[place])
        for part in parts:
            heapify(part.sooner)
        return parts

    def peel(self) -> list[int] | None:
        """Take away bottom by bottom; return values of which none can be the bottom, or ``None`` if all is well."""
        work = self._work
        while work:
            part = work.pop()
            gaps: list[int] = []
            while part.first <= part.last and not gaps:
                bottom = self._bottom(part)
                if bottom == _NONE:
                    return self._values_of(part)
                part.layer.values.append(self._number[bottom])
                gaps = self._remove(part, bottom)
            if gaps:
                layer = part.layer
                for gap in gaps:
                    before, part = self._split(part, gap)
                    layer.above.append(before.layer)
                    work.append(before)
                layer.above.append(part.layer)
                work.append(part)
        return None

    def _values_of(self, part: _Part) -> list[int]:
        found, place = [], part.first
        while place <= part.last:
            found.append(self._number[place])
            place = self._next[place]
        return found

    def _bottom(self, part: _Part) -> int:
        """Return the place of a value that can lie below all others of *part*."""
        sooner, later, begin = part.sooner, part.later, self._begin[part.first]
        while sooner:
            place = self._by_push[sooner[0]]
            if self._part[place] is part:
                if self._pushed[place] > begin:
                    break
                self._in_time[place] = 1
                heappush(later, self._pop_rank[place])
            heappop(sooner)
        while later and self._part[self._by_pop[later[0]]] is not part:
            heappop(later)
        if not later:
            return _NONE
        place = self._by_pop[later[0]]
        return place if self._popped[place] >= self._end[part.longest] else _NONE

    def _remove(self, part: _Part, place: int) -> list[int]:
        """Take *place* out of *part*; return the leaders before which there is a gap now."""
        after, before = self._next[place], self._previous[place]
        if before >= 0:
            self._next[before] = after
        if after < self._count:
            self._previous[after] = before
        if place == part.first:
            part.first = after
        if place == part.last:
            part.last = before
        self._part[place] = None
        self._maxima.remove(place)
        return self._succeed(part, place) if self._leads[place] and part.first <= part.last else []

    def _succeed(self, part: _Part, place: int) -> list[int]:
        """Let others lead where *place* did."""
        before, end = self._leader_before[place], self._leader_after[place]
        gaps: list[int] = []
        while True:
            reached = self._end[before] if before >= 0 else -float("inf")
            leader = self._maxima.first_above(place + 1, reached)
            if leader > part.last:
                part.longest = before
                self._leader_after[before] = _NONE
                return gaps
            if before >= 0 and reached <= self._begin[leader]:
                gaps.append(leader)
            self._lead(leader, before)
            if leader == end:
                return gaps
            before = leader

    def _lead(self, place: int, before: int) -> None:
        self._leads[place] = 1
        self._leader_before[place] = before
        if before >= 0:
            self._leader_after[before] = place

    def _split(self, part: _Part, gap: int) -> tuple[_Part, _Part]:
        """Return *part* as two, the second of which begins with the leader *gap*."""
        left, right = part.first, part.last
        while left != gap and right >= gap:
            left, right = self._next[left], self._previous[right]
        last, leader = self._previous[gap], self._leader_before[gap]
        self._leader_before[gap] = self._leader_after[leader] = _NONE
        if left == gap:
            new = _Part(part.first, last, leader, _Layer())
            part.first, part.layer = gap, _Layer()
            self._move(new)
            return new, part
        new = _Part(gap, part.last, part.longest, _Layer())
        part.last, part.longest, part.layer = last, leader, _Layer()
        self._move(new)
        return part, new

    def _move(self, part: _Part) -> None:
        place = part.first
        while place <= part.last:
            self._part[place] = part
            if self._in_time[place]:
                heappush(part.later, self._pop_rank[place])
            else:
                heappush(part.sooner, self._push_rank[place])
            place = self._next[place]

    def nested(self, number: int) -> Iterator[tuple[int, bool]]:
        """Yield the pushes (``True``) and pops of the values of the first parts' *number*-th, in order."""
        work: list[tuple[_Layer, bool]] = [(self._roots[number], True)]
        while work:
            layer, begins = work.pop()
            if not begins:
                yield from ((value, False) for value in reversed(layer.values))
                continue
            yield from ((value, True) for value in layer.values)
            work.append((layer, False))
            work += [(each, True) for each in reversed(layer.above)]


def _ranked(times: Sequence[float], *, latest_first: bool) -> tuple[list[int], list[int]]:
    """Return the places by their times, and the rank of each place."""
    places = sorted(range(len(times)), key=times.__getitem__, reverse=latest_first)
    ranks = [0] * len(times)
    for rank, place in enumerate(places):
        ranks[place] = rank
    return places, ranks
