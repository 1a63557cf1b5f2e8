"""Jobs of executors are steps of the schedule."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import unittest
from concurrent.futures import Executor

from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo
from tests.schedule.exploring import SECOND, Last, Scripted, explored

VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")


class TestJobs(unittest.TestCase):
    def test_run_in_the_thread_of_the_loop_without_a_running_loop(self) -> None:
        def job():
            with self.assertRaisesRegex(RuntimeError, "no running event loop"):
                asyncio.get_running_loop()
            return threading.get_ident()

        async def main():
            return await asyncio.to_thread(job)

        self.assertEqual(explored(main()), threading.get_ident())

    def test_no_executor_is_asked(self) -> None:
        class Refusing(Executor):
            def submit(self, *args, **kwargs):
                raise AssertionError("nothing is to be submitted")

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_default_executor(Refusing())
            return await loop.run_in_executor(Refusing(), pow, 2, 5), await loop.run_in_executor(None, pow, 2, 3)

        self.assertEqual(explored(main()), (32, 8))

    def test_have_a_lane_each(self) -> None:
        async def main():
            log: list[int] = []
            await asyncio.gather(*(asyncio.to_thread(log.append, number) for number in range(2)))
            return log

        self.assertEqual(explored(main()), [0, 1])
        strategy = Scripted("to_thread#1", "to_thread#2", "job list.append")
        explored(main(), strategy)
        self.assertEqual(strategy.offered[2], ["job list.append", "job list.append"])
        self.assertEqual(explored(main(), Last()), [1, 0])

    def test_see_the_context_that_to_thread_gives_them_and_else_none(self) -> None:
        async def main():
            VARIABLE.set("inside")
            return await asyncio.to_thread(VARIABLE.get), await asyncio.get_running_loop().run_in_executor(
                None, VARIABLE.get
            )

        self.assertEqual(explored(main()), ("inside", "outside"))

    def test_raise_where_they_are_awaited(self) -> None:
        def stop():
            raise StopIteration(5)

        def leave():
            raise SystemExit(5)

        async def main():
            with self.assertRaises(ZeroDivisionError):
                await asyncio.to_thread(divmod, 1, 0)
            with self.assertRaisesRegex(RuntimeError, "StopIteration"):
                await asyncio.to_thread(stop)
            future = asyncio.get_running_loop().run_in_executor(None, leave)
            await asyncio.wait([future])
            self.assertIsInstance(future.exception(), SystemExit)

        explored(main())

    def test_that_are_cancelled_first_never_run(self) -> None:
        async def main():
            log: list[int] = []
            asyncio.get_running_loop().run_in_executor(None, log.append, 1).cancel()
            await asyncio.sleep(SECOND)
            return log

        self.assertEqual(explored(main()), [])

    def test_are_plain_functions(self) -> None:
        async def main():
            with self.assertRaisesRegex(TypeError, "coroutines cannot be used"):
                asyncio.get_running_loop().run_in_executor(None, main)
            with self.assertRaisesRegex(TypeError, "needs a callable, got 5"):
                asyncio.get_running_loop().run_in_executor(None, 5)  # type: ignore[arg-type]

        explored(main())

    def test_can_call_back(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            event = asyncio.Event()
            await asyncio.to_thread(loop.call_soon_threadsafe, event.set)
            await event.wait()
            await loop.shutdown_default_executor()

        explored(main())

    def test_cannot_wait_for_the_loop(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()

            def job():
                coroutine = asyncio.sleep(0)
                try:
                    asyncio.run_coroutine_threadsafe(coroutine, loop).result()
                finally:
                    coroutine.close()

            await asyncio.to_thread(job)

        with self.assertRaisesRegex(
            UsageError, r"run_coroutine_threadsafe\(\) from a job cannot be explored \(.*in job\)"
        ):
            explored(main())


class TestThreads(unittest.TestCase):
    def test_the_loop_can_call_itself(self) -> None:
        async def main():
            event = asyncio.Event()
            asyncio.get_running_loop().call_soon_threadsafe(event.set)
            await event.wait()
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(SECOND, 5), loop))

        loop = ExploringLoop(Fifo())
        self.assertEqual(loop.run(main()), 5)

    def test_another_thread_is_refused_where_it_calls(self) -> None:
        found: list[BaseException] = []

        async def main():
            loop = asyncio.get_running_loop()

            def call():
                try:
                    loop.call_soon_threadsafe(print)
                except UsageError as error:
                    found.append(error)

            thread = threading.Thread(target=call)
            thread.start()
            thread.join()

        explored(main())
        self.assertRegex(
            str(found[0]),
            r"call_soon_threadsafe\(\) from another thread cannot be explored \(.*_jobs.py:\d+ in call\): .* use async",
        )
