"""Rules 25 and 26: how many restarts a supervisor puts up with, and restarts that fail."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from supertester.otp import (
    IGNORE,
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Exit,
    Pid,
    Stop,
    Supervisor,
    count_children,
    delete_child,
    exit,
    intensity_left,
    process_info,
    register,
    restart_child,
    sys,
    terminate_child,
    until_idle,
    whereis,
)
from tests.otp.support import Asynchronous, Child, RuntimeCase, parked


class Rule25Intensity(RuntimeCase):
    async def kill(self, label: str = "a") -> None:
        """Kill a child and let its supervisor react."""
        exit(whereis(label), KILL)
        await until_idle()

    async def test_rule_25_three_kills_survive_and_the_fourth_ends_the_supervisor(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        for left in (2, 1, 0):
            await self.kill()
            self.assertTrue(supervisor.is_alive())
            self.assertEqual(left, intensity_left(supervisor))
        await self.kill()
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)
        self.assertIsNone(whereis("a"))
        self.assertEqual([Exit(supervisor, SHUTDOWN)], self.root.messages)

    async def test_rule_25_with_no_restarts_allowed_the_first_crash_ends_it(self) -> None:
        for reason in (KILLED, "boom", NORMAL):
            with self.subTest(reason=reason):
                supervisor = await self.supervise(self.child("a", []), max_restarts=0)
                self.assertEqual(0, intensity_left(supervisor))
                await self.end(whereis("a"), reason)
                self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_an_end_without_restart_does_not_count(self) -> None:
        supervisor = await self.supervise(
            self.child("a", [], restart="temporary"), self.child("b", [], restart="transient"), max_restarts=0
        )
        await self.end(whereis("a"), "boom")
        await self.end(whereis("b"), NORMAL)
        self.assertTrue(supervisor.is_alive())

    async def test_rule_25_the_window_includes_its_edge(self) -> None:
        supervisor = await self.supervise(self.child("a", []), max_restarts=3, max_seconds=5.0)
        for _ in range(3):
            await self.kill()
        self.clock.advance(5.0)
        self.assertEqual(0, intensity_left(supervisor))
        await self.kill()
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_what_is_older_than_the_window_is_forgotten(self) -> None:
        supervisor = await self.supervise(self.child("a", []), max_restarts=3, max_seconds=5.0)
        for _ in range(3):
            await self.kill()
        self.clock.advance(5.001)
        self.assertEqual(3, intensity_left(supervisor))
        await self.kill()
        self.assertTrue(supervisor.is_alive())
        self.assertEqual(2, intensity_left(supervisor))

    async def test_rule_25_the_window_slides(self) -> None:
        supervisor = await self.supervise(self.child("a", []), max_restarts=2, max_seconds=10.0)
        for _ in range(8):  # At 0, 6, 12, ...: never more than two within ten seconds.
            await self.kill()
            self.assertTrue(supervisor.is_alive())
            self.clock.advance(6.0)
        await self.kill()
        self.clock.advance(4.0)
        await self.kill()  # The third within ten seconds.
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_a_window_may_be_a_fraction_of_a_second(self) -> None:
        supervisor = await self.supervise(self.child("a", []), max_restarts=1, max_seconds=0.25)
        for _ in range(5):
            await self.kill()
            self.clock.advance(0.26)
        await self.kill()
        self.clock.advance(0.24)
        await self.kill()
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_a_restart_of_many_children_counts_one(self) -> None:
        for how in ("one_for_all", "rest_for_one"):
            with self.subTest(strategy=how):
                children = [self.child(label, []) for label in "abcde"]
                supervisor = await self.supervise(*children, strategy=how, max_restarts=2)
                for left in (1, 0):
                    await self.kill("a")
                    self.assertEqual(left, intensity_left(supervisor))
                await self.kill("a")
                self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_the_ends_of_different_children_add_up(self) -> None:
        supervisor = await self.supervise(*(self.child(label, []) for label in "abcd"), max_restarts=3)
        for label in "abc":
            await self.kill(label)
        self.assertTrue(supervisor.is_alive())
        await self.kill("d")
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_giving_up_stops_all_children_in_reverse(self) -> None:
        for how in ("one_for_one", "one_for_all", "rest_for_one"):
            with self.subTest(strategy=how):
                diary: list[Any] = []
                children = [self.child(label, diary) for label in "abcd"]
                supervisor = await self.supervise(*children, strategy=how, max_restarts=0)
                diary.clear()
                await self.kill("b")
                self.assertEqual([(label, "terminate", SHUTDOWN) for label in "dca"], diary)
                self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_25_giving_up_waits_for_each_child(self) -> None:
        supervisor = await self.supervise(*(self.child(label, []) for label in "ab"), max_restarts=0)
        gate = asyncio.Event()
        await whereis("b").call(lambda me: setattr(me, "on_terminate", parked(gate)))
        slow = whereis("b")
        exit(whereis("a"), KILL)
        await self.turn_until(self.clock.next_timer, "b is being stopped")
        self.assertTrue(supervisor.is_alive() and slow.is_alive())
        gate.set()
        self.assertEqual(SHUTDOWN, await self.dead(supervisor))
        self.assertEqual(SHUTDOWN, slow.exit_reason)

    async def test_rule_25_a_new_supervisor_starts_counting_at_zero(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([self.child("a", [])],), {"max_restarts": 1, "name": "inner"})
        await self.supervise(inner, max_restarts=5)
        for _ in range(2):
            await self.kill()
        self.assertEqual(1, intensity_left("inner"))


class Rule25IntensityWithAsyncChildren(Asynchronous, Rule25Intensity):
    pass


class Moody(Child):
    """A child whose *attempts*, shared by its incarnations, say which of its starts fail."""

    def init(self, diary: list[Any], label: str, *, trap: bool = True, fails: Any = None) -> Any:
        state = super().init(diary, label, trap=trap)
        attempt = diary.count((label, "start"))
        return Stop(("attempt", attempt)) if fails is not None and fails(attempt) else state


class Rule26FailedRestarts(RuntimeCase):
    def moody(self, label: str, diary: list[Any], fails: Callable[[int], bool], **options: Any) -> ChildSpec:
        spec = self.child(label, diary, Moody, **options)
        return dataclasses.replace(spec, kwargs={**spec.kwargs, "fails": fails})

    async def kill(self, target: Pid | str = "a") -> None:
        exit(target, KILL)
        await until_idle()

    async def test_rule_26_a_child_that_can_never_start_again_gets_four_inits_in_all(self) -> None:
        diary: list[Any] = []
        supervisor = await self.supervise(self.moody("a", diary, lambda attempt: attempt > 1))
        await self.kill()
        self.assertEqual([("a", "start")] * 4, diary)
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)
        self.assertEqual([Exit(supervisor, SHUTDOWN)], self.root.messages)

    async def test_rule_26_a_failed_restart_counts_as_a_further_restart(self) -> None:
        diary: list[Any] = []
        supervisor = await self.supervise(self.moody("a", diary, lambda attempt: attempt in (2, 3)))
        await self.kill()
        self.assertEqual([("a", "start")] * 4, diary)
        self.assertTrue(whereis("a").is_alive())
        self.assertEqual(0, intensity_left(supervisor))
        await self.kill()
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_26_it_is_retried_at_once_without_time_passing(self) -> None:
        diary: list[Any] = []
        await self.supervise(self.moody("a", diary, lambda attempt: attempt == 2))
        await self.kill()
        self.assertEqual(0.0, self.clock.time())
        self.assertTrue(whereis("a").is_alive())

    async def test_rule_26_with_no_restarts_allowed_there_is_no_retry(self) -> None:
        diary: list[Any] = []
        supervisor = await self.supervise(self.moody("a", diary, lambda attempt: attempt > 1), max_restarts=1)
        await self.kill()
        self.assertEqual([("a", "start")] * 2, diary)
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def asked_between(self, ask: Callable[[Pid], Any]) -> tuple[Pid, list[Any], asyncio.Task[Any]]:
        """Kill a child that cannot start again while a request waits; return the supervisor, the diary, the request."""
        diary: list[Any] = []
        supervisor = await self.supervise(self.moody("a", diary, lambda attempt: attempt > 1))
        await sys.suspend(supervisor)
        exit(whereis("a"), KILL)
        asked = self.background(ask(supervisor))
        asked.add_done_callback(lambda _: diary.append("answered"))
        await self.turn_until(lambda: process_info(supervisor).message_queue_len == 2, "the request waits")
        await sys.resume(supervisor)
        await asyncio.wait([asked])
        await until_idle()
        return supervisor, diary, asked

    async def test_rule_26_other_requests_are_served_between_two_attempts(self) -> None:
        supervisor, diary, asked = await self.asked_between(self.rows)
        self.assertEqual({"a": "restarting"}, asked.result())
        self.assertEqual([("a", "start")] * 4, [entry for entry in diary if entry != "answered"])
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_26_a_child_between_two_attempts_is_counted_but_not_active(self) -> None:
        _, _, asked = await self.asked_between(count_children)
        self.assertEqual({"specs": 1, "active": 0, "supervisors": 0, "workers": 1}, asked.result())

    async def test_rule_26_a_child_between_two_attempts_can_be_terminated(self) -> None:
        supervisor, diary, asked = await self.asked_between(lambda sup: terminate_child(sup, "a"))
        self.assertIsNone(asked.exception())
        self.assertTrue(supervisor.is_alive())
        self.assertEqual({"a": "undefined"}, await self.rows(supervisor))
        self.assertEqual([("a", "start")] * 2, [entry for entry in diary if entry != "answered"])

    async def test_rule_26_a_child_between_two_attempts_cannot_be_restarted_or_deleted(self) -> None:
        for function in (restart_child, delete_child):
            with self.subTest(function.__name__):
                supervisor, _, asked = await self.asked_between(lambda sup, f=function: f(sup, "a"))
                self.assertEqual("restarting", asked.exception().reason)
                self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_26_a_failed_restart_of_all_is_retried_for_all(self) -> None:
        diary: list[Any] = []
        children = [
            self.child("a", diary),
            self.moody("b", diary, lambda attempt: attempt == 2),
            self.child("c", diary),
        ]
        supervisor = await self.supervise(*children, strategy="one_for_all")
        await self.kill("b")
        rows = await self.rows(supervisor)
        self.assertEqual(["a", "b", "c"], list(rows))
        self.assertTrue(all(pid.is_alive() for pid in rows.values()))
        self.assertEqual([("c", "start")] * 2, [entry for entry in diary if entry == ("c", "start")])
        self.assertEqual(1, intensity_left(supervisor))
        order = [entry[0] for entry in diary if entry[1] == "start"][-2:]
        self.assertEqual(["b", "c"], order)

    async def test_rule_26_a_failed_restart_of_the_rest_is_retried_for_the_rest(self) -> None:
        diary: list[Any] = []
        children = [
            self.child("a", diary),
            self.child("b", diary),
            self.moody("c", diary, lambda attempt: attempt == 2),
        ]
        supervisor = await self.supervise(*children, strategy="rest_for_one")
        first = whereis("a")
        await self.kill("b")
        rows = await self.rows(supervisor)
        self.assertEqual(first, rows["a"])
        self.assertTrue(all(pid.is_alive() for pid in rows.values()))
        self.assertEqual(1, intensity_left(supervisor))

    async def test_rule_26_a_restart_of_all_that_never_works_ends_the_supervisor_and_all_children(self) -> None:
        diary: list[Any] = []
        children = [self.child("a", diary), self.moody("b", diary, lambda attempt: attempt > 1), self.child("c", diary)]
        supervisor = await self.supervise(*children, strategy="one_for_all")
        await self.kill("c")
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)
        self.assertEqual([("b", "start")] * 4, [entry for entry in diary if entry == ("b", "start")])
        self.assertEqual([None] * 3, [whereis(label) for label in "abc"])

    async def test_rule_26_a_restart_whose_name_was_taken_meanwhile_is_a_failed_restart(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        thief: list[Any] = []
        whereis("a").on_exit(lambda _: thief.append(self.rt.new_root("thief")))
        whereis("a").on_exit(lambda _: register(thief[0], "a"))
        await self.kill("a")
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)
        self.assertEqual([("a", "start")], diary)

    async def test_rule_26_a_child_whose_restart_ignores_is_undefined(self) -> None:
        class Retiring(Child):
            def init(self, diary: list[Any], label: str, *, trap: bool = True) -> Any:
                state = super().init(diary, label, trap=trap)
                return IGNORE if len(diary) > 1 else state

        supervisor = await self.supervise(self.child("a", [], Retiring))
        await self.kill()
        self.assertEqual({"a": "undefined"}, await self.rows(supervisor))
        self.assertIsNone(process_info("a"))


class Rule26FailedRestartsOfAsyncChildren(Asynchronous, Rule26FailedRestarts):
    pass
