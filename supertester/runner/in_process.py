"""`InProcess`: a run in this process, one test after the other; for debuggers."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from supertester._core.seeds import run_seed
from supertester.runner.companions import companions_of
from supertester.runner.declared import DeclaredTest
from supertester.runner.ledger import NOT_BEGUN, Ledger
from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.outcomes import Observer, RunReport, TestOutcome
from supertester.runner.recording import Recorder
from supertester.runner.walking import Walk

__all__ = ["InProcess"]

__unittest = True


class InProcess:
    """A run in this process.

    Args:
        loaded: Tests that are in this process.
        options: How to run them.
        observers: Who is told.
    """

    def __init__(self, loaded: Loaded, options: Options, observers: Sequence[Observer]) -> None:
        self._loaded = loaded
        self._options = options
        self._ledger = Ledger(loaded.tests, observers)
        self._position = 0
        self._running: int | None = None
        """The position of the test that runs."""
        self._blocked: tuple[bool, str] = (False, "it reported nothing to its result")

    def run(self) -> RunReport:
        """Run the tests and return the report."""
        self._ledger.begin(workers=1, seed=run_seed())
        recorder = self._recorder()
        interrupted = False
        with self._asked_to_stop(recorder) as asked:
            try:
                self._walk(recorder)
            except KeyboardInterrupt:
                interrupted = True
        if self._running is not None:
            self._ledger.lose(self._running, "interrupted while it ran")
        interrupted = interrupted or bool(asked)
        if interrupted:
            self._ledger.lose_rest(NOT_BEGUN)
        why = "--failfast" if self._options.failfast else "a test asked to stop"
        return self._ledger.close(
            workers=1,
            seed=run_seed(),
            fail_on=self._options.fail_on,
            interrupted=interrupted,
            stopped=why if recorder.shouldStop and not interrupted else "",
        )

    @contextlib.contextmanager
    def _asked_to_stop(self, recorder: Recorder) -> Iterator[list[int]]:
        """With ``--catch``, let the first Ctrl-C end the run after the test that runs; yield those that came."""
        asked: list[int] = []
        if not self._options.catch or threading.current_thread() is not threading.main_thread():
            yield asked
            return
        before = signal.getsignal(signal.SIGINT)

        def heard(number: int, frame: FrameType | None) -> None:
            asked.append(number)
            recorder.stop()
            if len(asked) > 1:
                signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, heard)
        try:
            yield asked
        finally:
            signal.signal(signal.SIGINT, before)

    def _recorder(self) -> Recorder:
        recorder = Recorder(
            lambda _: self._loaded.tests[self._position],
            begin=self._begin,
            end=self._end,
            tb_locals=self._options.tb_locals,
            keep_exceptions=self._options.keep_exceptions,
            companions=companions_of(
                self._loaded.tests, layer_limits=self._options.layer_limits, attachments=self._options.attachments
            ),
        )
        recorder.failfast = self._options.failfast
        return recorder

    def _walk(self, recorder: Recorder) -> None:
        walk = Walk(recorder, self._not_run)
        for position, declared in enumerate(self._loaded.tests):
            if recorder.shouldStop:
                break
            self._position = position
            walk.step(self._loaded.object_of(declared))
            if not recorder.conclude():
                self._leave_out()
        walk.finish()

    def _begin(self, declared: DeclaredTest | None, test_id: str, at: float) -> None:
        self._running = self._position
        self._ledger.started(self._position, 0, at)

    def _end(self, outcome: TestOutcome) -> None:
        if outcome.is_fixture:
            self._ledger.enter(None, outcome)
        else:
            self._running = None
            self._ledger.enter(self._position, outcome)

    def _not_run(self, test: Any, skipped: bool, why: str) -> None:  # noqa: FBT001 - the signature of `Walk`
        self._blocked = skipped, why

    def _leave_out(self) -> None:
        skipped, why = self._blocked
        if not skipped:
            self._ledger.lose(self._position, f"not run: {why}")
            return
        declared = self._loaded.tests[self._position]
        outcome = TestOutcome(
            test_id=declared.test_id, outcome="skipped", declared=declared, started=time.time(), reason=why
        )
        self._ledger.enter(self._position, outcome)
