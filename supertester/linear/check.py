"""`check_linearizable`: whether a history could have come from an object that does one thing at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from typing import Any

from supertester._core.evidence import shown
from supertester.errors import UsageError
from supertester.linear.history import Operation, checked
from supertester.linear.model import Model, Whole, model_of
from supertester.linear.picture import drawn
from supertester.linear.search import Search, fits
from supertester.linear.special import Order, Violation, decided

__all__ = ["Linearizability", "check_linearizable"]

_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Linearizability:
    """The verdict on a history.

    Attributes:
        verdict: ``"linearizable"``, ``"not_linearizable"``, or ``"unknown"`` where the budget was used up.
        explanation: What stands against it, as a sentence and a picture.
        configurations: How many configurations were looked at; 0 where no search was needed.
    """

    verdict: str
    explanation: str = ""
    configurations: int = 0
    _parts: tuple[Order, ...] = field(default=(), repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.verdict == "linearizable"

    @cached_property
    def order(self) -> tuple[Operation, ...]:
        """An order that the model allows, of each independent part after the other; empty unless there is one."""
        return tuple(chain.from_iterable(part() for part in self._parts))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form: operations as text."""
        return {
            "verdict": self.verdict,
            "order": [str(each) for each in self.order],
            "explanation": self.explanation,
            "configurations": self.configurations,
        }


def check_linearizable(
    history: Iterable[Operation], model: Any, *, sequential: bool = False, budget: int = 1_000_000
) -> Linearizability:
    """Say whether *history* is linearizable: each operation took effect at one moment between its call and its return.

    An operation that never returned may have taken effect, or not. Of the ready-made models, and of values that are put
    in once, any number of operations is decided without a search; see `supertester.linear.special`.

    Args:
        history: The operations, e.g. a `History`.
        model: What the object does for one caller at a time: a class whose methods are the operations, the name of a
            ready-made model (``"register" "counter" "queue" "stack" "map" "set" "lock"``), or a `Model`.
        sequential: Whether it is enough that each process' own order is kept, whatever the real time: sequential
            consistency.
        budget: Configurations to look at, where it takes a search; then the verdict is ``"unknown"``.

    Raises:
        UsageError: The model has no such operation, or the history makes no sense.
        TypeError: It consists of something else than operations.

    >>> history = [Operation("a", "write", (1,), None, 0, 1), Operation("b", "read", (), None, 2, 3)]
    >>> check_linearizable(history, "register").verdict
    'not_linearizable'
    >>> check_linearizable(history, "register", sequential=True).verdict
    'linearizable'
    """
    _check_options(sequential, budget)
    # Sequential consistency does not hold of an object when it holds of each part, so there the parts are one.
    behaviour = Whole(model_of(model)) if sequential else model_of(model)
    parts: dict[Hashable, list[Operation]] = {}
    operations = checked(history)
    if getattr(behaviour, "keyed", True):
        for operation in operations:
            parts.setdefault(behaviour.key(operation), []).append(operation)
    elif operations:
        parts[None] = operations
    orders: list[Order] = []
    looked_at = 0
    for part in parts.values():
        decision = decided(part, behaviour)
        if decision is None:
            search = Search(part, behaviour, budget - looked_at, sequential)
            found = search.run()
            looked_at += search.looked_at
            if search.exhausted:
                text = f"undecided after {budget} configurations; raise budget"
                return Linearizability(verdict="unknown", explanation=text, configurations=looked_at)
            if found is None:
                text = _explained(part, behaviour, search)
                return Linearizability(verdict="not_linearizable", explanation=text, configurations=looked_at)
            decision = partial(_picked, part, found)
        if isinstance(decision, Violation):
            text = f"{_nothing_fits(behaviour)}:\n{decision.sentence}\n\n{drawn(decision.evidence)}"
            return Linearizability(verdict="not_linearizable", explanation=text, configurations=looked_at)
        orders.append(decision)
    return Linearizability(verdict="linearizable", configurations=looked_at, _parts=tuple(orders))


def _check_options(sequential: Any, budget: Any) -> None:
    if not isinstance(budget, int) or budget < 1:
        raise UsageError(f"budget must be an integer of 1 or more, got budget={budget!r}")
    if not isinstance(sequential, bool):
        raise TypeError(f"sequential must be True or False, got sequential={sequential!r}")


def _picked(operations: Sequence[Operation], order: Sequence[int]) -> list[Operation]:
    return [operations[number] for number in order]


def _nothing_fits(model: Model) -> str:
    return f"no order of these operations is one of a {model.name}"


def _explained(operations: list[Operation], model: Model, search: Search) -> str:
    """Say how far an order goes, and why none of what is left may come next."""
    state: Any = model.initial()
    best = search.best
    for index in best:
        _, state = model.step(state, operations[index])
    lines = [_nothing_fits(model) + (", even if only the order of each process counts" if search.sequential else "")]
    if best:
        lines.append(f"the longest that is legal has {len(best)} of {len(operations)}, and ends with:")
        lines += [f"  {operations[index]}" for index in best[-_SHOWN:]]
        lines.append(f"after it the state is {shown(state)}, and next could only come:")
    else:
        lines.append(f"the first state is {shown(state)}, and first could only come:")
    for index in search.after(best):
        operation = operations[index]
        result, _ = model.step(state, operation)
        verdict = "which leads nowhere" if fits(operation, result) else f"but there it returns {shown(result)}"
        lines.append(f"  {operation}, {verdict}")
    left = sorted({*range(len(operations))} - {*best})
    window = sorted({*best[-_SHOWN:], *left[:_SHOWN]})
    return "\n".join([*lines, "", drawn([operations[index] for index in window])])
