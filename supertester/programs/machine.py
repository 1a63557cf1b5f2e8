"""Machines: a subject, what can be done to it, and what it does for one caller at a time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError
from supertester.processes import cleanup_processes

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Machine", "rule"]

_RULE = "_supertester_rule"
_LIMITS: Final = {"max_before": 0, "max_branches": 2, "max_steps": 1, "max_after": 0, "budget": 1}
"""The least that each may be."""


def rule(method: Any = None, /, **arguments: SearchStrategy[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a method of a `Machine` one of its operations.

    The method takes the subject and then the arguments, for each of which there is a strategy of Hypothesis. What it
    returns is compared with what the model's method of the same name returns for the same arguments; what it raises,
    with what that raises, by class.

    Raises:
        TypeError: The method does not take these arguments, or one has no strategy; or there are no parentheses.
    """
    if method is not None:
        raise TypeError(f"@rule is called with the strategies of the arguments, got {method!r}; write @rule()")

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(method).parameters)[2:]
        if set(names) != set(arguments):
            raise TypeError(
                f"rule {method.__qualname__}() takes {names or 'no arguments'} after self and the subject, "
                f"and there are strategies for {list(arguments) or 'none'}"
            )
        setattr(method, _RULE, {name: arguments[name] for name in names})
        return method

    return mark


class Machine:
    """A subject, its operations and its model; to be subclassed.

    Attributes:
        model: What the subject does for one caller at a time: a class that has a method for each rule, or anything else
            that `supertester.linear.check_linearizable` takes.
        max_before: Operations before the branches, at most.
        max_branches: How many branches run at once, at most; two at least.
        max_steps: Operations in a branch, at most.
        max_after: Operations after the branches, at most.
        timeout_ms: Milliseconds for a whole program.
        unanswered: Whether an operation whose server died or did not answer in time is a failure (``"fail"``), or may
            have had its effect or not (``"pending"``), as where faults are injected.
        budget: What the checker may look at before it is undecided.
    """

    model: ClassVar[Any] = None
    max_before: ClassVar[int] = 2
    max_branches: ClassVar[int] = 3
    max_steps: ClassVar[int] = 3
    max_after: ClassVar[int] = 1
    timeout_ms: ClassVar[float] = 5000
    unanswered: ClassVar[str] = "fail"
    budget: ClassVar[int] = 1_000_000

    def setup(self) -> Any:
        """Return a new subject; plain or async."""
        raise UsageError(f"{type(self).__qualname__} must define setup(), which returns a new subject")

    def teardown(self, subject: Any) -> Any:
        """Put *subject* away at the end; plain or async. By default it is stopped, if it is a process."""
        return cleanup_processes([subject]) if callable(getattr(subject, "is_alive", None)) else None

    @classmethod
    def rules(cls) -> dict[str, Mapping[str, SearchStrategy[Any]]]:
        """Return the operations by name, with the strategies of their arguments, in the order of their definition.

        Raises:
            UsageError: There is none, there is no model, the model has no such operation, or a limit makes no sense.
            TypeError: A limit is no whole number.
        """
        found = {
            name: getattr(method, _RULE)
            for base in reversed(cls.__mro__)
            for name, method in vars(base).items()
            if hasattr(method, _RULE)
        }
        if not found:
            raise UsageError(f"{cls.__qualname__} has no rules; mark its operations with @rule()")
        if cls.model is None:
            raise UsageError(f"{cls.__qualname__} must say model = ..., what its subject does for one caller at a time")
        for name in found:
            if isinstance(cls.model, type) and not callable(getattr(cls.model, name, None)):
                raise UsageError(f"the model {cls.model.__qualname__} of {cls.__qualname__} has no method {name}()")
        for limit, least in _LIMITS.items():
            value = getattr(cls, limit)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{limit} of {cls.__qualname__} must be a whole number, got {limit}={value!r}")
            if value < least:
                raise UsageError(f"{limit} must be {least} or more, got {limit}={value!r} in {cls.__qualname__}")
        checked_seconds("timeout_ms", cls.timeout_ms, positive=True)
        if cls.unanswered not in ("fail", "pending"):
            raise UsageError(f"unanswered must be 'fail' or 'pending', got unanswered={cls.unanswered!r}")
        return found
