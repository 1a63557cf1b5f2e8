"""Rules 15 to 18: late replies, when terminate runs, timeouts as results, and stopping."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from supertester.otp import (
    INFINITY,
    KILL,
    KILLED,
    NOPROC,
    NOREPLY,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Continue,
    Crash,
    Exit,
    NoReply,
    Pid,
    Reply,
    Runtime,
    Shutdown,
    Stop,
    call,
    cast,
    exit,
    process_info,
    send,
    stop,
    sys,
    until_idle,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, one_turn, parked, raising, returning


def put_off(senders: list[Any]) -> Any:
    """Return a function for a `Probe` that does not answer but keeps the sender in *senders*."""

    def keep(me: Any) -> Any:
        senders.append(me.sender)
        return NOREPLY

    return keep


class ReplyCase(RuntimeCase):
    async def put_off_call(self, server: Pid, timeout: float = 5.0) -> tuple[asyncio.Task[Any], Any]:
        """Return a call that waits, and the sender with which it can be answered."""
        senders: list[Any] = []
        waiting = self.background(server.call(put_off(senders), timeout))
        await self.turn_until(lambda: senders, "the call is handled")
        await until_idle(server)
        return waiting, senders[0]

    async def late(self, server: Pid) -> Any:
        """Return the sender of a call whose caller has given up."""
        waiting, sender = await self.put_off_call(server)
        self.clock.advance(5.0)
        with self.exits(TIMEOUT):
            await waiting
        return sender


class Rule15Replies(ReplyCase):
    async def test_rule_15_a_reply_may_come_any_time_later(self) -> None:
        server = await self.start()
        waiting, sender = await self.put_off_call(server, INFINITY)
        self.clock.advance(1e6)
        await server.call(lambda _: sender.reply("later"))
        self.assertEqual("later", await waiting)

    async def test_rule_15_a_reply_may_come_from_anywhere(self) -> None:
        server, other = await self.start(), await self.start()
        waiting, sender = await self.put_off_call(server)
        sender.reply("from the test")
        self.assertEqual("from the test", await waiting)
        waiting, sender = await self.put_off_call(server)
        other.cast(lambda _: sender.reply("from another server") and None)
        self.assertEqual("from another server", await waiting)
        waiting, sender = await self.put_off_call(server)
        await asyncio.to_thread(sender.reply, "from a thread")
        self.assertEqual("from a thread", await waiting)

    async def test_rule_15_a_reply_may_come_from_a_task_of_the_handler(self) -> None:
        server = await self.start()

        def answer_in_a_task(me: Any) -> Any:
            async def answer(sender: Any = me.sender) -> None:
                await one_turn()
                sender.reply("from a task")

            me.task = asyncio.get_running_loop().create_task(answer())
            return NOREPLY

        self.assertEqual("from a task", await server.call(answer_in_a_task))

    async def test_rule_15_calls_may_be_answered_in_any_order(self) -> None:
        server = await self.start()
        calls = [await self.put_off_call(server) for _ in range(3)]
        for number in (1, 2, 0):
            calls[number][1].reply(number)
            self.assertEqual(number, await calls[number][0])

    async def test_rule_15_the_second_reply_is_dropped(self) -> None:
        server = await self.start()
        waiting, sender = await self.put_off_call(server)
        sender.reply("first")
        sender.reply("second")
        self.assertEqual("first", await waiting)
        sender.reply("third")

        def twice(me: Any) -> Any:
            me.sender.reply("by hand")
            return "by result"

        self.assertEqual("by hand", await server.call(twice))
        self.assertEqual(0, process_info(server).late_replies)
        self.assertEqual([], self.root.messages)

    async def test_rule_15_a_reply_after_the_timeout_is_dropped_and_counted(self) -> None:
        server = await self.start()
        sender = await self.late(server)
        self.assertEqual(0, process_info(server).late_replies)
        sender.reply("late")
        self.assertEqual(1, process_info(server).late_replies)
        self.assertEqual(1, (await sys.statistics(server)).late_replies)
        self.assertEqual(1, self.rt.late_replies)
        self.assertEqual([], self.root.messages)

    async def test_rule_15_a_result_after_the_timeout_is_dropped_and_counted(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        waiting = self.background(server.call(parked(gate, "late")))
        await self.still_pending(waiting)
        self.clock.advance(5.0)
        with self.exits(TIMEOUT):
            await waiting
        gate.set()
        await until_idle(server)
        self.assertEqual((1, 1), (process_info(server).late_replies, self.rt.late_replies))
        self.assertEqual("next", await server.call("next"))

    async def test_rule_15_a_request_that_timed_out_in_the_queue_is_handled_all_the_same(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.suspend(server)
        waiting = self.background(server.call(lambda me: me.note("handled")))
        await self.still_pending(waiting)
        self.clock.advance(5.0)
        with self.exits(TIMEOUT):
            await waiting
        await sys.resume(server)
        await until_idle(server)
        self.assertEqual([("handled",)], diary)
        self.assertEqual(1, process_info(server).late_replies)

    async def test_rule_15_late_replies_never_reach_a_calling_server(self) -> None:
        server, caller, senders = await self.start(), await self.start(), []

        async def call_in_vain(_: Any) -> None:
            with self.exits(TIMEOUT):
                await server.call(put_off(senders))

        caller.cast(call_in_vain)
        await self.turn_until(lambda: senders, "the call is handled")
        await until_idle(server)
        await self.turn_until(self.clock.next_timer, "the deadline is set")
        self.clock.advance(5.0)
        await until_idle(caller)
        senders[0].reply("late")
        self.assertEqual([], await self.diary_of(caller))

    async def test_rule_15_a_reply_whose_server_or_caller_is_dead_is_no_error(self) -> None:
        server, caller, senders = await self.start(), await self.start(), []
        waiting, sender = await self.put_off_call(server)
        exit(server, KILL)
        with self.exits(KILLED):
            await waiting
        sender.reply("too late")
        other = await self.start()
        caller.cast(lambda _: other.call(put_off(senders)))
        await self.turn_until(lambda: senders, "the call is handled")
        exit(caller, KILL)
        await until_idle()
        senders[0].reply("too late")
        self.assertTrue(other.is_alive())


class Rule15RepliesOfAsyncServers(Asynchronous, Rule15Replies):
    pass


class Rule15DeliveredLateReplies(ReplyCase):
    runtime_options: ClassVar = {"late_reply": "deliver"}

    async def test_rule_15_late_replies_can_be_delivered_to_the_root(self) -> None:
        server = await self.start()
        sender = await self.late(server)
        sender.reply("late")
        [(to, value)] = self.root.messages
        self.assertIs(sender, to)
        self.assertEqual("late", value)
        self.assertEqual((1, 1), (process_info(server).late_replies, self.rt.late_replies))

    async def test_rule_15_late_replies_can_be_delivered_to_a_calling_server(self) -> None:
        server, caller, senders = await self.start(), await self.start(), []

        async def call_in_vain(_: Any) -> None:
            with self.exits(TIMEOUT):
                await server.call(put_off(senders))

        caller.cast(call_in_vain)
        await self.turn_until(lambda: senders, "the call is handled")
        await until_idle(server)
        await self.turn_until(self.clock.next_timer, "the deadline is set")
        self.clock.advance(5.0)
        await until_idle(caller)
        senders[0].reply("late")
        self.assertEqual([("info", (senders[0], "late"))], await self.diary_of(caller))

    async def test_rule_15_replies_in_time_are_no_messages(self) -> None:
        server = await self.start()
        self.assertEqual("value", await server.call("value"))
        waiting, sender = await self.put_off_call(server)
        sender.reply("in time")
        sender.reply("second")
        self.assertEqual("in time", await waiting)
        self.assertEqual([], self.root.messages)

    async def test_rule_15_a_late_reply_to_a_dead_caller_is_dropped(self) -> None:
        server, caller, senders = await self.start(), await self.start(), []
        caller.cast(lambda _: server.call(put_off(senders)))
        await self.turn_until(lambda: senders, "the call is handled")
        await until_idle(server)
        await self.turn_until(self.clock.next_timer, "the deadline is set")
        self.clock.advance(5.0)
        await self.dead(caller)
        senders[0].reply("late")
        self.assertTrue(server.is_alive())

    async def test_rule_15_an_unknown_mode_is_refused_and_shown(self) -> None:
        with self.misuse("'keep'", "'deliver'"):
            Runtime(late_reply="keep")  # type: ignore[arg-type]


class Rule16Terminate(RuntimeCase):
    async def test_rule_16_terminate_is_called_once_on_stop_exception_and_request(self) -> None:
        error = ValueError("broken")
        for what, end, reason in (
            ("Stop", lambda pid: pid.cast(returning(Stop("enough"))), "enough"),
            ("a normal Stop", lambda pid: pid.cast(returning(Stop(NORMAL))), NORMAL),
            ("Stop with reason KILL", lambda pid: pid.cast(returning(Stop(KILL))), KILL),
            ("an exception", lambda pid: pid.cast(raising(error)), Crash(error)),
            ("stop()", lambda pid: self.background(stop(pid, "stopped")), "stopped"),
            ("stop() without a reason", lambda pid: self.background(stop(pid)), NORMAL),
        ):
            with self.subTest(what):
                server = await self.start(Probe, diary := [])
                end(server)
                self.assertEqual(reason, await self.dead(server))
                self.assertEqual([("terminate", reason)], diary)

    async def test_rule_16_terminate_is_called_on_an_exit_of_the_parent_while_trapping(self) -> None:
        server = await self.start_link(Probe, diary := [], trap=True)
        exit(server, SHUTDOWN)
        self.assertEqual(SHUTDOWN, await self.dead(server))
        self.assertEqual([("terminate", SHUTDOWN)], diary)

    async def test_rule_16_terminate_is_not_called_on_a_kill(self) -> None:
        for trap in (False, True):
            with self.subTest(trap=trap):
                server = await self.start_link(Probe, diary := [], trap=trap)
                exit(server, KILL)
                await until_idle()
                self.assertEqual((KILLED, []), (server.exit_reason, diary))

    async def test_rule_16_terminate_is_not_called_on_a_signal_while_not_trapping(self) -> None:
        for reason in ("boom", SHUTDOWN, Shutdown("term")):
            with self.subTest(reason=reason):
                server = await self.start_link(Probe, diary := [])
                exit(server, reason)
                await until_idle()
                self.assertEqual((reason, []), (server.exit_reason, diary))

    async def test_rule_16_an_exception_in_terminate_replaces_the_reason(self) -> None:
        error = ValueError("in terminate")
        for what, end in (
            ("Stop", lambda pid: pid.cast(returning(Stop("enough")))),
            ("an exception", lambda pid: pid.cast(raising(KeyError("first")))),
            ("the parent", lambda pid: exit(pid, SHUTDOWN)),
        ):
            with self.subTest(what):
                server = await self.start_link(Probe, diary := [], trap=True)
                await server.call(lambda me: setattr(me, "on_terminate", raising(error)))
                end(server)
                self.assertEqual(Crash(error), await self.dead(server))
                self.assertIs(error, server.exit_reason.exception)
                self.assertEqual(1, len(diary))
                self.assertEqual(Exit(server, Crash(error)), await self.root.receive(Exit))

    async def test_rule_16_an_exception_in_terminate_reaches_the_callers(self) -> None:
        server, error = await self.start(), ValueError("in terminate")
        await server.call(lambda me: setattr(me, "on_terminate", raising(error)))
        with self.exits(Crash(error)):
            await server.call(returning(Stop("enough")))
        other = await self.start()
        await other.call(lambda me: setattr(me, "on_terminate", raising(error)))
        with self.exits(Crash(error)):
            await other.stop()

    async def test_rule_16_what_terminate_returns_does_not_matter(self) -> None:
        for result in (Stop("another reason"), Continue("go"), "odd", NOREPLY):
            with self.subTest(result=result):
                server = await self.start(Probe, diary := [])
                await server.call(lambda me, result=result: setattr(me, "on_terminate", returning(result)))
                await server.stop("enough")
                self.assertEqual(("enough", [("terminate", "enough")]), (server.exit_reason, diary))

    async def test_rule_16_terminate_may_talk_to_others(self) -> None:
        server, other = await self.start(), await self.start(Probe, diary := [])

        def tell(me: Any) -> None:
            async def last_words(reason: Any) -> None:
                cast(other, "a cast")
                diary.append(await other.call("a call"))

            me.on_terminate = last_words

        await server.call(tell)
        await server.stop()
        self.assertEqual([("cast", "a cast"), "a call"], diary)

    async def test_rule_16_calls_and_messages_during_terminate_are_lost(self) -> None:
        server, gate = await self.start(Probe, diary := []), asyncio.Event()
        await server.call(lambda me: setattr(me, "on_terminate", parked(gate)))
        server.cast(returning(Stop("enough")))
        await self.turn_until(lambda: diary, "terminate runs")
        self.assertTrue(server.is_alive())
        waiting = self.background(server.call("late"))
        server.cast("late")
        await self.still_pending(waiting)
        gate.set()
        with self.exits("enough"):
            await waiting
        self.assertEqual([("terminate", "enough")], diary)

    async def test_rule_16_a_kill_ends_a_terminate_that_waits(self) -> None:
        server, gate = await self.start(Probe, diary := []), asyncio.Event()
        await server.call(lambda me: setattr(me, "on_terminate", parked(gate)))
        server.cast(returning(Stop("enough")))
        await self.turn_until(lambda: diary, "terminate runs")
        exit(server, KILL)
        self.assertEqual(KILLED, server.exit_reason)

    async def test_rule_16_terminate_sees_the_state(self) -> None:
        server, seen = await self.start(), []

        def prepare(me: Any) -> None:
            me.state = {"count": 3}
            me.on_terminate = lambda _: seen.append(me.state)

        await server.call(prepare)
        await server.stop()
        self.assertEqual([{"count": 3}], seen)


class Rule16TerminateOfAsyncServers(Asynchronous, Rule16Terminate):
    pass


class Patient(Probe):
    def init(self, timeout: float | None, diary: list[Any]) -> Any:  # type: ignore[override]
        return Reply(super().init(diary), timeout=timeout)


class Rule17TimeoutsAsResults(RuntimeCase):
    async def test_rule_17_a_timeout_is_a_message_to_handle_info(self) -> None:
        for what, arm in {
            "call": lambda pid: pid.call(returning(Reply("r", timeout=2.0))),
            "call without a reply": lambda pid: self.unanswered(pid, returning(NoReply(timeout=2.0))),
            "cast": lambda pid: self.sent(pid, cast, returning(NoReply(timeout=2.0))),
            "info": lambda pid: self.sent(pid, send, returning(NoReply(timeout=2.0))),
            "continue": lambda pid: self.sent(pid, cast, returning(Continue(returning(NoReply(timeout=2.0))))),
        }.items():
            with self.subTest(what):
                server = await self.start(Probe, diary := [])
                await arm(server)
                self.clock.advance(1.9)
                await until_idle(server)
                self.assertEqual([], diary)
                self.clock.advance(0.1)
                await until_idle(server)
                self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_17_init_may_set_a_timeout(self) -> None:
        server = await self.start(Patient, 2.0, diary := [])
        self.clock.advance(1.9)
        await until_idle(server)
        self.assertEqual([], diary)
        self.clock.advance(0.1)
        await until_idle(server)
        self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_17_a_timeout_comes_once(self) -> None:
        server = await self.start(Patient, 2.0, diary := [])
        for _ in range(5):
            self.clock.advance(2.0)
            await until_idle(server)
        self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_17_any_message_cancels_it(self) -> None:
        for what, message in {
            "call": lambda pid: pid.call("x"),
            "cast": lambda pid: self.sent(pid, cast, "x"),
            "info": lambda pid: self.sent(pid, send, "x"),
            "exit": lambda pid: self.sent(pid, exit, "boom"),
        }.items():
            with self.subTest(what):
                server = await self.start(Patient, 2.0, diary := [])
                await server.call(lambda me: me.note("first"))  # Cancels the first timeout.
                self.clock.advance(10.0)
                await until_idle(server)
                self.assertEqual([("first",)], diary)
                if what == "exit":
                    server = await self.start(Probe, diary, trap=True)
                await server.call(returning(Reply("r", timeout=2.0)))
                self.clock.advance(1.0)
                await message(server)
                self.clock.advance(10.0)
                await until_idle(server)
                self.assertNotIn(("info", TIMEOUT), diary)

    async def test_rule_17_a_message_in_the_queue_comes_first_and_cancels_it(self) -> None:
        server = await self.start(Probe, diary := [])
        server.cast(returning(NoReply(timeout=0)))
        server.cast("queued")
        await until_idle(server)
        self.clock.advance(10.0)
        await until_idle(server)
        self.assertEqual([("cast", "queued")], diary)

    async def test_rule_17_a_timeout_of_zero_comes_without_time_passing(self) -> None:
        server = await self.start(Probe, diary := [])
        server.cast(returning(NoReply(timeout=0)))
        await until_idle(server)
        self.clock.advance(0)
        await until_idle(server)
        self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_17_a_new_result_sets_a_new_timeout(self) -> None:
        server = await self.start(Probe, diary := [])
        for _ in range(3):
            server.cast(returning(NoReply(timeout=2.0)))
            await until_idle(server)
            self.clock.advance(1.5)
            await until_idle(server)
        self.assertEqual([], diary)
        self.clock.advance(0.5)
        await until_idle(server)
        self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_17_a_handler_of_the_timeout_may_set_the_next(self) -> None:
        server = await self.start(Ticking, diary := [])
        for _ in range(3):
            self.clock.advance(1.0)
            await until_idle(server)
        self.assertEqual(["tick"] * 3, diary)

    async def test_rule_17_a_system_message_does_not_lose_it(self) -> None:
        server = await self.start(Patient, 2.0, diary := [])
        await sys.get_state(server)
        await sys.sync(server)
        self.clock.advance(4.0)
        await until_idle(server)
        self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_17_an_infinite_timeout_never_comes(self) -> None:
        server = await self.start(Patient, INFINITY, diary := [])
        self.clock.advance(1e9)
        await until_idle(server)
        self.assertEqual([], diary)

    async def test_rule_17_a_dead_server_has_no_timeout(self) -> None:
        server = await self.start(Patient, 2.0, diary := [])
        exit(server, KILL)
        self.assertIsNone(self.clock.next_timer())
        self.clock.advance(10.0)
        self.assertEqual([], diary)

    async def sent(self, pid: Pid, how: Any, message: Any) -> None:
        how(pid, message)
        await until_idle(pid)

    async def unanswered(self, pid: Pid, request: Any) -> None:
        self.background(pid.call(request, INFINITY))
        await self.turn_until(lambda: process_info(pid).messages_in, "the call arrived")
        await until_idle(pid)


class Ticking(Probe):
    def init(self, ticks: list[Any]) -> Any:  # type: ignore[override]
        return Reply(ticks, timeout=1.0)

    def handle_info(self, message: Any) -> Any:
        self.state.append("tick")
        return NoReply(timeout=1.0)


class Rule17TimeoutsOfAsyncServers(Asynchronous, Rule17TimeoutsAsResults):
    pass


class Rule18Stopping(RuntimeCase):
    async def test_rule_18_stop_waits_for_the_end(self) -> None:
        server, gate = await self.start(Probe, diary := []), asyncio.Event()
        await server.call(lambda me: setattr(me, "on_terminate", parked(gate)))
        stopping = self.background(stop(server, "enough"))
        await self.turn_until(lambda: diary, "terminate runs")
        await self.still_pending(stopping)
        self.assertTrue(server.is_alive())
        gate.set()
        self.assertIsNone(await stopping)
        self.assertEqual("enough", server.exit_reason)

    async def test_rule_18_the_reason_is_normal_unless_given(self) -> None:
        for reason in (NORMAL, SHUTDOWN, Shutdown("term"), "boom"):
            with self.subTest(reason=reason):
                server = await self.start(Probe, diary := [])
                await (server.stop() if reason == NORMAL else server.stop(reason))
                self.assertEqual((reason, [("terminate", reason)]), (server.exit_reason, diary))

    async def test_rule_18_stop_waits_for_ever_unless_told_otherwise(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        server.cast(parked(gate))
        stopping = self.background(server.stop())
        await self.still_pending(stopping)
        self.clock.advance(1e9)
        await self.still_pending(stopping)
        gate.set()
        await stopping

    async def test_rule_18_a_stop_that_takes_too_long_exits_timeout(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        server.cast(parked(gate))
        stopping = self.background(server.stop("enough", 2.0))
        await self.still_pending(stopping)
        self.clock.advance(1.9)
        await self.still_pending(stopping)
        self.clock.advance(0.1)
        with self.exits(TIMEOUT):
            await stopping

    async def test_rule_18_stopping_the_dead_or_unknown_exits_noproc(self) -> None:
        server = await self.start(Probe, name="short")
        exit(server, KILL)
        for target in (server, "short", "nobody", lambda: server):
            with self.subTest(target=target), self.exits(NOPROC):
                await stop(target)
        with self.exits(NOPROC):
            await server.stop()

    async def test_rule_18_the_messages_before_the_stop_are_handled_first(self) -> None:
        server = await self.start(Probe, diary := [])
        for number in range(3):
            server.cast(number)
        await server.stop()
        self.assertEqual([("cast", 0), ("cast", 1), ("cast", 2), ("terminate", NORMAL)], diary)

    async def test_rule_18_a_server_that_ends_with_another_reason_fails_the_stop_with_it(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        server.cast(parked(gate))
        stopping = self.background(server.stop())
        await self.still_pending(stopping)
        exit(server, KILL)
        with self.exits(KILLED):
            await stopping

    async def test_rule_18_a_suspended_server_can_be_stopped(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.suspend(server)
        stopping = self.background(server.stop())
        await self.turn_until(stopping.done, "the suspended server stops")
        self.assertEqual([("terminate", NORMAL)], diary)

    async def test_rule_18_two_stops_at_once_both_return(self) -> None:
        server = await self.start()
        first, second = self.background(server.stop("enough")), self.background(server.stop("enough"))
        await first
        await second

    async def test_rule_18_a_server_that_stops_itself_by_request_exits_calling_self(self) -> None:
        server = await self.start()

        async def stop_myself(me: Any) -> None:
            with self.exits("calling_self"):
                await stop(me.pid)

        await server.call(stop_myself)

    async def test_rule_18_a_linked_starter_hears_of_the_end(self) -> None:
        server = await self.start_link()
        await server.stop()
        self.assertEqual([Exit(server, NORMAL)], self.root.messages)

    async def test_rule_18_a_senseless_timeout_is_refused_and_the_server_lives_on(self) -> None:
        server = await self.start()
        for timeout in (-1, float("nan"), "5", None):
            with self.subTest(timeout=timeout), self.misuse(repr(timeout)):
                await server.stop(NORMAL, timeout)
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_18_a_call_waits_five_seconds_unless_told_otherwise(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        for make in (lambda: server.call("x"), lambda: call(server, "x"), lambda: sys.sync(self.busy)):
            self.busy = await self.start()
            self.busy.cast(parked(asyncio.Event()))
            waiting = self.background(make())
            await self.still_pending(waiting)
            self.clock.advance(4.9)
            await self.still_pending(waiting)
            self.clock.advance(0.1)
            with self.exits(TIMEOUT):
                await waiting


class Rule18StoppingAsyncServers(Asynchronous, Rule18Stopping):
    pass
