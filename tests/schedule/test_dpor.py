"""The reduction by itself, on transition systems in miniature; `test_dpor_on_asyncio` has the real ones."""

import random
import unittest

from supertester.errors import UsageError
from supertester.schedule.strategies.dpor import Dpor
from tests.schedule.toy import Box, EveryOrder, Latch, Mutex, outcomes

KINDS = {"read": 4, "write": 4, "update": 3, "both": 3, "lock": 3, "set": 2, "wait": 2, "put": 4, "cancel": 1}


class RandomSystem:
    """Lanes with up to three operations each, and servers of two mailboxes."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.scripts = [[self.operation(rng) for _ in range(rng.randint(1, 2))] for _ in range(rng.choice((2, 2, 3)))]
        self.receives = [rng.choice((0, 0, 1, 2)) for _ in "xy"]
        self.fails = rng.random() < 0.3

    def operation(self, rng):
        (kind,) = rng.choices(list(KINDS), list(KINDS.values()))
        return kind, rng.choice("xy"), rng.randint(0, 2)

    def __call__(self, toy):
        self.locks = {name: Mutex(toy, f"lock {name}") for name in "xy"}
        self.latches = {name: Latch(toy, f"latch {name}") for name in "xy"}
        self.boxes = {name: Box(toy, f"box {name}") for name in "xy"}
        for number, script in enumerate(self.scripts):
            toy.spawn(self.lane(toy, number, script))
        for name, count in zip("xy", self.receives, strict=True):
            if count:
                toy.spawn(self.server(toy, name, count))

    def lane(self, toy, me, script):
        for at, (kind, name, number) in enumerate(script):
            yield from getattr(self, kind)(toy, (me, at), name, number)
            yield
        if self.fails and toy.read("x") != 0:
            toy.fail(f"lane {me}")

    def server(self, toy, name, count):
        for number in range(count):
            message = yield from self.boxes[name].get()
            toy.variables["got", name, number] = message
            if count == 1:
                toy.write("x", message)

    def read(self, toy, me, name, _):
        toy.variables["seen", me] = toy.read(name)
        yield from ()

    def write(self, toy, me, name, _):
        toy.write(name, me)
        yield from ()

    def both(self, toy, me, name, _):
        toy.write("x", (toy.read("y"), me))
        yield from ()

    def update(self, toy, me, name, _):
        before = toy.read(name)
        yield
        toy.write(name, f"{before}{me}")

    def lock(self, toy, me, name, _):
        yield from self.locks[name].acquire()
        yield from self.update(toy, me, name, _)
        self.locks[name].release()

    def set(self, toy, me, name, _):
        self.latches[name].set()
        yield from ()

    def wait(self, toy, me, name, _):
        yield from self.latches[name].wait()

    def put(self, toy, me, name, _):
        self.boxes[name].put(me)
        yield from ()

    def cancel(self, toy, me, name, number):
        victim = toy.lanes[number % len(toy.lanes)]
        if victim is not toy.current:
            toy.cancel(victim)
        yield from ()


class TestReduction(unittest.TestCase):
    # Those of the first eighty that have no more than 300 orders.
    numbers = (
        *(0, 1, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 21, 22, 23, 25, 28, 31, 32, 35, 36, 39, 40, 41, 42, 43, 44),
        *(45, 46, 47, 48, 49, 53, 55, 59, 60, 61, 63, 64, 66, 67, 70, 72, 73, 76, 77),
    )

    def test_it_comes_to_everything_that_all_orders_come_to(self):
        for seed in self.numbers:
            with self.subTest(seed=seed):
                every, _ = outcomes(RandomSystem(seed), EveryOrder(), 300)
                some, strategy = outcomes(RandomSystem(seed), Dpor(), 300)
                self.assertEqual(set(some), set(every))
                self.assertTrue(strategy.exhausted)
                self.assertLessEqual(len(some) - strategy.redundant, len(every))

    def test_independent_lanes_need_one_run(self):
        def program(toy):
            def lane(number):
                for _ in range(3):
                    toy.write(f"own {number}", number)
                    yield

            for number in range(6):
                toy.spawn(lane(number))

        some, strategy = outcomes(program, Dpor())
        self.assertEqual((len(some), strategy.redundant), (1, 0))

    def test_puts_into_one_mailbox_need_a_run_for_each_order_and_gets_none(self):
        def program(toy):
            box = Box(toy, "box")

            def server():
                for number in range(3):
                    toy.variables[number] = yield from box.get()

            def client(number):
                box.put(number)
                yield from ()

            toy.spawn(server())
            for number in range(3):
                toy.spawn(client(number))

        some, strategy = outcomes(program, Dpor())
        self.assertEqual((len(some), len(set(some)), strategy.redundant), (6, 6, 0))

    def test_a_lane_that_was_to_run_is_also_run_before_its_step_was_taken_away(self):
        def program(toy):
            def victim():
                toy.variables["ran"] = True
                yield from ()

            def killer(lane):
                toy.cancel(lane)
                yield from ()

            lane = toy.spawn(victim())
            toy.spawn(killer(lane))
            toy.lanes.reverse()  # So that the killer runs first.

        some, _ = outcomes(program, Dpor())
        self.assertEqual({dict(variables).get("ran") for _, _, variables in some}, {True, None})

    def test_what_had_not_run_when_a_run_ended_is_also_run_before_its_end(self):
        def program(toy):
            def main():
                toy.fail("end")
                yield from ()

            def other():
                toy.variables["ran"] = True
                yield from ()

            toy.spawn(main())
            toy.spawn(other())

        some, _ = outcomes(program, Dpor())
        self.assertEqual(len(set(some)), 2)

    def test_a_program_that_depends_on_something_else_is_refused(self):
        runs = iter(range(100))

        def program(toy):
            def lane(number):
                toy.write("x", number)
                yield

            count = 3 if next(runs) == 0 else 1
            for number in range(count):
                toy.spawn(lane(number))
            toy.spawn(iter(()))

        with self.assertRaisesRegex(UsageError, "not deterministic: step 2 was of the lane"):
            outcomes(program, Dpor())

    def test_nothing_is_exhausted_before_it_is(self):
        strategy = Dpor()
        self.assertTrue(strategy.begin(random.Random(0), 0))
        self.assertFalse(strategy.exhausted)
        strategy.end(None)
        self.assertFalse(strategy.begin(random.Random(0), 1))
        self.assertTrue(strategy.exhausted)


if __name__ == "__main__":
    unittest.main()
