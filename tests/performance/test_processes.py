"""What children use: measured, bounded, and leaks of them found; each planted in a real child."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import psutil

from supertester.errors import UsageError
from supertester.mixins.performance import PerformanceMixin
from supertester.performance import (
    LoadReport,
    check_expectations,
    judge_load,
    measure_operation,
    probe_memory_leak,
    probe_performance,
    process_usage,
    run_load,
)
from supertester.performance.load.process_load import ProcessLoad
from supertester.performance.verdict import Verdict
from supertester.testing import failure_of
from tests.chaos.processes import PARENT, ChildCase
from tests.performance.frugal import frugal

MB = 1 << 20
REMEMBER = "kept.append(b'x' * 4096 * 10)"
OPEN = "kept.append(os.dup(0))"
BEGIN = "kept.append(threading.Thread(target=threading.Event().wait, daemon=True)) or kept[-1].start()"
COMPUTE = "sum(range(200_000))"


def hold_up(pid: int) -> None:
    """Suspend a child and wait until it is."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


class TestUsage(ChildCase):
    async def test_what_a_child_uses(self) -> None:
        child = self.child()
        before = process_usage(child)
        self.assertEqual((before.pid, before.processes, before.threads), (child.pid, 1, 1))
        self.assertEqual(before.descriptors, psutil.Process(child.pid).num_fds())
        self.ask(child, f"{BEGIN} or {OPEN}")
        self.ask(child, f"len(kept.append(bytearray({8 * MB})) or '')")
        after = process_usage(child)
        self.assertEqual((after.threads, after.descriptors), (before.threads + 1, before.descriptors + 1))
        self.assertGreater(after.memory_bytes - before.memory_bytes, 6 * MB)
        self.assertEqual(json.loads(json.dumps(after.to_dict()))["pid"], child.pid)

    async def test_with_what_it_has_started_or_without(self) -> None:
        child = self.child(PARENT)
        self.assertEqual(process_usage(child).processes, 3)
        self.assertEqual(process_usage(child, tree=False).processes, 1)

    async def test_what_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "process must be one of the operating system, e.g. an ExternalProcess"):
            process_usage("server")
        child = self.child()
        child.kill()
        child.wait()
        with self.assertRaisesRegex(UsageError, "has ended, so nobody can tell what it uses"):
            process_usage(child)


class TestMeasurement(ChildCase):
    def setUp(self) -> None:
        super().setUp()
        frugal(self)

    async def test_what_an_operation_costs_a_child(self) -> None:
        child = self.child()
        measured = await measure_operation(lambda: self.ask(child, f"{OPEN} or {COMPUTE}"), process=child)
        assert measured.process is not None
        self.assertEqual(
            (measured.process.descriptors, measured.process.threads, measured.process.processes), (1, 0, 0)
        )
        self.assertGreater(measured.process.cpu_us, 500, "it has computed")
        self.assertEqual(measured.process.after.pid, child.pid)
        self.assertEqual(json.loads(json.dumps(measured.to_dict()))["process"]["descriptors"], 1)
        hold_up(child.pid)  # Or it may still do what follows its last answer.
        quiet = await measure_operation(lambda: None, process=child, once=True)
        os.kill(child.pid, signal.SIGCONT)
        assert quiet.process is not None
        self.assertEqual((quiet.process.cpu_us, quiet.process.descriptors), (0, 0))

    async def test_bounds(self) -> None:
        child = self.child()
        measured = await measure_operation(lambda: self.ask(child, f"{OPEN} or {BEGIN}"), process=child)
        bounds = {"max_process_descriptors": 0, "max_process_threads": 0, "max_process_cpu_ms": 0}
        message = str(check_expectations(measured, **bounds))
        self.assertIn("process_descriptors is 1, exceeded maximum of 0; process_threads is 1, exceeded", message)
        self.assertRegex(message, r"process_cpu_ms is [\d.e-]+, exceeded maximum of 0")
        self.assertIsNone(check_expectations(measured, max_process_descriptors=1, max_process_cpu_ms=10_000))
        with self.assertRaisesRegex(UsageError, "max_process_threads is of a process, and none was measured"):
            check_expectations(await measure_operation(lambda: None), max_process_threads=0)

    async def test_a_costly_request_fails_the_test(self) -> None:
        child = self.child()

        async def body(case: Any) -> None:
            await case.assert_performance(
                lambda: self.ask(child, OPEN), process=child, max_process_descriptors=0, max_reductions=1_000
            )

        self.assertIn("process_descriptors is 1, exceeded maximum of 0", failure_of(body, PerformanceMixin))
        judged = await probe_performance(
            lambda: self.ask(child, "1"), process=child, max_process_descriptors=0, max_process_memory_bytes=MB
        )
        self.assertEqual(judged.verdict, Verdict.PASS)


class TestLeaks(ChildCase):
    def setUp(self) -> None:
        super().setUp()
        frugal(self)

    async def leak(self, line: str, iterations: int = 30, **options: Any) -> str:
        child = self.child()

        async def body(case: Any) -> None:
            await case.assert_no_memory_leak(
                iterations, lambda: self.ask(child, line), process=child, sample_count=5, **options
            )

        return failure_of(body, PerformanceMixin)

    async def test_of_memory(self) -> None:
        report = await self.leak(REMEMBER)
        self.assertRegex(report, r"process memory leak detected: 4\d{4} bytes a run, growing over \d rounds\n  1\. 27 ")

    async def test_of_descriptors(self) -> None:
        report = await self.leak(OPEN)
        self.assertIn("process descriptors leak detected: 1 descriptors a run, growing over 3 rounds", report)
        self.assertIn("1. 27 runs kept 27 descriptors, 1 each", report)

    async def test_of_threads(self) -> None:
        self.assertRegex(
            await self.leak(BEGIN, 10), r"process threads leak detected: \S+ threads a run, growing over 3"
        )

    async def test_what_does_not_leak(self) -> None:
        child = self.child()
        line = "os.close(os.dup(0)) or len(bytearray(100_000))"
        report = await probe_memory_leak(30, lambda: self.ask(child, line), process=child, sample_count=5)
        self.assertFalse(report.leaking, report)
        self.assertIsNone(report.mismatch)

    async def test_what_is_filled_up_once(self) -> None:
        child = self.child()
        line = "kept.append(os.dup(0)) if len(kept) < 40 else None"
        report = await probe_memory_leak(30, lambda: self.ask(child, line), process=child, sample_count=5)
        self.assertFalse(report.leaking, report)

    async def test_one_that_ends_meanwhile(self) -> None:
        child = self.child()

        def crash() -> None:
            child.send_signal(signal.SIGKILL)
            child.wait()

        with self.assertRaisesRegex(UsageError, "has ended"):
            await probe_memory_leak(3, crash, process=child)
        with self.assertRaisesRegex(UsageError, "either at own_process=True, or at process="):
            await probe_memory_leak(3, crash, process=child, own_process=True)


class TestLoad(ChildCase):
    async def load(self, line: str) -> LoadReport:
        child = self.child()
        return await run_load(lambda: self.ask(child, line), users=1, rate=100, duration=0.2, process=child)

    async def test_what_the_server_uses(self) -> None:
        report = await self.load(f"{OPEN} or {COMPUTE}")
        assert report.process is not None
        self.assertGreater(report.process.cpu, 0)
        self.assertEqual(report.process.descriptor_growth, 20)
        self.assertIn("+20 descriptors, +0 threads", str(report))
        self.assertEqual(json.loads(json.dumps(report.to_dict()))["process"]["descriptor_growth"], 20)
        merged = LoadReport.merged([report, report]).process
        assert merged is not None
        self.assertEqual(merged.descriptor_growth, 20)
        judged = judge_load(report, max_process_descriptor_growth=19, max_process_cpu=100)
        self.assertEqual(judged.verdict, Verdict.FAIL)
        self.assertIn("process descriptor_growth is 20, exceeded maximum of 19", str(judged.mismatch))
        self.assertEqual(judge_load(report, max_process_descriptor_growth=20).verdict, Verdict.PASS)

    async def test_one_that_ends_under_load_fails(self) -> None:
        report = await self.load("os._exit(1)")
        assert report.process is not None
        self.assertTrue(report.process.ended)
        judged = judge_load(report, max_process_memory_bytes=1e12)
        self.assertIn("the process has ended before the load did", str(judged.mismatch))

    async def test_bounds_of_nobody(self) -> None:
        report = await run_load(lambda: None, users=1, rate=100, duration=0.02)
        with self.assertRaisesRegex(UsageError, "max_process_cpu is of a process, and none was looked at"):
            judge_load(report, max_process_cpu=1)
        self.assertIsNone(ProcessLoad.merged([]))
