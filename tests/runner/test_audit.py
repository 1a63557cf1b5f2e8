from __future__ import annotations

import sys
import tempfile
import unittest
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from supertester.errors import UsageError
from supertester.runner import Loaded, Options, RunReport
from supertester.runner.audit import AuditReport, Limits, audit
from tests.runner.made import outcome, report

__alone__ = "imports made-up modules into the process, and parses source"

SUITE = """
import unittest
class TestShop(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): pass
    def test_c(self): pass
"""
Fate = Callable[[str, int, bool], str]


class Audited(unittest.TestCase):
    def suite(self, source: str) -> Path:
        """Return a folder with one module of tests, of which nothing stays in the process."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        name = f"test_{folder.name.replace('-', '_')}"
        (folder / f"{name}.py").write_text(source)
        self.addCleanup(sys.modules.pop, name, None)
        self.addCleanup(sys.path.__setitem__, slice(None), list(sys.path))
        return folder

    def audit(self, fate: Fate, *, source: str = SUITE, duration: float = 1.0, **limits: Any) -> AuditReport:
        """Audit a suite of three tests; *fate* knows the test, the number of the run, and whether it is shuffled."""
        folder = self.suite(source)
        self.runs = 0
        self.said: list[str] = []

        def run(chosen: Loaded, given: Options, observers: Sequence[Any]) -> RunReport:
            self.runs += 1
            outcomes = [
                outcome(test.test_id, fate(test.method[-1], self.runs, given.keep_order), message="boom", declared=test)
                for test in chosen.tests
            ]
            return report(*outcomes, duration=duration)

        asked = Limits(**{"seeds": 3, "runs": 4, **limits})
        return audit(folder, limits=asked, options=Options(jobs=0), say=self.said.append, run=run)

    def metric(self, report: AuditReport, name: str) -> Any:
        return next(metric for metric in report.metrics if name in metric.name)


def passes(name: str, run: int, is_shuffled: bool) -> str:
    return "passed"


class TestTheFiveQuestions(Audited):
    def test_a_suite_that_is_as_it_should_be(self) -> None:
        found = self.audit(passes)
        self.assertTrue(found.ok)
        self.assertEqual(self.runs, 7)
        self.assertEqual([metric.ok for metric in found.metrics], [True] * 5)
        self.assertIn("run 1 of 4: 3 tests, 0 bad, 1.00 s", self.said)
        self.assertRegex(self.said[-1], r"random order 3 of 3, --shuffle=\d+: 3 tests, 0 bad")

    def test_a_sleep_is_found_with_its_line(self) -> None:
        found = self.audit(
            passes, source="import time\n" + SUITE.replace("test_a(self): pass", "test_a(self): time.sleep(1)")
        )
        self.assertFalse(found.ok)
        metric = self.metric(found, "sleeps")
        self.assertEqual((metric.ok, metric.found), (False, "1 sleep"))
        self.assertRegex(
            str(found), r"no test sleeps:\n  .*:5: time\.sleep\(1\) sleeps; wait for the condition instead"
        )

    def test_a_test_that_asks_to_be_alone_or_always_fails_may_not_run_beside_others(self) -> None:
        source = "from supertester import tag\n" + SUITE.replace(
            "    def test_a", "    @tag(alone='signals')\n    def test_a"
        )
        found = self.audit(lambda name, run, is_shuffled: "failed" if name == "b" else "passed", source=source)
        metric = self.metric(found, "beside others")
        self.assertEqual((metric.wanted, metric.found, metric.ok), ("3 of 3", "1 of 3", False))
        self.assertIn("test_a asks to run alone: signals", metric.evidence[0])
        self.assertIn("test_b fails beside others: boom", metric.evidence[1])
        self.assertTrue(self.metric(found, "random orders").ok, "it fails in any order")
        self.assertTrue(self.metric(found, "flaky").ok, "it always fails")

    def test_a_test_that_fails_in_a_random_order_is_named_with_the_seed_and_what_to_do(self) -> None:
        found = self.audit(
            lambda name, run, is_shuffled: "failed" if is_shuffled and name == "c" and run == 6 else "passed"
        )
        metric = self.metric(found, "random orders")
        self.assertEqual((metric.ok, metric.wanted, metric.found), (False, "in 3 of 3", "in 2 of 3"))
        self.assertRegex(
            metric.evidence[0], r"test_c fails with --shuffle=(\d+): boom\n.*--shuffle=\1 --bisect .*test_c"
        )
        self.assertTrue(self.metric(found, "flaky").ok)

    def test_a_suite_that_takes_too_long(self) -> None:
        found = self.audit(passes, duration=31.0)
        metric = self.metric(found, "fast")
        self.assertEqual((metric.ok, metric.wanted, metric.found), (False, "under 30 s", "31.00 s"))
        self.assertTrue(self.metric(self.audit(passes, duration=31.0, seconds=60.0), "fast").ok)

    def test_a_test_that_fails_now_and_then_is_flaky_with_its_rate(self) -> None:
        found = self.audit(lambda name, run, is_shuffled: "error" if name == "a" and run == 3 else "passed")
        metric = self.metric(found, "flaky")
        self.assertEqual((metric.ok, metric.found), (False, "1 flaky"))
        self.assertIn("test_a failed in 1 of 4 runs: boom", metric.evidence[0])

    def test_the_table_has_a_row_for_each_question(self) -> None:
        lines = str(
            self.audit(lambda name, run, is_shuffled: "failed" if name == "a" and run == 3 else "passed")
        ).splitlines()
        self.assertEqual(lines[0].split(), ["wanted", "found"])
        self.assertEqual([line.split()[-1] for line in lines[1:6]], ["ok", "ok", "ok", "ok", "FAILED"])

    def test_the_report_is_data_too(self) -> None:
        data = self.audit(passes).to_dict()
        self.assertEqual((data["ok"], data["tests"], len(data["metrics"])), (True, 3, 5))


class TestChoice(Audited):
    def test_tests_that_are_left_out_are_not_asked_about(self) -> None:
        folder = self.suite("from supertester import tag\n" + SUITE.replace("class", "@tag(layer='unit')\nclass"))
        seen: list[str] = []

        def run(chosen: Loaded, given: Options, observers: Sequence[Any]) -> RunReport:
            seen.extend(test.method for test in chosen.tests)
            return report(*[outcome(test.test_id, declared=test) for test in chosen.tests])

        limits = Limits(seeds=1, runs=1)
        audit(folder, limits=limits, options=Options(jobs=0, layers=("unit",)), run=run)
        self.assertEqual(len(seen), 6)
        with self.assertRaisesRegex(UsageError, "no test has such tags"):
            audit(folder, limits=limits, options=Options(jobs=0, tag="slow"), run=run)


class TestWhatMakesNoSense(Audited):
    def test_no_tests_and_no_folder(self) -> None:
        with self.assertRaisesRegex(UsageError, "there is no test in "):
            self.audit(passes, source="")
        with self.assertRaisesRegex(UsageError, "no file or folder 'nowhere'"):
            audit("nowhere")

    def test_limits_that_ask_for_nothing(self) -> None:
        for given in ({"seeds": 0}, {"runs": 0}, {"seconds": 0.0}):
            with self.subTest(given=given), self.assertRaises(UsageError):
                Limits(**given)  # type: ignore[arg-type]

    def test_an_interruption_ends_it(self) -> None:
        def run(chosen: Loaded, given: Options, observers: Sequence[Any]) -> RunReport:
            return report(interrupted=True)

        with self.assertRaises(KeyboardInterrupt):
            audit(self.suite(SUITE), options=Options(jobs=0), run=run)
