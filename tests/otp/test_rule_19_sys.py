"""Rule 19: the system messages, which every server answers without knowing it."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    TIMEOUT,
    ChildSpec,
    Continue,
    Exit,
    GenServer,
    NoReply,
    Pid,
    Reply,
    cast,
    exit,
    process_info,
    send,
    sys,
    until_idle,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, parked, raising, returning

FUNCTIONS: dict[str, Any] = {
    "get_state": sys.get_state,
    "replace_state": lambda pid, **options: sys.replace_state(pid, lambda state: state, **options),
    "get_status": sys.get_status,
    "suspend": sys.suspend,
    "resume": sys.resume,
    "sync": sys.sync,
    "trace": lambda pid, **options: sys.trace(pid, None, **options),
    "statistics": sys.statistics,
}


class Hostile(GenServer):
    """Crashes on whatever its handlers see."""

    def init(self) -> Any:
        return "state"

    def handle_call(self, request: Any, sender: Any) -> Any:
        raise AssertionError(f"handle_call saw {request!r}")

    def handle_cast(self, message: Any) -> Any:
        raise AssertionError(f"handle_cast saw {message!r}")

    def handle_info(self, message: Any) -> Any:
        raise AssertionError(f"handle_info saw {message!r}")


class SysCase(RuntimeCase):
    async def busy(self, server: Pid) -> asyncio.Event:
        """Keep *server* in a handler until the returned event is set."""
        gate = asyncio.Event()
        server.cast(parked(gate))
        await self.turn_until(lambda: process_info(server).current_function, "the handler waits")
        return gate


class Rule19State(SysCase):
    async def test_rule_19_every_server_answers_without_its_cooperation(self) -> None:
        server = await self.start(Hostile)
        for what, function in FUNCTIONS.items():
            with self.subTest(what):
                await function(server)
        self.assertEqual("state", await sys.get_state(server))
        self.assertTrue(server.is_alive())

    async def test_rule_19_get_state_returns_the_state_itself(self) -> None:
        state: dict[str, Any] = {"count": 1}
        server = await self.start()
        await server.call(lambda me: setattr(me, "state", state))
        self.assertIs(state, await sys.get_state(server))

    async def test_rule_19_get_state_sees_what_earlier_messages_did(self) -> None:
        server = await self.start()
        for number in range(3):
            cast(server, number)
        self.assertEqual([("cast", 0), ("cast", 1), ("cast", 2)], await sys.get_state(server))

    async def test_rule_19_get_state_does_not_see_what_later_messages_do(self) -> None:
        server = await self.start()
        asking = self.background(sys.replace_state(server, len))
        await self.turn_until(asking.done, "the state is replaced")
        cast(server, "later")
        self.assertEqual(0, asking.result())

    async def test_rule_19_replace_state_returns_the_new_state(self) -> None:
        server = await self.start()
        self.assertEqual([1], await sys.replace_state(server, lambda state: [*state, 1]))
        self.assertEqual([1], await sys.get_state(server))
        self.assertEqual([1], await server.call(lambda me: me.state))

    async def test_rule_19_a_failing_replacement_changes_nothing(self) -> None:
        server, error = await self.start(), ValueError("broken")
        with self.assertRaises(Exception) as caught:
            await sys.replace_state(server, raising(error))
        self.assertIn(error, (caught.exception, caught.exception.__cause__, getattr(caught.exception, "reason", None)))
        self.assertEqual([], await sys.get_state(server))
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_19_get_status_shows_server_state_and_mode(self) -> None:
        server = await self.start_link(Probe, ["state"], name="named")
        status = await sys.get_status(server)
        self.assertEqual(["state"], status["state"])
        self.assertEqual(server, status["pid"])
        self.assertEqual(self.flavour(Probe), status["module"])
        self.assertEqual("running", status["status"])
        self.assertEqual("named", status["name"])
        self.assertEqual(self.root, status["parent"])
        await sys.suspend(server)
        self.assertEqual("suspended", (await sys.get_status(server))["status"])

    async def test_rule_19_a_supervisor_answers_too(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        for what, function in FUNCTIONS.items():
            with self.subTest(what):
                await function(supervisor)
        self.assertEqual(["a"], list(await self.rows(supervisor)))

    async def test_rule_19_the_dead_and_unknown_exit_noproc(self) -> None:
        server = await self.start(Probe, name="short")
        exit(server, KILL)
        for what, function in FUNCTIONS.items():
            for target in (server, "short", "nobody"):
                with self.subTest(what, target=target):
                    with self.exits(NOPROC) as caught:
                        await function(target)
                    self.assertIn(what, caught.exception.args[1])

    async def test_rule_19_a_server_that_dies_meanwhile_fails_the_request_with_its_reason(self) -> None:
        server = await self.start()
        await self.busy(server)
        asking = self.background(sys.get_state(server))
        await self.still_pending(asking)
        exit(server, KILL)
        with self.exits(KILLED):
            await asking

    async def test_rule_19_a_busy_server_makes_the_request_time_out(self) -> None:
        for what, function in FUNCTIONS.items():
            with self.subTest(what):
                server = await self.start(Probe, diary := [])
                gate = await self.busy(server)
                asking = self.background(function(server, timeout=2.0))
                await self.still_pending(asking)
                self.clock.advance(1.9)
                await self.still_pending(asking)
                self.clock.advance(0.1)
                with self.exits(TIMEOUT):
                    await asking
                gate.set()
                await sys.resume(server)
                self.assertEqual("echo", await server.call("echo"))
                self.assertEqual([], diary)

    async def test_rule_19_a_server_that_asks_itself_exits_calling_self(self) -> None:
        for what, function in FUNCTIONS.items():
            with self.subTest(what):
                server = await self.start()

                async def ask_myself(me: Any, function: Any = function) -> None:
                    with self.exits("calling_self"):
                        await function(me.pid)

                await server.call(ask_myself)

    async def test_rule_19_a_senseless_timeout_is_refused(self) -> None:
        server = await self.start()
        for what, function in FUNCTIONS.items():
            with self.subTest(what), self.misuse("-1"):
                await function(server, timeout=-1)
        self.assertEqual("running", (await sys.get_status(server))["status"])


class Rule19StateOfAsyncServers(Asynchronous, Rule19State):
    pass


class Rule19Sync(SysCase):
    async def test_rule_19_sync_is_a_barrier_behind_all_earlier_messages(self) -> None:
        server = await self.start(Probe, diary := [])
        for number in range(5):
            cast(server, number)
            send(server, number)
        await sys.sync(server)
        self.assertEqual(10, len(diary))

    async def test_rule_19_sync_waits_for_the_handler_that_runs(self) -> None:
        server = await self.start(Probe, diary := [])
        gate = await self.busy(server)
        cast(server, "after")
        waiting = self.background(sys.sync(server))
        await self.still_pending(waiting)
        gate.set()
        await waiting
        self.assertEqual([("cast", "after")], diary)

    async def test_rule_19_sync_waits_for_a_continue(self) -> None:
        server = await self.start(Probe, diary := [])
        server.cast(returning(Continue("go")))
        await sys.sync(server)
        self.assertEqual([("continue", "go")], diary)

    async def test_rule_19_sync_is_seen_by_no_handler(self) -> None:
        server = await self.start(Hostile)
        await sys.sync(server)
        self.assertTrue(server.is_alive())

    async def test_rule_19_sync_does_not_pass_messages_that_a_suspended_server_has_not_handled(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.suspend(server)
        cast(server, "waits")
        waiting = self.background(sys.sync(server))
        await self.still_pending(waiting)
        await sys.resume(server)
        await waiting
        self.assertEqual([("cast", "waits")], diary)


class Rule19SyncOfAsyncServers(Asynchronous, Rule19Sync):
    pass


class Rule19Suspending(SysCase):
    async def test_rule_19_messages_queue_while_suspended_and_are_handled_in_order_afterwards(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.suspend(server)
        cast(server, 1)
        send(server, 2)
        calling = self.background(server.call(lambda me: me.note("call", 3)))
        await self.still_pending(calling)
        cast(server, 4)
        self.assertEqual([], diary)
        await sys.resume(server)
        await until_idle(server)
        self.assertEqual([("cast", 1), ("info", 2), ("call", 3), ("cast", 4)], diary)

    async def test_rule_19_the_queue_grows_while_suspended(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        for number in range(5):
            cast(server, number)
            self.assertEqual(number + 1, process_info(server).message_queue_len)
            self.assertEqual(number + 1, (await sys.statistics(server)).message_queue_len)
        self.assertEqual((0, 1, 2, 3, 4), tuple(process_info(server).messages))

    async def test_rule_19_calls_time_out_while_suspended(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        calling = self.background(server.call("x"))
        await self.still_pending(calling)
        self.clock.advance(5.0)
        with self.exits(TIMEOUT):
            await calling

    async def test_rule_19_system_messages_are_answered_while_suspended(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        cast(server, "waits")
        self.assertEqual([], await sys.get_state(server))
        self.assertEqual("suspended", (await sys.get_status(server))["status"])
        self.assertEqual(["new"], await sys.replace_state(server, lambda _: ["new"]))
        await sys.trace(server, None)
        self.assertEqual("suspended", process_info(server).status)

    async def test_rule_19_suspending_twice_needs_one_resume(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        await sys.suspend(server)
        await sys.resume(server)
        self.assertEqual("echo", await server.call("echo"))
        await sys.resume(server)
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_19_suspend_takes_its_place_in_the_queue(self) -> None:
        server = await self.start(Probe, diary := [])
        cast(server, "before")
        suspending = self.background(sys.suspend(server))
        await suspending
        cast(server, "after")
        await self.turn_until(lambda: process_info(server).message_queue_len == 1, "the message waits")
        self.assertEqual([("cast", "before")], diary)

    async def test_rule_19_a_timeout_of_a_result_waits_while_suspended(self) -> None:
        server = await self.start(Probe, diary := [])
        server.cast(returning(NoReply(timeout=2.0)))
        await until_idle(server)
        await sys.suspend(server)
        self.clock.advance(2.0)
        await sys.get_state(server)
        self.assertEqual([], diary)

    async def test_rule_19_a_suspended_server_that_traps_keeps_exit_messages(self) -> None:
        server = await self.start(Probe, diary := [], trap=True)
        await sys.suspend(server)
        exit(server, "boom")
        self.assertEqual((Exit(self.root, "boom"),), tuple(process_info(server).messages))
        await sys.resume(server)
        await until_idle(server)
        self.assertEqual([("info", Exit(self.root, "boom"))], diary)

    async def test_rule_19_a_suspended_server_can_be_killed_and_its_child_is_restarted(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        child = (await self.rows(supervisor))["a"]
        await sys.suspend(child)
        await self.end(child, KILLED)
        self.assertNotEqual(child, (await self.rows(supervisor))["a"])

    async def test_rule_19_a_suspended_supervisor_does_not_restart_until_it_is_resumed(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        child = (await self.rows(supervisor))["a"]
        await sys.suspend(supervisor)
        exit(child, KILL)
        await sys.get_state(supervisor)
        self.assertEqual([("a", "start")], diary)
        await sys.resume(supervisor)
        await until_idle()
        self.assertEqual([("a", "start")] * 2, diary)


class Rule19SuspendingAsyncServers(Asynchronous, Rule19Suspending):
    pass


class Rule19TracingAndCounting(SysCase):
    async def test_rule_19_a_trace_shows_every_message_and_reply_in_order(self) -> None:
        server, events = await self.start(), []
        await sys.trace(server, events.append)
        cast(server, "a cast")
        send(server, "a message")
        self.assertEqual("a call", await server.call("a call"))
        server.cast(go := returning(Continue("go")))
        server.send(wait := returning(NoReply(timeout=2.0)))
        await until_idle(server)
        self.clock.advance(2.0)
        await until_idle(server)
        expected = [
            ("cast", "a cast"),
            ("info", "a message"),
            ("call", "a call"),
            ("reply", "a call"),
            ("cast", go),
            ("continue", "go"),
            ("info", wait),
            ("timeout", TIMEOUT),
        ]
        self.assertEqual(expected, [(event.kind, event.message) for event in events])
        self.assertEqual({server}, {event.pid for event in events})
        self.assertEqual([0.0] * 7 + [2.0], [event.at for event in events])

    async def test_rule_19_a_trace_shows_a_reply_that_is_given_later(self) -> None:
        server, events, senders = await self.start(), [], []
        await sys.trace(server, events.append)

        def later(me: Any) -> Any:
            senders.append(me.sender)
            return NoReply()

        waiting = self.background(server.call(later))
        await self.turn_until(lambda: senders, "the call is handled")
        await until_idle(server)
        self.assertEqual(["call"], [event.kind for event in events])
        senders[0].reply("later")
        self.assertEqual("later", await waiting)
        self.assertEqual(("reply", "later"), (events[-1].kind, events[-1].message))

    async def test_rule_19_a_trace_can_be_ended(self) -> None:
        server, events = await self.start(), []
        await sys.trace(server, events.append)
        cast(server, 1)
        await sys.trace(server, None)
        cast(server, 2)
        await sys.sync(server)
        self.assertEqual([1], [event.message for event in events])

    async def test_rule_19_a_trace_shows_no_system_messages(self) -> None:
        server, events = await self.start(), []
        await sys.trace(server, events.append)
        for function in (sys.get_state, sys.sync, sys.statistics, sys.suspend, sys.resume):
            await function(server)
        self.assertEqual([], events)

    async def test_rule_19_a_trace_that_fails_does_not_disturb_the_server(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.trace(server, lambda _: 1 / 0)
        cast(server, 1)
        self.assertEqual("echo", await server.call("echo"))
        self.assertEqual([("cast", 1)], diary)
        self.loop_errors.clear()

    async def test_rule_19_statistics_count_the_messages(self) -> None:
        server = await self.start()
        before = await sys.statistics(server)
        for number in range(3):
            cast(server, number)
            send(server, number)
        await server.call("x")
        after = await sys.statistics(server)
        self.assertEqual(7, after.messages_in - before.messages_in)
        self.assertEqual((0, 0), (after.message_queue_len, after.late_replies))
        self.assertEqual(after.messages_in, after["messages_in"])

    async def test_rule_19_statistics_count_what_waits_as_well_as_what_is_done(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        for number in range(4):
            cast(server, number)
        statistics = await sys.statistics(server)
        self.assertEqual((4, 4), (statistics.messages_in, statistics.message_queue_len))

    async def test_rule_19_looking_at_a_server_is_no_message(self) -> None:
        server = await self.start(Probe, ["state"])
        for function in (sys.get_state, sys.sync, sys.get_status, sys.statistics):
            await function(server)
        self.assertEqual(0, (await sys.statistics(server)).messages_in)

    async def test_rule_19_a_child_that_is_traced_reports_until_it_dies(self) -> None:
        events: list[Any] = []
        supervisor = await self.supervise(ChildSpec("a", self.flavour(Probe), kwargs={"name": "a"}))
        child = (await self.rows(supervisor))["a"]
        await sys.trace(child, events.append)
        cast(child, 1)
        await sys.sync(child)
        await self.end(child, KILLED)
        cast("a", 2)
        await sys.sync("a")
        self.assertEqual([1], [event.message for event in events])

    async def test_rule_19_a_call_of_reply_results_is_traced_as_its_value(self) -> None:
        server, events = await self.start(), []
        await sys.trace(server, events.append)
        await server.call(returning(Reply("value")))
        self.assertEqual(["reply", "value"], [events[-1].kind, events[-1].message])


class Rule19TracingAsyncServers(Asynchronous, Rule19TracingAndCounting):
    pass
