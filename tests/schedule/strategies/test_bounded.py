"""All schedules, each once, in the order of their preemptions."""

from __future__ import annotations

import asyncio
import random
import unittest
from collections import Counter
from math import comb

from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Bounded
from tests.schedule.strategies.support import BruteForce, Program, orders, racing


async def locks(log: list[str]) -> None:
    a, b = asyncio.Lock(), asyncio.Lock()

    async def take(name: str, first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                log.append(name)

    await asyncio.gather(take("ab", a, b), take("ba", b, a))


async def timers(log: list[str]) -> None:
    async def late(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        log.append(name)
        await asyncio.sleep(0)
        log.append(name)

    await asyncio.gather(late("a", 1), late("b", 1), late("c", 2))


async def faults(log: list[str]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ExploringLoop)
    lane = loop.offer_fault("fault", lambda: log.append("fault"), key="fault")
    await racing(a=2, b=1)(log)
    lane.withdraw()


async def spawning(log: list[str]) -> None:
    async def child(name: str) -> None:
        log.append(name)

    async def parent(name: str) -> None:
        task = asyncio.create_task(child(f"child of {name}"))
        await asyncio.sleep(0)
        log.append(name)
        await task

    await asyncio.gather(parent("a"), parent("b"))


PROGRAMS: dict[str, Program] = {
    "one task": racing(a=3),
    "two tasks": racing(a=3, b=3),
    "three tasks": racing(a=2, b=1, c=2),
    "locks": locks,
    "timers": timers,
    "faults": faults,
    "spawning": spawning,
}


class TestWholeSpace(unittest.TestCase):
    def test_it_runs_what_brute_force_runs_and_nothing_twice(self) -> None:
        for name, program in PROGRAMS.items():
            with self.subTest(name):
                strategy = Bounded()
                found = Counter(orders(strategy, program))
                self.assertEqual(found, Counter(orders(BruteForce(), program)))
                self.assertTrue(strategy.exhausted)

    def test_two_tasks_have_as_many_schedules_as_there_are_ways_to_mix_them(self) -> None:
        """To tell that it has ended is a task's last step, after those that it writes down."""
        for a, b in ((1, 1), (2, 3), (3, 3), (5, 2)):
            with self.subTest(a=a, b=b):
                self.assertEqual(len(list(orders(Bounded(), racing(a=a, b=b)))), comb(a + b + 2, a + 1))

    def test_it_finds_the_deadlock(self) -> None:
        self.assertIn(("deadlock",), orders(Bounded(1), locks))

    def test_there_is_nothing_random_in_it(self) -> None:
        program = racing(a=2, b=2)
        self.assertEqual(list(orders(Bounded(), program, seed=1)), list(orders(Bounded(), program, seed=2)))


class TestBounds(unittest.TestCase):
    def test_schedules_come_in_the_order_of_their_preemptions(self) -> None:
        """Two tasks of four steps each: who goes first is free, and each change but the last is a preemption."""
        strategy = Bounded()
        bounds = [strategy.bound for _ in orders(strategy, racing(a=3, b=3))]
        self.assertEqual(bounds, sorted(bounds))
        rows = {count: 2 * comb(3, (count + 1) // 2 - 1) * comb(3, count // 2 - 1) for count in range(2, 9)}
        self.assertEqual(Counter(bounds), {count - 2: number for count, number in rows.items()})

    def test_a_limit_ends_it_before_the_space_is_exhausted(self) -> None:
        strategy = Bounded(1)
        self.assertEqual(len(list(orders(strategy, racing(a=3, b=3)))), 2 + 6)
        self.assertEqual((strategy.name, strategy.bound, strategy.exhausted), ("bounded:1", 1, False))

    def test_a_limit_that_nothing_reaches_exhausts_the_space(self) -> None:
        strategy = Bounded(9)
        list(orders(strategy, racing(a=3, b=3)))
        self.assertTrue(strategy.exhausted)

    def test_a_fault_counts_as_a_preemption(self) -> None:
        self.assertEqual({"fault" in order for order in orders(Bounded(0), faults)}, {False})
        self.assertEqual({"fault" in order for order in orders(Bounded(1), faults)}, {False, True})


class TestPatience(unittest.TestCase):
    def test_who_polls_does_not_keep_others_from_what_it_waits_for(self) -> None:
        async def main(log: list[str]) -> None:
            ready = False

            async def poll() -> None:
                while not ready:  # noqa: ASYNC110 this is about polling
                    await asyncio.sleep(0)

            async def work() -> None:
                nonlocal ready
                for _ in range(3):
                    await asyncio.sleep(0)
                ready = True

            await asyncio.gather(poll(), poll(), work())

        self.assertEqual(Counter(orders(Bounded(), main, 200, step_limit=2_000)), {(): 200})


class TestPrograms(unittest.TestCase):
    def test_one_that_is_another_in_each_run_is_refused(self) -> None:
        sizes = iter((3, 1, 1, 1))

        async def main(log: list[str]) -> None:
            await racing(**dict.fromkeys("abc"[: next(sizes)], 2))(log)

        strategy = Bounded()
        with self.assertRaisesRegex(
            UsageError, "not deterministic: at choice 3 the lane number 4 ran before, and now there are 2"
        ):
            list(orders(strategy, unlike(main), 4))


def unlike(main: Program) -> Program:
    """Return a program that begins like *main* and always has a first choice."""

    async def both(log: list[str]) -> None:
        await asyncio.gather(main(log), asyncio.sleep(0))

    return both


class TestRandomNumbers(unittest.TestCase):
    def test_none_are_drawn(self) -> None:
        numbers = random.Random(1)
        state = numbers.getstate()
        Bounded().begin(numbers, 0)
        self.assertEqual(numbers.getstate(), state)
