"""What belongs together, what begins first, which part of it is whose, and what runs remember."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest
from supertester.runner.history import History
from supertester.runner.plan import Plan, Settings, Unit
from supertester.runner.queue import Queue, take
from supertester.runner.sharding import fingerprint, shard_of
from tests.runner.made import outcome


def tests(*names: str) -> list[DeclaredTest]:
    """Return tests that are called so; ``a:b`` is the test ``b`` of the fixture ``a``."""
    return [
        DeclaredTest(
            index=index,
            test_id=name.rpartition(":")[2],
            module="m",
            class_name="C",
            method=name,
            fixture=name.partition(":")[0] if ":" in name else None,
        )
        for index, name in enumerate(names)
    ]


def names(plan: Plan) -> list[str]:
    return [" ".join(test.test_id for test in plan.tests[unit.start : unit.stop]) for unit in plan.units]


class TestPlan(unittest.TestCase):
    def test_tests_of_a_fixture_are_one_unit_and_all_others_their_own(self) -> None:
        self.assertEqual(names(Plan.of(tests("f:a", "b", "f:c", "g:d", "f:e"))), ["a c e", "b", "d"])

    def test_an_order_that_is_to_be_kept_is(self) -> None:
        plan = Plan.of(tests("f:a", "f:b", "c", "f:d"), {"c": 9.0}, keep_order=True)
        self.assertEqual(names(plan), ["a b", "c", "d"])

    def test_the_longest_come_first_and_before_them_the_unknown(self) -> None:
        plan = Plan.of(tests("a", "f:b", "c", "f:d", "new"), {"a": 1.0, "b": 1.0, "c": 3.0, "d": 1.5})
        self.assertEqual(names(plan), ["new", "c", "b d", "a"])

    def test_attempts_at_a_fixture_are_different_runs_of_it(self) -> None:
        from dataclasses import replace

        once = tests("f:a", "f:b")
        self.assertEqual(names(Plan.of([*once, *(replace(each, attempt=2) for each in once)])), ["a b", "a b"])


class TestLimits(unittest.TestCase):
    def test_a_tag_says_more_than_a_class_and_a_class_more_than_the_run(self) -> None:
        from dataclasses import replace

        (test,) = tests("a")
        settings = Settings(timeout=10.0)
        self.assertEqual(settings.limit_of(test), 10.0)
        self.assertEqual(settings.limit_of(replace(test, own_limit=20.0)), 30.0)
        self.assertIsNone(settings.limit_of(replace(test, own_limit=None)))
        self.assertEqual(settings.limit_of(replace(test, own_limit=None, tags={"timeout": 3})), 3.0)
        self.assertIsNone(settings.limit_of(replace(test, tags={"timeout": None})))


class TestQueue(unittest.TestCase):
    def test_gives_each_unit_once_and_then_its_end(self) -> None:
        queue = Queue()
        self.addCleanup(queue.close)
        units = [Unit(number, number + 1) for number in range(20_000)]  # More than a pipe takes.
        queue.put(units)
        self.assertTrue(queue.has_waiting)
        seen = []
        while len(seen) < len(units):
            seen.append(take(queue.reader, queue.fill))
            queue.fill()
        self.assertEqual(seen, units)
        queue.finish()
        self.assertIsNone(take(queue.reader, lambda: None))

    def test_what_is_put_first_comes_before_what_nobody_took(self) -> None:
        queue = Queue()
        self.addCleanup(queue.close)
        queue.put([Unit(0, 1), Unit(1, 2), Unit(2, 3)])
        self.assertEqual(take(queue.reader, lambda: None), Unit(0, 1))
        queue.put_first([Unit(7, 9)])
        self.assertEqual(queue.empty(), [Unit(7, 9), Unit(1, 2), Unit(2, 3)])
        self.assertTrue(queue.is_empty)


class TestShards(unittest.TestCase):
    def test_are_all_tests_once_and_about_equally_long(self) -> None:
        suite = tests(*(f"t{number}" for number in range(50)), *(f"f:f{number}" for number in range(10)))
        durations = {test.test_id: 0.1 + test.index % 7 for test in suite}
        shards = [shard_of(suite, (part, 3), durations) for part in (1, 2, 3)]
        self.assertEqual(sorted(test.index for shard in shards for test in shard), list(range(60)))
        loads = [sum(durations[test.test_id] for test in shard) for shard in shards]
        self.assertLess(max(loads) - min(loads), 7.1)
        self.assertEqual(sum(any(test.fixture for test in shard) for shard in shards), 1)

    def test_more_of_them_than_tests_are_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "shard 3/3 has no test: only 2 can be told apart; use fewer shards"):
            shard_of(tests("a", "b"), (3, 3), {})

    def test_fit_together_only_with_the_same_tests_and_durations(self) -> None:
        suite = tests("a", "b")
        self.assertEqual(fingerprint(suite, {"a": 1.0}), fingerprint(suite, {"a": 1.0, "other": 2.0}))
        self.assertNotEqual(fingerprint(suite, {"a": 1.0}), fingerprint(suite, {"a": 2.0}))
        self.assertNotEqual(fingerprint(suite, {}), fingerprint(suite[:1], {}))


class TestHistory(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()), "history")

    def test_remembers_what_tests_took_and_learns(self) -> None:
        history = History(self.folder)
        self.assertEqual(history.durations(), {})
        history.remember([outcome("a.b.c", duration=2.0), outcome("a.b.d", "lost"), outcome("a.b.e", "skipped")])
        self.assertEqual(history.durations(), {"a.b.c": 2.0})
        history.remember([outcome("a.b.c", duration=1.0), outcome("a.b.x", duration=0.25)])
        self.assertEqual(history.durations(), {"a.b.c": 1.5, "a.b.x": 0.25})
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), [".gitignore", "durations.txt"])

    def test_what_is_broken_is_as_if_there_was_nothing(self) -> None:
        self.folder.mkdir()
        (self.folder / "durations.txt").write_bytes(b"\xff\xfe nonsense\n\n1.5 a\n")
        self.assertEqual(History(self.folder).durations(), {"a": 1.5})

    def test_a_folder_that_cannot_be_written_costs_no_test(self) -> None:
        self.folder.write_text("a file")
        History(self.folder / "below").remember([outcome("a.b.c", duration=2.0)])
        self.assertEqual(History(None).durations(), {})
