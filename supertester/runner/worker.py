"""A worker: takes units, runs their tests, and tells the parent of each beginning and each end."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.util import strclass

from supertester.runner import frames, wire
from supertester.runner.blame import ThreadWatch
from supertester.runner.capture import Capture, flush
from supertester.runner.companions import companions_of
from supertester.runner.declared import DeclaredTest, fixture_of
from supertester.runner.ladder import FixtureTimeout, Ladder, TestTimeout, climb, on_raise
from supertester.runner.outcomes import Problem, TestOutcome
from supertester.runner.plan import Settings, Unit
from supertester.runner.recording import Recorder
from supertester.runner.walking import Walk

__all__ = ["Line", "Worker", "run_worker"]

__unittest = True


class Line:
    """The line to the parent, for all threads of a worker."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._inbox = frames.Inbox(channel)
        self._lock = threading.Lock()
        self._is_told_to_stop = False

    def send(self, messages: Sequence[bytes]) -> None:
        """Send frames; without a parent there is no reason to go on."""
        try:
            with self._lock:
                self._channel.sendall(b"".join(messages))
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)

    def is_told_to_stop(self) -> bool:
        """Say whether the parent wants no more tests to begin."""
        with self._lock:
            self._is_told_to_stop |= any(kind == "stop" for kind, *_ in self._inbox.receive())
            return self._is_told_to_stop


class Worker:
    """Runs units in this process, one test at a time.

    Args:
        line: Where to tell what happens.
        take: Returns the next unit, or ``None`` at the end; is given what to call before it waits.
        tests: The tests of the plan, by position.
        object_of: Finds the test itself.
        settings: How to run them.
        capture: What the tests write.
        slot: Which of several runners of this process this is.
        watch: Who looks after the threads of tests, if those run one after the other.
    """

    def __init__(
        self,
        *,
        line: Line,
        take: Callable[[Callable[[], None]], Unit | None],
        tests: Sequence[DeclaredTest],
        object_of: Callable[[DeclaredTest], Any],
        settings: Settings,
        capture: Capture,
        slot: int = 0,
        watch: ThreadWatch | None = None,
    ) -> None:
        self._line = line
        self._take = take
        self._tests = tests
        self._object_of = object_of
        self._settings = settings
        self._capture = capture
        self._slot = slot
        self._pending: list[bytes] = []
        self._position = 0
        self.ladder = Ladder()
        self._watch = watch
        self._test: Any = None
        self._blocked: TestOutcome | None = None
        self._recorder = Recorder(
            lambda _: self._tests[self._position],
            begin=self._begin,
            end=self._end,
            tb_locals=settings.tb_locals,
            keep_exceptions=settings.keep_exceptions,
            companions=companions_of(
                tests, layer_limits=settings.layer_limits, attachments=settings.attachments, coverage=settings.coverage
            ),
        )
        self._recorder.failfast = settings.failfast
        self._walk = Walk(self._recorder, self._not_run, self._fixture)

    def run(self) -> None:
        """Run units until there are no more."""
        try:
            while not self._recorder.shouldStop and (unit := self._take(self._send)) is not None:
                self._run_unit(unit)
            self._finish()
        finally:
            self._send()

    # Units ---------------------------------------------------------------------------------------------------------

    def _run_unit(self, unit: Unit) -> None:
        self._position = unit.start
        self._tell("u", unit.start, unit.stop)
        for position in range(unit.start, unit.stop):
            if self._recorder.shouldStop or (position > unit.start and self._is_told_to_stop()):
                break
            self._position = position
            self._step(self._tests[position])
        if self._tests[unit.start].fixture is not None and not self._settings.keep_set_up:
            self._finish()
            self._tell("e")
            self._send()

    def _finish(self) -> None:
        try:
            self._walk.finish()
        except FixtureTimeout as error:
            self._recorder.addError(_Fixture("tear-down"), (type(error), error, error.__traceback__))
        finally:
            self.ladder.end()
        if text := self._written():
            self._tell("o", text)

    def _step(self, declared: DeclaredTest) -> None:
        self._test = self._object_of(declared)
        try:
            self._walk.step(self._test)
        except (TestTimeout, FixtureTimeout) as error:  # It was neither in a fixture's code nor in that of a test.
            self._recorder.addError(self._test, (type(error), error, error.__traceback__))
        finally:
            self.ladder.end()
        problems = self._watch.problems(self._test) if self._watch is not None else []
        if not self._recorder.conclude(lambda outcome: self._completed(outcome, problems)):
            self._report_nothing(declared)
        if self._recorder.shouldStop:
            self._tell("stop", "--failfast" if self._settings.failfast else "a test asked to stop")
            self._send()

    def _report_nothing(self, declared: DeclaredTest) -> None:
        if self._blocked is None:
            reason = "not run: it reported nothing to its result"
            self._blocked = TestOutcome(test_id=declared.test_id, outcome="lost", started=time.time(), reason=reason)
        self._done(self._blocked)
        self._blocked = None

    def _not_run(self, test: Any, skipped: bool, why: str) -> None:  # noqa: FBT001 - the signature of `Walk`
        outcome: Any = "skipped" if skipped else "lost"
        reason = why if skipped else f"not run: {why}"
        self._blocked = TestOutcome(test_id="", outcome=outcome, started=time.time(), reason=reason)

    def _is_told_to_stop(self) -> bool:
        self._send()
        return self._line.is_told_to_stop()

    # What tests report ---------------------------------------------------------------------------------------------

    def _fixture(self, cls: type, what: str) -> None:
        self.ladder.begin(self._settings.timeout, fixture=True)
        if fixture_of(cls) is not None:
            self._tell("f", f"{what} ({strclass(cls)})", what == "tear-down")
            self._send()

    def _begin(self, declared: DeclaredTest | None, test_id: str, at: float) -> None:
        self.ladder.begin(self._settings.limit_of(self._tests[self._position]))  # Not after the parent's clock.
        self._tell("s", self._position, at)
        self._send()

    def _end(self, outcome: TestOutcome) -> None:
        if outcome.is_fixture:
            if self.ladder.reached is not None:
                outcome = replace(outcome, outcome="timeout")
            self._tell("x", outcome.test_id, wire.outcome_to(outcome, self._written()))
        else:
            self._done(outcome)

    def _done(self, outcome: TestOutcome) -> None:
        self._tell("d", self._position, wire.outcome_to(outcome, self._written()))

    def _completed(self, outcome: TestOutcome, problems: list[Problem]) -> TestOutcome:
        """Return *outcome* with what the test did not report itself."""
        if (reached := self.ladder.reached) is not None:
            details = "\n".join([reached, *(each.details for each in outcome.problems)])
            problem = Problem(kind="error", message=reached.partition("\n")[0], details=details)
            return replace(outcome, outcome="timeout", problems=(problem, *problems))
        if not problems:
            return outcome
        more = replace(outcome, problems=(*outcome.problems, *problems))
        if outcome.outcome in {"passed", "skipped", "expected_failure"}:
            return replace(more, outcome="contaminated", reason=problems[0].message)
        return more

    def _written(self) -> str:
        flush()
        return self._capture.take()

    # The wire ------------------------------------------------------------------------------------------------------

    def _tell(self, kind: str, *values: Any) -> None:
        self._pending.append(frames.frame((kind, self._slot, *values)))

    def _send(self) -> None:
        if self._pending:
            self._line.send(self._pending)
            self._pending.clear()


class _Fixture:
    """Stands for a fixture, in what a result is told."""

    failureException = None

    def __init__(self, name: str) -> None:
        self._name = name

    def id(self) -> str:
        return self._name


def run_worker(
    channel: socket.socket,
    take: Callable[[Callable[[], None]], Unit | None],
    tests: Sequence[DeclaredTest],
    object_of: Callable[[DeclaredTest], Any],
    *,
    settings: Settings,
    capture: Capture,
    dumps: int,
) -> None:
    """Be a worker: run units until there are no more; stacks go to *dumps*; see `Worker` for the other arguments."""
    line = Line(channel)
    make = partial(Worker, line=line, take=take, tests=tests, object_of=object_of, settings=settings, capture=capture)
    watch = ThreadWatch()
    undo = watch.install()
    with warnings.catch_warnings():
        set_warnings(settings.warnings)
        if settings.threads > 1:
            from supertester.runner.threaded import run_threads

            run_threads(make, settings.threads, dumps)
            problems = watch.raised()
        else:
            worker = make(watch=watch)
            undo_signal = on_raise(lambda: climb([worker.ladder]), dumps)
            worker.run()
            undo_signal()
            problems = []
    undo()
    if problems:
        name = "threads that belong to no test"
        outcome = TestOutcome(test_id=name, outcome="contaminated", started=time.time(), problems=tuple(problems))
        line.send([frames.frame(("x", 0, name, wire.outcome_to(outcome, "")))])
    line.send([frames.frame(("bye", 0))])


def set_warnings(action: str | None) -> None:
    """Show warnings as ``python -m unittest`` does, unless the interpreter was told otherwise."""
    if action is None and not sys.warnoptions:
        action = "default"
    if action is not None:
        warnings.simplefilter(action)  # type: ignore[arg-type]
