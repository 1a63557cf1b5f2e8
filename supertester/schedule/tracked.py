"""`track` and `Shared`: state of the user's that reports what is read and written, where a run asks for it."""

from __future__ import annotations

from asyncio.events import _get_running_loop
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from supertester.errors import UsageError
from supertester.schedule.watched_classes import CODE, UNCHANGING

__all__ = ["Shared", "track"]

T = TypeVar("T")

_READING: Final = [
    "__contains__",
    "__eq__",
    "__format__",
    "__ge__",
    "__getitem__",
    "__gt__",
    "__iter__",
    "__le__",
    "__len__",
    "__lt__",
    "__ne__",
    "__or__",
    "__and__",
    "__repr__",
    "__reversed__",
    "__sub__",
    "__xor__",
    "copy",
    "count",
    "difference",
    "get",
    "index",
    "intersection",
    "isdisjoint",
    "issubset",
    "issuperset",
    "items",
    "keys",
    "symmetric_difference",
    "union",
    "values",
    "__add__",
    "__mul__",
    "__rmul__",
]
_WRITING: Final = [
    "__delitem__",
    "__iadd__",
    "__iand__",
    "__imul__",
    "__ior__",
    "__isub__",
    "__ixor__",
    "__setitem__",
    "add",
    "append",
    "appendleft",
    "clear",
    "difference_update",
    "discard",
    "extend",
    "extendleft",
    "insert",
    "intersection_update",
    "pop",
    "popitem",
    "popleft",
    "remove",
    "reverse",
    "rotate",
    "setdefault",
    "sort",
    "symmetric_difference_update",
    "update",
]
_CONTAINERS: Final = (dict, list, set, deque)


class Shared:
    """A base for classes whose objects several tasks change; the reduction of ``strategy="dpor"`` needs to see that.

    An object made while a run notes accesses reports each of its attributes. Any other is an ordinary object.

    >>> class Account(Shared):
    ...     def __init__(self, balance):
    ...         self.balance = balance
    >>> Account(5).balance
    5
    """

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Shared:
        kind: Any = cls if _accesses() is None else _tracked_class(cls)
        made: Shared = object.__new__(kind)
        return made


def track(item: T) -> T:
    """Return *item* so that reading and changing it is noted; what is returned is *item* itself where nobody notes.

    An object of an ordinary class is tracked in place, attribute by attribute. A plain ``dict``, ``list``, ``set`` or
    ``deque`` cannot be: a copy of it is returned, which counts as one object as a whole.

    Raises:
        UsageError: Objects of this type cannot be tracked.

    >>> track({"balance": 5})
    {'balance': 5}
    """
    accesses = _accesses()
    if accesses is None or hasattr(type(item), "__tracked__"):
        return item
    if type(item) in _CONTAINERS:
        item = _copy_of(item)
    else:
        try:
            item.__class__ = _tracked_class(type(item))
        except TypeError as error:
            kind = type(item).__qualname__
            raise UsageError(
                f"track({item!r}): objects of {kind} cannot be tracked ({error}); put it into an attribute of an object"
                " of your own, and track that"
            ) from None
    accesses.name(item)
    return item


def _accesses() -> Any:
    return getattr(_get_running_loop(), "accesses", None)


def _tracked_class(cls: Any) -> Any:
    """Return a subclass of *cls* that looks like it and reports the attributes of its objects."""
    return _known_subclass(cls) or _subclass(cls, _attribute_hooks(cls))


def _attribute_hooks(cls: Any) -> dict[str, Any]:

    def __getattribute__(self: Any, name: str, /) -> Any:  # noqa: N807
        value = cls.__getattribute__(self, name)
        accesses = _accesses()
        if accesses is not None and not isinstance(value, CODE) and not name.startswith("__"):
            (accesses.read if _is_safe(value) else accesses.write)(self, name)
        return value

    def __setattr__(self: Any, name: str, value: object, /) -> None:  # noqa: N807
        if (accesses := _accesses()) is not None:
            accesses.write(self, name)
        cls.__setattr__(self, name, value)

    def __delattr__(self: Any, name: str, /) -> None:  # noqa: N807
        if (accesses := _accesses()) is not None:
            accesses.write(self, name)
        cls.__delattr__(self, name)

    return {"__getattribute__": __getattribute__, "__setattr__": __setattr__, "__delattr__": __delattr__}


def _is_safe(value: object) -> bool:
    """Say whether having *value* is not yet a way to change it unseen."""
    return isinstance(value, UNCHANGING) or hasattr(type(value), "__tracked__")


def _copy_of(item: Any) -> Any:
    cls = type(item)
    tracked = _known_subclass(cls) or _subclass(cls, _container_hooks(cls))
    return tracked(item, item.maxlen) if cls is deque else tracked(item)


def _container_hooks(cls: type) -> dict[str, Any]:
    hooks = {name: _reporting(cls, name, "read") for name in _READING if hasattr(cls, name)}
    return hooks | {name: _reporting(cls, name, "write") for name in _WRITING if hasattr(cls, name)}


def _reporting(cls: type, name: str, how: str) -> Callable[..., Any]:
    original = getattr(cls, name)

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if (accesses := _accesses()) is not None:
            getattr(accesses, how)(self)
        result = original(self, *args, **kwargs)
        return _noted(self, result) if isinstance(result, Iterator) else result

    method.__name__ = name
    return method


def _noted(container: object, iterator: Iterator[Any]) -> Iterator[Any]:
    """Note each step of an iteration, which may go on in a later step of the run."""
    for each in iterator:
        if (accesses := _accesses()) is not None:
            accesses.read(container)
        yield each


def _known_subclass(cls: Any) -> Any:
    """Return the tracking subclass that was made of *cls* before, if it still exists; its base class knows it."""
    return next((each for each in type.__subclasses__(cls) if "__tracked__" in vars(each)), None)


def _subclass(cls: type, hooks: dict[str, Any]) -> Any:
    space = {
        "__slots__": (),
        "__tracked__": True,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        **hooks,
    }
    return type(cls)(cls.__name__, (cls,), space)
