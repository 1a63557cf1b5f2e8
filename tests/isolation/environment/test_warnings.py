import io
import logging
import pickle
import threading
import unittest
import unittest.mock
import warnings
from collections.abc import Callable
from typing import Any
from warnings import simplefilter

from supertester.case import IsolatedTestCase
from supertester.isolation import isolate, uninstall
from supertester.testing import inner_case, run_inner
from tests.alone import alone
from tests.isolation.environment.support import report_of, side_by_side


class Odd(UserWarning):
    """A warning of these tests."""


class TestWarnings(unittest.TestCase):
    def test_filters_of_a_test_end_with_it(self) -> None:
        report_of(lambda case: None)  # What begins a test may import what sets filters for the whole process.
        before = list(warnings.filters)

        def body(case: Any) -> None:
            case.assertEqual(warnings.filters, before)
            simplefilter("ignore", Odd)
            warnings.warn("quiet", Odd, stacklevel=1)
            warnings.filterwarnings("error", category=Odd)
            with case.assertRaises(Odd):
                warnings.warn("loud", Odd, stacklevel=1)
            warnings.simplefilter("once", Odd, append=True)
            warnings.simplefilter("once", Odd, append=True)
            case.assertEqual(warnings.filters[-1][:3:2], ("once", Odd))
            case.assertEqual(len(warnings.filters), len(before) + 3)
            warnings.resetwarnings()
            case.assertEqual(warnings.filters, [])
            case.assertEqual(case.environment.summary(), ["warnings"])

        self.assertEqual(report_of(body), "")
        self.assertEqual(warnings.filters, before)

    def test_a_filter_that_is_set_again_moves_to_the_front(self) -> None:
        def body(case: Any) -> None:
            warnings.simplefilter("ignore", Odd)
            warnings.simplefilter("error", Odd)
            warnings.simplefilter("ignore", Odd)
            case.assertEqual([each[0] for each in warnings.filters if each[2] is Odd], ["ignore", "error"])

        self.assertEqual(report_of(body), "")

    def test_a_filter_of_a_test_holds_in_its_threads(self) -> None:
        raised: list[Any] = []

        def warn() -> None:
            try:
                warnings.warn("odd", Odd, stacklevel=1)
            except Odd as error:
                raised.append(error)

        def body(case: Any) -> None:
            warnings.simplefilter("error", Odd)
            thread = threading.Thread(target=warn)
            thread.start()
            thread.join()

        self.assertEqual(report_of(body), "")
        self.assertEqual(len(raised), 1)

    def test_two_at_once_each_have_their_own_filters(self) -> None:
        def strict(case: Any, meet: Callable[[], object]) -> None:
            warnings.simplefilter("error")
            meet()
            with case.assertRaises(Odd):
                warnings.warn("odd", Odd, stacklevel=1)
            meet()

        def lax(case: Any, meet: Callable[[], object]) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                meet()
                warnings.warn("odd", Odd, stacklevel=1)
                meet()

        self.assertEqual(side_by_side(strict, lax), ["", ""])

    def test_two_at_once_each_record_their_own(self) -> None:
        def body(text: str) -> Callable[..., None]:
            def test(case: Any, meet: Callable[[], object]) -> None:
                with warnings.catch_warnings(record=True) as seen:
                    warnings.simplefilter("always")
                    meet()
                    warnings.warn(text, Odd, stacklevel=1)
                    meet()
                case.assertEqual([str(each.message) for each in seen], [text])
                with case.assertWarnsRegex(Odd, text):
                    meet()
                    warnings.warn(text, Odd, stacklevel=1)
                    meet()

            return test

        self.assertEqual(side_by_side(body("one"), body("two")), ["", ""])

    def test_a_warning_that_was_expected_and_did_not_come_fails(self) -> None:
        def body(case: Any) -> None:
            with case.assertWarns(Odd):
                pass

        self.assertIn("AssertionError: Odd not triggered", report_of(body))

    def test_a_replaced_showwarning_ends_with_the_test(self) -> None:
        before = warnings.showwarning
        seen: list[str] = []

        def body(case: Any) -> None:
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_: seen.append(str(message))
            warnings.warn("shown", Odd, stacklevel=1)

        self.assertEqual(report_of(body), "")
        self.assertEqual(seen, ["shown"])
        self.assertIs(warnings.showwarning, before)

    def test_warnings_that_are_captured_for_good_are_captured_again_in_the_next_test(self) -> None:
        def body(case: Any) -> None:
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            logging.captureWarnings(True)
            with case.assertLogs("py.warnings") as seen:
                warnings.warn("to the log", Odd, stacklevel=1)
            case.assertIn("Odd: to the log", seen.output[0])

        self.assertEqual(report_of(body) + report_of(body), "")
        self.assertIsNone(logging._warnings_showwarning)  # type: ignore[attr-defined]

    def test_captured_warnings_are_shown_again_when_the_test_says_so(self) -> None:
        def body(case: Any) -> None:
            before = warnings.showwarning
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            written = io.StringIO()
            with case.assertNoLogs("py.warnings"):
                warnings.showwarning("to a file", Odd, "a.py", 1, file=written)
            logging.captureWarnings(False)
            case.assertIs(warnings.showwarning, before)
            case.assertIn("Odd: to a file", written.getvalue())

        self.assertEqual(report_of(body), "")

    @alone("captures the warnings of the process")
    def test_a_test_can_leave_the_capture_of_the_process(self) -> None:
        def body(case: Any) -> None:
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            with case.assertLogs("py.warnings"):
                warnings.warn("to the log", Odd, stacklevel=1)
            logging.captureWarnings(False)
            with case.assertNoLogs("py.warnings"), unittest.mock.patch("sys.stderr", io.StringIO()) as shown:
                warnings.warn("shown", Odd, stacklevel=1)
            case.assertIn("Odd: shown", shown.getvalue())

        logging.captureWarnings(True)
        try:
            captured = warnings.showwarning
            self.assertEqual(report_of(body), "")
            self.assertIs(warnings.showwarning, captured)
        finally:
            logging.captureWarnings(False)

    def test_who_records_around_a_test_gets_its_warnings(self) -> None:
        def body(case: Any) -> None:
            warnings.warn("before", Odd, stacklevel=1)
            warnings.simplefilter("always")
            warnings.warn("after", Odd, stacklevel=1)

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            self.assertEqual(report_of(body), "")
        self.assertEqual([str(each.message) for each in seen], ["before", "after"])

    def test_one_within_another_begins_with_its_filters(self) -> None:
        async def body(case: Any) -> None:
            warnings.simplefilter("error", Odd)
            async with isolate("full_isolation"):
                with case.assertRaises(Odd):
                    warnings.warn("odd", Odd, stacklevel=1)
                warnings.simplefilter("ignore", Odd)
                warnings.warn("odd", Odd, stacklevel=1)
            with case.assertRaises(Odd):
                warnings.warn("odd", Odd, stacklevel=1)

        self.assertEqual(report_of(body), "")

    def test_attributes_that_the_module_lacks_are_missed_as_always(self) -> None:
        report_of(lambda case: None)
        with unittest.mock.patch.dict(vars(warnings)):
            del vars(warnings)["showwarning"]
            with self.assertRaisesRegex(AttributeError, "module 'warnings' has no attribute 'showwarning'"):
                _ = warnings.showwarning

    def test_the_module_can_be_pickled_by_those_who_pickle_modules(self) -> None:
        report_of(lambda case: None)
        self.assertIs(pickle.loads(pickle.dumps(warnings)), warnings)

    def test_uninstall_puts_back_the_module(self) -> None:
        uninstall()
        before = type(warnings), dict(vars(warnings))
        run_inner(inner_case(lambda case: None))
        self.assertIsNot(type(warnings), before[0])
        uninstall()
        self.assertEqual((type(warnings), dict(vars(warnings))), before)


class TestInAnIsolatedTest(IsolatedTestCase):
    def test_what_warns_once_is_seen_each_time(self) -> None:
        for _ in range(2):
            with self.assertWarns(Odd) as caught:
                warnings.warn("odd", Odd, stacklevel=1)
            self.assertEqual(caught.filename, __file__)
