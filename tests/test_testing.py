import asyncio
import threading
import unittest
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.isolation import fetch_isolation_context
from supertester.testing import Event, RecordingResult, check_planted_bug, failure_of, inner_case, run_inner
from tests.planted import forever
from tests.runner.suites import run_unittest


class Sample(unittest.TestCase):
    """Is only run as an inner test."""

    def passes(self) -> None: ...

    def fails(self) -> None:
        self.assertEqual(1, 2)

    def interrupts(self) -> None:
        raise KeyboardInterrupt


class TestRunInner(unittest.TestCase):
    def test_records_events_in_order(self) -> None:
        suite = unittest.TestSuite([Sample("passes"), Sample("fails")])
        result = run_inner(suite)
        self.assertEqual(result.kinds, ["start", "success", "stop", "start", "failure", "stop"])
        self.assertIn("AssertionError: 1 != 2", result.report)
        self.assertEqual(result.events[0], Event("start", Sample("passes").id()))
        self.assertRegex(str(result.events[4]), r"^failure .*Sample\.fails: AssertionError: 1 != 2$")

    def test_takes_a_whole_class_with_its_fixtures(self) -> None:
        class Inner(unittest.TestCase):
            @classmethod
            def setUpClass(cls) -> None:
                cls.value = 1

            def test_one(self) -> None:
                self.assertEqual(self.value, 1)

            def test_two(self) -> None: ...

        self.assertEqual(run_inner(Inner).kinds.count("success"), 2)

    def test_takes_all_tests_of_a_class_whichever_of_the_run_were_chosen(self) -> None:
        files = {
            "test_it.py": """
                import unittest
                from supertester.testing import run_inner

                def inner():
                    class Inner(unittest.TestCase):
                        def test(self): ...

                    return Inner

                class TestIt(unittest.TestCase):
                    def test_chosen(self):
                        self.assertEqual(run_inner(inner()).kinds, ["start", "success", "stop"])
            """
        }
        self.assertEqual(list(run_unittest(files, "-k", "chosen")[0].values()), ["ok"])

    def test_goes_on_with_a_given_result(self) -> None:
        result = RecordingResult()
        self.assertIs(run_inner(Sample("passes"), result=result), result)
        run_inner(Sample("passes"), result=result)
        self.assertEqual(result.testsRun, 2)

    def test_lets_an_interruption_through(self) -> None:
        with self.assertRaises(KeyboardInterrupt):
            run_inner(Sample("interrupts"))

    def test_refuses_what_cannot_be_run(self) -> None:
        with self.assertRaisesRegex(TypeError, "takes a test case, a suite or a test class, got 3"):
            run_inner(3)  # type: ignore[arg-type]

    def test_runs_in_this_thread_where_nothing_is_disturbed(self) -> None:
        threads: list[int] = []
        run_inner(inner_case(lambda case: threads.append(threading.get_ident())))
        self.assertEqual(threads, [threading.get_ident()])


class TestRunInnerInsideOfAsyncTests(IsolatedTestCase):
    async def test_runs_in_a_thread_and_shares_no_context(self) -> None:
        seen: list[Any] = []

        async def body(case: Any) -> None:
            seen.append((threading.get_ident(), fetch_isolation_context()))

        self.assertEqual(run_inner(inner_case(body)).report, "")
        [(thread, context)] = seen
        self.assertNotEqual(thread, threading.get_ident())
        self.assertIsNot(context, self.isolation)
        self.assertIs(fetch_isolation_context(), self.isolation)

    async def test_lets_an_interruption_through(self) -> None:
        with self.assertRaises(KeyboardInterrupt):
            run_inner(Sample("interrupts"))

    async def test_keeps_problems_of_the_inner_test_inside(self) -> None:
        async def body(case: Any) -> None:
            asyncio.create_task(forever())
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)

        self.assertIn("2 problems", failure_of(body))
        self.assertEqual(self.isolation.problems, [])

    def test_the_loop_of_a_plain_outer_test_stays_current(self) -> None:
        before = asyncio.get_event_loop_policy().get_event_loop()
        run_inner(inner_case(lambda case: None))
        self.assertIs(asyncio.get_event_loop_policy().get_event_loop(), before)


class TestRunInnerInsideOfStockAsyncTests(unittest.IsolatedAsyncioTestCase):
    async def test_runs_in_a_thread_too(self) -> None:
        async def body(case: Any) -> None:
            case.assertNotEqual(threading.get_ident(), outer)

        outer = threading.get_ident()
        self.assertEqual(run_inner(inner_case(body)).report, "")


class TestResult(unittest.TestCase):
    def test_knows_every_kind_of_outcome(self) -> None:
        class Inner(unittest.TestCase):
            @unittest.expectedFailure
            def test_a(self) -> None:
                self.fail("planted")

            @unittest.expectedFailure
            def test_b(self) -> None: ...

            def test_c(self) -> None:
                with self.subTest(number=1):
                    self.fail("planted")
                with self.subTest(number=2):
                    raise OSError("planted")
                with self.subTest(number=3):
                    pass

            @unittest.skip("reason")
            def test_d(self) -> None: ...

        result = run_inner(Inner)
        kinds = [kind for kind in result.kinds if kind not in ("start", "stop")]
        self.assertEqual(kinds, ["expected_failure", "unexpected_success", "subtest", "subtest", "subtest", "skip"])
        details = [event.detail for event in result.events if event.kind in ("subtest", "skip")]
        self.assertIn("AssertionError: planted", details[0])
        self.assertIn("OSError: planted", details[1])
        self.assertEqual(details[2:], ["", "reason"])


class Even:
    """A mixin with an assertion."""

    def assert_even(self, number: int) -> None:
        if number % 2:
            raise AssertionError(f"{number} is odd")


class TestPlantedBugs(unittest.TestCase):
    def test_an_assertion_that_tells_them_apart_is_in_order(self) -> None:
        self.assertIsNone(
            check_planted_bug(
                lambda case: case.assert_even(2), lambda case: case.assert_even(3), Even, expected="3 is odd"
            )
        )

    def test_one_that_finds_nothing_is_not(self) -> None:
        found = check_planted_bug(lambda case: None, lambda case: None, expected="x")
        self.assertIn("passes although a bug is planted", str(found))

    def test_one_that_finds_too_much_is_not(self) -> None:
        found = check_planted_bug(lambda case: case.fail("noise"), lambda case: None, expected="x")
        self.assertRegex(str(found), r"fails although no bug is planted:\n(?s:.*)noise")

    def test_one_that_does_not_say_what_is_wrong_is_not(self) -> None:
        def noisy(case: Any) -> None:
            case.fail("noise")

        found = check_planted_bug(lambda case: None, noisy, expected="reason")
        self.assertIn("does not say 'reason'", str(found))

    def test_failure_of_what_does_not_fail_is_a_mistake(self) -> None:
        with self.assertRaisesRegex(UsageError, "was to fail, and did not: start, success, stop"):
            failure_of(lambda case: None)

    def test_an_inner_case_can_have_another_base(self) -> None:
        case = inner_case(lambda case: None, unittest.TestCase)
        self.assertNotIsInstance(case, IsolatedTestCase)

    def test_a_body_must_be_callable(self) -> None:
        with self.assertRaisesRegex(TypeError, "must be callable with the test case, got 3"):
            inner_case(3)  # type: ignore[arg-type]
