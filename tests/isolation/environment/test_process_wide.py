import os
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.isolation import gate, isolate, uninstall
from supertester.isolation.environment import process_wide
from supertester.testing import inner_case, run_inner
from tests.isolation.environment.support import report_of, side_by_side

WHOLE = (
    "for the whole process, in which test '.*' runs too; {instead}, or let this test run alone, with isolation='cont"
)


class TestAlone(IsolatedTestCase, isolation="contamination_detection"):
    """In a mode whose tests run alone, because it changes what everybody shares."""

    def tearDown(self) -> None:
        self.assertFalse(process_wide.are_any())

    def test_a_test_may_change_the_directory_and_the_end_goes_back(self) -> None:
        before = Path.cwd()

        def body(case: Any) -> None:
            os.chdir(case.tmp_path)
            case.assertEqual(Path.cwd(), case.tmp_path)
            fd = os.open("/", os.O_RDONLY)
            os.fchdir(fd)
            os.close(fd)
            case.assertIn("    current directory", case.isolation.summary())
            case.fail("on purpose")

        self.assertIn("on purpose", report_of(body))
        self.assertEqual(Path.cwd(), before)

    def test_who_goes_back_has_changed_nothing(self) -> None:
        def body(case: Any) -> None:
            before = Path.cwd()
            os.chdir("/")
            case.assertTrue(process_wide.are_any())
            os.chdir(before)
            case.assertFalse(process_wide.are_any())
            case.assertEqual(case.environment.summary(), [])

        self.assertEqual(report_of(body), "")

    def test_a_directory_that_is_not_there_is_an_error_as_always(self) -> None:
        def body(case: Any) -> None:
            with case.assertRaises(FileNotFoundError):
                os.chdir("/no/such/directory")
            case.assertFalse(process_wide.are_any())
            os.chdir("/")
            with case.assertRaises(FileNotFoundError):
                os.chdir("/no/such/directory")
            case.assertTrue(process_wide.are_any())

        before = Path.cwd()
        self.assertEqual(report_of(body), "")
        self.assertEqual(Path.cwd(), before)

    def test_one_within_another_goes_back_to_where_that_is(self) -> None:
        async def body(case: Any) -> None:
            os.chdir(case.tmp_path)
            async with isolate("full_isolation"):
                os.chdir("/")
            case.assertEqual(Path.cwd(), case.tmp_path)

        self.assertEqual(report_of(body), "")

    def test_a_directory_that_was_removed_meanwhile_fails_the_test(self) -> None:
        before = Path.cwd()
        lost = self.tmp_path / "lost"
        lost.mkdir()

        def body(case: Any) -> None:
            os.chdir("/")
            lost.rmdir()

        os.chdir(lost)
        report = report_of(body)
        os.chdir(before)
        self.assertIn("FileNotFoundError", report)
        self.assertIn(str(lost), report)

    def test_who_begins_in_a_foreign_directory_is_the_fault_of_who_changed_it(self) -> None:
        def body(case: Any) -> None:
            os.chdir("/")
            meet_inner(case)

        def meet_inner(case: Any) -> None:
            import contextvars

            # In a context in which it is not within the other, and past the gate, which would make it wait.
            with mock.patch.object(gate, "_alone", []):
                case.assertEqual(contextvars.Context().run(run_apart, lambda inner: None), "")

        report = report_of(body)
        self.assertRegex(
            report, r"the test changed the current directory for the whole process \(at .*test_process_wide"
        )
        self.assertRegex(report, r"test '.*' began to run in it meanwhile; let one of them run alone")

    def test_a_test_may_set_the_time_zone_and_the_end_sets_it_back(self) -> None:
        before = time.tzname

        def body(case: Any) -> None:
            time.tzset()
            case.assertEqual(case.environment.summary(), [])
            os.environ["TZ"] = "XXX-5"
            time.tzset()
            case.assertEqual(time.tzname[0], "XXX")
            del os.environ["TZ"]
            time.tzset()
            case.assertNotEqual(time.tzname[0], "XXX")
            os.environ["TZ"] = "YYY-5"
            time.tzset()
            case.assertIn("    time zone", case.isolation.summary())

        self.assertEqual(report_of(body), "")
        self.assertEqual(time.tzname, before)

    def test_a_forked_process_may_change_itself(self) -> None:
        out = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                "from tests.isolation.environment.test_process_wide import fork; fork()",
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        self.assertEqual((out.stdout.split(), out.stderr), (["/", "XXX", "True"], ""))

    def test_uninstall_puts_back_the_functions(self) -> None:
        uninstall()
        before = [os.chdir, os.fchdir, time.tzset]
        run_inner(inner_case(lambda case: None))
        self.assertFalse(set(before) & {os.chdir, os.fchdir, time.tzset})
        uninstall()
        self.assertEqual([os.chdir, os.fchdir, time.tzset], before)


class TestSideBySide(unittest.TestCase):
    def refused(self, action: Callable[[Any], object], message: str) -> None:
        before = Path.cwd(), time.tzname

        def refused(case: Any, meet: Callable[[], object]) -> None:
            with case.assertRaisesRegex(UsageError, message):
                action(case)
            case.assertFalse(process_wide.are_any())
            meet()

        def other(case: Any, meet: Callable[[], object]) -> None:
            meet()

        self.assertEqual(side_by_side(refused, other), ["", ""])
        self.assertEqual((Path.cwd(), time.tzname), before)

    def test_the_directory_cannot_be_changed(self) -> None:
        instead = "use absolute paths, such as those of self.tmp_path, or the option cwd= of subprocess"
        self.refused(
            lambda case: os.chdir("/"),
            rf"os.chdir\('/'\) would change the current directory {WHOLE.format(instead=instead)}",
        )

    def test_the_time_zone_cannot_be_changed(self) -> None:
        def change(case: Any) -> None:
            os.environ["TZ"] = "XXX-5"
            time.tzset()

        instead = "pass time zones, such as those of zoneinfo, to the code under test"
        self.refused(
            change, rf"time.tzset\(\) with TZ='XXX-5' would change the time zone {WHOLE.format(instead=instead)}"
        )

    def test_more_than_one_other_test_are_counted(self) -> None:
        def refused(case: Any, meet: Callable[[], object]) -> None:
            with case.assertRaisesRegex(UsageError, "in which test '.*' runs too and [0-9]+ more; "):
                os.chdir("/")
            meet()

        def other(case: Any, meet: Callable[[], object]) -> None:
            meet()

        self.assertEqual(side_by_side(refused, other, other), ["", "", ""])


def run_apart(body: Callable[[Any], object]) -> str:
    """Run *body* as a test that belongs to no other, in a thread that nobody has started."""
    import _thread
    import queue

    reports: queue.SimpleQueue[str] = queue.SimpleQueue()
    _thread.start_new_thread(lambda: reports.put(report_of(body)), ())
    return reports.get(timeout=20)


def fork() -> None:
    """In a process forked inside a test, change what is the process's."""

    def body(case: Any) -> None:
        before = Path.cwd()
        pid = os.fork()
        if not pid:
            os.chdir("/")
            os.environ["TZ"] = "XXX-5"
            time.tzset()
            print(Path.cwd(), time.tzname[0], flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(Path.cwd() == before)

    sys.exit(report_of(body) or None)
