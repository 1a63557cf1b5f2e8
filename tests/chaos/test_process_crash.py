"""Real processes crash by real signals, stand still, and go on; with evidence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil

from supertester._core.waiting import wait_until
from supertester.chaos import Pause, ProcessInjection, inject_crash, limit_resources, pause, resume, run_chaos_suite
from supertester.errors import CallExit, Unsupported, UsageError
from supertester.otp import KILL, SHUTDOWN, Agent, process_info
from supertester.performance import measure_operation
from supertester.targets import ExternalProcess, start_process
from supertester.testing import inner_case, run_inner
from tests.chaos.processes import OBEDIENT, PARENT, ChildCase
from tests.targets.os_servers import start

DEAF = "int(signal.signal(signal.SIGTERM, signal.SIG_IGN))"


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


class TestCrash(ChildCase):
    async def test_at_once_by_default_with_a_signal_that_nobody_survives(self) -> None:
        child, journal = self.child(), self.journal()
        injection = await inject_crash(child, "immediate")
        assert isinstance(injection, ProcessInjection)
        self.assertEqual((injection.fired, injection.died, injection.reason), (True, True, "signal SIGKILL"))
        self.assertEqual((injection.pid, child.poll()), (child.pid, -signal.SIGKILL))
        [event] = journal.events
        self.assertEqual((event.fault, event.details), ("crash", {"signal": "SIGKILL", "pids": [child.pid]}))

    async def test_each_signal_is_the_one_that_it_died_of(self) -> None:
        for reason in (signal.SIGSEGV, "SIGABRT", signal.SIGTERM.value, KILL, SHUTDOWN):
            with self.subTest(reason=reason):
                child = self.child()
                injection = await inject_crash(child, "immediate", reason=reason)
                self.assertTrue(injection.died)
                self.assertEqual(injection.reason, f"signal {signal.Signals(-child.wait()).name}")

    async def test_no_image_of_the_memory_is_left(self) -> None:
        child = self.child()
        self.assertEqual(self.ask(child, "__import__('resource').setrlimit(4, (-1, -1))"), "did None")
        with self.tmp_path.joinpath("mark").open("w"):
            self.ask(child, f"os.chdir({str(self.tmp_path)!r})")
        await inject_crash(child, "immediate", reason=signal.SIGSEGV)
        self.assertEqual([path.name for path in self.tmp_path.iterdir()], ["mark"])

    async def test_one_that_handles_the_signal_survives_and_the_injection_says_so(self) -> None:
        child = self.child()
        self.assertEqual(self.ask(child, DEAF), "did 0")
        injection = await inject_crash(child, "immediate", reason=signal.SIGTERM)
        self.assertEqual((injection.fired, injection.died, injection.reason), (True, False, None))
        await injection.wait_for_end(timeout=0)
        self.assertFalse(injection.died)
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")

    async def test_one_that_is_stopped_dies_when_it_goes_on(self) -> None:
        child = self.child()
        async with pause(child):
            injection = await inject_crash(child, "immediate", reason=signal.SIGTERM)
            self.assertEqual((injection.fired, injection.died), (True, False))
        await injection.wait_for_end()
        self.assertTrue(injection.died)

    async def test_later(self) -> None:
        child = self.child()
        injection = await inject_crash(child, ("after_ms", 1))
        self.assertIs(await injection, injection)
        self.assertEqual((injection.fired, injection.died), (True, True))

    async def test_later_not_into_one_that_has_ended_before(self) -> None:
        child = self.child()
        injection = await inject_crash(child, ("after_ms", 60_000))
        self.tell(child, "os._exit(3)")
        self.assertEqual(((await injection).fired, injection.died, injection.reason), (False, False, "exit status 3"))

    async def test_perhaps(self) -> None:
        child = self.child()
        spared = await inject_crash(child, ("random", 0))
        self.assertEqual((spared.fired, spared.died), (False, False))
        hit = await inject_crash(child, ("random", 1))
        self.assertTrue(hit.died)
        self.assertIsNotNone(hit.seed)

    async def test_a_tree(self) -> None:
        child, journal = self.child(PARENT), self.journal()
        pids = [int(word) for word in self.heard.split()]
        injection = await inject_crash(child, "immediate", tree=True)
        assert isinstance(injection, ProcessInjection)
        self.assertTrue(injection.died)
        self.assertEqual({each.pid for each in injection.victims}, {child.pid, *pids})
        self.assertEqual(journal.events[0].details["pids"][0], child.pid)
        shown = json.loads(json.dumps(injection.to_dict()))
        self.assertEqual([each["pid"] for each in shown["victims"]], [each.pid for each in injection.victims])
        self.assertEqual(shown["signal"], "SIGKILL")

    async def test_a_tree_that_handles_the_signal_goes_on(self) -> None:
        child = self.child(PARENT.replace("print", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print", 1))
        pids = [int(word) for word in self.heard.split()]
        injection = await inject_crash(child, "immediate", reason="SIGTERM", tree=True)
        self.assertFalse(injection.died, "the parent ignores it")
        for pid in pids:
            await wait_until(lambda pid=pid: state_of(pid) == "Z", "the child to end", timeout=5)
        self.assertNotEqual(state_of(child.pid), "T")

    async def test_a_program_of_start_process(self) -> None:
        process: ExternalProcess = await start_process([sys.executable, "-c", OBEDIENT])
        injection = await inject_crash(lambda: process, "immediate", reason=signal.SIGABRT)
        self.assertEqual((injection.reason, process.outcome), ("signal SIGABRT", "signal SIGABRT"))

    async def test_what_is_refused(self) -> None:
        child = self.child()
        with self.assertRaisesRegex(UsageError, "a signal such as signal.SIGSEGV or 'SIGSEGV', got 'tired'"):
            await inject_crash(child, "immediate", reason="tired")
        with self.assertRaisesRegex(UsageError, "is the process of the test or its parent"):
            await inject_crash(psutil.Process(), "immediate")
        with self.assertRaisesRegex(Unsupported, "has no tree of processes"):
            await inject_crash(await Agent.start_link(0), "immediate", tree=True)
        await inject_crash(child, "immediate")
        with self.assertRaisesRegex(UsageError, "has ended already"):
            await inject_crash(child, "immediate")

    async def test_in_a_suite(self) -> None:
        deaf = self.child()
        self.ask(deaf, DEAF)
        entries = [
            {"type": "crash", "reason": signal.SIGSEGV},
            {"type": "crash", "target": deaf, "reason": signal.SIGTERM},
        ]
        report = await run_chaos_suite(self.child(), entries)
        self.assertEqual((report.passed, report.failed), (1, 1), str(report))
        self.assertEqual(report.failures[0]["reason"], "survived")


class TestPause(ChildCase):
    async def test_it_stands_still_and_goes_on(self) -> None:
        child, journal = self.child(), self.journal()
        async with pause(child) as paused:
            self.assertTrue(paused.active)
            self.assertEqual(state_of(child.pid), "T")
            self.tell(child, "1 + 1")
        self.assertFalse(paused.active)
        self.assertEqual(self.hear(child), "did 2")
        self.assertEqual([event.fault for event in journal.events], ["pause"])
        self.assertFalse(json.loads(json.dumps(paused.to_dict()))["active"])

    async def test_somebody_else_lets_it_go_on(self) -> None:
        child = self.child()
        paused = await pause(child)
        await resume(child)
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")
        await paused.cleanup()

    async def test_one_that_another_has_stopped_is_left_to_him(self) -> None:
        child = self.child()
        first = await pause(child)
        async with pause(child) as second:
            self.assertFalse(second.active)
        self.assertEqual(state_of(child.pid), "T")
        await first.cleanup()
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")

    async def test_a_tree(self) -> None:
        child = self.child(PARENT)
        pids = [child.pid, *(int(word) for word in self.heard.split())]
        async with pause(child, tree=True):
            self.assertEqual([state_of(pid) for pid in pids], ["T"] * 3)
        for pid in pids:
            await wait_until(lambda pid=pid: state_of(pid) == "S", "it to go on", timeout=5)

    async def test_a_failing_test_lets_it_go_on(self) -> None:
        child = self.child()

        async def body(case: object) -> None:
            await pause(child)
            raise AssertionError("on purpose")

        self.assertEqual(len(run_inner(inner_case(body)).failures), 1)
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")

    async def test_it_goes_on_when_the_test_process_is_killed(self) -> None:
        child = self.child()
        tests = await start_process([sys.executable, "-u", "-c", PAUSING, str(child.pid)])
        await tests.wait_for_output("^paused$")
        self.assertEqual(state_of(child.pid), "T")
        os.kill(tests.pid, signal.SIGKILL)
        self.tell(child, "1 + 1")
        self.assertEqual(await asyncio.to_thread(self.hear, child), "did 2")

    async def test_one_that_dies_meanwhile(self) -> None:
        child = self.child()
        async with pause(child) as paused:
            await inject_crash(child, "immediate")
            self.assertFalse(paused.active)

    async def test_in_a_suite(self) -> None:
        report = await run_chaos_suite(self.child(), [{"type": "fault", "fault": Pause(), "duration_ms": 1}])
        self.assertEqual((report.passed, report.failed), (1, 0), str(report))

    async def test_what_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "is the process of the test or its parent"):
            pause(psutil.Process())
        with self.assertRaisesRegex(Unsupported, "has no tree of processes"):
            pause(await Agent.start_link(0), tree=True)


PAUSING = """
import asyncio, sys
import psutil
from supertester.chaos import pause

async def main():
    await pause(psutil.Process(int(sys.argv[1])))
    print("paused", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class TestServersInProcessesOfTheirOwn(ChildCase):
    async def test_a_signal_goes_to_the_process_and_another_reason_to_the_server(self) -> None:
        server = await start()
        injection = await inject_crash(server, "immediate", reason="out of luck")
        self.assertEqual(injection.reason, "out of luck")
        server = await start()
        process = process_info(server).os_pid
        injection = await inject_crash(server, "immediate", reason=signal.SIGSEGV)
        assert isinstance(injection, ProcessInjection)
        self.assertEqual((injection.pid, injection.reason), (process, "signal SIGSEGV"))
        with self.assertRaises(CallExit):
            await server.call("value")

    async def test_it_hangs_starves_and_is_measured(self) -> None:
        server = await start()
        async with pause(server):
            self.assertEqual(state_of(process_info(server).os_pid), "T")
        async with limit_resources(server, file_descriptors=0) as limited:
            self.assertEqual(await server.call("value"), 0)
            self.assertTrue(limited.active)
        measured = await measure_operation(lambda: server.call("value"), process=server)
        assert measured.process is not None
        self.assertEqual(measured.process.after.pid, process_info(server).os_pid)
