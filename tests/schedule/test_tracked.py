"""State that reports by itself, and asyncio's classes while they are watched."""

import asyncio
import threading
import unittest
from collections import deque

from benchmarks.reduction.explored import explore
from supertester.errors import UsageError
from supertester.schedule import Shared, track
from supertester.schedule.access_loop import AccessLoop
from supertester.schedule.control.probes import problems
from supertester.schedule.strategies import Dpor
from supertester.schedule.watched_classes import CLASSES, watched_classes
from tests.alone import alone


class Account(Shared):
    def __init__(self, balance=0):
        self.balance = balance


class Plain:
    def __init__(self):
        self.balance = 0


class Slotted:
    __slots__ = ("balance",)


def noted(body):
    """Run *body* in a step of a loop that notes accesses; return that step without what belongs to the loop."""

    async def main():
        return body()

    strategy = Dpor(watches_lines=False)
    strategy.begin(None, 0)
    result = AccessLoop(strategy).run(main())
    return strategy.accesses.steps[0], result


def parts(keys):
    """Return what is meant by keys of objects that were made in the step."""
    return {
        part for name, part in (key for key in keys if len(key) == 2) if isinstance(name, tuple) and name[0] == (0,)
    }


class TestShared(unittest.TestCase):
    def test_reading_and_writing_attributes_is_noted_one_by_one(self):
        def body():
            account = Account(5)
            account.owner = "me"
            return account.balance

        step, result = noted(body)
        self.assertEqual(result, 5)
        self.assertEqual(parts(step.writes), {"balance", "owner"})
        self.assertEqual(parts(step.reads), {"balance"})

    def test_it_looks_like_its_class(self):
        def body():
            account = Account(5)
            del account.balance
            return isinstance(account, Account), type(account).__name__, hasattr(account, "balance")

        self.assertEqual(noted(body)[1], (True, "Account", False))

    def test_nobody_pays_who_does_not_explore(self):
        self.assertIs(type(Account()), Account)
        self.assertNotIn("__getattribute__", vars(Account))


class TestTrack(unittest.TestCase):
    def test_outside_of_exploration_it_returns_what_it_is_given(self):
        for item in ({}, [], Plain(), 5):
            self.assertIs(track(item), item)

    def test_an_object_is_tracked_in_place(self):
        def body():
            plain = Plain()
            tracked = track(plain)
            plain.balance += 1
            return tracked is plain and track(plain) is plain and isinstance(plain, Plain)

        step, result = noted(body)
        self.assertTrue(result)
        self.assertIn("balance", parts(step.writes))

    def test_an_attribute_that_can_change_counts_as_changed_by_who_has_it(self):
        def body():
            plain = track(Plain())
            plain.items = []
            return plain.items

        self.assertIn("items", parts(noted(body)[0].writes))

    def test_slots_can_be_tracked(self):
        def body():
            item = track(Slotted())
            item.balance = 1
            return item.balance

        self.assertEqual(noted(body)[1], 1)

    def test_containers_are_copied(self):
        for make, change, look in (
            (lambda: {"a": 1}, lambda box: box.update(b=2), lambda box: box["a"]),
            (lambda: [1], lambda box: box.append(2), lambda box: box[0]),
            (lambda: {1}, lambda box: box.add(2), lambda box: 1 in box),
            (lambda: deque([1], 3), lambda box: box.popleft(), list),
        ):
            with self.subTest(type(make())):
                original = make()
                step, result = noted(lambda original=original, look=look: look(track(original)))
                self.assertEqual(result, look(original))
                self.assertEqual((len(parts(step.writes)), len(parts(step.reads))), (0, 1))
                step, _ = noted(lambda original=original, change=change: change(track(original)))
                self.assertEqual(len(parts(step.writes)), 1)
                self.assertEqual(original, make())

    def test_each_step_of_an_iteration_is_noted_where_it_happens(self):
        async def main():
            box = track([1, 2])
            seen = []

            async def reader():
                for each in box:
                    seen.append(each)
                    await asyncio.sleep(0)

            async def writer():
                box.append(3)

            await asyncio.gather(reader(), writer())
            return tuple(seen)

        found = explore(main, Dpor(watches_lines=False))
        self.assertGreater(len(found.outcomes), 2)
        self.assertEqual(set(found.outcomes), {(1, 2), (1, 2, 3)})

    def test_what_cannot_be_tracked_is_refused(self):
        with self.assertRaisesRegex(UsageError, r"track\(5\): objects of int cannot be tracked .*put it into an attr"):
            noted(lambda: track(5))


class TestWatchedClasses(unittest.TestCase):
    def test_other_loops_are_told_nothing_and_see_the_same(self):
        async def main():
            lock, queue = asyncio.Lock(), asyncio.Queue()
            async with lock:
                queue.put_nowait(5)
            return await queue.get(), repr(lock).endswith("[unlocked]>")

        with watched_classes():
            self.assertEqual(asyncio.run(main()), (5, True))

    def test_what_is_asked_of_a_python_is_asked_behind_the_watching(self):
        with watched_classes():
            self.assertEqual(problems(), [])

    def test_blocks_of_several_threads_overlap(self):
        inside, leave = threading.Event(), threading.Event()

        def other():
            with watched_classes():
                inside.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
        with watched_classes():
            pass
        self.assertIn("__getattribute__", vars(asyncio.Lock))
        leave.set()
        thread.join()

    @alone("other tests watch the classes of asyncio, too")
    def test_afterwards_the_classes_are_as_before(self):
        before = {cls: dict(vars(cls)) for cls in CLASSES}
        with watched_classes():
            self.assertNotEqual(dict(vars(asyncio.Lock)), before[asyncio.Lock])
        self.assertEqual({cls: dict(vars(cls)) for cls in CLASSES}, before)

    def test_a_lock_that_is_free_is_only_written_by_who_takes_it(self):
        def body():
            lock = asyncio.Lock()
            return lock.locked()

        step, _ = noted(body)
        self.assertEqual(parts(step.reads), {None})


if __name__ == "__main__":
    unittest.main()
