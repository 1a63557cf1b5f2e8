"""`Walk`: runs tests one after the other, with the class and module fixtures that a suite would run."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from supertester.runner.recording import Recorder

__all__ = ["Walk"]

__unittest = True


class Walk(unittest.TestSuite):
    """Runs one test after the other, as if they stood in one suite.

    Args:
        recorder: Where the tests report.
        not_run: Called with a test that is not run, since its class or module fixture failed or skipped; with whether
            it was skipped, and why.
        on_fixture: Called with a class before its fixtures, or those of its module, run; and with whether they tear
            down.
    """

    def __init__(
        self,
        recorder: Recorder,
        not_run: Callable[[Any, bool, str], None],
        on_fixture: Callable[[type, str], None] | None = None,
    ) -> None:
        super().__init__()
        self._recorder: Any = recorder
        self._not_run = not_run
        self._on_fixture = on_fixture or (lambda *_: None)
        self._blocked: tuple[bool, str] = (False, "")

    def step(self, test: Any) -> None:
        """Run *test*, after the tear-down of the one before and the set-up of this one where those differ.

        A process that one of them forks ends when it comes back from it.
        """
        try:
            self._step(test)
        finally:
            self._recorder.end_copy()

    def _step(self, test: Any) -> None:
        recorder, unittests = self._recorder, self._unittests
        if test.__class__ is not recorder._previousTestClass:
            if recorder._previousTestClass is not None:
                self._on_fixture(recorder._previousTestClass, "tear-down")
                unittests._tearDownPreviousClass(test, recorder)
                recorder.end_copy()
            self._on_fixture(test.__class__, "set-up")
            recorder.fixture_skip = recorder.fixture_failure = None
            unittests._handleModuleFixture(test, recorder)
            recorder.end_copy()
            unittests._handleClassSetUp(test, recorder)
            recorder.end_copy()
            recorder._previousTestClass = test.__class__
            self._blocked = self._why_blocked()
        if getattr(test.__class__, "_classSetupFailed", False) or recorder._moduleSetUpFailed:
            self._not_run(test, *self._blocked)
        else:
            test(recorder)

    @property
    def _unittests(self) -> Any:
        return self  # With what `unittest` does not document.

    def _why_blocked(self) -> tuple[bool, str]:
        recorder = self._recorder
        if recorder.fixture_failure is None and recorder.fixture_skip is not None:
            return True, recorder.fixture_skip
        return False, f"{recorder.fixture_failure or 'its fixture'} failed"

    def finish(self) -> None:
        """Tear down what is still set up."""
        recorder, unittests = self._recorder, self._unittests
        if recorder._previousTestClass is not None:
            self._on_fixture(recorder._previousTestClass, "tear-down")
        try:
            unittests._tearDownPreviousClass(None, recorder)
            unittests._handleModuleTearDown(recorder)
        finally:
            recorder.end_copy()
        recorder._previousTestClass = None
        recorder._moduleSetUpFailed = False
