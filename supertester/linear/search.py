"""The search for an order of the operations that a model allows.

The algorithm of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017): take any operation that may come first, let the model do it, go on with the
rest, and never look twice at the same set of done operations in the same state. Two things make it quick: done
operations are a bit mask relative to the first that is not done, and an operation that only reads comes first as soon
as it is legal, for nothing is lost by that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from supertester.linear.history import PENDING, Operation
from supertester.linear.model import Model, frozen

__all__ = ["Search", "fits"]


def fits(operation: Operation, result: Any) -> bool:
    """Say whether *result* is what *operation* returned; one that is pending may have returned anything."""
    if operation.pending:
        return True
    if isinstance(result, BaseException):
        return type(operation.result) is type(result)
    return operation.result is result or bool(operation.result == result)  # NaN is not equal to itself.


@dataclass(eq=False)
class _Node:
    """A configuration: what is done, and what may come next."""

    base: int
    mask: int
    left: int
    """How many operations have still to be done; pending ones need not be."""
    choices: Iterator[tuple[int, Any]]
    before: _Node | None = None
    taken: int = -1
    """The operation that led here from *before*."""
    depth: int = 0

    def order(self) -> list[int]:
        """Return the operations that led here, the first one first."""
        taken = []
        node = self
        while node.before is not None:
            taken.append(node.taken)
            node = node.before
        return taken[::-1]


@dataclass(eq=False)
class Search:
    """One search.

    Args:
        operations: In the order of their calls, or, for sequential consistency, of any.
        model: The model.
        budget: Configurations after which it is given up.
        sequential: Whether only the order of each process has to be kept, not real time.
    """

    operations: Sequence[Operation]
    model: Model
    budget: int
    sequential: bool = False
    looked_at: int = 0
    exhausted: bool = False
    """Whether the budget was used up."""
    _deepest: _Node | None = None

    @property
    def best(self) -> list[int]:
        """The longest order that was found to be legal."""
        return self._deepest.order() if self._deepest is not None else []

    def run(self) -> list[int] | None:
        """Return a legal order of the operations, by their positions, or ``None``; pending ones may be left out."""
        seen: set[tuple[int, int, Hashable]] = set()
        start = self.model.initial()
        required = sum(not each.pending for each in self.operations)
        node: _Node | None = _Node(0, 0, required, iter(self._choices(start, self._candidates(0, 0))))
        while node is not None:
            if not node.left:
                return node.order()
            if self._deepest is None or node.depth > self._deepest.depth:
                self._deepest = node
            choice = next(node.choices, None)
            if choice is None:
                node = node.before
                continue
            index, state = choice
            base, mask = _marked(node.base, node.mask, index)
            configuration = (base, mask, _hashable(state))
            if configuration in seen:
                continue
            seen.add(configuration)
            self.looked_at += 1
            if self.looked_at > self.budget:
                self.exhausted = True
                return None
            left = node.left - (not self.operations[index].pending)
            choices = iter(self._choices(state, self._candidates(base, mask)))
            node = _Node(base, mask, left, choices, node, index, node.depth + 1)
        return None

    def _choices(self, state: Any, candidates: Iterator[int]) -> list[tuple[int, Any]]:
        """Return who may come next, and the state after it."""
        choices: list[tuple[int, Any]] = []
        for index in candidates:
            operation = self.operations[index]
            result, after = self.model.step(state, operation)
            if not fits(operation, result):
                continue
            if not operation.pending and self.model.only_reads(operation):
                return [(index, after)]
            choices.append((index, after))
        return choices

    def after(self, order: Sequence[int]) -> list[int]:
        """Return the operations that may come next when those of *order* are done, whatever the model says."""
        base = mask = 0
        for index in order:
            base, mask = _marked(base, mask, index)
        return list(self._candidates(base, mask))

    def _candidates(self, base: int, mask: int) -> Iterator[int]:
        return self._in_program_order(base, mask) if self.sequential else self._in_real_time(base, mask)

    def _in_real_time(self, base: int, mask: int) -> Iterator[int]:
        """Yield the operations that were called before any that is not done returned."""
        operations = self.operations
        first_return: float = PENDING
        index = base
        while index < len(operations) and operations[index].invoked <= first_return:
            if not (mask >> (index - base)) & 1:
                first_return = min(first_return, operations[index].returned)
            index += 1
        for candidate in range(base, index):
            if not (mask >> (candidate - base)) & 1 and operations[candidate].invoked <= first_return:
                yield candidate

    def _in_program_order(self, base: int, mask: int) -> Iterator[int]:
        """Yield the first operation of each process that is not done, those that were called first at the front."""
        first = []
        for program in self._programs:
            position = bisect_left(program, base)
            while position < len(program) and (mask >> (program[position] - base)) & 1:
                position += 1
            first += program[position : position + 1]
        yield from sorted(first)

    @cached_property
    def _programs(self) -> list[list[int]]:
        programs: dict[Hashable, list[int]] = {}
        for index, operation in enumerate(self.operations):
            programs.setdefault(operation.process, []).append(index)
        return list(programs.values())


def _hashable(state: Any) -> Hashable:
    """Return *state*, or what stands for it if the values that it holds are not hashable."""
    try:
        hash(state)
    except TypeError:
        return frozen(state)
    return state  # type: ignore[no-any-return]


def _marked(base: int, mask: int, index: int) -> tuple[int, int]:
    """Return the window after operation *index* is done: it begins at the first that is not."""
    mask |= 1 << (index - base)
    while mask & 1:
        mask >>= 1
        base += 1
    return base, mask
