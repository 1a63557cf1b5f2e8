"""The tasks of a loop, beside threads that make tasks all the time."""

from __future__ import annotations

import asyncio
import sys
import unittest
from asyncio import Task
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from weakref import WeakSet

from supertester._core.live_tasks import known_tasks, tasks_of


@contextmanager
def neighbour() -> Iterator[None]:
    """Let a task be made, as if by another thread, whenever somebody who goes through tasks has got to one."""
    before = sys.gettrace()
    made: list[asyncio.Task[None]] = []

    def traced(frame: FrameType, event: str, _: object) -> object:
        if frame.f_code is not WeakSet.__iter__.__code__:
            return None
        if frame.f_locals.get("item") is not None and event == "line":
            made.append(Task(asyncio.sleep(0), loop=asyncio.get_running_loop()))
        return traced

    sys.settrace(traced)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(before)
        for task in made:
            task.cancel()


class TestLiveTasks(unittest.TestCase):
    def test_are_those_of_the_loop_that_are_not_done(self) -> None:
        async def main() -> None:
            done = asyncio.create_task(asyncio.sleep(0))
            await done
            waiting = asyncio.create_task(asyncio.Event().wait(), name="waiting")
            loop = asyncio.get_running_loop()
            self.assertEqual(tasks_of(loop), {waiting, asyncio.current_task()})
            self.assertEqual(tasks_of(loop), asyncio.all_tasks())
            self.assertLessEqual({done, waiting}, set(known_tasks()))
            waiting.cancel()

        asyncio.run(main())

    def test_of_a_loop_with_a_list_of_its_own(self) -> None:
        class Loop(asyncio.SelectorEventLoop):
            tasks: list[asyncio.Task[None]] = []  # noqa: RUF012 - there is one loop

        loop = Loop()
        self.addCleanup(loop.close)
        loop.tasks.append(loop.create_task(asyncio.sleep(0)))
        self.assertEqual(tasks_of(loop), set(loop.tasks))
        loop.run_until_complete(loop.tasks[0])
        self.assertEqual(tasks_of(loop), set())

    @unittest.skipIf(sys.version_info < (3, 12), "there are no eager tasks")
    def test_one_that_has_begun_eagerly_is_one(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
            seen: list[set[asyncio.Task[None]]] = []

            async def look() -> None:
                seen.append(tasks_of(loop))

            await asyncio.create_task(look())
            self.assertEqual(len(seen[0]), 2)

        asyncio.run(main())

    def test_are_found_beside_a_thread_that_makes_tasks(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            with neighbour():
                self.assertEqual(tasks_of(loop), {asyncio.current_task()})
                with self.assertRaisesRegex(RuntimeError, "Set changed size during iteration"):
                    asyncio.all_tasks(loop)

        asyncio.run(main())
