from __future__ import annotations

import os
import sys
import tempfile
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from supertester.errors import UsageError
from supertester.runner import DeclaredTest, Loaded, Options, RunReport, TestOutcome
from supertester.runner.bisecting import BisectReport, bisect, find_test, smallest
from tests.project.support import ROOT
from tests.runner.made import declared, report

# Says how a test ends, by the names of those that ran before it in the same process.
Fate = Callable[[str, str], str]


class Searched(unittest.TestCase):
    def setUp(self) -> None:
        self.runs: list[str] = []
        self.said: list[str] = []

    def search(
        self, names: str, victim: str, fate: Fate, *, recorded: Mapping[str, Sequence[str]] | None = None
    ) -> BisectReport:
        tests = [declared(name, index=index) for index, name in enumerate(names)]

        def run(chosen: Loaded, given: Options, observers: Sequence[Any]) -> RunReport:
            self.assertEqual((given.jobs, given.keep_order, given.history), (1, True, None))
            self.runs.append("".join(test.test_id for test in chosen.tests))
            return report(*self.outcomes(chosen.tests, fate))

        record = (lambda before: recorded) if recorded is not None else None
        loaded = Loaded([None] * len(tests), tests)
        return bisect(loaded, victim, Options(), say=self.said.append, record=record, run=run)

    def outcomes(self, tests: Sequence[DeclaredTest], fate: Fate) -> list[TestOutcome]:
        before, outcomes = "", []
        for test in tests:
            kind: Any = fate(test.test_id, before)
            before = "" if kind == "crashed" else before + test.test_id
            outcomes.append(TestOutcome(test_id=test.test_id, outcome=kind, declared=test, reason=f"{kind} it is"))
        return outcomes


class TestBothWays(Searched):
    def test_a_polluter_is_found_among_many(self) -> None:
        names = "abcdefghijklmnopqrstuvwxy"
        found = self.search(names, "x", lambda name, before: "failed" if name == "x" and "f" in before else "passed")
        self.assertEqual((found.kind, found.culprits, found.ok), ("polluter", ("f",), True))
        self.assertLess(found.runs, 20)
        self.assertEqual(len(self.runs), len(set(self.runs)), "nothing runs twice")
        self.assertEqual(found.runs, len(self.runs))
        self.assertEqual(
            str(found),
            "x passes alone, and fails after\n    f\n  it fails with failed it is\n"
            "  see it again: python -m unittest f x",
        )

    def test_two_that_only_together_pollute_are_found_both(self) -> None:
        found = self.search(
            "abcdefghv", "v", lambda name, before: "error" if name == "v" and {"b", "g"} <= set(before) else "passed"
        )
        self.assertEqual(found.culprits, ("b", "g"))

    def test_a_setter_is_found_without_which_it_fails(self) -> None:
        found = self.search(
            "abcdefghv", "v", lambda name, before: "failed" if name == "v" and "c" not in before else "passed"
        )
        self.assertEqual((found.kind, found.culprits), ("setter", ("c",)))
        self.assertIn("v fails alone, and passes after\n    c\n  it fails with failed it is", str(found))

    def test_a_polluter_that_comes_later_is_found_too(self) -> None:
        found = self.search("vabc", "v", lambda name, before: "failed" if name == "v" and "b" in before else "passed")
        self.assertEqual(found.culprits, ("b",))

    def test_one_that_fails_alone_has_nobody_else_to_blame(self) -> None:
        found = self.search("abv", "v", lambda name, before: "failed" if name == "v" else "passed")
        self.assertEqual((found.kind, found.ok, found.culprits), ("alone", False, ()))
        self.assertIn("v fails also when it is the only test that runs; no other test is to blame", str(found))
        self.assertIn("failed it is", str(found))

    def test_one_that_never_fails_may_be_flaky(self) -> None:
        found = self.search("abv", "v", lambda name, before: "passed")
        self.assertEqual(found.kind, "never")
        self.assertIn("passed alone and after all the others", str(found))
        self.assertEqual(found.to_dict()["ok"], False)

    def test_the_only_test_there_is(self) -> None:
        self.assertEqual(self.search("v", "v", lambda name, before: "passed").kind, "never")

    def test_those_that_end_their_process_are_left_out_and_named(self) -> None:
        fate: Fate = lambda name, before: (  # noqa: E731
            "crashed" if name == "c" else "failed" if name == "v" and "a" in before else "passed"
        )
        found = self.search("abcdv", "v", fate)
        self.assertEqual(found.culprits, ("a",))
        self.assertIn("left out, because they end their process: c", self.said)

    def test_an_interruption_is_no_answer(self) -> None:
        tests = [declared("a"), declared("v", index=1)]
        with self.assertRaises(KeyboardInterrupt):
            bisect(Loaded([None] * 2, tests), "v", Options(), run=lambda *given: report(interrupted=True))


class TestTheRecord(Searched):
    def test_those_that_were_seen_to_change_the_process_are_tried_first_the_last_one_first(self) -> None:
        fate: Fate = lambda name, before: "failed" if name == "v" and "f" in before else "passed"  # noqa: E731
        recorded = {"b": ["x"], "f": ["os.environ['HOME']: 'a' -> 'b'"], "g": ["y"]}
        found = self.search("abcdefghijklmv", "v", fate, recorded=recorded)
        self.assertEqual(found.culprits, ("f",))
        self.assertEqual(self.runs[-2:], ["gv", "fv"])
        self.assertIn("  changed before it: os.environ['HOME']: 'a' -> 'b'", str(found))

    def test_a_record_that_misses_the_culprit_costs_time_alone(self) -> None:
        fate: Fate = lambda name, before: "failed" if name == "v" and "f" in before else "passed"  # noqa: E731
        self.assertEqual(self.search("abcdefghv", "v", fate, recorded={"b": ["x"]}).culprits, ("f",))

    def test_many_changes_are_counted(self) -> None:
        fate: Fate = lambda name, before: "failed" if name == "v" and "a" in before else "passed"  # noqa: E731
        found = self.search("av", "v", fate, recorded={"a": [f"x{n}" for n in range(9)]})
        self.assertIn("and 4 more changes", str(found))


class TestWhichTestIsMeant(unittest.TestCase):
    TESTS = [declared(f"tests.test_a.Test{cls}.test_{n}") for cls in "AB" for n in "xy"] + [declared("m.C.test_only")]

    def test_by_its_id_or_its_end(self) -> None:
        self.assertEqual(find_test(self.TESTS, "tests.test_a.TestA.test_x"), self.TESTS[0])
        self.assertEqual(find_test(self.TESTS, "C.test_only"), self.TESTS[-1])

    def test_several_or_none_are_a_mistake(self) -> None:
        with self.assertRaisesRegex(UsageError, "2 tests are called 'test_x', e.g. tests.test_a.TestA.test_x and"):
            find_test(self.TESTS, "test_x")
        with self.assertRaisesRegex(UsageError, "no test 'm.C.test_olny'; did you mean m.C.test_only?"):
            find_test(self.TESTS, "m.C.test_olny")


class TestDeltaDebugging(unittest.TestCase):
    def test_nothing_can_be_left_out_of_what_is_found(self) -> None:
        whole: Any = tuple(range(40))
        for wanted in ({0}, {39}, {3, 17}, {0, 20, 39}, {5, 6, 7, 8}, set(range(0, 40, 7))):
            with self.subTest(wanted=wanted):
                self.assertEqual(set(smallest(whole, lambda part, wanted=wanted: wanted <= set(part))), wanted)  # type: ignore[misc]


SUITE = {
    "shop.py": "PRICES = {'tea': 3}\nBASKET = []\n",
    "test_a.py": """
import os, unittest, shop
class TestA(unittest.TestCase):
    def test_clean(self): self.assertEqual(shop.PRICES['tea'], 3)
    def test_polluter(self): shop.PRICES['tea'] = 4
    def test_setter(self): os.environ['SHOP'] = 'open'
""",
    "test_b.py": """
import os, unittest, shop
class TestB(unittest.TestCase):
    def test_another(self): self.assertTrue(True)
    def test_needs_a_setter(self): self.assertEqual(os.environ.get('SHOP'), 'open')
    def test_price(self): self.assertEqual(shop.PRICES['tea'], 3)
""",
}


class TestInProcesses(unittest.TestCase):
    """The whole of it, on a small project whose tests depend on each other."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for name, source in SUITE.items():
            (folder / name).write_text(source)
        cls.folder = folder

    def python(self, code: str) -> str:
        import subprocess

        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_what_tests_change_is_recorded_with_module_and_environment(self) -> None:
        out = self.python(
            "from supertester.runner import Options, load\n"
            "from supertester.runner.changes import recorded_changes\n"
            "with load(Options(jobs=0)) as loaded:\n"
            "    for name, changes in recorded_changes(Options(), loaded.tests).items(): print(name, changes)\n"
        )
        lines = dict(line.split(" ", 1) for line in out.splitlines())
        self.assertEqual(set(lines), {"test_a.TestA.test_polluter", "test_a.TestA.test_setter"})
        self.assertIn("shop.PRICES", lines["test_a.TestA.test_polluter"])
        self.assertIn("os.environ['SHOP']", lines["test_a.TestA.test_setter"])
