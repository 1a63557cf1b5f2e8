"""Servers asked, synchronised with, put under load and crashed."""

from __future__ import annotations

import asyncio
import json
import unittest
from typing import Any

from supertester._core.outcome import Outcome
from supertester.errors import CallExit, MissingSyncHandler, UnknownMessage, UsageError, WaitTimeout
from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    ChildSpec,
    Crash,
    GenServer,
    Supervisor,
    cast,
    sys,
    whereis,
    which_children,
)
from supertester.servers import (
    SYNC,
    CallResults,
    TestableGenServer,
    call_with_timeout,
    cast_and_sync,
    check_genserver_handles_message,
    check_genserver_responsive,
    check_genserver_state,
    concurrent_calls,
    get_server_state_safely,
    probe_crash_recovery,
    probe_invalid_messages,
    stress_test_server,
    wait_for_genserver_sync,
)
from tests.otp.support import Probe, RuntimeCase, parked
from tests.subjects import Busy, Counter, Forgetful, Jumping, Stubborn, counter_spec, team


class Case(RuntimeCase):
    runtime_options = {"history": 4}  # noqa: RUF012

    def hurry(self) -> None:
        """Let time jump to whatever is waited for."""
        self.rt.clock = self.clock = Jumping()


class InAHurry(Case):
    """Time jumps to whatever is waited for."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.hurry()


class Actor:
    """The handle of a server of another library, which notes what it is told."""

    def __init__(self, **attributes: Any) -> None:
        self.told: list[Any] = []
        vars(self).update(attributes)

    def cast(self, message: Any) -> None:
        self.told.append(("cast", message))

    async def call(self, request: Any, timeout: float) -> Any:
        self.told.append(("call", request))
        if request == "fail":
            raise OSError("planted")
        return "reply"


class TestMixin(unittest.TestCase):
    def test_is_no_test(self) -> None:
        self.assertIs(TestableGenServer.__test__, False)

    def test_answers_before_the_handler_of_a_class_that_is_no_gen_server(self) -> None:
        class Mine(TestableGenServer):
            state = 1

            def handle_call(self, request: Any, extra: int = 0) -> Any:
                return ("handled", request, extra)

        mine = Mine()
        self.assertEqual(mine.handle_call(SYNC), "ok")
        self.assertEqual(mine.handle_call((SYNC, {"return_state": True})), ("ok", 1))
        self.assertEqual(mine.handle_call((SYNC, {})), "ok")
        self.assertEqual(mine.handle_call("x", extra=2), ("handled", "x", 2))
        self.assertEqual(mine.handle_call((SYNC, 1)), ("handled", (SYNC, 1), 0))

    def test_answers_where_there_is_no_handler(self) -> None:
        class Mine(TestableGenServer): ...

        self.assertEqual(Mine().handle_call(SYNC), "ok")
        self.assertEqual(Mine().handle_call((SYNC, {"return_state": True})), ("ok", None))
        with self.assertRaisesRegex(UnknownMessage, r"Mine has no handle_call\(\) for 'x'"):
            Mine().handle_call("x")

    def test_answers_before_an_inherited_handler_wherever_it_stands_among_the_bases(self) -> None:
        class Base:
            def handle_call(self, request: Any) -> Any:
                return "base"

        class After(Base, TestableGenServer): ...

        class Again(After):
            def handle_call(self, request: Any) -> Any:
                return "again"

        class Inherits(Again): ...

        self.assertEqual((After().handle_call(SYNC), After().handle_call("x")), ("ok", "base"))
        self.assertEqual((Inherits().handle_call(SYNC), Inherits().handle_call("x")), ("ok", "again"))
        self.assertIs(Inherits.handle_call, Again.handle_call)


class TestMixinOnServers(Case):
    async def test_answers_calls_plain_and_async(self) -> None:
        class Plain(TestableGenServer, Counter): ...

        class Async(Counter, TestableGenServer):
            async def handle_call(self, request: Any, sender: Any) -> Any:
                await asyncio.sleep(0)
                return "handled"

        for cls in (Plain, Async):
            server = await self.start(cls, 7)
            self.assertEqual(await server.call(SYNC), "ok")
            self.assertEqual(await server.call((SYNC, {"return_state": True})), ("ok", {"count": 7}))
            self.assertNotEqual(await server.call("x"), "ok")
            self.assertIsNone(await cast_and_sync(server, ("add", 1)))


class TestState(Case):
    async def test_is_given_as_an_outcome(self) -> None:
        server = await self.start(Counter, 5)
        self.assertEqual(await get_server_state_safely(server), Outcome({"count": 5}))

    async def test_of_the_dead_and_the_unknown_is_an_error(self) -> None:
        server = await self.start(Counter)
        server.exit(KILL)
        self.assertEqual(await get_server_state_safely(server), Outcome(error=NOPROC))
        self.assertEqual(await get_server_state_safely("nobody"), Outcome(error=NOPROC))
        with self.misuse("timeout must be"):
            await get_server_state_safely(server, -1)
        with self.misuse("no reference"):
            await get_server_state_safely(None)


class TestCall(Case):
    async def test_gives_the_reply_or_the_reason(self) -> None:
        self.hurry()
        server = await self.start(Counter, 5)
        self.assertEqual(await call_with_timeout(server, "value"), Outcome(5))
        self.assertEqual(await call_with_timeout(server, "silence", 0), Outcome(error=TIMEOUT))
        self.assertEqual((await call_with_timeout(server, "crash")).error, Crash(OSError("asked to crash")))
        self.assertEqual(await call_with_timeout(server, "value"), Outcome(error=NOPROC))
        self.assertEqual(await call_with_timeout("nobody", "value"), Outcome(error=NOPROC))

    async def test_reaches_foreign_servers(self) -> None:
        actor: Any = Actor()
        self.assertEqual(await call_with_timeout(actor, "x"), Outcome("reply"))
        self.assertIsInstance((await call_with_timeout(actor, "fail")).error, OSError)

    async def test_takes_no_nonsense(self) -> None:
        with self.misuse("timeout must be 0 or more"):
            await call_with_timeout("nobody", "x", -1)


class TestSync(Case):
    async def test_gives_the_pid_once_all_is_handled(self) -> None:
        server = await self.start(Counter, name="it")
        for _ in range(3):
            cast("it", ("add", 1))
        self.assertIs(await wait_for_genserver_sync("it", 0), server)
        self.assertEqual(await get_server_state_safely(server), Outcome({"count": 3}))

    async def test_disturbs_no_server(self) -> None:
        for cls in (Counter, GenServer, Stubborn):
            server: Any = await self.start(cls)
            await wait_for_genserver_sync(server)
            self.assertEqual((server.is_alive(), server.handled), (True, 0))

    async def test_says_what_keeps_it_busy(self) -> None:
        self.hurry()
        server = await self.start(Busy)
        server.cast("work")
        with self.assertRaises(WaitTimeout) as caught:
            await wait_for_genserver_sync(server, 0)
        self.assertRegex(
            str(caught.exception),
            r"^timed out after 0 s waiting for <Pid \d+ Busy>: it was to handle its messages\n  1\. cast 'work'$",
        )

    async def test_does_not_take_a_suspended_server_for_one_that_is_done(self) -> None:
        self.hurry()
        server = await self.start(Counter)
        await sys.suspend(server)
        with self.assertRaisesRegex(WaitTimeout, "it was to handle its messages but is suspended"):
            await wait_for_genserver_sync(server)
        for sync_message in (SYNC, (SYNC, {"return_state": True})):
            with self.assertRaisesRegex(WaitTimeout, r"the cast \('add', 1\) but is suspended"):
                await cast_and_sync(server, ("add", 1), sync_message)
        await sys.resume(server)
        await wait_for_genserver_sync(server)

    async def test_of_the_dead_and_the_unknown_fails_at_once(self) -> None:
        with self.exits(NOPROC) as caught:
            await wait_for_genserver_sync("nobody")
        self.assertIn("'nobody'", str(caught.exception))
        server = await self.start(Counter)
        await server.call("value")
        server.exit(KILL)
        with self.exits(NOPROC) as caught:
            await wait_for_genserver_sync(server)
        self.assertEqual(caught.exception.__notes__, ["what it had been through:\n  1. call 'value'\n  2. exit KILLED"])

    async def test_reaches_foreign_servers_that_can_be_synchronised_with(self) -> None:
        actor: Any = Actor(answers_sync=True)
        self.assertIs(await wait_for_genserver_sync(actor), actor)
        self.assertEqual(actor.told, [("call", SYNC)])
        with self.assertRaisesRegex(MissingSyncHandler, "cannot be synchronised with"):
            await wait_for_genserver_sync(Actor())


class TestCastAndSync(Case):
    async def test_returns_when_the_cast_is_handled(self) -> None:
        server = await self.start(Counter)
        self.assertIsNone(await cast_and_sync(server, ("add", 2), timeout=0))
        self.assertEqual(await get_server_state_safely(server), Outcome({"count": 2}))

    async def test_gives_the_reply_to_a_message_of_ones_own(self) -> None:
        server = await self.start(Counter)
        self.assertEqual(await cast_and_sync(server, ("add", 2), "value"), 2)

    async def test_gives_the_state_of_any_server_if_asked_to(self) -> None:
        server = await self.start(Counter)
        request = (SYNC, {"return_state": True})
        self.assertEqual(await cast_and_sync(server, ("add", 2), request), ("ok", {"count": 2}))
        self.assertIsNone(await cast_and_sync(server, ("add", 2), (SYNC, {})))

    async def test_lets_a_server_without_a_handler_live(self) -> None:
        class OnlyCasts(GenServer):
            def handle_cast(self, message: Any) -> None:
                self.state = message

        server: Any = await self.start(OnlyCasts)
        self.assertIsNone(await cast_and_sync(server, 1))
        with self.assertRaisesRegex(MissingSyncHandler, r"has no handle_call\(\) for 'mine'; leave sync_message out"):
            await cast_and_sync(server, 2, "mine")
        self.assertEqual((await get_server_state_safely(server), server.handled), (Outcome(1), 1))

    async def test_says_what_the_server_died_of(self) -> None:
        server = await self.start(Counter)
        with self.exits(Crash(OSError("asked to crash"))) as caught:
            await cast_and_sync(server, "crash")
        self.assertIsInstance(caught.exception.__cause__, OSError)
        self.assertIn("  1. cast 'crash'\n  2. exit Crash(OSError", caught.exception.__notes__[0])
        for reference in (server, "nobody"):
            with self.exits(NOPROC):
                await cast_and_sync(reference, "x")

    async def test_says_what_was_not_handled_in_time(self) -> None:
        self.hurry()
        server = await self.start(Busy)
        with self.assertRaisesRegex(
            WaitTimeout, r"<Pid \d+ Busy>: it was to handle the cast 'work'\n  1\. cast 'work'"
        ):
            await cast_and_sync(server, "work", timeout=0)
        self.assertTrue(server.is_alive())

    async def test_synchronises_with_foreign_servers_that_can(self) -> None:
        for actor in (Actor(answers_sync=True), Actor(sync=lambda timeout: None)):
            self.assertIsNone(await cast_and_sync(actor, "x"))
            self.assertEqual(actor.told[0], ("cast", "x"))
        self.assertEqual(await cast_and_sync(Actor(answers_sync=True), "x", "mine"), "reply")

    async def test_leaves_those_that_cannot_untouched(self) -> None:
        actor = Actor()
        with self.assertRaisesRegex(MissingSyncHandler, "It was left untouched"):
            await cast_and_sync(actor, "x")
        self.assertEqual(actor.told, [])
        for stranger in (asyncio.Queue(), object(), []):
            with self.assertRaisesRegex(MissingSyncHandler, "is no server of the embedded runtime"):
                await cast_and_sync(stranger, "x")  # type: ignore[arg-type]

    async def test_takes_no_nonsense(self) -> None:
        with self.misuse("no reference to a process"):
            await cast_and_sync(None, "x")
        with self.misuse("timeout must be 0 or more"):
            await cast_and_sync("nobody", "x", timeout=-1)


class TestConcurrentCalls(Case):
    async def test_collect_results_by_call_in_the_order_given(self) -> None:
        server = await self.start(Counter)
        results = await concurrent_calls(server, ["value", ["a list"], "value"], 2)
        self.assertEqual(
            results,
            [
                CallResults("value", (0, 0, 0, 0), ()),
                CallResults(["a list"], (("echo", ["a list"]),) * 2, ()),
            ],
        )
        json.dumps([result.to_dict() for result in results])

    async def test_start_together(self) -> None:
        waiting: list[int] = []

        class Crowded(GenServer):
            def handle_call(self, request: Any, sender: Any) -> Any:
                waiting.append(len(self.pid.queue or ()))  # type: ignore[attr-defined]

            def init(self) -> Any:
                from supertester.otp import self_pid

                self.pid = self_pid()

        await concurrent_calls(await self.start(Crowded), ["x"], 5)
        self.assertEqual(waiting, [4, 3, 2, 1, 0])

    async def test_collect_errors(self) -> None:
        server = await self.start(Counter)
        [results] = await concurrent_calls(server, ["crash"], 3)
        self.assertEqual((results.successes, results.errors), ((), (Crash(OSError("asked to crash")),) * 3))
        [results] = await concurrent_calls(server, ["value"], 1)
        self.assertEqual(results.errors, (NOPROC,))

    async def test_need_calls_and_callers(self) -> None:
        for count in (0, -1):
            with self.misuse(f"count must be at least 1, got count={count}"):
                await concurrent_calls("it", ["x"], count)
        with self.misuse("calls must hold at least one"):
            await concurrent_calls("it", [])
        with self.misuse("calls must be a list, got calls='value'"):
            await concurrent_calls("it", "value")
        with self.misuse("count must be an integer"):
            await concurrent_calls("it", ["x"], 1.5)  # type: ignore[arg-type]


class Ticking(Counter):
    """Lets a millisecond pass with each message, and keeps a diary."""

    def init(self, clock: Any) -> Any:  # type: ignore[override]
        self.clock = clock
        return []

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.state.append(request)
        self.clock.advance(0.001)
        if request == "crash":
            raise OSError("asked to crash")

    def handle_cast(self, message: Any) -> Any:
        self.state.append(message)
        self.clock.advance(0.001)


class TestStress(Case):
    async def test_counts_what_was_answered_and_done(self) -> None:
        server = await self.start(Ticking, self.clock)
        report = await stress_test_server(server, [("call", "a"), ("cast", "b")], 200, seed=1)
        state = (await get_server_state_safely(server)).unwrap()
        self.assertEqual((report.calls, report.casts), (state.count("a"), state.count("b")))
        self.assertEqual((report.errors, report.seed), (0, 1))
        self.assertGreaterEqual(report.duration_ms, 200)
        self.assertLess(report.duration_ms, 250)
        json.dumps(report.to_dict())

    async def test_a_seed_repeats_the_choices(self) -> None:
        diaries = []
        for seed in (1, 1, 2):
            server = await self.start(Ticking, self.clock)
            await stress_test_server(server, [("call", "a"), ("cast", "b"), ("cast", "c")], 100, workers=3, seed=seed)
            diaries.append((await get_server_state_safely(server)).unwrap())
        self.assertEqual(diaries[0], diaries[1])
        self.assertNotEqual(diaries[0], diaries[2])

    async def test_of_casts_alone_does_not_fill_the_mailbox(self) -> None:
        longest: list[int] = []

        class Measures(Ticking):
            async def handle_cast(self, message: Any) -> Any:
                for _ in range(5):
                    await asyncio.sleep(0)
                longest.append((await self.pending()) or 0)
                self.clock.advance(0.001)

            async def pending(self) -> int:
                from supertester.otp import process_info, self_pid

                info = process_info(self_pid())
                assert info is not None
                return info.message_queue_len

        server = await self.start(Measures, self.clock)
        report = await stress_test_server(server, [("cast", "x")], 1000, workers=2)
        self.assertLessEqual(max(longest), 64)
        self.assertEqual(report.casts, len(longest))

    async def test_counts_errors_and_ends_with_a_server_that_is_dead_for_ever(self) -> None:
        server = await self.start(Ticking, self.clock)
        report = await stress_test_server(server, [("call", "crash")], 1000, workers=2, seed=1)
        self.assertEqual((report.calls, report.errors), (0, 4))

    async def test_goes_on_with_a_restarted_one(self) -> None:
        spec = ChildSpec("it", Ticking, (self.clock,), {"name": "it"})
        await Supervisor.start_link([spec], max_restarts=1000)
        report = await stress_test_server("it", [("call", "a"), ("call", "crash")], 50, seed=1)
        self.assertGreater(min(report.calls, report.errors), 5)

    async def test_takes_no_nonsense(self) -> None:
        server = await self.start(Counter)
        for operations, words in (
            ([], "operations must hold at least one"),
            (["value"], """("cast", message), got 'value'"""),
            ([("send", 1)], "got ('send', 1)"),
        ):
            with self.misuse(words):
                await stress_test_server(server, operations, 1)  # type: ignore[arg-type]
        with self.misuse("workers must be at least 1, got workers=0"):
            await stress_test_server(server, [("call", 1)], workers=0)
        with self.misuse("duration_ms must be 0 or more milliseconds, got duration_ms=-5"):
            await stress_test_server(server, [("call", 1)], -5)
        with self.misuse("no process is registered as 'nobody'"):
            await stress_test_server("nobody", [("call", 1)])

    async def test_counts_what_nobody_received(self) -> None:
        server = await self.start(Counter, name="it")
        stress = self.background(stress_test_server("it", [("cast", "x")], 1000, workers=1))
        await asyncio.sleep(0)
        server.exit(KILL)
        await self.still_pending(stress)
        self.clock.advance(1.0)
        self.assertGreater((await stress).errors, 5)

    async def test_counts_a_death_at_the_very_end(self) -> None:
        clock = self.clock

        class Last(GenServer):
            async def handle_cast(self, message: Any) -> Any:
                clock.advance(1.0)
                for _ in range(5):
                    await asyncio.sleep(0)
                raise OSError("planted")

        report = await stress_test_server(await self.start(Last), [("cast", "x")], 1000, workers=1)
        self.assertEqual(report.errors, 1)

    async def test_no_time_is_no_work(self) -> None:
        server = await self.start(Counter)
        report = await stress_test_server(server, [("call", "value")], 0)
        self.assertEqual((report.calls, report.casts, report.errors), (0, 0, 0))


class TestCrashRecovery(Case):
    async def test_of_a_named_child(self) -> None:
        await team("a")
        first = whereis("a")
        report = await probe_crash_recovery("a", KILL)
        self.assertEqual(
            (report.recovered, report.original_pid, report.new_pid, report.crash_reason),
            (True, first, whereis("a"), KILLED),
        )
        self.assertEqual(report.recovery_ms, 0.0)
        json.dumps(report.to_dict())

    async def test_of_a_child_without_a_name(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("x", Counter)])
        [row] = await which_children(supervisor)
        report = await probe_crash_recovery(row.pid, "planted")
        [row] = await which_children(supervisor)
        self.assertEqual((report.recovered, report.new_pid, report.crash_reason), (True, row.pid, "planted"))

    async def test_of_a_pid_stands_for_its_name(self) -> None:
        await team("a")
        self.assertTrue((await probe_crash_recovery(whereis("a"), KILL)).recovered)

    async def test_uses_up_no_more_than_one_restart(self) -> None:
        supervisor = await team("a", max_restarts=1)
        await probe_crash_recovery("a", KILL)
        self.assertTrue(supervisor.is_alive())

    async def test_of_one_that_nobody_restarts_is_known_at_once(self) -> None:
        server = await self.start(Counter)
        report = await probe_crash_recovery(server, SHUTDOWN)
        self.assertEqual((report.recovered, report.new_pid, report.crash_reason), (False, None, SHUTDOWN))
        self.assertIsNone(report.to_dict()["new_pid"])

    async def test_of_one_that_ends_itself_when_it_is_told_to(self) -> None:
        report = await probe_crash_recovery(await self.start_link(Stubborn), "planted")
        self.assertEqual((report.recovered, report.crash_reason), (False, "planted"))

    async def test_needs_a_crash(self) -> None:
        for cls, reason in ((Counter, NORMAL), (Stubborn, "planted")):
            server = await self.start(cls)
            with self.assertRaisesRegex(WaitTimeout, f"did not die of {reason!r}; it traps exits"):
                await probe_crash_recovery(server, reason)
            self.assertTrue(server.is_alive())

    async def test_needs_a_living_server(self) -> None:
        server = await self.start(Counter)
        server.exit(KILL)
        for reference in (server, "nobody"):
            with self.assertRaises(UsageError) as caught:
                await probe_crash_recovery(reference, KILL)
            self.assertEqual(caught.exception.reason, "noproc")


class TestNoRecovery(InAHurry):
    async def test_is_reported_after_the_timeout(self) -> None:
        for server in (await self.start(Counter, name="it"), "other"):
            if server == "other":
                await self.start(Counter, name=server)
            report = await probe_crash_recovery(server, KILL, timeout=3.0)
            self.assertEqual((report.recovered, report.crash_reason), (False, KILLED))
        self.assertGreaterEqual(self.clock.time(), 6.0)

    async def test_of_a_temporary_child(self) -> None:
        await Supervisor.start_link([counter_spec("a", restart="temporary")])
        self.assertFalse((await probe_crash_recovery("a", KILL)).recovered)


class TestInvalidMessages(Case):
    async def test_are_sent_in_order_and_survived(self) -> None:
        server = await self.start(Counter)
        report = await probe_invalid_messages(server, ["a", None])
        self.assertEqual(report.results, (("a", Outcome(("echo", "a"))), (None, Outcome(("echo", None)))))
        self.assertTrue(report.survived)
        json.dumps(report.to_dict())

    async def test_or_not_survived(self) -> None:
        report = await probe_invalid_messages(await self.start(Counter), ["crash", "a"])
        self.assertEqual([outcome.error for _, outcome in report.results], [Crash(OSError("asked to crash")), NOPROC])
        self.assertFalse(report.survived)

    async def test_a_restarted_server_did_not_survive(self) -> None:
        await team("a")
        self.assertFalse((await probe_invalid_messages("a", ["crash"])).survived)

    async def test_have_to_be_some(self) -> None:
        server = await self.start(Counter)
        with self.misuse("messages must hold at least one"):
            await probe_invalid_messages(server, [])
        with self.misuse("messages must be a list"):
            await probe_invalid_messages(server, "abc")
        with self.misuse("no process is registered as 'nobody'"):
            await probe_invalid_messages("nobody", ["x"])


class TestChecks(Case):
    async def test_state_equal_or_as_a_function_says(self) -> None:
        server = await self.start(Counter, 5)

        async def is_five(state: Any) -> bool:
            return bool(state["count"] == 5)

        for expected in ({"count": 5}, lambda state: state["count"] == 5, is_five):
            self.assertIsNone(await check_genserver_state(server, expected))

    async def test_a_wrong_state_shows_a_difference_and_the_last_messages(self) -> None:
        server = await self.start(Counter, 5)
        server.cast(("add", 1))
        self.assertEqual(
            str(await check_genserver_state(server, {"count": 7})),
            f"the state of {server!r} is not as expected (- expected, + actual):\n"
            "- {'count': 7}\n?           ^\n+ {'count': 6}\n?           ^\n  1. cast ('add', 1)",
        )

    async def test_a_state_that_a_function_refuses_is_shown(self) -> None:
        server = await self.start(Counter, 5)

        def is_six(state: Any) -> bool:
            return bool(state["count"] == 6)

        self.assertRegex(
            str(await check_genserver_state(server, is_six)), r"does not satisfy .*is_six: \{'count': 5\}$"
        )

    async def test_a_lost_cast_is_found(self) -> None:
        server = await self.start(Forgetful)
        await cast_and_sync(server, ("add", 1))
        self.assertIn("+ {'count': 0}", str(await check_genserver_state(server, {"count": 1})))

    async def test_the_dead_and_the_unknown_have_no_state(self) -> None:
        server = await self.start(Counter)
        server.exit(KILL)
        self.assertEqual(
            str(await check_genserver_state(server, 1)), f"{server!r} did not give the state: NOPROC\n  1. exit KILLED"
        )
        self.assertEqual(str(await check_genserver_state("nobody", 1)), "no process is registered as 'nobody'")

    async def test_responsive(self) -> None:
        for cls in (Counter, GenServer):
            self.assertIsNone(await check_genserver_responsive(await self.start(cls)))
        self.assertIsNone(await check_genserver_responsive(Actor(answers_sync=True)))  # type: ignore[arg-type]

    async def test_unresponsive(self) -> None:
        self.hurry()
        server = await self.start(Probe)
        gate = asyncio.Event()
        server.cast(parked(gate))
        self.assertRegex(
            str(await check_genserver_responsive(server, timeout=0)), r"timed out after 0 s .*\n  1\. cast <"
        )
        server.exit(KILL)
        self.assertIn("did not give an answer: NOPROC", str(await check_genserver_responsive(server)))
        self.assertEqual(str(await check_genserver_responsive("nobody")), "no process is registered as 'nobody'")

    async def test_replies(self) -> None:
        self.hurry()
        server = await self.start(Counter, 5)
        self.assertIsNone(await check_genserver_handles_message(server, "value", 5))
        self.assertEqual(
            str(await check_genserver_handles_message(server, "value", 6)),
            f"the reply of {server!r} to 'value' is not as expected (- expected, + actual):\n"
            "- 6\n+ 5\n  1. call 'value'\n  2. call 'value'",
        )
        self.assertRegex(
            str(await check_genserver_handles_message(server, "silence", 6, timeout=0)),
            r"did not give a reply to 'silence': TIMEOUT\n  1\. call 'value'\n",
        )
        self.assertRegex(
            str(await check_genserver_handles_message(server, "crash", 6)),
            r"(?s)to 'crash': Crash\(OSError.*\n  \d\. call 'crash'\n  \d\. exit Crash",
        )
        actor: Any = Actor()
        self.assertIn("- 1\n+ 'reply'", str(await check_genserver_handles_message(actor, "x", 1)))
        self.assertIn("did not give a reply to 'fail'", str(await check_genserver_handles_message(actor, "fail", 1)))


class TestErrors(unittest.TestCase):
    def test_a_missing_handler_is_a_usage_error(self) -> None:
        self.assertTrue(issubclass(MissingSyncHandler, UsageError))
        self.assertFalse(issubclass(CallExit, AssertionError))
