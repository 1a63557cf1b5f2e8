"""Rules 33 to 36: what the runtime offers to tests: root, idleness, time, interception and seeded schedules."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from supertester._core.clock import ManualClock
from supertester.errors import UsageError, WaitTimeout
from supertester.otp import (
    INFINITY,
    KILL,
    KILLED,
    SHUTDOWN,
    TIMEOUT,
    ChildSpec,
    Down,
    Exit,
    Pid,
    Runtime,
    Stop,
    Supervisor,
    cast,
    exit,
    flag_trap_exit,
    intercept,
    link,
    monitor,
    process_info,
    self_pid,
    send,
    send_after,
    sys,
    until_idle,
    whereis,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, one_turn, parked, returning


class Rule33Root(RuntimeCase):
    async def test_rule_33_a_root_traps_exits_and_collects_what_it_is_sent(self) -> None:
        server = await self.start_link()
        ref = monitor(server)
        send(self.root, "a message")
        exit(server, "boom")
        self.assertTrue(self.root.is_alive())
        self.assertTrue(process_info(self.root).trap_exit)
        self.assertEqual("a message", self.root.messages[0])
        self.assertCountEqual([Exit(server, "boom"), Down(ref, server, "boom")], self.root.messages[1:])

    async def test_rule_33_receive_takes_the_first_message(self) -> None:
        for number in range(3):
            send(self.root, number)
        self.assertEqual([0, 1], [await self.root.receive(), await self.root.receive()])
        self.assertEqual([2], self.root.messages)

    async def test_rule_33_receive_takes_what_matches_and_leaves_the_rest(self) -> None:
        for message in (1, "two", Exit(None, "boom"), 4, "five"):
            send(self.root, message)
        self.assertEqual("five", await self.root.receive("five"))
        self.assertEqual(Exit(None, "boom"), await self.root.receive(Exit))
        self.assertEqual(4, await self.root.receive(lambda message: message == 4))
        self.assertEqual([1, "two"], self.root.messages)
        self.assertEqual("two", await self.root.receive(str))

    async def test_rule_33_receive_waits_for_what_matches(self) -> None:
        waiting = self.background(self.root.receive(int))
        await self.still_pending(waiting)
        send(self.root, "no number")
        await self.still_pending(waiting)
        send(self.root, 7)
        self.assertEqual(7, await waiting)
        self.assertEqual(["no number"], self.root.messages)

    async def test_rule_33_receive_gives_up_and_says_what_came_instead(self) -> None:
        send(self.root, "no number")
        waiting = self.background(self.root.receive(int, timeout=2.0))
        await self.still_pending(waiting)
        self.clock.advance(1.9)
        await self.still_pending(waiting)
        self.clock.advance(0.1)
        with self.assertRaises(WaitTimeout) as caught:
            await waiting
        self.assertIn("'no number'", str(caught.exception))
        with self.assertRaises(WaitTimeout):
            await self.root.receive(int, timeout=0)
        self.assertEqual("no number", await self.root.receive(timeout=0))

    async def test_rule_33_receive_refuses_a_senseless_timeout(self) -> None:
        for timeout in (-1, float("nan"), None, "5"):
            with self.subTest(timeout=timeout), self.misuse(repr(timeout)):
                await self.root.receive(timeout=timeout)

    async def test_rule_33_the_root_is_the_parent_of_what_the_test_starts(self) -> None:
        linked, bare = await self.start_link(), await self.start()
        self.assertEqual(self.root, linked.parent)
        self.assertIn(self.root, process_info(bare).ancestors)
        self.assertEqual([linked, bare], list(self.rt.descendants(self.root)))

    async def test_rule_33_descendants_are_found_through_generations_oldest_first(self) -> None:
        supervisor = await self.supervise(self.child("a", []), self.child("b", []))
        stranger_root = self.rt.new_root("other")
        token = self.rt.activate(stranger_root)
        stranger = await self.start()
        self.rt.deactivate(token)
        grandchild = await self.start_under(whereis("a"))
        expected = [supervisor, whereis("a"), whereis("b"), grandchild]
        self.assertEqual(expected, list(self.rt.descendants(self.root)))
        self.assertEqual([stranger], list(self.rt.descendants(stranger_root)))
        self.assertEqual([grandchild], list(self.rt.descendants(whereis("a"))))

    async def test_rule_33_descendants_of_the_dead_are_still_known(self) -> None:
        parent = await self.start()
        child = await parent.call(lambda _: self.flavour(Probe).start())
        exit(parent, KILL)
        self.assertEqual([child], list(self.rt.descendants(parent)))
        self.assertEqual([child], list(self.rt.descendants(self.root)))

    async def test_rule_33_the_live_processes_are_known_in_the_order_of_their_start(self) -> None:
        servers = [await self.start() for _ in range(4)]
        exit(servers[1], KILL)
        self.assertEqual([servers[0], *servers[2:]], [pid for pid in self.rt.processes if pid is not self.root])

    async def test_rule_33_every_start_is_announced(self) -> None:
        seen: list[Pid] = []
        self.rt.on_spawn.append(seen.append)
        supervisor = await self.supervise(self.child("a", []))
        first = whereis("a")
        await self.end(first, KILLED)
        self.assertEqual([supervisor, first, whereis("a")], seen)

    async def test_rule_33_deaths_are_kept_as_evidence(self) -> None:
        first, second = await self.start(), await self.start()
        self.clock.advance(3.0)
        exit(first, "boom")
        self.clock.advance(1.0)
        exit(second, KILL)
        seen = [(death.pid, death.reason, death.at) for death in self.rt.deaths]
        self.assertEqual([(first, "boom", 3.0), (second, KILLED, 4.0)], seen[-2:])

    async def test_rule_33_tasks_that_a_handler_starts_belong_to_its_process(self) -> None:
        server, seen = await self.start(), []

        async def background() -> None:
            seen.append(self_pid())

        def spawn(me: Any) -> None:
            me.task = asyncio.get_running_loop().create_task(background())

        await server.call(spawn)
        await self.turn_until(lambda: seen, "the task runs")
        self.assertEqual([server], seen)

    async def test_rule_33_the_tasks_of_processes_are_known(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        tasks: list[Any] = []

        async def look(_: Any) -> None:
            tasks.append(asyncio.current_task())
            await gate.wait()

        server.cast(look)
        await self.turn_until(lambda: tasks, "the handler runs")
        self.assertIn(tasks[0], self.rt.tasks)
        exit(server, KILL)
        await self.turn_until(lambda: tasks[0] not in self.rt.tasks, "the task ends")

    async def test_rule_33_closing_kills_everything_and_returns_when_it_is_gone(self) -> None:
        gate, diary = asyncio.Event(), []
        async with Runtime(clock=ManualClock()) as runtime:
            root = runtime.new_root()
            token = runtime.activate(root)
            supervisor = await Supervisor.start_link([self.child(label, diary) for label in "ab"])
            busy = await Probe.start()
            busy.cast(parked(gate))
            await sys.sync(supervisor)
            pids = list(runtime.processes)
            runtime.deactivate(token)
            self.assertEqual([], await runtime.close())
            self.assertEqual([], list(runtime.processes))
            self.assertEqual({KILLED}, {pid.exit_reason for pid in pids})
        self.assertEqual([("a", "start"), ("b", "start")], diary)

    async def test_rule_33_leaving_a_runtime_kills_what_is_left(self) -> None:
        async with Runtime() as runtime:
            server = await Probe.start()
            self.assertIs(runtime, server.runtime)
        self.assertEqual(KILLED, server.exit_reason)
        self.assertIs(self.rt, (await self.start()).runtime)

    async def test_rule_33_a_failing_body_kills_what_is_left_too(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            async with Runtime():
                server = await Probe.start()
                raise ZeroDivisionError
        self.assertEqual(KILLED, server.exit_reason)

    async def test_rule_33_messages_are_remembered_as_evidence_if_asked_for(self) -> None:
        async with Runtime(history=3):
            server = await self.start()
            for number in range(5):
                cast(server, number)
            await sys.sync(server)
            exit(server, KILL)
            self.assertEqual(3, len(server.recent_messages))
            self.assertIn("4", repr(server.recent_messages[-1]))
        forgetful = await self.start()
        cast(forgetful, 1)
        await sys.sync(forgetful)
        self.assertEqual([], list(forgetful.recent_messages))

    async def test_rule_33_what_makes_no_sense_to_a_runtime_is_refused(self) -> None:
        with self.misuse("-1"):
            Runtime(history=-1)
        with self.assertRaises(TypeError):
            Runtime(colour="green")  # type: ignore[call-arg]

    async def test_rule_33_acting_for_a_process_needs_one(self) -> None:
        other = await self.start()
        token = self.rt.activate(None)
        for function in (self_pid, flag_trap_exit, lambda: link(other), lambda: monitor(other)):
            with self.assertRaises(UsageError):
                function()
        self.rt.deactivate(token)
        self.assertEqual(self.root, self_pid())


class Rule33RootWithAsyncServers(Asynchronous, Rule33Root):
    pass


class Rule34Idleness(RuntimeCase):
    async def test_rule_34_everything_that_one_message_sets_off_is_done(self) -> None:
        diary: list[Any] = []
        ring = [await self.start(Probe, diary) for _ in range(10)]

        def pass_on(left: int) -> Any:
            def handler(me: Any) -> None:
                me.note(left)
                if left:
                    cast(ring[left % 10], pass_on(left - 1))

            return handler

        cast(ring[0], pass_on(100))
        await until_idle()
        self.assertEqual([(left,) for left in range(100, -1, -1)], diary)

    async def test_rule_34_processes_that_start_meanwhile_are_waited_for(self) -> None:
        server, diary = await self.start(), []

        async def start_more(_: Any) -> None:
            child = await self.start(Probe, diary)
            for number in range(3):
                cast(child, number)

        server.cast(start_more)
        await until_idle()
        self.assertEqual(3, len(diary))

    async def test_rule_34_restarts_are_waited_for(self) -> None:
        await self.supervise(*(self.child(label, []) for label in "abc"), strategy="one_for_all")
        exit(whereis("b"), KILL)
        await until_idle()
        self.assertTrue(all(whereis(label).is_alive() for label in "abc"))

    async def test_rule_34_a_handler_that_waits_is_not_idle(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        server.cast(parked(gate))
        waiting = self.background(until_idle())
        await self.still_pending(waiting)
        gate.set()
        await waiting

    async def test_rule_34_only_the_given_processes_are_waited_for(self) -> None:
        busy, idle, gate = await self.start(), await self.start(Probe, diary := []), asyncio.Event()
        busy.cast(parked(gate))
        cast(idle, 1)
        await until_idle(idle)
        self.assertEqual([("cast", 1)], diary)
        waiting = self.background(until_idle(busy, idle))
        await self.still_pending(waiting)
        gate.set()
        await waiting

    async def test_rule_34_who_is_idle_already_is_not_waited_for(self) -> None:
        await self.start()
        await until_idle()
        await until_idle(timeout=0)

    async def test_rule_34_giving_up_names_who_is_busy(self) -> None:
        server = await self.start(Probe, name="busy bee")
        await self.start(Probe, name="lazy bee")
        server.cast(parked(asyncio.Event()))
        waiting = self.background(until_idle(timeout=2.0))
        await self.still_pending(waiting)
        self.clock.advance(1.9)
        await self.still_pending(waiting)
        self.clock.advance(0.1)
        with self.assertRaises(WaitTimeout) as caught:
            await waiting
        self.assertIn("busy bee", str(caught.exception))
        self.assertNotIn("lazy bee", str(caught.exception))

    async def test_rule_34_a_suspended_server_with_messages_is_not_idle(self) -> None:
        server = await self.start(Probe, name="asleep")
        await sys.suspend(server)
        await until_idle()
        cast(server, 1)
        waiting = self.background(until_idle(timeout=2.0))
        await self.still_pending(waiting)
        self.clock.advance(2.0)
        with self.assertRaises(WaitTimeout) as caught:
            await waiting
        self.assertIn("asleep", str(caught.exception))
        await sys.resume(server)
        await until_idle()

    async def test_rule_34_a_put_off_reply_and_a_timer_are_not_waited_for(self) -> None:
        server, senders = await self.start(), []
        from supertester.otp import NOREPLY

        calling = self.background(server.call(lambda me: senders.append(me.sender) or NOREPLY))
        await self.turn_until(lambda: senders, "the call is handled")
        send_after(server, "later", 10.0)
        await until_idle()
        senders[0].reply(1)
        self.assertEqual(1, await calling)

    async def test_rule_34_a_process_that_dies_is_idle(self) -> None:
        server = await self.start()
        server.cast(parked(asyncio.Event()))
        waiting = self.background(until_idle(server))
        await self.still_pending(waiting)
        exit(server, KILL)
        await waiting

    async def test_rule_34_the_dead_and_unknown_are_refused_and_shown(self) -> None:
        server = await self.start(Probe, name="short")
        exit(server, KILL)
        with self.misuse("short"):
            await until_idle(server)
        with self.misuse("'nobody'"):
            await until_idle("nobody")
        with self.misuse("-1"):
            await until_idle(timeout=-1)

    async def test_rule_34_unread_messages_of_the_root_do_not_matter(self) -> None:
        send(self.root, "unread")
        await until_idle()

    async def test_rule_34_two_may_wait_at_the_same_time(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        server.cast(parked(gate))
        both = [self.background(until_idle()), self.background(until_idle(server))]
        for each in both:
            await self.still_pending(each)
        gate.set()
        await asyncio.gather(*both)

    async def test_rule_34_a_call_in_flight_between_servers_is_waited_for(self) -> None:
        one, other, diary = await self.start(), await self.start(), []

        async def ask(_: Any) -> None:
            diary.append(await other.call("answer"))

        one.cast(ask)
        await until_idle()
        self.assertEqual(["answer"], diary)


class Rule34IdlenessOfAsyncServers(Asynchronous, Rule34Idleness):
    pass


class Rule35Time(RuntimeCase):
    async def test_rule_35_timers_fire_in_the_order_of_their_time(self) -> None:
        server = await self.start(Probe, diary := [])
        for seconds in (3.0, 1.0, 2.0, 1.0, 0.5):
            send_after(server, seconds, seconds)
        self.clock.advance(0.4)
        await until_idle()
        self.assertEqual([], diary)
        self.clock.advance(10.0)
        await until_idle()
        self.assertEqual([("info", seconds) for seconds in (0.5, 1.0, 1.0, 2.0, 3.0)], diary)

    async def test_rule_35_a_timer_can_be_cancelled(self) -> None:
        server = await self.start(Probe, diary := [])
        send_after(server, "dropped", 1.0).cancel()
        timer = send_after(server, "kept", 1.0)
        self.clock.advance(1.0)
        timer.cancel()
        await until_idle()
        self.assertEqual([("info", "kept")], diary)

    async def test_rule_35_a_timer_for_a_name_finds_who_has_it_then(self) -> None:
        diary: list[Any] = []
        await self.supervise(ChildSpec("a", self.flavour(Probe), (diary,), {"name": "a"}))
        send_after("a", "for the heir", 1.0)
        send_after("nobody", "for nobody", 1.0)
        await self.end(whereis("a"), KILLED)
        self.clock.advance(1.0)
        await until_idle()
        self.assertEqual([("info", "for the heir")], diary)

    async def test_rule_35_a_timer_for_the_dead_does_nothing(self) -> None:
        server = await self.start(Probe, diary := [])
        send_after(server, "late", 1.0)
        exit(server, KILL)
        self.clock.advance(1.0)
        self.assertEqual([], diary)

    async def test_rule_35_a_senseless_delay_is_refused(self) -> None:
        for seconds in (-1, float("nan"), "soon", None):
            with self.subTest(seconds=seconds), self.misuse(repr(seconds)):
                send_after(self.root, "x", seconds)
        self.assertIsNone(self.clock.next_timer())

    async def test_rule_35_every_timeout_stands_still_with_the_clock(self) -> None:
        busy, gate = await self.start(), asyncio.Event()
        busy.cast(parked(gate))
        stubborn = await self.supervise(self.child("a", [], shutdown=1.0))
        await whereis("a").call(lambda me: setattr(me, "on_terminate", parked(gate)))
        waits = [
            busy.call("x", 1.0),
            sys.get_state(busy, timeout=1.0),
            busy.stop(timeout=1.0),
            self.root.receive(int, timeout=1.0),
            until_idle(busy, timeout=1.0),
            self.start(Starting, gate, timeout=1.0),
            stubborn.stop(),
        ]
        tasks = [self.background(wait) for wait in waits]
        for task in tasks:
            await self.still_pending(task)
        self.clock.advance(0.99)
        for task in tasks:
            await self.still_pending(task)
        self.clock.advance(0.01)
        await asyncio.wait(tasks)
        self.assertEqual([True] * 6 + [False], [task.exception() is not None for task in tasks])

    async def test_rule_35_time_may_jump_over_many_deadlines_at_once(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        calls = [self.background(server.call(n, timeout)) for n, timeout in enumerate((5.0, 1.0, 5.0, 30.0, INFINITY))]
        await self.still_pending(calls[-1])
        self.clock.advance(10.0)
        for task in calls[:3]:
            with self.exits(TIMEOUT):
                await task
        await self.still_pending(calls[3])
        self.clock.advance(20.0)
        with self.exits(TIMEOUT):
            await calls[3]
        await self.still_pending(calls[4])

    async def test_rule_35_the_patience_of_a_call_begins_with_the_call(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        for timeout in (5.0, 2.0, 0):
            call = self.background(server.call("x", timeout))
            await asyncio.sleep(0)  # It has called, and no more than that.
            self.clock.advance(timeout)
            with self.subTest(timeout=timeout), self.exits(TIMEOUT):
                await call

    async def test_rule_35_without_a_clock_the_loop_keeps_the_time(self) -> None:
        async with Runtime() as runtime:
            loop = asyncio.get_running_loop()
            before = loop.time()
            self.assertLessEqual(before, runtime.clock.time())
            self.assertLessEqual(runtime.clock.time(), loop.time())
            root = runtime.new_root()
            send_after(root, "now", 0.0)
            self.assertEqual("now", await root.receive())


class Starting(Probe):
    def init(self, gate: asyncio.Event) -> Any:  # type: ignore[override]
        return parked(gate)(self)


class Rule35TimeWithAsyncServers(Asynchronous, Rule35Time):
    pass


class Rule36Interceptors(RuntimeCase):
    async def test_rule_36_messages_can_be_dropped(self) -> None:
        server = await self.start(Probe, diary := [])
        with intercept(server, lambda message: [] if message == "bad" else [message]):
            for message in ("good", "bad", "good"):
                cast(server, message)
                send(server, message)
        await until_idle()
        self.assertEqual([("cast", "good"), ("info", "good")] * 2, diary)

    async def test_rule_36_messages_can_be_duplicated(self) -> None:
        server = await self.start(Probe, diary := [])
        with intercept(server, lambda message: [message, message]):
            cast(server, 1)
            send(server, 2)
        await until_idle()
        self.assertEqual([("cast", 1)] * 2 + [("info", 2)] * 2, diary)

    async def test_rule_36_messages_can_be_replaced_and_keep_their_kind(self) -> None:
        server = await self.start(Probe, diary := [])
        with intercept(server, lambda message: [f"not {message}", "and more"]):
            cast(server, 1)
            send(server, 2)
        await until_idle()
        expected = [("cast", "not 1"), ("cast", "and more"), ("info", "not 2"), ("info", "and more")]
        self.assertEqual(expected, diary)

    async def test_rule_36_messages_can_be_delayed_and_reordered(self) -> None:
        server, kept = await self.start(Probe, diary := []), []

        def hold_back(message: Any) -> list[Any]:
            kept.append(message)
            return []

        with intercept(server, hold_back):
            for number in range(3):
                cast(server, number)
        await until_idle()
        self.assertEqual([], diary)
        for message in reversed(kept):
            cast(server, message)
        await until_idle()
        self.assertEqual([("cast", 2), ("cast", 1), ("cast", 0)], diary)

    async def test_rule_36_messages_can_be_watched(self) -> None:
        server, seen = await self.start(Probe, diary := []), []

        def watch(message: Any) -> list[Any]:
            seen.append(message)
            return [message]

        with intercept(server, watch):
            cast(server, 1)
            send(server, 2)
            self.assertEqual(3, await server.call(3))
        self.assertEqual([1, 2, 3], seen)
        self.assertEqual([("cast", 1), ("info", 2)], diary)

    async def test_rule_36_a_dropped_call_times_out(self) -> None:
        server = await self.start()
        with intercept(server, lambda _: []):
            calling = self.background(server.call("lost"))
            await self.still_pending(calling)
        self.clock.advance(5.0)
        with self.exits(TIMEOUT):
            await calling
        self.assertEqual("found", await server.call("found"))

    async def test_rule_36_a_duplicated_call_is_handled_twice_and_answered_once(self) -> None:
        server, answers = await self.start(), iter(["first", "second"])
        with intercept(server, lambda message: [message, message]):
            self.assertEqual("first", await server.call(lambda _: next(answers)))
        await until_idle()
        self.assertIsNone(next(answers, None))
        self.assertEqual([], self.root.messages)

    async def test_rule_36_a_replaced_call_is_answered_for_what_replaced_it(self) -> None:
        server = await self.start()
        with intercept(server, lambda message: [f"not {message}"]):
            self.assertEqual("not x", await server.call("x"))

    async def test_rule_36_several_interceptors_work_in_turn_and_only_in_their_block(self) -> None:
        server = await self.start(Probe, diary := [])
        with intercept(server, lambda message: [f"{message}1"]):
            with intercept(server, lambda message: [f"{message}2"]):
                cast(server, "a")
            cast(server, "b")
        cast(server, "c")
        await until_idle()
        self.assertEqual([("cast", "a12"), ("cast", "b1"), ("cast", "c")], diary)

    async def test_rule_36_interceptors_may_end_in_any_order(self) -> None:
        server = await self.start(Probe, diary := [])
        outer, inner = intercept(server, lambda m: [f"{m}1"]), intercept(server, lambda m: [f"{m}2"])
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        cast(server, "a")
        inner.__exit__(None, None, None)
        cast(server, "b")
        await until_idle()
        self.assertEqual([("cast", "a2"), ("cast", "b")], diary)

    async def test_rule_36_only_the_target_is_intercepted(self) -> None:
        server, other = await self.start(), await self.start(Probe, diary := [])
        with intercept(server, lambda _: []):
            cast(other, 1)
        await until_idle()
        self.assertEqual([("cast", 1)], diary)

    async def test_rule_36_system_messages_and_stop_are_never_intercepted(self) -> None:
        server = await self.start(Probe, ["state"])
        with intercept(server, lambda _: []):
            self.assertEqual(["state"], await sys.get_state(server))
            await sys.sync(server)
            await sys.suspend(server)
            await sys.resume(server)
            await server.stop()
        self.assertFalse(server.is_alive())

    async def test_rule_36_exit_signals_that_end_a_process_are_not_intercepted(self) -> None:
        server = await self.start()
        with intercept(server, lambda _: []):
            exit(server, "boom")
        self.assertEqual("boom", server.exit_reason)

    async def test_rule_36_exit_and_down_messages_are_intercepted(self) -> None:
        server, victim = await self.start(Probe, diary := [], trap=True), await self.start()
        await server.call(lambda _: monitor(victim) and link(victim))
        seen: list[Any] = []
        with intercept(server, lambda message: seen.append(message) or []):
            exit(victim, "boom")
        await until_idle()
        self.assertEqual([], diary)
        self.assertEqual({Exit, Down}, {type(message) for message in seen})

    async def test_rule_36_the_root_can_be_intercepted(self) -> None:
        with intercept(self.root, lambda _: ["replaced"]):
            send(self.root, "x")
        send(self.root, "y")
        self.assertEqual(["replaced", "y"], self.root.messages)

    async def test_rule_36_a_target_may_die_in_the_block(self) -> None:
        server = await self.start()
        with intercept(server, lambda message: [message]):
            exit(server, KILL)
            cast(server, 1)
        self.assertEqual(KILLED, server.exit_reason)

    async def test_rule_36_messages_from_before_the_block_are_left_alone(self) -> None:
        server = await self.start(Probe, diary := [])
        cast(server, "before")
        with intercept(server, lambda _: []):
            await until_idle()
        self.assertEqual([("cast", "before")], diary)

    async def test_rule_36_the_dead_and_unknown_cannot_be_intercepted(self) -> None:
        server = await self.start(Probe, name="short")
        exit(server, KILL)
        for target in (server, "nobody"):
            with self.assertRaises(UsageError), intercept(target, lambda message: [message]):
                pass


class Rule36InterceptorsOfAsyncServers(Asynchronous, Rule36Interceptors):
    pass


class Rule36SeededSchedules(RuntimeCase):
    async def order(self, seed: int | None) -> list[Any]:
        """Return in which order five servers handle four messages each."""
        diary: list[Any] = []
        async with Runtime(seed=seed):
            servers = [await self.start(Probe, diary, label=label) for label in "abcde"]
            for number in range(4):
                for server in servers:
                    cast(server, number)
            await until_idle()
        return diary

    async def test_rule_36_the_same_seed_gives_the_same_order(self) -> None:
        for seed in (0, 1, 42):
            first = await self.order(seed)
            for _ in range(3):
                self.assertEqual(first, await self.order(seed))

    async def test_rule_36_different_seeds_give_different_orders(self) -> None:
        orders = {tuple(await self.order(seed)) for seed in range(10)}
        self.assertGreater(len(orders), 5)

    async def test_rule_36_every_message_is_handled_once_and_in_its_senders_order(self) -> None:
        for seed in range(10):
            diary = await self.order(seed)
            self.assertEqual(20, len(diary))
            for label in "abcde":
                self.assertEqual([(label, "cast", n) for n in range(4)], [e for e in diary if e[0] == label])

    async def test_rule_36_without_a_seed_the_order_is_the_same_each_time(self) -> None:
        first = await self.order(None)
        self.assertEqual(first, await self.order(None))

    async def test_rule_36_seeds_find_a_race_that_the_usual_order_hides(self) -> None:
        async def last_writer(seed: int | None) -> Any:
            async with Runtime(seed=seed):
                store, writers = await self.start(), [await self.start() for _ in range(2)]

                def write(value: int) -> Any:
                    return lambda _: cast(store, lambda me: setattr(me, "state", value))

                for number, writer in enumerate(writers):
                    cast(writer, write(number))
                await until_idle()
                return await sys.get_state(store)

        self.assertEqual(1, await last_writer(None))
        self.assertEqual({0, 1}, {await last_writer(seed) for seed in range(20)})

    async def test_rule_36_calls_between_servers_work_under_every_seed(self) -> None:
        async def play(seed: int) -> list[Any]:
            diary: list[Any] = []
            async with Runtime(seed=seed):
                counter = await self.start()
                callers = [await self.start() for _ in range(4)]

                def ask(label: str) -> Any:
                    async def handler(_: Any) -> None:
                        for _ in range(3):
                            reply = await counter.call(label)
                            diary.append((label, reply))

                    return handler

                for label, caller in zip("abcd", callers, strict=True):
                    caller.cast(ask(label))
                await until_idle()
            return diary

        orders = set()
        for seed in range(10):
            diary = await play(seed)
            self.assertEqual(12, len(diary))
            self.assertEqual(diary, await play(seed))
            orders.add(tuple(diary))
        self.assertGreater(len(orders), 3)

    async def test_rule_36_a_supervision_tree_works_under_every_seed(self) -> None:
        for seed in range(10):
            diary: list[Any] = []
            async with Runtime(seed=seed) as runtime:
                supervisor = await Supervisor.start_link(
                    [self.child(label, diary) for label in "abc"], strategy="one_for_all"
                )
                diary.clear()
                exit(whereis("b"), KILL)
                await until_idle()
                ends = [(label, "terminate", SHUTDOWN) for label in "ca"]
                self.assertEqual(ends + [(label, "start") for label in "abc"], diary)
                self.assertIs(runtime, supervisor.runtime)

    async def test_rule_36_stopping_is_fair_under_every_seed(self) -> None:
        for seed in range(5):
            async with Runtime(seed=seed):
                server = await self.start()
                with self.exits("enough"):
                    await server.call(returning(Stop("enough")))

    async def test_rule_36_a_server_that_talks_to_itself_does_not_starve_the_others(self) -> None:
        for options in ({}, {"seed": 3}):
            async with Runtime(**options):
                talker, other = await self.start(), await self.start()

                def talk(me: Any) -> None:
                    cast(me.pid, talk)

                cast(talker, talk)
                self.assertEqual("heard", await other.call("heard"))
                exit(talker, KILL)

    async def test_rule_36_a_flood_of_messages_does_not_starve_the_loop(self) -> None:
        server, seen = await self.start(), []

        async def bystander() -> None:
            await one_turn()
            await one_turn()
            seen.append(process_info(server).message_queue_len)

        for _ in range(20_000):
            cast(server, returning(None))
        await self.background(bystander())
        self.assertGreater(seen[0], 0)
        await until_idle()


class Rule36SeededSchedulesOfAsyncServers(Asynchronous, Rule36SeededSchedules):
    pass


class Rule36DirectCalls(RuntimeCase):
    runtime_options: ClassVar = {"direct_calls": True}

    async def test_rule_36_a_direct_call_gives_the_same_reply(self) -> None:
        server = await self.start()
        for value in ("reply", None, 0, [1]):
            self.assertEqual(value, await server.call(returning(value)))

    async def test_rule_36_messages_that_wait_are_handled_before_a_direct_call(self) -> None:
        server = await self.start(Probe, diary := [])
        for number in range(3):
            cast(server, number)
        self.assertEqual(3, await server.call(lambda me: len(me.diary)))
        self.assertEqual([("cast", 0), ("cast", 1), ("cast", 2)], diary)

    async def test_rule_36_a_continue_is_run_before_a_direct_call(self) -> None:
        server = await self.start(Probe, diary := [])
        from supertester.otp import Reply

        self.assertEqual("r", await server.call(returning(Reply("r", continue_="go"))))
        self.assertEqual(1, await server.call(lambda me: len(me.diary)))
        self.assertEqual([("continue", "go")], diary)

    async def test_rule_36_inside_a_direct_call_the_current_process_is_the_server(self) -> None:
        server = await self.start()
        self.assertEqual(server, await server.call(lambda _: self_pid()))
        self.assertEqual(self.root, self_pid())

    async def test_rule_36_a_busy_server_is_not_entered_again(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        server.cast(parked(gate))
        await self.turn_until(lambda: process_info(server).current_function, "the handler waits")
        calling = self.background(server.call("waits"))
        await self.still_pending(calling)
        gate.set()
        self.assertEqual("waits", await calling)

    async def test_rule_36_two_servers_that_call_each_other_time_out(self) -> None:
        one, other = await self.start(), await self.start()

        async def call_back(_: Any) -> Any:
            return await one.call("back")

        async def call_other(_: Any) -> Any:
            return await other.call(call_back, 2.0)

        calling = self.background(one.call(call_other, INFINITY))
        await self.still_pending(calling)
        self.clock.advance(2.0)
        with self.assertRaises(Exception) as caught:
            await calling
        self.assertEqual(TIMEOUT, caught.exception.reason.exception.reason)

    async def test_rule_36_a_suspended_server_is_not_entered(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        calling = self.background(server.call("waits"))
        await self.still_pending(calling)
        await sys.resume(server)
        self.assertEqual("waits", await calling)

    async def test_rule_36_many_direct_calls_let_others_run(self) -> None:
        server, turns = await self.start(), []

        async def bystander() -> None:
            for _ in range(3):
                turns.append(1)
                await one_turn()

        task = self.background(bystander())
        for number in range(1_000):
            await server.call(number)
        self.assertTrue(task.done())
        self.assertEqual(3, len(turns))

    async def test_rule_36_interceptors_and_traces_see_calls_all_the_same(self) -> None:
        server, seen = await self.start(), []
        self.assertEqual("x", await server.call("x"))
        with intercept(server, lambda message: seen.append(message) or [message]):
            self.assertEqual("intercepted", await server.call("intercepted"))
        await sys.trace(server, lambda event: seen.append((event.kind, event.message)))
        self.assertEqual("traced", await server.call("traced"))
        self.assertEqual(["intercepted", ("call", "traced"), ("reply", "traced")], seen)

    async def test_rule_36_direct_calls_are_counted(self) -> None:
        server = await self.start()
        for number in range(3):
            await server.call(number)
        self.assertEqual(3, (await sys.statistics(server)).messages_in)

    async def test_rule_36_a_deep_chain_of_direct_calls_does_not_overflow_the_stack(self) -> None:
        servers = [await self.start() for _ in range(300)]

        def through(index: int) -> Any:
            async def handler(_: Any) -> Any:
                return await servers[index + 1].call(through(index + 1)) if index + 1 < len(servers) else "end"

            return handler

        self.assertEqual("end", await servers[0].call(through(0)))


class Rule36DirectCallsOfAsyncServers(Asynchronous, Rule36DirectCalls):
    pass
