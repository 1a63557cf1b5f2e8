"""`Overrides`: other values for some keys or attributes of a thing, until they are taken back."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import ExitStack, suppress
from types import ModuleType, TracebackType
from typing import Any

from supertester._core.naming import describe
from supertester.errors import UsageError

__all__ = ["Overrides", "check_target", "name_of"]

_ABSENT: Any = object()


class Overrides:
    """Values that are in force from now to `restore`, or to the end of a ``with`` block.

    Args:
        target: A mutable mapping, or a module, class or other object with attributes.
        values: The new values by key or attribute.
        create: Whether an attribute that is not there may be made.
        on_restore: Called with this, once all is as it was.

    Raises:
        TypeError: *target* is of another kind, or refuses a value; nothing is changed then.
        UsageError: It has no such attribute.
    """

    def __init__(
        self,
        target: Any,
        values: Mapping[str, Any],
        *,
        create: bool,
        on_restore: Callable[[Overrides], object],
    ) -> None:
        self.target = target
        self._names = tuple(values)
        self._stack = ExitStack()
        change = _set_item if isinstance(target, MutableMapping) else _set_attribute
        if change is _set_attribute and not create:
            _check_attributes(target, values)
        with ExitStack() as stack:
            for name, value in values.items():
                stack.callback(change(target, name, value))
            # All could be set. So what takes it back is kept, below what tells that it was.
            self._stack.callback(on_restore, self)
            self._stack.push(stack.pop_all())

    def restore(self) -> None:
        """Put back what was there; a second call does nothing."""
        self._stack.close()

    def forget(self) -> None:
        """Let `restore` do nothing from now on."""
        self._stack.pop_all()

    def __enter__(self) -> Any:
        return self.target

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def __repr__(self) -> str:
        return f"config of {name_of(self.target)}: {', '.join(self._names)}"


def name_of(target: Any) -> str:
    """Return what to call *target* in a message."""
    if target is os.environ:
        return "os.environ"
    if isinstance(target, ModuleType):
        return f"module {target.__name__!r}"
    if isinstance(target, MutableMapping):
        return f"a {type(target).__name__} with {len(target)} keys"
    return describe(target) if isinstance(target, type) else f"an object of {describe(type(target))}"


def check_target(target: Any) -> None:
    """Refuse what has nothing that could be overridden.

    Raises:
        TypeError: Saying what to pass.
    """
    if isinstance(target, MutableMapping):
        if hasattr(target, "read_dict"):
            # Its sections are views, which would not keep what was there before.
            raise TypeError(
                "config() cannot override a whole ConfigParser; pass one section, config(parser['section'])"
            )
        return
    if isinstance(target, Mapping):
        raise TypeError(f"config() cannot change a mapping that is read-only, a {type(target).__name__}")
    if isinstance(target, str) or not (hasattr(target, "__dict__") or hasattr(type(target), "__slots__")):
        raise TypeError(f"config() takes a mutable mapping, a module or an object with attributes, got {target!r}")


def _set_item(target: Any, key: str, value: Any) -> Callable[[], object]:
    before = target[key] if key in target else _ABSENT  # noqa: SIM401 - in some mappings `get` is another thing
    if value is None and target is os.environ:
        target.pop(key, None)  # A variable cannot be None, so this has no other meaning.
    else:
        try:
            target[key] = value
        except TypeError as error:
            raise TypeError(f"config() cannot set {key!r} to {value!r} in {name_of(target)}: {error}") from error
    if before is _ABSENT:
        return lambda: target.pop(key, None)
    return lambda: target.__setitem__(key, before)


def _check_attributes(target: Any, values: Mapping[str, Any]) -> None:
    for name in values:
        if not hasattr(target, name):
            close = difflib.get_close_matches(name, dir(target), 3)
            hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
            raise UsageError(
                f"{name_of(target)} has no attribute {name!r} to override; {hint}pass create=True to make a new one"
            )


def _set_attribute(target: Any, name: str, value: Any) -> Callable[[], object]:
    own = getattr(target, "__dict__", {})
    was_there = name in own
    # As it is stored: a class would call a descriptor.
    before = own[name] if was_there else getattr(target, name, _ABSENT)
    try:
        setattr(target, name, value)
    except AttributeError as error:
        raise TypeError(f"config() cannot set {name!r} on {name_of(target)}: {error}") from error
    if before is _ABSENT or (not was_there and name in getattr(target, "__dict__", {})):
        # It hides what comes from a class, or from the `__getattr__` of a module.
        return lambda: _delete(target, name)
    return lambda: setattr(target, name, before)


def _delete(target: Any, name: str) -> None:
    with suppress(AttributeError):  # It is gone already.
        delattr(target, name)
