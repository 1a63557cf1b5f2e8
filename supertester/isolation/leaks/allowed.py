"""`allow_leak`: leaks that are known, each with its reason, and a report of those that happen no more."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from supertester._core.origin import show_line
from supertester.errors import UsageError
from supertester.isolation.leaks.kinds import LEAK_KINDS

__all__ = [
    "Allowance",
    "UnusedAllowance",
    "allow_leak",
    "allowances_of",
    "is_allowed",
    "note_passed",
    "tests_with_allowances",
    "unused_allowances",
    "warn_of_unused",
]

T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "__supertester_allowed__"
_everywhere: list[Allowance] = []


class UnusedAllowance(ResourceWarning):
    """A leak was allowed that did not happen, so the line that allows it can go."""


class Allowance:
    """A kind of leak that is allowed; made by `allow_leak`, and by then a decorator.

    Attributes:
        kind: The kind of leaks.
        match: The pattern that a name of the leak has to match.
        reason: Why it is allowed.
        line: The line that allows it.
        used: How many leaks it allowed so far.
    """

    def __init__(self, kind: str, match: str, reason: str, line: str) -> None:
        self.kind = kind
        self.match = match
        self.reason = reason
        self.line = line
        self.used = 0
        self._ran: set[str] = set()

    def __call__(self, test: T) -> T:
        """Allow it in *test*, a test or a class, only."""
        if not callable(test):
            raise TypeError(f"@allow_leak() goes on a test method or class, got {test!r}")
        if self in _everywhere:
            _everywhere.remove(self)
        setattr(test, _ATTRIBUTE, (*vars(test).get(_ATTRIBUTE, ()), self))
        return test

    def __str__(self) -> str:
        return f"allow_leak({self.kind!r}, match={self.match!r}, reason={self.reason!r}) at {self.line}"

    def allows(self, kind: str, names: Iterable[str]) -> bool:
        """Say whether a leak of *kind* that goes by *names* is allowed, and count it if so."""
        if kind != self.kind or not any(fnmatchcase(name, self.match) for name in names):
            return False
        self.used += 1
        return True

    def saw(self, test: str) -> None:
        """Take note that *test* passed."""
        self._ran.add(test)

    def is_idle(self, tests: Iterable[str]) -> bool:
        """Say whether all of *tests* passed and none of them needed it."""
        return not self.used and self._ran.issuperset(tests)


def allow_leak(kind: str, *, match: Any = "*", reason: Any) -> Allowance:
    """Allow a known leak: on a test or a class as a decorator, and everywhere by a plain call.

    What is allowed is neither reported nor ended, and no test waits for its end. An allowance that none of the tests it
    stands on needed warns with `UnusedAllowance` at the end of the class; see also `unused_allowances`.

    Args:
        kind: One of ``LEAK_KINDS``.
        match: A pattern as for file names, case-sensitive, for the name of what leaks: of the thread or the kind of
            executor, the command of a child process or the name of a ``multiprocessing`` one, the path of a file or
            the address of a socket, the function of a timer, the coroutine or name of a task, the name of a signal.
        reason: Why it is allowed, for those who read it later.

    Raises:
        UsageError: There is no such kind, or no reason.

    Example::

        allow_leak("threads", match="tqdm_monitor*", reason="one thread for the whole program, never ended")

        @allow_leak("children", match="redis-server*", reason="shared by all tests of the class")
        class StoreTest(IsolatedTestCase): ...
    """
    if kind not in LEAK_KINDS:
        raise UsageError(f"a kind of leaks must be one of {', '.join(LEAK_KINDS)}, got {kind!r}")
    if not isinstance(match, str) or not match:
        raise UsageError(f"match must be a pattern such as 'kafka-*', got match={match!r}")
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"an allowed leak needs a reason, got reason={reason!r}; say why it cannot be mended")
    frame = sys._getframe(1)
    allowance = Allowance(
        kind, match, reason, show_line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    )
    _everywhere.append(allowance)
    return allowance


def allowances_of(cls: type, method: object) -> list[Allowance]:
    """Return what is allowed on *method*, a test, and on *cls* and its bases."""
    found = [each for base in cls.__mro__ for each in base.__dict__.get(_ATTRIBUTE, ())]
    found += getattr(method, _ATTRIBUTE, ())
    return found


def is_allowed(kind: str, names: Iterable[str], local: Iterable[Allowance]) -> bool:
    """Say whether a leak is allowed by one of *local* or everywhere."""
    names = list(names)
    return any(each.allows(kind, names) for each in (*local, *_everywhere))


def unused_allowances() -> list[str]:
    """Return the allowances that hold everywhere and that no test has needed so far, as text.

    >>> unused_allowances()
    []
    """
    return [str(each) for each in _everywhere if not each.used]


def tests_with_allowances(cls: type) -> list[str]:
    """Return the names of the tests of *cls* if anything is allowed on it or on one of them, else nothing."""
    names = [name for name in dir(cls) if name.startswith("test") and callable(getattr(cls, name))]
    allowing = _ATTRIBUTE in vars(cls) or any(hasattr(getattr(cls, name), _ATTRIBUTE) for name in names)
    return names if allowing else []


def note_passed(cls: type, name: str) -> None:
    """Take note that the test *name* of *cls* ran and passed, so that what it did not need shows."""
    for allowance in allowances_of(cls, getattr(cls, name)):
        allowance.saw(name)


def warn_of_unused(cls: type, names: Iterable[str]) -> None:
    """Warn of the allowances on *cls* and its tests *names* that nothing needed, if all passed that could need them."""
    names = list(names)
    own = [(each, names) for each in vars(cls).get(_ATTRIBUTE, ())]
    own += [(each, [name]) for name in names for each in getattr(getattr(cls, name), _ATTRIBUTE, ())]
    for allowance, users in own:
        if allowance.is_idle(users):
            warnings.warn(
                f"no test of {cls.__qualname__} needs {allowance}; take it out", UnusedAllowance, stacklevel=2
            )
