import asyncio
import concurrent.futures
import re
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from supertester.case import IsolatedTestCase
from supertester.isolation import fetch_isolation_context, isolate
from supertester.mixins.otp import OTPAssertions
from supertester.otp import INFINITY, ChildSpec, GenServer, Supervisor, which_children
from supertester.schedule import VirtualClock, VirtualLoop
from supertester.testing import RecordingResult, inner_case, run_inner
from tests.planted import forever
from tests.schedule.support import DAY, HOUR, MOMENT, Gate, here

SOON = MOMENT / 10
CHILD = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]


def run(body: Callable[[Any], Any], *bases: type, **options: Any) -> RecordingResult:
    return run_inner(inner_case(body, *bases, **{"clock": "virtual", **options}))


class TestVirtualTime(OTPAssertions, IsolatedTestCase, clock="virtual"):
    async def test_passes_at_once(self) -> None:
        await asyncio.sleep(DAY)
        self.assertEqual(self.clock.time(), DAY)

    async def test_is_that_of_the_context(self) -> None:
        self.assertIs(self.clock, self.isolation.clock)
        self.assertIsInstance(self.clock, VirtualClock)
        await self.clock.advance(5)
        self.assertEqual(self.clock.time(), 5)
        self.assertEqual(repr(self.clock), "<VirtualClock at 5 s>")

    async def test_leaves_the_clocks_of_the_time_module_alone(self) -> None:
        before = time.time(), time.monotonic()
        await asyncio.sleep(DAY)
        self.assertLess(time.time() - before[0], HOUR)
        self.assertLess(time.monotonic() - before[1], HOUR)

    async def test_holds_for_the_embedded_runtime(self) -> None:
        server = await Lazy.start_link()
        self.assertEqual(await server.call(("after", HOUR), timeout=2 * HOUR), "done")
        self.assertEqual(self.clock.time(), HOUR)
        self.assertEqual(self.isolation.runtime and self.isolation.runtime.clock.time(), HOUR)
        with self.assertRaisesRegex(Exception, "TIMEOUT"):
            await server.call(("after", HOUR))
        self.assertEqual(self.clock.time(), HOUR + 5)

    async def test_holds_for_restart_windows(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("lazy", Lazy)], max_restarts=1, max_seconds=HOUR)
        for _ in range(5):
            [(_, child, *_)] = await which_children(supervisor)
            child.exit("planted")
            await asyncio.sleep(HOUR + 1)
        self.assertTrue(supervisor.is_alive())

    async def test_holds_for_waits_and_their_timeouts(self) -> None:
        with self.assertRaisesRegex(AssertionError, "was not true within 60 s"):
            await self.assert_eventually(lambda: False, within=HOUR / 60)
        self.assertEqual(self.clock.time(), HOUR / 60)

    async def test_does_not_pass_while_a_thread_of_the_test_is_at_work(self) -> None:
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        gate = Gate(here())
        thread = threading.Thread(target=lambda: gate.wait() and loop.call_soon_threadsafe(called.set))
        thread.start()
        await asyncio.wait_for(called.wait(), SOON)
        thread.join()
        self.assertEqual(self.clock.time(), 0)

    async def test_does_not_pass_while_a_pool_is_at_work(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = asyncio.wrap_future(pool.submit(Gate(here()).wait))
            self.assertTrue(await asyncio.wait_for(job, SOON))
            await asyncio.sleep(DAY)  # The thread of the pool is there, and at rest.
        self.assertEqual(self.clock.time(), DAY)

    async def test_does_not_pass_while_a_child_process_runs(self) -> None:
        with subprocess.Popen(CHILD, stdin=subprocess.PIPE) as child:  # noqa: ASYNC220
            assert child.stdin is not None
            Gate(here(), child.stdin.close)

            async def ended() -> None:
                while child.poll() is None:  # noqa: ASYNC110
                    await asyncio.sleep(HOUR)

            await asyncio.wait_for(ended(), HOUR + 1)

    async def test_a_test_within_has_a_time_of_its_own(self) -> None:
        async def body(case: Any) -> None:
            await asyncio.sleep(HOUR)
            case.assertEqual(case.clock.time(), HOUR)

        await asyncio.sleep(DAY)
        self.assertEqual(run(body).report, "")
        self.assertEqual(self.clock.time(), DAY)

    async def test_holds_within_isolate(self) -> None:
        async with isolate() as context:
            await asyncio.sleep(HOUR)
            assert context.clock is not None
            self.assertEqual(context.clock.time(), HOUR)

    async def test_holds_while_cleaning_up(self) -> None:
        async def slow() -> None:
            await asyncio.sleep(HOUR)

        self.addAsyncCleanup(slow)


class TestFixtures(IsolatedTestCase, clock="virtual"):
    async def asyncSetUp(self) -> None:
        await asyncio.sleep(HOUR)

    async def asyncTearDown(self) -> None:
        await asyncio.sleep(HOUR)
        self.assertEqual(self.clock.time(), 3 * HOUR)

    async def test_are_in_virtual_time(self) -> None:
        await asyncio.sleep(HOUR)

    def test_of_a_plain_test_as_well(self) -> None:
        self.isolation.loop.run_until_complete(asyncio.sleep(HOUR))  # type: ignore[union-attr]
        self.assertEqual(self.clock.time(), 2 * HOUR)


class TestExamples(IsolatedTestCase, clock="virtual"):
    @settings(max_examples=20, deadline=None)
    @given(seconds=st.integers(1, DAY))
    async def test_have_a_time_each(self, seconds: int) -> None:
        await asyncio.sleep(seconds)
        self.assertEqual(self.clock.time(), seconds)


class TestDebugMode(IsolatedTestCase, clock="virtual", debug=True):
    async def test_is_no_hindrance(self) -> None:
        await asyncio.sleep(DAY)
        self.assertEqual(self.clock.time(), DAY)


class TestManyAtOnce(unittest.TestCase):
    def test_each_has_its_own_time_and_waits_for_its_own_work_only(self) -> None:
        reports: list[str] = []
        started = threading.Barrier(3)

        async def sleeping(case: Any) -> None:
            started.wait(60)
            await asyncio.sleep(DAY)
            case.assertEqual(case.clock.time(), DAY)

        async def working(case: Any) -> None:
            started.wait(60)
            gate, done = Gate(here()), threading.Event()
            thread = threading.Thread(target=lambda: (gate.wait(), done.set()))
            thread.start()
            with case.assertRaises(TimeoutError):
                await asyncio.wait_for(forever(), HOUR)
            case.assertTrue(done.is_set())
            thread.join()

        async def dead(case: Any) -> None:
            started.wait(60)
            await forever()

        bodies = (sleeping, working, dead)
        threads = [threading.Thread(target=lambda body=body: reports.append(run(body).report)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([("everything waits for ever" in report) for report in sorted(reports)], [False, False, True])
        self.assertEqual(sorted(reports)[:2], ["", ""])


class TestWaitingForEver(unittest.TestCase):
    def test_fails_the_test_at_once_and_lets_it_clean_up(self) -> None:
        log: list[str] = []

        async def body(case: Any) -> None:
            case.cleanup_on_exit(lambda: log.append("cleanup"))
            try:
                await forever()
            finally:
                log.append("finally")

        result = run(body, timeout=None)
        self.assertEqual(result.kinds, ["start", "failure", "stop"])
        self.assertIn("Deadlock: everything waits for ever (at 0 s of virtual time)", result.report)
        self.assertRegex(
            result.report, r"task 'Task-\d+' \(.*body\) waits for a future that nobody sets at .*planted.py"
        )
        self.assertIn("replay with:", result.report)
        self.assertEqual(log, ["finally", "cleanup"])

    def test_of_servers_that_call_each_other_says_who_waits_for_whom(self) -> None:
        async def body(case: Any) -> None:
            one = await Caller.start_link(name="one")
            other = await Caller.start_link(name="other")
            await one.call(("call", [other, one]), timeout=INFINITY)

        report = run(body).report
        self.assertRegex(
            report, r"process <Pid \d+ .*Caller 'one'> waits for the reply of <Pid \d+ .*Caller 'other'> to "
        )
        self.assertRegex(
            report, r"process <Pid \d+ .*Caller 'other'> waits for the reply of <Pid \d+ .*Caller 'one'> to "
        )
        self.assertRegex(
            report, r"\(.*body\) waits for the reply of <Pid \d+ .*Caller 'one'> to \('call', .* at .* in body"
        )
        self.assertRegex(report, r"at .*test_virtual_time.py:\d+ in handle_call")

    def test_of_one_that_does_not_stop_when_it_is_cancelled(self) -> None:
        async def body(case: Any) -> None:
            while True:
                try:
                    await forever()
                except asyncio.CancelledError:
                    continue

        report = run(body).report
        self.assertIn("everything waits for ever", report)
        self.assertIn("It was cancelled, and waits for ever again.", report)
        self.assertIn("would not end when cancelled", report)

    def test_is_found_in_fixtures(self) -> None:
        class Base(IsolatedTestCase):
            async def asyncTearDown(self) -> None:
                await forever()

        async def body(case: Any) -> None: ...

        self.assertRegex(run(body, Base).report, r"asyncTearDown\) waits for a future that nobody sets")

    def test_of_a_plain_test_that_runs_its_loop_itself(self) -> None:
        def body(case: Any) -> None:
            case.isolation.loop.run_until_complete(forever())

        self.assertRegex(
            run(body).report, r"Deadlock: everything waits for ever[^\n]*\n  task .*forever\) waits for a fut"
        )

    def test_says_which_servers_have_nothing_to_do(self) -> None:
        async def body(case: Any) -> None:
            server = await Lazy.start_link(name="lazy")
            await server.call(("after", 1))
            await forever()

        self.assertRegex(run(body).report, r"process <Pid \d+ Lazy 'lazy'> waits for a message")

    def test_is_none_if_a_call_times_out(self) -> None:
        async def body(case: Any) -> None:
            one = await Caller.start_link(name="one")
            other = await Caller.start_link(name="other")
            with case.assertRaisesRegex(Exception, "TIMEOUT"):
                await one.call(("call", [other, one]), timeout=1)

        self.assertEqual(run(body).report, "")


class TestTheLimit(unittest.TestCase):
    def test_of_a_test_is_in_real_seconds(self) -> None:
        async def body(case: Any) -> None:
            await asyncio.sleep(DAY)

        self.assertEqual(run(body, timeout=30).report, "")

    def test_ends_a_test_whose_time_runs_for_ever(self) -> None:
        async def body(case: Any) -> None:
            while True:  # noqa: ASYNC110
                await asyncio.sleep(HOUR)

        report = run(body, timeout=1.0).report
        self.assertIn("the test ran longer than its timeout of 1 s; its tasks stood here:", report)
        self.assertRegex(report, r"its clock stands at [\d.e+]+ s\n")

    def test_ends_a_test_that_waits_for_what_does_not_come_and_says_what_that_is(self) -> None:
        async def body(case: Any) -> None:
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait, name="server")
            thread.start()
            case.addCleanup(thread.join)
            case.addCleanup(stop.set)
            await asyncio.sleep(DAY)

        report = run(body, timeout=1.0).report
        stood = re.search(r"its clock stands at (\S+) s, held up by thread 'server' \(started .* in body\)\n", report)
        assert stood is not None, report
        self.assertLess(float(stood[1]), 1.0)  # Its patience may end just before the test does.

    def test_ends_a_test_that_waits_for_ever_when_it_is_cancelled(self) -> None:
        async def body(case: Any) -> None:
            try:
                while True:  # noqa: ASYNC110
                    await asyncio.sleep(HOUR)
            except asyncio.CancelledError:
                await forever()

        report = run(body, timeout=1.0).report  # Long enough to begin in, on a busy machine.
        self.assertIn("the test ran longer than its timeout of 1 s; its tasks stood here:", report)
        self.assertIn(" s\nIt was cancelled, and waits for ever again.", report)

    def test_bounds_the_cleanup_too(self) -> None:
        async def body(case: Any) -> None:
            case.cleanup_on_exit(forever)

        report = run(body).report
        self.assertRegex(report, r"cleanup forever did not end within \d+ s")


class TestWhatIsLeft(unittest.TestCase):
    def test_is_found_as_ever(self) -> None:
        released = threading.Event()
        self.addCleanup(released.set)

        async def body(case: Any) -> None:
            case.task = asyncio.create_task(asyncio.sleep(DAY))
            asyncio.get_running_loop().call_later(DAY, print)
            threading.Thread(target=released.wait, daemon=True).start()

        report = run(body).report
        for text in ("task 'sleep'", "timer 'print'", "daemon thread"):
            self.assertIn(text, report)

    def test_gets_real_time_to_end(self) -> None:
        async def body(case: Any) -> None:
            case.pool = concurrent.futures.ThreadPoolExecutor(1)
            case.pool.submit(Gate(here()).wait)
            case.pool.shutdown(wait=False)

        self.assertEqual(run(body).report, "")


class TestSleeps(unittest.TestCase):
    def test_of_asyncio_are_none_in_virtual_time(self) -> None:
        async def body(case: Any) -> None:
            await asyncio.sleep(HOUR)

        self.assertEqual(run(body, sleeps="fail").report, "")

    def test_of_threads_are(self) -> None:
        tick = 1e-6
        self.assertIn("sleeps for 1e-06 s (time.sleep)", run(lambda case: time.sleep(tick)).report)


class TestTheLoop(unittest.TestCase):
    def test_may_be_a_kind_of_ones_own(self) -> None:
        class Own(VirtualLoop):
            pass

        class Base(IsolatedTestCase):
            loop_factory = Own

        async def body(case: Any) -> None:
            case.assertIsInstance(asyncio.get_running_loop(), Own)
            await asyncio.sleep(DAY)

        self.assertEqual(run(body, Base).report, "")

    def test_of_another_kind_is_refused(self) -> None:
        made: list[asyncio.AbstractEventLoop] = []

        class Base(IsolatedTestCase):
            @staticmethod
            def loop_factory() -> asyncio.AbstractEventLoop:
                made.append(asyncio.SelectorEventLoop())
                return made[-1]

        async def body(case: Any) -> None: ...

        report = run(body, Base).report
        self.assertIn(
            "clock='virtual' needs an event loop whose time it decides, and loop_factory makes one of", report
        )
        self.assertIn("leave loop_factory out", report)
        self.assertNotIn("never awaited", report)
        self.assertTrue(all(loop.is_closed() for loop in made))

    def test_has_real_time_unless_asked_for(self) -> None:
        async def body(case: Any) -> None:
            case.assertNotIsInstance(asyncio.get_running_loop(), VirtualLoop)
            context = fetch_isolation_context()
            assert context is not None
            case.assertFalse(hasattr(context.clock, "advance"))
            return case.clock.time()

        report = run(body, clock="real").report
        self.assertIn("self.clock is for virtual time, and the time of this test is real; give the class the", report)

    def test_a_clock_of_the_tests_own_hides_it(self) -> None:
        def body(case: Any) -> None:
            case.clock = "mine"
            case.assertEqual(case.clock, "mine")

        self.assertEqual(run(body, clock="real").report, "")


class Lazy(GenServer):
    """Answers after some time."""

    def init(self) -> None:
        return None

    async def handle_call(self, request: Any, sender: Any) -> Any:
        _, seconds = request
        await asyncio.sleep(seconds)
        return "done"


class Caller(GenServer):
    """Calls the first of a list of servers, which is to call the rest."""

    def init(self) -> None:
        return None

    async def handle_call(self, request: Any, sender: Any) -> Any:
        _, [first, *rest] = request
        return await first.call(("call", rest), timeout=INFINITY)
