"""Models: what an object does when it is used by one caller at a time."""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections import ChainMap, OrderedDict
from collections.abc import Hashable, Iterator
from typing import Any, Final, Protocol, runtime_checkable

from supertester.errors import UsageError
from supertester.linear.history import Operation

__all__ = ["ClassModel", "Model", "Whole", "model_of"]

_NO_AWAIT: Final = "a model does one thing at a time, and nothing awaits it"
_METHODS: Final = ("initial", "step", "only_reads", "key")
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


class _NameOfTheClass:
    """The name of a model that has none of its own; whatever is assigned goes before it."""

    def __get__(self, model: object, cls: type) -> str:
        return cls.__qualname__


@runtime_checkable
class Model(Protocol):
    """The sequential behaviour of an object, as a function of immutable states.

    Derive from it, and `initial` and `step` are enough: it is called what its class is, no operation is known to change
    nothing, and each is about the whole object.

    >>> class Numbers(Model):
    ...     def initial(self):
    ...         return 0
    ...     def step(self, state, operation):
    ...         return state, state + 1
    >>> model = Numbers()
    >>> model.name, model.step(model.initial(), Operation("a", "next"))
    ('Numbers', (0, 1))
    """

    name: str = _NameOfTheClass()  # type: ignore[assignment]

    @abstractmethod
    def initial(self) -> Hashable:
        """Return the state before the first operation."""
        ...

    @abstractmethod
    def step(self, state: Any, operation: Operation) -> tuple[Any, Hashable]:
        """Return what *operation* returns in *state*, and the state after it.

        Raises:
            UsageError: The model has no such operation.
        """
        ...

    def only_reads(self, operation: Operation) -> bool:
        """Say whether *operation*, with the result that it had, changes nothing, whatever the state."""
        return False

    def key(self, operation: Operation) -> Hashable:
        """Return which of several independent parts of the object *operation* is about; ``None``: all of it."""
        return None


class ClassModel:
    """A plain class as a model: its methods are the operations, and its instances the states.

    What a method raises is its result: an operation that failed with an exception of the same class fits. An instance
    has to be one that `copy.deepcopy` can copy; two of them are the same state if what they hold is equal, so the order
    of a ``dict`` is no part of the state, while that of an ``OrderedDict`` is.

    >>> class Register:
    ...     value = 0
    ...     def write(self, value):
    ...         self.value = value
    ...     def read(self):
    ...         return self.value
    >>> model = ClassModel(Register)
    >>> result, state = model.step(model.initial(), Operation("a", "write", (3,)))
    >>> model.step(state, Operation("a", "read"))[0]
    3
    """

    def __init__(self, cls: type, *args: Any, **kwargs: Any) -> None:
        self.name = cls.__qualname__
        self._cls = cls
        self._arguments = args, kwargs
        self._given: dict[int, Any] = {}

    def initial(self) -> Hashable:
        args, kwargs = self._arguments
        return _State(self._cls(*args, **kwargs))

    def step(self, state: Any, operation: Operation) -> tuple[Any, Hashable]:
        instance = self._copied(state.instance)
        method = getattr(instance, operation.name, None)
        if operation.name.startswith("_") or not callable(method):
            known = [name for name, each in inspect.getmembers(self._cls, callable) if not name.startswith("_")]
            raise UsageError(
                f"the model {self.name} has no operation {operation.name!r}; it has {', '.join(known) or 'none'}"
            )
        try:
            result = method(*self._copied(operation.args))
        except Exception as error:  # noqa: BLE001 - it is the result
            result = error
        if hasattr(result, "__await__"):
            if close := getattr(result, "close", None):
                close()  # Or it would complain that nobody awaited it.
            raise TypeError(
                f"{self.name}.{operation.name}() of the model returned {result!r}; {_NO_AWAIT}: write it with `def`"
            )
        return result, _State(instance)

    def _copied(self, value: Any) -> Any:
        """Return a copy of *value*; objects that an operation was given, and that equal no other, stay."""
        if isinstance(value, tuple):
            if _PLAIN.issuperset(map(type, value)):
                return value
            self._given.update((id(each), each) for each in _leaves(value) if _inherits(each, "__eq__"))
        return copy.deepcopy(value, ChainMap({}, self._given) if self._given else None)  # type: ignore[arg-type]

    def only_reads(self, operation: Operation) -> bool:
        return False

    def key(self, operation: Operation) -> Hashable:
        return None


class Whole:
    """A model of independent parts as one object, whose state is that of all its parts."""

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self._model = model

    def initial(self) -> Hashable:
        return frozenset[Any]()

    def step(self, state: Any, operation: Operation) -> tuple[Any, Hashable]:
        parts = dict(state)
        key = self._model.key(operation)
        before = parts.get(key, self._model.initial())
        result, after = self._model.step(before, operation)
        # A part in its first state is one that was never used.
        others = (item for item in parts.items() if item[0] != key)
        return result, frozenset(others) | (frozenset() if after == self._model.initial() else {(key, after)})

    def only_reads(self, operation: Operation) -> bool:
        return self._model.only_reads(operation)

    def key(self, operation: Operation) -> Hashable:
        return None


class _State:
    """An instance as a value: equal to others that hold the same."""

    __slots__ = ("_frozen", "_hash", "instance")

    def __init__(self, instance: Any) -> None:
        self.instance = instance
        self._frozen = frozen(_held(instance))
        self._hash = hash(self._frozen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _State) and self._frozen == other._frozen

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        if _inherits(self.instance, "__repr__"):
            return f"{type(self.instance).__qualname__}({_held(self.instance)[1]!r})"
        return repr(self.instance)


def _inherits(value: Any, method: str) -> bool:
    """Say whether the class of *value* has *method* from `object`."""
    return getattr(type(value), method) is getattr(object, method)


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what stands in *value*, in containers of any depth."""
    if isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, dict):
        yield from _leaves([*value, *value.values()])
    else:
        yield value


def _held(instance: Any) -> tuple[Any, ...]:
    """Return what *instance* consists of, as `copy` sees it: arguments, attributes, items, and items by key."""
    _, args, attributes, items, pairs = (*instance.__reduce_ex__(4), None, None, None)[:5]
    by_key = (list if isinstance(instance, OrderedDict) else dict)(pairs or ())
    return args, attributes, list(items or ()), by_key


def frozen(value: Any) -> Hashable:
    """Return a hashable stand-in for *value*: equal values have equal ones, and what differs has not."""
    kind = type(value)
    if kind in _PLAIN:
        return ("value", value)
    if kind is dict:
        return (kind, frozenset((frozen(key), frozen(item)) for key, item in value.items()))
    if kind in (list, tuple):
        return (kind, tuple(map(frozen, value)))
    if kind in (set, frozenset):
        return ("set", frozenset(map(frozen, value)))
    try:
        hash(value)
    except TypeError:
        return (kind, frozen(_held(value)))
    return ("value", value)


def model_of(model: Any) -> Model:
    """Return *model* as a `Model`: it may be one, or a plain class, or the name of one of `supertester.linear.models`.

    Raises:
        UsageError: There is no model of that name.
        TypeError: It can be no model.
    """
    from supertester.linear.models import MODELS

    if isinstance(model, str):
        if model not in MODELS:
            raise UsageError(f"there is no model {model!r}; the models are {', '.join(MODELS)}, or a class of yours")
        return MODELS[model]
    if isinstance(model, type):
        if _describes_model(model):
            raise TypeError(f"{model.__qualname__} is a Model, and its class was given; pass {model.__qualname__}()")
        return ClassModel(model)
    if not isinstance(model, Model):
        lacking = ", ".join(name for name in ("name", *_METHODS) if not hasattr(model, name))
        methods = ", ".join(f"{name}()" for name in _METHODS)
        raise TypeError(
            f"a model is a class, a name, or an object with name, {methods}, got {model!r}, which has no {lacking}; "
            "what derives from supertester.linear.Model has defaults"
        )
    for name in _METHODS:
        if inspect.iscoroutinefunction(getattr(model, name)):
            raise TypeError(f"{name}() of the model {model.name} is async; {_NO_AWAIT}: write it with `def`")
    return model


def _describes_model(cls: type) -> bool:
    """Say whether the instances of *cls* are models, and not the states of one."""
    return Model in cls.__mro__ or all(callable(getattr(cls, name, None)) for name in _METHODS)
