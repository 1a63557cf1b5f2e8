"""Explored programs are the same in every run; everybody else keeps the real clock and real chance meanwhile."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import secrets
import threading
import time
import unittest
import uuid
import warnings
import weakref
from random import randint
from time import monotonic
from typing import Any
from unittest import mock

from supertester.errors import Unsupported
from supertester.schedule.control import probes
from supertester.schedule.control.ordered_set import OrderedSet
from supertester.schedule.entropy import controlled_entropy, served_by
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo
from tests.alone import alone
from tests.schedule.exploring import SECOND, explored


def drawn():
    """Return something of every source of chance."""
    return [
        random.random(),
        randint(0, 10**9),
        random.gauss(0, 1),
        random.Random().random(),
        random.SystemRandom().random(),
        random.randbytes(4),
        os.urandom(8),
        secrets.token_hex(8),
        uuid.uuid4(),
        uuid.uuid1(),
    ]


async def drawing():
    return drawn() + await asyncio.to_thread(drawn)


class TestChance(unittest.TestCase):
    def test_comes_from_the_seed(self) -> None:
        with controlled_entropy():
            first, again, other = (explored(drawing(), seed=seed) for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertFalse(set(map(repr, first)) & set(map(repr, other)))
        self.assertEqual(len(set(map(repr, first))), len(first))

    def test_can_be_seeded_by_the_program(self) -> None:
        async def main():
            random.seed(5)
            state = random.getstate()
            first = random.random()
            random.setstate(state)
            return first, random.random(), random.Random(5).random()

        with controlled_entropy():
            self.assertEqual(len(set(explored(main()))), 1)

    def test_belongs_to_fixtures_too(self) -> None:
        def fixture():
            loop = ExploringLoop(Fifo(), seed=3)
            with served_by(loop):
                return [drawn(), time.time(), loop.run(drawing()), drawn()]

        with controlled_entropy():
            self.assertEqual(fixture(), fixture())

    def test_is_real_for_everybody_else(self) -> None:
        with controlled_entropy():
            explored(drawing())
            self.assertFalse(set(map(repr, drawn())) & set(map(repr, drawn())))
            os.urandom(0)

    @alone("Hypothesis seeds the random numbers of the process")
    def test_is_real_in_other_threads_and_loops_at_the_same_moment(self) -> None:
        """A program is explored over and over while another thread runs a real loop."""
        stop = threading.Event()
        found: list[list[object]] = []

        async def real():
            before = time.monotonic()
            while not stop.is_set():
                found.append(drawn())
                await asyncio.sleep(0.001 * SECOND)
                tasks = {asyncio.create_task(asyncio.sleep(0)) for _ in range(3)}
                done, _ = await asyncio.wait(tasks)
                self.assertIs(type(done), set)
            self.assertGreater(time.monotonic(), before)
            self.assertGreater(time.time(), 1_700_000_100)

        with controlled_entropy():
            expected = explored(drawing())
            thread = threading.Thread(target=asyncio.run, args=(real(),))
            thread.start()
            try:
                for _ in range(40):
                    self.assertEqual(explored(drawing()), expected)
            finally:
                stop.set()
                thread.join()
        shown = [repr(value) for values in found for value in values]
        self.assertEqual(len(set(shown)), len(shown))
        self.assertFalse(set(shown) & set(map(repr, expected)))


def block(seconds):
    time.sleep(seconds)


class TestTime(unittest.TestCase):
    def test_is_virtual(self) -> None:
        def look():
            exact = [time.time_ns(), time.monotonic_ns(), time.perf_counter_ns()]
            return [time.time(), monotonic(), time.monotonic(), time.perf_counter(), *(each / 10**9 for each in exact)]

        async def main():
            before = look()
            await asyncio.sleep(3600 * SECOND)
            return [now - then for now, then in zip(look(), before, strict=True)]

        with controlled_entropy():
            for passed in explored(main()):
                self.assertAlmostEqual(passed, 3600, places=6)

    def test_passes_a_little_with_every_look(self) -> None:
        async def main():
            return [time.monotonic_ns() for _ in range(3)] + [time.perf_counter_ns()]

        with controlled_entropy():
            self.assertEqual(explored(main()), [1, 2, 3, 4])

    def test_passes_in_blocking_sleeps(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            log: list[float] = []
            loop.call_later(1, lambda: log.append(loop.time()))
            block(5)
            await asyncio.to_thread(time.sleep, 5)
            await asyncio.sleep(SECOND)
            with self.assertRaises(ValueError):
                block(-1)
            return [*log, loop.time()]

        with controlled_entropy():
            begun = time.monotonic()
            self.assertEqual(explored(main()), [10, 11])
            time.sleep(0)
            self.assertLess(time.monotonic() - begun, 5)


class TestOpening(unittest.TestCase):
    @alone("compares attributes of modules of the process")
    def test_leaves_everything_as_it_was(self) -> None:
        def look():
            names = ["time", "monotonic", "perf_counter", "sleep"]
            return [
                *(getattr(time, name) for name in names),
                os.urandom,
                random._urandom,  # type: ignore[attr-defined]
                random.random,
                random.Random.seed,
                type(random._inst),  # type: ignore[attr-defined]
                uuid.uuid1,
                threading.Thread.start,
                vars(asyncio.tasks).get("set"),
                vars(asyncio.taskgroups).get("set"),
                globals()["monotonic"],
            ]

        before = look()
        with controlled_entropy(), controlled_entropy():
            same = [theirs for mine, theirs in zip(look(), before, strict=True) if mine is theirs]
            # Isolated tests of the same process have random numbers of their own in the same way.
            self.assertLessEqual({*map(repr, same)}, {repr(before[6]), repr(before[8])})
        for mine, theirs in zip(look(), before, strict=True):
            self.assertIs(type(mine), type(theirs))
            self.assertEqual(mine, theirs)

    def test_without_it_programs_have_the_real_thing(self) -> None:
        self.assertNotEqual(explored(drawing()), explored(drawing()))

    def test_in_one_thread_is_not_for_programs_of_others(self) -> None:
        found: list[object] = []
        with controlled_entropy():
            thread = threading.Thread(target=lambda: found.extend([explored(drawing()), explored(drawing())]))
            thread.start()
            thread.join()
        self.assertNotEqual(*found)


class TestOrder(unittest.TestCase):
    def test_waiting_keeps_the_order_of_the_tasks(self) -> None:
        async def child(number):
            await asyncio.sleep(0)
            return number

        async def main():
            found = [await each for each in asyncio.as_completed([child(number) for number in range(20)])]
            tasks = [asyncio.create_task(child(number)) for number in range(20)]
            done, pending = await asyncio.wait(tasks)
            self.assertEqual((list(done), pending), (tasks, set()))
            return found

        with controlled_entropy():
            self.assertEqual(explored(main()), list(range(20)))

    def test_a_failing_group_cancels_its_tasks_in_their_order(self) -> None:
        async def child(number):
            try:
                await asyncio.Event().wait()
            finally:
                log.append(number)

        async def main():
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(child(number))
                await asyncio.sleep(0)
                raise LookupError

        log: list[int] = []
        with controlled_entropy(), self.assertRaises(ExceptionGroup):
            explored(main())
        self.assertEqual(log, list(range(20)))


class TestOrderedSet(unittest.TestCase):
    def test_keeps_the_order_of_its_members_whatever_is_done_to_it(self) -> None:
        chance = random.Random(7)
        methods = ("update", "difference_update", "intersection_update", "symmetric_difference_update")
        for _ in range(300):
            ordered, plain, order = OrderedSet(), set(), dict.fromkeys(())
            for _ in range(20):
                name = chance.choice(["add", "discard", "update", *methods])
                what = chance.randrange(50) if name in {"add", "discard"} else {chance.randrange(50) for _ in range(30)}
                getattr(ordered, name)(what)
                getattr(plain, name)(what)
                order = {each: None for each in [*order, *ordered] if each in plain}
                self.assertEqual(set(iter(ordered)), plain)
                self.assertEqual(list(ordered), list(order))
                self.assertEqual((len(ordered), ordered == plain), (len(plain), True))

    def test_is_a_set(self) -> None:
        members = OrderedSet([3, 1, 2, 3])
        self.assertIsInstance(members, set)
        self.assertEqual(members.pop(), 3)
        members |= {5}
        members -= {1}
        members &= {2, 5, 7}
        members ^= {5, 9}
        self.assertEqual(list(members), [2, 9])
        self.assertEqual(list(members.copy()), [2, 9])
        self.assertEqual(members | {1}, {1, 2, 9})
        self.assertEqual(list(pickle.loads(pickle.dumps(members))), [2, 9])
        members.remove(2)
        with self.assertRaises(KeyError):
            members.remove(2)
        members.clear()
        self.assertEqual((list(members), len(members)), ([], 0))
        with self.assertRaises(KeyError):
            members.pop()


class TestProbes(unittest.TestCase):
    def test_this_python_keeps_every_promise(self) -> None:
        self.assertEqual(probes.problems(), [])

    @alone("uses mock.patch")
    def test_a_lack_is_said_loudly(self) -> None:
        probes.check.cache_clear()
        self.addCleanup(probes.check.cache_clear)
        with (
            mock.patch.object(probes, "_waits_are_seen", return_value=False),
            self.assertWarnsRegex(
                RuntimeWarning, "less than promised on this Python: messages do not say which task waits for which"
            ),
            controlled_entropy(),
        ):
            """Nothing is to be done: opening it is what warns."""

    @alone("uses mock.patch")
    def test_without_lanes_nothing_is_explored(self) -> None:
        probes.check.cache_clear()
        self.addCleanup(probes.check.cache_clear)
        with (
            mock.patch.object(probes, "_steps_name_their_task", return_value=False),
            self.assertRaisesRegex(Unsupported, "asyncio of this Python does not say to which task a step belongs"),
            controlled_entropy(),
        ):
            self.fail("it was opened")

    @alone("uses mock.patch")
    def test_looking_leaves_no_task_of_a_loop_that_is_none(self) -> None:
        made: weakref.WeakSet[Any] = weakref.WeakSet()

        class Steps(probes._Steps):
            def __init__(self) -> None:
                super().__init__()
                made.add(self)

        with mock.patch.object(probes, "_Steps", Steps):
            self.assertTrue(probes._steps_name_their_task())
        self.assertEqual(list(made), [])  # Its task holds it; no collection was needed for either.

    def test_looking_leaves_no_warnings(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertEqual(probes.problems(), [])
