"""Targets where a server or a process is expected: one of the runtime is a reference, any other is refused by name."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psutil

from supertester import (
    ChaosMixin,
    IsolatedTestCase,
    OTPAssertions,
    PerformanceMixin,
    Unsupported,
    UsageError,
    WaitTimeout,
)
from supertester.otp import KILL, Agent, GenServer, call, cast, monitor, process_info, send, sys, until_idle
from supertester.otp import exit as send_exit
from supertester.servers import call_with_timeout, cast_and_sync, get_server_state_safely, wait_for_genserver_sync
from supertester.targets import Identity, QueueTaskTarget, Target, start_process, target_of
from tests.targets.programs import program


class Counter(GenServer):
    def init(self) -> int:
        return 0

    def handle_cast(self, message: Any) -> None:
        self.state += message

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.state


class Rock(Target):
    """Nothing ends it."""

    identity = Identity("rock", None, 1)
    exit_reason = None

    def kill(self, reason: Any = KILL) -> None:
        pass


class TestOfTheRuntime(ChaosMixin, PerformanceMixin, OTPAssertions, IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        self.server = await Counter.start_link()
        self.target = target_of(self.server)

    async def test_it_is_talked_to_as_its_process_is(self) -> None:
        cast(self.target, 1)
        await until_idle(self.target)
        self.assertEqual(await call(self.target, "value"), 1)
        self.assertEqual(await sys.get_state(self.target), 1)
        self.assertEqual((await get_server_state_safely(self.target)).unwrap(), 1)
        self.assertEqual((await call_with_timeout(self.target, "value")).unwrap(), 1)
        await cast_and_sync(self.target, 2)
        self.assertIs(await wait_for_genserver_sync(self.target), self.server)
        await self.assert_genserver_state(self.target, 3)
        details = process_info(self.target)
        assert details is not None
        self.assertEqual(details.message_queue_len, 0)

    async def test_it_is_measured_disturbed_and_ended_as_its_process_is(self) -> None:
        report = await self.measure_mailbox_growth(self.target, lambda: [cast(self.target, 1) for _ in range(3)])
        self.assertEqual((report.max_size, report.histogram), (3, {1: 1, 2: 1, 3: 1}))
        with self.drop(self.target) as dropped:
            cast(self.target, 1)
        self.assertEqual(len(dropped.hits), 1)
        await self.cleanup_processes([self.target])
        self.assertFalse(self.server.is_alive())


class TestOfOtherKinds(ChaosMixin, PerformanceMixin, OTPAssertions, IsolatedTestCase):
    async def test_what_needs_a_process_refuses_them(self) -> None:
        target = target_of(asyncio.current_task())
        uses: list[Callable[[], object]] = [
            lambda: cast(target, 1),
            lambda: send(target, 1),
            lambda: process_info(target),
            lambda: monitor(target),
            lambda: send_exit(target, KILL),
            lambda: call(target, "value"),
            lambda: sys.get_state(target),
            lambda: until_idle(target),
            lambda: get_server_state_safely(target),
            lambda: call_with_timeout(target, "value"),
            lambda: wait_for_genserver_sync(target),
            lambda: cast_and_sync(target, 1),
            lambda: self.drop(target).__enter__(),
            lambda: self.measure_mailbox_growth(target, int),
            lambda: self.assert_genserver_responsive(lambda: target),
        ]
        for number, use in enumerate(uses):
            with self.subTest(number=number), self.assertRaisesRegex(Unsupported, "<TaskTarget"):
                result = use()
                if isinstance(result, Awaitable):
                    await result

    async def test_a_thing_itself_is_refused_as_its_target_is_and_not_taken_for_a_name(self) -> None:
        external = await start_process(program())
        pool = SimpleNamespace(workers=list)
        for thing in (external, asyncio.current_task(), threading.current_thread(), psutil.Process(), pool):
            uses: list[Callable[[], object]] = [
                lambda: self.assert_genserver_state(thing, 1),  # noqa: B023
                lambda: self.assert_genserver_responsive(thing),  # noqa: B023
                lambda: self.assert_genserver_handles_message(thing, 1, 2),  # noqa: B023
                lambda: self.assert_supervisor_strategy(thing, "one_for_one"),  # noqa: B023
                lambda: wait_for_genserver_sync(thing),  # noqa: B023
                lambda: call_with_timeout(thing, 1),  # noqa: B023
                lambda: cast_and_sync(thing, 1),  # noqa: B023
                lambda: self.drop(thing).__enter__(),  # noqa: B023
                lambda: self.corrupt_state(thing, lambda state: state),  # noqa: B023
                lambda: self.trace_messages(thing, int),  # noqa: B023
                lambda: self.probe_crash_recovery(thing, "crash"),  # noqa: B023
                lambda: self.assert_genserver_state(lambda: thing, 1),  # noqa: B023
            ]
            for number, use in enumerate(uses):
                with (
                    self.subTest(thing=thing, number=number),
                    self.assertRaisesRegex(Unsupported, r"^(?!.*registered)"),
                ):
                    result = use()
                    if isinstance(result, Awaitable):
                        await result

    async def test_what_can_be_synchronised_with_is_taken_as_it_is(self) -> None:
        with ThreadPoolExecutor(1) as executor:
            doing = executor.submit(int)
            self.assertIs(await wait_for_genserver_sync(executor), executor)
            self.assertTrue(doing.done())

    async def test_a_number_is_no_process_of_the_operating_system_and_may_be_a_name(self) -> None:
        uses: list[Callable[[], object]] = [
            lambda: self.inject_crash(12345, "immediate"),
            lambda: self.pause(12345),
            lambda: target_of(12345),
        ]
        for use in uses:
            with self.assertRaisesRegex(UsageError, r"as 12345, and a mere number .* give psutil.Process\(12345\)"):
                await use()
        await Counter.start_link(name=12345)
        async with self.pause(12345):
            pass

    async def test_the_worker_of_a_queue_is_synchronised_and_measured(self) -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        done: list[int] = []

        async def work() -> None:
            while True:
                done.append(await queue.get())

        async def give() -> None:
            for number in range(3):
                queue.put_nowait(number)
            await wait_for_genserver_sync(worker)

        worker = QueueTaskTarget(asyncio.create_task(work()), queue)
        report = await self.measure_mailbox_growth(worker, give)
        self.assertEqual((done, report.initial_size, report.final_size), ([0, 1, 2], 0, 0))
        with self.assertRaisesRegex(AssertionError, "mailbox size exceeded maximum: <QueueTaskTarget .* had 1 > 0"):
            await self.assert_mailbox_stable(worker, during=lambda: queue.put_nowait(3), max_size=0)
        await self.cleanup_processes([worker])
        self.assertTrue(worker.task.cancelled())

    async def test_all_kinds_are_ended_together(self) -> None:
        agent = await Agent.start(0)
        with subprocess.Popen(program()) as popen:  # noqa: ASYNC220
            task = asyncio.create_task(asyncio.Event().wait())
            await self.cleanup_processes([agent, popen, target_of(task), "nobody"])
            self.assertEqual(popen.wait(), -signal.SIGTERM)
            self.assertEqual((agent.is_alive(), task.cancelled()), (False, True))

    async def test_functions_stand_for_what_they_return_and_the_dead_are_no_error(self) -> None:
        agent = await Agent.start(0)
        with subprocess.Popen(program()) as popen:  # noqa: ASYNC220
            gone = psutil.Process(popen.pid)
            await self.cleanup_processes([lambda: lambda: target_of(popen)])
            popen.wait()
            await self.cleanup_processes([agent, lambda: gone])
        self.assertFalse(agent.is_alive())

    async def test_a_class_or_a_handle_may_be_callable_and_is_not_called(self) -> None:
        class Handle:
            def __init__(self, pid: Any) -> None:
                self.pid = pid

            def __call__(self, request: Any) -> Any:
                raise AssertionError("it is no function to be called")

        server = await Counter.start_link(name=Counter)
        for system in (Counter, Handle(server), lambda: Counter):
            found = await self.assert_chaos_resilient(system, lambda: None, lambda: True, require_fault=False)
            self.assertTrue(found.recovered)
            self.assertEqual(target_of(system).exit_reason, None)
            self.assertEqual((await self.measure_mailbox_growth(system, int)).max_size, 0)

        def itself() -> Any:
            return itself

        with self.assertRaisesRegex(UsageError, "goes on returning functions instead of a target"):
            await self.measure_mailbox_growth(itself, int)

    async def test_a_thread_can_not_be_ended_and_is_named_when_the_rest_has_been(self) -> None:
        agent, over = await Agent.start(0), threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        with self.assertRaisesRegex(Unsupported, r"<ThreadTarget .* does not support kill\(\)"):
            await self.cleanup_processes([agent, thread], timeout=0.01)
        self.assertFalse(agent.is_alive())

    async def test_what_does_not_end_is_named_when_the_rest_has(self) -> None:
        agent = await Agent.start(0)
        with self.assertRaisesRegex(WaitTimeout, r"killed, but not ended within 0.01 s: \[<Rock rock"):
            await self.cleanup_processes([Rock(), agent], timeout=0.01)
        self.assertFalse(agent.is_alive())

    async def test_a_death_that_the_test_sees_to_itself_is_chaos(self) -> None:
        external = await start_process(program())
        target = target_of(external)
        found = await self.assert_chaos_resilient(
            lambda: external, lambda: os.kill(external.pid, signal.SIGKILL), lambda: not target.is_alive()
        )
        self.assertEqual([repr(each) for each in found.deaths], [repr(target)])
        self.assertEqual(found.to_dict()["deaths"], [repr(target)])
        self.assertIn("signal SIGKILL", repr(target))
