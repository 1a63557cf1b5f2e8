"""Stand-ins: objects that pass every operation on to what the running test has in their place.

Python looks up special methods on the type, so each table gets a stand-in with a type of its own, generated from that
of the source. C code that asks for a real ``dict`` or ``list`` reads its storage past all methods, unless it takes care
of subclasses. Most of it does, so those stand-ins are subclasses. The C code of sets does not; the stand-ins for sets
and all other objects are no subclasses and only say in ``__class__`` that they are, which is what `isinstance` asks.
"""

from __future__ import annotations

import inspect
import operator
from abc import ABCMeta
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from supertester.isolation.tables.copies import NATIVE, native_type
from supertester.isolation.tables.routing import Table, table_of

__all__ = ["make_standin", "take_strays"]

_SUBCLASSED = (dict, list, deque)
_ALWAYS = ("__repr__", "__str__", "__format__", "__dir__", "__reduce__", "__reduce_ex__", "__setattr__", "__delattr__")
_NEVER = frozenset(
    f"__{name}__"
    for name in (
        *("new", "init", "class", "getattribute", "getattr", "init_subclass", "subclasshook", "class_getitem"),
        *("del", "sizeof", "set_name", "getstate", "setstate"),
    )
)
_OF_THE_CLASS = frozenset(("__slots__", "__abstractmethods__", "__module__", "__qualname__"))
_OPERATORS = {
    name: getattr(operator, f"__{name}__")
    for name in (
        *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow"),
        *("or", "and", "xor", "lshift", "rshift"),
    )
}
# Not all that `inspect.isroutine` takes for one: a `cached_property` is a descriptor too, and gives a value.
_METHODS = (FunctionType, BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)
# Methods that read the whole of another container, some of them in C past its methods.
_COMBINING = frozenset(
    (
        *(f"__{kind}{name}__" for name in _OPERATORS for kind in ("", "r", "i")),
        *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "extend", "extendleft", "update"),
        *("union", "intersection", "intersection_update", "difference", "difference_update", "isdisjoint"),
        *("symmetric_difference", "symmetric_difference_update", "issubset", "issuperset"),
    )
)


def make_standin(table: Table) -> Any:
    """Return an object to put in every place of *table*'s source."""
    cls = type(table.source)
    base = _base_of(cls)
    namespace = dict(_routed_methods(table, cls))
    namespace["__getattribute__"] = _routed_attributes(table, frozenset(namespace))
    namespace |= {"_supertester_table": table, "__module__": __name__, "__qualname__": cls.__qualname__}
    standin_type: Any = type(base)(cls.__name__, (base,), namespace)
    for abstract in (Mapping, Sequence):
        if issubclass(cls, abstract) and not issubclass(standin_type, abstract):
            abstract.register(standin_type)  # for `match`
    native: Any = native_type(table.source) if base is not object else object
    standin = native.__new__(standin_type)
    if issubclass(native, dict):
        # `json` takes a dict for empty whose storage is.
        native.__setitem__(standin, _Filling(table), None)
    return standin


class _Filling:
    """What C code finds that looks past the methods of a stand-in."""

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        self._table = table

    def __repr__(self) -> str:
        return f"<stand-in for {self._table.name}, read past its methods>"


def take_strays(standin: Any) -> int:
    """Return how many items C code has put into the storage of the stand-in itself, and remove them."""
    native: Any = next((each for each in NATIVE if each in type(standin).__mro__), None)
    if native is None:
        return 0
    is_filled = issubclass(native, dict)
    strays: int = native.__len__(standin) - is_filled
    if strays:
        native.clear(standin)
        if is_filled:
            native.__setitem__(standin, _Filling(type(standin)._supertester_table), None)
    return strays


def _base_of(cls: Any) -> Any:
    """Return the class to derive the stand-in from: the nearest whose subclasses nobody is told of."""
    if not issubclass(cls, _SUBCLASSED):
        return object
    return next(base for base in cls.__mro__ if issubclass(base, _SUBCLASSED) and _is_silent(base))


def _is_silent(base: type) -> bool:
    return type(base) in (type, ABCMeta) and not any("__init_subclass__" in vars(each) for each in base.__mro__[:-1])


def _routed_methods(table: Table, cls: Any) -> Iterator[tuple[str, Any]]:
    found: dict[str, Any] = {name: getattr(object, name) for name in _ALWAYS}
    for base in reversed(cls.__mro__[:-1]):
        found.update(vars(base))
    for name, member in found.items():
        if name in _NEVER or isinstance(member, (staticmethod, classmethod, type, property)):
            continue
        if member is None and name.startswith("__") and name != "__doc__":
            yield name, None  # Such as `__hash__`: it is refused.
        elif isinstance(member, _METHODS) or (name.startswith("__") and _is_called(member)):
            yield name, _routed_method(table, name)
        elif name.startswith("__") and name not in _OF_THE_CLASS and not hasattr(member, "__get__"):
            yield name, member  # Such as `__dataclass_fields__`, which `dataclasses` looks for in the type.
    for name, operation in _OPERATORS.items():
        if f"__{name}__" in found and f"__r{name}__" not in found:
            yield f"__r{name}__", _reflected(table, operation)
    if issubclass(cls, FunctionType):
        yield "__reduce_ex__", _reduced_to_name(table)


def _is_called(member: Any) -> bool:
    return callable(member) or inspect.isroutine(member)


def _routed_method(table: Table, name: str) -> Callable[..., Any]:
    is_special = name.startswith("__") and name.endswith("__")
    is_combining = name in _COMBINING

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        target = table.route()
        if is_combining:
            args = tuple([_behind(each) for each in args])
        # Special methods are those of the type, whatever an instance has of this name.
        bound = getattr(target, name) if not is_special else _special(target, name)
        result = bound(*args, **kwargs)
        return self if result is target else result

    method.__name__ = method.__qualname__ = name
    return method


def _special(target: Any, name: str) -> Callable[..., Any]:
    method = getattr(type(target), name, None)
    if method is None:
        raise TypeError(f"{type(target).__name__!r} object has no {name}")
    bind = getattr(method, "__get__", None)
    bound: Callable[..., Any] = method if bind is None else bind(target, type(target))
    return bound


def _reflected(table: Table, operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def method(_: Any, other: Any) -> Any:
        return operation(_behind(other), table.route())

    return method


def _reduced_to_name(table: Table) -> Callable[..., Any]:
    def method(_: Any, protocol: Any) -> Any:
        target = table.route()
        # A function does not do this by itself: pickle knows functions by their type, which a stand-in does not have.
        is_function = isinstance(target, FunctionType)
        return target.__qualname__ if is_function else _special(target, "__reduce_ex__")(protocol)

    return method


def _behind(value: Any) -> Any:
    table = table_of(value)
    return value if table is None else table.route()


def _routed_attributes(table: Table, methods: frozenset[str]) -> Callable[[Any, str], Any]:
    def __getattribute__(self: Any, name: str) -> Any:  # noqa: N807
        # A method that somebody keeps has to route later calls too.
        if name in methods:
            return object.__getattribute__(self, name)
        return getattr(table.route(), name)

    return __getattribute__
