"""Tasks, task factories, eager tasks and asynchronous generators of an exploring loop."""

from __future__ import annotations

import asyncio
import sys
import unittest

from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.loop.explored_task import ExploredTask
from supertester.schedule.strategies import Fifo
from tests.schedule.exploring import SECOND, Last, Scripted, explored


async def nothing():
    """Do nothing."""


class TestTasks(unittest.TestCase):
    def test_have_the_same_names_and_hashes_in_every_schedule(self) -> None:
        async def main():
            tasks = [asyncio.create_task(nothing()) for _ in range(3)]
            await asyncio.wait(tasks)
            return [task.get_name() for task in tasks], list(map(hash, tasks)), asyncio.current_task().get_name()

        expected = (["Task-2", "Task-3", "Task-4"], [2, 3, 4], "Task-1")
        self.assertEqual(explored(main()), expected)
        self.assertEqual(explored(main(), Last()), expected)

    def test_keep_the_names_they_are_given(self) -> None:
        async def main():
            return asyncio.create_task(nothing(), name="bob").get_name()

        self.assertEqual(explored(main()), "bob")

    def test_are_equal_to_themselves_alone(self) -> None:
        async def main():
            first, second = asyncio.create_task(nothing()), asyncio.create_task(nothing())
            self.assertNotEqual(first, second)
            self.assertEqual({first, second, first}, {second, first})
            self.assertEqual(asyncio.all_tasks(), {first, second, asyncio.current_task()})

        explored(main())


class TestFactories(unittest.TestCase):
    def test_make_the_tasks(self) -> None:
        class Mine(asyncio.Task):
            """A task of the user's own kind."""

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda each, coro, **options: Mine(coro, loop=each, **options))
            tasks = [asyncio.create_task(nothing()), asyncio.create_task(nothing(), name="bob")]
            self.assertEqual([task.get_name() for task in tasks], ["Task-2", "bob"])
            self.assertIsInstance(tasks[0], Mine)
            self.assertEqual([loop.lane_of(task).path for task in tasks], [(0, 0), (0, 1)])
            loop.set_task_factory(None)
            self.assertIsInstance(asyncio.create_task(nothing()), ExploredTask)
            await asyncio.wait(tasks)
            self.assertEqual(loop.tasks[1:3], tasks)

        explored(main())

    def test_of_tasks_made_by_hand(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            task = asyncio.Task(asyncio.sleep(SECOND), loop=loop)
            self.assertEqual(loop.lane_of(task).kind, "task")
            await task

        explored(main())

    def test_are_what_was_set(self) -> None:
        loop = ExploringLoop(Fifo())
        self.assertIsNone(loop.get_task_factory())
        loop.set_task_factory(print)
        self.assertIs(loop.get_task_factory(), print)
        with self.assertRaisesRegex(TypeError, "a task factory is a callable or None, got 5"):
            loop.set_task_factory(5)  # type: ignore[arg-type]
        loop.close()


@unittest.skipIf(sys.version_info < (3, 12), "eager tasks are new in Python 3.12")
class TestEagerTasks(unittest.TestCase):
    def test_begin_within_the_step_of_their_parent(self) -> None:
        log: list[str] = []

        async def child(name):
            log.append(f"{name} begins")
            await asyncio.sleep(0)
            log.append(f"{name} ends")

        async def main():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            tasks = [asyncio.create_task(child("a")), asyncio.create_task(child("b"))]
            log.append("main")
            self.assertEqual(asyncio.create_task(nothing()).done(), True)
            self.assertEqual(list(map(hash, tasks)), [2, 3])
            await asyncio.wait(tasks)

        strategy = Scripted("child#2")
        explored(main(), strategy)
        self.assertEqual(log, ["a begins", "b begins", "main", "b ends", "a ends"])

    def test_that_have_ended_already_can_be_looked_at(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            mine = loop.create_task(nothing(), eager_start=True)
            others = asyncio.Task(nothing(), loop=loop, eager_start=True)
            return [loop.lane_of(mine).label, loop.lane_of(others).label, mine.get_coro().__name__]

        self.assertEqual(explored(main()), ["nothing#1", "NoneType#1", "nothing"])

    def test_can_be_made_one_by_one(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            task = asyncio.Task(nothing(), loop=loop, eager_start=True)
            self.assertTrue(task.done())
            task = loop.create_task(nothing(), eager_start=True)
            self.assertTrue(task.done())

        explored(main())


class TestGenerators(unittest.TestCase):
    def test_that_are_dropped_are_closed_by_the_loop(self) -> None:
        async def main():
            log: list[str] = []

            async def numbers():
                try:
                    yield 1
                    yield 2
                finally:
                    await asyncio.sleep(SECOND)
                    log.append("closed")

            async for _ in numbers():
                break
            await asyncio.sleep(2 * SECOND)
            return log

        self.assertEqual(explored(main()), ["closed"])

    def test_that_are_left_are_closed_at_the_end_oldest_first(self) -> None:
        log: list[int] = []

        async def numbers(which):
            try:
                yield which
            finally:
                await asyncio.sleep(0)
                log.append(which)

        async def main():
            kept.extend(numbers(which) for which in range(5))
            for each in kept:
                await anext(each)

        kept: list = []
        explored(main())
        self.assertEqual(log, [0, 1, 2, 3, 4])

    def test_that_fail_to_close_are_noted(self) -> None:
        async def numbers():
            try:
                yield 1
            finally:
                raise LookupError("closing")

        async def main():
            kept.append(numbers())
            await anext(kept[0])

        kept: list = []
        loop = ExploringLoop(Fifo())
        loop.run(main())
        self.assertEqual([repr(each["exception"]) for each in loop.unhandled], ["LookupError('closing')"])
        self.assertIs(loop.unhandled[0]["asyncgen"], kept[0])

    def test_the_hooks_of_others_are_put_back(self) -> None:
        before = sys.get_asyncgen_hooks()
        explored(nothing())
        self.assertEqual(sys.get_asyncgen_hooks(), before)
