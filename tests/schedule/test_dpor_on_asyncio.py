"""The reduction on the exploring loop, held against every order of the same program."""

import asyncio
import random
import unittest

from benchmarks.dpor import compared
from benchmarks.reduction.every_order import EveryOrder
from benchmarks.reduction.explored import explore
from benchmarks.reduction.programs import Number, actors, casts, counter, independent, philosophers
from benchmarks.reduction.random_programs import OPERATIONS, RandomProgram, random_program
from supertester.errors import UsageError
from supertester.schedule.access_loop import AccessLoop, loop_for
from supertester.schedule.explore import explore_schedules
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.faults import Faults
from supertester.schedule.happens_before import class_of
from supertester.schedule.strategies import Dpor, Fifo, Strategy
from supertester.schedule.tracked import Shared


class TestRuns(unittest.TestCase):
    def check(self, program, runs, *, outcomes=1):
        found = explore(program, Dpor(watches_lines=False))
        self.assertEqual((len(found.outcomes), len(set(found.outcomes)), found.strategy.redundant), (runs, outcomes, 0))
        self.assertTrue(found.strategy.exhausted)
        self.assertEqual(found.strategy.untracked, set())

    def test_independent_tasks_need_one(self):
        self.check(independent(6), 1)

    def test_messages_to_a_mailbox_need_one_for_each_order(self):
        self.check(actors(clients=3, servers=1, messages=1), 6, outcomes=6)
        self.check(actors(clients=4, servers=2, messages=2), 36, outcomes=36)
        self.check(actors(clients=4, servers=4, messages=4), 1)

    def test_a_queue_tells_more_than_a_mailbox(self):
        self.check(casts(3), 48, outcomes=6)

    def test_locks_need_one_for_each_way_to_meet_at_them(self):
        self.check(counter(3), 36)
        self.check(philosophers(3), 36)

    def test_a_lost_update_is_one_of_four_runs(self):
        self.check(counter(2, locked=False), 4, outcomes=2)

    def test_who_waits_for_another_in_a_loop_lets_it_come(self):
        async def main():
            state = Number()

            async def waiter():
                while not state.value:  # noqa: ASYNC110 that is the point
                    await asyncio.sleep(0)

            async def other():
                state.value = 1

            await asyncio.gather(waiter(), other())

        strategy = Dpor()
        for number in range(20):
            self.assertTrue(strategy.begin(None, number))
            loop_for(strategy, step_limit=500).run(main())
            strategy.end(None)

    def test_a_deadlock_is_an_outcome(self):
        found = explore(philosophers(3, ordered=False), Dpor())
        self.assertEqual(set(found.outcomes), {None, "Deadlock"})


class TestNothingIsLost(unittest.TestCase):
    # Of the random programs with up to 130 orders those that can come to more than one thing: all first ones, and some
    # for operations that are not in them. A program of more orders costs most and is left out, one of a single outcome
    # shows nothing.
    numbers = (
        *(
            2,
            3,
            6,
            11,
            18,
            25,
            29,
            31,
            45,
            47,
            49,
            56,
            64,
            66,
            71,
            82,
            88,
            89,
            92,
            99,
            101,
            105,
            109,
            115,
            127,
            129,
            132,
        ),
        *(136, 137, 139, 141, 146, 147, 149, 154, 155, 158, 160, 177, 179, 181, 185, 188, 193, 194, 195, 196, 197, 198),
        *(199, 215, 537, 977),
    )

    def test_random_programs_come_to_the_same(self):
        count, every, some = compared(self.numbers, plain=False)
        self.assertGreaterEqual(count, len(self.numbers) - 2)  # Those of task groups have many orders on Python 3.11.
        self.assertLess(some, every / 5)

    def test_random_programs_have_every_operation(self):
        scripts = [script for number in self.numbers for script in random_program(number).scripts]
        self.assertEqual({operation for script in scripts for operation, _, _ in script}, set(OPERATIONS))

    def check(self, *scripts, strict=False, faults=None):
        program = RandomProgram(list(scripts), strict=strict)
        every, some = (explore(program, each, faults=faults) for each in (EveryOrder(), Dpor(watches_lines=False)))
        self.assertEqual(set(some.outcomes), set(every.outcomes))
        self.assertLess(len(some.outcomes), len(every.outcomes))

    def test_what_still_runs_after_the_end_is_explored_too(self):
        self.check([("write", "x", 0), ("fail", "x", 2)], [("write", "x", 2)], strict=True)

    def test_tasks_that_are_cancelled_while_others_look(self):
        self.check([("cancel", "x", 1)], [("sleep", "x", 0)], [("done", "x", 1)])

    def test_timeouts_at_the_very_moment(self):
        self.check([("deadline", "x", 0)], [("sleep", "x", 0), ("set", "x", 0)])
        self.check([("timeout", "x", 0)], [("sleep", "x", 0), ("set", "x", 0)])

    def test_faults_that_are_only_offered(self):
        self.check([("fault", "x", 1)], [("update", "x", 0), ("wait", "x", 0)])
        self.check([("fault", "y", 0), ("read", "y", 0)], [("fault", "y", 2), ("update", "y", 0)])

    def test_faults_offered_by_the_last_who_can_run(self):
        self.check([("update", "x", 0)], [("read", "x", 0), ("fault", "x", 0), ("wait", "y", 0)])

    def test_timers_that_fire_early(self):
        faults = Faults(timer_first=1)
        self.check([("set", "x", 1)], [("read", "y", 1)], [("sleep", "y", 0)], faults=faults)
        self.check([("set", "x", 2)], [("timeout", "x", 2)], faults=faults)

    def test_callbacks_that_are_cancelled(self):
        self.check([("soon", "x", 1), ("read", "x", 0)], [("write", "x", 0)])


class TestExploring(unittest.TestCase):
    def test_a_proof_says_so(self):
        report = explore_schedules(counter(2), strategy=Dpor(), complete=True, database=False)
        self.assertTrue(report.ok)
        self.assertTrue(report.exhausted)
        self.assertIn("and no other can differ", str(report))

    def test_what_is_not_tracked_proves_nothing(self):
        class State:
            pass

        async def main():
            vars(State())["value"] = 1

        report = explore_schedules(main, strategy=Dpor(), complete=True, database=False)
        self.assertFalse(report.ok)
        self.assertIn("what `vars(State())` uses", str(report))

    def test_a_failure_is_found_and_replayed(self):
        async def main():
            assert await counter(2, locked=False)() == 2, "lost"

        report = explore_schedules(main, strategy=Dpor(), database=False)
        self.assertEqual((report.schedules, report.failing.found_by, report.failing.switches), (1, "dpor", 1))

    def test_the_order_of_asyncio_leaves_nothing_to_prove(self):
        with self.assertRaisesRegex(UsageError, "are those of level='await', got level='io'"):
            explore_schedules(counter(2), strategy=Dpor(), level="io", database=False)


class Noting(Strategy):
    """Chooses at random, once, and notes what there was to choose from."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.noted = []

    def begin(self, _random, number):
        return number == 0

    def choose(self, runnable, current):
        self.noted.append([lane.path for lane in runnable])
        return self.random.randrange(len(runnable))


class TestTheLoop(unittest.TestCase):
    def test_only_strategies_that_need_accesses_get_them(self):
        self.assertIs(type(loop_for(Fifo())), ExploringLoop)
        strategy = Dpor()
        loop = loop_for(strategy)
        self.assertIs(type(loop), AccessLoop)
        self.assertIs(loop.accesses, strategy.accesses)

    def test_a_schedule_is_the_same_whether_or_not_somebody_notes_it(self):
        # The first ones, and those of the next hundred in which something is cancelled, taken back or made to fail.
        for seed in (*range(40), 46, 51, 53, 56, 61, 80, 88, 101, 105, 109, 115, 120):
            runs = [self.run_at_random(kind, seed) for kind in (ExploringLoop, AccessLoop)]
            self.assertEqual(runs[0], runs[1], f"seed {seed}")

    def run_at_random(self, kind, seed):
        strategy = Noting(seed)
        found = explore(random_program(seed, plain=True), strategy, limit=1, make_loop=kind)
        return found.outcomes, strategy.noted

    def test_a_step_knows_what_made_it_runnable(self):
        async def main():
            await asyncio.create_task(asyncio.sleep(0))

        strategy = Dpor()
        strategy.begin(None, 0)
        loop_for(strategy).run(main())
        seen = [(step.lane, step.causes) for step in strategy.accesses.steps]
        self.assertEqual(seen, [((0,), ()), ((0, 0), (0,)), ((0, 0), (1,)), ((0,), (2,))])

    def test_runs_of_one_class_are_told_by_their_accesses(self):
        class State(Shared):
            value = 0

        async def main():
            state = State()

            async def write(number):
                state.value = number

            await asyncio.gather(write(1), write(2), asyncio.sleep(0))

        classes = []
        strategy = EveryOrder()
        strategy.needs_accesses = True
        number = 0
        while strategy.begin(None, number):
            loop = loop_for(strategy)
            accesses = loop.accesses
            loop.run(main())
            classes.append(class_of(accesses.steps))
            number += 1
        self.assertGreater(len(classes), 10)
        self.assertEqual(len(set(classes)), 2)

    def test_an_endless_run_leaves_it_unproved(self):
        async def main():
            while True:  # noqa: ASYNC110 that is the point
                await asyncio.sleep(0)

        strategy = Dpor()
        strategy.begin(None, 0)
        with self.assertRaisesRegex(AssertionError, "no end within 50 steps"):
            loop_for(strategy, step_limit=50).run(main())
        strategy.end(None)
        self.assertFalse(strategy.begin(None, 1))
        self.assertFalse(strategy.exhausted)

    def test_timers_that_are_due_at_once_are_told(self):
        async def main():
            asyncio.get_running_loop().call_later(0, print)

        found = explore(main, Dpor())
        self.assertEqual(found.strategy.untracked, {"a timer that was due when it was set"})


if __name__ == "__main__":
    unittest.main()
