"""`inject_random_failures`: each way to fail, by chance, for servers and for pools."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.chaos import Fault, RandomFailures, inject_random_failures, journaled, run_chaos_suite
from supertester.errors import CallExit, UsageError
from supertester.otp import TIMEOUT, Exit, call, cast, whereis
from tests.otp.support import Probe, RuntimeCase, one_turn
from tests.subjects import Counter, team


class TestEachWay(RuntimeCase):
    async def test_exit(self) -> None:
        server = await Counter.start()
        failures = inject_random_failures(server, failure_rate=1, failure_types=["exit"])
        with failures, self.exits("chaos_injection"):
            await server.call("value")
        [hit] = failures.hits
        self.assertEqual((hit.target, hit.message), (server, "value"))
        self.assertEqual(hit.outcome, "exit: ended with 'chaos_injection'")

    async def test_exit_of_one_that_traps_exits(self) -> None:
        server = await Probe.start([], trap=True)
        with inject_random_failures(server, failure_rate=1, failure_types=["exit"]) as failures:
            self.assertEqual(await server.call("hello"), "hello")
        self.assertEqual(await self.diary_of(server), [("info", Exit(None, "chaos_injection"))])
        self.assertIn("survived", failures.hits[0].outcome)

    async def test_timeout(self) -> None:
        server = await Counter.start_link()
        with inject_random_failures(server, failure_rate=1, failure_types=["timeout"]) as failures:
            calling = self.background(server.call("value", timeout=3))
            await one_turn()
            self.clock.advance(3)
            with self.exits(TIMEOUT):
                await calling
        self.assertEqual(failures.hits[0].outcome, "timeout: never delivered")
        self.assertEqual(await server.call("value"), 0)

    async def test_disconnect(self) -> None:
        server = await Counter.start_link()
        with inject_random_failures(server, failure_rate=1, failure_types=["disconnect"]) as failures:
            with self.exits("disconnect"):
                await server.call("value")
            cast(server, ("add", 1))
        self.assertEqual([hit.outcome for hit in failures.hits], ["disconnect: never delivered"] * 2)
        self.assertEqual(await server.call("value"), 0)

    async def test_from_another_thread(self) -> None:
        for way, reason in (("exit", "chaos_injection"), ("disconnect", "disconnect")):
            server = await Counter.start()
            with inject_random_failures(server, failure_rate=1, failure_types=[way]) as failures:
                await asyncio.to_thread(cast, server, ("add", 1))
                await self.turn_until(lambda failures=failures: failures.hits, "a hit")
                error = await asyncio.to_thread(_failure_of_call, server)
            self.assertIn(error, (reason, "noproc"))


def _failure_of_call(server: Any) -> str:
    try:
        server.call_threadsafe("value")
    except CallExit as error:
        return str(error.reason)
    return "none"


class TestChance(RuntimeCase):
    async def outcomes(self, seed: int | None) -> tuple[list[str], int]:
        server = await Probe.start([])
        ways = ["timeout", "disconnect"]
        with inject_random_failures(server, failure_rate=0.5, failure_types=ways, seed=seed) as failures:
            for number in range(100):
                cast(server, number)
        return [f"{hit.message} {hit.outcome}" for hit in failures.hits], failures.seed

    async def test_a_share_fails_and_the_same_again_by_the_seed(self) -> None:
        first, seed = await self.outcomes(None)
        self.assertTrue(20 < len(first) < 80, first)
        self.assertEqual({each.split()[1] for each in first}, {"timeout:", "disconnect:"})
        self.assertEqual(await self.outcomes(seed), (first, seed))
        self.assertNotEqual((await self.outcomes(seed + 1))[0], first)

    async def test_never(self) -> None:
        server = await Counter.start_link()
        with inject_random_failures(server, failure_rate=0) as failures:
            self.assertEqual(await server.call("value"), 0)
        self.assertEqual(failures.hits, [])


class TestPools(RuntimeCase):
    async def test_a_supervisor_stands_for_its_children_also_the_restarted_ones(self) -> None:
        pool = await team("a", "b", max_restarts=10)
        with inject_random_failures(pool, failure_rate=1, failure_types=["exit"]) as failures:
            for name in ("a", "b", "a"):
                await self.turn_until(lambda name=name: whereis(name) is not None, "a restart")
                with self.exits("chaos_injection"):
                    await call(name, "value")
        await self.turn_until(lambda: whereis("a") is not None, "a restart")
        self.assertEqual(len(failures.hits), 3)
        self.assertEqual(len({hit.target for hit in failures.hits}), 3)
        self.assertEqual(await call("a", "value"), 0)
        self.assertIsNone(pool.interceptors)

    async def test_is_noted_and_a_fault_of_a_suite(self) -> None:
        server = await Counter.start_link()
        with journaled() as journal, inject_random_failures(server, failure_rate=1, failure_types=["timeout"]):
            cast(server, ("add", 1))
        self.assertEqual([event.fault for event in journal.events], ["random_failure"])
        fault = RandomFailures(failure_rate=0.5)
        self.assertIsInstance(fault, Fault)
        report = await run_chaos_suite(server, [{"type": "fault", "fault": fault}])
        self.assertEqual((report.failed, report.reports[0].fault), (0, "random_failure"))


class TestNonsense(RuntimeCase):
    async def test_is_refused(self) -> None:
        server = await Counter.start_link()
        for options, error, message in (
            ({"failure_rate": 2}, UsageError, "failure_rate must be from 0 to 1, got failure_rate=2"),
            ({"failure_rate": "x"}, TypeError, "failure_rate must be a number"),
            (
                {"failure_rate": 1, "failure_types": ["crash"]},
                UsageError,
                r"timeout, disconnect; got \['crash'\]",
            ),
            ({"failure_rate": 1, "failure_types": []}, UsageError, r"one or more of .*; got \[\]"),
            ({"failure_rate": 1, "failure_types": "exit"}, TypeError, r"is a list, got 'exit'; write \['exit'\]"),
        ):
            with self.subTest(message), self.assertRaisesRegex(error, message):
                inject_random_failures(server, **options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "inject_random_failures: no process is registered as 'nobody'"):
            inject_random_failures("nobody", failure_rate=1)
        self.assertIsNone(server.interceptors)
