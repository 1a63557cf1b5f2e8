"""Rules 11 to 14: callbacks and what they may return, starting, continuing and failing, stopping with a reply."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from supertester.errors import StartFailed, UnknownMessage, UsageError
from supertester.otp import (
    IGNORE,
    KILL,
    KILLED,
    NOREPLY,
    NORMAL,
    TIMEOUT,
    Continue,
    Crash,
    Exit,
    GenServer,
    NoReply,
    Reply,
    Stop,
    cast,
    exit,
    process_info,
    send,
    sys,
    until_idle,
    whereis,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, one_turn, parked, raising, returning


class Starting(Probe):
    """Returns from `init` what a test says, and writes down that it was there."""

    def init(self, result: Any = None, diary: list[Any] | None = None) -> Any:  # type: ignore[override]
        state = super().init(diary)
        self.note("init", whereis("starting") is self.pid)
        return result(self) if callable(result) else state if result is None else result


class Rule11Results(RuntimeCase):
    async def test_rule_11_handle_call_returns_the_reply(self) -> None:
        server = await self.start()
        for value in ("reply", None, 0, False, [], {"a": 1}, (1, 2), NORMAL, ValueError("x")):
            with self.subTest(value=value):
                self.assertIs(value, await server.call(returning(value)))

    async def test_rule_11_reply_wraps_a_reply(self) -> None:
        server = await self.start()
        for value in ("reply", None, NOREPLY, IGNORE, Stop("as a value"), Reply(1)):
            with self.subTest(value=value):
                self.assertIs(value, await server.call(returning(Reply(value))))
        self.assertTrue(server.is_alive())

    async def test_rule_11_noreply_leaves_the_caller_waiting(self) -> None:
        server = await self.start()
        for result in (NOREPLY, NoReply()):
            waiting = self.background(server.call(returning(result)))
            await until_idle(server)
            await self.still_pending(waiting)
        self.assertEqual("next", await server.call("next"))

    async def test_rule_11_stop_ends_the_server_from_every_handler(self) -> None:
        for handler in ("call", "cast", "info", "continue"):
            with self.subTest(handler):
                server = await self.start(Probe, diary := [])
                if handler == "call":
                    with self.exits("enough"):
                        await server.call(returning(Stop("enough")))
                elif handler == "continue":
                    server.cast(returning(Continue(returning(Stop("enough")))))
                else:
                    (cast if handler == "cast" else send)(server, returning(Stop("enough")))
                self.assertEqual("enough", await self.dead(server))
                self.assertEqual([("terminate", "enough")], diary)

    async def test_rule_11_continue_runs_handle_continue_from_every_handler(self) -> None:
        server = await self.start(Probe, diary := [])
        waiting = self.background(server.call(returning(Continue("call"))))
        await until_idle(server)
        await self.still_pending(waiting)
        self.assertEqual("r", await server.call(returning(Reply("r", continue_="call with a reply"))))
        cast(server, returning(Continue("cast")))
        send(server, returning(NoReply(continue_="info")))
        cast(server, returning(Continue(returning(Continue("continue")))))
        await until_idle(server)
        expected = ["call", "call with a reply", "cast", "info", "continue"]
        self.assertEqual([("continue", what) for what in expected], diary)

    async def test_rule_11_continue_may_set_the_state(self) -> None:
        server = await self.start(Starting, Continue("go", state=["state"]))
        self.assertEqual(["state"], await sys.get_state(server))
        server.cast(returning(Continue("go", state=["other"])))
        self.assertEqual(["other"], await sys.get_state(server))
        server.cast(returning(Continue("go", state=None)))
        self.assertIsNone(await sys.get_state(server))
        await sys.replace_state(server, lambda _: "kept")
        server.cast(returning(Continue("go")))
        self.assertEqual("kept", await sys.get_state(server))

    async def test_rule_11_every_result_may_carry_a_timeout(self) -> None:
        for what, result in {
            "reply": Reply("r", timeout=2.0),
            "no reply": NoReply(timeout=2.0),
            "continue": Continue(returning(NoReply(timeout=2.0))),
            "continue with a timeout": Continue(returning(None), timeout=2.0),
            "continue that sets another": Continue(returning(NoReply(timeout=2.0)), timeout=9.0),
            "reply and continue": Reply("r", timeout=2.0, continue_=returning(None)),
        }.items():
            with self.subTest(what):
                server = await self.start(Probe, diary := [])
                self.background(server.call(returning(result)))
                await until_idle(server)
                await self.turn_until(lambda s=server: process_info(s).messages_in, "the call arrived")
                await until_idle(server)
                self.clock.advance(2.0)
                await until_idle(server)
                self.assertEqual([("info", TIMEOUT)], diary)

    async def test_rule_11_handlers_rebind_and_mutate_the_state(self) -> None:
        server = await self.start()

        def rebind(me: Any) -> None:
            me.state = {"count": 1}

        server.cast(rebind)
        self.assertEqual({"count": 1}, await sys.get_state(server))
        server.cast(lambda me: me.state.update(count=2))
        self.assertEqual({"count": 2}, await sys.get_state(server))

    async def test_rule_11_init_returns_the_state_whatever_it_is(self) -> None:
        for state in (0, "", (), [], {}, False, NORMAL, ValueError("x"), Starting):
            with self.subTest(state=state):
                server = await self.start(Starting, returning(state))
                self.assertIs(state, await sys.get_state(server))

    async def test_rule_11_init_gets_the_arguments_of_the_start(self) -> None:
        class Adder(GenServer):
            def init(self, a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> Any:
                return a, b, rest, c, more

        self.assertEqual((1, 2, (), 3, {}), await sys.get_state(await self.start(Adder, 1)))
        server = await self.start(Adder, 5, 6, 7, c=8, d=9, name="adder")
        self.assertEqual((5, 6, (7,), 8, {"d": 9}), await sys.get_state(server))
        self.assertIs(server, whereis("adder"))

    async def test_rule_11_a_server_without_init_has_no_state_and_takes_no_arguments(self) -> None:
        class Plain(GenServer):
            pass

        self.assertIsNone(await sys.get_state(await self.start(Plain)))
        for args, kwargs in (((1,), {}), ((), {"unknown_option": 1})):
            with self.subTest(args=args, kwargs=kwargs), self.assertRaises(StartFailed) as caught:
                await self.start(Plain, *args, **kwargs)
            self.assertIsInstance(caught.exception.reason.exception, TypeError)
            self.assertIn("1", str(caught.exception))

    async def test_rule_11_a_request_that_nobody_handles_crashes_the_server(self) -> None:
        class Plain(GenServer):
            pass

        server = await self.start(Plain)
        with self.assertRaises(Exception) as caught:
            await server.call("what is this")
        self.assertIsInstance(caught.exception.reason.exception, UnknownMessage)
        self.assertIn("'what is this'", str(server.exit_reason.exception))
        other = await self.start(Plain)
        other.cast("what is this")
        self.assertIsInstance((await self.dead(other)).exception, UnknownMessage)

    async def test_rule_11_a_message_that_nobody_handles_is_logged_and_forgotten(self) -> None:
        class Plain(GenServer):
            pass

        server = await self.start(Plain)
        with self.assertLogs("supertester.otp", "ERROR") as logs:
            send(server, "what is this")
            await sys.sync(server)
        self.assertIn("what is this", logs.output[0])
        self.assertTrue(server.is_alive())

    async def test_rule_11_falling_off_the_end_of_handle_call_replies_none(self) -> None:
        class Matching(GenServer):
            def handle_call(self, request: Any, sender: Any) -> Any:
                match request:
                    case "known":
                        return "reply"

        server = await self.start(Matching)
        self.assertEqual(["reply", None], [await server.call("known"), await server.call("unknown")])
        self.assertTrue(server.is_alive())

    async def test_rule_11_the_sender_is_the_calling_process(self) -> None:
        server, caller = await self.start(), await self.start()
        self.assertIs(self.root, await server.call(lambda me: me.sender.pid))
        self.assertIs(caller, await caller.call(lambda _: server.call(lambda me: me.sender.pid)))

    async def test_rule_11_format_status_decides_what_is_shown(self) -> None:
        class Secretive(GenServer):
            def format_status(self, status: dict[str, Any]) -> dict[str, Any]:
                return {**status, "state": "hidden"}

        class AsyncSecretive(GenServer):
            async def format_status(self, status: dict[str, Any]) -> dict[str, Any]:
                await one_turn()
                return {**status, "state": "hidden"}

        for cls in (Secretive, AsyncSecretive):
            with self.subTest(cls.__name__):
                server = await self.start(cls)
                self.assertEqual("hidden", (await sys.get_status(server))["state"])
                self.assertIsNone(await sys.get_state(server))

    async def test_rule_11_plain_and_async_callbacks_may_be_mixed(self) -> None:
        class Mixed(GenServer):
            def init(self) -> Any:
                return Continue("go", state=[])

            async def handle_continue(self, arg: Any) -> None:
                await one_turn()
                self.state.append(arg)

            def handle_cast(self, message: Any) -> None:
                self.state.append(message)

            async def handle_call(self, request: Any, sender: Any) -> Any:
                await one_turn()
                return list(self.state)

            async def terminate(self, reason: Any) -> None:
                await one_turn()
                self.state.append(reason)

        server = await Mixed.start_link()
        server.cast("cast")
        self.assertEqual(["go", "cast"], await server.call("state"))
        state = await sys.get_state(server)
        await server.stop("done")
        self.assertEqual(["go", "cast", "done"], state)

    async def test_rule_11_one_message_is_handled_at_a_time(self) -> None:
        server, running, most = await self.start(), [], []

        async def handler(_: Any) -> None:
            running.append(1)
            most.append(len(running))
            for _ in range(3):
                await one_turn()
            running.pop()

        for _ in range(5):
            server.cast(handler)
        await until_idle(server)
        self.assertEqual([1] * 5, most)

    async def test_rule_11_a_negative_timeout_in_a_result_is_refused_and_shown(self) -> None:
        for make in (
            lambda: Reply("r", timeout=-1),
            lambda: NoReply(timeout=-1),
            lambda: Continue("go", timeout=-1),
        ):
            with self.misuse("-1"):
                make()


class Rule11ResultsOfAsyncServers(Asynchronous, Rule11Results):
    pass


class Rule12Starting(RuntimeCase):
    async def test_rule_12_the_start_returns_after_init(self) -> None:
        gate, diary = asyncio.Event(), []

        async def slowly(me: Any) -> Any:
            diary.append("begin")
            await gate.wait()
            diary.append("end")
            return me.diary

        for start in (self.start, self.start_link):
            gate.clear()
            diary.clear()
            starting = self.background(start(Starting, slowly))
            await self.still_pending(starting)
            self.assertEqual(["begin"], diary)
            gate.set()
            self.assertTrue((await starting).is_alive())
            self.assertEqual(["begin", "end"], diary)

    async def test_rule_12_a_server_that_ends_right_after_init_was_started_all_the_same(self) -> None:
        for what, step, reason in (
            ("a normal end", returning(Stop(NORMAL)), NORMAL),
            ("an end", returning(Stop("enough")), "enough"),
            ("a crash", raising(error := ValueError("broken")), Crash(error)),
        ):
            for start in (self.start, self.start_link):
                with self.subTest(what, start=start.__name__):
                    server = await start(Starting, Continue(step))
                    self.assertEqual(reason, await self.dead(server))

    async def test_rule_12_the_same_holds_if_only_handle_continue_is_async(self) -> None:
        class Mixed(GenServer):
            def init(self, reason: Any) -> Any:
                return Continue(reason)

            async def handle_continue(self, arg: Any) -> Any:
                return Stop(arg)

        for start in (Mixed.start, Mixed.start_link):
            for reason in (NORMAL, "enough"):
                self.assertEqual(reason, await self.dead(await start(reason)))

    async def test_rule_12_the_name_is_known_in_init_and_messages_wait_until_it_is_done(self) -> None:
        gate, diary = asyncio.Event(), []

        async def slowly(me: Any) -> Any:
            await gate.wait()
            return me.diary

        starting = self.background(self.start(Starting, slowly, diary, name="starting"))
        await self.turn_until(lambda: whereis("starting"), "the name is registered")
        cast("starting", "early")
        answer = self.background(whereis("starting").call("early call"))
        await self.still_pending(answer)
        gate.set()
        self.assertEqual("early call", await answer)
        await starting
        self.assertEqual([("init", True), ("cast", "early")], diary)

    async def test_rule_12_stop_in_init_is_an_error_with_its_reason(self) -> None:
        for reason in ("no", NORMAL, ("tuple", 1), ValueError("a value")):
            with self.subTest(reason=reason), self.does_not_start(reason):
                await self.start(Starting, Stop(reason), name="starting")
            self.assertIsNone(whereis("starting"))
        self.assertEqual([], self.root.messages)
        self.assert_nothing_runs()

    async def test_rule_12_an_exception_in_init_is_an_error_with_the_crash(self) -> None:
        error = ValueError("broken")
        with self.does_not_start(Crash(error)) as caught:
            await self.start(Starting, raising(error), name="starting")
        self.assertIs(error, caught.exception.reason.exception)
        self.assertIs(error, caught.exception.__cause__)
        self.assertIn("'starting'", str(caught.exception))
        self.assertIn("broken", str(caught.exception))
        self.assertEqual([], self.root.messages)
        self.assert_nothing_runs()

    async def test_rule_12_a_linked_caller_that_traps_also_gets_the_exit(self) -> None:
        error = ValueError("broken")
        for result, reason in ((Stop("no"), "no"), (raising(error), Crash(error)), (Stop(NORMAL), NORMAL)):
            with self.subTest(reason=reason):
                with self.does_not_start(reason):
                    await self.start_link(Starting, result)
                message = await self.root.receive(Exit)
                self.assertEqual(reason, message.reason)
                self.assertEqual(reason, message.pid.exit_reason)
        self.assert_nothing_runs()

    async def test_rule_12_ignore_is_returned_and_a_linked_caller_gets_a_normal_exit(self) -> None:
        self.assertIs(IGNORE, await self.start(Starting, IGNORE, name="starting"))
        self.assertEqual([], self.root.messages)
        self.assertIs(IGNORE, await self.start_link(Starting, IGNORE, name="starting"))
        message = await self.root.receive()
        self.assertEqual(NORMAL, message.reason)
        self.assertEqual(NORMAL, message.pid.exit_reason)
        self.assertIsNone(whereis("starting"))
        self.assert_nothing_runs()

    async def test_rule_12_a_linked_caller_that_does_not_trap_dies_of_a_failing_init(self) -> None:
        error = ValueError("broken")
        for result, reason in ((Stop("no"), "no"), (raising(error), Crash(error))):
            with self.subTest(reason=reason):
                caller, diary = await self.start(), []

                async def start_it(_: Any, result: Any = result, diary: Any = diary) -> None:
                    try:
                        await self.start_link(Starting, result)
                    except StartFailed:
                        diary.append("survived")

                with self.exits(reason):
                    await caller.call(start_it)
                self.assertEqual((reason, []), (caller.exit_reason, diary))

    async def test_rule_12_a_linked_caller_that_does_not_trap_survives_ignore_and_a_normal_stop(self) -> None:
        caller = await self.start()
        self.assertIs(IGNORE, await self.start_under(caller, Starting, IGNORE))

        async def start_it(_: Any) -> Any:
            try:
                await self.start_link(Starting, Stop(NORMAL))
            except StartFailed as error:
                return error.reason

        self.assertEqual(NORMAL, await caller.call(start_it))

    async def test_rule_12_a_taken_name_is_an_error_and_init_does_not_run(self) -> None:
        holder, diary = await self.start(Probe, name="starting"), []
        before = list(self.rt.processes)
        for start in (self.start, self.start_link):
            with self.does_not_start(("already_started", holder)) as caught:
                await start(Starting, None, diary, name="starting")
            self.assertIn("'starting'", str(caught.exception))
        self.assertEqual([], diary)
        self.assertEqual([], self.root.messages)
        self.assertEqual(before, list(self.rt.processes))
        self.assertIs(holder, whereis("starting"))

    async def test_rule_12_a_name_whose_holder_died_is_free(self) -> None:
        exit(await self.start(Probe, name="starting"), KILL)
        self.assertTrue((await self.start(Probe, name="starting")).is_alive())

    async def test_rule_12_a_start_that_takes_too_long_is_an_error_and_the_process_is_killed(self) -> None:
        for start in (self.start, self.start_link):
            with self.subTest(start.__name__):
                gate, diary = asyncio.Event(), []
                pids: list[Any] = []
                self.rt.on_spawn.append(pids.append)

                async def slowly(me: Any, gate: Any = gate, diary: Any = diary) -> Any:
                    await gate.wait()
                    diary.append("not reached")
                    return me.diary

                starting = self.background(start(Starting, slowly, name="starting", timeout=2.0))
                await self.still_pending(starting)
                self.clock.advance(1.9)
                await self.still_pending(starting)
                self.clock.advance(0.1)
                with self.does_not_start(TIMEOUT):
                    await starting
                gate.set()
                await until_idle()
                self.assertEqual(KILLED, pids[-1].exit_reason)
                self.assertIsNone(whereis("starting"))
                self.assertEqual([], diary)
                self.assertEqual([], self.root.messages, "a stray exit signal")
        self.assert_nothing_runs()

    async def test_rule_12_a_start_timeout_does_not_harm_a_caller_that_does_not_trap(self) -> None:
        caller, gate = await self.start(), asyncio.Event()

        async def start_it(_: Any) -> Any:
            try:
                await self.start_link(Starting, parked(gate), timeout=2.0)
            except StartFailed as error:
                return error.reason

        answer = self.background(caller.call(start_it))
        await self.still_pending(answer)
        self.clock.advance(2.0)
        self.assertEqual(TIMEOUT, await answer)
        self.assertTrue(caller.is_alive())

    async def test_rule_12_a_start_timeout_does_not_matter_once_init_is_done(self) -> None:
        server = await self.start(Probe, timeout=2.0)
        self.clock.advance(10.0)
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_12_a_negative_start_timeout_is_refused_and_nothing_is_started(self) -> None:
        diary: list[Any] = []
        for start in (self.start, self.start_link):
            with self.misuse("-1"):
                await start(Starting, None, diary, name="starting", timeout=-1)
        self.assertEqual([], diary)

    async def test_rule_12_an_unknown_start_option_is_refused_and_shown(self) -> None:
        with self.assertRaises((StartFailed, UsageError, TypeError)) as caught:
            await self.start(Starting, registered_as="starting")
        self.assertIn("registered_as", str(caught.exception))
        self.assert_nothing_runs()

    async def test_rule_12_killing_a_process_in_init_fails_its_start(self) -> None:
        gate = asyncio.Event()
        starting = self.background(self.start(Starting, parked(gate), name="starting"))
        await self.turn_until(lambda: whereis("starting"), "the name is registered")
        exit("starting", KILL)
        with self.does_not_start(KILLED):
            await starting

    async def test_rule_12_a_caller_that_goes_away_leaves_nothing_half_started(self) -> None:
        gate = asyncio.Event()
        starting = self.background(self.start(Starting, parked(gate), name="starting"))
        await self.turn_until(lambda: whereis("starting"), "the name is registered")
        starting.cancel()
        await asyncio.wait([starting])
        self.assertIsNone(whereis("starting"))
        self.assert_nothing_runs()

    async def test_rule_12_a_killed_caller_takes_the_process_in_init_along(self) -> None:
        caller, gate = await self.start(), asyncio.Event()
        caller.cast(lambda _: self.start_link(Starting, parked(gate), name="starting"))
        await self.turn_until(lambda: whereis("starting"), "the name is registered")
        exit(caller, KILL)
        await until_idle()
        self.assertIsNone(whereis("starting"))
        self.assert_nothing_runs()

    async def test_rule_12_terminate_is_not_called_when_init_fails(self) -> None:
        for result in (Stop("no"), raising(ValueError("broken")), IGNORE):
            diary: list[Any] = []
            with contextlib.suppress(StartFailed):
                await self.start(Starting, result, diary)
            await until_idle()
            self.assertEqual([("init", False)], diary)

    async def test_rule_12_calls_that_wait_for_a_failing_init_get_its_reason(self) -> None:
        gate = asyncio.Event()
        starting = self.background(self.start(Starting, parked(gate, Stop("no")), name="starting"))
        await self.turn_until(lambda: whereis("starting"), "the name is registered")
        early = self.background(whereis("starting").call("early"))
        await self.still_pending(early)
        gate.set()
        with self.exits("no"):
            await early
        with self.does_not_start("no"):
            await starting

    async def test_rule_12_a_bad_result_of_init_is_an_error_with_that_value(self) -> None:
        with self.assertRaises(StartFailed) as caught:
            await self.start(Starting, NOREPLY)
        self.assertEqual(("bad_return_value", NOREPLY), caught.exception.reason)

    def assert_nothing_runs(self) -> None:
        self.assertEqual([], [pid for pid in self.rt.processes if pid.initial_call is self.flavour(Starting)])


class Rule12StartingAsyncServers(Asynchronous, Rule12Starting):
    pass


class Rule13ContinuingAndFailing(RuntimeCase):
    async def test_rule_13_continue_from_init_runs_before_any_queued_message(self) -> None:
        gate, diary = asyncio.Event(), []

        async def slowly(me: Any) -> Any:
            await gate.wait()
            return Continue("first", state=me.diary)

        starting = self.background(self.start(Starting, slowly, diary, name="starting"))
        await self.turn_until(lambda: whereis("starting"), "the name is registered")
        cast("starting", "queued before init was done")
        gate.set()
        await starting
        await until_idle()
        self.assertEqual(["init", "continue", "cast"], [entry[0] for entry in diary])

    async def test_rule_13_continue_runs_before_any_queued_message(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.suspend(server)
        server.cast(returning(Continue("first")))
        server.cast("second")
        server.cast(returning(NoReply(continue_="third")))
        server.send("fourth")
        await sys.resume(server)
        await until_idle(server)
        self.assertEqual(["first", "second", "third", "fourth"], [entry[1] for entry in diary])

    async def test_rule_13_a_continue_that_continues_still_runs_before_any_queued_message(self) -> None:
        server = await self.start(Probe, diary := [])

        def again(me: Any, left: int = 3) -> Any:
            me.note("continue", left)
            return Continue(lambda me: again(me, left - 1)) if left else None

        server.cast(returning(Continue(again)))
        server.cast("queued")
        await until_idle(server)
        self.assertEqual([3, 2, 1, 0, "queued"], [entry[1] for entry in diary])

    async def test_rule_13_the_reply_is_sent_before_the_continue_and_the_next_call_waits_for_it(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        self.assertEqual("r", await server.call(returning(Reply("r", continue_=parked(gate)))))
        later = self.background(server.call("later"))
        await self.still_pending(later)
        gate.set()
        self.assertEqual("later", await later)

    async def test_rule_13_a_caller_may_get_its_reply_from_handle_continue(self) -> None:
        server = await self.start()

        def reply_later(me: Any) -> Any:
            sender = me.sender
            return Continue(lambda _: sender.reply("from continue") and None)

        self.assertEqual("from continue", await server.call(reply_later))

    async def test_rule_13_an_exception_ends_every_handler_with_terminate_and_a_crash(self) -> None:
        for handler in ("call", "cast", "info", "continue"):
            with self.subTest(handler):
                server, error = await self.start(Probe, diary := []), ValueError("broken")
                if handler == "call":
                    with self.exits(Crash(error)):
                        await server.call(raising(error))
                elif handler == "continue":
                    server.cast(returning(Continue(raising(error))))
                else:
                    (cast if handler == "cast" else send)(server, raising(error))
                self.assertEqual(Crash(error), await self.dead(server))
                [(what, reason)] = diary
                self.assertEqual("terminate", what)
                self.assertIs(error, reason.exception)
                self.assertIs(error, server.exit_reason.exception)

    async def test_rule_13_terminate_runs_before_the_process_counts_as_dead(self) -> None:
        server, seen = await self.start(), []

        def watch(me: Any) -> None:
            me.on_terminate = lambda _: seen.append((me.pid.is_alive(), me.pid.exit_reason))

        server.cast(watch)
        server.cast(raising(ValueError("broken")))
        await self.dead(server)
        self.assertEqual([(True, None)], seen)

    async def test_rule_13_a_bad_result_ends_the_server_with_terminate_and_that_value(self) -> None:
        for what, value in (("a value", "odd"), ("a zero", 0), ("a reply", Reply("nobody")), ("ignore", IGNORE)):
            for handler in ("cast", "info", "continue"):
                with self.subTest(what, handler=handler):
                    server = await self.start(Probe, diary := [])
                    message = returning(value)
                    if handler == "continue":
                        server.cast(returning(Continue(message)))
                    else:
                        (cast if handler == "cast" else send)(server, message)
                    self.assertEqual(("bad_return_value", value), await self.dead(server))
                    self.assertEqual([("terminate", ("bad_return_value", value))], diary)

    async def test_rule_13_none_is_no_reason_to_stop(self) -> None:
        server = await self.start()
        try:
            server.cast(returning(Stop(None)))
        except (UsageError, TypeError) as error:
            self.assertIn("None", str(error))
        else:
            self.assertIsNotNone(await self.dead(server))


class Rule13FailingAsyncServers(Asynchronous, Rule13ContinuingAndFailing):
    pass


class Rule14StoppingWithAReply(RuntimeCase):
    async def test_rule_14_terminate_runs_before_the_reply_is_delivered(self) -> None:
        server, gate = await self.start(Probe, diary := []), asyncio.Event()

        def stop(me: Any) -> Any:
            me.on_terminate = parked(gate)
            return Stop("enough", reply="bye")

        answer = self.background(server.call(stop))
        await self.turn_until(lambda: diary, "terminate runs")
        await self.still_pending(answer)
        self.assertEqual([("terminate", "enough")], diary)
        gate.set()
        self.assertEqual("bye", await answer)
        self.assertEqual("enough", await self.dead(server))

    async def test_rule_14_a_trace_shows_the_reply_after_terminate(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.trace(server, lambda event: diary.append((event.kind, event.message)))
        self.assertEqual("bye", await server.call(request := returning(Stop("enough", reply="bye"))))
        self.assertEqual([("call", request), ("terminate", "enough"), ("reply", "bye")], diary)

    async def test_rule_14_the_reply_may_be_none(self) -> None:
        server = await self.start()
        self.assertIsNone(await server.call(returning(Stop("enough", reply=None))))
        self.assertEqual("enough", await self.dead(server))

    async def test_rule_14_a_failing_terminate_does_not_lose_the_reply(self) -> None:
        server, error = await self.start(), ValueError("broken")

        def stop(me: Any) -> Any:
            me.on_terminate = raising(error)
            return Stop("enough", reply="bye")

        self.assertEqual("bye", await server.call(stop))
        self.assertEqual(Crash(error), await self.dead(server))

    async def test_rule_14_stopping_normally_without_a_reply_fails_the_call_with_normal(self) -> None:
        server = await self.start()
        with self.exits(NORMAL):
            await server.call(returning(Stop(NORMAL)))
        self.assertEqual(NORMAL, server.exit_reason)

    async def test_rule_14_a_reply_given_by_hand_before_stopping_is_delivered(self) -> None:
        server = await self.start()

        def reply_and_stop(me: Any) -> Any:
            me.sender.reply("by hand")
            return Stop(NORMAL)

        self.assertEqual("by hand", await server.call(reply_and_stop))
        self.assertEqual(NORMAL, await self.dead(server))

    async def test_rule_14_a_kill_during_terminate_fails_the_call(self) -> None:
        server, gate = await self.start(Probe, diary := []), asyncio.Event()

        def stop(me: Any) -> Any:
            me.on_terminate = parked(gate)
            return Stop("enough", reply="bye")

        answer = self.background(server.call(stop))
        await self.turn_until(lambda: diary, "terminate runs")
        exit(server, KILL)
        with self.exits(KILLED):
            await answer


class Rule14StoppingAsyncServersWithAReply(Asynchronous, Rule14StoppingWithAReply):
    pass
