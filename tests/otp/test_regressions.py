"""Regressions of processes: messages, threads, interrupts, teardown, and what must not grow."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import subprocess
import sys as python
import textwrap
import threading
import unittest
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import supertester
from supertester.case import tag
from supertester.errors import WaitTimeout
from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    NOREPLY,
    NORMAL,
    TIMEOUT,
    CallExit,
    Continue,
    Crash,
    Down,
    Exit,
    GenServer,
    Pid,
    Registry,
    Runtime,
    Stop,
    SystemEvent,
    Task,
    Via,
    current_runtime,
    demonitor,
    intercept,
    monitor,
    process_info,
    self_pid,
    sys,
    until_idle,
    whereis,
)
from supertester.otp.life import BARE, Life, refuse
from supertester.otp.process import Process
from supertester.otp.runtime import current
from tests.alone import alone
from tests.otp.support import TURNS, Asynchronous, Probe, RuntimeCase, one_turn, parked, returning

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


class Colourful(GenServer):
    def init(self, paint: Callable[[], Any]) -> Any:
        paint()

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self_pid(), COLOUR.get()

    def handle_cast(self, message: Any) -> None:
        COLOUR.set(message)


class Counter(GenServer):
    def init(self) -> Any:
        return 0

    def handle_call(self, request: Any, sender: Any) -> Any:
        return NOREPLY if isinstance(request, Unanswered) else "reply"

    def handle_cast(self, message: Any) -> None:
        self.state += 1


class Request:
    """A request that can be watched: whether anything still holds it."""


class Unanswered(Request):
    """A request that the server leaves without a reply."""


class Meddler:
    """A message during whose inspection another thread sends one more to the same mailbox."""

    def __init__(self, send: Callable[[Any], object]) -> None:
        self.send = send
        self.armed = False

    @property
    def __class__(self) -> type:
        if self.armed:
            self.armed = False
            in_thread(lambda: self.send("meddling"))
        return Meddler

    @__class__.setter
    def __class__(self, _: type) -> None:
        raise TypeError("it stays what it is")


def in_thread(function: Callable[[], Any]) -> Any:
    """Run *function* in another thread, blocking this one until it is done, and return its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    thread.join(60.0)
    return results[0]


def alive(requests: list[weakref.ref[Any]]) -> int:
    """Return how many of the objects are still held by anybody."""
    gc.collect()
    return sum(reference() is not None for reference in requests)


class Bounded(RuntimeCase):
    async def soon(self, awaitable: Awaitable[Any]) -> Any:
        """Return the result of *awaitable*, which needs neither time nor a thread to get it."""
        task = self.background(awaitable)
        await self.turn_until(task.done, "it is done")
        return await task

    @contextlib.contextmanager
    def loop_is_told(self, error: BaseException) -> Iterator[None]:
        """Expect that the loop's exception handler gets *error*, and nothing else."""
        yield
        self.assertEqual([error], [context["exception"] for context in self.loop_errors])
        self.loop_errors.clear()


class MessageRegressions(Bounded):
    async def test_a_tracer_that_kills_the_server_fails_the_call_at_once(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.trace(server, lambda event: event.pid.exit(KILL) if event.kind == "call" else None)
        with self.exits(KILLED):
            await self.soon(server.call(lambda me: me.note("handled")))
        self.assertEqual([], diary)

    async def test_a_tracer_that_kills_the_server_leaves_the_message_unhandled(self) -> None:
        server = await self.start(Probe, diary := [])
        events: list[SystemEvent] = []

        def kill(event: SystemEvent) -> None:
            events.append(event)
            event.pid.exit(KILL)

        await sys.trace(server, kill)
        server.cast("first")
        server.cast("second")
        self.assertEqual(KILLED, await self.dead(server))
        self.assertEqual(["first"], [event.message for event in events])
        self.assertEqual([], diary)

    async def test_an_interceptor_that_kills_the_server_fails_the_call_at_once(self) -> None:
        for what, result in {"keeps": lambda message: [message], "drops": lambda _: []}.items():
            with self.subTest(what):
                server = await self.start()

                def kill(message: Any, server: Pid = server, result: Callable[[Any], Any] = result) -> Any:
                    server.exit(KILL)
                    return result(message)

                with intercept(server, kill), self.assertRaises(CallExit) as caught:
                    await self.soon(server.call("request"))
                self.assertIn(caught.exception.reason, (KILLED, NOPROC))

    async def test_two_callers_of_one_task_both_get_its_result(self) -> None:
        gate = asyncio.Event()
        task = Task.async_(parked(gate, "result"), None)
        first, second = self.background(task.result()), self.background(task.result())
        await self.still_pending(first)
        gate.set()
        self.assertEqual(["result"] * 2, await self.soon(asyncio.gather(first, second)))
        self.assertEqual("result", await self.soon(task.result()))

    async def test_each_caller_of_a_task_has_its_own_timeout(self) -> None:
        gate = asyncio.Event()
        task = Task.async_(parked(gate, "result"), None)
        short, long = self.background(task.result(timeout=1.0)), self.background(task.result(timeout=3.0))
        await self.still_pending(short)
        self.clock.advance(1.0)
        with self.exits(TIMEOUT):
            await self.soon(short)
        await self.still_pending(long)
        gate.set()
        self.assertEqual("result", await self.soon(long))

    async def test_a_cancelled_caller_of_a_task_takes_the_result_from_nobody(self) -> None:
        gate = asyncio.Event()
        task = Task.async_(parked(gate, "result"), None)
        first, second = self.background(task.result()), self.background(task.result())
        await self.still_pending(first)
        first.cancel()
        await self.still_pending(second)
        gate.set()
        self.assertEqual("result", await self.soon(second))
        self.assertEqual("result", await self.soon(task.result()))
        self.assertTrue(first.cancelled())

    async def test_two_receivers_of_one_root_are_both_woken(self) -> None:
        for order in ("ab", "ba"):
            with self.subTest(order):
                root = self.rt.new_root()
                waiting = {each: self.background(root.receive(each)) for each in "ab"}
                await self.still_pending(waiting["a"])
                for each in order:
                    root.send(each)
                    self.assertEqual(each, await self.soon(waiting[each]))

    async def test_demonitor_flushes_past_a_message_that_cannot_be_compared(self) -> None:
        class Array:
            def __eq__(self, other: object) -> bool:
                raise ValueError("the truth of an array is ambiguous")

            __hash__ = None  # type: ignore[assignment]

        server = await self.start()
        ref = monitor(server)
        self.root.cast(array := Array())
        server.exit(KILL)
        await self.turn_until(lambda: len(self.root.messages) == 2, "the report is there")
        demonitor(ref, flush=True)
        (message,) = self.root.messages
        self.assertIs(array, message)

    async def test_demonitor_flushes_the_report_and_not_its_equal(self) -> None:
        server = await self.start()
        ref = monitor(server)
        self.root.cast(mock.ANY)
        server.exit(KILL)
        await self.turn_until(lambda: len(self.root.messages) == 2, "the report is there")
        demonitor(ref, flush=True)
        (message,) = self.root.messages
        self.assertIs(mock.ANY, message)

    async def test_an_intercepted_exit_or_down_is_replaced_by_information(self) -> None:
        server, other = await self.start(Probe, diary := [], trap=True), await self.start()
        await server.call(lambda _: monitor(other) and None)
        with intercept(server, lambda message: [("changed", type(message))]):
            server.exit("signal")
            other.exit(KILL)
            await until_idle()
        self.assertEqual([("info", ("changed", Exit)), ("info", ("changed", Down))], diary)

    async def test_an_intercepted_cast_stays_a_cast_whatever_replaces_it(self) -> None:
        server = await self.start_link(Probe, diary := [])
        for replacement in (Exit(self.root, "an order of the parent"), Down(None, None, NORMAL)):
            with intercept(server, lambda _, instead=replacement: [instead]):
                server.cast("original")
                await until_idle()
            self.assertEqual(("cast", replacement), diary[-1])
        self.assertTrue(server.is_alive())

    async def test_a_cast_does_not_raise_what_an_interceptor_raises(self) -> None:
        server, error = await self.start(Probe, diary := []), RuntimeError("broken interceptor")

        def fail(_: Any) -> Any:
            raise error

        with self.loop_is_told(error), intercept(server, fail):
            server.cast("message")
        await until_idle()
        self.assertEqual([("cast", "message")], diary)

    async def test_an_exit_signal_survives_an_interceptor_that_raises(self) -> None:
        server, error = await self.start(Probe, diary := [], trap=True), RuntimeError("broken interceptor")

        def fail(_: Any) -> Any:
            raise error

        with self.loop_is_told(error), intercept(server, fail):
            server.exit("signal")
        await until_idle()
        self.assertEqual(["signal"], [message.reason for _, message in diary])

    async def test_system_requests_to_a_root_fail_at_once(self) -> None:
        other = self.rt.new_root()
        for request in (sys.get_state, sys.get_status, sys.suspend, sys.sync, sys.statistics):
            with self.subTest(request.__name__), self.exits("not_a_server"):
                await self.soon(request(other))
        self.assertEqual([], other.messages)


class MessageRegressionsWithAsyncServers(Asynchronous, MessageRegressions):
    pass


class NameRegressions(Bounded):
    async def test_a_start_under_a_name_that_cannot_be_taken_leaves_nothing_behind(self) -> None:
        for server in (Probe, self.flavour(Counter)):
            with self.misuse("nope"):
                await self.soon(server.start_link(name=Registry.via("nope", "key")))
        self.assertEqual([self.root], list(self.rt.processes))
        await self.soon(until_idle())
        self.assertEqual(((), []), (process_info(self.root).links, self.root.messages))

    async def test_a_start_that_a_spawn_callback_refuses_leaves_nothing_behind(self) -> None:
        def refuse(_: Any) -> None:
            raise LookupError("no room")

        self.rt.on_spawn.append(refuse)
        with self.assertRaises(LookupError):
            await self.soon(self.start_link(Probe, name="named"))
        self.rt.on_spawn.remove(refuse)
        self.assertEqual(([self.root], set()), (list(self.rt.processes), self.rt.doomed))
        self.assertIsNone(whereis("named"))
        await self.soon(until_idle())
        self.assertEqual("reply", await (await self.start(Counter, name="named")).call("request"))

    async def test_a_key_that_is_free_to_look_at_is_free_to_take(self) -> None:
        registry, first, second = await Registry.start("unique"), await self.start(), await self.start()
        seen: list[Any] = []

        def take_over(_: Any) -> None:
            seen.append(Registry.whereis(registry, "key"))
            Registry.register(registry, "key", "new", pid=second)

        first.on_exit(take_over)
        Registry.register(registry, "key", "old", pid=first)
        first.exit(KILL)
        self.assertEqual([None], seen)
        self.assertEqual([(second, "new")], Registry.lookup(registry, "key"))
        self.assertEqual((1, []), (Registry.count(registry), Registry.keys(registry, first)))

    async def test_a_death_costs_the_registry_its_own_keys_only(self) -> None:
        hashed = 0

        class Key:
            def __hash__(self) -> int:
                nonlocal hashed
                hashed += 1
                return id(self) // 16

        registry = await Registry.start("unique")
        pids = [await self.start(Counter) for _ in range(300)]
        for pid in pids:
            Registry.register(registry, Key(), pid=pid)
        hashed = 0
        for pid in pids:
            pid.exit(KILL)
        self.assertEqual(0, Registry.count(registry))
        self.assertLess(hashed, 20 * len(pids))

    async def test_a_name_in_a_registry_equals_no_plain_tuple(self) -> None:
        self.assertNotEqual(("rooms", "lobby"), Via("rooms", "lobby"))
        self.assertEqual(Via("rooms", "lobby"), Registry.via("rooms", "lobby"))


class EvidenceRegressions(Bounded):
    async def test_a_state_that_cannot_be_iterated_does_not_spoil_the_evidence(self) -> None:
        class Closed(Mapping[str, Any]):
            def __getitem__(self, key: str) -> Any:
                raise RuntimeError("db closed")

            __iter__ = __len__ = __getitem__  # type: ignore[assignment]

            def keys(self) -> Any:
                raise RuntimeError("db closed")

        server = await self.start()
        await sys.replace_state(server, lambda _: Closed())
        self.assertGreater(process_info(server).memory, 0)
        server.cast(parked(asyncio.Event()))
        await self.turn_until(lambda: process_info(server).current_function, "the handler waits")
        with self.assertRaisesRegex(WaitTimeout, "is running with 0 messages"):
            await until_idle(timeout=0)

    async def test_a_reason_that_cannot_be_shown_does_not_spoil_the_pid(self) -> None:
        class Unspeakable(Exception):
            def __repr__(self) -> str:
                raise RuntimeError("no words")

        server, error = await self.start(name="named"), Unspeakable()
        await self.end(server, error)
        self.assertIsInstance(server.exit_reason, Crash)
        self.assertIn("'named' dead:", repr(server))
        with self.assertRaises(CallExit) as caught:
            await server.call("request")
        self.assertEqual(NOPROC, caught.exception.reason)

        class Unborn(GenServer):
            def init(self) -> Any:
                raise error

        with self.assertRaises(supertester.otp.StartFailed) as failed:
            await Unborn.start()
        self.assertTrue(str(failed.exception))


class GrowthRegressions(Bounded):
    @alone("counts what the garbage collector leaves")
    async def test_callers_that_went_away_are_not_remembered(self) -> None:
        server, requests = await self.start(Counter), []
        for _ in range(50):
            request = Unanswered()
            requests.append(weakref.ref(request))
            caller = asyncio.ensure_future(server.call(request))
            del request
            await one_turn()
            caller.cancel()
            await asyncio.wait([caller])
        await until_idle()
        del caller
        self.assertLess(alive(requests), 5)

    @alone("counts what the garbage collector leaves")
    async def test_finished_calls_behind_one_that_waits_are_forgotten(self) -> None:
        server, requests = await self.start(asynchronous_counter()), []
        waiting = self.background(server.call(Unanswered()))
        await self.still_pending(waiting)
        await self.call_often(server, requests)
        self.assertLess(alive(requests), 1_500)

    @alone("counts what the garbage collector leaves")
    async def test_finished_calls_leave_no_timer_behind(self) -> None:
        server, requests = await self.start(asynchronous_counter()), []
        waiting = self.background(server.call(Unanswered(), timeout=1.0))
        await self.still_pending(waiting)
        await self.call_often(server, requests, timeout=2.0)
        self.assertLess(alive(requests), 300)

    async def call_often(self, server: Pid, requests: list[Any], **options: Any) -> None:
        for _ in range(3_000):
            request = Request()
            requests.append(weakref.ref(request))
            self.assertEqual("reply", await server.call(request, **options))

    @alone("counts what the garbage collector leaves")
    async def test_a_server_that_starts_its_successor_leaves_no_chain_behind(self) -> None:
        generations: list[weakref.ref[Any]] = []

        class Relay(GenServer):
            def init(self, left: int, done: asyncio.Event) -> Any:
                generations.append(weakref.ref(self_pid()))
                return Continue("go", state=(left, done))

            async def handle_continue(self, arg: Any) -> Any:
                left, done = self.state
                if left:
                    await Relay.start(left - 1, done)
                else:
                    done.set()
                return Stop(NORMAL)

        done = asyncio.Event()
        await self.start(Relay, 500, done)
        await done.wait()
        await until_idle()
        self.assertLess(alive(generations), 100)  # The runtime's history names the last 64.


def asynchronous_counter() -> type[GenServer]:
    class Slow(Counter):
        async def handle_call(self, request: Any, sender: Any) -> Any:
            await one_turn()
            await one_turn()
            return super().handle_call(request, sender)

    return Slow


class ThreadRegressions(Bounded):
    """What happens in the very moment in which another thread meddles, made to happen."""

    async def test_a_suspended_server_copes_with_a_thread_that_sends_while_it_looks_for_requests(self) -> None:
        server = await self.start(Counter)
        await sys.suspend(server)
        server.cast(meddler := Meddler(server.cast))
        server.cast("last")
        meddler.armed = True
        self.assertEqual(0, await self.soon(sys.get_state(server)))
        self.assertFalse(meddler.armed, "nobody looked at the message")
        await sys.resume(server)
        await self.soon(until_idle())
        self.assertEqual(3, await sys.get_state(server))

    async def test_a_receiver_copes_with_a_thread_that_sends_while_it_looks(self) -> None:
        root = self.rt.new_root()

        def matches(message: Any) -> bool:
            if message == 1:
                in_thread(lambda: root.send("meddling"))
            return message == 3

        for message in (1, 2, 3):
            root.send(message)
        self.assertEqual(3, await self.soon(root.receive(matches)))
        self.assertEqual([1, 2, "meddling"], root.messages)

    async def test_whoever_looks_into_a_mailbox_copes_with_a_thread_that_sends(self) -> None:
        server, other = await self.start(Counter), await self.start()
        ref = monitor(other)
        await sys.suspend(server)
        for what, process, look in (
            ("process_info", server, lambda: process_info(server)),
            ("statistics", server, lambda: supertester.otp.sys.count(server)),
            ("messages", self.root, lambda: self.root.messages),
            ("demonitor", self.root, lambda: demonitor(ref, flush=True)),
        ):
            with self.subTest(what):
                process.cast(meddler := Meddler(process.cast))
                process.cast("last")
                meddler.armed = True
                look()
                self.assertFalse(meddler.armed, "nobody looked at the message")

    async def test_a_thread_with_a_loop_of_its_own_starts_servers_there(self) -> None:
        before = list(self.rt.processes)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for start in (
                Probe.start,
                Probe.start_link,
                asynchronous_counter().start,
                asynchronous_counter().start_link,
            ):
                pid = await start()
                self.assertIs(loop, pid.runtime.loop)
                self.assertIsNot(self.rt, pid.runtime)
                self.assertIsNone(process_info(pid).parent)
                self.assertEqual("reply", await pid.call(lambda _: "reply"))

        await asyncio.to_thread(lambda: asyncio.run(main()))
        self.assertEqual(before, list(self.rt.processes))

    async def test_a_direct_call_of_another_thread_runs_on_the_servers_thread(self) -> None:
        async with Runtime(direct_calls=True):
            server = await self.start()
            there = await asyncio.to_thread(lambda: asyncio.run(server.call(lambda _: threading.get_ident())))
        self.assertEqual(threading.get_ident(), there)

    async def test_the_first_message_of_a_thread_at_the_end_of_the_start_is_handled(self) -> None:
        sent: list[Pid] = []

        class Racing(Process):
            """Gets its first message after it saw its mailbox empty, and before it says that it rests."""

            @property
            def scheduled(self) -> bool:
                return Life.scheduled.__get__(self)  # type: ignore[attr-defined]

            @scheduled.setter
            def scheduled(self, on: bool) -> None:
                if not on and not sent:
                    sent.append(self)
                    in_thread(lambda: self.cast("first"))
                Life.scheduled.__set__(self, on)  # type: ignore[attr-defined]

        with mock.patch("supertester.otp.genserver.Process", Racing):
            server = await self.start(Probe, diary := [])
        self.assertEqual([server], sent)
        await self.turn_until(lambda: diary, "the message is handled")
        self.assertEqual([("cast", "first")], diary)

    async def test_an_idle_server_without_variables_holds_no_context_and_works_in_its_own(self) -> None:
        async def start(colour: str | None, init: Callable[..., Any]) -> Pid:
            context = contextvars.Context()
            context.run(current.set, self.rt)
            if colour is not None:
                context.run(COLOUR.set, colour)
            server = await asyncio.create_task(Colourful.start(init), context=context)
            context.run(COLOUR.set, "of the starter, later")
            return server

        plain, heir, painter = (
            await start(None, lambda: None),
            await start("inherited", lambda: None),
            await start(None, lambda: COLOUR.set("of init")),
        )
        self.assertEqual([True, False, False], [server.context is BARE for server in (plain, heir, painter)])
        self.assertEqual({"supertester.otp": plain}, process_info(plain).dictionary)
        self.assertIs(BARE, plain.context)
        for server, colour in ((plain, "none"), (heir, "inherited"), (painter, "of init")):
            self.assertEqual((server, colour), await server.call("who"))
            server.cast("red")
            self.assertEqual((server, "red"), await server.call("who"))

    async def test_a_first_message_that_comes_too_late_does_not_reopen_the_mailbox(self) -> None:
        server = await self.start(Counter)
        first_put = server.first_put
        server.exit(KILL)
        first_put()("late")
        self.assertEqual(0, len(server.open_mailbox()))
        with self.exits(NOPROC):
            await self.soon(server.call("request"))

    async def test_an_asynchronous_server_has_a_task_from_its_first_message_on(self) -> None:
        class Waiting(GenServer):
            async def handle_call(self, request: Any, sender: Any) -> Any:
                await one_turn()
                return asyncio.current_task()

        for runtime in (self.rt, Runtime(direct_calls=True)):
            async with runtime:
                server = await self.start(Waiting)
                self.assertEqual(set(), runtime.tasks)
                task = await self.soon(server.call("first"))
                self.assertEqual({task}, runtime.tasks)
                self.assertIs(task, await self.soon(server.call("second")))
                server.exit(KILL)
                await self.turn_until(lambda: not runtime.tasks, "the task has ended")  # noqa: B023

    async def test_the_first_message_of_an_asynchronous_server_takes_no_more_turns_than_the_next(self) -> None:
        class Waiting(GenServer):
            async def handle_cast(self, message: Any) -> None:
                self.state = message
                await one_turn()

        server = await self.start(Waiting)
        for message in ("first", "second"):
            server.cast(message)
            await one_turn()
            self.assertEqual((message, 1), (server.server.state, len(process_info(server).current_function) - 1))
            await until_idle(server)

    async def test_an_asynchronous_server_killed_before_its_task_begins_handles_nothing(self) -> None:
        class Waiting(GenServer):
            async def init(self) -> None: ...

            async def handle_cast(self, message: Any) -> None:
                handled.append(message)

        class Later(Waiting):
            def init(self) -> None: ...

        handled: list[Any] = []
        for cls in (Waiting, Later):
            server = await self.start(cls)
            server.cast("message")
            server.exit(KILL)
            await self.turn_until(lambda: not self.rt.tasks, "the task has ended")
        self.assertEqual([], handled)

    async def test_a_mailbox_that_opens_while_its_process_dies_is_closed_again(self) -> None:
        class Racing(Process):
            """Dies when its mailbox has been made for the first message, and is not in use yet."""

            @property
            def put(self) -> Any:
                return Life.put.__get__(self)  # type: ignore[attr-defined]

            @put.setter
            def put(self, put: Any) -> None:
                if put is not None and self.is_alive():
                    self.die(KILLED)
                Life.put.__set__(self, put)  # type: ignore[attr-defined]

        with mock.patch("supertester.otp.genserver.Process", Racing):
            server = await self.start()
        server.cast("first")
        self.assertEqual((KILLED, 0), (server.exit_reason, len(server.queue)))
        self.assertIs(refuse, server.put)
        with self.exits(NOPROC):
            await self.soon(server.call("second"))

    async def test_a_dead_process_is_freed_without_the_garbage_collector(self) -> None:
        server = await self.start()
        self.assertEqual("reply", await server.call(lambda _: "reply"))
        freed = weakref.ref(server)
        server.exit(KILL)
        self.rt.deaths.clear()
        gc.disable()
        self.addCleanup(gc.enable)
        del server
        self.assertIsNone(freed())

    async def test_a_cancelled_order_of_a_thread_is_not_carried_out(self) -> None:
        ran: list[int] = []
        future = in_thread(lambda: self.rt.call_threadsafe(ran.append, 1))
        self.assertTrue(future.cancel())
        in_thread(lambda: self.rt.call_threadsafe(ran.append, 2))
        await self.turn_until(lambda: ran, "the second order is carried out")
        self.assertEqual([2], ran)


class ClosedLoopRegressions(unittest.TestCase):
    """A pid outlives its loop: a message to it goes nowhere, and that is no error."""

    @staticmethod
    def outlived(server: type[GenServer] = Counter) -> Pid:
        return asyncio.run(server.start())

    def test_a_message_to_a_server_of_a_closed_loop_is_no_error(self) -> None:
        for cls in (Counter, asynchronous_counter()):
            for run in (lambda function: function(), in_thread):
                pid = self.outlived(cls)
                for _ in range(2):
                    run(lambda pid=pid: pid.cast("message"))
                    run(lambda pid=pid: pid.send("message"))

    def test_a_blocking_call_to_a_server_of_a_closed_loop_finds_nobody(self) -> None:
        pid = self.outlived()

        def attempt() -> Any:
            try:
                return pid.call_threadsafe("request")
            except CallExit as error:
                return error.reason

        self.assertEqual(NOPROC, in_thread(attempt))

    def test_a_call_from_another_threads_loop_to_a_closed_one_finds_nobody(self) -> None:
        pid = self.outlived()

        def attempt() -> Any:
            try:
                return asyncio.run(pid.call("request"))
            except CallExit as error:
                return error.reason

        self.assertEqual(NOPROC, in_thread(attempt))

    def test_a_call_from_the_next_loop_to_a_closed_one_finds_nobody(self) -> None:
        pid = self.outlived()
        with self.assertRaises(CallExit) as caught:
            asyncio.run(pid.call("request"))
        self.assertEqual(NOPROC, caught.exception.reason)

    def test_a_reply_to_a_caller_of_a_closed_loop_is_no_error(self) -> None:
        senders: list[Any] = []

        class Silent(GenServer):
            def handle_call(self, request: Any, sender: Any) -> Any:
                senders.append(sender)
                return NOREPLY

        async def main() -> None:
            pid = await Silent.start()
            calls = [asyncio.ensure_future(pid.call("request")) for _ in range(2)]
            for _ in range(TURNS):
                if len(senders) == len(calls):
                    break
                await one_turn()

        asyncio.run(main())
        senders[0].reply("from here")
        in_thread(lambda: senders[1].reply("from a thread"))


class InterruptRegressions(unittest.TestCase):
    """Ctrl-C and `sys.exit` in a callback end the program, whoever has called it."""

    def interrupted(self, main: Callable[[], Awaitable[Any]]) -> None:
        for error in (KeyboardInterrupt("ctrl-c"), SystemExit(4)):
            self.error = error
            runtimes: list[Runtime] = []

            async def program(runtimes: list[Runtime] = runtimes) -> None:
                runtimes.append(current_runtime())
                await main()
                for _ in range(TURNS):
                    await one_turn()

            with self.subTest(type(error).__name__):
                with self.assertRaises(type(error)) as caught:
                    asyncio.run(program())
                self.assertIs(error, caught.exception)
                self.assertEqual(set(), runtimes[0].doomed)

    def interrupting(self, *callbacks: str) -> type[GenServer]:
        """Return a server whose *callbacks* interrupt the program."""

        def interrupt(*_: Any) -> Any:
            raise self.error

        return type("Interrupting", (Probe,), dict.fromkeys(callbacks, interrupt))

    def asynchronously_interrupting(self, *callbacks: str) -> type[GenServer]:
        """Return the same with coroutines."""

        async def interrupt(*_: Any) -> Any:
            await one_turn()
            raise self.error

        return type("Interrupting", (Probe,), dict.fromkeys(callbacks, interrupt))

    def test_an_interrupt_in_init_ends_the_program(self) -> None:
        for interrupting in (self.interrupting, self.asynchronously_interrupting):
            self.interrupted(lambda make=interrupting: make("init").start())

    def test_an_interrupt_in_the_init_of_a_child_ends_the_program(self) -> None:
        for interrupting in (self.interrupting, self.asynchronously_interrupting):

            async def main(make: Callable[[str], type[GenServer]] = interrupting) -> None:
                await supertester.otp.Supervisor.start_link([supertester.otp.ChildSpec("child", make("init"))])

            self.interrupted(main)

    def test_an_interrupt_in_a_start_function_ends_the_program(self) -> None:
        async def start() -> Any:
            raise self.error

        async def main() -> None:
            await supertester.otp.Supervisor.start_link([supertester.otp.ChildSpec("child", start)])

        self.interrupted(main)

    def test_an_interrupt_in_a_handler_ends_the_program(self) -> None:
        for interrupting in (self.interrupting, self.asynchronously_interrupting):
            for callback, act in {
                "handle_cast": lambda pid: pid.cast("now"),
                "handle_info": lambda pid: pid.send("now"),
            }.items():

                async def main(make: Any = interrupting, callback: str = callback, act: Any = act) -> None:
                    act(await make(callback).start())

                self.interrupted(main)

    def test_an_interrupt_in_a_call_ends_the_program(self) -> None:
        for interrupting in (self.interrupting, self.asynchronously_interrupting):

            async def main(make: Any = interrupting) -> None:
                await (await make("handle_call").start()).call("now")

            self.interrupted(main)

    def test_an_interrupt_in_terminate_ends_the_program(self) -> None:
        for interrupting in (self.interrupting, self.asynchronously_interrupting):

            async def main(make: Any = interrupting) -> None:
                (await make("terminate").start()).cast(returning(Stop(NORMAL)))

            self.interrupted(main)


@tag(layer="system")
class TeardownRegressions(unittest.TestCase):
    """A plain program may end at any time: nothing complains about what it has left behind."""

    def silent(self, program: str, code: int = 0) -> None:
        """Run *program*, and expect its exit code and not a word on stderr."""
        prelude = "import asyncio, gc\nfrom supertester.otp import *\n"
        run = subprocess.run(
            [python.executable, "-W", "error", "-c", prelude + textwrap.dedent(program) + "\ngc.collect()\n"],
            cwd=Path(supertester.__file__).parent.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=60.0,
        )
        self.assertEqual((code, ""), (run.returncode, run.stderr))

    def test_a_program_may_leave_supervised_async_servers_running(self) -> None:
        for children, options in ((1, ""), (3, ""), (3, "max_restarts=100"), (3, "strategy='one_for_all'")):
            with self.subTest(children=children, options=options):
                self.silent(
                    f"""
                    class Async(GenServer):
                        async def init(self): return 0
                    async def main():
                        await Supervisor.start_link([ChildSpec(i, Async) for i in range({children})], {options})
                    asyncio.run(main())
                    """
                )

    def test_a_program_may_leave_a_tree_running(self) -> None:
        self.silent(
            """
            class Async(GenServer):
                async def init(self): return 0
                async def handle_cast(self, message): await asyncio.Event().wait()
                async def terminate(self, reason): await asyncio.Event().wait()
            class Plain(GenServer):
                pass
            async def main():
                pool = ChildSpec("pool", DynamicSupervisor, kwargs={"name": "pool"})
                inner = ChildSpec("inner", Supervisor, ([ChildSpec("a", Async), ChildSpec("b", Plain)],))
                await Supervisor.start_link([pool, inner], max_restarts=100)
                for _ in range(3):
                    (await start_child("pool", ChildSpec("any", Async))).cast("wait")
                await start_child("pool", ChildSpec("any", Plain))
                await asyncio.sleep(0)
            asyncio.run(main())
            """
        )

    def test_a_program_may_end_in_the_middle_of_a_call(self) -> None:
        self.silent(
            """
            class Async(GenServer):
                async def init(self): return 0
                async def handle_call(self, request, sender): await asyncio.Event().wait()
            async def main():
                pid = await Async.start()
                global task
                task = asyncio.create_task(pid.call("request"))
                await asyncio.sleep(0)
            asyncio.run(main())
            """
        )

    def test_a_program_may_exit_in_an_async_handler(self) -> None:
        self.silent(
            """
            class Async(GenServer):
                async def handle_cast(self, message): raise SystemExit(4)
                async def terminate(self, reason): pass
            async def main():
                (await Async.start()).cast("exit")
                await asyncio.Event().wait()
            asyncio.run(main())
            """,
            code=4,
        )

    def test_a_program_may_exit_in_a_plain_handler_of_a_server_with_an_async_terminate(self) -> None:
        self.silent(
            """
            class Mixed(GenServer):
                def handle_cast(self, message): raise SystemExit(4)
                async def terminate(self, reason): pass
            async def main():
                (await Mixed.start()).cast("exit")
                await asyncio.Event().wait()
            asyncio.run(main())
            """,
            code=4,
        )
