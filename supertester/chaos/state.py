"""Faults of a server itself: it stands still, or its state is wrong."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from supertester._core.clock import checked_timeout
from supertester._core.evidence import shown
from supertester.chaos.journal import note
from supertester.chaos.os_signals import foreign_victim
from supertester.chaos.process_pause import PausedTarget, go_on
from supertester.chaos.targets import server_of
from supertester.chaos.undoing import Undoable
from supertester.errors import Unsupported
from supertester.otp import sys
from supertester.otp.process import Process
from supertester.otp.refs import Reference
from supertester.targets.embedded import EmbeddedTarget
from supertester.targets.target import Target

__all__ = ["Corrupt", "Corruption", "Pause", "Paused", "corrupt_state", "pause", "resume"]


class Paused(Undoable):
    """A server that stands still: messages queue up, and calls time out.

    Attributes:
        target: Which server.
        since: When it was paused, in seconds of the runtime's clock; ``None`` if it is not.
    """

    _name = "chaos.pause"

    def __init__(self, target: Process, timeout: float) -> None:
        self.target = target
        self.since: float | None = None
        self._timeout = timeout

    @property
    def active(self) -> bool:
        """Whether the server stands still because of this."""
        return self.since is not None and self.target.suspended

    async def _do(self) -> None:
        await sys.ask(self.target, "pause", self._halt, self._timeout)
        if self.since is not None:
            note("pause", self.target)

    def _halt(self, process: Process) -> None:
        if not self._over and not process.suspended:  # If it was, by another, then that one is to let it go on.
            process.suspended = True
            process.heed()
            self.since = process.runtime.clock.time()

    async def _undo(self) -> None:
        if self.active and self.target.exit_reason is None:
            await sys.resume(self.target)
        self.since = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"target": shown(self.target), "since": self.since, "active": self.active}

    def __repr__(self) -> str:
        return f"<{self.target!r} {'paused' if self.active else 'not paused'}>"


def pause(target: Reference | Target, *, timeout: float = 5.0, tree: bool = False) -> Paused | PausedTarget:
    """Let a server stand still between two messages, until the block or the test ends, or somebody calls `resume`.

    A process of the operating system, also one that a server has for itself, stands still wherever it is just now, by
    SIGSTOP.

    Args:
        target: The server, or what else `supertester.targets.target_of` makes a target of, e.g. a ``Popen``.
        timeout: Seconds that it may take to end what it is doing.
        tree: Let all that a process of the operating system has started stand still, too.

    Returns:
        To be awaited, or entered with ``async with``.

    Raises:
        UsageError: The target is dead or unknown.
        Unsupported: It is nothing that could be held up: a thread, the body of a test.
        CallExit: When awaited: it goes on doing something (``TIMEOUT``), and is not paused; or it has died.

    >>> import asyncio
    >>> from supertester.errors import CallExit
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await Agent.start("well")
    ...     async with pause(agent):
    ...         try:
    ...             await Agent.get(agent, timeout=0.01)
    ...         except CallExit as error:
    ...             print(error.reason)
    ...     return await Agent.get(agent)
    >>> asyncio.run(main())
    timeout
    'well'
    """
    checked_timeout(timeout)
    found = foreign_victim(target, "pause", behind=True)
    if found is not None and not isinstance(found, EmbeddedTarget):
        return PausedTarget(found, tree=tree)
    if tree:
        raise Unsupported(f"pause: {target!r} has no tree of processes; pause the children of a supervisor one by one")
    return Paused(server_of(target if found is None else found.process, "pause"), timeout)


async def resume(target: Reference | Target) -> None:
    """Let a paused server, or another target that stands still, go on; one that is not paused is left alone.

    Raises:
        UsageError: The target is dead or unknown.
        Unsupported: It is nothing that could be held up.
    """
    found = foreign_victim(target, "resume", behind=True)
    if found is not None and not isinstance(found, EmbeddedTarget):
        await go_on(found)
    else:
        await sys.resume(server_of(target if found is None else found.process, "resume"))


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A server or another target stands still, as a `supertester.chaos.Fault`; see `pause`."""

    name: str = field(default="pause", init=False)
    tree: bool = False

    def inject(self, target: Reference | Target, /) -> Paused | PausedTarget:
        """Stand still in the body."""
        return pause(target, tree=self.tree)


class Corruption(Undoable):
    """A wrong state that a server was given; what becomes of the server can be seen here, live.

    Attributes:
        target: Which server.
        before: The state as it was: a copy, where it can be copied.
        after: The state that the server was given; a copy as well.
    """

    _name = "chaos.corrupt_state"
    before: Any = None
    after: Any = None

    def __init__(self, target: Process, fn: Callable[[Any], Any], timeout: float) -> None:
        self.target = target
        self._fn = fn
        self._timeout = timeout
        self._done = False

    @property
    def crashed(self) -> bool:
        """Whether the server has ended since."""
        return self._done and self.target.exit_reason is not None

    @property
    def reason(self) -> Any:
        """The exit reason of the server; ``None`` while it is alive."""
        return self.target.exit_reason

    async def _do(self) -> None:
        await sys.replace_state(self.target, self._corrupted, self._timeout)
        note("corrupt_state", self.target, {"before": shown(self.before), "after": shown(self.after)})

    def _corrupted(self, state: Any) -> Any:
        if self._over:  # The server had no time for it while somebody waited.
            return state
        self.before = _copied(state)
        state = self._fn(state)
        self.after = _copied(state)
        self._done = True
        return state

    async def _undo(self) -> None:
        server = self.target.server
        if self._done and server is not None:
            # No message, for which a server that is stuck now would have no time; and the evidence stays what it is.
            server.state = _copied(self.before)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "target": shown(self.target),
            "before": shown(self.before),
            "after": shown(self.after),
            "crashed": self.crashed,
            "reason": None if self.reason is None else shown(self.reason),
        }

    def __repr__(self) -> str:
        fate = f"ended with {shown(self.reason)}" if self.crashed else "alive"
        return f"<corrupted state of {self.target!r}, {fate}: {shown(self.before)} became {shown(self.after)}>"


def _copied(state: Any) -> Any:
    try:
        return copy.deepcopy(state)
    except Exception:  # noqa: BLE001 - of the user's class, e.g. one that holds a lock
        return state


def corrupt_state(target: Reference, fn: Callable[[Any], Any], *, timeout: float = 5.0) -> Corruption:
    """Make ``fn(state)`` the state of a server, until the block or the test ends, or the server does.

    Args:
        target: The server.
        fn: Gets the state and returns the wrong one.
        timeout: Seconds that the server may take to end what it is doing.

    Returns:
        To be awaited, or entered with ``async with``. At the end the server has the state of before again.

    Raises:
        UsageError: The target is dead or unknown.
        Unsupported: It is no server.
        TypeError: *fn* cannot be called.
        CallExit: When awaited: *fn* failed, and the state is what it was; or the server has no time, or died.

    >>> import asyncio
    >>> from supertester.otp import Agent
    >>> async def main():
    ...     agent = await Agent.start({"money": 10})
    ...     async with corrupt_state(agent, lambda state: {"money": -1}) as corruption:
    ...         wrong = await Agent.get(agent)
    ...     return wrong, await Agent.get(agent), corruption.before
    >>> asyncio.run(main())
    ({'money': -1}, {'money': 10}, {'money': 10})
    """
    if not callable(fn):
        raise TypeError(f"corrupt_state(target, fn) takes a function of the state, got {fn!r}")
    checked_timeout(timeout)
    process = server_of(target, "corrupt_state")
    if process.os_pid != os.getpid():
        raise Unsupported(
            f"corrupt_state: the state of {process!r} is in another process, and could not be put back; change it with "
            "sys.replace_state()"
        )
    return Corruption(process, fn, timeout)


@dataclass(frozen=True)
class Corrupt:
    """A server has a wrong state, as a `supertester.chaos.Fault`; see `corrupt_state`."""

    fn: Callable[[Any], Any]
    name: str = field(default="corrupt_state", init=False)

    def inject(self, target: Reference, /) -> Corruption:
        """Have it in the body."""
        return corrupt_state(target, self.fn)
