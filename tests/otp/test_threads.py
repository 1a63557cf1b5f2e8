"""Calls from other threads (rules 3, 4 and 15 of the rules, section 8 of the design)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from supertester.errors import UsageError
from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    NOREPLY,
    Crash,
    Runtime,
    cast,
    exit,
    link,
    monitor,
    process_info,
    register,
    send,
    sys,
    unregister,
    until_idle,
    whereis,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, parked, raising


class CallsFromOtherThreads(RuntimeCase):
    async def test_rule_03_a_thread_calls_and_gets_the_reply(self) -> None:
        server = await self.start()
        self.assertEqual("reply", await asyncio.to_thread(server.call_threadsafe, "reply"))

    async def test_rule_03_a_thread_waits_for_a_handler_that_waits(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        waiting = self.background(asyncio.to_thread(server.call_threadsafe, parked(gate, "later")))
        await self.entered(server)
        gate.set()
        self.assertEqual("later", await waiting)

    async def test_rule_03_the_handler_runs_on_the_threads_of_the_loop(self) -> None:
        server = await self.start()
        ident = await asyncio.to_thread(server.call_threadsafe, lambda _: threading.get_ident())
        self.assertEqual(threading.get_ident(), ident)

    async def test_rule_03_a_failed_call_fails_in_the_thread(self) -> None:
        server, error = await self.start(), ValueError("broken")
        with self.exits(Crash(error)) as caught:
            await asyncio.to_thread(server.call_threadsafe, raising(error))
        self.assertIs(error, caught.exception.__cause__)
        with self.exits(NOPROC):
            await asyncio.to_thread(server.call_threadsafe, "dead")

    async def test_rule_03_a_killed_server_fails_the_call_of_a_thread(self) -> None:
        server = await self.start()
        waiting = self.background(asyncio.to_thread(server.call_threadsafe, parked(asyncio.Event())))
        await self.entered(server)
        exit(server, KILL)
        with self.exits(KILLED):
            await waiting

    async def test_rule_03_a_blocking_call_on_the_loop_itself_is_refused(self) -> None:
        server = await self.start()
        with self.assertRaises(UsageError):
            server.call_threadsafe("would wait for ever")
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_04_casts_and_sends_of_a_thread_arrive_in_order(self) -> None:
        server = await self.start(Probe, diary := [])

        def talk() -> None:
            for number in range(100):
                server.cast(number)
                server.send(number)

        await asyncio.to_thread(talk)
        await until_idle(server)
        expected = [entry for number in range(100) for entry in (("cast", number), ("info", number))]
        self.assertEqual(expected, diary)

    async def test_rule_04_the_plain_functions_work_from_a_thread_too(self) -> None:
        server = await self.start(Probe, diary := [])
        await asyncio.to_thread(cast, server, 1)
        await asyncio.to_thread(send, server, 2)
        await until_idle(server)
        self.assertEqual([("cast", 1), ("info", 2)], diary)

    async def test_rule_04_messages_of_many_threads_all_arrive(self) -> None:
        server = await self.start(Probe, diary := [])
        barrier = threading.Barrier(4)

        def talk(name: str) -> None:
            barrier.wait()
            for number in range(250):
                server.cast((name, number))

        threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await until_idle(server)
        self.assertEqual(1_000, len(diary))
        for name in "abcd":
            self.assertEqual([(name, n) for n in range(250)], [entry[1] for entry in diary if entry[1][0] == name])

    async def test_rule_04_a_sleeping_loop_is_woken_by_a_cast_of_a_thread(self) -> None:
        server, arrived = await self.start(), asyncio.Event()
        woken = self.once_the_loop_sleeps(server.cast, lambda _: arrived.set())
        await arrived.wait()
        self.assertEqual([True], woken)

    async def test_rule_04_messages_of_a_thread_are_fine_in_debug_mode(self) -> None:
        """In which a loop refuses of a thread what would not wake it."""
        server = await self.start(Probe, diary := [])
        self.rt.loop.set_debug(True)
        self.rt.loop.slow_callback_duration = float("inf")  # Else it would speak of a busy machine, too.
        receiving = self.background(self.root.receive())
        await self.still_pending(receiving)
        for talk in (server.cast, server.send, self.root.send):
            await asyncio.to_thread(talk, "from a thread")
        await until_idle(server)
        self.assertEqual([("cast", "from a thread"), ("info", "from a thread")], diary)
        self.assertEqual("from a thread", await receiving)

    async def test_rule_04_a_cast_of_a_thread_to_the_dead_is_no_error(self) -> None:
        server = await self.start()
        exit(server, KILL)
        await asyncio.to_thread(server.cast, 1)
        await asyncio.to_thread(server.send, 1)

    async def test_rule_15_a_thread_may_reply(self) -> None:
        server, senders = await self.start(), []

        def put_off(me: Any) -> Any:
            senders.append(me.sender)
            return NOREPLY

        waiting = self.background(server.call(put_off))
        await self.turn_until(lambda: senders, "the call is handled")
        await asyncio.to_thread(senders[0].reply, "from a thread")
        self.assertEqual("from a thread", await waiting)

    async def test_rule_33_the_root_is_woken_by_a_thread(self) -> None:
        woken = self.once_the_loop_sleeps(self.root.send, "from a thread")
        self.assertEqual("from a thread", await self.root.receive())
        self.assertEqual([True], woken)

    async def test_rule_05_a_thread_does_everything_else_through_the_runtime(self) -> None:
        server = await self.start()
        await asyncio.wrap_future(await asyncio.to_thread(self.rt.call_threadsafe, register, server, "named"))
        self.assertIs(server, whereis("named"))
        await asyncio.wrap_future(await asyncio.to_thread(self.rt.call_threadsafe, exit, server, "boom"))
        self.assertEqual("boom", server.exit_reason)

    async def test_rule_05_the_future_of_such_a_call_carries_result_and_exception(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            await asyncio.wrap_future(await asyncio.to_thread(self.rt.call_threadsafe, lambda: 1 / 0))
        self.assertEqual(7, await asyncio.wrap_future(self.rt.call_threadsafe(lambda: 7)))

    async def test_rule_05_synchronous_operations_from_a_thread_are_refused_and_change_nothing(self) -> None:
        server = await self.start(Probe, name="named")
        for what, function in {
            "exit": lambda: exit(server, KILL),
            "Pid.exit": lambda: server.exit(KILL),
            "link": lambda: link(server),
            "monitor": lambda: monitor(server),
            "register": lambda: register(server, "other"),
            "unregister": lambda: unregister("named"),
        }.items():
            with self.subTest(what):
                with self.assertRaises(UsageError) as caught:
                    await asyncio.to_thread(function)
                self.assertIn("call_threadsafe", str(caught.exception))
        self.assertIs(server, whereis("named"))
        self.assertEqual(((), ()), (process_info(server).links, process_info(server).monitored_by))

    async def test_rule_36_threads_and_a_seeded_scheduler_get_along(self) -> None:
        async with Runtime(seed=1):
            server = await self.start()
            self.assertEqual("reply", await asyncio.to_thread(server.call_threadsafe, "reply"))
            await asyncio.to_thread(server.cast, 1)
            self.assertEqual([("cast", 1)], await self.diary_of(server))

    async def test_rule_36_threads_and_direct_calls_get_along(self) -> None:
        async with Runtime(direct_calls=True):
            server = await self.start()
            ident = await asyncio.to_thread(server.call_threadsafe, lambda _: threading.get_ident())
            self.assertEqual(threading.get_ident(), ident)

    def once_the_loop_sleeps(self, function: Callable[..., object], *args: Any) -> list[bool]:
        """Let a thread call *function* when the loop has nothing left to run, and note whether that wakes it."""
        woken: list[bool] = []
        selector = getattr(self.rt.loop, "_selector", None)
        if selector is None:
            self.skipTest("nobody sees when this loop sleeps")
        poll = selector.select

        def select(timeout: float | None) -> Any:
            if timeout == 0:
                return poll(0)
            selector.select = poll
            thread = threading.Thread(target=function, args=args)
            thread.start()
            thread.join()
            events = poll(0)  # What does not wake it is found here, instead of sleeping on.
            woken.append(bool(events))
            return events

        selector.select = select
        return woken

    async def entered(self, server: Any) -> None:
        """Wait, without a pause, until a thread has got *server* to work."""
        working = asyncio.Event()
        await sys.trace(server, lambda _: working.set())
        if not process_info(server).current_function:
            await working.wait()
            await self.turn_until(lambda: process_info(server).current_function, "the handler waits")


class CallsFromOtherThreadsToAsyncServers(Asynchronous, CallsFromOtherThreads):
    pass
