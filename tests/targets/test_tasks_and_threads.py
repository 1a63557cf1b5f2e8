"""Tasks, threads, executors and actors as targets: what is true of each beyond the contract of all."""

from __future__ import annotations

import asyncio
import importlib.util
import queue
import signal
import threading
import unittest
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

from supertester import IsolatedTestCase, OTPAssertions, Unsupported, UsageError, WaitTimeout
from supertester.chaos import inject_crash, kill_random_worker
from supertester.otp import KILLED, NORMAL, SHUTDOWN, Agent, Crash
from supertester.targets import QueueTaskTarget, QueueThreadTarget, TaskTarget, ThreadTarget, target_of


class TestTasks(OTPAssertions, IsolatedTestCase):
    async def test_reasons(self) -> None:
        async def fail() -> None:
            raise ValueError("bad")

        self.assertEqual(await target_of(asyncio.create_task(asyncio.sleep(0))).wait(), NORMAL)
        self.assertEqual(await target_of(asyncio.create_task(fail())).wait(), Crash(ValueError("bad")))
        cancelled = asyncio.create_task(asyncio.Event().wait())
        cancelled.cancel()
        self.assertEqual(await self.wait_for_process_death(cancelled), SHUTDOWN)
        injection = await inject_crash(asyncio.create_task(asyncio.Event().wait(), name="it"), "immediate")
        self.assertEqual((injection.died, injection.reason), (True, KILLED))
        self.assertEqual(target_of(injection.target.task).exit_reason, KILLED)  # type: ignore[union-attr]
        await self.assert_process_dead(injection.target)
        self.assertRegex(repr(injection.target), r"<TaskTarget it \(pid \d+, generation \d+\), ended with KILLED>")

    async def test_to_look_is_not_to_retrieve_the_exception(self) -> None:
        async def fail() -> None:
            raise ValueError("bad")

        task = asyncio.create_task(fail())
        target = target_of(task)
        await asyncio.wait([task])
        self.assertFalse(target.is_alive())
        self.assertTrue(task._log_traceback)  # type: ignore[attr-defined]
        self.assertEqual(target.exit_reason, Crash(ValueError("bad")))

    async def test_one_that_resists_is_told(self) -> None:
        over = asyncio.Event()

        async def resist() -> None:
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

        target = target_of(asyncio.create_task(resist()))
        await asyncio.sleep(0)
        with self.assertRaisesRegex(WaitTimeout, r"has not ended within 0.01 s after it was cancelled"):
            await target.stop(0.01)
        target.kill()
        with self.assertRaisesRegex(WaitTimeout, "last seen: it is running"):
            await target.wait(0.01)
        over.set()
        await target.wait()

    async def test_a_queue_with_or_without_task_done(self) -> None:
        done: list[int] = []
        jobs: asyncio.Queue[int] = asyncio.Queue()

        async def work() -> None:
            while True:
                job = await jobs.get()
                await asyncio.sleep(0)
                done.append(job)

        target = QueueTaskTarget(asyncio.create_task(work()), jobs)
        for number in range(3):
            jobs.put_nowait(number)
        self.assertEqual(target.queue_len(), 3)
        await target.sync()
        self.assertEqual((done, target.queue_len()), ([0, 1, 2], 0))
        await target.stop()
        jobs.put_nowait(4)
        with self.assertRaisesRegex(UsageError, "has left 1 in its queue"):
            await target.sync()

    async def test_a_queue_that_is_not_done(self) -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue()
        target = QueueTaskTarget(asyncio.create_task(asyncio.Event().wait()), jobs)
        jobs.put_nowait(1)
        with self.assertRaisesRegex(WaitTimeout, "to have done what is in its queue; last seen: 1 left in the queue"):
            await target.sync(0.01)
        target.kill()
        await target.wait()

    async def test_what_is_none(self) -> None:
        coroutine = asyncio.sleep(0)
        wrong: Any = coroutine
        with self.assertRaisesRegex(TypeError, "a task is needed, got <coroutine"):
            TaskTarget(wrong)
        coroutine.close()
        task = asyncio.create_task(asyncio.sleep(0))
        wrong = queue.Queue()
        with self.assertRaisesRegex(TypeError, "an asyncio.Queue is needed.*for a queue.Queue use QueueThreadTarget"):
            QueueTaskTarget(task, wrong)
        await task


class TestThreads(OTPAssertions, IsolatedTestCase):
    async def test_it_cannot_be_killed_or_stopped_unless_somebody_says_how(self) -> None:
        done = threading.Event()
        thread = threading.Thread(target=done.wait, name="it")
        with self.assertRaisesRegex(UsageError, "was not started yet"):
            ThreadTarget(thread)
        thread.start()
        target = target_of(thread)
        for crash in (inject_crash(thread, "immediate"), inject_crash(thread, ("after_ms", 50))):
            with self.assertRaisesRegex(Unsupported, r"kill\(\): Python has no way to end a thread from outside; give"):
                await crash
        with self.assertRaisesRegex(Unsupported, r"<ThreadTarget it .* stop\(\): a thread ends when its function"):
            await target.stop()
        asked: list[Any] = []
        killable = ThreadTarget(thread, kill=lambda reason: (asked.append(reason), done.set()))
        self.assertEqual(killable.identity, target.identity)
        killable.kill("now")
        self.assertEqual((await target.wait(), asked), (NORMAL, ["now"]))
        killable.kill("again")
        self.assertEqual(asked, ["now"])

    async def test_a_queue(self) -> None:
        jobs: queue.Queue[Any] = queue.Queue()
        done: list[Any] = []
        go = threading.Event()

        def work() -> None:
            go.wait()
            for job in iter(jobs.get, None):
                done.append(job)  # noqa: PERF402 - one after the other

        thread = threading.Thread(target=work)
        thread.start()
        target = QueueThreadTarget(thread, jobs, stop=lambda: jobs.put(None))
        jobs.put(1)
        jobs.put(2)
        self.assertEqual(target.queue_len(), 2)
        with self.assertRaisesRegex(WaitTimeout, "2 left in the queue"):
            await target.sync(0.01)
        go.set()
        await target.sync()
        self.assertEqual(done, [1, 2])
        await target.stop()
        with self.assertRaisesRegex(UsageError, "has left 0 in its queue"):
            await target.sync()
        wrong: Any = asyncio.Queue()
        with self.assertRaisesRegex(TypeError, "for an asyncio.Queue use QueueTaskTarget"):
            QueueThreadTarget(thread, wrong)

    async def test_an_executor(self) -> None:
        go = threading.Event()
        with ThreadPoolExecutor(1, "pool") as executor:
            executor.submit(go.wait)
            executor.submit(int)
            target = target_of(executor)
            self.assertEqual((target.identity.id, target.queue_len(), len(target.workers())), ("pool", 1, 1))
            with self.assertRaisesRegex(WaitTimeout, "1 jobs that no thread has begun"):
                await target.sync(0.01)
            go.set()
            await target.sync()
            self.assertEqual(await target.stop(), NORMAL)


class TestExecutorsOfProcesses(IsolatedTestCase):
    async def test_one_without_a_worker_is_broken_and_says_so(self) -> None:
        executor = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
        executor.submit(int).result()
        target = target_of(executor)
        before = target.workers()
        self.assertEqual([each.identity for each in before], [each.identity for each in target.workers()])
        injection = await kill_random_worker(executor, reason=signal.SIGKILL)
        self.assertIn("broken: A ", await target.wait(20))
        self.assertEqual(await injection.target.wait(), "signal SIGKILL")  # type: ignore[union-attr]
        with self.assertRaisesRegex(UsageError, "has no worker that runs"):
            await kill_random_worker(executor)
        executor.shutdown()

    async def test_work_that_is_lost(self) -> None:
        executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        target = target_of(executor)
        self.assertEqual(target.workers(), [])
        future = executor.submit(signal.pause)
        with self.assertRaisesRegex(WaitTimeout, "1 jobs undone"):
            await target.sync(0.01)
        target.kill()
        await target.wait(20)
        with self.assertRaisesRegex(UsageError, "jobs undone"):
            await target.sync()
        self.assertIsNotNone(future.exception())
        executor.shutdown()

    async def test_one_that_has_no_workers_yet(self) -> None:
        executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        target = target_of(executor)
        target.kill()
        self.assertEqual(await target.wait(), NORMAL)
        self.assertEqual(await target.stop(), NORMAL)


@unittest.skipUnless(importlib.util.find_spec("pykka"), "pykka is not installed")
class TestPykka(IsolatedTestCase):
    async def test_an_exception_is_the_reason_and_ended_is_what_the_thread_has(self) -> None:
        import pykka

        class Fragile(pykka.ThreadingActor):
            def on_receive(self, message: Any) -> Any:
                raise ValueError(message)

        with self.logs.capture("error"):
            ref = Fragile.start()
            target = target_of(ref)
            self.assertRegex(repr(target), "<PykkaTarget Fragile urn:uuid:.*, running>")
            self.assertEqual(target_of(ref.proxy()).identity, target.identity)
            ref.tell("bad")
            self.assertEqual(await target.wait(), Crash(ValueError("bad")))
        with self.assertRaisesRegex(UsageError, "has ended"):
            target_of(ref)

    async def test_what_it_was_given_before_is_done(self) -> None:
        import pykka

        seen: list[Any] = []

        class Listener(pykka.ThreadingActor):
            def on_receive(self, message: Any) -> Any:
                seen.append(message)

        ref = Listener.start()
        target = target_of(ref)
        for number in range(3):
            ref.tell(number)
        await target.sync()
        self.assertEqual((seen, target.queue_len()), ([0, 1, 2], 0))
        with self.assertRaisesRegex(Unsupported, r"kill\(\): an actor is a thread.*tell\(\) it what makes it raise"):
            target.kill()
        self.assertEqual(await target.stop(), NORMAL)


class TestEmbedded(IsolatedTestCase):
    async def test_names_and_functions(self) -> None:
        agent = await Agent.start_link(0, name="agent")
        for reference in (agent, "agent", lambda: "agent", lambda: agent):
            self.assertEqual(target_of(reference).identity, target_of(agent).identity)
        self.assertEqual(target_of(agent).identity.id, "agent")
        with self.assertRaisesRegex(UsageError, "no process is registered as 'nobody'"):
            target_of("nobody")
        with self.assertRaisesRegex(Unsupported, r"workers\(\)"):
            target_of(agent).workers()
        self.assertEqual(await target_of(agent).stop(), SHUTDOWN)

    async def test_one_that_stands_still(self) -> None:
        target = target_of(await Agent.start_link(0))
        await target.suspend()
        self.assertEqual(target.state, "stopped")
        with self.assertRaisesRegex(WaitTimeout, "has not handled all within 0.01 s: TIMEOUT"):
            await target.sync(0.01)
        await target.resume()
        await target.sync()
