"""Rules 1 to 4: identity, reasons, failed calls, and sends that never fail."""

from __future__ import annotations

import asyncio
import copy
import enum
import itertools
import pickle
import traceback
import unittest
from typing import Any

from supertester.errors import CallExit
from supertester.otp import (
    INFINITY,
    KILL,
    KILLED,
    NOPROC,
    NOREPLY,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Crash,
    Pid,
    Runtime,
    Shutdown,
    Stop,
    call,
    cast,
    demonitor,
    exit,
    intercept,
    is_crash,
    is_normal,
    link,
    monitor,
    process_info,
    register,
    self_pid,
    send,
    send_after,
    stop,
    sys,
    unlink,
    unregister,
    until_idle,
    whereis,
    which_children,
)
from supertester.otp.runtime import current_runtime
from tests.otp.support import Asynchronous, Child, Probe, RuntimeCase, parked, raising, returning


class Name(enum.Enum):
    SERVER = 1


NAMES = ["server", Name.SERVER, ("server", 1), 7, frozenset({"server"})]
NAMED_REASONS = [NORMAL, SHUTDOWN, KILL, KILLED, NOPROC, TIMEOUT]


class Rule01Identity(RuntimeCase):
    async def test_rule_01_a_pid_equals_itself_alone_and_is_hashable(self) -> None:
        first, second = await self.start(), await self.start()
        self.assertEqual(first, first)
        self.assertNotEqual(first, second)
        self.assertEqual({first: 1, second: 2}[first], 1)
        self.assertIsInstance(first, Pid)

    async def test_rule_01_ids_grow_and_are_never_used_again(self) -> None:
        ids = []
        for _ in range(5):
            pid = await self.start()
            ids.append(pid.id)
            exit(pid, KILL)
        self.assertEqual(sorted(set(ids)), ids)

    async def test_rule_01_a_failed_start_does_not_give_its_id_to_the_next(self) -> None:
        before = await self.start()
        with self.does_not_start("no"):
            await self.start(Refusing)
        after = await self.start()
        self.assertGreater(after.id, before.id)
        self.assertNotEqual(after, before)

    async def test_rule_01_pids_of_two_runtimes_differ_even_with_the_same_id(self) -> None:
        mine = await self.start()
        async with Runtime() as other:
            theirs = [await Probe.start() for _ in range(mine.id + 1)]
            self.assertNotIn(mine, theirs)
            self.assertIn(mine.id, [pid.id for pid in theirs])
            self.assertIs(other, theirs[0].runtime)

    async def test_rule_01_a_restarted_child_has_a_new_pid(self) -> None:
        await self.supervise(self.child("a", []))
        before = whereis("a")
        await self.end(before, KILLED)
        after = whereis("a")
        self.assertIsNotNone(after)
        self.assertNotEqual(before, after)
        self.assertGreater(after.id, before.id)
        self.assertEqual((False, True), (before.is_alive(), after.is_alive()))

    async def test_rule_01_a_dead_pid_keeps_its_identity_and_its_reason_for_ever(self) -> None:
        pid = await self.start(Probe, name="gone")
        self.assertIsNone(pid.exit_reason)
        exit(pid, "boom")
        for _ in range(3):
            await self.start()
        self.assertEqual("boom", pid.exit_reason)
        self.assertEqual("gone", pid.name)
        self.assertEqual(pid, pid)


class Refusing(Probe):
    def init(self) -> Any:  # type: ignore[override]
        return Stop("no")


class Rule01References(RuntimeCase):
    """Every function takes a pid, a name, and a function that returns one."""

    async def references(self) -> Any:
        """Yield the ways to name a server, each time a new one."""
        for name in NAMES:
            pid = await self.start(Probe, name=name)
            yield f"the name {name!r}", name, pid
            exit(pid, KILL)
        for what in ("pid", "a function that returns the pid", "a function that returns the name"):
            pid = await self.start(Probe, name="named")
            ways = {"pid": pid, "a function that returns the pid": lambda pid=pid: pid}
            yield what, ways.get(what, lambda: "named"), pid
            exit(pid, KILL)

    async def test_rule_01_call_takes_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                self.assertEqual(pid, await call(target, lambda me: me.pid))

    async def test_rule_01_cast_and_send_take_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                cast(target, 1)
                send(target, 2)
                send_after(target, 3, 1.0)
                await until_idle(target)
                self.clock.advance(1.0)
                self.assertEqual([("cast", 1), ("info", 2), ("info", 3)], await self.diary_of(pid))

    async def test_rule_01_exit_takes_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                exit(target, "boom")
                self.assertEqual("boom", pid.exit_reason)

    async def test_rule_01_stop_takes_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                await stop(target, "enough")
                self.assertEqual("enough", pid.exit_reason)

    async def test_rule_01_link_and_unlink_take_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                link(target)
                self.assertIn(self.root, process_info(pid).links)
                unlink(target)
                self.assertNotIn(self.root, process_info(pid).links)

    async def test_rule_01_monitor_takes_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                ref = monitor(target)
                self.assertIn(self.root, process_info(pid).monitored_by)
                demonitor(ref)
                self.assertNotIn(self.root, process_info(pid).monitored_by)

    async def test_rule_01_whereis_and_process_info_take_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                self.assertIs(pid, whereis(target))
                self.assertIs(pid, process_info(target).pid)

    async def test_rule_01_the_system_messages_take_every_reference(self) -> None:
        async for what, target, _ in self.references():
            with self.subTest(what):
                self.assertEqual([], await sys.get_state(target))
                self.assertEqual([1], await sys.replace_state(target, lambda state: [*state, 1]))
                self.assertEqual([1], (await sys.get_status(target))["state"])
                await sys.suspend(target)
                await sys.resume(target)
                await sys.sync(target)
                await sys.trace(target, None)
                await sys.statistics(target)

    async def test_rule_01_intercept_takes_every_reference(self) -> None:
        async for what, target, pid in self.references():
            with self.subTest(what):
                with intercept(target, lambda _: []):
                    pid.cast("lost")
                self.assertEqual([], await self.diary_of(pid))

    async def test_rule_01_the_functions_of_a_supervisor_take_every_reference(self) -> None:
        for name in [*NAMES, None]:
            with self.subTest(name=name):
                supervisor = await self.supervise(self.child("a", []), name=name)
                for target in (supervisor, lambda pid=supervisor: pid, *([name] if name is not None else [])):
                    self.assertEqual(["a"], [row.id for row in await which_children(target)])
                await stop(supervisor)

    async def test_rule_01_what_cannot_be_a_reference_is_refused_and_shown(self) -> None:
        for nonsense in (None, [], {}, {1}):
            for what, function in {
                "cast": lambda target: cast(target, 1),
                "send": lambda target: send(target, 1),
                "exit": lambda target: exit(target, KILL),
                "link": link,
                "unlink": unlink,
                "monitor": monitor,
                "whereis": whereis,
                "process_info": process_info,
                "intercept": lambda target: intercept(target, lambda message: [message]).__enter__(),
            }.items():
                with self.subTest(what, target=nonsense), self.misuse(repr(nonsense)):
                    function(nonsense)
            for what, function in {
                "call": lambda target: call(target, 1),
                "stop": stop,
                "sys.sync": sys.sync,
                "sys.get_state": sys.get_state,
                "until_idle": until_idle,
                "which_children": which_children,
            }.items():
                with self.subTest(what, target=nonsense), self.misuse(repr(nonsense)):
                    await function(nonsense)

    async def test_rule_01_a_name_can_be_given_later_and_taken_away(self) -> None:
        pid = await self.start()
        register(pid, "late")
        self.assertIs(pid, whereis("late"))
        self.assertEqual("late", process_info(pid).registered_name)
        unregister("late")
        self.assertIsNone(whereis("late"))
        self.assertIsNone(process_info(pid).registered_name)
        register(pid, "other")
        self.assertIs(pid, whereis("other"))

    async def test_rule_01_a_name_belongs_to_one_process_and_a_process_has_one_name(self) -> None:
        first, second = await self.start(Probe, name="taken"), await self.start()
        with self.misuse("'taken'"):
            register(second, "taken")
        with self.misuse("'taken'"):
            register(first, "another")
        self.assertIs(first, whereis("taken"))
        self.assertIsNone(whereis("another"))

    async def test_rule_01_a_dead_process_gets_no_name_and_an_unknown_name_cannot_be_freed(self) -> None:
        pid = await self.start()
        exit(pid, KILL)
        with self.misuse():
            register(pid, "ghost")
        self.assertIsNone(whereis("ghost"))
        with self.misuse("'ghost'"):
            unregister("ghost")

    async def test_rule_01_what_cannot_be_a_name_is_refused(self) -> None:
        pid = await self.start()
        for nonsense in ([], {}, {1}):
            with self.subTest(name=nonsense), self.misuse(repr(nonsense)):
                register(pid, nonsense)
            with self.subTest(start_name=nonsense), self.misuse(repr(nonsense)):
                await self.start(Probe, name=nonsense)

    async def test_rule_01_the_body_of_a_test_is_the_root_process(self) -> None:
        self.assertIs(self.root, self_pid())
        self.assertIs(self.rt, current_runtime())


class Rule02Reasons(unittest.TestCase):
    def test_rule_02_named_reasons_survive_pickling_and_copying(self) -> None:
        for reason in NAMED_REASONS:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with self.subTest(reason=reason, protocol=protocol):
                    self.assertEqual(reason, pickle.loads(pickle.dumps(reason, protocol)))
            self.assertEqual(reason, copy.deepcopy(reason))

    def test_rule_02_named_reasons_differ_from_each_other(self) -> None:
        for one, other in itertools.combinations(NAMED_REASONS, 2):
            with self.subTest(one=one, other=other):
                self.assertNotEqual(one, other)

    def test_rule_02_a_shutdown_with_a_term_compares_by_its_term(self) -> None:
        self.assertEqual(Shutdown(("upgrade", 2)), Shutdown(("upgrade", 2)))
        self.assertNotEqual(Shutdown("upgrade"), Shutdown("downgrade"))
        self.assertNotEqual(Shutdown("upgrade"), SHUTDOWN)
        self.assertEqual(Shutdown("upgrade"), pickle.loads(pickle.dumps(Shutdown("upgrade"))))
        self.assertEqual("upgrade", Shutdown("upgrade").term)

    def test_rule_02_a_crash_compares_by_its_exception(self) -> None:
        self.assertEqual(Crash(ValueError("x", 1)), Crash(ValueError("x", 1)))
        self.assertNotEqual(Crash(ValueError("x")), Crash(ValueError("y")))
        self.assertNotEqual(Crash(ValueError("x")), Crash(TypeError("x")))
        self.assertNotEqual(Crash(ValueError("x")), ValueError("x"))
        self.assertEqual(hash(Crash(ValueError("x"))), hash(Crash(ValueError("x"))))

    def test_rule_02_a_crash_survives_pickling(self) -> None:
        for error in (ValueError("x", 1), KeyError("key"), OSError(2, "no file", "name"), ZeroDivisionError()):
            with self.subTest(error=error):
                self.assertEqual(Crash(error), pickle.loads(pickle.dumps(Crash(error))))

    def test_rule_02_normal_reasons_are_these_and_no_others(self) -> None:
        for reason in (NORMAL, SHUTDOWN, Shutdown("upgrade"), Shutdown(None)):
            with self.subTest(reason=reason):
                self.assertTrue(is_normal(reason))
                self.assertFalse(is_crash(reason))
                self.assertTrue(is_normal(pickle.loads(pickle.dumps(reason))))
        others = (KILL, KILLED, NOPROC, TIMEOUT, Crash(ValueError()), "boom", ("normal",), 42, None, [], {}, object())
        for reason in others:
            with self.subTest(reason=reason):
                self.assertFalse(is_normal(reason))
                self.assertTrue(is_crash(reason))

    def test_rule_02_reasons_show_their_names(self) -> None:
        for reason, name in ((NORMAL, "NORMAL"), (KILLED, "KILLED"), (NOPROC, "NOPROC")):
            self.assertEqual(name, repr(reason))
        self.assertIn("upgrade", repr(Shutdown("upgrade")))
        self.assertIn("ValueError('x')", repr(Crash(ValueError("x"))))


class Odd:
    """Comparing it gives no truth value, as with arrays."""

    def __eq__(self, other: object) -> Any:
        return Odd()

    def __ne__(self, other: object) -> Any:
        return Odd()

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


class Rule02ReasonsOfServers(RuntimeCase):
    async def test_rule_02_a_crash_keeps_the_exception_with_its_traceback(self) -> None:
        server = await self.start()
        error = ValueError("broken")
        with self.assertRaises(CallExit):
            await server.call(raising(error))
        self.assertIs(error, server.exit_reason.exception)
        functions = [frame.name for frame in traceback.extract_tb(server.exit_reason.exception.__traceback__)]
        self.assertIn("handle_call", functions)
        self.assertEqual("fail", functions[-1])

    async def test_rule_02_any_other_object_is_a_reason(self) -> None:
        for reason in ("boom", 42, ("tuple", 1), ["a list"], {"a": "dict"}, object(), False, 0, "", Name.SERVER):
            with self.subTest(reason=reason):
                server = await self.start()
                exit(server, reason)
                self.assertFalse(server.is_alive())
                self.assertIs(reason, server.exit_reason)
                stopping = await self.start()
                with self.exits(reason):
                    await stopping.call(returning(Stop(reason)))
                self.assertIs(reason, stopping.exit_reason)

    async def test_rule_02_a_reason_whose_comparison_has_no_truth_value_travels_all_the_same(self) -> None:
        reason = Odd()
        server, linked, watching = await self.start(), await self.start(), await self.start(Probe, trap=True)
        await linked.call(lambda _: link(server))
        await watching.call(lambda _: link(server))
        monitor(server)
        exit(server, reason)
        self.assertIs(reason, server.exit_reason)
        self.assertIs(reason, linked.exit_reason)
        self.assertIs(reason, (await self.root.receive()).reason)
        [(_, seen)] = await self.diary_of(watching)
        self.assertIs(reason, seen.reason)

    async def test_rule_02_none_is_no_reason_because_it_means_alive(self) -> None:
        server = await self.start()
        with self.misuse("None"):
            exit(server, None)
        self.assertTrue(server.is_alive())
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_02_a_string_reason_equals_the_constant_of_that_name(self) -> None:
        server = await self.start(Probe, trap=True)
        exit(server, "kill")
        self.assertEqual(KILLED, server.exit_reason)


class Rule03FailedCalls(RuntimeCase):
    def test_rule_03_call_exit_is_an_ordinary_exception(self) -> None:
        self.assertTrue(issubclass(CallExit, Exception))

    async def test_rule_03_a_call_to_a_dead_pid_exits_noproc_at_once(self) -> None:
        server = await self.start()
        exit(server, KILL)
        for timeout in (5.0, INFINITY, 0.5):
            with self.exits(NOPROC):
                await server.call("value", timeout)
        self.assertIsNone(self.clock.next_timer())

    async def test_rule_03_a_call_to_an_unknown_name_exits_noproc_at_once(self) -> None:
        with self.exits(NOPROC) as caught:
            await call("nobody", "value", 2.5)
        self.assertEqual((NOPROC, ("call", "nobody", "value", 2.5)), caught.exception.args)
        self.assertIsNone(self.clock.next_timer())

    async def test_rule_03_a_call_to_the_name_of_a_dead_server_exits_noproc(self) -> None:
        exit(await self.start(Probe, name="short"), KILL)
        with self.exits(NOPROC):
            await call("short", "value")

    async def test_rule_03_the_exit_says_which_call_failed(self) -> None:
        server = await self.start()
        exit(server, KILL)
        with self.assertRaises(CallExit) as caught:
            await server.call("value")
        self.assertEqual((NOPROC, ("call", server, "value", 5.0)), caught.exception.args)
        self.assertIn("'value'", str(caught.exception))
        self.assertIn("NOPROC", str(caught.exception))

    async def test_rule_03_a_server_that_calls_itself_exits_calling_self_at_once(self) -> None:
        server = await self.start(Probe, name="mirror")

        def calling(how: Any) -> Any:
            async def call_myself(me: Any) -> Any:
                try:
                    return await how(me)
                except CallExit as error:
                    return error.args

            return call_myself

        for how, target in (
            (lambda me: me.pid.call("x"), server),
            (lambda me: call(me.pid, "x"), server),
            (lambda _: call("mirror", "x"), "mirror"),
        ):
            with self.subTest(target=target):
                reason, (function, called, request, timeout) = await server.call(calling(how))
                self.assertEqual(("calling_self", "call", "x", 5.0), (reason, function, request, timeout))
                self.assertIn(called, (server, "mirror"))
        self.assertTrue(server.is_alive())

    async def test_rule_03_a_self_call_that_nobody_catches_ends_the_server(self) -> None:
        server = await self.start()
        with self.assertRaises(CallExit) as caught:
            await server.call(lambda me: me.pid.call("x"))
        self.assertIsInstance(caught.exception.reason, Crash)
        self.assertEqual("calling_self", server.exit_reason.exception.reason)

    async def test_rule_03_the_root_cannot_call_itself_either(self) -> None:
        with self.exits("calling_self"):
            await call(self.root, "x")

    async def test_rule_03_when_the_server_dies_the_call_in_progress_gets_its_reason(self) -> None:
        for end, reason in self.deaths():
            with self.subTest(reason=reason):
                server, gate = await self.start(), asyncio.Event()
                running = self.background(server.call(parked(gate)))
                await self.turn_until(lambda s=server: process_info(s).status == "running", "the call runs")
                end(server)
                with self.exits(reason):
                    await running

    async def test_rule_03_when_the_server_dies_all_queued_calls_get_its_reason(self) -> None:
        for end, reason in self.deaths():
            with self.subTest(reason=reason):
                server = await self.start()
                await sys.suspend(server)
                queued = [self.background(server.call(n)) for n in range(3)]
                await self.turn_until(lambda s=server: process_info(s).message_queue_len == 3, "three calls wait")
                end(server)
                for number, task in enumerate(queued):
                    with self.exits(reason) as caught:
                        await task
                    self.assertEqual(number, caught.exception.args[1][2])

    async def test_rule_03_when_a_handler_crashes_the_calls_behind_it_get_the_crash(self) -> None:
        error = ValueError("broken")
        for task in await self.calls_behind(raising(error)):
            with self.exits(Crash(error)) as caught:
                await task
            self.assertIs(error, caught.exception.reason.exception)

    async def test_rule_03_when_a_handler_stops_the_calls_behind_it_get_its_reason(self) -> None:
        for task in await self.calls_behind(returning(Stop("enough"))):
            with self.exits("enough"):
                await task

    async def test_rule_03_a_call_that_the_server_put_off_gets_its_reason_too(self) -> None:
        for end, reason in self.deaths():
            with self.subTest(reason=reason):
                server = await self.start()
                waiting = self.background(server.call(returning(NOREPLY)))
                await until_idle(server)
                await self.still_pending(waiting)
                end(server)
                with self.exits(reason):
                    await waiting

    async def test_rule_03_no_reply_in_time_exits_timeout(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        for timeout in (0.25, 1, 7.5):
            with self.subTest(timeout=timeout):
                waiting = self.background(server.call("value", timeout))
                await self.still_pending(waiting)
                self.clock.advance(timeout - 0.125)
                await self.still_pending(waiting)
                self.clock.advance(0.125)
                with self.exits(TIMEOUT) as caught:
                    await waiting
                self.assertEqual(("call", server, "value", timeout), caught.exception.args[1])
        self.assertTrue(server.is_alive())

    async def test_rule_03_a_call_without_end_waits_without_end(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        waiting = self.background(server.call("value", INFINITY))
        await self.still_pending(waiting)
        self.clock.advance(1e9)
        await self.still_pending(waiting)
        await sys.resume(server)
        self.assertEqual("value", await waiting)

    async def test_rule_03_each_call_has_its_own_deadline(self) -> None:
        server = await self.start()
        gate = asyncio.Event()
        first = self.background(server.call(parked(gate, "first")))
        await self.turn_until(lambda: process_info(server).status == "running", "the first call runs")
        self.clock.advance(3.0)
        second = self.background(server.call("second"))
        await self.still_pending(second)
        self.clock.advance(2.0)
        with self.exits(TIMEOUT):
            await first
        await self.still_pending(second)
        self.clock.advance(2.9)
        await self.still_pending(second)
        self.clock.advance(0.1)
        with self.exits(TIMEOUT):
            await second

    async def test_rule_03_answered_calls_do_not_shorten_later_deadlines(self) -> None:
        server = await self.start()
        for number in range(3):
            self.assertEqual(number, await server.call(number))
            self.clock.advance(1.0)
        await sys.suspend(server)
        waiting = self.background(server.call("late"))
        await self.still_pending(waiting)
        self.clock.advance(4.9)
        await self.still_pending(waiting)
        self.clock.advance(0.1)
        with self.exits(TIMEOUT):
            await waiting

    async def test_rule_03_the_exception_of_the_server_is_the_cause(self) -> None:
        server, error = await self.start(), ValueError("broken")
        with self.exits(Crash(error)) as caught:
            await server.call(raising(error))
        self.assertIs(error, caught.exception.__cause__)
        self.assertIn("in fail", "".join(traceback.format_exception(caught.exception)))

    async def test_rule_03_a_reason_that_is_no_crash_has_no_cause(self) -> None:
        server = await self.start()
        with self.exits("enough") as caught:
            await server.call(returning(Stop("enough")))
        self.assertIsNone(caught.exception.__cause__)

    async def test_rule_03_a_caller_may_catch_the_exit_and_go_on(self) -> None:
        server, other = await self.start(), await self.start()

        async def survive(_: Any) -> Any:
            try:
                await other.call(returning(Stop("enough")))
            except CallExit as error:
                return error.reason

        self.assertEqual("enough", await server.call(survive))
        self.assertTrue(server.is_alive())

    async def test_rule_03_an_exit_that_the_caller_does_not_catch_crashes_the_caller(self) -> None:
        server, other = await self.start(), await self.start()
        with self.assertRaises(CallExit) as caught:
            await server.call(lambda _: other.call(returning(Stop("enough"))))
        self.assertEqual("enough", caught.exception.reason.exception.reason)
        self.assertEqual((False, False), (server.is_alive(), other.is_alive()))

    async def test_rule_03_a_senseless_timeout_is_refused_and_nothing_is_sent(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        for timeout in (-1, -0.001, float("nan"), "5", None):
            with self.subTest(timeout=timeout), self.misuse(repr(timeout)):
                await server.call("value", timeout)
            with self.subTest(name_timeout=timeout), self.misuse(repr(timeout)):
                await call("nobody", "value", timeout)
        self.assertEqual(0, process_info(server).message_queue_len)

    async def calls_behind(self, message: Any) -> list[asyncio.Task[Any]]:
        """Return three calls that queue behind *message* in the mailbox of a server that goes on now."""
        server = await self.start()
        await sys.suspend(server)
        server.cast(message)
        queued = [self.background(server.call(n)) for n in range(3)]
        await self.turn_until(lambda: process_info(server).message_queue_len == 4, "three calls wait")
        await sys.resume(server)
        return queued

    @staticmethod
    def deaths() -> list[tuple[Any, Any]]:
        return [
            (lambda pid: exit(pid, KILL), KILLED),
            (lambda pid: exit(pid, "boom"), "boom"),
            (lambda pid: exit(pid, SHUTDOWN), SHUTDOWN),
            (lambda pid: exit(pid, Shutdown("term")), Shutdown("term")),
        ]


class Rule03FailedCallsOfAsyncServers(Asynchronous, Rule03FailedCalls):
    pass


class Rule04SendsThatNeverFail(RuntimeCase):
    async def test_rule_04_a_cast_to_a_dead_pid_is_no_error(self) -> None:
        server = await self.start()
        exit(server, KILL)
        self.assertIsNone(cast(server, 1))
        self.assertIsNone(server.cast(1))
        self.assertIsNone(cast(lambda: server, 1))

    async def test_rule_04_a_cast_to_an_unknown_name_is_no_error(self) -> None:
        exit(await self.start(Probe, name="short"), KILL)
        for name in ("nobody", "short", ("tuple", 1), Name.SERVER):
            with self.subTest(name=name):
                self.assertIsNone(cast(name, 1))

    async def test_rule_04_a_send_to_an_unknown_name_raises_lookup_error(self) -> None:
        exit(await self.start(Probe, name="short"), KILL)
        for name in ("nobody", "short", ("tuple", 1), Name.SERVER):
            with self.subTest(name=name):
                with self.assertRaises(LookupError) as caught:
                    send(name, 1)
                self.assertIn(repr(name), str(caught.exception))

    async def test_rule_04_a_send_to_a_dead_pid_does_nothing(self) -> None:
        server = await self.start()
        exit(server, KILL)
        self.assertIsNone(send(server, 1))
        self.assertIsNone(server.send(1))
        self.assertIsNone(send(lambda: server, 1))

    async def test_rule_04_casts_and_sends_return_before_anything_is_handled(self) -> None:
        server = await self.start(Child, diary := [], "a")
        cast(server, 1)
        send(server, 2)
        self.assertEqual([("a", "start")], diary)
        await until_idle(server)
        self.assertEqual([("a", "start"), ("a", "cast", 1), ("a", "info", 2)], diary)

    async def test_rule_04_a_message_may_be_anything(self) -> None:
        server = await self.start()
        messages = [None, 0, "", (), [], {}, NORMAL, TIMEOUT, Shutdown(1), Stop("no"), ValueError("x"), server]
        for message in messages:
            cast(server, message)
            send(server, message)
        seen = await self.diary_of(server)
        for number, message in enumerate(messages):
            with self.subTest(message=message):
                self.assertEqual(("cast", "info"), (seen[2 * number][0], seen[2 * number + 1][0]))
                self.assertIs(message, seen[2 * number][1])
                self.assertIs(message, seen[2 * number + 1][1])


class Rule04SendsToAsyncServers(Asynchronous, Rule04SendsThatNeverFail):
    pass
