"""Workers that do not start: four ways, each real, each with its reason, and nothing left.

A pipe that is left open would fail the test, with the line that opened it: these are `IsolatedTestCase` tests.
"""

from __future__ import annotations

import sys
from functools import partial

from session_pool import PythonPort, SessionPool, WorkerInitFailed

from tests.support import TROUBLE, PoolCase, processes_of


class TestStart(PoolCase):
    def test_a_worker_is_ready_when_it_has_answered(self) -> None:
        port = PythonPort.spawn("start")
        self.addCleanup(port.close)
        self.assertEqual(port.call("ping")["pid"], port.pid)
        self.assertEqual(port.close(), 0)
        self.assertFalse(port.alive)

    def check_fails(self, argv: list[str], why: str) -> None:
        run_id = f"fails-{id(self)}"
        with self.assertRaisesRegex(WorkerInitFailed, why):
            SessionPool(2, port_factory=partial(PythonPort.spawn, run_id, argv=argv))
        self.assertEqual(processes_of(run_id), {})

    def test_a_program_that_does_not_exist(self) -> None:
        self.check_fails(["/nowhere/python"], "/nowhere/python cannot be started: .*No such file")

    def test_a_program_that_may_not_be_run(self) -> None:
        program = self.tmp_path / "worker.py"
        program.write_text("#!/usr/bin/env python3\n", encoding="utf-8")
        self.check_fails([str(program)], "cannot be started: .*Permission denied")

    def test_a_program_with_an_interpreter_that_does_not_exist(self) -> None:
        program = self.tmp_path / "worker.py"
        program.write_text("#!/nowhere/python\n", encoding="utf-8")
        program.chmod(0o700)
        self.check_fails([str(program)], "cannot be started: .*No such file")

    def test_a_program_that_ends_at_once_says_why(self) -> None:
        program = "raise SystemExit('no module named torch')"
        self.check_fails(
            [sys.executable, "-c", program],
            r"(?s)not ready: the worker ended with exit status 1.*no module named torch",
        )

    def test_a_worker_that_fails_once_fails_the_start(self) -> None:
        script = self.tmp_path / "flaky.sh"
        marker = self.tmp_path / "started"
        script.write_text(f'#!/bin/sh\nmkdir {marker} && exit 3\nexec {" ".join(TROUBLE)} "$@"\n', encoding="utf-8")
        script.chmod(0o700)
        start = partial(PythonPort.spawn, "flaky", argv=[str(script)])
        with self.assertRaisesRegex(WorkerInitFailed, "exit status 3"):
            SessionPool(2, port_factory=start)
        self.start_pool(2, port_factory=start)
