"""What is sampled how often: the chances of small programs are known exactly."""

from __future__ import annotations

import asyncio
import random
import unittest
from collections import Counter
from collections.abc import Iterator
from itertools import groupby, pairwise, permutations

from supertester.schedule import Livelock
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo, Pct, Pos, RandomWalk, Roles, Sticky, Strategy, Urw, named_strategy
from tests.schedule.strategies.support import Program, likely, orders, racing, share

SAMPLERS = ("random", "pos", "roles", "pct", "pct:3", "urw", "sticky", "sticky:0.9", "auto")


def comes_last(order: tuple[str, ...]) -> bool:
    return order[-1] == "short"


class TestAllOfThem(unittest.TestCase):
    def test_the_same_seed_gives_the_same_schedules(self) -> None:
        program = racing(a=3, b=2, c=4)
        for name in SAMPLERS:
            with self.subTest(name):
                first, again, other = (list(orders(named_strategy(name), program, 50, seed=seed)) for seed in (5, 5, 6))
                self.assertEqual(first, again)
                self.assertNotEqual(first, other)

    def test_every_schedule_can_be_drawn(self) -> None:
        program = racing(a=1, b=2, c=1)
        for name in SAMPLERS:
            with self.subTest(name):
                seen = set()
                for order in orders(named_strategy(name), program, 2000):
                    seen.add(order)
                    if len(seen) == 12:
                        break
                self.assertEqual(len(seen), 12)

    def test_a_lost_update_is_found(self) -> None:
        for name in SAMPLERS:
            with self.subTest(name):
                self.assertIn(("lost",), orders(named_strategy(name), lost_update, 200))
        self.assertNotIn(("lost",), orders(Fifo(), lost_update, 200))

    def test_nobody_starves_who_is_waited_for(self) -> None:
        for name in SAMPLERS:
            with self.subTest(name):
                self.assertEqual(Counter(orders(named_strategy(name), polling, 100, step_limit=3_000)), {(): 100})

    def test_nobody_starves_behind_two_who_wake_each_other(self) -> None:
        for name in SAMPLERS:
            with self.subTest(name):
                self.assertEqual(Counter(orders(named_strategy(name), ping_pong, 100, step_limit=3_000)), {(): 100})

    def test_nobody_starves_who_has_many_of_its_role(self) -> None:
        for name in ("pos", "roles"):
            with self.subTest(name):
                self.assertEqual(Counter(orders(named_strategy(name), many_workers, 50, step_limit=10_000)), {(): 50})

    def test_faults_happen_sometimes_and_not_always(self) -> None:
        for name in SAMPLERS:
            with self.subTest(name):
                missing = {(False, "a"), (False, "b"), (True, "a")}
                for order in orders(named_strategy(name), faulty, 300):
                    missing.discard(("fault" in order, order[-1]))
                    if not missing:
                        break
                self.assertEqual(missing, set())

    def test_a_fault_may_be_all_there_is_beside_one_lane(self) -> None:
        for name in SAMPLERS:
            with self.subTest(name):
                missing = {None, 2, 3}
                for order in alone_with_a_fault(name):
                    missing.discard(order.index("fault") if "fault" in order else None)
                    if not missing:
                        break
                self.assertEqual(missing, set())


async def lost_update(log: list[str]) -> None:
    count = 0

    async def increment(after: int) -> None:
        nonlocal count
        for _ in range(after):
            await asyncio.sleep(0)
        seen = count
        await asyncio.sleep(0)
        count = seen + 1

    await asyncio.gather(increment(0), increment(4))
    if count < 2:
        log.append("lost")


async def polling(log: list[str]) -> None:
    ready = False

    async def poll() -> None:
        while not ready:  # noqa: ASYNC110 this is about polling
            await asyncio.sleep(0)

    async def work() -> None:
        nonlocal ready
        for _ in range(10):
            await asyncio.sleep(0)
        ready = True

    await asyncio.gather(poll(), poll(), work())


async def ping_pong(log: list[str]) -> None:
    ready = False
    balls: list[asyncio.Queue[None]] = [asyncio.Queue(), asyncio.Queue()]

    async def player(number: int) -> None:
        while not ready:
            await balls[number].get()
            balls[1 - number].put_nowait(None)
        balls[1 - number].put_nowait(None)

    async def work() -> None:
        nonlocal ready
        for _ in range(4):
            await asyncio.sleep(0)
        ready = True

    balls[0].put_nowait(None)
    await asyncio.gather(player(0), player(1), work())


async def many_workers(log: list[str]) -> None:
    left = 5

    async def worker() -> None:
        nonlocal left
        await asyncio.sleep(0)
        left -= 1

    async def poll() -> None:
        while left:  # noqa: ASYNC110 this is about polling
            await asyncio.sleep(0)

    await asyncio.gather(*(worker() for _ in range(5)), poll())


async def faulty(log: list[str]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ExploringLoop)
    loop.offer_fault("fault", lambda: log.append("fault"), key="fault")
    await racing(a=2, b=2)(log)


def alone_with_a_fault(name: str) -> Iterator[tuple[str, ...]]:
    async def main(log: list[str]) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ExploringLoop)
        loop.offer_fault("fault", lambda: log.append("fault"), key="fault")
        for _ in range(5):
            log.append("step")
            await asyncio.sleep(0)

    return orders(named_strategy(name), main, 300)


class TestChances(unittest.TestCase):
    """Of a task with one step against a task with five: how often does the one come last?"""

    uneven = staticmethod(racing(short=1, long=5))

    def assert_last(self, strategy: Strategy, expected: float) -> None:
        found = share(strategy, self.uneven, comes_last)
        self.assertTrue(likely(found, expected), f"{strategy.name}: {found} instead of {expected}")

    def test_a_random_walk_halves_it_at_each_step(self) -> None:
        self.assert_last(RandomWalk(), 1 / 2**5)

    def test_partial_order_sampling_gives_all_six_steps_the_same_chance(self) -> None:
        self.assert_last(Pos(), 1 / 6)
        self.assert_last(Roles(), 1 / 6)

    def test_priorities_without_changes_toss_a_coin(self) -> None:
        self.assert_last(Pct(1), 1 / 2)

    def test_a_walk_that_knows_the_lengths_gives_all_interleavings_the_same_chance(self) -> None:
        """With their ends they have two steps and six; three of the 28 interleavings have all but the ends in order."""
        strategy = Urw()
        list(orders(strategy, self.uneven, 300))
        self.assert_last(strategy, 3 / 28)

    def test_inertia_makes_rows(self) -> None:
        """Who goes on with 0.8, and is drawn again with half of the rest, goes on with 0.9."""
        found = [
            one == other
            for order in orders(Sticky((0.8,)), racing(a=100, b=100), 50)
            for one, other in pairwise(order[:100])
        ]
        self.assertTrue(likely(sum(found) / len(found), 0.9, len(found)), sum(found) / len(found))

    def test_partial_order_sampling_of_independent_steps_is_uniform_over_their_orders(self) -> None:
        seen = Counter(orders(Pos(), racing(a=1, b=1, c=1), 1000))
        for order in permutations("abc"):
            self.assertTrue(likely(seen[order] / 1000, 1 / 6), order)


class TestRoles(unittest.TestCase):
    def test_the_one_reader_is_as_likely_as_all_writers_and_they_as_each_other(self) -> None:
        for strategy, reader, writer in ((Roles(), 1 / 2, 1 / 18), (Pos(), 1 / 10, 1 / 10)):
            first = Counter(order[0] for order in orders(strategy, readers_and_writers, 1000))
            self.assertTrue(likely(first["reader"] / 1000, reader), first)
            self.assertTrue(likely(first["writer 0"] / 1000, writer), first)
            self.assertTrue(likely(first["writer 8"] / 1000, writer), first)


async def readers_and_writers(log: list[str]) -> None:
    async def writer(number: int) -> None:
        log.append(f"writer {number}")

    async def reader() -> None:
        log.append("reader")

    await asyncio.gather(*(writer(number) for number in range(9)), reader())


class TestPct(unittest.TestCase):
    def test_a_bug_of_depth_two_is_found_as_often_as_promised(self) -> None:
        """Two tasks and about 13 choices: 1/(2·13) at least."""
        program = racing(long=12, short=1)
        strategy = Pct(2)
        list(orders(strategy, program, 10))
        found = share(strategy, program, lambda order: order.index("short") == 6)
        self.assertGreater(found, 1 / (2 * 13))

    def test_between_the_changes_a_lane_runs_without_a_break(self) -> None:
        for depth in (1, 2, 3):
            with self.subTest(depth=depth):
                rows = max(len(list(groupby(order))) for order in orders(Pct(depth), racing(a=20, b=20), 300))
                self.assertEqual(rows, depth + 1)

    def test_one_long_schedule_is_forgotten(self) -> None:
        strategy = Pct(3)
        list(orders(strategy, racing(a=300, b=300), 1))
        list(orders(strategy, racing(a=5, b=5), 300))
        seen = {len(list(groupby(order))) for order in orders(strategy, racing(a=5, b=5), 200)}
        self.assertGreaterEqual(seen, {2, 3})


class TestUrw(unittest.TestCase):
    def test_what_a_lane_starts_counts_as_its_own(self) -> None:
        """A parent that starts nine tasks has as many steps left as all of them, so it does not come late."""

        async def main(log: list[str]) -> None:
            async def child() -> None:
                log.append("child")

            children: list[asyncio.Task[None]] = []

            async def parent() -> None:
                for _ in range(9):
                    children.append(asyncio.create_task(child()))
                    await asyncio.sleep(0)

            async def other() -> None:
                log.append("other")

            await asyncio.gather(parent(), other())
            await asyncio.gather(*children)

        strategy = Urw()
        list(orders(strategy, main, 300))
        late = share(strategy, main, lambda order: order.index("other") > 4, 400)
        self.assertGreater(late, 0.2)
        self.assertLess(share(RandomWalk(), main, lambda order: order.index("other") > 4, 400), 0.05)

    def test_who_polls_does_not_grow_for_ever(self) -> None:
        strategy = Urw()
        numbers = random.Random(3)
        lengths = []
        for number in range(600):
            strategy.begin(numbers, number)
            loop = ExploringLoop(strategy, step_limit=20_000)
            loop.run(polling([]))
            strategy.end(loop)
            lengths.append(loop.steps)
        self.assertLess(max(lengths), 5_000)


class TestLivelock(unittest.TestCase):
    def test_who_polls_for_what_nobody_does_is_reported(self) -> None:
        async def main(log: list[str]) -> None:
            async def poll() -> None:
                while True:  # noqa: ASYNC110 this is about polling
                    await asyncio.sleep(0)

            await asyncio.gather(poll(), poll())

        program: Program = main
        for name in SAMPLERS:
            with self.subTest(name), self.assertRaisesRegex(Livelock, "no end within 500 steps"):
                list(orders(named_strategy(name), program, 1, step_limit=500))
