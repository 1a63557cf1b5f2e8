"""`supertester.chaos`: workers die, messages are lost, memory is short, and the application goes on."""

from __future__ import annotations

import asyncio
from typing import Any

from echo_lab import Counter, WorkerSupervisor

from supertester import CallExit, ChaosMixin, IsolatedTestCase, OTPAssertions, Scenario, UsageError
from supertester.chaos import FailureDeck
from supertester.otp import KILLED, GenServer, Reference, call, cast, whereis

__tags__ = {"layer": "stress", "chaos": True}


class TestCrashes(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_crash_at_once_later_and_by_chance(self) -> None:
        """A crash comes at once, after a while or by chance; the handle tells how the target ended."""
        for spec in ("immediate", ("after_ms", 5), ("random", 1.0)):
            counter = await self.setup_isolated_genserver(Counter)
            monitor = await self.monitor_process_lifecycle(counter)
            injection = await self.inject_crash(counter, spec, reason=("chaos", spec))
            self.assertEqual(await monitor, ("chaos", spec))
            self.assertTrue((await injection).died)

    async def test_killed_workers_come_back(self) -> None:
        """Workers are killed at random for a while, and the supervisor is well again in time."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)

        async def kill() -> Any:
            return await self.chaos_kill_children(workers, kill_rate=0.5, duration_ms=20, kill_interval_ms=10)

        def well() -> bool:
            return whereis("worker_a") is not None and whereis("worker_b") is not None

        found = await self.assert_chaos_resilient(workers, kill, well, timeout=2.0, steady_state=well)
        self.assertGreaterEqual(found.result.killed, 1)
        self.assertGreater(found.result.duration_ms, 0)

    async def test_any_worker_may_die(self) -> None:
        """One worker is killed, whichever; the other one goes on."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)
        injection = await self.kill_random_worker(workers)
        self.assertEqual(injection.reason, KILLED)
        await self.wait_for_supervisor_stabilization(workers)
        await self.assert_all_children_alive(workers)


class TestMessages(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_lost_request_times_out_and_the_next_one_is_answered(self) -> None:
        """A request is lost on its way, and the evidence says which."""
        counter = await self.setup_isolated_genserver(Counter)
        with self.drop(counter, match=("add", 1), count=1) as dropped:
            with self.assertRaises(CallExit):
                await call(counter, ("add", 1), timeout=0.01)
            self.assertEqual(await call(counter, ("add", 1)), 1)
        self.assertEqual(dropped.messages, [("add", 1)])

    async def test_a_cast_that_comes_twice_counts_twice(self) -> None:
        """The counter is not idempotent, and this shows it."""
        counter = await self.setup_isolated_genserver(Counter)
        with self.duplicate(counter, match=("add", 5)):
            cast(counter, ("add", 5))
        await self.assert_genserver_state(counter, {"count": 10})

    async def test_late_and_reordered_additions_add_up_all_the_same(self) -> None:
        """Additions may overtake each other."""
        counter = await self.setup_isolated_genserver(Counter)
        with self.delay(counter, 10_000, rate=0.5), self.reorder(counter, window=3):
            for number in range(10):
                cast(counter, ("add", number))
        await self.assert_genserver_state(counter, {"count": 45})

    async def test_a_pool_whose_requests_fail_at_random(self) -> None:
        """Half of the requests fail, in one of two ways; who asks again gets an answer."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)
        ways = ["exit", "disconnect"]
        with self.inject_random_failures(workers, failure_rate=0.5, failure_types=ways) as failures:
            labels = [await self.patient("worker_a") for _ in range(20)]
        self.assertEqual(set(labels), {"worker_a"})
        self.assertGreater(len(failures.hits), 0)

    async def test_exactly_half_of_all_requests_fail(self) -> None:
        """A deck draws which; each kind of failure has its turn."""
        deck = FailureDeck(0.5, ["late", "lost"])
        drawn = [deck.draw() for _ in range(20)]
        self.assertEqual({kind: drawn.count(kind) for kind in (None, "late", "lost")}, {None: 10, "late": 5, "lost": 5})

    async def patient(self, name: str) -> Any:
        while True:
            try:
                return await call(name, "label")
            except CallExit:
                await asyncio.sleep(0)


class TestServers(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_paused_counter_answers_later(self) -> None:
        """A server that stands still answers when it goes on."""
        counter = await self.setup_isolated_genserver(Counter)
        async with self.pause(counter):
            asking = asyncio.create_task(counter.call(("add", 1)))
            with self.assertRaises(CallExit):
                await call(counter, "value", timeout=0.01)
        self.assertEqual(await asking, 1)

    async def test_a_counter_with_a_wrong_state_crashes(self) -> None:
        """A state that makes no sense ends the server, and the evidence has it from before and after."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        async with self.corrupt_state(counter, lambda _: {"count": "five"}) as corruption:
            with self.assertRaises(CallExit):
                await counter.call(("add", 1))
        self.assertTrue(corruption.crashed)
        self.assertEqual((corruption.before, corruption.after), ({"count": 5}, {"count": "five"}))


class TestExhaustion(ChaosMixin, IsolatedTestCase):
    async def test_resources_are_taken_and_given_back(self) -> None:
        """Tasks, tables and memory are taken, and released when the cleanup returns."""
        for resource, options, taken in (
            ("process_limit", {"spawn_count": 50}, 50),
            ("tables", {"count": 5}, 5),
            ("memory", {"size_mb": 1}, 1024 * 1024),
        ):
            exhaustion = await self.simulate_resource_exhaustion(resource, **options)  # type: ignore[arg-type]
            self.assertEqual(exhaustion.taken, taken)
            await exhaustion.cleanup()
            self.assertTrue(exhaustion.released)

    async def test_a_write_to_a_full_disk_fails(self) -> None:
        """A file on a full disk can be opened, and no line gets into it."""
        async with self.simulate_resource_exhaustion("disk", size_mb=1) as disk:
            with self.assertRaisesRegex(OSError, "No space left"):
                disk.full_file("guestbook").write_text("a line", encoding="utf-8")

    async def test_an_unknown_resource_is_refused(self) -> None:
        """A resource that does not exist is an error that names those that do."""
        with self.assertRaisesRegex(UsageError, "no resource 'electricity'.*process_limit"):
            self.simulate_resource_exhaustion("electricity")


class TestSuites(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_suite_of_kills_and_of_concurrent_callers(self) -> None:
        """One chaos after the other on the same supervisor, with a report of each."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)

        async def counter() -> GenServer | Reference:
            return await Counter.start_link()

        scenario = Scenario(counter, [[("cast", ("add", 1)), ("call", "value")]] * 2)
        report = await self.run_chaos_suite(
            workers,
            [
                {"type": "kill_children", "kill_rate": 0.5, "duration_ms": 10, "kill_interval_ms": 10},
                {"type": "concurrent", "scenario": scenario},
            ],
        )
        self.assertEqual((report.total_scenarios, report.failed), (2, 0), str(report))
