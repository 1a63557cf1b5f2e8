from __future__ import annotations

import tempfile
import unittest
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from supertester.runner import DeclaredTest, Loaded, Observer, Options, RunReport, Silent, TestOutcome
from supertester.runner.outcome_history import OutcomeHistory
from supertester.runner.rounds import chosen_tests, run_rounds
from tests.runner.made import declared, outcome, report

__tags__ = {"layer": "unit"}

Fate = Callable[[str, int], str]


class Watcher(Silent):
    def __init__(self) -> None:
        self.ends: list[RunReport] = []
        self.notes: list[str] = []

    def noted(self, note: str) -> None:
        self.notes.append(note)

    def ended(self, report: RunReport) -> None:
        self.ends.append(report)


class Rounds(unittest.TestCase):
    """Runs made-up tests, whose fate depends on how often they have run."""

    def setUp(self) -> None:
        self.history = OutcomeHistory(Path(self.enterContext(tempfile.TemporaryDirectory())))
        self.runs: list[str] = []
        self.options: list[Options] = []
        self.watcher = Watcher()
        self.seen: dict[tuple[str, int], int] = {}
        self.fixtures: list[TestOutcome] = []
        self.interrupted_at = 0

    def rounds(self, names: str, fate: Fate, **options: Any) -> RunReport:
        tests = [
            declared(
                name,
                index=index,
                tags={"layer": "unit"} if name in "ab" else {},
                fixture="class Shared" if name.isupper() else None,
            )
            for index, name in enumerate(names)
        ]
        loaded = Loaded([None] * len(tests), chosen_tests(tests, Options(**options), self.history))

        def run(chosen: Loaded, given: Options, observers: Sequence[Observer]) -> RunReport:
            self.options.append(given)
            self.runs.append("".join(test.test_id for test in chosen.tests))
            outcomes = [*(self.outcome(test, fate) for test in chosen.tests), *self.fixtures]
            more = {"interrupted": len(self.runs) == self.interrupted_at}
            made = report(*outcomes, **more, declared=len(chosen.tests), fail_on=given.fail_on)
            for each in observers:
                each.ended(made)
            return made

        return run_rounds(loaded, Options(**options), [self.watcher], run=run)

    def outcome(self, test: DeclaredTest, fate: Fate) -> TestOutcome:
        key = (test.test_id, test.attempt)
        self.seen[key] = self.seen.get(key, 0) + 1
        kind: Any = fate(test.test_id, self.seen[key])
        return TestOutcome(test_id=test.test_id, outcome=kind, declared=test, attempt=test.attempt, reason="why")


def all_pass(name: str, time: int) -> str:
    return "passed"


class TestChoice(Rounds):
    def test_layers_and_tags_choose(self) -> None:
        self.rounds("abc", all_pass, layers=("unit",))
        self.rounds("abc", all_pass, tag="not layer=unit")
        self.assertEqual(self.runs, ["ab", "c"])
        self.assertIn("tests by layer: 2 unit", self.watcher.notes)

    def test_those_that_failed_last_are_all_or_first(self) -> None:
        self.history = self.history.add([("a", "passed"), ("b", "failed"), ("c", "timeout")])
        self.rounds("abcd", all_pass, last_failed=True)
        self.rounds("abcd", all_pass, failed_first=True)
        self.assertEqual(self.runs, ["bc", "bcad"])
        self.assertEqual([each.keep_order for each in self.options], [False, True])

    def test_a_shuffled_run_keeps_its_order_and_says_its_seed(self) -> None:
        found = self.rounds("abcdef", all_pass, shuffle=7341)
        self.assertEqual(self.runs, ["caebdf"])
        self.assertTrue(self.options[0].keep_order)
        self.assertIn("in random order: --shuffle=7341", found.notes)


class TestRepetition(Rounds):
    def test_each_attempt_has_its_outcome(self) -> None:
        found = self.rounds("ab", all_pass, repeat=2)
        self.assertEqual(self.runs, ["abab"])
        self.assertEqual(
            [(each.test_id, each.attempt) for each in found.tests], [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
        )

    def test_shuffled_rounds_follow_each_other_each_in_its_own_order(self) -> None:
        self.rounds("abcdefgh", all_pass, repeat=2, shuffle=1)
        [order] = self.runs
        self.assertEqual(sorted(order[:8]), sorted(order[8:]))
        self.assertNotEqual(order[:8], order[8:])

    def test_rounds_go_on_until_one_fails(self) -> None:
        rounds = iter(["passed", "passed", "failed"])
        found = self.rounds("a", lambda name, time: next(rounds), until_fail=True)
        self.assertEqual(self.runs, ["a", "a", "a"])
        self.assertFalse(found.ok)
        self.assertEqual([each.attempt for each in found.tests], [3])
        self.assertIn("round 3 failed after 2 that passed", found.notes)
        self.assertEqual(len(self.watcher.ends), 1)

    def test_an_interruption_ends_the_rounds(self) -> None:
        self.interrupted_at = 2
        found = self.rounds("a", all_pass, until_fail=True)
        self.assertEqual(self.runs, ["a", "a"])
        self.assertIn("round 2 was interrupted after 1 that passed", found.notes)

    def test_rounds_have_an_end_if_they_are_given_one(self) -> None:
        found = self.rounds("a", all_pass, until_fail=True, repeat=4)
        self.assertEqual(len(self.runs), 4)
        self.assertTrue(found.ok)
        self.assertEqual(found.notes, ("round 4 passed after 3 that passed",))


class TestRerun(Rounds):
    def test_a_test_that_passes_when_it_runs_again_is_flaky_with_its_first_failure(self) -> None:
        found = self.rounds(
            "abc", lambda name, time: "failed" if name == "b" and time == 1 else "passed", rerun_failed=3
        )
        self.assertEqual(self.runs, ["abc", "b"])
        self.assertEqual(found.counts, {"passed": 2, "flaky": 1})
        self.assertEqual(found.tests[1].reason, "failed at first (why), passed when run again the first time")
        self.assertFalse(found.ok)
        self.assertEqual((found.declared, found.executed), (3, 3))
        self.assertIn("running 1 that failed again, attempt 1 of 3", self.watcher.notes)

    def test_flaky_is_no_failure_if_that_is_what_is_wanted(self) -> None:
        fate: Fate = lambda name, time: "timeout" if time < 3 else "passed"  # noqa: E731
        found = self.rounds("a", fate, rerun_failed=2, fail_on=frozenset({"lost"}))
        self.assertEqual(self.runs, ["a", "a", "a"])
        self.assertTrue(found.ok)
        self.assertIn("the second time", found.tests[0].reason)

    def test_a_test_that_keeps_failing_has_failed(self) -> None:
        found = self.rounds("ab", lambda name, time: "error" if name == "a" else "passed", rerun_failed=2)
        self.assertEqual(self.runs, ["ab", "a", "a"])
        self.assertEqual(found.counts, {"passed": 1, "error": 1})

    def test_each_runs_in_a_process_of_its_own_but_for_those_that_share_a_fixture(self) -> None:
        self.rounds("abYZc", lambda name, time: "passed" if name == "c" else "failed", rerun_failed=1)
        self.assertEqual(self.runs, ["abYZc", "a", "b", "YZ"])

    def test_nobody_runs_again_where_nobody_failed_or_asked(self) -> None:
        self.rounds("ab", lambda name, time: "skipped", rerun_failed=2)
        self.rounds("ab", lambda name, time: "failed")
        self.assertEqual(self.runs, ["ab", "ab"])

    def test_an_interruption_of_a_rerun_is_one_of_the_run(self) -> None:
        self.interrupted_at = 2
        found = self.rounds("a", lambda name, time: "failed", rerun_failed=5)
        self.assertEqual((len(self.runs), found.interrupted), (2, True))

    def test_it_runs_in_a_fresh_process_and_is_not_stopped_by_the_first_that_fails_again(self) -> None:
        self.rounds("ab", lambda name, time: "failed", rerun_failed=1, jobs=0, failfast=True)
        self.assertEqual([(each.jobs, each.failfast) for each in self.options], [(0, True), (1, False), (1, False)])

    def test_what_was_lost_and_is_found_counts_as_executed(self) -> None:
        found = self.rounds("a", lambda name, time: "lost" if time == 1 else "passed", rerun_failed=1)
        self.assertEqual((found.declared, found.executed, found.lost), (1, 1, 0))

    def test_a_set_up_that_failed_is_flaky_if_all_of_its_tests_pass_now(self) -> None:
        self.fixtures = [outcome("setUpClass (tests.test_a.TestA)", "error", declared=None)]
        found = self.rounds("a", lambda name, time: "lost" if time == 1 else "passed", rerun_failed=1)
        self.assertEqual(found.counts, {"flaky": 2})
        found = self.rounds("b", lambda name, time: "lost", rerun_failed=1)
        self.assertEqual(found.counts, {"lost": 1, "error": 1})

    def test_a_tear_down_that_failed_stays_one(self) -> None:
        self.fixtures = [outcome("tearDownClass (tests.test_a.TestA)", "error", declared=None)]
        found = self.rounds("a", lambda name, time: "failed" if time == 1 else "passed", rerun_failed=1)
        self.assertEqual(found.counts, {"flaky": 1, "error": 1})

    def test_watchers_see_one_end(self) -> None:
        found = self.rounds("a", lambda name, time: "failed" if time == 1 else "passed", rerun_failed=1)
        self.assertEqual(self.watcher.ends, [found])

    def test_each_attempt_of_a_repeated_test_is_by_itself(self) -> None:
        found = self.rounds(
            "a",
            lambda name, time: "failed" if time == 1 and self.seen.get(("a", 2)) else "passed",
            repeat=2,
            rerun_failed=1,
        )
        self.assertEqual([(each.attempt, each.outcome) for each in found.tests], [(1, "passed"), (2, "flaky")])
