"""The same outcome for each test as ``python -m unittest`` gives, and the same command line."""

from __future__ import annotations

import unittest
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from tests.runner.suites import PLAIN, Finished, run_suite, run_unittest

EVERYTHING = {
    "test_all.py": """
        import asyncio, unittest

        class TestAll(unittest.TestCase):
            def test_passes(self): print("said while it ran")
            def test_fails(self):
                number = 7
                self.assertEqual(number, 8)
            def test_raises(self): raise KeyError("gone")
            @unittest.skip("not today")
            def test_skipped(self): ...
            def test_skips_itself(self): self.skipTest("no need")
            @unittest.expectedFailure
            def test_expected_failure(self): self.fail()
            @unittest.expectedFailure
            def test_unexpected_success(self): ...
            def test_subtests(self):
                for i in range(3):
                    with self.subTest(i=i): self.assertNotEqual(i, 1)
            def test_exits(self): raise SystemExit(4)
            def test_cleanup_fails(self): self.addCleanup(lambda: 1 / 0)
            def test_documented(self): "What it is about."

        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def test_passes(self): await asyncio.sleep(0)
            async def test_fails(self): self.fail("async")

        @unittest.skip("the whole class")
        class TestSkippedClass(unittest.TestCase):
            def test_1(self): ...

        class TestSetUpFails(unittest.TestCase):
            def setUp(self): raise OSError("no set-up")
            def test_1(self): ...

        class TestTearDownClassFails(unittest.TestCase):
            @classmethod
            def tearDownClass(cls): raise OSError("no tear-down")
            def test_1(self): ...
    """,
    "test_broken_import.py": "import there_is_no_such_module",
    "test_skipped_module.py": "import unittest\nraise unittest.SkipTest('not on this machine')",
    "test_protocol.py": """
        import unittest

        class TestOne(unittest.TestCase):
            def test_1(self): ...
            def test_2(self): ...

        def load_tests(loader, tests, pattern):
            return unittest.TestSuite([TestOne("test_2"), TestOne("test_2")])
    """,
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "in this process": ("-j0",),
    "one worker": (),
    "two workers": ("-j2",),
    "threads": ("--threads=3",),
    "spawned workers": ("-j2", "--start-method=spawn"),
    "chosen names": ("test_all.TestAll.test_fails", "test_alpha", "test_beta.TestBeta"),
    "files": ("test_alpha.py", "test_beta.py"),
    "patterns": ("-k", "alpha", "-k", "*beta*test_1"),
    "discover": ("discover", "-s", ".", "-p", "test_al*.py"),
    "discover by place": ("discover", ".", "test_g*.py"),
}
OURS = frozenset({"in this process", "one worker", "two workers", "threads", "spawned workers"})


def understood(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *arguments* that `unittest` has too."""
    return tuple(each for each in arguments if not each.startswith(("-j", "--threads", "--start-method")))


@cache
def runs() -> dict[str, tuple[dict[str, str], int, Finished]]:
    """What `unittest` and we make of each command."""
    files = {**PLAIN, **EVERYTHING}
    theirs = list(dict.fromkeys(map(understood, COMMANDS.values())))
    with ThreadPoolExecutor(2) as pool:
        by_unittest = pool.map(lambda arguments: run_unittest(files, *arguments), theirs)
        by_us = pool.map(lambda arguments: run_suite(files, *arguments), COMMANDS.values())
        found = dict(zip(theirs, by_unittest, strict=True))
        return {
            name: (*found[understood(arguments)], ours)
            for (name, arguments), ours in zip(COMMANDS.items(), by_us, strict=True)
        }


class TestSameOutcomes(unittest.TestCase):
    def check(self, name: str) -> Finished:
        words, status, ours = runs()[name]
        self.assertEqual(ours.outcomes, words, ours.text)
        self.assertEqual(ours.status, status, ours.text)
        return ours

    def test_in_this_process(self) -> None:
        self.check("in this process")

    def test_in_one_worker(self) -> None:
        finished = self.check("one worker")
        self.assertIn("said while it ran\n", finished.text)
        self.assertRegex(finished.text, r"FAIL: test_subtests \(.*\) \(i=1\)")
        self.assertIn("ImportError: Failed to import test module: test_broken_import", finished.text)

    def test_in_two_workers(self) -> None:
        self.check("two workers")

    def test_in_spawned_workers(self) -> None:
        self.check("spawned workers")

    def test_in_threads(self) -> None:
        self.check("threads")

    def test_names_files_and_patterns(self) -> None:
        for name in sorted(COMMANDS.keys() - OURS):
            with self.subTest(name):
                self.check(name)


class TestOptions(unittest.TestCase):
    def test_failfast_stops_all_workers(self) -> None:
        files = {
            **PLAIN,
            "test_a_first.py": PLAIN["test_alpha.py"].replace("def test_1(self): ...", "def test_1(self): 1 / 0"),
        }
        finished = run_suite(files, "-f")
        self.assertEqual(finished.status, 1)
        self.assertEqual(list(finished.outcomes.values()), ["ERROR"], finished.text)
        self.assertIn("FAILED, stopped by --failfast, (errors=1)", finished.text)
        self.assertNotIn("LOST", finished.text)

    def test_buffer_keeps_what_passing_tests_wrote(self) -> None:
        finished = run_suite(EVERYTHING, "-b", "test_all.TestAll.test_passes")
        self.assertEqual(finished.status, 0)
        self.assertNotIn("said while it ran", finished.text)

    def test_locals_are_shown(self) -> None:
        finished = run_suite(EVERYTHING, "--locals", "test_all.TestAll.test_fails")
        self.assertIn("    number = 7\n", finished.text)

    def test_durations_are_shown_slowest_first(self) -> None:
        finished = run_suite(PLAIN, "--durations=2", "test_alpha")
        self.assertRegex(finished.text, r"Slowest test durations\n-+\n(\d+\.\d{3}s     test_\d \(.*\)\n){2}\n")

    def test_quiet_says_only_the_sum(self) -> None:
        finished = run_suite(PLAIN, "-q", "-j2")
        self.assertRegex(
            finished.text,
            r"\A-+\nRan 20 tests in \d+\.\d{3}s\ndeclared 20, executed 20; 2 workers; seed \d+\n\nOK\n\Z",
        )

    def test_no_tests_are_no_success(self) -> None:
        finished = run_suite(PLAIN, "-k", "nothing_is_called_so")
        self.assertEqual(finished.status, 1)
        self.assertIn("declared 0, executed 0", finished.text)
        self.assertIn("NO TESTS RAN", finished.text)

    def test_a_command_line_that_makes_no_sense_is_refused(self) -> None:
        for arguments, message in [
            (["--no-such-option"], "unrecognized arguments: --no-such-option"),
            (["-s", "there_is_no_such_folder"], "Start directory is not importable: 'there_is_no_such_folder'"),
            (["-j", "many"], "a number or 'auto' is needed, got 'many'"),
            (["--shard", "3/2"], "shard must be I/N with I from 1 to N, got 3/2"),
            (["--fail-on", "boredom"], "'boredom' is none of passed, failed, error"),
            (["./missing.py"], "error: there is no file './missing.py'; name one, or a test as package.module.Class"),
            (["test_alpha.py", "below/missing.py"], "error: there is no file 'below/missing.py'; name one"),
            ([__file__], f"error: {__file__} is outside of the present folder, which tests are imported from"),
            (["../test_other.py"], "error: there is no file '../test_other.py'"),
            (["."], "error: . is a folder; `discover -s .` runs the tests in it"),
            ([""], "error: there is no file ''"),
            (["./marks.txt"], "error: there is no file './marks.txt'"),
            (["--timeout", "-1"], "--timeout: seconds are 0 or more, got '-1'; 0 is for ever"),
            (["--timeout=nan"], "--timeout: seconds are 0 or more, got 'nan'; 0 is for ever"),
            (["--grace=nan"], "grace must be more than 0 seconds, got grace=nan"),
        ]:
            with self.subTest(message):
                finished = run_suite(PLAIN, *arguments)
                self.assertEqual(finished.status, 2, finished.text)
                self.assertIn(message, finished.text)
                self.assertNotIn("Traceback", finished.text)
        finished = run_suite(PLAIN, SUPERTESTER_TIMEOUT="-5")
        self.assertEqual(finished.status, 2, finished.text)
        self.assertIn("SUPERTESTER_TIMEOUT: timeout = '-5': seconds are 0 or more", finished.text)

    def test_what_fails_a_run_can_be_said(self) -> None:
        thread = "threading.Thread(target=threading.Event().wait, daemon=False).start()"
        files = {
            "test_t.py": f"import threading, unittest\nclass T(unittest.TestCase):\n  def test_1(self): {thread}\n"
        }
        finished = run_suite(files, "--fail-on=lost")
        self.assertEqual(finished.status, 0, finished.text)
        self.assertIn("OK (contaminated=1)", finished.text)

    def test_output_is_bounded_and_goes_to_its_test(self) -> None:
        files = {
            "test_loud.py": """
                import os, subprocess, sys, unittest

                class TestLoud(unittest.TestCase):
                    def test_1_loud(self):
                        for _ in range(50): sys.stdout.write("x" * 1_000_000)
                        print("the end")
                        self.fail()
                    def test_2_child(self):
                        subprocess.run([sys.executable, "-c", "print('from a child')"])
                        os.write(2, b"past Python")
                        self.fail()
            """
        }
        finished = run_suite(files, "-b")
        self.assertLess(len(finished.text), 200_000)
        self.assertRegex(finished.text, r"x{1000}\n\.\.\. \d+ bytes left out \.\.\.\nx+the end\n")
        self.assertRegex(finished.text, r"FAIL: test_2_child(.|\n)*from a child\npast Python\n")

    def test_what_standard_output_cannot_encode_is_written_as_an_escape(self) -> None:
        finished = run_suite(ODD, "--junit=junit.xml", "--html=page.html", PYTHONIOENCODING="ascii")
        self.assertEqual(list(finished.outcomes.values()), ["ok"] * 4, finished.text)
        self.assertIn(r"caf\xe9", finished.text)
        self.assertIn(r"\ufffd", finished.text)
        replaced = run_suite(ODD, "-k", "test_child", PYTHONIOENCODING="ascii:replace")
        self.assertIn("caf?\n", replaced.text)

    def test_half_a_letter_is_written_as_an_escape_and_remembered(self) -> None:
        for arguments in ((), ("--list",), ("--last-failed",)):
            with self.subTest(arguments):
                finished = run_suite(HALVES, "--threads=2", "--junit=junit.xml", "--html=page.html", *arguments)
                self.assertNotIn("Traceback", finished.text)
                self.assertIn(r"test_\ud800" if arguments != ("--last-failed",) else "no test that", finished.text)
        self.assertIn(r"half \udfff", run_suite(HALVES, "--threads=2").text)

    def test_a_test_whose_name_holds_a_slash_is_no_file(self) -> None:
        slash = """
            import unittest
            class TestRate(unittest.TestCase): ...
            setattr(TestRate, "test_a/b", lambda self: None)
        """
        finished = run_suite({"test_rate.py": slash}, "test_rate.TestRate.test_a/b")
        self.assertEqual(finished.status, 0, finished.text)

    def test_what_a_named_module_raises_is_shown_with_its_place(self) -> None:
        finished = run_suite({"test_raises.py": "{}.no_such"}, "test_raises")
        self.assertEqual(finished.status, 1)
        self.assertIn("RuntimeError: loading the tests raised AttributeError: 'dict' object has no", finished.text)
        self.assertRegex(finished.text, r'test_raises.py", line 1, in <module>')


ODD = {
    "test_odd.py": """
        import os, subprocess, unittest

        class TestOdd(unittest.TestCase):
            def test_1(self): ...
            def test_bytes(self): os.write(1, bytes([255, 254]))
            def test_child(self): subprocess.run(["printf", "caf\\u00e9"])
            def test_z(self): ...
    """
}
HALVES = {
    "test_halves.py": r"""
        import unittest

        class TestHalves(unittest.TestCase):
            def test_says(self): print("half \udfff")

        setattr(TestHalves, "test_\ud800", lambda self: None)
    """
}
MODULE = {
    "bank.py": """
        import unittest, supertester

        class TestBank(unittest.TestCase):
            def test_1(self): ...
            def test_2(self): 1 / 0

        if __name__ == "__main__":
            supertester.main(jobs=2)
    """
}


class TestWhatIsLoaded(unittest.TestCase):
    def test_is_seen_by_the_collector_as_ever(self) -> None:
        files = {
            "test_collected.py": """
                import gc, unittest

                class Kept: ...
                kept = Kept()
                holder = [kept]

                class TestCollected(unittest.TestCase):
                    def test_referrers_are_found(self):
                        self.assertTrue(any(each is holder for each in gc.get_referrers(kept)))
            """
        }
        self.assertEqual(run_suite(files).status, 0)


class TestAtTheEndOfAModule(unittest.TestCase):
    def test_main_runs_the_tests_of_its_module(self) -> None:
        finished = run_suite(MODULE, module="bank")
        self.assertEqual(finished.outcomes, {"test_1 TestBank": "ok", "test_2 TestBank": "ERROR"}, finished.text)
        self.assertEqual(finished.status, 1)

    def test_a_fresh_interpreter_finds_them_too(self) -> None:
        for module in ("bank", "bank.py"):
            with self.subTest(module):
                finished = run_suite(MODULE, "--start-method=spawn", module=module)
                self.assertIn("test_1 (bank.TestBank.test_1) ... ok", finished.text)
                self.assertEqual(finished.status, 1)

    def test_names_are_those_of_the_module(self) -> None:
        finished = run_suite(MODULE, "TestBank.test_1", module="bank")
        self.assertEqual(finished.outcomes, {"test_1 TestBank": "ok"}, finished.text)
