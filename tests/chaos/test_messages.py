"""Faults of messages: which are hit, what becomes of them, and that it is over when it is over."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

from supertester.chaos import (
    Delay,
    Drop,
    Duplicate,
    Fault,
    Reorder,
    delay,
    drop,
    duplicate,
    journaled,
    reorder,
    run_chaos_suite,
)
from supertester.errors import UsageError
from supertester.otp import KILL, KILLED, TIMEOUT, Exit, Pid, cast, intercept, until_idle, whereis
from tests.otp.support import Probe, RuntimeCase, one_turn
from tests.subjects import team


class Case(RuntimeCase):
    async def probe(self, **options: Any) -> Pid:
        return await Probe.start_link([], **options)

    async def heard(self, probe: Pid) -> list[Any]:
        """Return what the probe got, without the kinds."""
        return [message for _, message in await self.diary_of(probe)]

    def send_all(self, probe: Pid, messages: str) -> None:
        for message in messages:
            cast(probe, message)


class TestDrop(Case):
    async def test_a_message_is_lost_and_the_others_keep_their_order(self) -> None:
        probe = await self.probe()
        with drop(probe, match="b") as dropped:
            self.send_all(probe, "abc")
            self.assertEqual(dropped.messages, ["b"])
        self.send_all(probe, "b")
        await until_idle(probe)
        self.assertEqual(await self.heard(probe), ["a", "c", "b"])
        [hit] = dropped.hits
        self.assertEqual((hit.target, hit.kind, hit.outcome, hit.delivered_ms), (probe, "cast", "dropped", None))
        self.assertIsNone(probe.interceptors)

    async def test_messages_are_chosen_by_value_class_predicate_and_count(self) -> None:
        for match, count, expected in (
            (2, None, [1, 3, "x"]),
            (int, None, ["x"]),
            (lambda message: message != 1, None, [1]),
            (int, 2, [3, "x"]),
            (None, 1, [2, 3, "x"]),
            (None, None, []),
        ):
            with self.subTest(match=match, count=count):
                probe = await self.probe()
                with drop(probe, match=match, count=count):
                    for message in (1, 2, 3, "x"):
                        cast(probe, message)
                await until_idle(probe)
                self.assertEqual(await self.heard(probe), expected)

    async def test_a_caller_times_out(self) -> None:
        probe = await self.probe()
        with drop(probe, count=1) as dropped:
            calling = self.background(probe.call("hello", timeout=2.0))
            await one_turn()
            self.assertEqual(dropped.hits[0].kind, "call")
            self.clock.advance(2)
            with self.exits(TIMEOUT):
                await calling
            self.assertEqual(await probe.call("again"), "again")

    async def test_a_caller_hears_of_the_end_of_the_server(self) -> None:
        probe = await Probe.start([])
        with drop(probe) as dropped:
            calling = self.background(probe.call("hello"))
            await one_turn()
        self.assertEqual(dropped.messages, ["hello"])
        probe.exit(KILL)
        with self.exits(KILLED):
            await calling

    async def test_the_runtimes_own_messages_are_not_hit(self) -> None:
        probe = await Probe.start([], trap=True)
        with drop(probe) as dropped:
            probe.exit("trapped")
            await until_idle(probe)
            self.assertEqual(await self.heard(probe), [Exit(self.root, "trapped")])
            await probe.stop()
        self.assertEqual(dropped.hits, [])

    async def test_by_chance_and_again(self) -> None:
        async def run(seed: int | None) -> tuple[list[Any], int]:
            probe = await self.probe()
            with drop(probe, rate=0.5, seed=seed) as dropped:
                for number in range(100):
                    cast(probe, number)
            return dropped.messages, dropped.seed

        first, seed = await run(None)
        self.assertTrue(20 < len(first) < 80, first)
        self.assertEqual(await run(seed), (first, seed))
        self.assertNotEqual((await run(seed + 1))[0], first)
        with drop(probe := await self.probe(), rate=0) as none:
            self.send_all(probe, "abc")
        self.assertEqual(none.hits, [])

    async def test_a_name_stands_for_whoever_has_it(self) -> None:
        await team("a", max_restarts=10)
        with drop("a", match="lost") as by_name, drop(whereis("a"), match="other") as by_pid:
            first = whereis("a")
            assert first is not None
            first.exit(KILL)
            await self.turn_until(lambda: whereis("a") not in (None, first), "a restart")
            cast("a", "lost")
            cast("a", "other")
            self.assertEqual([hit.target for hit in by_name.hits], [whereis("a")])
            self.assertEqual(by_pid.hits, [])
        self.assertIsNone(whereis("a").interceptors)
        self.assertEqual(self.rt.on_spawn, [])

    async def test_two_at_once_see_what_the_other_lets_pass(self) -> None:
        probe = await self.probe()
        with drop(probe, count=1), drop(probe, count=1):
            self.send_all(probe, "abc")
        await until_idle(probe)
        self.assertEqual(await self.heard(probe), ["c"])

    async def test_from_another_thread(self) -> None:
        probe = await self.probe()
        with drop(probe, match=int) as dropped:
            thread = threading.Thread(target=lambda: [cast(probe, each) for each in (1, "a", 2)])
            thread.start()
            thread.join()
            await until_idle(probe)
            self.assertEqual((dropped.messages, await self.heard(probe)), ([1, 2], ["a"]))

    async def test_is_on_at_once_until_it_is_stopped(self) -> None:
        probe = await self.probe()
        dropped = drop(probe)
        self.assertTrue(dropped.active)
        self.send_all(probe, "a")
        dropped.stop()
        dropped.stop()
        self.send_all(probe, "b")
        await until_idle(probe)
        self.assertEqual((await self.heard(probe), dropped.active), (["b"], False))

    async def test_is_over_when_the_block_fails(self) -> None:
        probe = await self.probe()
        with self.assertRaises(ZeroDivisionError), drop(probe):
            raise ZeroDivisionError
        self.assertIsNone(probe.interceptors)

    async def test_evidence_can_be_shown(self) -> None:
        probe = await self.probe()
        with journaled() as journal, drop(probe, seed=3) as dropped:
            self.clock.advance(0.25)
            self.send_all(probe, "a")
        self.assertIn("drop hit 1 message to <Pid", str(dropped))
        self.assertIn("(seed=3)\n  250.0 ms: cast 'a' to <Pid", str(dropped))
        self.assertIn("over, 1 hit", repr(dropped))
        self.assertEqual(json.loads(json.dumps(dropped.to_dict()))["hits"][0]["outcome"], "dropped")
        [event] = journal.events
        self.assertEqual((event.fault, event.target, event.at_ms), ("drop", probe, 250.0))
        self.assertEqual(event.details, {"kind": "cast", "message": "'a'", "outcome": "dropped"})

    async def test_the_journal_is_that_of_whoever_switched_it_on(self) -> None:
        probe, other = await self.probe(), await self.probe()
        with journaled() as journal, drop(probe):
            other.cast(lambda _: cast(probe, "from a handler"))
            await until_idle(other)
        self.assertEqual(len(journal.events), 1)

    async def test_nonsense_is_refused(self) -> None:
        probe = await self.probe()
        cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
            (lambda: drop(probe, rate=1.5), UsageError, "rate must be from 0 to 1, got rate=1.5"),
            (lambda: drop(probe, rate="x"), TypeError, "rate must be a number, got rate='x'"),  # type: ignore[arg-type]
            (lambda: drop(probe, count=0), UsageError, "count must be 1 or more, got count=0"),
            (lambda: drop(probe, count=1.5), TypeError, "count must be a whole number"),  # type: ignore[arg-type]
            (lambda: drop("nobody"), UsageError, "drop: no process is registered as 'nobody'"),
            (lambda: drop(None), TypeError, "None is no reference to a process"),
            (lambda: delay(probe, -1), UsageError, "ms must be 0 or more milliseconds, got ms=-1"),
            (lambda: delay(probe, "x"), TypeError, "ms must be a number of milliseconds"),  # type: ignore[arg-type]
            (lambda: reorder(probe, window=1), UsageError, "window must be 2 or more, got window=1"),
            (lambda: reorder(probe, patience_ms=-1), UsageError, "patience_ms must be 0 or more milliseconds"),
        ]
        for function, error, message in cases:
            with self.subTest(message), self.assertRaisesRegex(error, message):
                function()
        self.assertIsNone(probe.interceptors)
        with drop(probe) as dropped:
            error = await asyncio.to_thread(_raised, dropped.stop)
        self.assertIsInstance(error, UsageError)
        self.assertIn("the end of drop from another thread", str(error))

    async def test_a_predicate_that_fails_lets_the_message_pass_and_is_reported(self) -> None:
        probe = await self.probe()
        with drop(probe, match=lambda message: message / 0) as dropped:
            cast(probe, 1)
        await until_idle(probe)
        self.assertEqual((await self.heard(probe), dropped.hits), ([1], []))
        [told] = self.loop_errors
        self.assertIsInstance(told["exception"], ZeroDivisionError)
        self.loop_errors.clear()


def _raised(function: Callable[[], Any]) -> BaseException | None:
    try:
        function()
    except BaseException as error:  # noqa: BLE001
        return error
    return None


class TestDuplicate(Case):
    async def test_messages_arrive_twice(self) -> None:
        probe = await self.probe()
        with duplicate(probe, match="b") as doubled:
            self.send_all(probe, "abc")
        await until_idle(probe)
        self.assertEqual(await self.heard(probe), ["a", "b", "b", "c"])
        self.assertEqual([hit.outcome for hit in doubled.hits], ["delivered twice"])

    async def test_a_call_is_handled_twice_and_answered_once(self) -> None:
        replies = iter("ab")
        probe = await self.probe()
        with duplicate(probe):
            self.assertEqual(await probe.call(lambda _: next(replies)), "a")
            await until_idle(probe)
        self.assertEqual(list(replies), [])


class TestDelay(Case):
    async def test_a_message_is_late_by_the_runtimes_clock_and_the_others_overtake_it(self) -> None:
        probe = await self.probe()
        with delay(probe, 50, match="a") as late:
            self.send_all(probe, "abc")
            await until_idle(probe)
            self.assertEqual(late.hits[0].outcome, "held")
            self.clock.advance(0.049)
            await until_idle(probe)
            self.assertEqual(await self.heard(probe), ["b", "c"])
            self.clock.advance(0.001)
            await until_idle(probe)
            self.assertEqual(await self.heard(probe), ["b", "c", "a"])
            self.assertEqual((late.hits[0].outcome, late.hits[0].delivered_ms), ("delivered late", 50.0))

    async def test_late_messages_keep_their_order(self) -> None:
        probe = await self.probe()
        with delay(probe, 50):
            self.send_all(probe, "ab")
            self.clock.advance(0.03)
            self.send_all(probe, "c")
            self.clock.advance(0.02)
            await until_idle(probe)
            self.assertEqual(await self.heard(probe), ["a", "b"])
            self.clock.advance(0.03)
            await until_idle(probe)
            self.assertEqual(await self.heard(probe), ["a", "b", "c"])
        self.assertIsNone(self.clock.next_timer())

    async def test_a_late_call_stays_that_call(self) -> None:
        probe = await self.probe()
        with delay(probe, 50):
            calling = self.background(probe.call("hello"))
            await self.still_pending(calling)
            self.clock.advance(0.05)
            self.assertEqual(await calling, "hello")

    async def test_a_call_whose_caller_has_given_up_is_delivered_all_the_same(self) -> None:
        handled: list[str] = []
        probe = await self.probe()
        with delay(probe, 50):
            calling = self.background(probe.call(lambda _: handled.append("late"), timeout=0.01))
            await one_turn()
            self.clock.advance(0.01)
            with self.exits(TIMEOUT):
                await calling
            self.clock.advance(0.04)
            await until_idle(probe)
        self.assertEqual((handled, probe.late_replies), (["late"], 1))

    async def test_what_is_held_at_the_end_is_delivered_and_named(self) -> None:
        probe = await self.probe()
        with delay(probe, 50) as late:
            self.send_all(probe, "ab")
        await until_idle(probe)
        self.assertEqual(await self.heard(probe), ["a", "b"])
        self.assertEqual([hit.outcome for hit in late.hits], ["delivered at the end of the fault"] * 2)
        self.assertIsNone(self.clock.next_timer())

    async def test_what_is_held_for_one_that_dies_is_lost_and_its_callers_hear_of_it(self) -> None:
        probe = await Probe.start([])
        with delay(probe, 50) as late:
            self.send_all(probe, "a")
            calling = self.background(probe.call("hello"))
            await one_turn()
            probe.exit("gone")
            with self.exits("gone"):
                await calling
            self.clock.advance(0.05)
        self.assertEqual([hit.outcome for hit in late.hits], ["lost, for it has ended: 'gone'"] * 2)

    async def test_what_was_installed_later_sees_a_message_when_it_is_delivered(self) -> None:
        probe, seen = await self.probe(), []
        before: list[Any] = []
        with (
            intercept(probe, lambda message: [before.append(message) or message]),
            delay(probe, 50),
            intercept(probe, lambda message: [seen.append(message) or message]),
        ):
            self.send_all(probe, "a")
            self.assertEqual((before, seen), (["a"], []))
            self.clock.advance(0.05)
            self.assertEqual((before, seen), (["a"], ["a"]))
        await until_idle(probe)
        self.assertEqual(await self.heard(probe), ["a"])

    async def test_from_another_thread(self) -> None:
        probe = await self.probe()
        with delay(probe, 50) as late:
            await asyncio.to_thread(cast, probe, "a")
            await self.turn_until(lambda: self.clock.next_timer() is not None, "a timer")
            self.clock.advance(0.05)
            await until_idle(probe)
            self.assertEqual((await self.heard(probe), late.hits[0].outcome), (["a"], "delivered late"))


class TestReorder(Case):
    async def test_two_change_places(self) -> None:
        probe = await self.probe()
        with reorder(probe, match=lambda message: message in "abcd") as reordered:
            self.send_all(probe, "axbycd")
        await until_idle(probe)
        self.assertEqual(await self.heard(probe), ["x", "b", "a", "y", "d", "c"])
        self.assertEqual(reordered.messages, ["a", "b", "c", "d"])
        self.assertEqual(reordered.hits[0].outcome, "delivered as number 2 instead of 1")

    async def test_more_are_shuffled_by_the_seed_and_never_come_as_they_were_sent(self) -> None:
        async def run(seed: int) -> str:
            probe = await self.probe()
            with reorder(probe, window=3, seed=seed):
                self.send_all(probe, "abc")
            await until_idle(probe)
            return "".join(await self.heard(probe))

        seen = [await run(seed) for seed in range(30)]
        self.assertEqual(seen, [await run(seed) for seed in range(30)])
        self.assertEqual(set(seen), {"acb", "bac", "bca", "cab", "cba"})

    async def test_one_that_nobody_follows_is_delivered_when_patience_runs_out(self) -> None:
        probe = await self.probe()
        with reorder(probe, patience_ms=20) as reordered:
            calling = self.background(probe.call("alone"))
            await self.still_pending(calling)
            self.clock.advance(0.02)
            self.assertEqual(await calling, "alone")
            self.send_all(probe, "a")
        self.assertEqual(
            [hit.outcome for hit in reordered.hits], ["delivered late", "delivered at the end of the fault"]
        )

    async def test_calls_get_their_own_replies(self) -> None:
        probe = await self.probe()
        with reorder(probe):
            self.assertEqual(await asyncio.gather(probe.call("a"), probe.call("b")), ["a", "b"])


class TestAsFaults(Case):
    async def test_each_is_a_fault_of_a_suite(self) -> None:
        probe = await self.probe(name="probe")
        faults = [Drop(count=1), Delay(ms=10), Duplicate(), Reorder(window=2)]
        self.assertTrue(all(isinstance(fault, Fault) for fault in faults))
        entries = [{"type": "fault", "fault": fault, "duration_ms": 0} for fault in faults]
        report = await run_chaos_suite(probe, entries)
        self.assertEqual(
            (report.failed, [each.fault for each in report.reports.values()]), (0, [f.name for f in faults])
        )
        self.assertIsNone(probe.interceptors)
        json.dumps(report.to_dict())

    async def test_one_that_hits_nobody_is_no_fault_of_the_journal(self) -> None:
        probe = await self.probe()
        with journaled() as journal:
            await run_chaos_suite(probe, [{"type": "fault", "fault": Drop()}])
        self.assertEqual(journal.events, [])

    async def test_a_fault_can_be_switched_on_without_a_suite(self) -> None:
        probe = await self.probe()
        async with Drop().inject(probe) as dropped:
            self.send_all(probe, "a")
        self.assertEqual(dropped.messages, ["a"])
