"""A bug program: plain asyncio, wrong in some interleavings only, and a twin that is right in all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["HELD_OUT", "KNOWN", "Body", "Bug", "Program", "bug", "programs", "step"]

KNOWN = "known"
"""The suite on which strategies were compared while they were made."""

HELD_OUT = "held-out"
"""The suite that decides how good they are: nothing was tuned on it."""


class Body(Protocol):
    """What a bug is written as; with *correct* it is the twin without the bug."""

    def __call__(self, *, correct: bool = False) -> Coroutine[Any, Any, None]: ...


@dataclass(frozen=True)
class Program:
    """An asynchronous function without arguments, which can be run again and again."""

    name: str
    start: Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A program that some interleaving breaks, by an exception or a deadlock.

    With a *twin* there is also the program as it should have been, which no interleaving may break.
    """

    name: str
    suite: str
    wrong: Program
    twin: Program | None

    @property
    def about(self) -> str:
        """The first line of what the program says about itself."""
        return (self.wrong.start.__doc__ or "").partition("\n")[0]


_BUGS: dict[str, Bug] = {}


def bug(name: str, *, suite: str = KNOWN, twin: bool = True) -> Callable[[Body], Body]:
    """Put the decorated function into a suite."""

    def enter(body: Body) -> Body:
        add(name, body, suite=suite, twin=twin)
        return body

    return enter


def add(name: str, body: Body, *, suite: str = KNOWN, twin: bool = True, **options: Any) -> None:
    """Put *body* into a suite; *options* are passed to it, so that one function makes several sizes of a bug."""

    def wrong() -> Coroutine[Any, Any, None]:
        return body(**options)

    def right() -> Coroutine[Any, Any, None]:
        return body(correct=True, **options)

    wrong.__doc__ = body.__doc__
    _BUGS[name] = Bug(
        name=name,
        suite=suite,
        wrong=Program(name, wrong),
        twin=Program(f"{name}, correct", right) if twin else None,
    )


def programs(suite: str | None = None) -> list[Bug]:
    """Return the bugs of *suite*, or of all suites, the known one first."""
    found = [bug for bug in _BUGS.values() if suite in {None, bug.suite}]
    return sorted(found, key=lambda bug: (bug.suite != KNOWN, bug.suite))


async def step() -> None:
    """Let others run: what stands before every visible operation."""
    await asyncio.sleep(0)
