"""Histories made up for checkers of linearizability, and what brute force says about them.

`small` makes histories of a few operations, right ones and wrong ones, and `possible` decides those by trying every
order. `large` makes histories of any length as an object with so many clients would write them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from supertester.errors import UsageError
from supertester.linear import MODELS, PENDING, Operation
from supertester.linear.history import checked
from supertester.linear.search import fits

__all__ = ["OBJECTS", "is_legal", "keeps_time", "large", "possible", "small", "spoilt"]

Call = tuple[str, tuple[Any, ...]]


def _fresh(name: str, *before: Any) -> Callable[[random.Random, int], Call]:
    """Return a maker of calls with a value that nobody else gives."""
    return lambda _, number: (name, (*before, number))


def _plain(name: str, *args: Any) -> Callable[[random.Random, int], Call]:
    return lambda _, __: (name, args)


def _keyed(name: str, keys: int, *, fresh: bool = False) -> Callable[[random.Random, int], Call]:
    return lambda choice, number: (name, (choice.randrange(keys), *([number] if fresh else [])))


OBJECTS: dict[str, list[Callable[[random.Random, int], Call]]] = {
    "register": [_fresh("write"), _plain("read")],
    "map": [_keyed("put", 2, fresh=True), _keyed("get", 2)],
    "counter": [_plain("increment"), _plain("add", 1), _plain("read"), _plain("read"), _plain("next")],
    "queue": [_fresh("enqueue"), _plain("dequeue")],
    "stack": [_fresh("push"), _plain("pop")],
    "set": [_keyed("add", 2), _keyed("remove", 2), _keyed("contains", 2)],
    "lock": [_plain("acquire"), _plain("release"), _plain("locked")],
}
"""What can be asked of each model, with values that are all different where that matters."""
_LARGE = {
    **OBJECTS,
    "map": [_keyed("put", 10, fresh=True), _keyed("get", 10)],
    "set": [_keyed("add", 10), _keyed("remove", 10), _keyed("contains", 10)],
}
"""The same with more keys."""


def small(name: str, seed: Any, *, most: int = 8) -> list[Operation]:
    """Return a history of up to *most* operations of model *name*; about most of them were tampered with."""
    choice = random.Random(f"{name} {seed}")
    count = choice.randint(1, most)
    drawn = list(_run(name, choice, count, choice.randint(1, 4), pending=choice.choice((0, 0, 0.1, 0.4))))
    if choice.random() < 0.2:  # Calls and returns at the same moment.
        drawn = [each._replace(invoked=each.invoked // 2, returned=_halved(each.returned)) for each in drawn]
    for _ in range(choice.choice((0, 1, 2, 3, 4, 6))):
        drawn = _tampered(drawn, choice)
    return drawn


def _halved(moment: float) -> float:
    return moment if moment == PENDING else moment // 2


def _run(
    name: str,
    choice: random.Random,
    count: int,
    clients: int,
    *,
    pending: float = 0,
    calls: Mapping[str, Sequence[Callable[[random.Random, int], Call]]] = OBJECTS,
) -> Iterator[Operation]:
    """Let *clients* use an object, and yield what they did."""
    model, states = MODELS[name], dict[Any, Any]()
    free, called, answered = list(range(clients)), dict[int, Operation](), dict[int, Operation]()
    moment = number = 0
    while number < count or called or answered:
        moment += 1
        ready = [*(free if number < count else ()), *called, *answered]
        if not ready:
            return  # All have been given up.
        client = choice.choice(ready)
        if client in free:
            number += 1
            free.remove(client)
            called[client] = Operation(client, *choice.choice(calls[name])(choice, number), None, moment)
        elif client in called:
            operation = called.pop(client)
            if pending and choice.random() < pending / 2:
                yield operation
                continue
            key = model.key(operation)
            result, states[key] = model.step(states.get(key, model.initial()), operation)
            answered[client] = operation._replace(result=result)
        else:
            operation = answered.pop(client)
            if pending and choice.random() < pending / 2:
                yield operation._replace(result=None)
                continue
            free.append(client)
            yield operation._replace(returned=moment)


def _tampered(operations: Sequence[Operation], choice: random.Random) -> list[Operation]:
    """Return *operations* with another result, or another time, of one or two of them."""
    found = list(operations)
    place = choice.randrange(len(found))
    one = found[place]
    alike = [number for number, each in enumerate(found) if each.name == one.name and each.args == one.args]
    what = choice.random()
    if what < 0.5:
        other = choice.choice(alike)
        found[place] = one._replace(result=found[other].result)
        found[other] = found[other]._replace(result=one.result)
    elif what < 0.6:
        guesses = [not one.result] if isinstance(one.result, bool) else [one.result, None, choice.randint(0, 6)]
        found[place] = one._replace(result=choice.choice(guesses))
    else:
        found[place] = _moved(one, found, choice)
    try:
        return checked(found)
    except UsageError:
        return list(operations)  # It would have called twice at once.


def _moved(one: Operation, operations: list[Operation], choice: random.Random) -> Operation:
    """Return *one* at another time, as far as what its process did before and after lets it."""
    others = [each for each in operations if each.process == one.process and each is not one]
    earliest = max([0, *(int(each.returned) for each in others if each.returned <= one.invoked)])
    latest = min((int(each.invoked) for each in others if each.invoked >= one.returned), default=0)
    begins = int(one.invoked if one.pending else one.returned)
    ends = max(latest or begins + 8, begins)
    invoked, returned = sorted(choice.randint(earliest, ends) for _ in range(2))
    return (
        one._replace(invoked=min(invoked, begins)) if one.pending else one._replace(invoked=invoked, returned=returned)
    )


def large(name: str, count: int, clients: int, seed: Any = 0) -> list[Operation]:
    """Return a linearizable history of *count* operations by *clients* that are always busy."""
    choice = random.Random(f"{name} {count} {clients} {seed}")
    return sorted(_run(name, choice, count, clients, calls=_LARGE), key=lambda each: each.invoked)


def spoilt(operations: Sequence[Operation], name: str, *, at: float = 0.6) -> list[Operation]:
    """Return a linearizable history of *name* with one violation: about there, something is seen long after it was."""
    found = list(operations)
    start = int(len(found) * at)
    for place in range(start, len(found)):
        one = found[place]
        # What was put in last of all that was out of date, or far away, when this was called.
        old = [each for each in found[:place] if each.returned < one.invoked and each.name == one.name]
        if name in ("register", "map") and one.name in ("read", "get"):
            stale = [each.result for each in old if each.args == one.args and each.result != one.result]
        elif name == "counter" and one.name == "read":
            stale = [each.result for each in old if each.result < one.result - 10]
        else:
            continue
        if len(stale) > 10:
            found[place] = one._replace(result=stale[len(stale) // 2])
            return found
    raise ValueError(f"there is nothing to spoil in a history of a {name} with {len(found)} operations")


def possible(history: Sequence[Operation], model: Any) -> bool:
    """Say whether there is an order, by trying all of them."""
    dead: set[Any] = set()

    def search(left: frozenset[int], states: frozenset[Any]) -> bool:
        if all(history[number].pending for number in left):
            return True
        if (left, states) in dead:
            return False
        soonest = min(history[number].returned for number in left)
        for number in left:
            operation = history[number]
            if operation.invoked <= soonest:
                key = model.key(operation)
                before = dict(states)
                result, before[key] = model.step(before.get(key, model.initial()), operation)
                if fits(operation, result) and search(left - {number}, frozenset(before.items())):
                    return True
        dead.add((left, states))
        return False

    return search(frozenset(range(len(history))), frozenset())


def is_legal(order: Sequence[Operation], model: Any) -> bool:
    """Say whether *model* returns in this order what was returned."""
    states: dict[Any, Any] = {}
    for operation in order:
        key = model.key(operation)
        result, states[key] = model.step(states.get(key, model.initial()), operation)
        if not fits(operation, result):
            return False
    return True


def keeps_time(order: Sequence[Operation], model: Any) -> bool:
    """Say whether no operation stands behind one of the same part that was called after it had returned."""
    latest: dict[Any, float] = {}
    for operation in order:
        key = model.key(operation)
        if operation.returned < latest.get(key, 0):
            return False
        latest[key] = max(latest.get(key, 0), operation.invoked)
    return True
