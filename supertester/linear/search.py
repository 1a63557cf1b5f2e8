"""The search for an order of the operations that a model allows.

The algorithm of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017): take any operation that may come first, let the model do it, go on with the
rest, and never look twice at the same set of done operations in the same state. Two things make it quick: done
operations are a bit mask relative to the first that is not done, and operations that only read come first as soon as
they are legal, for nothing is lost by that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
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

    def __post_init__(self) -> None:
        prepared = getattr(self.model, "prepared", lambda operation: (self.model.step, (operation,)))
        self._steps: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [prepared(each) for each in self.operations]
        self._results = [each.result for each in self.operations]
        self._pending = pending = [each.returned == PENDING for each in self.operations]
        # Of these equality does not decide.
        self._is_special = [
            waits or isinstance(result, BaseException) for waits, result in zip(pending, self._results, strict=True)
        ]
        only_reads = self.model.only_reads
        self._is_read = [not waits and only_reads(each) for waits, each in zip(pending, self.operations, strict=True)]
        self._has_reads = any(self._is_read)
        self._candidates = self._in_program_order if self.sequential else self._in_real_time

    def run(self) -> list[int] | None:
        """Return a legal order of the operations, by their positions, or ``None``; pending ones may be left out."""
        seen: set[tuple[int, int, Hashable]] = set()
        pending = self._pending
        left = len(pending) - sum(pending)
        order: list[int] = []
        stack: list[tuple[int, int, Any, int, int, Iterator[int]]] = []
        base, mask, state = 0, 0, self.model.initial()
        shared = 0  # How much of the best order is the beginning of the present one.
        while True:
            depth = len(order)
            base, mask, choices = self._entered(base, mask, state, order)
            left -= len(order) - depth
            if not left:
                return order
            while (choice := self._next(base, mask, state, choices, seen)) is None:
                if len(order) > len(self.best):
                    self.best[shared:] = order[shared:]
                    shared = len(order)
                if not stack:
                    return None
                base, mask, state, left, depth, choices = stack.pop()
                del order[depth:]
                shared = min(shared, depth)
            self.looked_at += 1
            if self.looked_at > self.budget:
                self.exhausted = True
                return None
            stack.append((base, mask, state, left, len(order), choices))
            index, base, mask, state = choice
            order.append(index)
            left -= not pending[index]

    def _entered(self, base: int, mask: int, state: Any, order: list[int]) -> tuple[int, int, Iterator[int]]:
        """Do what only reads, as long as there is any, and return where that leads, and who may come next."""
        candidates = self._candidates(base, mask)
        is_read = self._is_read
        while self._has_reads and (reads := [index for index in candidates if is_read[index]]):
            legal = [index for index in reads if self._after(index, state) is not _MISFIT]
            if not legal:
                return base, mask, iter([index for index in candidates if not is_read[index]])
            order += legal
            for index in legal:
                mask |= 1 << (index - base)
            base, mask = _shifted(base, mask)
            candidates = self._candidates(base, mask)
        return base, mask, iter(candidates)

    def _next(
        self, base: int, mask: int, state: Any, choices: Iterator[int], seen: set[tuple[int, int, Hashable]]
    ) -> tuple[int, int, int, Any] | None:
        """Return the next of *choices* that is legal and leads to what was not seen, and where it leads."""
        for index in choices:
            after = self._after(index, state)
            if after is _MISFIT:
                continue
            next_base, next_mask = base, mask | 1 << (index - base)
            if next_mask & 1:
                next_base, next_mask = _shifted(base, next_mask)
            known = len(seen)
            try:
                seen.add((next_base, next_mask, after))
            except TypeError:
                seen.add((next_base, next_mask, frozen(after)))
            if len(seen) > known:
                return index, next_base, next_mask, after
        return None

    def _after(self, index: int, state: Any) -> Any:
        """Return the state after an operation, or that the operation does not fit."""
        function, args = self._steps[index]
        try:
            result, after = function(state, *args)
        except TypeError:
            self.model.step(state, self.operations[index])  # The model knows how to say it.
            raise
        wanted = self._results[index]
        if self._is_special[index]:
            return after if fits(self.operations[index], result) else _MISFIT
        return after if result is wanted or result == wanted else _MISFIT

    def after(self, order: Sequence[int]) -> list[int]:
        """Return the operations that may come next when those of *order* are done, whatever the model says."""
        base = mask = 0
        for index in order:
            base, mask = _marked(base, mask, index)
        return self._candidates(base, mask)

    def _in_real_time(self, base: int, mask: int) -> list[int]:
        """Return the operations that were called before any that is not done returned."""
        called, returned = self._times
        index, count = base + 1, len(called)
        if base == count:
            return []
        # The first is not done.
        candidates, first_return = [base], returned[base]
        mask >>= 1
        while index < count and called[index] <= first_return:
            if not mask & 1:
                candidates.append(index)
                first_return = min(first_return, returned[index])
            mask >>= 1
            index += 1
        while called[candidates[-1]] > first_return:
            candidates.pop()
        return candidates

    @cached_property
    def _times(self) -> tuple[list[float], list[float]]:
        return [each.invoked for each in self.operations], [each.returned for each in self.operations]

    def _in_program_order(self, base: int, mask: int) -> list[int]:
        """Return the first operation of each process that is not done, those that were called first at the front."""
        first = []
        for program in self._programs:
            position = bisect_left(program, base)
            while position < len(program) and (mask >> (program[position] - base)) & 1:
                position += 1
            first += program[position : position + 1]
        return sorted(first)

    @cached_property
    def _programs(self) -> list[list[int]]:
        programs: dict[Hashable, list[int]] = {}
        for index, operation in enumerate(self.operations):
            programs.setdefault(operation.process, []).append(index)
        return list(programs.values())


_MISFIT: Any = object()


def _marked(base: int, mask: int, index: int) -> tuple[int, int]:
    """Return the window after operation *index* is done: it begins at the first that is not."""
    return _shifted(base, mask | 1 << (index - base))


def _shifted(base: int, mask: int) -> tuple[int, int]:
    if mask & 1:
        done = (mask ^ (mask + 1)).bit_length() - 1
        return base + done, mask >> done
    return base, mask
