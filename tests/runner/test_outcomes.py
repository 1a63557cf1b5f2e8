"""What a run in this process says of each test, and of itself."""

from __future__ import annotations

import unittest

from supertester.errors import UsageError
from supertester.runner import Loaded, Observer, Options, RunReport, Silent, TestOutcome, run


class Sample(unittest.TestCase):
    """Not named as a test of this module: `load_tests` leaves it out."""

    def test_passes(self) -> None: ...

    def test_fails(self) -> None:
        self.assertEqual(1, 2)

    def test_raises(self) -> None:
        raise ZeroDivisionError("by zero")

    @unittest.skip("not today")
    def test_skipped(self) -> None: ...

    @unittest.expectedFailure
    def test_expected_failure(self) -> None:
        self.fail("as ever")

    @unittest.expectedFailure
    def test_unexpected_success(self) -> None: ...

    def test_subtests(self) -> None:
        for i in range(4):
            with self.subTest(i=i):
                self.assertEqual(i % 2, 0)


class BrokenFixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        raise OSError("no database")

    def test_a(self) -> None: ...


class SkippingFixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        raise unittest.SkipTest("no database here")

    def test_a(self) -> None: ...


def load_tests(loader: unittest.TestLoader, tests: object, pattern: object) -> unittest.TestSuite:
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, [TestRunInProcess, TestRunReport]))


def suite_of(*cases: type[unittest.TestCase]) -> unittest.TestSuite:
    return unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, cases))


class Watcher(Silent):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def started(self, test_id: str, worker: int, at: float) -> None:
        self.seen.append(f"started {test_id.rpartition('.')[2]}")

    def finished(self, outcome: TestOutcome) -> None:
        self.seen.append(f"finished {outcome.test_id.rpartition('.')[2]}: {outcome.outcome}")

    def ended(self, report: RunReport) -> None:
        self.seen.append("ended")


class TestRunInProcess(unittest.TestCase):
    def test_every_test_has_one_outcome(self) -> None:
        report = run(suite_of(Sample), Options(jobs=0))
        outcomes = {each.test_id.rpartition(".test_")[2]: each for each in report.tests}
        self.assertEqual(
            {name: each.outcome for name, each in outcomes.items()},
            {
                "passes": "passed",
                "fails": "failed",
                "raises": "error",
                "skipped": "skipped",
                "expected_failure": "expected_failure",
                "unexpected_success": "unexpected_success",
                "subtests": "failed",
            },
        )
        self.assertEqual(outcomes["fails"].message, "AssertionError: 1 != 2")
        self.assertIn("in test_raises", outcomes["raises"].details)
        self.assertEqual(outcomes["skipped"].reason, "not today")
        self.assertEqual([each.description for each in outcomes["subtests"].subtests], ["(i=1)", "(i=3)"])
        self.assertEqual(outcomes["subtests"].subtests_run, 4)
        self.assertEqual((report.declared, report.executed, report.exit_status), (7, 7, 1))

    def test_tests_of_a_fixture_that_fails_are_lost(self) -> None:
        report = run(suite_of(BrokenFixture), Options(jobs=0))
        fixture, lost = report.tests
        self.assertEqual(fixture.test_id, f"setUpClass ({__name__}.BrokenFixture)")
        self.assertTrue(fixture.is_fixture)
        self.assertEqual((lost.outcome, lost.reason), ("lost", f"not run: {fixture.test_id} failed"))
        self.assertEqual((report.declared, report.executed, report.lost, report.ok), (1, 0, 1, False))

    def test_tests_of_a_fixture_that_skips_are_skipped(self) -> None:
        report = run(suite_of(SkippingFixture), Options(jobs=0))
        self.assertEqual([(each.outcome, each.reason) for each in report.tests], [("skipped", "no database here")])
        self.assertTrue(report.ok)

    def test_observers_see_all_of_it_in_order(self) -> None:
        watcher: Observer = (seen := Watcher())
        loaded = Loaded.of(suite_of(Sample))
        run(loaded.choose(loaded.tests[:2]), Options(jobs=0), [watcher])
        expected = ["started test_expected_failure", "finished test_expected_failure: expected_failure"]
        self.assertEqual(seen.seen, [*expected, "started test_fails", "finished test_fails: failed", "ended"])

    def test_failfast_leaves_the_rest_out_and_says_so(self) -> None:
        report = run(suite_of(Sample), Options(jobs=0, failfast=True))
        self.assertEqual((len(report.tests), report.stopped, report.lost), (2, "--failfast", 0))

    def test_a_test_of_another_load_is_refused(self) -> None:
        one, other = Loaded.of(suite_of(SkippingFixture)), Loaded.of(suite_of(Sample))
        with self.assertRaisesRegex(UsageError, "test_fails is no test of this load"):
            one.choose(other.tests)


class TestRunReport(unittest.TestCase):
    def test_nothing_run_is_no_success(self) -> None:
        self.assertEqual(run(unittest.TestSuite(), Options(jobs=0)).exit_status, 1)

    def test_values_that_make_no_sense_are_refused(self) -> None:
        for options, message in [
            ({"jobs": -1}, "jobs must be at least 0, got jobs=-1"),
            ({"timeout": 0}, "timeout must be more than 0 seconds, got timeout=0"),
            ({"timeout": float("nan")}, "timeout must be more than 0 seconds, got timeout=nan"),
            ({"shard": (3, 2)}, "shard must be I/N with I from 1 to N, got 3/2"),
            ({"fail_on": frozenset({"boredom"})}, "fail_on names no outcome with 'boredom'"),
        ]:
            with self.subTest(message), self.assertRaisesRegex(UsageError, message):
                Options(**options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "jobs must be an int, got True"):
            Options(jobs=True)
        with self.assertRaisesRegex(TypeError, "timeout must be a number of seconds, got '5'"):
            Options(timeout="5")  # type: ignore[arg-type]
