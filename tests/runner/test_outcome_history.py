from __future__ import annotations

import multiprocessing
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from supertester.runner.outcome_history import FORGET, KEEP, LETTERS, OutcomeHistory, Past
from supertester.runner.outcomes import OUTCOMES


def add_one(folder: str, name: str) -> None:
    for _ in range(5):
        OutcomeHistory.read(folder).add([(name, "passed")])


class WithFolder(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / ".supertester"

    def after(self, *runs: dict[str, str]) -> OutcomeHistory:
        for run in runs:
            OutcomeHistory.read(self.folder).add([(name, outcome) for name, outcome in run.items()], seed=1, at=5.0)
        return OutcomeHistory.read(self.folder)


class TestOutcomeHistory(WithFolder):
    def test_every_outcome_has_a_letter_of_its_own(self) -> None:
        self.assertEqual(set(LETTERS), set(OUTCOMES))
        self.assertEqual(len(set(LETTERS.values())), len(OUTCOMES))

    def test_what_was_added_is_read(self) -> None:
        history = self.after({"a": "passed", "b": "failed"}, {"a": "passed", "b": "timeout"})
        self.assertEqual(history.tests["b"].outcomes, ("failed", "timeout"))
        self.assertEqual(
            [(run.number, run.seed, run.at, run.tests, run.bad) for run in history.runs][-1], (2, 1, 5.0, 2, 1)
        )
        self.assertEqual(history.problem, "")

    def test_who_failed_last_is_who_failed_when_it_ran_last(self) -> None:
        history = self.after(
            {"a": "failed", "b": "failed", "c": "error"}, {"a": "passed", "b": "crashed", "d": "flaky"}
        )
        self.assertEqual(history.last_failed(), ["b", "c"])

    def test_tests_that_pass_and_fail_by_turns_are_flaky(self) -> None:
        runs = [{"a": kind, "b": "failed", "c": "passed"} for kind in ("passed", "failed", "passed")]
        self.assertEqual(self.after(*runs, {"c": "flaky"}).flaky(), ["a", "c"])

    def test_a_test_that_was_mended_is_not_flaky(self) -> None:
        self.assertEqual(self.after({"a": "failed"}, {"a": "failed"}, {"a": "passed"}).flaky(), [])

    def test_the_file_is_bounded(self) -> None:
        history = self.after({"once": "passed"}, *[{"a": "passed"}] * (KEEP + 2))
        self.assertEqual(len(history.tests["a"].letters), KEEP)
        old = OutcomeHistory(self.folder, {"old": Past(".", 1)}, history.runs)
        later = old._with([("a", "passed")], None, 0.0)
        self.assertIn("old", later.tests)
        for _ in range(FORGET):
            later = later._with([], None, 0.0)
        self.assertEqual((len(later.tests), len(later.runs)), (0, FORGET))

    def test_an_outcome_of_a_later_version_is_a_bad_one(self) -> None:
        self.assertEqual(self.after({"a": "exploded"}).last_failed(), ["a"])

    def test_a_run_adds_to_what_others_have_added_meanwhile(self) -> None:
        early = OutcomeHistory.read(self.folder)
        self.after({"a": "passed"})
        early.add([("b", "passed")])
        self.assertEqual(set(OutcomeHistory.read(self.folder).tests), {"a", "b"})

    def test_processes_add_one_after_another(self) -> None:
        context = multiprocessing.get_context("spawn")
        children = [context.Process(target=add_one, args=(str(self.folder), f"test_{n}")) for n in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        history = OutcomeHistory.read(self.folder)
        self.assertEqual(
            {name: len(past.letters) for name, past in history.tests.items()}, {f"test_{n}": 5 for n in range(3)}
        )
        self.assertEqual([run.number for run in history.runs], list(range(1, 16)))

    def test_names_come_back_as_they_were(self) -> None:
        names = ["a (b.c) [x y]", "two\nlines", "of \udcff no encoding", "with \u2028 and \r inside", "run 1"]
        self.assertEqual(list(self.after(dict.fromkeys(names, "failed")).tests), names)


class TestWhatGoesWrong(WithFolder):
    def test_a_file_that_nobody_can_read_is_begun_anew_and_said(self) -> None:
        self.folder.mkdir()
        title = "outcomes of supertester, version 1\n"
        for text in (
            "",
            "{}\n",
            "outcomes of supertester, version 2\n",
            f"{title}. 1 written.only.to.its.mid",
            f"{title}.\n",
            f"{title}. first a\n",
            f"{title}run 1 5.0 1\n",
            f"{title}\xff\n",
        ):
            with self.subTest(text=text):
                (self.folder / "outcomes.txt").write_bytes(text.encode("latin-1"))
                history = OutcomeHistory.read(self.folder)
                self.assertIn("outcomes.txt cannot be read and is begun anew", history.problem)
                self.assertEqual(history.add([("a", "passed")]).tests.keys(), {"a"})
                self.assertEqual(OutcomeHistory.read(self.folder).problem, "")

    def test_a_crash_while_writing_leaves_the_old_file_and_no_litter(self) -> None:
        self.after({"a": "passed"})
        before = (self.folder / "outcomes.txt").read_text()
        with mock.patch("os.replace", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            OutcomeHistory.read(self.folder).add([("b", "passed")])
        self.assertEqual((self.folder / "outcomes.txt").read_text(), before)
        self.assertEqual(
            {path.name for path in self.folder.iterdir()}, {"outcomes.txt", "outcomes.txt.lock", ".gitignore"}
        )

    def test_where_nothing_can_be_written_the_run_goes_on_and_it_is_said(self) -> None:
        self.folder.write_text("a file where the folder should be")
        history = OutcomeHistory.read(self.folder).add([("a", "passed")])
        self.assertIn("is not kept:", history.problem)

    def test_the_folder_keeps_itself_out_of_version_control(self) -> None:
        self.after({"a": "passed"})
        self.assertEqual((self.folder / ".gitignore").read_text(), "*\n")
