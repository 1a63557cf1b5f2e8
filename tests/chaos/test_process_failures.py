"""Real workers that fail at random: exactly so often, in each way, with evidence, and restored in the end."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

from supertester._core.waiting import wait_until
from supertester.chaos import (
    FailingWorkers,
    NetworkProxy,
    RandomFailures,
    check_faults_delivered,
    inject_random_failures,
    network_proxy,
    run_chaos_suite,
)
from supertester.errors import Unsupported, UsageError
from supertester.mixins.chaos import ChaosMixin
from supertester.otp import Agent
from supertester.testing import failure_of
from tests.chaos.processes import SERVER, ChildCase, Workers
from tests.chaos.test_process_crash import state_of


class FailureCase(ChildCase):
    def failing(self, target: Any, *types: str, rate: float = 1, **options: Any) -> FailingWorkers:
        failures = inject_random_failures(target, failure_rate=rate, failure_types=types, **options)
        assert isinstance(failures, FailingWorkers)
        return self.enterContext(failures)


class TestSignals(FailureCase):
    async def test_exit(self) -> None:
        pool, journal = Workers(self, 2), self.journal()
        failures = self.failing(pool, "exit")
        worker = pool.workers()[1]
        with failures.attempt(worker) as kind:
            self.assertEqual((kind, worker.child.poll()), ("exit", -signal.SIGKILL))
        [hit] = failures.hits
        details = {"pid": worker.pid, "generation": 1, "exit_reason": "signal SIGKILL"}
        self.assertEqual((hit.fault, hit.target, hit.details), ("exit", "worker 1", details))
        [event] = journal.events
        self.assertEqual((event.fault, event.details["kind"]), ("random_failure", "exit"))
        self.assertEqual([ref.generation for ref in pool.workers()], [1, 2])

    async def test_timeout(self) -> None:
        pool = Workers(self, 1)
        failures = self.failing(pool, "timeout")
        with failures.attempt(pool.workers()[0]):
            [child] = [ref.child for ref in pool.workers()]
            self.assertEqual(state_of(child.pid), "T")
            self.tell(child, "1 + 1")
        self.assertEqual(self.hear(child), "did 2")
        self.assertEqual(failures.delivered, {"timeout": 1})

    async def test_it_goes_on_after_a_while_although_the_attempt_has_no_deadline(self) -> None:
        child = self.child()
        with self.failing(child, "timeout", hold=0.01).attempt(child):
            self.assertEqual(await asyncio.to_thread(self.ask, child, "1 + 1"), "did 2")

    async def test_the_end_of_the_block_ends_it_at_once(self) -> None:
        child = self.child()
        with inject_random_failures(child, failure_rate=1, failure_types=["timeout"]) as failures:
            assert isinstance(failures, FailingWorkers)
            attempt = failures.attempt(child)
            attempt.__enter__()
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")
        with failures.attempt(child) as kind:
            self.assertIsNone(kind, "it is over")
        attempt.__exit__(None, None, None)

    async def test_exactly_so_many_of_each(self) -> None:
        pool = Workers(self, 2)
        failures = self.failing(pool, "exit", "timeout", rate=0.5, seed=7)
        kinds = []
        for _ in range(20):
            with failures.attempt(pool.workers()[0]) as kind:
                kinds.append(kind)
        self.assertEqual(Counter(kinds), {None: 10, "exit": 5, "timeout": 5})
        self.assertEqual((failures.delivered, failures.seed), (Counter(exit=5, timeout=5), 7))
        again = inject_random_failures(pool, failure_rate=0.5, failure_types=["exit", "timeout"], seed=7)
        assert isinstance(again, FailingWorkers)
        self.assertEqual([again.deck.draw() for _ in range(20)], kinds)
        json.dumps(failures.to_dict())

    async def test_whoever_is_there_if_the_attempt_does_not_say(self) -> None:
        pool = Workers(self, 3)
        failures = self.failing(pool, "exit")
        for _ in range(3):
            with failures.attempt():
                pass
        self.assertEqual(len({hit.details["pid"] for hit in failures.hits}), 3)
        child = self.child()
        with self.failing(child, "exit").attempt():
            self.assertEqual(child.wait(), -signal.SIGKILL)

    async def test_who_has_ended_is_not_hit_and_that_is_seen(self) -> None:
        pool = Workers(self, 1)
        failures = self.failing(pool, "exit")
        [worker] = pool.workers()
        worker.child.kill()
        worker.child.wait()
        with failures.attempt(worker) as kind:
            self.assertEqual(kind, "exit")
        self.assertEqual(str(check_faults_delivered(failures.hits)), "no fault was delivered, so nothing was tried")

    async def test_one_strikes_by_itself(self) -> None:
        child = self.child()
        self.assertEqual(await self.failing(child, "timeout", hold=0.001).strike(), "timeout")
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")

    async def test_what_is_refused(self) -> None:
        child = self.child()
        with self.assertRaisesRegex(Unsupported, "a connection is reset by the network_proxy .* give proxy_of="):
            inject_random_failures(child, failure_rate=0.5)
        with self.assertRaisesRegex(UsageError, "has no proxy, as real processes do"):
            inject_random_failures(await Agent.start_link(0), failure_rate=1, proxy_of=lambda _: None)  # type: ignore[arg-type,return-value]
        thread = threading.current_thread()
        with self.assertRaisesRegex(Unsupported, "is no process: it can neither be killed nor stand still"):
            self.failing(Workers(self, 0), "exit").attempt(thread).__enter__()


class TestNetwork(FailureCase):
    async def asyncSetUp(self) -> None:
        self.pool = Workers(self, 1, SERVER)
        self.proxy = await network_proxy("127.0.0.1", int(self.heard))
        self.asked: list[Any] = []

    def proxy_of(self, worker: Any) -> NetworkProxy:
        self.asked.append(worker)
        return self.proxy

    async def test_disconnect(self) -> None:
        failures = self.failing(self.pool, "disconnect", proxy_of=self.proxy_of)
        reader, writer = await asyncio.open_connection(*self.proxy.address)
        writer.write(b"one\n")
        self.assertEqual(await reader.readline(), b"answer to one\n")
        with failures.attempt(self.pool.workers()[0]), self.assertRaises(ConnectionResetError):
            await reader.readline()
        writer.close()
        self.assertEqual(failures.hits[0].details["toxic"], "reset_peer")
        self.assertEqual(self.asked, self.pool.workers())
        self.assertEqual(self.proxy.toxics, ())

    async def test_timeout(self) -> None:
        failures = self.failing(self.pool, "timeout", proxy_of=self.proxy_of)
        reader, writer = await asyncio.open_connection(*self.proxy.address)
        writer.write(b"one\n")
        self.assertEqual(await reader.readline(), b"answer to one\n")
        with failures.attempt():
            writer.write(b"two\n")
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(reader.readline(), 0.5)
        self.assertEqual(await reader.readline(), b"answer to two\n", "nothing was lost")
        writer.close()
        self.assertEqual(failures.delivered, {"timeout": 1})

    async def test_a_bad_network_that_nobody_uses_hits_nobody(self) -> None:
        failures = self.failing(self.pool, "disconnect", "timeout", proxy_of=self.proxy_of)
        for _ in range(2):
            with failures.attempt():
                pass
        self.assertEqual((sum(failures.deck.drawn.values()), failures.hits), (2, []))

    async def test_attempts_in_a_thread(self) -> None:
        failures = self.failing(self.pool, "disconnect", proxy_of=self.proxy_of)

        def attempt() -> int:
            with failures.attempt():
                return len(self.proxy.toxics)

        self.assertEqual(await asyncio.to_thread(attempt), 1)
        self.assertEqual(self.proxy.toxics, ())


class TestDelivery(FailureCase):
    async def test_too_few_of_a_kind_fail_and_show_what_there_was(self) -> None:
        pool = Workers(self, 1)
        failures = self.failing(pool, "exit")
        with failures.attempt():
            pass

        async def body(case: Any) -> None:
            case.assert_faults_delivered(failures.hits, exit=2)

        report = failure_of(body, ChaosMixin)
        self.assertIn("exit was delivered 1 times, expected at least 2\n  1. ", report)
        self.assertIn("exit hit 'worker 0'", report)
        self.assertIsNone(check_faults_delivered(failures.hits, exit=1))
        with self.assertRaisesRegex(UsageError, "exit must be 1 or more"):
            check_faults_delivered([], exit=0)

    async def test_messages_count_too(self) -> None:
        hit = SimpleNamespace(outcome="exit: ended with 'chaos'")
        self.assertIsNone(check_faults_delivered([hit], exit=1))
        self.assertEqual(
            str(check_faults_delivered([hit], timeout=1)).split("\n")[0],
            "timeout was delivered 0 times, expected at least 1",
        )


class TestSuite(FailureCase):
    async def test_all_of_it_with_one_seed_and_one_journal(self) -> None:
        pool, child = Workers(self, 2), self.child()
        failures = {"failure_rate": 1, "failure_types": ["exit"], "every_ms": 1}
        entries: list[dict[str, Any]] = [
            {"type": "kill_worker"},
            {"type": "random_failures", **failures, "during": self.until_hit},
            {"type": "pause", "target": child, "during": lambda paused: paused.active},
            {"type": "limit", "target": child, "file_descriptors": 0, "during": lambda _: self.is_short(child)},
            {"type": "exhaustion", "target": child, "resource": "file_descriptors"},
            {"type": "exhaustion", "resource": "cpu", "count": 1, "nice": 19},
            {"type": "memory", "target": child, "fraction": 0.5},
            {"type": "fault", "fault": RandomFailures(**failures), "during": self.until_hit},  # type: ignore[arg-type]
            {"type": "crash", "target": child, "reason": "SIGSEGV"},
        ]
        report = await run_chaos_suite(pool, entries, seed=5)
        self.assertEqual((report.passed, report.failed), (len(entries), 0), str(report))
        faults = [event.fault for event in report.journal]
        for fault in ("crash", "random_failure", "pause", "limit_resources", "exhaustion"):
            self.assertIn(fault, faults)
        self.assertEqual(report.seed, 5)
        self.assertEqual(json.loads(json.dumps(report.to_dict()))["journal"][0]["fault"], "crash")
        seeds = [report.reports[0].seed, report.reports[1].seed, report.reports[7].seed]
        self.assertEqual(len(set(seeds)), 3, "each entry has its own")
        again = await run_chaos_suite(pool, entries[:1], seed=5)
        self.assertEqual(again.reports[0].seed, seeds[0])

    async def until_hit(self, failures: FailingWorkers) -> None:
        await wait_until(lambda: failures.hits, "a failure", timeout=5)

    def is_short(self, child: Any) -> bool:
        return "Too many open files" in self.ask(child, "os.dup(0)")

    async def test_what_hits_nobody_fails(self) -> None:
        entries: list[dict[str, Any]] = [
            {"type": "random_failures", "failure_rate": 1, "failure_types": ["exit"]},
            {"type": "pause", "during": lambda _: False},
            {"type": "pause", "during": 5},
            {"type": "limit"},
            {"type": "custom", "run": print, "seed": 5},
        ]
        child = self.child()
        report = await run_chaos_suite(child, entries)
        reasons = [str(each["reason"]) for each in report.failures]
        self.assertEqual(reasons[:2], ["not_delivered", "returned_false"])
        self.assertIn("during must be a function", reasons[2])
        self.assertIn("there is nothing to limit", reasons[3])
        self.assertIn("unknown option 'seed' of an entry", reasons[4])
        self.assertEqual(self.ask(child, "1 + 1"), "did 2")

    async def test_one_that_stands_still_already_is_not_hit(self) -> None:
        child = self.child()
        entries = [{"type": "pause", "during": self.again}]
        report = await run_chaos_suite(child, entries)
        self.assertEqual((report.passed, str(self.inner.failures[0]["reason"])), (1, "not_delivered"))

    async def again(self, paused: Any) -> None:
        self.inner = await run_chaos_suite(paused.target, [{"type": "pause"}])
