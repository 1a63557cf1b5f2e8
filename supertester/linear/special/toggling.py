"""Locks, and sets value by value: what is on or off.

As late as possible is as good as any other time: whatever an operation takes effect at, it can as well take effect when
the first operation that has to come after it returns. So nothing is done until an operation returns that has not taken
effect. Then it does, if need be after one that makes it possible: the one that has to return first. What changes
nothing takes effect as soon as it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

from supertester.linear.history import PENDING, Operation
from supertester.linear.special.roles import by_role
from supertester.linear.special.violation import Order, Violation, violation

__all__ = ["toggled"]

_RECENT = 4


class _Words(NamedTuple):
    """What is asked of an object that is on or off, and how to say it."""

    on: str
    off: str
    look: str
    arguments: int
    states: tuple[str, str]


_WORDS = {
    "set": _Words("add", "remove", "contains", 1, ("not in the set", "in the set")),
    "lock": _Words("acquire", "release", "locked", 0, ("free", "held")),
}


@dataclass(eq=False)
class _Toggle:
    """The object as it is at one moment, and the operations that have been called but have not taken effect."""

    operations: Sequence[Operation]
    state: bool = False
    order: list[Operation] = field(default_factory=list)
    changes: list[tuple[Operation, Operation]] = field(default_factory=list)
    """Those that changed the state, each with the one that had to come then, and could not without it."""

    def __post_init__(self) -> None:
        self.done = bytearray(len(self.operations))
        self._changers: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
        self._lookers: dict[bool, list[int]] = {True: [], False: []}

    def calls(self, number: int, state: bool, *, changes: bool) -> None:  # noqa: FBT001
        """Let an operation begin that makes the state *state*, or that saw it."""
        if changes:
            heappush(self._changers[state], (self.operations[number].returned, number))
        elif state == self.state:
            self._does(number)
        else:
            self._lookers[state].append(number)

    def becomes(self, state: bool, cause: int) -> bool:  # noqa: FBT001
        """Let the operation that has to return first make the state *state*, for *cause*; say whether there is one."""
        changers = self._changers[state]
        while changers:
            number = heappop(changers)[1]
            if not self.done[number]:
                self.change(number, state, cause)
                return True
        return False

    def change(self, number: int, state: bool, cause: int) -> None:  # noqa: FBT001
        self._does(number)
        self.changes.append((self.operations[number], self.operations[cause]))
        self.state = state
        for looker in self._lookers[state]:
            self._does(looker)
        self._lookers[state].clear()

    def _does(self, number: int) -> None:
        self.done[number] = 1
        self.order.append(self.operations[number])


def toggled(operations: Sequence[Operation], model: Any) -> Order | Violation | None:
    """Decide the history of a lock, or of one value of a set."""
    words = _WORDS[model.name]
    if by_role(operations, model, {role: [words.arguments] for role in words[:3]}) is None:
        return None
    for operation in operations:
        if not operation.pending and operation.result not in (True, False):
            sentence = f"{operation} cannot be: an operation of a {model.name} returns True or False"
            return violation(sentence, [operation])
    on, look = words.on, words.look
    effects = [_effect(each, model.roles[each.name], on, look) for each in operations]
    toggle = _Toggle(operations)
    called, count = 0, len(operations)
    returns = [number for number, each in enumerate(operations) if each.returned != PENDING]
    returns.sort(key=lambda number: operations[number].returned)
    for number in returns:
        returned = operations[number].returned
        while called < count and operations[called].invoked <= returned:
            if effects[called] is not None:
                toggle.calls(called, *effects[called][:1], changes=effects[called][1])  # type: ignore[index]
            called += 1
        if toggle.done[number]:
            continue
        state, changes = effects[number]  # type: ignore[misc]
        needed = not state if changes else state
        if toggle.state != needed and not toggle.becomes(needed, number):
            return _impossible(toggle, operations[number], needed, words)
        if changes:
            toggle.change(number, state, number)
    return partial(list, toggle.order)


def _effect(operation: Operation, role: str, on: str, look: str) -> tuple[bool, bool] | None:
    """Return the state that *operation* made or saw, and whether it made it; of what never returned, what it may."""
    if operation.returned == PENDING:
        return None if role == look else (role == on, True)
    if role == look:
        return bool(operation.result), False
    # What changed nothing saw the state that it would have made.
    return role == on, bool(operation.result)


def _impossible(toggle: _Toggle, operation: Operation, needed: bool, words: _Words) -> Violation:  # noqa: FBT001
    state, other = words.states[needed], words.states[not needed]
    helper = words.on if needed else words.off
    sentence = f"{operation} can only be when it is {state}, but until it returned it was {other} "
    if not toggle.changes:
        sentence += f"from the beginning: no {helper} was called in time that may have changed it"
        return violation(sentence, [operation])
    last, cause = toggle.changes[-1]
    forced = f", which had to come before {cause}" if cause is not last else ""
    sentence += f"since {last}{forced}: no {helper} was called in time that may have come after that"
    recent = [each for pair in toggle.changes[-_RECENT:] for each in pair]
    return violation(sentence, [*recent, operation])
