"""A worker: takes units, runs their tests, and tells the parent of each beginning and each end."""

from __future__ import annotations

import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.util import strclass

from supertester.runner import frames, wire
from supertester.runner.blame import ThreadWatch
from supertester.runner.capture import Capture, flush
from supertester.runner.companions import companions_of
from supertester.runner.declared import DeclaredTest, fixture_of
from supertester.runner.ladder import FixtureTimeout, Ladder, TestTimeout
from supertester.runner.outcomes import Problem, TestOutcome
from supertester.runner.plan import Settings, Unit
from supertester.runner.recording import Recorder
from supertester.runner.walking import Walk

__all__ = ["Worker"]

__unittest = True


class Worker:
    """Runs units in this process, one test at a time.

    Args:
        channel: Where to tell what happens.
        take: Returns the next unit, or ``None`` at the end; is given what to call before it waits.
        tests: The tests of the plan, by position.
        object_of: Finds the test itself.
        settings: How to run them.
        capture: What the tests write.
        slot: Which of several runners of this process this is.
    """

    def __init__(
        self,
        *,
        channel: socket.socket,
        take: Callable[[Callable[[], None]], Unit | None],
        tests: Sequence[DeclaredTest],
        object_of: Callable[[DeclaredTest], Any],
        settings: Settings,
        capture: Capture,
        slot: int = 0,
    ) -> None:
        self._channel = channel
        self._inbox = frames.Inbox(channel)
        self._take = take
        self._tests = tests
        self._object_of = object_of
        self._settings = settings
        self._capture = capture
        self._slot = slot
        self._pending: list[bytes] = []
        self._position = 0
        self._stop = 0
        self._ladder = Ladder()
        self._threads = ThreadWatch()
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
        undo = [self._ladder.install(), self._threads.install()]
        try:
            with warnings.catch_warnings():
                set_warnings(self._settings.warnings)
                while not self._recorder.shouldStop and (unit := self._take(self._send)) is not None:
                    self._run_unit(unit)
                self._finish()
        finally:
            for each in undo:
                each()
            self._send()

    # Units ---------------------------------------------------------------------------------------------------------

    def _run_unit(self, unit: Unit) -> None:
        self._position, self._stop = unit.start, unit.stop
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
            self._ladder.end()
        if text := self._written():
            self._tell("o", text)

    def _step(self, declared: DeclaredTest) -> None:
        self._test = self._object_of(declared)
        try:
            self._walk.step(self._test)
        except (TestTimeout, FixtureTimeout) as error:  # It was neither in a fixture's code nor in that of a test.
            self._recorder.addError(self._test, (type(error), error, error.__traceback__))
        finally:
            self._ladder.end()
        problems = self._threads.problems(self._test)
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
        return any(kind == "stop" for kind, *_ in self._inbox.receive())

    # What tests report ---------------------------------------------------------------------------------------------

    def _fixture(self, cls: type, what: str) -> None:
        self._ladder.begin(self._settings.timeout, fixture=True)
        if fixture_of(cls) is not None:
            self._tell("f", f"{what} ({strclass(cls)})", what == "tear-down")
            self._send()

    def _begin(self, declared: DeclaredTest | None, test_id: str, at: float) -> None:
        self._tell("s", self._position, at)
        self._send()
        self._ladder.begin(self._settings.limit_of(self._tests[self._position]))

    def _end(self, outcome: TestOutcome) -> None:
        if outcome.is_fixture:
            if self._ladder.reached is not None:
                outcome = replace(outcome, outcome="timeout")
            self._tell("x", outcome.test_id, wire.outcome_to(outcome, self._written()))
        else:
            self._done(outcome)

    def _done(self, outcome: TestOutcome) -> None:
        self._tell("d", self._position, wire.outcome_to(outcome, self._written()))

    def _completed(self, outcome: TestOutcome, problems: list[Problem]) -> TestOutcome:
        """Return *outcome* with what the test did not report itself."""
        if (reached := self._ladder.reached) is not None:
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
            data = b"".join(self._pending)
            self._pending.clear()
            try:
                self._channel.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                os._exit(1)  # Nobody is there to tell.


class _Fixture:
    """Stands for a fixture, in what a result is told."""

    failureException = None

    def __init__(self, name: str) -> None:
        self._name = name

    def id(self) -> str:
        return self._name


def set_warnings(action: str | None) -> None:
    """Show warnings as ``python -m unittest`` does, unless the interpreter was told otherwise."""
    if action is None and not sys.warnoptions:
        action = "default"
    if action is not None:
        warnings.simplefilter(action)  # type: ignore[arg-type]
