"""`supertester.chaos` on real processes: gateways crash, hang, starve, and are measured, from outside."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from supertester import ChaosMixin, IsolatedTestCase, PerformanceMixin, Unsupported
from supertester.targets import JsonPort, PortClosed, Wire, start_json_port

LAB = Path(__file__).parents[1]
GATEWAY = [sys.executable, "-m", "echo_lab.gateway"]

__tags__ = {"layer": "stress", "chaos": True}


class GatewayCase(ChaosMixin, PerformanceMixin, IsolatedTestCase):
    async def started(self) -> JsonPort:
        port = await start_json_port(GATEWAY, wire=Wire(framing="lines"), cwd=LAB)
        self.assertEqual(await port.call("echo", "well"), "well")
        return port


class TestEnds(GatewayCase):
    async def test_a_segmentation_fault(self) -> None:
        """A gateway dies of a signal, which the injection and the next call both name."""
        port = await self.started()
        injection = await self.inject_crash(port.process, "immediate", reason="SIGSEGV")
        self.assertEqual(injection.reason, "signal SIGSEGV")
        with self.assertRaisesRegex(PortClosed, "ended with signal SIGSEGV"):
            await port.call("add", 1)

    async def test_one_of_two_dies_at_every_other_attempt(self) -> None:
        """Half of all attempts kill a gateway; who asks again, and starts another one, gets all the answers."""
        ports = [await self.started()]

        async def add(failures: Any) -> Any:
            while True:
                with failures.attempt(ports[-1].process):
                    try:
                        return await ports[-1].call("add", 1)
                    except PortClosed:
                        ports.append(await self.started())

        process = ports[0].process
        with self.inject_random_failures(process, failure_rate=0.5, failure_types=["exit"], seed=1) as failures:
            for _ in range(5):
                self.assertGreater(await add(failures), 0)
        self.assert_faults_delivered(failures.hits, exit=2)
        self.assertEqual(len(ports), len(failures.hits) + 1)


class TestHanging(GatewayCase):
    async def test_one_that_hangs_answers_when_it_goes_on(self) -> None:
        """A gateway stands still: the call waits, and has its answer afterwards."""
        port = await self.started()
        async with self.pause(port.process) as paused:
            answer = asyncio.ensure_future(port.call("add", 5))
            await asyncio.sleep(0)
            self.assertTrue(paused.active)
            self.assertFalse(answer.done())
        self.assertEqual(await answer, 5)

    async def test_a_busy_machine(self) -> None:
        """A processor is kept busy, and the gateway answers all the same."""
        port = await self.started()
        async with self.simulate_resource_exhaustion("cpu", count=1, nice=19) as busy:
            self.assertEqual(await port.call("add", 5), 5)
        self.assertTrue(busy.released)


class TestShortages(GatewayCase):
    async def test_memory_is_short(self) -> None:
        """A gateway that may take only 16 megabytes more answers what is small, and has no limit afterwards."""
        port = await self.started()
        try:
            shortage = self.consume_memory(0.5, limit_mb=32, target=port.process)
        except Unsupported as error:
            self.skipTest(str(error))
        async with shortage:
            self.assertEqual(await port.call("add", 5), 5)
            self.assertIn("RLIMIT_AS", shortage.evidence["limits"])
        self.assertEqual(await port.call("echo", "x" * 10_000), "x" * 10_000)

    async def test_all_of_it_in_one_suite(self) -> None:
        """A suite does one thing after the other, with one seed and one journal; each has to hit somebody."""
        port = await self.started()

        async def answers(_: Any) -> bool:
            return bool(await port.call("add", 1))

        entries = [
            {"type": "limit", "file_descriptors": 0, "during": answers},
            {"type": "pause", "duration_ms": 5},
            {"type": "crash", "reason": "SIGABRT"},
        ]
        report = await self.run_chaos_suite(port.process, entries)
        self.assertEqual(report.failed, 0, str(report))
        self.assertEqual([event.fault for event in report.journal], ["limit_resources", "pause", "crash"])


class TestCost(GatewayCase):
    async def test_a_request_costs_the_gateway_no_descriptor_and_no_thread(self) -> None:
        """What a request costs is measured in the process that does the work."""
        port = await self.started()
        measured = await self.measure_operation(lambda: port.call("add", 1), process=port.process)
        self.assertGreater(measured.process.cpu_us, 0)
        self.assert_expectations(measured, max_process_descriptors=0, max_process_threads=0)
        await self.assert_no_memory_leak(20, lambda: port.call("add", 1), process=port.process, sample_count=3)
