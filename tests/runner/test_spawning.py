"""Workers that are fresh interpreters. That they keep the promises of others is in the matrix and beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest
from unittest import mock

from supertester.errors import UsageError
from supertester.runner import Options, run
from supertester.runner.desks import Desk
from supertester.runner.spawning import importable
from supertester.runner.timekeeping import Timekeeping
from tests.alone import alone
from tests.runner.suites import PLAIN, Finished, environment, folder_with, run_suite

SPAWN = "--start-method=spawn"


class TestWhatTheyFind(unittest.TestCase):
    def test_is_what_the_first_to_load_the_tests_found(self) -> None:
        files = {
            "test_place.py": """
                import os, sys, unittest

                print("said on import")
                os.chdir("inner")
                os.environ["DEEPER"] = os.environ.get("DEEPER", "") + "x"
                sys.path.append("added")

                class TestPlace(unittest.TestCase):
                    def test_folder(self): self.assertEqual(os.listdir(), ["here"])
                    def test_environment(self): self.assertEqual(os.environ["DEEPER"], "x")
                    def test_path(self): self.assertEqual(sys.path.count("added"), 1)
                    def test_arguments(self): self.assertIn("--start-method=spawn", sys.argv)
            """,
            "inner/here": "",
        }
        finished = run_suite(files, SPAWN)
        self.assertEqual(finished.status, 0, finished.text)
        self.assertEqual(finished.text.count("said on import"), 1, finished.text)

    def test_a_test_that_is_gone_is_an_error_and_others_run(self) -> None:
        files = {
            **PLAIN,
            "test_moving.py": """
                import os, unittest

                class TestMoving(unittest.TestCase):
                    def test_1(self): ...

                class TestGone(unittest.TestCase):
                    def test_1(self): ...

                with open(os.environ["MARKS"], "a+") as file:
                    file.seek(0)
                    if file.read():
                        del TestGone
                    file.write("loaded\\n")
            """,
        }
        finished = run_suite(files, SPAWN)
        self.assertEqual(finished.outcomes.pop("test_1 TestGone"), "ERROR", finished.text)
        self.assertEqual(set(finished.outcomes.values()), {"ok"})
        self.assertIn(
            "LookupError: test_moving.TestGone.test_1 was not there when a worker loaded the tests again", finished.text
        )
        self.assertIn("declared 22, executed 22", finished.text)


class TestWorkersThatNeverBegin(unittest.TestCase):
    def second(self, then: str, *arguments: str) -> Finished:
        """Run a suite whose second import does *then*."""
        text = f"""
            import os, sys, threading, unittest

            class TestIt(unittest.TestCase):
                def test_1(self): ...

            with open(os.environ["MARKS"], "a+") as file:
                file.seek(0)
                if file.read():
                    {then}
                file.write("loaded\\n")
        """
        return run_suite({"test_it.py": text}, SPAWN, *arguments)

    def test_because_they_die_are_told_of_and_their_tests_are_lost(self) -> None:
        finished = self.second("sys.stderr.write('a last word'); sys.stderr.flush(); os._exit(7)")
        self.assertIn("worker 1 ended with exit status 7 before it was ready:\na last word", finished.text)
        self.assertIn("no more workers: 3 workers in a row died before they had run anything", finished.text)
        self.assertIn("LOST: 1 test: not run: 3 workers in a row died", finished.text)
        self.assertEqual(finished.status, 1)

    def test_because_they_wait_are_killed_at_last(self) -> None:
        nursery, ledger, desk = mock.Mock(), mock.Mock(), Desk(mock.Mock(number=3, **{"stacks.return_value": ""}))
        timekeeping = Timekeeping(nursery, ledger, grace=1.0, limit=0.5)
        for is_ready, after, killed in [(False, 59, False), (True, 61, False), (False, 61, True)]:
            desk.is_ready = is_ready
            timekeeping.look([desk], desk.hired + after)
            self.assertEqual(desk.killed, killed)
        ledger.note.assert_called_once_with("worker 3 was not ready within 60 s; it was killed")
        nursery.signal.assert_called_once_with(desk.worker, signal.SIGKILL, whole_group=True)
        timekeeping.look([desk], desk.hired + 62)
        nursery.signal.assert_called_once()

    def test_have_for_ever_where_tests_have(self) -> None:
        nursery, desk = mock.Mock(), Desk(mock.Mock(number=3))
        Timekeeping(nursery, mock.Mock(), grace=1.0, limit=None).look([desk], desk.hired + 10**6)
        nursery.signal.assert_not_called()


class TestWhereNothingForks(unittest.TestCase):
    def test_workers_are_spawned(self) -> None:
        code = "import os, sys\ndel os.fork, os.forkpty\nfrom supertester.runner.program import run_program\n"
        for arguments in ([], ["-j2", "-v"]):
            with self.subTest(arguments=arguments), folder_with(PLAIN) as folder:
                done = subprocess.run(
                    [sys.executable, "-c", f"{code}sys.exit(run_program({arguments!r}).exit_status)"],
                    cwd=folder,
                    env=environment(folder),
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("declared 20, executed 20", done.stderr)


class TestSeed(unittest.TestCase):
    def test_is_the_same_in_all_processes_and_the_one_that_is_shown(self) -> None:
        files = {
            "test_seed.py": """
                import unittest
                from supertester._core.seeds import run_seed

                class TestSeed(unittest.TestCase):
                    def test_1(self): print(f"[{run_seed()}]")
                    def test_2(self): print(f"[{run_seed()}]")
            """
        }
        for arguments in ((), ("test_seed",), ("-j2",), ("-j2", SPAWN), ("-j0",)):
            with self.subTest(arguments=arguments):
                finished = run_suite(files, *arguments)
                shown = finished.text.rpartition("seed ")[2].split()[0]
                self.assertEqual(finished.text.count(f"[{shown}]"), 2, finished.text)


class TestWhatMakesNoSense(unittest.TestCase):
    def test_start_methods_that_there_are_not(self) -> None:
        with self.assertRaisesRegex(UsageError, "start_method is one of fork, spawn; got 'thread'"):
            Options(start_method="thread")
        finished = run_suite({}, "--start-method=thread")
        self.assertEqual(finished.status, 2)
        self.assertIn("invalid choice: 'thread' (choose from", finished.text)

    @alone("replaces an attribute of `os`")
    def test_start_methods_that_this_system_lacks(self) -> None:
        with mock.patch.object(os, "fork"):
            del os.fork
            with self.assertRaisesRegex(UsageError, r"this system cannot fork workers; use jobs=0, .* than 'fork'"):
                Options(jobs=1, start_method="fork")
            self.assertEqual(Options(jobs=0, start_method="fork").jobs, 0)

    def test_suites_that_are_in_this_process(self) -> None:
        suite = unittest.TestSuite([unittest.FunctionTestCase(lambda: None)])
        with self.assertRaisesRegex(UsageError, "the tests are in this process, where a fresh interpreter cannot find"):
            run(suite, Options(jobs=1, start_method="spawn", history=None))

    @alone("replaces the main module")
    def test_tests_that_are_in_no_file(self) -> None:
        self.assertEqual(importable("tests.runner"), "tests.runner")
        with (
            mock.patch.dict(sys.modules, __main__=type(sys)("__main__")),
            self.assertRaisesRegex(UsageError, "the tests are in no file that a fresh interpreter could load"),
        ):
            importable("__main__")
