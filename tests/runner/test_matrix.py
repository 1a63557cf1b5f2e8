"""What happens when things break, and what `unittest` promises when tests run beside each other: every cell.

Each cell is a suite of its own in which everything else has to come out right too. They run a few at a time.
"""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.runner.suites import PLAIN, Finished, run_suite

CULPRIT = """
    import asyncio, ctypes, os, signal, threading, unittest

    class TestCulprit(unittest.TestCase):
        def test_1(self): ...
        {tag}
        def test_2(self):
            {body}
        def test_3(self): ...
"""
FIXTURES = """
    import os, unittest

    def mark(line):
        with open(os.environ["MARKS"], "a") as file:
            file.write(line + "\\n")

    def setUpModule(): mark("up module")
    def tearDownModule(): mark("down module")

    class TestOne(unittest.TestCase):
        @classmethod
        def setUpClass(cls): mark("up one")
        @classmethod
        def tearDownClass(cls): mark("down one")
        def test_1(self): mark("test")
        def test_2(self): mark("test")
        def test_3(self): mark("test")

    class TestTwo(unittest.TestCase):
        @classmethod
        def setUpClass(cls): mark("up two")
        @classmethod
        def tearDownClass(cls): mark("down two")
        def test_1(self): mark("test")
        def test_2(self): mark("test")
"""
LOCAL = """
    import unittest

    class TestLocal(unittest.TestCase):
        def test_of_a_local_class(self):
            class Local(Exception): ...
            raise Local("here")
        def test_with_other_arguments(self):
            class Odd(Exception):
                def __init__(self, a, b): super().__init__("one")
            raise Odd(1, 2)
        def test_with_a_lock_inside(self):
            import threading
            raise ValueError(threading.Lock())
"""
SUBTESTS = """
    import unittest

    class TestSub(unittest.TestCase):
        def test_sub(self):
            for i in range(4):
                with self.subTest(i=i):
                    self.assertEqual(i % 2, 0)
        @unittest.expectedFailure
        def test_x(self): self.fail()
"""
ASYNC = """
    import asyncio, unittest

    class TestAsync(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self): self.value = await asyncio.sleep(0, 5)
        async def test_1(self): self.assertEqual(self.value, 5)
        async def test_2(self): self.assertEqual(self.value, 6)
        async def test_3(self): await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))
"""
BROKEN_CLASS = """
    import unittest

    class TestBroken(unittest.TestCase):
        @classmethod
        def setUpClass(cls): raise OSError("no database")
        def test_1(self): ...
        def test_2(self): ...
"""
BROKEN_MODULE = """
    import unittest

    def setUpModule(): raise OSError("no network")

    class TestBroken(unittest.TestCase):
        def test_1(self): ...
"""

FORKS = """
    import os, unittest

    def mark(line):
        with open(os.environ["MARKS"], "a") as file:
            file.write(line + "\\n")

    def fork():
        pid = os.fork()
        if pid:
            mark(f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
        return pid

    class TestForks(unittest.TestCase):
        def test_1_returns(self): fork()
        def test_2_raises(self):
            if not fork(): raise RuntimeError("in the copy")
        def test_3_interrupts(self):
            if not fork(): raise KeyboardInterrupt("in the copy")
        def test_4_fails_itself(self): self.fail("in the original" if fork() else "in the copy")

    class TestZFixtures(unittest.TestCase):
        @classmethod
        def setUpClass(cls): fork()
        @classmethod
        def tearDownClass(cls):
            if not fork(): raise RuntimeError("in the copy")
        def test_1(self): mark("once")
"""


def culprit(body: str, tag: str = "") -> Mapping[str, str]:
    return {"test_culprit.py": CULPRIT.format(body=body, tag=tag)}


SUITES: dict[str, Mapping[str, str]] = {
    "kill": culprit("os.kill(os.getpid(), signal.SIGKILL)"),
    "segfault": culprit("ctypes.string_at(0)"),
    "exit": culprit("os._exit(3)"),
    "abort": culprit("os.abort()"),
    "hang": culprit("threading.Event().wait()"),
    "spin": culprit("while True: pass", "@__import__('supertester').tag(timeout=0.1)"),
    "hang async": culprit("asyncio.run(asyncio.Event().wait())"),
    "stubborn": culprit("""
            while True:
                try: threading.Event().wait()
                except BaseException: pass
    """),
    "leaked thread": culprit("threading.Thread(target=threading.Event().wait, name='left').start()"),
    "thread exception": culprit("t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()"),
    "local": {"test_culprit.py": LOCAL},
    "fixtures": {"test_culprit.py": FIXTURES},
    "subtests": {"test_culprit.py": SUBTESTS},
    "async": {"test_culprit.py": ASYNC},
    "broken class": {"test_culprit.py": BROKEN_CLASS},
    "forks": {"test_culprit.py": FORKS},
    "broken module": {"test_culprit.py": BROKEN_MODULE},
}
LIMITED = frozenset({"hang", "hang async", "stubborn"})
"""The suites that wait for the limit of the run; what computes meanwhile has one of its own, and a short one."""


def _run(name: str, arguments: tuple[str, ...]) -> Finished:
    limit = ["--timeout=1", "--grace=0.3"] if name in LIMITED else []
    return run_suite({**PLAIN, **SUITES[name]}, *arguments, *limit)


_Host = unittest.TestCase if TYPE_CHECKING else object


class _Matrix(_Host):
    """The cells, for workers of one kind."""

    arguments: tuple[str, ...]
    runs: Mapping[str, Finished]

    @classmethod
    def setUpClass(cls) -> None:
        with ThreadPoolExecutor(3) as pool:
            cls.runs = dict(zip(SUITES, pool.map(lambda name: _run(name, cls.arguments), SUITES), strict=True))

    def check(self, name: str, *, status: int, others: int, culprit: str = "") -> Finished:
        """Run the suite *name*: it has to end with *status*; all but the culprit pass, *others* of its own module."""
        finished = self.runs[name]
        self.assertEqual(finished.status, status, finished.text)
        self.assertEqual(finished.count("ok"), 20 + others, finished.text)
        if culprit:
            self.assertEqual(finished.outcomes.get("test_2 TestCulprit"), culprit, finished.text)
        return finished

    # When things break -----------------------------------------------------------------------------------------------

    def check_death(self, name: str, how: str) -> Finished:
        finished = self.check(name, status=1, others=2, culprit="CRASHED")
        self.assertIn(f"its worker process {how}", finished.text)
        self.assertIn("declared 23, executed 23", finished.text)
        self.assertIn("FAILED (crashed=1)", finished.text)
        return finished

    def test_a_worker_that_is_killed_costs_the_test_that_ran(self) -> None:
        self.check_death("kill", "died of SIGKILL")

    def test_a_segfault_costs_the_test_that_made_it_and_shows_where(self) -> None:
        finished = self.check_death("segfault", "died of SIGSEGV")
        self.assertRegex(finished.text, r"Fatal Python error: Segmentation fault\n\n(.|\n)*in test_2")

    def test_an_exit_of_the_process_costs_the_test_that_asked_for_it(self) -> None:
        self.check_death("exit", "ended with exit status 3")

    def test_an_abort_costs_the_test_that_asked_for_it(self) -> None:
        self.check_death("abort", "died of SIGABRT")

    def check_limit(self, name: str, word: str = "it ran for more than 1 s") -> Finished:
        finished = self.check(name, status=1, others=2, culprit="TIMEOUT")
        self.assertIn(word, finished.text)
        self.assertIn("in test_2", finished.text)
        self.assertIn("FAILED (timeouts=1)", finished.text)
        return finished

    def test_a_test_that_waits_for_ever_runs_out_of_time(self) -> None:
        self.check_limit("hang")

    def test_a_test_that_computes_for_ever_runs_out_of_time(self) -> None:
        self.check_limit("spin", "it ran for more than 0.1 s")

    def test_an_async_test_that_waits_for_ever_is_cancelled_and_its_tasks_are_shown(self) -> None:
        finished = self.check_limit("hang async")
        self.assertIn("task 'Task-1'", finished.text)

    def test_a_test_that_refuses_to_end_is_killed(self) -> None:
        self.check_limit("stubborn", "it ran for more than 1 s, and its worker process was killed")

    def test_a_thread_that_is_left_running_fails_its_test(self) -> None:
        finished = self.check("leaked thread", status=1, others=2, culprit="CONTAMINATED")
        self.assertIn("thread 'left' was left running; let it end and join it", finished.text)

    def test_an_exception_that_ends_a_thread_fails_its_test(self) -> None:
        finished = self.check("thread exception", status=1, others=2, culprit="CONTAMINATED")
        self.assertRegex(finished.text, r"thread 'Thread-1.*' ended with ZeroDivisionError")

    def test_a_copy_of_the_process_that_comes_back_out_of_a_test_is_not_heard(self) -> None:
        finished = self.check("forks", status=1, others=4)
        check_forks(self, finished)
        self.assertIn("declared 25, executed 25", finished.text)

    # What `unittest` promises ----------------------------------------------------------------------------------------

    def test_exceptions_that_do_not_pickle_are_three_errors(self) -> None:
        finished = self.check("local", status=1, others=0)
        self.assertEqual(finished.count("ERROR"), 3)
        for name in ("Local: here", "Odd: one", "ValueError: <unlocked _thread.lock"):
            self.assertIn(name, finished.text)
        self.assertIn("FAILED (errors=3)", finished.text)

    def test_fixtures_run_exactly_once_around_their_tests(self) -> None:
        finished = self.check("fixtures", status=0, others=5)
        marks = finished.marks
        self.assertEqual((marks[0], marks[-1]), ("up module", "down module"), marks)
        self.assertEqual(marks.count("test"), 5)
        for name, tests in (("one", 3), ("two", 2)):
            begin, end = marks.index(f"up {name}"), marks.index(f"down {name}")
            self.assertEqual(marks[begin + 1 : end], ("test",) * tests, marks)
            self.assertEqual((marks.count(f"up {name}"), marks.count(f"down {name}")), (1, 1))

    def test_each_subtest_that_fails_is_a_failure(self) -> None:
        finished = self.check("subtests", status=1, others=0)
        self.assertIn("FAILED (failures=2, expected failures=1)", finished.text)
        self.assertRegex(finished.text, r"FAIL: test_sub \(.*\) \(i=1\)\n(.|\n)*FAIL: test_sub \(.*\) \(i=3\)\n")

    def test_async_cases_run_as_all_others(self) -> None:
        finished = self.check("async", status=1, others=2)
        self.assertIn("AssertionError: 5 != 6", finished.text)

    def test_a_class_set_up_that_raises_fails_the_run_and_loses_its_tests_aloud(self) -> None:
        finished = self.check("broken class", status=1, others=0)
        self.assertIn("setUpClass (test_culprit.TestBroken) ... ERROR", finished.text)
        self.assertIn("LOST: 2 tests: not run: setUpClass (test_culprit.TestBroken) failed", finished.text)
        self.assertIn("declared 22, executed 20", finished.text)

    def test_a_module_set_up_that_raises_fails_the_run_and_loses_its_tests_aloud(self) -> None:
        finished = self.check("broken module", status=1, others=0)
        self.assertIn("setUpModule (test_culprit) ... ERROR", finished.text)
        self.assertIn("FAILED (errors=1, lost=1)", finished.text)


def check_forks(case: unittest.TestCase, finished: Finished) -> None:
    """Check that of the suite of forks everything ran once, in the original, and the copies ended as they should."""
    case.assertEqual(sorted(finished.marks), ["once", *["status 0"] * 2, *["status 1"] * 4], finished.text)
    case.assertEqual(finished.outcomes["test_4_fails_itself TestForks"], "FAIL", finished.text)
    case.assertIn("AssertionError: in the original", finished.text)
    case.assertIn("RuntimeError: in the copy", finished.text)
    case.assertEqual(finished.text.count("\nRan "), 1, finished.text)
    case.assertIn("FAILED (failures=1)", finished.text)


class TestWithTwoWorkers(_Matrix, unittest.TestCase):
    arguments = ("-j2",)


class TestWithOneWorker(_Matrix, unittest.TestCase):
    arguments = ("-j1",)


class TestWithSpawnedWorkers(_Matrix, unittest.TestCase):
    arguments = ("-j2", "--start-method=spawn")


class TestInThisProcess(unittest.TestCase):
    def test_a_copy_of_the_process_that_comes_back_out_of_a_test_runs_nothing_more(self) -> None:
        check_forks(self, run_suite({"test_culprit.py": FORKS}, "-j0"))
