"""`IsolationContext`: all that is known about one running test, in one object that everybody holds by reference."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from supertester._core.naming import describe
from supertester.errors import UsageError

if TYPE_CHECKING:
    from supertester._core.clock import Clock
    from supertester.env import Env
    from supertester.otp.root import Root
    from supertester.otp.runtime import Runtime

__all__ = ["Isolation", "IsolationContext", "Problem", "ProcessInfo", "current_context"]

_WORLD = frozenset({"clock", "registry", "runtime", "root", "loop"})
"""What an event loop has to be there for, and most plain tests never ask for."""


class Isolation(StrEnum):
    """How much of the world a test has for itself; each mode includes the ones before it.

    The members are strings: ``"basic"`` and ``Isolation.BASIC`` are equal and accepted alike.
    """

    BASIC = "basic"
    REGISTRY = "registry"
    FULL_ISOLATION = "full_isolation"
    CONTAMINATION_DETECTION = "contamination_detection"


@dataclass(frozen=True)
class ProcessInfo:
    """A process that a test started: its pid, its registered name, and the class of its server."""

    pid: Any
    name: Any = None
    module: Any = None

    def __str__(self) -> str:
        return " ".join(
            [repr(self.pid)]
            + ([f"named {self.name!r}"] if self.name is not None else [])
            + ([f"({describe(self.module)})"] if self.module is not None else [])
        )


@dataclass(frozen=True)
class Problem:
    """Something that the test is to blame for although no statement of its body raised it.

    ``kind`` is e.g. ``"task"`` or ``"thread"``; ``message`` names the culprit and the line that created it; ``details``
    is the traceback or stack, as text: an exception kept here would keep its frames, and what they hold, alive.
    """

    kind: str
    message: str
    details: str = ""

    def __str__(self) -> str:
        if not self.details:
            return self.message
        return self.message + "\n" + "\n".join("     " + line for line in self.details.rstrip().splitlines())


def _none() -> None:
    """Be the default of a field that must not become an attribute of the class."""


@dataclass(eq=False)
class IsolationContext:
    """What a test has for itself, and what has to be undone at its end.

    One mutable object per test. Tasks of the test find it with `fetch_isolation_context`, the test itself as
    ``self.isolation``. A plain test has its event loop, and what lives on it (``clock registry runtime root loop``),
    from when something first asks for one of them.

    Attributes:
        test_id: A string that no other test of this process has.
        mode: The isolation mode, one of `Isolation`.
        seed: The test's own seed, derived from the seed of the run.
        clock: The seconds that waits and timers of this test go by.
        env: Where `cleanup_on_exit` registers what is to be undone.
        registry: The names of this test's own processes by name, or ``None`` in mode ``basic``.
        processes: What was started by helpers or given to `track_process`, oldest first.
        tags: module, class, test, file, line, mode, and the user's own.
        runtime: The embedded runtime that the test's processes live in.
        root: The process that the test's body is.
        outer: The test that this one runs in, if it does.
        run_seed: The seed of the run, which the test itself may have hidden by changing its environment.
        os_pid: The operating system's number of the process that the test runs in; one that it forks sees another.
        problems: What will fail the test at its end, see `report`.
        evidence: Functions that return what a failure of the test is to show.
    """

    test_id: str
    mode: str = Isolation.FULL_ISOLATION.value
    seed: int = 0
    clock: Clock | None = field(default_factory=_none, repr=False)
    env: Env | None = None
    registry: Mapping[Any, Any] | None = field(default_factory=_none, repr=False)
    processes: list[ProcessInfo] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    runtime: Runtime | None = field(default_factory=_none, repr=False)
    root: Root | None = field(default_factory=_none, repr=False)
    outer: IsolationContext | None = field(default=None, repr=False)
    run_seed: int = field(default=0, repr=False)
    os_pid: int = field(default_factory=os.getpid)
    loop: asyncio.AbstractEventLoop | None = field(default_factory=_none, repr=False)
    problems: list[Problem] = field(default_factory=list, repr=False)
    source: str | None = field(default=None, repr=False)
    closed: bool = field(default=False, repr=False)
    started: int = field(default=0, repr=False)
    sleeps: Any = field(default=None, repr=False)
    alone: bool = field(default=True, repr=False)
    births: Any = field(default=None, repr=False)
    jobs: Callable[[Any], object] | None = field(default=None, repr=False)
    cleanups: list[tuple[int, Callable[[], object]]] = field(default_factory=list, repr=False)
    evidence: list[Callable[[], str]] = field(default_factory=list, repr=False)
    features: dict[str, Any] = field(default_factory=dict, repr=False)
    open_feature: Callable[[str], Any] | None = field(default=None, repr=False)
    has_feature: Callable[[str], bool] | None = field(default=None, repr=False)
    make_world: Callable[[], object] | None = field(default=None, repr=False)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in _WORLD:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            if self.make_world is None or self.closed:
                return None
            self.make_world()
            return self.__dict__[name]

    def postpone_world(self, make: Callable[[], object]) -> None:
        """Let *make* set ``clock registry runtime root loop`` when something first asks for one of them."""
        for name in _WORLD:
            self.__dict__.pop(name, None)
        self.make_world = make

    def made(self, name: str) -> Any:
        """Return the attribute *name*, or ``None`` if nothing has asked for it so far; it is not made for this."""
        return self.__dict__.get(name)

    def track_process(self, pid: Any, name: Any = None, module: Any = None) -> ProcessInfo:
        """Take *pid* (or a whole `ProcessInfo`) into `processes`, so that it is stopped at the end of the test."""
        if isinstance(pid, ProcessInfo):
            info = pid
        elif pid is None:
            raise UsageError("track_process() needs a process, got None; pass the pid that start_link() returned")
        else:
            info = ProcessInfo(pid, name if name is not None else getattr(pid, "name", None), module)
        self.processes.append(info)
        return info

    def add_cleanup(self, function: Callable[..., object], /, *args: Any, **kwargs: Any) -> None:
        """Call ``function(*args, **kwargs)``, plain or async, at the end of the test.

        It runs in the test's event loop and context: newest first, and each before the processes that were there when
        it was added are stopped.

        Raises:
            TypeError: It cannot be called.
            UsageError: The test has ended.
        """
        if not callable(function):
            raise TypeError(f"a cleanup must be callable, got {function!r}; pass the function, not its result")
        if self.closed:
            raise UsageError(f"test {self.test_id!r} has ended; its cleanup {describe(function)} would never run")
        call = partial(function, *args, **kwargs) if args or kwargs else function
        self.cleanups.append((self.newest_process(), call))

    def newest_process(self) -> int:
        """Return the number of the youngest live process, by which cleanups and processes are put in one order."""
        runtime = self.made("runtime")
        processes = runtime.processes if runtime is not None else None
        return next(reversed(processes)).id if processes else 0

    def feature(self, name: str) -> Any:
        """Return the handle of the isolation feature *name*, e.g. ``"logs"``, entering it if need be.

        Raises:
            UsageError: There is no such feature, or it is off in this test; the message says how to switch it on.
        """
        if name in self.features:
            return self.features[name]
        if self.open_feature is None or self.closed:
            raise UsageError(f"feature {name!r} is not available: test {self.test_id!r} is not running")
        return self.open_feature(name)

    def report(self, problem: Problem) -> bool:
        """Let *problem* fail the test at its end; return ``False`` if it has ended and nobody would notice."""
        if self.closed:
            return False
        self.problems.append(problem)
        return True

    def summary(self) -> str:
        """Return what the test created, as text."""
        lines = [f"{self.test_id} ({self.mode})"]
        for info in self.processes:
            reason = getattr(info.pid, "exit_reason", None)
            lines.append(f"  process {info}" + ("" if reason is None else f", ended: {reason!r}"))
        for name, handle in self.features.items():
            used = handle.summary() if hasattr(handle, "summary") else None
            if used is None or used:  # Some are on in every test, whether it uses them or not.
                lines.append(f"  feature {name}")
                lines += [f"    {line}" for line in used or ()]
        lines += [f"  cleanup {describe(function)}" for _, function in self.cleanups]
        lines += [f"  problem {problem.message}" for problem in self.problems]
        if len(lines) == 1:
            lines.append("  nothing")
        return "\n".join(lines)


current_context: ContextVar[IsolationContext | None] = ContextVar("supertester.test", default=None)
"""The test that the running code belongs to; inherited by tasks, callbacks and whatever else copies its context."""
