"""``assertLogs`` and ``assertNoLogs`` of an isolated test, beside those of ``unittest``."""

import logging
import threading
import unittest
from collections.abc import Callable
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.testing import RecordingResult, inner_case, run_inner
from tests.isolation.test_logs import LOG, Records, at_once, attached

PARENT = logging.getLogger("tests")
CHILD = logging.getLogger("tests.logs.child")


def differently(body: Callable[[Any], Any]) -> list[RecordingResult]:
    """Run *body* as a test of ``unittest`` and as an isolated one."""
    return [run_inner(inner_case(body, unittest.TestCase)), run_inner(inner_case(body, IsolatedTestCase))]


class TestAsInUnittest(unittest.TestCase):
    """Each body is run as a plain test and as an isolated one, and what comes out is the same."""

    def same(self, body: Callable[[Any], Any], *, fails_with: str | None = None) -> None:
        for result in differently(body):
            with self.subTest(test=result.events[0].test):
                if fails_with is None:
                    self.assertEqual(result.report, "")
                else:
                    self.assertIn(f"AssertionError: {fails_with}\n", result.report)
                    self.assertNotIn("asserting.py", result.report)

    def test_records_and_output(self) -> None:
        def body(case: Any) -> None:
            with case.assertLogs() as seen:
                LOG.info("one %s", 1)
                LOG.debug("too low")
            case.assertEqual(seen.output, ["INFO:tests.logs:one 1"])
            case.assertEqual([record.args for record in seen.records], [(1,)])
            records, output = seen
            case.assertEqual((len(records), len(output)), (1, 1))

        self.same(body)

    def test_levels_as_names_and_numbers(self) -> None:
        def body(case: Any) -> None:
            for level in ("DEBUG", logging.DEBUG):
                with case.assertLogs(LOG, level) as seen:
                    LOG.debug("low")
                case.assertEqual(seen.output, ["DEBUG:tests.logs:low"])
            with case.assertLogs("tests", level="ERROR") as seen:
                LOG.warning("too low")
                LOG.error("high")
            case.assertEqual(seen.output, ["ERROR:tests.logs:high"])

        self.same(body)

    def test_a_level_that_is_none(self) -> None:
        for level in ("LOUD", 1.5):
            for result in differently(lambda case, level=level: case.assertLogs(level=level).__enter__()):
                self.assertRegex(result.report, "Unknown level: 'LOUD'|Level not an integer or a valid string: 1.5")

    def test_nothing_logged(self) -> None:
        def body(case: Any) -> None:
            with case.assertLogs("tests", "ERROR"):
                LOG.warning("too low")

        self.same(body, fails_with="no logs of level ERROR or higher triggered on tests")

    def test_nothing_expected(self) -> None:
        def body(case: Any) -> None:
            with case.assertNoLogs("tests", "ERROR") as seen:
                LOG.warning("too low")
            case.assertIsNone(seen)
            with case.assertNoLogs(level="ERROR"):
                LOG.error("high")

        self.same(body, fails_with="Unexpected logs found: ['ERROR:tests.logs:high']")

    def test_an_exception_of_the_body_comes_first(self) -> None:
        def body(case: Any) -> None:
            with case.assertRaises(KeyError), case.assertLogs():
                raise KeyError
            with case.assertRaises(KeyError), case.assertNoLogs():
                LOG.error("unexpected")
                raise KeyError

        self.same(body)

    def test_blocks_within_blocks(self) -> None:
        def body(case: Any) -> None:
            with case.assertLogs("tests") as outer:
                LOG.info("outer")
                with case.assertLogs("tests.logs", "DEBUG") as inner:
                    CHILD.debug("inner")
                with case.assertLogs("tests", "DEBUG") as again:
                    CHILD.debug("again")
            case.assertEqual(
                (outer.output, inner.output, again.output),
                (["INFO:tests.logs:outer"], ["DEBUG:tests.logs.child:inner"], ["DEBUG:tests.logs.child:again"]),
            )

        self.same(body)

    def test_handlers_from_that_logger_up_get_nothing_meanwhile(self) -> None:
        below, at, above, deaf = Records(), Records(), Records(), Records()
        deaf.setLevel(logging.ERROR)
        attached(self, CHILD, deaf)
        attached(self, CHILD, below)
        attached(self, LOG, at)
        attached(self, PARENT, above)

        def body(case: Any) -> None:
            with case.assertLogs(LOG):
                CHILD.warning("taken")
            CHILD.warning("free")

        self.same(body)
        self.assertEqual(below.messages, ["taken", "free"] * 2)
        self.assertEqual((at.messages, above.messages, deaf.messages), (["free"] * 2, ["free"] * 2, []))

    def test_loggers_with_levels_of_their_own_and_without_propagation(self) -> None:
        attached(self, CHILD, Records())
        self.addCleanup(CHILD.setLevel, logging.NOTSET)
        self.addCleanup(setattr, CHILD, "propagate", True)

        def body(case: Any) -> None:
            CHILD.propagate = True
            CHILD.setLevel(logging.ERROR)
            with case.assertNoLogs("tests", "DEBUG"):
                CHILD.warning("too low for its logger")
            CHILD.propagate = False
            with case.assertNoLogs("tests", "DEBUG"):
                CHILD.error("does not get there")

        self.same(body)

    def test_logging_that_is_disabled(self) -> None:
        self.addCleanup(setattr, CHILD, "disabled", False)

        def body(case: Any) -> None:
            CHILD.disabled = True
            with case.assertNoLogs(level="DEBUG"):
                CHILD.error("disabled")

        self.same(body)

    def test_threads_that_belong_to_no_test(self) -> None:
        def body(case: Any) -> None:
            ask, asked = asking
            with case.assertLogs(LOG, "DEBUG") as seen:
                ask.set()
                asked.wait()
            case.assertEqual(seen.output, ["DEBUG:tests.logs:foreign"])

        for kind in (unittest.TestCase, IsolatedTestCase):
            asking = (threading.Event(), threading.Event())

            def foreign(ask: threading.Event, asked: threading.Event) -> None:
                ask.wait()
                LOG.debug("foreign")
                asked.set()

            thread = threading.Thread(target=foreign, args=asking)
            thread.start()
            self.assertEqual(run_inner(inner_case(body, kind)).report, "")
            thread.join()


class TestApart(unittest.TestCase):
    def test_tests_that_run_at_once_see_their_own_records_alone(self) -> None:
        barrier = threading.Barrier(2)
        handler = Records()
        attached(self, LOG, handler)

        def body_of(name: str) -> Callable[[Any], Any]:
            def body(case: Any) -> None:
                with case.assertLogs(LOG, "DEBUG") as seen:
                    barrier.wait()
                    LOG.debug(name)
                    barrier.wait()
                case.assertEqual(seen.output, [f"DEBUG:tests.logs:{name}"])

            return body

        self.assertEqual(at_once(body_of("a"), body_of("b")), ["", ""])
        self.assertEqual((handler.messages, LOG.handlers, LOG.level, LOG.propagate), ([], [handler], 0, True))

    def test_another_test_logs_as_ever_meanwhile(self) -> None:
        barrier = threading.Barrier(2)
        handler = Records()
        attached(self, LOG, handler)

        def asserting(case: Any) -> None:
            with case.assertNoLogs(LOG, "DEBUG"):
                barrier.wait()
                barrier.wait()

        def other(case: Any) -> None:
            barrier.wait()
            LOG.warning("heard")
            LOG.debug("not heard")
            barrier.wait()
            case.assertEqual(case.logs.text, "WARNING:tests.logs:heard\n")

        self.assertEqual(at_once(asserting, other), ["", ""])
        self.assertEqual(handler.messages, ["heard"])


class TestBesideLogs(IsolatedTestCase):
    async def test_both_see_the_record(self) -> None:
        with self.logs.capture("DEBUG") as captured, self.assertLogs(LOG, "DEBUG") as seen:
            LOG.debug("both")
        self.assertEqual((captured.text, seen.output), ("DEBUG:tests.logs:both\n", ["DEBUG:tests.logs:both"]))
        self.assertEqual(self.logs.text, "DEBUG:tests.logs:both\n")

    async def test_an_assertion_counts_more_than_a_higher_level(self) -> None:
        self.logs.isolate_level("ERROR")
        with self.assertLogs(LOG, "INFO") as seen:
            self.assertEqual(LOG.getEffectiveLevel(), logging.INFO)
            LOG.info("wanted")
        self.assertEqual(seen.output, ["INFO:tests.logs:wanted"])
        self.assertEqual(LOG.getEffectiveLevel(), logging.ERROR)

    async def test_where_logs_are_off_it_is_that_of_unittest(self) -> None:
        def body(case: Any) -> None:
            with case.assertLogs(LOG) as seen:
                case.assertFalse(LOG.propagate)
                LOG.info("stock")
            case.assertEqual(seen.output, ["INFO:tests.logs:stock"])
            with case.assertNoLogs(LOG):
                pass

        self.assertEqual(run_inner(inner_case(body, logs=False)).report, "")
