"""What an exploring loop says of what nobody caught, and how it ends what is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import unittest
import weakref

from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo
from supertester.schedule.virtual_loop import Deadlock
from tests.alone import alone
from tests.schedule.exploring import SECOND


def fail(*_):
    raise LookupError("nobody")


async def failing():
    fail()


class TestUnhandled(unittest.TestCase):
    def test_errors_of_callbacks_are_noted_and_the_schedule_goes_on(self) -> None:
        async def main():
            asyncio.get_running_loop().call_soon(fail)
            return await asyncio.sleep(SECOND, "on it goes")

        loop = ExploringLoop(Fifo())
        self.assertEqual(loop.run(main()), "on it goes")
        [context] = loop.unhandled
        self.assertRegex(context["message"], r"Exception in callback fail\(\) at .*test_exploring_endings.py")
        self.assertEqual(repr(context["exception"]), "LookupError('nobody')")
        self.assertIsInstance(context["handle"], asyncio.Handle)

    def test_a_handler_learns_of_them(self) -> None:
        seen = []
        loop = ExploringLoop(Fifo())
        self.assertIsNone(loop.get_exception_handler())
        loop.set_exception_handler(lambda *args: seen.append(args))
        loop.call_exception_handler({"message": "a word"})
        self.assertEqual(seen, [(loop, {"message": "a word"})])
        loop.set_exception_handler(fail)
        loop.call_exception_handler({"message": "another"})
        self.assertEqual(
            [each["message"] for each in loop.unhandled], ["a word", "another", "Unhandled error in exception handler"]
        )
        loop.default_exception_handler(loop.unhandled[0])
        with self.assertRaisesRegex(TypeError, "an exception handler is a callable or None, got 5"):
            loop.set_exception_handler(5)  # type: ignore[arg-type]
        loop.close()

    def test_errors_of_tasks_that_nobody_asked_for_are_known_without_the_garbage_collector(self) -> None:
        async def main():
            asked = asyncio.create_task(failing())
            asyncio.create_task(failing())
            await asyncio.wait([asked])
            asked.exception()

        loop = ExploringLoop(Fifo())
        loop.run_until_complete(main())
        [(task, error)] = loop.forgotten_errors()
        self.assertEqual((task.get_name(), repr(error)), ("Task-3", "LookupError('nobody')"))
        loop.close()


class TestLeft(unittest.TestCase):
    def test_tasks_are_cancelled_and_named(self) -> None:
        log: list[str] = []

        async def child():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(5 * SECOND)
                log.append("tidied")

        async def main():
            asyncio.create_task(child(), name="left over")
            await asyncio.sleep(0)

        loop = ExploringLoop(Fifo())
        loop.run_until_complete(main())
        self.assertEqual([task.get_name() for task in loop.pending()], ["left over"])
        steps, choices = loop.steps, list(loop.choices)
        loop.close()
        self.assertEqual([task.get_name() for task in loop.left], ["left over"])
        self.assertEqual(log, ["tidied"])
        self.assertEqual((loop.steps, loop.choices), (steps, choices))

    def test_tasks_that_those_start_end_too(self) -> None:
        log: list[str] = []

        async def late():
            try:
                await asyncio.Event().wait()
            finally:
                log.append("late one tidied")

        async def child():
            try:
                await asyncio.Event().wait()
            finally:
                asyncio.create_task(late())
                await asyncio.sleep(0)

        async def main():
            asyncio.create_task(child())
            await asyncio.sleep(0)

        loop = ExploringLoop(Fifo())
        loop.run(main())
        self.assertEqual((log, len(loop.left)), (["late one tidied"], 1))

    def test_tasks_that_fail_at_the_end_are_noted(self) -> None:
        async def child():
            try:
                await asyncio.Event().wait()
            finally:
                fail()

        async def main():
            asyncio.create_task(child())
            await asyncio.sleep(0)

        loop = ExploringLoop(Fifo())
        loop.run(main())
        self.assertEqual(
            [(each["message"], repr(each["exception"])) for each in loop.unhandled],
            [("a task that was cancelled at the end of the schedule failed", "LookupError('nobody')")],
        )

    @alone("replaces what Python tells of lost exceptions")
    def test_nothing_is_printed_and_nothing_left_to_the_garbage_collector(self) -> None:
        async def stubborn():
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(SECOND)

        async def stuck():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.Event().wait()

        async def numbers():
            yield 1

        async def main():
            asyncio.get_running_loop().offer_fault("kill it", fail)
            for coroutine in (stubborn(), stuck(), failing(), asyncio.sleep(50 * SECOND)):
                asyncio.create_task(coroutine)
            await asyncio.sleep(0)
            asyncio.create_task(asyncio.sleep(SECOND))
            async for _ in numbers():
                break
            await asyncio.start_server(lambda *both: kept.append(both), "localhost", 80)
            asyncio.get_running_loop().call_soon(print)
            kept.append(await asyncio.open_connection("localhost", 80))
            fail()

        kept: list = []
        output = io.StringIO()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        with contextlib.redirect_stderr(output), self.assertNoLogs():
            loop = ExploringLoop(Fifo())
            reference = weakref.ref(loop)
            with contextlib.suppress(LookupError):
                loop.run(main())
            del loop
            kept.clear()
            gc.collect()
        self.assertEqual(output.getvalue(), "")
        self.assertIsNone(reference())

    @alone("looks for garbage")
    def test_a_clean_schedule_leaves_no_circles(self) -> None:
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(SECOND))
                group.create_task(asyncio.to_thread(print, end=""))
            async with asyncio.timeout(1), asyncio.Lock():
                await asyncio.sleep(0)

        ExploringLoop(Fifo()).run(main())
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        loop = ExploringLoop(Fifo())
        reference = weakref.ref(loop)
        loop.run(main())
        del loop
        self.assertIsNone(reference())

    def test_a_loop_that_runs_is_not_closed(self) -> None:
        async def main():
            with self.assertRaisesRegex(RuntimeError, "Cannot close a running event loop"):
                asyncio.get_running_loop().close()

        ExploringLoop(Fifo()).run(main())

    def test_closing_twice_is_fine_and_what_comes_later_is_nobodys(self) -> None:
        loop = ExploringLoop(Fifo())
        self.assertFalse(loop.is_closed())
        loop.close()
        loop.close()
        self.assertTrue(loop.is_closed())
        loop.call_exception_handler({"message": "too late"})
        self.assertEqual(loop.unhandled, [])

    def test_a_deadlock_is_tidied_up_too(self) -> None:
        log: list[str] = []

        async def child():
            try:
                await asyncio.Event().wait()
            finally:
                log.append("tidied")

        async def main():
            await asyncio.create_task(child())

        with self.assertRaises(Deadlock):
            ExploringLoop(Fifo()).run(main())
        self.assertEqual(log, ["tidied"])
