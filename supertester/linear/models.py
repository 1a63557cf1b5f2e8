"""Ready-made models of the objects that concurrent programs are made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from supertester.errors import UsageError
from supertester.linear.history import PENDING, Operation
from supertester.linear.model import frozen

__all__ = ["MODELS", "counter", "lock", "map", "queue", "register", "set", "stack"]

Step = Callable[..., tuple[Any, Any]]


class Functions:
    """A model made of a function for each operation, ``function(state, *args) -> (result, new state)``.

    *reads* are the operations that never change anything, *tries* those that change nothing when they return ``False``.
    """

    def __init__(
        self, name: str, start: Any, steps: Mapping[str, Step], *, reads: str = "", tries: str = "", keyed: bool = False
    ) -> None:
        self.name = name
        self._start = start
        self._steps = {alias: step for names, step in steps.items() for alias in names.split()}
        self.roles = {alias: names.split()[0] for names in steps for alias in names.split()}
        """What each name does: the first name of the same function."""
        self._reads = frozenset(reads.split())
        self._tries = frozenset(tries.split())
        self.keyed = keyed

    def initial(self) -> Hashable:
        return self._start  # type: ignore[no-any-return]

    def step(self, state: Any, operation: Operation) -> tuple[Any, Hashable]:
        function = self._steps.get(operation.name)
        if function is None:
            known = ", ".join(self._steps)
            raise UsageError(f"the model {self.name} has no operation {operation.name!r}; it has {known}")
        try:
            return function(state, *operation.args)
        except TypeError as error:
            raise UsageError(f"the model {self.name} cannot do {operation}: {error}") from error

    def functions(self, operations: Sequence[Operation]) -> list[Step]:
        """Return the function of each of *operations*.

        Raises:
            UsageError: There is none.
        """
        steps = self._steps
        try:
            return [steps[each.name] for each in operations]
        except KeyError:
            for each in operations:
                self.step(self._start, each)
            raise

    def reading(self, operations: Sequence[Operation]) -> list[bool]:
        """Say of each of *operations* whether it returned, and only reads."""
        reads, tries = self._reads, self._tries
        return [
            each.returned != PENDING and (each.name in reads or (each.result is False and each.name in tries))
            for each in operations
        ]

    def only_reads(self, operation: Operation) -> bool:
        return operation.name in self._reads or (operation.name in self._tries and operation.result is False)

    def key(self, operation: Operation) -> Hashable:
        return frozen(operation.args[0]) if self.keyed and operation.args else None

    def __repr__(self) -> str:
        return f"<model {self.name}>"


def _compare_and_set(state: Any, old: Any, new: Any) -> tuple[bool, Any]:
    return (True, new) if state == old else (False, state)


register: Final = Functions(
    "register",
    None,
    {
        "read get": lambda state: (state, state),
        "write set put": lambda _, value: (None, value),
        "compare_and_set cas": _compare_and_set,
    },
    reads="read get",
    tries="compare_and_set cas",
)
"""One value, ``None`` at first: ``read``, ``write``, ``compare_and_set(old, new)``."""

counter: Final = Functions(
    "counter",
    0,
    {
        "read get value": lambda state: (state, state),
        "add": lambda state, n=1: (None, state + n),
        "increment inc": lambda state: (None, state + 1),
        "decrement dec": lambda state: (None, state - 1),
        "next": lambda state: (state + 1, state + 1),
    },
    reads="read get value",
)
"""A number, 0 at first: ``read``, ``add(n)``, ``increment``, ``decrement``; ``next`` adds one and returns the sum."""

queue: Final = Functions(
    "queue",
    (),
    {
        "enqueue put push send": lambda state, value: (None, (*state, value)),
        "dequeue get pop receive": lambda state: (state[0], state[1:]) if state else (None, ()),
        "size len": lambda state: (len(state), state),
    },
    reads="size len",
)
"""First in, first out: ``enqueue(value)``, ``dequeue`` (``None`` when empty), ``size``."""

stack: Final = Functions(
    "stack",
    (),
    {
        "push put": lambda state, value: (None, (*state, value)),
        "pop get": lambda state: (state[-1], state[:-1]) if state else (None, ()),
        "size len": lambda state: (len(state), state),
    },
    reads="size len",
)
"""Last in, first out: ``push(value)``, ``pop`` (``None`` when empty), ``size``."""

_ABSENT: Final = None
_ABSENT_MEMBER: Final = False
_FREE: Final = False

map: Final = Functions(
    "map",
    _ABSENT,
    {
        "get read": lambda state, _: (state, state),
        "put set write": lambda _, __, value: (None, value),
        "delete remove": lambda *_: (None, _ABSENT),
        "contains has": lambda state, _: (state is not _ABSENT, state),
    },
    reads="get read contains has",
    keyed=True,
)
"""Values by key, ``None`` where there is none: ``get(key)``, ``put(key, value)``, ``delete(key)``, ``contains(key)``.

Each key is checked by itself: a map is linearizable if and only if each of its keys is.
"""

set: Final = Functions(
    "set",
    _ABSENT_MEMBER,
    {
        "add insert": lambda state, _: (not state, True),
        "remove delete": lambda state, _: (state, False),
        "contains has": lambda state, _: (state, state),
    },
    reads="contains has",
    tries="add insert remove delete",
    keyed=True,
)
"""``add(value)`` and ``remove(value)`` return whether they changed anything; ``contains(value)``.

Each value is checked by itself.
"""

lock: Final = Functions(
    "lock",
    _FREE,
    {
        "acquire lock": lambda state: (not state, True),
        "release unlock": lambda state: (state, False),
        "locked": lambda state: (state, state),
    },
    reads="locked",
    tries="acquire lock release unlock",
)
"""``acquire`` returns whether it got the lock, ``release`` whether there was one to release; ``locked``."""

MODELS: Final = {model.name: model for model in (register, counter, queue, stack, map, set, lock)}
