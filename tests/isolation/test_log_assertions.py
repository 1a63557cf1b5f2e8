"""``assertLogs`` and ``assertNoLogs`` of an isolated test, beside those of ``unittest``."""

import logging
import threading
import unittest
from collections.abc import Callable
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.isolation import isolate
from supertester.testing import RecordingResult, inner_case, run_inner
from tests.alone import alone
from tests.isolation.test_logs import LOG, Records, at_once, attached
from tests.project.support import run_python


def differently(body: Callable[[Any], Any]) -> list[RecordingResult]:
    """Run *body* as a test of ``unittest`` and as an isolated one."""
    return [run_inner(inner_case(body, unittest.TestCase)), run_inner(inner_case(body, IsolatedTestCase))]


class TestAsInUnittest(unittest.TestCase):
    """Each body is run as a plain test and as an isolated one, and what comes out is the same."""

    def setUp(self) -> None:
        # Loggers of this test alone: those of `unittest` change them for everybody.
        self.parent = logging.getLogger(f"asserted.{self._testMethodName}")
        self.log, self.child = self.parent.getChild("shop"), self.parent.getChild("shop.orders")
        attached(self, self.parent, logging.NullHandler())

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
            with case.assertLogs(self.parent) as seen:
                self.log.info("one %s", 1)
                self.log.debug("too low")
            case.assertEqual(seen.output, [f"INFO:{self.log.name}:one 1"])
            case.assertEqual([record.args for record in seen.records], [(1,)])
            records, output = seen
            case.assertEqual((len(records), len(output)), (1, 1))

        self.same(body)

    def test_levels_as_names_and_numbers(self) -> None:
        def body(case: Any) -> None:
            for level in ("DEBUG", logging.DEBUG):
                with case.assertLogs(self.log, level) as seen:
                    self.log.debug("low")
                case.assertEqual(seen.output, [f"DEBUG:{self.log.name}:low"])
            with case.assertLogs(self.parent.name, level="ERROR") as seen:
                self.log.warning("too low")
                self.log.error("high")
            case.assertEqual(seen.output, [f"ERROR:{self.log.name}:high"])

        self.same(body)

    def test_a_level_that_is_none(self) -> None:
        for level in ("LOUD", 1.5):
            for result in differently(lambda case, level=level: case.assertLogs(level=level).__enter__()):
                self.assertRegex(result.report, "Unknown level: 'LOUD'|Level not an integer or a valid string: 1.5")

    def test_nothing_logged(self) -> None:
        def body(case: Any) -> None:
            with case.assertLogs(self.parent.name, "ERROR"):
                self.log.warning("too low")

        self.same(body, fails_with=f"no logs of level ERROR or higher triggered on {self.parent.name}")

    def test_nothing_expected(self) -> None:
        def body(case: Any) -> None:
            with case.assertNoLogs(self.parent.name, "ERROR") as seen:
                self.log.warning("too low")
            case.assertIsNone(seen)
            with case.assertNoLogs(self.log, level="ERROR"):
                self.log.error("high")

        self.same(body, fails_with=f"Unexpected logs found: ['ERROR:{self.log.name}:high']")

    def test_an_exception_of_the_body_comes_first(self) -> None:
        def body(case: Any) -> None:
            with case.assertRaises(KeyError), case.assertLogs(self.parent):
                raise KeyError
            with case.assertRaises(KeyError), case.assertNoLogs(self.parent):
                self.log.error("unexpected")
                raise KeyError

        self.same(body)

    def test_blocks_within_blocks(self) -> None:
        def body(case: Any) -> None:
            with case.assertLogs(self.parent.name) as outer:
                self.log.info("outer")
                with case.assertLogs(self.log.name, "DEBUG") as inner:
                    self.child.debug("inner")
                with case.assertLogs(self.parent.name, "DEBUG") as again:
                    self.child.debug("again")
            case.assertEqual(
                (outer.output, inner.output, again.output),
                (
                    [f"INFO:{self.log.name}:outer"],
                    [f"DEBUG:{self.child.name}:inner"],
                    [f"DEBUG:{self.child.name}:again"],
                ),
            )

        self.same(body)

    def test_handlers_from_that_logger_up_get_nothing_meanwhile(self) -> None:
        below, at, above, deaf = Records(), Records(), Records(), Records()
        deaf.setLevel(logging.ERROR)
        attached(self, self.child, deaf)
        attached(self, self.child, below)
        attached(self, self.log, at)
        attached(self, self.parent, above)

        def body(case: Any) -> None:
            with case.assertLogs(self.log):
                self.child.warning("taken")
            self.child.warning("free")

        self.same(body)
        self.assertEqual(below.messages, ["taken", "free"] * 2)
        self.assertEqual((at.messages, above.messages, deaf.messages), (["free"] * 2, ["free"] * 2, []))

    def test_loggers_with_levels_of_their_own_and_without_propagation(self) -> None:
        attached(self, self.child, Records())
        self.addCleanup(self.child.setLevel, logging.NOTSET)
        self.addCleanup(setattr, self.child, "propagate", True)

        def body(case: Any) -> None:
            self.child.propagate = True
            self.child.setLevel(logging.ERROR)
            with case.assertNoLogs(self.parent.name, "DEBUG"):
                self.child.warning("too low for its logger")
            self.child.propagate = False
            with case.assertNoLogs(self.parent.name, "DEBUG"):
                self.child.error("does not get there")

        self.same(body)

    def test_logging_that_is_disabled(self) -> None:
        self.addCleanup(setattr, self.child, "disabled", False)

        def body(case: Any) -> None:
            self.child.disabled = True
            with case.assertNoLogs(self.parent, level="DEBUG"):
                self.child.error("disabled")

        self.same(body)

    def test_threads_that_belong_to_no_test(self) -> None:
        """Their records are seen if no other test is running; so in a process of its own."""
        self.assertEqual(run_python(FOREIGN_THREAD), "['start', 'success', 'stop']\n" * 2)


FOREIGN_THREAD = """
import logging, threading, unittest
from supertester import IsolatedTestCase
from supertester.testing import inner_case, run_inner

log = logging.getLogger("shop")
ask, asked = threading.Event(), threading.Event()

def foreign():
    for _ in range(2):
        ask.wait()
        ask.clear()
        log.debug("foreign")
        asked.set()

def body(case):
    with case.assertLogs(log, "DEBUG") as seen:
        ask.set()
        asked.wait()
        asked.clear()
    case.assertEqual(seen.output, ["DEBUG:shop:foreign"])

thread = threading.Thread(target=foreign)
thread.start()
print(run_inner(inner_case(body, unittest.TestCase)).kinds)
print(run_inner(inner_case(body, IsolatedTestCase)).kinds)
thread.join()
"""


class TestApart(unittest.TestCase):
    def test_tests_that_run_at_once_see_their_own_records_alone(self) -> None:
        barrier = threading.Barrier(2)
        handler = Records("a", "b", "heard", "not heard")
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
        self.assertEqual((handler.messages, handler in LOG.handlers, LOG.level, LOG.propagate), ([], True, 0, True))

    def test_another_test_logs_as_ever_meanwhile(self) -> None:
        barrier = threading.Barrier(2)
        handler = Records("a", "b", "heard", "not heard")
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
    async def test_the_root_sees_all_that_the_test_logs(self) -> None:
        with self.assertLogs() as seen:
            LOG.info("below")
            logging.getLogger().warning("at the root")
        self.assertEqual(seen.output, ["INFO:tests.logs:below", "WARNING:root:at the root"])
        with self.assertNoLogs():
            LOG.debug("too low")

    async def test_within_another_world_they_see_what_that_logs(self) -> None:
        async with isolate("full_isolation"):
            with self.assertLogs() as seen, self.assertNoLogs("tests.other"):
                LOG.warning("inside")
        async with isolate("full_isolation"), isolate("full_isolation"):
            with self.assertRaisesRegex(AssertionError, "Unexpected logs found"), self.assertNoLogs():
                LOG.warning("further inside")
        self.assertEqual(seen.output, ["WARNING:tests.logs:inside"])

    @alone("takes the handlers of the root logger away")
    async def test_the_functions_of_the_module_configure_nothing_meanwhile(self) -> None:
        root = logging.getLogger()
        before, root.handlers = root.handlers, []
        try:
            with self.assertLogs() as seen:
                logging.warning("by a function")  # noqa: LOG015 - that is the point
                logging.basicConfig(format="ignored")
                self.assertEqual(root.handlers, [])
                logging.basicConfig(force=True, handlers=[logging.NullHandler()])
                self.assertEqual(len(root.handlers), 1)
        finally:
            root.handlers = before
        self.assertEqual(seen.output, ["WARNING:root:by a function"])

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
            log = logging.getLogger("asserted.by.unittest")
            with case.assertLogs(log) as seen:
                case.assertFalse(log.propagate)
                log.info("stock")
            case.assertEqual(seen.output, ["INFO:asserted.by.unittest:stock"])
            with case.assertNoLogs(log):
                pass

        self.assertEqual(run_inner(inner_case(body, logs=False)).report, "")
