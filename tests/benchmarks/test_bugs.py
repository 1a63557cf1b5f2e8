"""The programs with bugs are wrong in some schedules, and their twins in none."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from benchmarks.__main__ import main as benchmarks
from benchmarks.bugs import HELD_OUT, KNOWN, Bug, Program, programs
from benchmarks.bugs.__main__ import main
from benchmarks.bugs.peers import peers
from benchmarks.bugs.search import Found, count, search, share
from benchmarks.bugs.table import goals
from supertester.schedule import explore_schedules
from tests.alone import alone


def table(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(arguments)
    return code, out.getvalue()


class TestPrograms(unittest.TestCase):
    def test_there_are_as_many_as_promised(self) -> None:
        counts = Counter(bug.suite for bug in programs())
        self.assertEqual(counts[KNOWN], 23)
        self.assertGreaterEqual(counts[HELD_OUT], 10)

    def test_each_is_found(self) -> None:
        for bug in programs():
            with self.subTest(bug.name):
                self.assertIsNotNone(search("auto")(bug.wrong, 1, 1500))

    def test_asyncios_own_order_finds_only_one(self) -> None:
        found = [bug.name for bug in programs() if search("fifo")(bug.wrong, 0, 1) is not None]
        self.assertEqual(found, ["lost-update"])

    def test_no_schedule_breaks_a_twin(self) -> None:
        for bug in programs():
            for strategy in ("auto", "random", "bounded:1"):
                with self.subTest(bug.name, strategy=strategy):
                    if bug.twin is not None:
                        report = explore_schedules(
                            bug.twin.start, strategy=strategy, schedules=25, seed=3, database=False, step_limit=20_000
                        )
                        self.assertTrue(report.ok, str(report))

    def test_each_says_what_is_wrong_with_it(self) -> None:
        for bug in programs():
            self.assertRegex(bug.about, r"\w+ \w+ .*\.$")


class TestSearch(unittest.TestCase):
    def test_it_counts_schedules_from_one(self) -> None:
        self.assertEqual(search("fifo")(self.named("lost-update").wrong, 0, 10), 1)

    def test_a_systematic_search_ends_by_itself(self) -> None:
        bug = self.named("ab-ba")
        assert bug.twin is not None
        self.assertIsNone(search("bounded:0")(bug.twin, 0, 10**9))
        self.assertEqual(share(bug.twin, "bounded:0", 10**9), 0.0)

    def test_a_livelock_is_no_find(self) -> None:
        async def endless() -> None:
            import asyncio

            while True:  # noqa: ASYNC110 this is about polling
                await asyncio.sleep(0)

        self.assertIsNone(search("random")(Program("endless", endless), 0, 10))

    def test_a_search_without_a_find_counts_as_longest(self) -> None:
        self.assertEqual(str(Found([3, None, 5])), "5 (2)")
        self.assertEqual(str(Found([3, None, None])), "- (1)")
        self.assertEqual(str(Found([3, 4, 1500])), "4")

    def test_each_seed_is_a_search_of_its_own(self) -> None:
        firsts = count(self.named("bluetooth").wrong, search("pos"), seeds=4, cap=300).firsts
        self.assertEqual(firsts, [search("pos")(self.named("bluetooth").wrong, seed, 300) for seed in range(4)])
        self.assertGreater(len(set(firsts)), 1)

    @staticmethod
    def named(name: str) -> Bug:
        return next(bug for bug in programs() if bug.name == name)


class TestGoals(unittest.TestCase):
    def test_they_are_met_or_missed(self) -> None:
        bugs = programs(KNOWN)
        good = {bug.name: {"auto": Found([1])} for bug in bugs}
        self.assertEqual([kept for _, kept in goals(bugs, good)], [True, True])
        bad = {**good, "failure-detector": {"auto": Found([None])}}
        self.assertEqual(
            goals(bugs, bad),
            [
                ("auto finds 22 of 23, at least 23", False),
                ("auto finds failure-detector after inf, at most 400", False),
            ],
        )
        self.assertEqual(goals(bugs[1:3], good), [])


class TestPeers(unittest.TestCase):
    def test_those_that_are_not_installed_are_left_out(self) -> None:
        for name in peers():
            self.assertIsNotNone(importlib.util.find_spec(name.split()[0]))


@alone("the command switches off logging and warnings in the whole process")
class TestCommand(unittest.TestCase):
    def setUp(self) -> None:
        import logging
        import warnings

        self.addCleanup(logging.disable, logging.NOTSET)
        self.enterContext(warnings.catch_warnings())

    def test_a_row_for_each_program_and_a_column_for_each_strategy(self) -> None:
        code, shown = table("token-ring", "stack", "--strategies", "pos,fifo", "--seeds", "2", "--cap", "50")
        self.assertEqual(code, 0)
        self.assertRegex(shown, r"\n +pos +fifo\ntoken-ring +\d+ +- \(0\)\nstack +\d+ +- \(0\)\nknown: of 2 +2 +0\n")

    def test_it_is_a_command_of_the_benchmarks(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(benchmarks(["bugs", "stack", "--seeds", "1", "--strategies", "auto"]), 0)
        self.assertIn("known: of 1", out.getvalue())

    def test_nothing_is_found_in_twins(self) -> None:
        code, shown = table("ab-ba", "--twins", "--strategies", "auto", "--seeds", "1", "--cap", "50")
        self.assertEqual(code, 0)
        self.assertRegex(shown, r"ab-ba +- \(0\)")

    def test_a_missed_goal_is_an_error(self) -> None:
        code, shown = table("failure-detector", "--strategies", "auto", "--seeds", "1", "--cap", "2")
        self.assertEqual(code, 1)
        self.assertIn("auto finds failure-detector after inf, at most 400: missed", shown)

    def test_rates(self) -> None:
        _, shown = table("token-ring", "--rates", "50", "--strategies", "random,fifo")
        self.assertRegex(shown, r"token-ring +\d{3}\.0 +0\.0\n")

    def test_searches_can_be_kept(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "out.json")
            table("stack", "--strategies", "pos", "--seeds", "2", "--json", str(file))
            self.assertEqual(len(json.loads(file.read_text())["stack"]["pos"]), 2)

    def test_what_makes_no_sense_is_refused(self) -> None:
        for arguments, message in (
            (["--strategies", "psi"], "unknown strategy 'psi' (did you mean 'pos'?)"),
            (["--seeds", "0"], "must be at least 1, got 0"),
            (["nothing"], "there is no such program; there are "),
        ):
            err = io.StringIO()
            with self.subTest(arguments), contextlib.redirect_stderr(err), self.assertRaises(SystemExit):
                main(arguments)
            self.assertIn(message, err.getvalue())
