"""What a test may not do by its layer: a unit test starts no process, and none takes longer than its layer allows."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

from supertester.runner.declared import DeclaredTest
from supertester.runner.layers import LIMITS
from supertester.runner.outcomes import Problem, TestOutcome

__all__ = ["LayerGuard", "ProcessInUnitTest"]

__unittest = True

_STARTS: Final = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.exec", "os.startfile"}
)
"""Audit events of starting a process."""
_current: ContextVar[Any] = ContextVar("supertester_unit_test", default=None)
_running: list[_Watch] = []
"""The tests that are running in this process, of whatever layer."""
_installed: list[int] = []
"""The process that the hooks were installed in; they stay for good."""


class ProcessInUnitTest(AssertionError):
    """A unit test was about to start a process."""


class _Watch:
    """A test that is running, and what it tried to start."""

    def __init__(self, *, is_unit: bool) -> None:
        self.is_unit = is_unit
        self.tried: str | None = None

    def refuse(self, what: str) -> None:
        self.tried = what
        raise ProcessInUnitTest(
            f"a unit test starts no process, and this one was about to: {what}; put a double in its place, or say "
            "@tag(layer='component') or 'system'"
        )


class LayerGuard:
    """Watches tests one by one, each in the thread that runs it.

    A process is refused where it is about to be started, so the traceback shows the line; a test that passes over that
    fails all the same. Threads of a test are watched as long as it is the only test that runs.

    Args:
        limits: Seconds that a test of each layer may take, beside `LIMITS`.
    """

    def __init__(self, limits: Mapping[str, float | None] | None = None) -> None:
        self._limits = {**LIMITS, **(limits or {})}
        self._watches: dict[int, _Watch] = {}

    def begin(self, test: DeclaredTest) -> None:
        """Watch *test* from now on."""
        is_unit = test.tags.get("layer") == "unit"
        if is_unit:
            _install()
        watch = self._watches[threading.get_ident()] = _Watch(is_unit=is_unit)
        _running.append(watch)
        _current.set(watch)

    def end(self, outcome: TestOutcome) -> TestOutcome:
        """Return *outcome* as it is, or as the failure that it is by the rules of its layer."""
        tried = self._end_watch()
        layer = outcome.declared.tags.get("layer") if outcome.declared is not None else None
        if layer is None or outcome.outcome not in {"passed", "expected_failure"}:
            return outcome
        if tried is not None:
            return _failed(outcome, f"a unit test starts no process, and this one tried to and went on: {tried}")
        limit = self._limits.get(layer)
        if limit is not None and outcome.duration > limit:
            return _failed(
                outcome,
                f"a test of the layer {layer!r} may take {limit:g} s, and this one took {outcome.duration:.2f} s; make "
                f"it faster, put it into another layer, or allow more with --layer-limit {layer}=SECONDS",
            )
        return outcome

    def _end_watch(self) -> str | None:
        watch = self._watches.pop(threading.get_ident(), None)
        if watch is None:
            return None
        _running.remove(watch)
        _current.set(None)
        return watch.tried


def _failed(outcome: TestOutcome, message: str) -> TestOutcome:
    problem = Problem(kind="failure", message=message, details=message)
    return replace(outcome, outcome="failed", problems=(*outcome.problems, problem))


def _install() -> None:
    """Listen to all that starts a process; that cannot be undone, and costs nothing while no unit test runs."""
    if _installed[:1] == [os.getpid()]:
        return
    if not _installed:
        sys.addaudithook(_hear)
        _watch_multiprocessing()
    _installed[:] = [os.getpid()]


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _running and event in _STARTS and _installed[:1] == [os.getpid()]:
        watch = _watch()
        if watch is not None:
            watch.refuse(_described(event, arguments))


def _watch() -> _Watch | None:
    """Return the unit test that this is, or ``None``; what says nothing of that belongs to the only test there is."""
    watch: _Watch | None = _current.get()
    if watch not in _running:
        watch = _running[0] if len(_running) == 1 else None
    return watch if watch is not None and watch.is_unit else None


def _described(event: str, arguments: tuple[Any, ...]) -> str:
    command = next((each for each in arguments[1::-1] if isinstance(each, list | tuple) and each), None)
    if event == "os.system":
        command = [os.fsdecode(arguments[0])]
    return event + (f" {' '.join(map(str, command))}" if command else "")


def _watch_multiprocessing() -> None:
    """Hear of what `multiprocessing` spawns too, which is no audit event."""
    try:
        import _posixsubprocess
    except ImportError:
        return
    previous = _posixsubprocess.fork_exec

    def fork_exec(*arguments: Any) -> int:
        if _running and _installed[:1] == [os.getpid()] and (watch := _watch()) is not None:
            watch.refuse("multiprocessing")
        return previous(*arguments)

    _posixsubprocess.fork_exec = fork_exec
