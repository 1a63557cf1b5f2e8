"""The search for an order of the operations that a model allows.

The algorithm of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017): take any operation that may come first, let the model do it, go on with the
rest, and never look twice at the same set of done operations in the same state. Two things make it quick: done
operations are a bit mask relative to the first that is not done, and operations that only read come first as soon as
they are legal, for nothing is lost by that. Of the others, what returned first is tried first.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from supertester.linear.history import PENDING, Operation
from supertester.linear.model import Model, frozen
from supertester.linear.models import Functions

__all__ = ["Search", "fits"]

_Step = tuple[Callable[..., Any], tuple[Any, ...], Any, bool]
"""What does an operation, with which arguments; what it returned; whether that needs another look than equality."""
_Window = tuple[list[int], float, int]
"""What may come next, what is tried first at the front; when the first of it returns; the first operation behind it."""


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
        self._pending = [each.returned == PENDING for each in self.operations]
        # Equality does not decide of what may have returned anything, nor of what was raised.
        special = [
            pending or isinstance(each.result, BaseException)
            for pending, each in zip(self._pending, self.operations, strict=True)
        ]
        results = [each.result for each in self.operations]
        self._steps: list[_Step] = list(zip(*self._prepared(), results, special, strict=True))
        self._reads = {index for index, is_read in enumerate(self._is_read) if is_read}
        self._called = [each.invoked for each in self.operations]
        self._returned = [each.returned for each in self.operations]
        self._without = self._in_program_order if self.sequential else self._in_real_time

    def _prepared(self) -> tuple[list[Callable[..., Any]], list[tuple[Any, ...]]]:
        """Return what does each operation, and with which arguments; and find those that only read."""
        model, operations = self.model, self.operations
        if isinstance(model, Functions):
            self._is_read = model.reading(operations)
            return model.functions(operations), [each.args for each in operations]
        self._is_read = [not each.pending and model.only_reads(each) for each in operations]
        # A step of a model of the user's, such as a copy of an instance, costs far more than to remember it.
        self._known: dict[tuple[int, Any], tuple[Any, Any]] = {}
        return [self._remembered] * len(operations), [(index,) for index in range(len(operations))]

    def _remembered(self, state: Any, index: int) -> tuple[Any, Any]:
        key = (index, state)
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = self.model.step(state, self.operations[index])
            return found
        except TypeError:  # The state cannot be hashed.
            return self.model.step(state, self.operations[index])

    def run(self) -> list[int] | None:
        """Return a legal order of the operations, by their positions, or ``None``; pending ones may be left out."""
        seen: set[tuple[int, int, Hashable]] = set()
        pending = self._pending
        left = len(pending) - sum(pending)
        order: list[int] = []
        stack: list[tuple[int, int, Any, int, int, Iterator[int], _Window]] = []
        base, mask, state = 0, 0, self.model.initial()
        window = self._start()
        shared = 0  # How much of the best order is the beginning of the present one.
        while True:
            depth = len(order)
            if not self._reads.isdisjoint(window[0]):
                base, mask, window = self._with_reads(base, mask, state, window, order)
                left -= len(order) - depth
            if not left:
                return order
            choices = iter(window[0])
            while (choice := self._next(base, mask, state, choices, seen)) is None:
                if len(order) > len(self.best):
                    self.best[shared:] = order[shared:]
                    shared = len(order)
                if not stack:
                    return None
                base, mask, state, left, depth, choices, window = stack.pop()
                del order[depth:]
                shared = min(shared, depth)
            self.looked_at += 1
            if self.looked_at > self.budget:
                self.exhausted = True
                return None
            stack.append((base, mask, state, left, len(order), choices, window))
            index, base, mask, state = choice
            window = self._without(window, [index])
            order.append(index)
            left -= not pending[index]

    def _with_reads(
        self, base: int, mask: int, state: Any, window: _Window, order: list[int]
    ) -> tuple[int, int, _Window]:
        """Do what only reads, as long as any of that is legal, and return where it leads."""
        is_read = self._is_read
        while True:
            legal = [index for index in window[0] if is_read[index] and self._fits(index, state)]
            if not legal:
                break
            order += legal
            for index in legal:
                mask |= 1 << (index - base)
            base, mask = _shifted(base, mask)
            window = self._without(window, legal)
        return base, mask, window

    def _next(
        self, base: int, mask: int, state: Any, choices: Iterator[int], seen: set[tuple[int, int, Hashable]]
    ) -> tuple[int, int, int, Any] | None:
        """Return the next of *choices* that is legal and leads to what was not seen, and where it leads."""
        is_read, steps = self._is_read, self._steps
        for index in choices:
            if is_read[index]:
                continue  # What only reads and is legal has been done.
            function, args, wanted, is_special = steps[index]
            try:
                result, after = function(state, *args)
            except TypeError:
                self.model.step(state, self.operations[index])  # The model knows how to say it.
                raise
            if is_special:
                if not fits(self.operations[index], result):
                    continue
            elif result is not wanted and result != wanted:
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

    def _fits(self, index: int, state: Any) -> bool:
        """Say whether an operation would return in *state* what it returned."""
        function, args, wanted, is_special = self._steps[index]
        try:
            result, _ = function(state, *args)
        except TypeError:
            self.model.step(state, self.operations[index])
            raise
        return fits(self.operations[index], result) if is_special else result is wanted or bool(result == wanted)

    # What may come next ----------------------------------------------------------------------------------------------

    def after(self, order: Sequence[int]) -> list[int]:
        """Return the operations that may come next when those of *order* are done, whatever the model says."""
        window = self._start()
        for index in order:
            window = self._without(window, [index])
        return sorted(window[0])

    def _start(self) -> _Window:
        if self.sequential:
            return [each for each, before in enumerate(self._followed) if before < 0], PENDING, 0
        return self._in_real_time(([], PENDING, 0), [])

    def _in_real_time(self, window: _Window, done: Sequence[int]) -> _Window:
        """Return the operations that were called before any that is not done returned, which will return first."""
        candidates, first_return, end = window
        left = candidates.copy()
        for index in done:
            left.remove(index)
        called, returned = self._called, self._returned
        if left and returned[left[0]] == first_return and done:
            return left, first_return, end
        first_return = returned[left[0]] if left else PENDING
        while end < len(called) and called[end] <= first_return:
            insort(left, end, key=returned.__getitem__)
            first_return = returned[left[0]]
            end += 1
        return left, first_return, end

    def _in_program_order(self, window: _Window, done: Sequence[int]) -> _Window:
        """Return the first operation of each process that is not done, those that were called first at the front."""
        left = [index for index in window[0] if index not in done]
        left += [self._following[index] for index in done if self._following[index] >= 0]
        return sorted(left), PENDING, 0

    @cached_property
    def _following(self) -> list[int]:
        """For each operation the next one of its process, or -1."""
        following = [-1] * len(self.operations)
        for index, before in enumerate(self._followed):
            if before >= 0:
                following[before] = index
        return following

    @cached_property
    def _followed(self) -> list[int]:
        """For each operation the one of its process before it, or -1."""
        latest: dict[Hashable, int] = {}
        followed = []
        for index, operation in enumerate(self.operations):
            followed.append(latest.get(operation.process, -1))
            latest[operation.process] = index
        return followed


def _shifted(base: int, mask: int) -> tuple[int, int]:
    """Return the same with the first operation that is not done as the base."""
    if mask & 1:
        done = (mask ^ (mask + 1)).bit_length() - 1
        return base + done, mask >> done
    return base, mask
