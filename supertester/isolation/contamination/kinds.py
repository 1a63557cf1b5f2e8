"""The kinds of resources: a single value, a mapping of values, and a container that is compared by what it contains."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any

from supertester.isolation.contamination.difference import (
    ABSENT,
    CannotRestore,
    Difference,
    Resource,
    Since,
    is_ours,
    same,
)
from supertester.isolation.contamination.showing import changed_lines, shown

__all__ = ["CONTAINERS", "attribute", "contents", "contents_differences", "copied", "each", "irreversible", "slot"]

CONTAINERS = (dict, list, set, deque, bytearray)
"""What `contents_differences` can compare and restore; other mappings are, too."""


def irreversible(reason: str) -> Callable[[Any], object]:
    """Return a function to restore what cannot be restored."""

    def put(value: Any) -> None:
        raise CannotRestore(reason)

    return put


def slot(
    name: str,
    get: Callable[[], Any],
    put: Callable[[Any], object],
    *,
    is_lazy: Callable[[Any, Any], bool] = lambda before, after: False,
) -> Resource:
    """Return the resource of one value.

    Args:
        name: What it is called.
        get: Returns the value.
        put: Restores it.
        is_lazy: ``is_lazy(before, after)`` says whether the one became the other by being used for the first time.
    """

    def differences(before: Any, since: Since) -> Iterator[Difference]:
        after = get()
        if not (same(before, after) or since.tolerates(before, after) or is_lazy(before, after)):
            yield Difference.of(name, before, after, partial(put, before))

    return Resource(name, get, differences)


def attribute(module: str, name: str, *, fresh: Any = ABSENT) -> Resource:
    """Return the resource of an attribute of a module.

    Args:
        module: Where it is; it need not have been imported.
        name: The name of the attribute.
        fresh: What it is when the module has just been imported.
    """

    def get() -> Any:
        return getattr(sys.modules.get(module), name, fresh)

    def put(value: Any) -> None:
        if value is ABSENT:
            delattr(sys.modules[module], name)
        else:
            setattr(sys.modules[module], name, value)

    return slot(f"{module}.{name}", get, put, is_lazy=lambda before, after: before is ABSENT)


def each(
    name: str,
    get: Callable[[], Mapping[Any, Any]],
    put: Callable[[Any, Any], object],
    label: Callable[[Any], str],
    *,
    alike: Callable[[Any, Any], bool] = same,
) -> Resource:
    """Return the resource of several values of one kind, by key.

    Args:
        name: What they are called together.
        get: Returns all of them.
        put: ``put(key, value)`` restores one; the value is `ABSENT` for one that was not there.
        label: What the one with this key is called.
        alike: Says whether two values are to be taken for the same.
    """

    def differences(before: Mapping[Any, Any], since: Since) -> Iterator[Difference]:
        yield from _in_mapping(label, before, get(), put, since, alike)

    return Resource(name, get, differences)


def contents(module: str, name: str, *, after: Callable[[], object] | None = None) -> Resource:
    """Return the resource of a container that is an attribute of a module: which object it is, and what is in it.

    Args:
        module: Where it is; while that is not imported there is nothing to compare.
        name: The name of the attribute.
        after: To be called when it was restored.
    """
    what = f"{module}.{name}"

    def take() -> Any:
        container = getattr(sys.modules.get(module), name, None)
        return None if container is None else (container, copied(container))

    def differences(before: Any, since: Since) -> Iterator[Difference]:
        now = getattr(sys.modules.get(module), name, None)
        if before is None or now is None:
            return
        container, was = before
        if now is not container and not is_ours(now):
            undo = partial(setattr, sys.modules[module], name, container)
            details = changed_lines(list(was), list(now))
            yield Difference(what, shown(was), f"{shown(now)}, which is another object", _then(undo, after), details)
        for difference in contents_differences(what, container, was, since):
            yield Difference(
                difference.what, difference.before, difference.after, _then(difference.undo, after), difference.details
            )

    return Resource(what, take, differences)


def _then(undo: Callable[[], object], after: Callable[[], object] | None) -> Callable[[], object]:
    if after is None:
        return undo
    return lambda: (undo(), after())


# What is in a container -----------------------------------------------------------------------------------------------


def copied(container: Any) -> Any:
    """Return what is in *container*, in a container that does not change with it."""
    if isinstance(container, Mapping):
        return dict(container)
    return set(container) if isinstance(container, set) else list(container)


def contents_differences(what: str, container: Any, before: Any, since: Since) -> Iterator[Difference]:
    """Yield how the contents of *container* differ from *before*, which `copied` returned."""
    if isinstance(container, MutableMapping):
        yield from _in_mapping(
            lambda key: f"{what}[{shown(key)}]", before, dict(container), partial(_put_item, container), since
        )
    elif isinstance(container, set):
        yield from _in_set(what, container, before, since)
    else:
        yield from _in_sequence(what, container, before, since)


def _in_mapping(  # noqa: PLR0917
    label: Callable[[Any], str],
    before: Mapping[Any, Any],
    after: Mapping[Any, Any],
    put: Callable[[Any, Any], object],
    since: Since,
    alike: Callable[[Any, Any], bool] = same,
) -> Iterator[Difference]:
    for key in {**before, **after}:
        was, now = before.get(key, ABSENT), after.get(key, ABSENT)
        if not (alike(was, now) or since.tolerates(was, now)):
            details = changed_lines(was, now) if isinstance(was, list) and isinstance(now, list) else ""
            yield Difference.of(label(key), was, now, partial(put, key, was), details)


def _put_item(container: MutableMapping[Any, Any], key: Any, value: Any) -> None:
    if value is ABSENT:
        container.pop(key, None)
    else:
        container[key] = value


def _in_set(what: str, container: set[Any], before: set[Any], since: Since) -> Iterator[Difference]:
    added = {each for each in container - before if not since.tolerates(ABSENT, each)}
    removed = before - container
    if added or removed:

        def undo() -> None:
            container.difference_update(added)
            container.update(removed)

        lines = changed_lines(sorted(removed, key=shown), sorted(added, key=shown))
        yield Difference.of(what, before, set(container), undo, lines)


def _in_sequence(what: str, container: Any, before: list[Any], since: Since) -> Iterator[Difference]:
    now = list(container)
    known = set(map(id, before))
    # What may be there also stays there: it is left out of the comparison, and put back around what was there before.
    tolerated = [each for each in now if id(each) not in known and since.tolerates(ABSENT, each)]
    spared = set(map(id, tolerated))
    after = [each for each in now if id(each) not in spared]
    was = [each for each in before if not is_ours(each) or any(each is other for other in now)]
    if len(was) == len(after) and all(map(same, was, after)):
        return

    def undo() -> None:
        leading = 0
        while leading < len(now) and id(now[leading]) in spared:
            leading += 1
        restored = [*now[:leading], *before, *(each for each in now[leading:] if id(each) in spared)]
        container.clear()
        container.extend(restored)

    yield Difference.of(what, was, after, undo, changed_lines(was, after))
