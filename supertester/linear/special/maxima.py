"""A tree of maxima."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Maxima"]

_GONE = -float("inf")


class Maxima:
    """Numbers by place, which go one by one; finds the first from a place on that is above a number, in O(log n)."""

    __slots__ = ("_count", "_size", "_tree")

    def __init__(self, numbers: Sequence[float]) -> None:
        self._count = len(numbers)
        self._size = size = 1 << max(self._count - 1, 0).bit_length()
        self._tree = tree = [_GONE] * size + list(numbers) + [_GONE] * (size - self._count)
        for node in range(size - 1, 0, -1):
            one, other = tree[2 * node], tree[2 * node + 1]
            tree[node] = max(one, other)

    def remove(self, place: int) -> None:
        tree, node = self._tree, place + self._size
        tree[node] = _GONE
        node >>= 1
        while node:
            one, other = tree[2 * node], tree[2 * node + 1]
            if one < other:  # noqa: PLR1730 - quicker than max()
                one = other
            if tree[node] == one:
                return
            tree[node] = one
            node >>= 1

    def first_above(self, place: int, number: float) -> int:
        """Return the first place from *place* on whose number is above *number*; beyond the last if there is none."""
        if place >= self._count:
            return self._count
        tree, size = self._tree, self._size
        node = place + size
        while True:
            while not node & 1:
                node >>= 1
            if tree[node] > number:
                break
            node += 1
            if not node & (node - 1):
                return self._count
        while node < size:
            node *= 2
            if tree[node] <= number:
                node += 1
        return node - size
