"""`--threads`: several tests at once in one process; and what tests say of themselves by what they raise."""

from __future__ import annotations

import unittest

from tests.runner.suites import PLAIN, run_suite, run_unittest

TOGETHER = {
    "test_together.py": """
        import os, sys, threading, unittest
        from importlib.util import find_spec
        from supertester import IsolatedTestCase

        meeting = threading.Barrier(3)

        class TestTogether(IsolatedTestCase):
            def test_1(self):
                print("one")
                meeting.wait(30)
                # While threads fork it is too late to import it for the first time.
                self.assertIn("filelock" if find_spec("filelock") else "sys", sys.modules)
            def test_2(self): print("two"); meeting.wait(30)
            def test_3(self): print("three"); meeting.wait(30); self.fail("third")
    """
}
DYING = {
    "test_dying.py": """
        import os, threading, unittest

        meeting = threading.Barrier(2)

        class TestDying(unittest.TestCase):
            def test_dies(self):
                if threading.current_thread() is not threading.main_thread(): meeting.wait(30)
                os._exit(3)
            def test_innocent(self):
                if threading.current_thread() is not threading.main_thread():
                    meeting.wait(30)
                    threading.Event().wait()
    """
}
DYING_LATER = {
    "test_dying_later.py": """
        import os, sys, threading, unittest

        meeting = threading.Barrier(2)

        def end_process_after(test_thread):
            while sys._current_frames()[test_thread].f_code.co_name != "take":
                pass  # Until the test has ended, and its thread looks for another one.
            os._exit(3)

        class TestLater(unittest.TestCase):
            def test_dies(self):
                if threading.current_thread() is not threading.main_thread():
                    meeting.wait(30)
                    thread = threading.get_ident()
                    threading.Thread(target=end_process_after, args=(thread,), daemon=True).start()
            def test_innocent(self):
                if threading.current_thread() is not threading.main_thread():
                    meeting.wait(30)
                    threading.Event().wait()
    """
}
HANGING = {
    "test_hanging.py": """
        import asyncio, threading, unittest

        __tags__ = {"timeout": 0.2}

        class TestHanging(unittest.IsolatedAsyncioTestCase):
            async def test_waits(self): await asyncio.Event().wait()
            def test_computes(self):
                while True: pass
            def test_waits_in_c(self): threading.Event().wait()
    """
}
SAYING = {
    "test_saying.py": """
        import sys, unittest
        from supertester import IsolatedTestCase

        class Unsure(unittest.SkipTest):
            supertester_outcome = "inconclusive"

        class TestSaying(unittest.TestCase):
            def test_unsure(self): raise Unsure("too noisy")

        class TestChanging(IsolatedTestCase, isolation="contamination_detection"):
            def test_changes(self): sys.path.append("left-behind")
    """
}
LEAVING = {
    "test_leaving.py": """
        import threading, unittest
        from concurrent.futures import ThreadPoolExecutor
        from supertester import IsolatedTestCase

        end = threading.Event()

        class TestLeaving(IsolatedTestCase):
            @classmethod
            def tearDownClass(cls): end.set(); cls.timer.cancel()
            def test_executor(self): self.kept = ThreadPoolExecutor(1); self.kept.submit(int)
            def test_exception(self): thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
            def test_thread(self): threading.Thread(target=end.wait).start()
            def test_timer(self): type(self).timer = threading.Timer(600, int); self.timer.start()
    """
}


class TestThreads(unittest.TestCase):
    def test_run_tests_of_one_process_at_once_and_tell_their_output_apart(self) -> None:
        finished = run_suite({**PLAIN, **TOGETHER}, "--threads=3", "-b")
        self.assertEqual(finished.count("ok"), 22, finished.text)
        self.assertEqual(finished.outcomes["test_3 TestTogether"], "FAIL")
        self.assertIn("Output:\nthree\n", finished.text)
        self.assertNotIn("two", finished.text)

    def test_that_die_together_are_told_apart(self) -> None:
        finished = run_suite({**PLAIN, **DYING}, "--threads=2")
        self.assertIn("running 2 tests one by one: a worker died while it ran them all", finished.text)
        self.assertEqual(finished.outcomes["test_dies TestDying"], "CRASHED", finished.text)
        self.assertEqual(finished.count("ok"), 21, finished.text)

    def test_that_outlive_the_one_that_ends_their_process_are_not_blamed_and_its_end_fails_the_run(self) -> None:
        finished = run_suite(DYING_LATER, "--threads=2")
        self.assertRegex(finished.text, "running (1 test alone|2 tests one by one): a worker died while it ran")
        self.assertEqual(
            finished.outcomes,
            {"test_dies TestLater": "ok", "test_innocent TestLater": "ok", "the end of worker 1": "CRASHED"},
            finished.text,
        )
        self.assertIn("its worker process ended with exit status 3, in test_dying_later.TestLater", finished.text)
        self.assertIn("none that ran then was seen to cause that alone", finished.text)
        self.assertEqual(finished.status, 1)

    def test_run_out_of_time_one_by_one(self) -> None:
        finished = run_suite({**PLAIN, **HANGING}, "--threads=4", "--grace=0.3")
        self.assertEqual(finished.count("TIMEOUT"), 3, finished.text)
        self.assertEqual(finished.count("ok"), 20, finished.text)
        self.assertIn("declared 23, executed 23", finished.text)


class TestWhatTestsSay(unittest.TestCase):
    def test_an_inconclusive_and_a_contaminating_test_have_outcomes_of_their_own(self) -> None:
        finished = run_suite(SAYING)
        self.assertEqual(
            finished.outcomes,
            {"test_unsure TestSaying": "inconclusive", "test_changes TestChanging": "CONTAMINATED"},
            finished.text,
        )
        self.assertIn("FAILED (contaminated=1, inconclusive=1)", finished.text)
        self.assertEqual(run_suite(SAYING, "--fail-on=lost").status, 0)

    def test_what_an_isolated_test_leaves_or_what_fails_behind_its_back_is_a_failure_as_in_unittest(self) -> None:
        words, status = run_unittest(LEAVING)
        self.assertEqual((set(words.values()), len(words), status), ({"FAIL"}, 4, 1))
        finished = run_suite(LEAVING, "--fail-on=lost")
        self.assertEqual(finished.outcomes, words, finished.text)
        self.assertEqual(finished.status, 1, finished.text)
