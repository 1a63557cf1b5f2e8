"""The search for an order of the operations that a model allows.

The algorithm of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017): take any operation that may come first, let the model do it, go on with the
rest, and never look twice at the same set of done operations in the same state. Two things make it quick: done
operations are a bit mask relative to the first that is not done, and an operation that only reads comes first as soon
as it is legal, for nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from supertester.linear.history import PENDING, Operation
from supertester.linear.model import Model

__all__ = ["Search", "fits"]


def fits(operation: Operation, result: Any) -> bool:
    """Say whether *result* is what *operation* returned; one that is pending may have returned anything."""
    if operation.pending:
        return True
    if isinstance(result, BaseException):
        return type(operation.result) is type(result)
    return bool(operation.result == result)


@dataclass(eq=False)
class _Node:
    """A configuration: what is done, and what may come next."""

    base: int
    mask: int
    state: Any
    choices: Iterator[tuple[int, Any]]
    taken: int | None = None
    """The operation that led here."""


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
    best: list[int] = field(default_factory=list)
    """The longest order that was found to be legal."""

    def run(self) -> list[int] | None:
        """Return a legal order of the operations, by their positions, or ``None``; pending ones may be left out."""
        required = sum(1 << index for index, each in enumerate(self.operations) if not each.pending)
        seen: set[tuple[int, int, Hashable]] = set()
        candidates = self._in_program_order if self.sequential else self._in_real_time
        path = [self._node(0, 0, self.model.initial(), candidates)]
        while path:
            node = path[-1]
            if not required & ~self._done(node):
                return [each.taken for each in path if each.taken is not None]
            if len(path) - 1 > len(self.best):
                self.best = [each.taken for each in path if each.taken is not None]
            choice = next(node.choices, None)
            if choice is None:
                path.pop()
                continue
            index, state = choice
            base, mask = _marked(node.base, node.mask, index)
            configuration = (base, mask, state)
            if configuration in seen:
                continue
            seen.add(configuration)
            self.looked_at += 1
            if self.looked_at > self.budget:
                self.exhausted = True
                return None
            following = self._node(base, mask, state, candidates)
            following.taken = index
            path.append(following)
        return None

    def _node(self, base: int, mask: int, state: Any, candidates: Callable[..., Iterator[int]]) -> _Node:
        return _Node(base, mask, state, iter(self._choices(state, candidates(base, mask))))

    @staticmethod
    def _done(node: _Node) -> int:
        return (node.mask << node.base) | ((1 << node.base) - 1)

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
        """Yield the first operation of each process that is not done."""
        met: set[Hashable] = set()
        for index in range(base, len(self.operations)):
            process = self.operations[index].process
            if not (mask >> (index - base)) & 1 and process not in met:
                met.add(process)
                yield index


def _marked(base: int, mask: int, index: int) -> tuple[int, int]:
    """Return the window after operation *index* is done: it begins at the first that is not."""
    mask |= 1 << (index - base)
    while mask & 1:
        mask >>= 1
        base += 1
    return base, mask
