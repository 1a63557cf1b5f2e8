"""Failpoints: named places in the code under test where a test can make things go wrong.

A failpoint costs next to nothing while no test uses one. What a test switches on holds for its own code alone, wherever
that runs: in its tasks, threads and servers, not in the test beside it.

The actions of a failpoint are text, in the grammar of FreeBSD's ``fail(9)``, which Rust's ``fail`` crate has too:
``[probability%][count*]action[->more]``. The first term that is not used up decides; probability is in percent.

=================  ====================================================================================
``off``            go on
``raise(text)``    raise `InjectedFault` with this message, or the built-in exception whose name the text begins with:
                   ``raise(OSError: full)``; what looks like such a name and is none is refused
``return(value)``  have `failpoint` return ``Return(value)``; the value is a Python literal, or else text
``sleep(ms)``      wait so many milliseconds; in `async_failpoint` without blocking the event loop
``yield``          let other threads or tasks run
``print(text)``    print it
=================  ====================================================================================
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from supertester._core.seeds import derive_seed, run_seed
from supertester.context import IsolationContext, current_context
from supertester.errors import UsageError

__all__ = [
    "Action",
    "Failpoints",
    "InjectedFault",
    "Return",
    "async_failpoint",
    "child_environment",
    "failpoint",
    "failpoints",
    "switched_on",
]


class InjectedFault(Exception):
    """What the action ``raise`` raises; ``name`` is the failpoint."""

    def __init__(self, name: str, text: str = "") -> None:
        self.name = name
        super().__init__(f"failpoint {name!r}" + (f": {text}" if text else ""))


@dataclass(frozen=True)
class Return:
    """What `failpoint` returns when its action is ``return(value)``."""

    value: Any


# In the code under test ---------------------------------------------------------------------------------------------


def failpoint(name: str) -> Return | None:
    """Be a place where things can go wrong; return ``None`` when they do not, or what the code is to return.

    For plain code; in coroutines use `async_failpoint`, which waits without blocking.

    >>> def write(data):
    ...     if (hit := failpoint("store.write")) is not None:
    ...         return hit.value
    ...     return len(data)
    >>> write("abc")
    3
    >>> with failpoints({"store.write": "return(0)"}):
    ...     write("abc")
    0
    """
    action = _decided(name) if _active else None
    return None if action is None else action.act(name)


async def async_failpoint(name: str) -> Return | None:
    """Do the same in a coroutine."""
    action = _decided(name) if _active else None
    return None if action is None else await action.act_async(name)


def _decided(name: str) -> Action | None:
    for points in reversed(_active.get(current_context.get(), ())):
        if (action := points.decide(name)) is not None:
            return action if action.kind != "off" else None
    return None


# Actions ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Action:
    """One action, parsed: what to do, and the text in its parentheses."""

    kind: str
    argument: str

    def act(self, name: str) -> Return | None:
        """Do it, in plain code."""
        if self.kind == "sleep":
            time.sleep(float(self.argument) / 1000)
        elif self.kind == "yield":
            time.sleep(0)
        return self._act(name)

    async def act_async(self, name: str) -> Return | None:
        """Do it, in a coroutine."""
        if self.kind in ("sleep", "yield"):
            await asyncio.sleep(float(self.argument or 0) / 1000)
        return self._act(name)

    def _act(self, name: str) -> Return | None:
        if self.kind == "raise":
            raise self.error(name)
        if self.kind == "print":
            sys.stdout.write(f"{self.argument or name}\n")
        return Return(_literal(self.argument)) if self.kind == "return" else None

    def error(self, name: str) -> BaseException:
        """Return what the action ``raise`` raises."""
        kind, _, text = self.argument.partition(":")
        found = getattr(builtins, kind.strip(), None)
        if isinstance(found, type) and issubclass(found, Exception):
            try:
                return found(text.strip() or f"failpoint {name!r}")
            except TypeError as error:
                raise UsageError(f"failpoint {name!r} cannot raise {found.__name__} with a text alone") from error
        return InjectedFault(name, self.argument)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text) if text else None
    except (ValueError, SyntaxError):
        return text


_OFF = Action("off", "")


@dataclass
class _Term:
    """An action with its probability and how often it still may be taken."""

    action: Action
    probability: float
    left: float


_TERM = re.compile(
    r"\s*(?:(?P<probability>\d+(?:\.\d+)?)%)?(?:(?P<count>\d+)\*)?(?P<kind>[a-z]+)(?:\((?P<argument>.*)\))?\s*",
    re.DOTALL,
)
_KINDS = ("off", "raise", "return", "sleep", "yield", "print")


def _parsed(name: str, actions: str) -> list[_Term]:
    if not isinstance(actions, str):
        raise TypeError(f"the actions of failpoint {name!r} are text, e.g. '50%raise', got {actions!r}")
    return [_term(name, text) for text in _split(actions)]


def _split(actions: str) -> list[str]:
    """Split at the arrows that stand in no parentheses."""
    return re.split(r"->(?![^(]*\))", actions)


def _term(name: str, text: str) -> _Term:
    match = _TERM.fullmatch(text)
    kind = match["kind"] if match is not None else None
    if match is None or kind not in _KINDS:
        raise UsageError(
            f"failpoint {name!r} has no action {text.strip()!r}; write [percent%][count*]action, with one of "
            f"{', '.join(_KINDS)}"
        )
    argument = match["argument"] or ""
    if kind == "sleep" and not re.fullmatch(r"\d+(\.\d+)?", argument.strip()):
        raise UsageError(f"failpoint {name!r}: sleep takes milliseconds, e.g. sleep(10), got {text.strip()!r}")
    action = Action(kind, argument.strip())
    if kind == "raise":
        _check_spelling(name, action.argument.partition(":")[0].strip())
        action.error(name)  # Some exceptions cannot be made of a text.
    probability = float(match["probability"] or 100)
    if probability > 100:
        raise UsageError(f"failpoint {name!r}: a probability is at most 100 percent, got {text.strip()!r}")
    count = float(match["count"]) if match["count"] else float("inf")
    return _Term(action, probability / 100, count)


def _check_spelling(name: str, word: str) -> None:
    """Refuse *word* if it looks like the name of a built-in exception and is none."""
    known = {each: kind for each, kind in vars(builtins).items() if isinstance(kind, type)}
    if not word.isidentifier() or issubclass(known.get(word, object), BaseException):
        return
    names = {each.lower(): each for each, kind in known.items() if issubclass(kind, Exception)}
    close = get_close_matches(word.lower(), names, 1, 0.8)
    if word == word.lower() and not (word in names and word.endswith("error")):
        close = []  # As "warning", and "timeout": words like any other.
    if close or word.endswith(("Error", "Exception")):
        hint = f"did you mean {names[close[0]]!r}?" if close else "others cannot be raised by their names."
        raise UsageError(
            f"failpoint {name!r}: there is no built-in exception {word!r}; {hint} A message must not look like one"
        )


# In a test ----------------------------------------------------------------------------------------------------------

_active: dict[IsolationContext | None, list[Failpoints]] = {}
"""What is switched on for each test, and outside of tests, the innermost block last."""
VARIABLE = "SUPERTESTER_FAILPOINTS"
"""The environment variable by which a child process of a test has the failpoints of the test."""


@dataclass(eq=False)
class Failpoints:
    """The failpoints that are switched on in a block.

    Attributes:
        hits: How often each failpoint was passed, those that are not switched on included.
        fired: How often each did something.
        actions: The actions of those that are switched on.
    """

    seed: int
    hits: dict[str, int] = field(default_factory=dict)
    fired: dict[str, int] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    _terms: dict[str, list[_Term]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def set(self, name: str, actions: str) -> None:
        """Give the failpoint *name* other *actions*; ``"off"`` switches it off.

        Raises:
            UsageError: The actions are none, or name an exception that there is not.
        """
        self._terms[name] = _parsed(name, actions)
        self.actions[name] = actions

    def decide(self, name: str) -> Action | None:
        """Return what the failpoint *name* is to do now; ``None``: an outer block decides."""
        with self._lock:  # Threads pass it as well, and a count is exact.
            self.hits[name] = self.hits.get(name, 0) + 1
            if name not in self._terms:
                return None
            action = self._chosen(self._terms[name])
            if action.kind != "off":
                self.fired[name] = self.fired.get(name, 0) + 1
            return action

    def _chosen(self, terms: list[_Term]) -> Action:
        while terms and terms[0].left <= 0:
            del terms[0]
        for term in terms:
            if term.left > 0 and (term.probability >= 1 or self._random.random() < term.probability):
                term.left -= 1
                return term.action
        return _OFF


@contextmanager
def failpoints(actions: Mapping[str, str] | None = None, *, seed: int | None = None) -> Iterator[Failpoints]:
    """Switch failpoints on for the code of the body, and for all that it starts.

    Args:
        actions: The actions of each failpoint by name, in the grammar above.
        seed: Of the probabilities; by default derived from that of the running test.

    Raises:
        UsageError: An action is none, or names an exception that there is not.

    >>> with failpoints({"store.write": "1*raise(OSError: disk full)->off"}) as points:
    ...     try:
    ...         failpoint("store.write")
    ...     except OSError as error:
    ...         print(error)
    ...     failpoint("store.write")
    disk full
    >>> points.hits, points.fired
    ({'store.write': 2}, {'store.write': 1})
    """
    context = current_context.get()
    if seed is None:
        seed = derive_seed(context.seed if context is not None else run_seed(), "failpoints")
    points = Failpoints(seed)
    for name, text in (actions or {}).items():
        points.set(name, text)
    with switched_on(points):
        yield points


@contextmanager
def switched_on(points: Failpoints) -> Iterator[None]:
    """Let *points* decide in the body, before those that are switched on already."""
    context = current_context.get()
    stack = _active.setdefault(context, [])
    stack.append(points)
    try:
        yield
    finally:
        stack.remove(points)
        if not stack:
            _active.pop(context, None)


def child_environment(context: IsolationContext | None) -> dict[str, str]:
    """Return the variables by which a child process has the failpoints of the test of *context*."""
    merged = {name: text for points in _active.get(context, ()) for name, text in points.actions.items()}
    return {VARIABLE: json.dumps(merged)} if merged else {}


def _inherit() -> None:
    """Switch on, in a child process of a test, what the test had switched on when it started the process."""
    given = os.environ.get(VARIABLE)
    if given:
        points = Failpoints(run_seed())
        for name, text in json.loads(given).items():
            points.set(name, text)
        _active[None] = [points]


_inherit()
