"""`chaos_kill_children`: seeded, journalled, counted, and made again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from supertester.chaos import ChaosEvent, ChaosReport, chaos_kill_children, journaled
from supertester.errors import UsageError
from supertester.otp import KILL, NORMAL, ChildSpec, DynamicSupervisor, Supervisor, exit, start_child, whereis
from tests.otp.support import RuntimeCase, one_turn
from tests.subjects import Counter, Stubborn, counter_spec, team

NAMES = tuple("abcdefgh")


class TestKillChildren(RuntimeCase):
    async def kill(self, supervisor: Any, **options: Any) -> ChaosReport:
        """Kill children while the clock is moved on as fast as the timers ask for it."""
        killing = asyncio.create_task(chaos_kill_children(supervisor, **options))
        while not killing.done():
            await one_turn()
            when = self.clock.next_timer()
            if when is not None and not killing.done():
                self.clock.advance(max(when - self.clock.time(), 0.0))
        return await killing

    async def test_a_share_of_the_children_in_every_round(self) -> None:
        supervisor = await team(*NAMES, max_restarts=100)
        report = await self.kill(supervisor, kill_rate=0.5, duration_ms=300, kill_interval_ms=100)
        self.assertEqual((report.killed, report.restarted, report.supervisor_crashed), (12, 12, False))
        self.assertEqual([event.at_ms for event in report.journal], [0.0] * 4 + [100.0] * 4 + [200.0] * 4)
        self.assertEqual(report.duration_ms, 300)

    async def test_at_least_one_and_at_most_all(self) -> None:
        supervisor = await team("a", "b", max_restarts=100)
        for rate, killed in ((0.001, 1), (1, 2), (0, 0)):
            report = await self.kill(supervisor, kill_rate=rate, duration_ms=1)
            self.assertEqual(report.killed, killed)

    async def test_a_duration_of_zero_does_nothing(self) -> None:
        report = await self.kill(await team("a"), kill_rate=1, duration_ms=0)
        self.assertEqual((report.killed, report.journal), (0, ()))

    async def test_the_same_seed_kills_the_same(self) -> None:
        def positions(report: ChaosReport) -> list[Any]:
            return [event.details["position"] for event in report.journal]

        options = {"kill_rate": 0.3, "duration_ms": 1000}
        first, again, other = [
            await self.kill(await team(*NAMES, name=f"team {n}", max_restarts=1000), seed=seed, **options)
            if (await self.forget_names()) is None
            else None
            for n, seed in enumerate((1, 1, 2))
        ]
        assert first and again and other
        self.assertEqual(positions(first), positions(again))
        self.assertNotEqual(positions(first), positions(other))
        self.assertEqual((first.seed, other.seed), (1, 2))

    async def forget_names(self) -> None:
        for name in list(self.rt.names):
            if str(name).startswith("team"):
                await self.rt.names[name].stop()

    async def test_a_journal_can_be_replayed(self) -> None:
        first = await self.kill(await team(*NAMES, name="team", max_restarts=1000), duration_ms=500, seed=5)
        await self.forget_names()
        again = await self.kill(await team(*NAMES, max_restarts=1000), journal=first.journal)
        shown = [[each.details for each in report.journal] for report in (first, again)]
        self.assertEqual(shown[0], shown[1])
        self.assertEqual(again.killed, first.killed)

    async def test_a_supervisor_that_gives_up_is_a_result(self) -> None:
        report = await self.kill(await team(*NAMES, max_restarts=1), kill_rate=0.5, duration_ms=1000)
        self.assertTrue(report.supervisor_crashed)
        self.assertEqual((report.killed, report.restarted), (4, 1))

    async def test_who_survives_the_signal_does_not_count(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("stubborn", Stubborn)])
        report = await self.kill(supervisor, kill_rate=1, duration_ms=1, kill_reason="please")
        self.assertEqual((report.killed, len(report.journal)), (0, 1))
        report = await self.kill(supervisor, kill_rate=1, duration_ms=1, kill_reason=NORMAL)
        self.assertEqual((report.killed, report.restarted), (0, 0))

    async def test_a_child_ends_once_however_many_signals_it_got(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("stubborn", Stubborn, kwargs={"name": "stubborn"})])
        with journaled() as journal:
            killing = asyncio.create_task(
                chaos_kill_children(
                    supervisor, kill_rate=1, duration_ms=3, kill_interval_ms=1, kill_reason="please", seed=1
                )
            )
            while len(journal.events) < 2:
                await one_turn()
                self.clock.advance(0.001)
            exit("stubborn", KILL)
            while not killing.done():
                await one_turn()
                self.clock.advance(0.001)
        report = await killing
        self.assertEqual((1, 1), (report.killed, report.restarted))

    async def test_a_share_is_exact(self) -> None:
        report = await self.kill(await team(*map(str, range(100)), max_restarts=100), kill_rate=0.29, duration_ms=1)
        self.assertEqual(29, report.killed)

    async def test_temporary_children_do_not_come_back(self) -> None:
        supervisor = await Supervisor.start_link([counter_spec("a", restart="temporary")])
        report = await self.kill(supervisor, kill_rate=1, duration_ms=1000)
        self.assertEqual((report.killed, report.restarted), (1, 0))

    async def test_dynamic_children(self) -> None:
        pool = await DynamicSupervisor.start_link(max_restarts=100)
        for _ in range(4):
            await start_child(pool, ChildSpec("any", Counter))
        report = await self.kill(pool, kill_rate=0.5, duration_ms=1)
        self.assertEqual((report.killed, report.restarted), (2, 2))

    async def test_whom_a_strategy_takes_along_counts_as_restarted(self) -> None:
        supervisor = await team("a", "b", "c", strategy="one_for_all")
        report = await self.kill(supervisor, kill_rate=0.1, duration_ms=1)
        self.assertEqual((report.killed, report.restarted), (1, 3))

    async def test_is_noted_and_json_ready(self) -> None:
        with journaled() as journal:
            report = await self.kill(await team("a"), kill_rate=1, duration_ms=1)
        self.assertEqual([event.details for event in journal.events], [event.details for event in report.journal])
        self.assertEqual(json.loads(json.dumps(report.to_dict()))["journal"][0]["details"]["id"], "'a'")

    async def test_nonsense_is_refused_and_nothing_is_done(self) -> None:
        supervisor = await team("a")
        first = whereis("a")
        for options, error, message in (
            ({"kill_rate": 1.5}, UsageError, "kill_rate must be from 0 to 1, got kill_rate=1.5"),
            ({"kill_rate": "1"}, TypeError, "kill_rate must be a number"),
            ({"duration_ms": -1}, UsageError, "duration_ms must be 0 or more milliseconds"),
            ({"kill_interval_ms": 0}, UsageError, "kill_interval_ms must be more than 0 milliseconds"),
        ):
            with self.subTest(options), self.assertRaisesRegex(error, message):
                await chaos_kill_children(supervisor, **options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(
            UsageError, "takes the journal of an earlier report of chaos_kill_children, got Chao"
        ):
            await chaos_kill_children(supervisor, journal=[ChaosEvent(fault="crash", target="a", at_ms=0)])
        with self.assertRaisesRegex(UsageError, "is no supervisor"):
            await chaos_kill_children("a")
        self.assertIs(whereis("a"), first)
