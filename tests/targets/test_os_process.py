"""`OsProcess`: which process is meant, what it does, and how it ended."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import subprocess
import unittest
from unittest import mock

import psutil

from supertester._core.waiting import wait_until
from supertester.case import IsolatedTestCase
from supertester.errors import UsageError, WaitTimeout
from supertester.targets import OsProcess, start_process
from supertester.targets import os_process as module
from supertester.targets.os_process import is_os_process, os_process
from supertester.targets.readiness import LineReady
from tests.targets.programs import FAMILY, program

GRANDPARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("child", child.pid, flush=True)
child.wait()
print("ended", flush=True)
"""


class ProcessCase(IsolatedTestCase):
    def started(self, *argv: str) -> subprocess.Popen[bytes]:
        popen = subprocess.Popen(list(argv) or program(), stdin=subprocess.DEVNULL)
        self.addCleanup(popen.wait)
        self.addCleanup(popen.kill)
        return popen


class TestIdentity(ProcessCase):
    async def test_what_stands_for_a_process(self) -> None:
        popen = self.started()
        external = await start_process(program())
        other = await asyncio.create_subprocess_exec(*program())
        for target in (popen, psutil.Process(popen.pid), external, other, OsProcess(popen.pid)):
            with self.subTest(type(target).__name__):
                self.assertTrue(is_os_process(target))
                self.assertEqual(os_process(target, "it").state, "running")
        other.kill()
        self.assertEqual(await other.wait(), -signal.SIGKILL)

    async def test_a_child_of_multiprocessing(self) -> None:
        process = multiprocessing.get_context("spawn").Process(target=signal.pause)
        self.assertTrue(is_os_process(process))
        with self.assertRaisesRegex(UsageError, "has not been started"):
            os_process(process, "it")
        process.start()
        self.addCleanup(process.close)
        found = os_process(process, "it")
        self.assertTrue(found.send_signal(signal.SIGKILL))
        self.assertEqual(await found.wait_for_end(), -signal.SIGKILL)
        process.join()

    async def test_a_mere_number_is_refused_with_the_remedy(self) -> None:
        with self.assertRaisesRegex(TypeError, "it: 17 is a mere number.*give the Popen"):
            os_process(17, "it")
        with self.assertRaisesRegex(TypeError, "no process of the operating system"):
            os_process("worker", "it")
        self.assertFalse(is_os_process("worker"))

    async def test_one_that_has_ended_is_refused(self) -> None:
        popen = self.started()
        handle = psutil.Process(popen.pid)
        popen.kill()
        popen.wait()
        with self.assertRaisesRegex(UsageError, "is dead; it ended with signal SIGKILL") as caught:
            os_process(popen, "it")
        self.assertEqual(caught.exception.reason, "noproc")
        with self.assertRaisesRegex(UsageError, "is dead"):
            os_process(handle, "it")

    async def test_a_later_process_of_the_same_number_is_another(self) -> None:
        popen = self.started()
        before = OsProcess(popen.pid)
        with mock.patch.object(module, "start_of", return_value=1):
            later = OsProcess(popen.pid)
        self.assertNotEqual(before, later)
        self.assertEqual(later.state, "gone")
        self.assertFalse(later.send_signal(signal.SIGKILL), "it would have hit who has the number now")
        self.assertIsNone(popen.poll())
        self.assertEqual(len({before, OsProcess(popen.pid)}), 1)


class TestState(ProcessCase):
    async def test_the_four_states(self) -> None:
        popen = self.started()
        process = OsProcess(popen.pid)  # It does not know the Popen, and does not ask it.
        self.assertEqual(process.state, "running")
        process.send_signal(signal.SIGSTOP)
        signal_seen = psutil.Process(popen.pid)
        await wait_until(lambda: process.state == "stopped", "it to stop", timeout=5)
        self.assertEqual((process.state, process.is_alive()), ("stopped", True))
        self.assertEqual(signal_seen.status(), psutil.STATUS_STOPPED)
        with process.held():
            process.send_signal(signal.SIGKILL)
            self.assertEqual(await process.wait_for_end(), -signal.SIGKILL)
            self.assertEqual((process.state, process.is_alive()), ("zombie", False))
            self.assertEqual(popen.wait(), -signal.SIGKILL)
            self.assertEqual(process.state, "gone")
        self.assertEqual(process.outcome, "signal SIGKILL")
        self.assertFalse(process.send_signal(signal.SIGTERM))

    async def test_an_exit_status(self) -> None:
        popen = self.started(*program("import sys\nsys.stdin.read()\nsys.exit(13)", forever=False))
        process = os_process(popen, "it")
        self.assertEqual(await process.wait_for_end(), 13)
        self.assertEqual(process.outcome, "exit status 13")

    async def test_how_one_ended_that_is_anothers_child(self) -> None:
        parent = await start_process(program(GRANDPARENT, forever=False), ready=LineReady("child"))
        [child] = os_process(parent, "it").descendants()
        self.assertEqual(child.outcome, "nothing yet, it runs")
        with child.held():
            child.send_signal(signal.SIGSEGV)
            await parent.wait_for_output("ended")  # Its parent has asked how it ended: nobody else can, by `wait`.
            self.assertIn(child.exit_status, (-signal.SIGSEGV, None), "None where the kernel is older than 6.15")
        self.assertRegex(child.outcome, "signal SIGSEGV|an unknown status")

    async def test_what_it_has_started(self) -> None:
        family = await start_process(program(FAMILY, forever=False), ready=LineReady("family"))
        pids = {int(word) for word in family.find(r"family (\d+ \d+)").group(1).split()}
        self.assertEqual({each.pid for each in os_process(family, "it").descendants()}, pids)

    async def test_a_wait_that_runs_out_says_what_it_does(self) -> None:
        process = os_process(self.started(), "it")
        with self.assertRaisesRegex(WaitTimeout, r"process \d+ \(pid \d+\) to end; last seen: running"):
            await process.wait_for_end(timeout=0)


if __name__ == "__main__":
    unittest.main()
