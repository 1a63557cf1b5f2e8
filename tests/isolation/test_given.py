"""`@given` on tests of `IsolatedTestCase`: each example is a test of its own, and Hypothesis is as it always is."""

import asyncio
import contextvars
import random
import threading
import time
import unittest
import warnings
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, ClassVar

from hypothesis import (
    HealthCheck,
    Phase,
    Verbosity,
    assume,
    event,
    example,
    given,
    note,
    reject,
    reproduce_failure,
    seed,
    settings,
)
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from supertester import tag
from supertester.case import IsolatedTestCase
from supertester.isolation import fetch_isolation_context
from supertester.otp import Agent, GenServer, self_pid, whereis
from supertester.testing import RecordingResult, run_inner
from tests.alone import alone
from tests.planted import forever
from tests.test_case import run_python

# Inner tests keep nothing between runs, and may be as slow as a busy machine lets them be. What Hypothesis does to
# explain a failure it does to the whole process, and it warns if another test is at it.
plain = settings(
    database=None,
    deadline=None,
    max_examples=50,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.too_slow],
)
few = settings(plain, max_examples=5)
quiet = settings(few, verbosity=Verbosity.quiet)  # Hypothesis prints what it cannot put into a failure.
variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


def report_of(cls: type[IsolatedTestCase], name: str = "test") -> str:
    return run_inner(cls(name)).report


class TestEachExample(unittest.TestCase):
    def test_is_an_isolated_test_with_fixtures_and_cleanup(self) -> None:
        log: list[str] = []
        contexts: list[Any] = []
        cases: list[Any] = []

        class Inner(IsolatedTestCase):
            def setUp(self) -> None:
                log.append("setUp")
                self.addCleanup(log.append, "cleanup")
                self.addAsyncCleanup(self.note, "async cleanup")

            async def asyncSetUp(self) -> None:
                await self.note("asyncSetUp")

            async def note(self, what: str) -> None:
                log.append(what)

            @tag(layer="unit")
            @few
            @given(st.integers())
            async def test(self, number: int) -> None:
                log.append("test")
                contexts.append(self.isolation)
                cases.append(self)
                self.assertIs(fetch_isolation_context(), self.isolation)
                self.assertIs(self_pid(), self.isolation.root)
                self.assertEqual(self.isolation.registry, {})
                self.assertEqual(self.isolation.tags["layer"], "unit")
                self.assertEqual(self.isolation.tags["file"], __file__)
                self.assertIsNone(whereis("server"))
                self.assertEqual(variable.get(), 0)
                self.assertFalse(hasattr(self, "state"))
                variable.set(1)
                self.state = number
                await GenServer.start_link(name="server")

            async def asyncTearDown(self) -> None:
                await self.note("asyncTearDown")

            def tearDown(self) -> None:
                log.append("tearDown")

        case = Inner("test")
        self.assertEqual(run_inner(case).report, "")
        self.assertEqual(
            log,
            ["setUp", "asyncSetUp", "test", "asyncTearDown", "tearDown", "async cleanup", "cleanup"] * 5,
        )
        self.assertEqual(len({context.test_id for context in contexts}), 5)
        self.assertEqual(len({context.seed for context in contexts}), 1)
        self.assertEqual(len({id(each) for each in cases}), 5)
        self.assertTrue(all(context.closed for context in contexts))
        self.assertIs(case.isolation, contexts[-1])

    def test_of_a_plain_test_makes_no_event_loop(self) -> None:
        contexts: list[Any] = []

        class Inner(IsolatedTestCase):
            @few
            @given(st.integers())
            def test(self, number: int) -> None:
                contexts.append(self.isolation)

        self.assertEqual(report_of(Inner), "")
        self.assertEqual([context.made("loop") for context in contexts], [None] * 5)

    def test_shares_the_fixtures_of_the_class(self) -> None:
        class Inner(IsolatedTestCase):
            log: ClassVar[list[str]] = []

            @classmethod
            async def asyncSetUpClass(cls) -> None:
                cls.log.append("class")

            @few
            @given(st.integers())
            async def test(self, number: int) -> None:
                self.log.append("test")

        self.assertEqual(run_inner(Inner).report, "")
        self.assertEqual(Inner.log, ["class", *["test"] * 5])

    def test_has_what_was_set_on_the_case_before_the_test(self) -> None:
        class Inner(IsolatedTestCase):
            @few
            @given(st.integers())
            async def test(self, number: int) -> None:
                self.assertEqual(self.parameter, 3)  # type: ignore[attr-defined]

        case = Inner("test")
        case.parameter = 3  # type: ignore[attr-defined]
        self.assertEqual(run_inner(case).report, "")

    def test_explicit_ones_too(self) -> None:
        numbers: list[int] = []

        class Inner(IsolatedTestCase):
            @example(number=17)
            @example(number=18)
            @settings(few, phases=[Phase.explicit])
            @given(number=st.integers())
            async def test(self, number: int) -> None:
                self.assertEqual(self.isolation.registry, {})
                await GenServer.start_link(name="server")
                numbers.append(number)

        self.assertEqual(report_of(Inner), "")
        self.assertEqual(sorted(numbers), [17, 18])

    def test_can_have_subtests(self) -> None:
        class Inner(IsolatedTestCase):
            @few
            @given(st.integers())
            async def test(self, number: int) -> None:
                with self.subTest(number=number):
                    self.fail("planted")

        result = run_inner(Inner("test"))
        self.assertEqual(len(result.failures), 1)
        self.assertIn("planted", result.report)


class TestPlantedBugs(unittest.TestCase):
    def check(self, cls: type[IsolatedTestCase], *expected: str) -> RecordingResult:
        result = run_inner(cls("test"))
        self.assertEqual(result.kinds[0::2], ["start", "stop"], result.report)
        for each in expected:
            self.assertIn(each, result.report)
        self.assertEqual(result.report.count("replay with: SUPERTESTER_SEED="), 1, result.report)
        return result

    def test_shrink_to_the_smallest_example(self) -> None:
        class Inner(IsolatedTestCase):
            async def asyncSetUp(self) -> None:
                self.agent = await self.setup_isolated_genserver(Agent, init_args=(0,))

            @plain
            @given(numbers=st.lists(st.integers(0, 1000)))
            async def test(self, numbers: list[int]) -> None:
                for number in numbers:
                    await Agent.update(self.agent, lambda total, number=number: total + number)
                note(f"numbers {numbers}")
                self.assertLess(await Agent.get(self.agent), 100)

        self.check(Inner, "AssertionError: 100 not less than 100", "numbers=[100]", "numbers [100]")

    def test_in_plain_tests_too(self) -> None:
        class Inner(IsolatedTestCase):
            @plain
            @given(number=st.integers(0, 1000))
            def test(self, number: int) -> None:
                if number >= 17:
                    raise KeyError(number)

        self.check(Inner, "KeyError: 17", "number=17")

    def test_show_the_deaths_of_the_example(self) -> None:
        class Inner(IsolatedTestCase):
            @plain
            @given(number=st.integers(0, 1000))
            async def test(self, number: int) -> None:
                if number >= 17:
                    (await GenServer.start(name="victim")).exit("planted")
                    self.fail("no victims")

        self.check(Inner, "number=17", "deaths in this test:", "'victim' dead: 'planted'")

    @alone("where it runs in several threads, Hypothesis knows no deadline")
    def test_do_not_show_the_end_of_the_example_itself_as_a_death(self) -> None:
        class Inner(IsolatedTestCase):
            @settings(max_examples=1, database=None, deadline=timedelta(microseconds=1))
            @given(number=st.just(17))
            async def test(self, number: int) -> None: ...

        report = report_of(Inner)
        self.assertIn("DeadlineExceeded", report)
        self.assertNotIn("deaths in this test", report)

    def test_a_leaked_task_is_one(self) -> None:
        class Inner(IsolatedTestCase):
            @plain
            @given(numbers=st.lists(st.integers()))
            async def test(self, numbers: list[int]) -> None:
                if len(numbers) >= 2:
                    self.task = asyncio.create_task(forever())

        self.check(Inner, "task 'forever' (created at", "was left running", "numbers=[0, 0]")

    def test_so_are_a_background_failure_and_a_forgotten_coroutine(self) -> None:
        async def fail() -> None:
            raise OSError("planted")

        class Fails(IsolatedTestCase):
            @plain
            @given(number=st.integers(0, 1000))
            async def test(self, number: int) -> None:
                if number >= 17:
                    self.task = asyncio.create_task(fail())
                    await asyncio.sleep(0)

        class Forgets(IsolatedTestCase):
            @plain
            @given(number=st.integers(0, 1000))
            async def test(self, number: int) -> None:
                if number >= 17:
                    fail()

        self.check(Fails, "OSError('planted')", "number=17")
        self.check(Forgets, "was never awaited", "number=17")

    def test_in_fixtures_and_cleanups(self) -> None:
        for part in ("setUp", "asyncSetUp", "asyncTearDown", "tearDown", "cleanup"):
            with self.subTest(part=part):

                class Inner(IsolatedTestCase):
                    numbers: ClassVar[list[int]] = []

                    @plain
                    @given(number=st.integers(0, 1000))
                    async def test(self, number: int) -> None:
                        self.numbers.append(number)
                        if part == "cleanup" and number >= 17:  # noqa: B023
                            self.addCleanup(self.broken)

                    def broken(self) -> None:
                        if not self.numbers or self.numbers[-1] >= 17:
                            raise OSError("planted")

                    async def async_broken(self) -> None:
                        self.broken()

                if part != "cleanup":
                    setattr(Inner, part, Inner.async_broken if part.startswith("async") else Inner.broken)
                report = self.check(Inner, "OSError: planted").report
                if not part.endswith("etUp"):
                    self.assertIn("number=17", report)

    def test_that_fail_twice_say_so(self) -> None:
        class Inner(IsolatedTestCase):
            @few
            @given(number=st.integers(0, 1000))
            async def test(self, number: int) -> None:
                self.fail("first")

            def tearDown(self) -> None:
                raise OSError("second")

        self.check(Inner, "AssertionError: first", "and then: second")


class TestHypothesis(unittest.TestCase):
    def test_runs_as_many_examples_as_it_is_told(self) -> None:
        numbers: list[int] = []

        class Inner(IsolatedTestCase):
            @settings(plain, max_examples=7)
            @given(st.integers())
            async def test(self, number: int) -> None:
                numbers.append(number)

        self.assertEqual(report_of(Inner), "")
        self.assertEqual(len(numbers), 7)

    def test_rejected_examples_are_no_failures_whatever_they_leave(self) -> None:
        kept: list[int] = []

        class Inner(IsolatedTestCase):
            @plain
            @given(st.integers(0, 10))
            async def test(self, number: int) -> None:
                task = asyncio.create_task(forever())
                assume(number != 3)
                if number == 4:
                    reject()
                event("kept")
                kept.append(number)
                task.cancel()

        self.assertEqual(report_of(Inner), "")
        self.assertTrue(kept)
        self.assertTrue({3, 4}.isdisjoint(kept))

    def test_data_can_be_drawn_inside(self) -> None:
        class Inner(IsolatedTestCase):
            @plain
            @given(data=st.data())
            async def test(self, data: Any) -> None:
                size = data.draw(st.integers(0, 20), label="size")
                await asyncio.sleep(0)
                numbers = data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))
                self.assertLess(len(numbers), 3)

        report = report_of(Inner)
        self.assertIn("Draw 1 (size): 3", report)
        self.assertIn("Draw 2: [0, 0, 0]", report)

    def test_its_database_brings_the_failure_back_first(self) -> None:
        numbers: list[int] = []
        kept = InMemoryExampleDatabase()

        class Inner(IsolatedTestCase):
            @settings(plain, database=kept)
            @given(number=st.integers(0, 10**6))
            async def test(self, number: int) -> None:
                numbers.append(number)
                self.assertLess(number, 1234)

        first = report_of(Inner)
        numbers.clear()
        self.assertIn("number=1234", first)
        self.assertIn("number=1234", report_of(Inner))
        self.assertEqual(numbers[0], 1234)

    def test_a_seed_repeats_the_examples(self) -> None:
        runs: list[list[int]] = [[], []]

        class Inner(IsolatedTestCase):
            @seed(7341)
            @settings(plain)
            @given(st.integers())
            async def test(self, number: int) -> None:
                runs[-1].append(number)

        for _ in range(2):
            self.assertEqual(report_of(Inner), "")
            runs.append([])
        self.assertEqual(runs[1], runs[2])
        self.assertTrue(runs[1])

    def test_a_failure_can_be_reproduced_from_its_blob(self) -> None:
        class Found(IsolatedTestCase):
            @settings(plain, print_blob=True)
            @given(number=st.integers(0, 10**6))
            async def test(self, number: int) -> None:
                self.assertLess(number, 1234)

        report = report_of(Found)
        self.assertIn("@reproduce_failure(", report)
        version, blob = report.split("@reproduce_failure(")[1].split(")")[0].split(", ")

        class Again(IsolatedTestCase):
            @reproduce_failure(version.strip("'"), eval(blob))
            @quiet
            @given(number=st.integers(0, 10**6))
            async def test(self, number: int) -> None:
                self.assertLess(number, 1234)

        self.assertIn("1234 not less than 1234", report_of(Again))

    def test_deadlines_hold(self) -> None:
        class Inner(IsolatedTestCase):
            @settings(quiet, deadline=1)
            @given(number=st.integers())
            async def test(self, number: int) -> None:
                until = time.monotonic() + 0.01
                while time.monotonic() < until:
                    pass

        self.assertRegex(report_of(Inner), "DeadlineExceeded|exceeds the deadline|exceeded the deadline")

    def test_health_checks_hold(self) -> None:
        class Inner(IsolatedTestCase):
            @quiet
            @given(number=st.integers())
            async def test(self, number: int) -> None:
                assume(False)

        self.assertRegex(report_of(Inner), "FailedHealthCheck|Unsatisfiable")

    def test_skips_and_expected_failures(self) -> None:
        class Inner(IsolatedTestCase):
            @quiet
            @given(st.integers())
            async def test_skip(self, number: int) -> None:
                self.skipTest("planted")

            @unittest.expectedFailure
            @few
            @given(st.integers())
            async def test_expected(self, number: int) -> None:
                self.fail("planted")

        self.assertEqual(run_inner(Inner("test_skip")).kinds, ["start", "skip", "stop"])
        self.assertEqual(run_inner(Inner("test_expected")).kinds, ["start", "expected_failure", "stop"])

    def test_a_test_can_run_again_on_another_case_and_in_a_subclass(self) -> None:
        class Inner(IsolatedTestCase):
            @few
            @given(st.integers())
            async def test(self, number: int) -> None:
                self.assertEqual(self.isolation.tags["class"], type(self).__qualname__)

        class Sub(Inner):
            pass

        self.assertEqual([report_of(cls) for cls in (Inner, Inner, Sub, Inner)], [""] * 4)

    def test_a_method_can_be_shared_with_a_case_that_is_not_isolated(self) -> None:
        seen: list[type] = []

        class Tests:
            @few
            @given(st.integers())
            def test(self, number: int) -> None:
                seen.append(type(self))

        class Isolated(Tests, IsolatedTestCase):
            pass

        class Stock(Tests, unittest.TestCase):
            pass

        self.assertEqual(run_inner(Isolated("test")).report, "")
        self.assertEqual(run_inner(Stock("test")).report, "")
        self.assertEqual(seen, [Isolated] * 5 + [Stock] * 5)

    def test_its_own_hooks_are_called_around_each_example(self) -> None:
        log: list[str] = []

        class Inner(IsolatedTestCase):
            def setup_example(self) -> None:
                log.append("set up")
                if len(log) == 1:
                    self.addCleanup(log.append, "cleanup")

            def teardown_example(self, token: object) -> None:
                log.append("torn down")

            @settings(few, max_examples=2)
            @given(st.integers())
            async def test(self, number: int) -> None:
                log.append("test")

        self.assertEqual(report_of(Inner), "")
        self.assertEqual(log, [*["set up", "test", "torn down"] * 2, "cleanup"])

    @alone("draws from the generator of the process, as Hypothesis does")
    def test_others_may_draw_random_numbers_while_it_makes_an_example(self) -> None:
        def make(number: int) -> int:
            thread = threading.Thread(target=random.random)
            thread.start()
            thread.join()
            return number

        class Inner(IsolatedTestCase):
            @plain
            @given(number=st.integers().map(make))
            def test(self, number: int) -> None:
                self.assertNotEqual(random.random(), random.random())

        class Modest(Inner, isolation="registry"):
            """Has nothing of its own, so that others disturb it."""

        self.assertEqual(report_of(Inner), "")
        before = random.getstate()
        run_inner(Inner("test"))
        self.assertNotEqual(random.getstate(), before)  # Of the process, by the threads.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertIn("Do not use the `random` module inside strategies", report_of(Modest))

    def test_any_signature_will_do(self) -> None:
        class Inner(IsolatedTestCase):
            @few
            @given(st.integers(), st.integers())
            async def test_positional(this, one: int, two: int) -> None:  # noqa: N805
                this.assertIsInstance(one + two, int)

            @few
            @given(number=st.integers())
            async def test_rest(*args: Any, number: int) -> None:
                args[0].assertIs(args[0].isolation, fetch_isolation_context())

        self.assertEqual(run_inner(Inner).report, "")

    def test_debug_raises_the_failure(self) -> None:
        class Inner(IsolatedTestCase):
            @few
            @given(number=st.integers())
            async def test(self, number: int) -> None:
                self.fail("planted")

        with self.assertRaisesRegex(AssertionError, "planted"):
            Inner("test").debug()


class TestTimeouts(unittest.TestCase):
    def test_one_for_all_examples(self) -> None:
        class Inner(IsolatedTestCase, timeout=1.0):
            @quiet
            @given(number=st.integers(0, 1000))
            async def test(self, number: int) -> None:
                await forever()

        report = report_of(Inner)
        self.assertRegex(report, r"TestTimeout: the test ran longer than its timeout of 1 s")
        shown = f"test(self=<{__name__}.{Inner.__qualname__} testMethod=test>, number="
        self.assertIn(f"in example 1: {shown}", report)

    def test_between_examples(self) -> None:
        class Inner(IsolatedTestCase, timeout=0.02):
            @settings(quiet, suppress_health_check=list(HealthCheck))
            @given(
                number=st.integers().map(lambda number: [number for until in [time.monotonic() + 0.03] if spin(until)])
            )
            async def test(self, number: int) -> None: ...

        self.assertIn("the test ran longer than its timeout of 0.02 s", report_of(Inner))

    def test_while_shrinking_the_failure_is_shown(self) -> None:
        count = 0

        class Inner(IsolatedTestCase, timeout=1.5):
            @quiet
            @given(number=st.integers(1000, 10**6))
            async def test(self, number: int) -> None:
                nonlocal count
                count += 1
                if count > 1:
                    await forever()
                self.fail(f"planted {number}")

        report = report_of(Inner)
        self.assertIn("AssertionError: planted", report)
        self.assertIn("this example need not be the smallest that fails", report)

    def test_interrupts_end_the_run(self) -> None:
        ended: list[str] = []

        class Server(GenServer):
            def terminate(self, reason: Any) -> None:
                ended.append(reason)

        class Inner(IsolatedTestCase):
            @quiet
            @given(st.integers())
            async def test(self, number: int) -> None:
                await Server.start_link()
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            run_inner(Inner("test"))
        self.assertEqual(len(ended), 1)


def spin(until: float) -> bool:
    while time.monotonic() < until:
        pass
    return True


class TestSideBySide(unittest.TestCase):
    def test_examples_in_threads_see_nothing_of_each_other(self) -> None:
        barrier = threading.Barrier(3, timeout=30.0)

        def make() -> type[IsolatedTestCase]:
            class Inner(IsolatedTestCase):
                @settings(few, max_examples=3)
                @given(number=st.integers(0, 0))
                async def test(self, number: int) -> None:
                    self.assertEqual(self.isolation.registry, {})
                    barrier.wait()
                    server = await GenServer.start_link(name="server")
                    barrier.wait()
                    self.assertEqual(self.isolation.registry, {"server": server})

            return Inner

        reports: list[str] = []
        classes = [make() for _ in range(3)]
        threads = [threading.Thread(target=lambda cls=cls: reports.append(report_of(cls))) for cls in classes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(reports, [""] * 3)


@tag(layer="system")
class TestPytest(unittest.TestCase):
    SCRIPT = """
        import asyncio
        from hypothesis import given, settings, strategies as st
        from supertester.case import IsolatedTestCase
        from supertester.otp import Agent

        class PropertyTest(IsolatedTestCase):
            async def asyncSetUp(self):
                self.agent = await self.setup_isolated_genserver(Agent, init_args=(0,))

            @settings(database=None, deadline=None, max_examples=30)
            @given(number=st.integers(0, 1000))
            async def test_passes(self, number):
                self.assertEqual(await Agent.get(self.agent), 0)
                await Agent.update(self.agent, lambda state: number)

            @settings(database=None, deadline=None, max_examples=30)
            @given(number=st.integers(0, 1000))
            async def test_fails(self, number):
                self.assertLess(number, 17)

            @settings(database=None, deadline=None, max_examples=30)
            @given(number=st.integers(0, 1000))
            async def test_leaks(self, number):
                if number > 17:
                    self.task = asyncio.create_task(asyncio.Event().wait())
    """

    def test_runs_them_too(self) -> None:
        if find_spec("pytest") is None:
            self.skipTest("pytest is not installed")
        ended = run_python(self.SCRIPT, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        self.assertIn("2 failed, 1 passed", ended.stdout, ended.stdout + ended.stderr)
        for expected in ("17 not less than 17", "number=17", "number=18", "was left running"):
            self.assertIn(expected, ended.stdout)


@tag(layer="system")
class TestLaziness(unittest.TestCase):
    def test_who_has_no_such_test_never_imports_hypothesis(self) -> None:
        script = """
            import sys
            from supertester.case import IsolatedTestCase

            class PlainTest(IsolatedTestCase):
                def test_plain(self):
                    self.assertNotIn("hypothesis", sys.modules)

                async def test_async(self):
                    self.assertNotIn("hypothesis", sys.modules)
        """
        ended = run_python(script, "-m", "unittest")
        self.assertIn("Ran 2 tests", ended.stderr)
        self.assertEqual(ended.returncode, 0, ended.stderr)
