"""`supertester.isolation`: what a test has for itself."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import unittest

from echo_lab import Counter

from supertester import IsolatedTestCase, Isolation, Supervisor, UsageError, tag
from supertester.isolation import (
    IsolationFailure,
    allow_leak,
    allow_sleep,
    fetch_isolation_context,
    isolate,
    isolation_allows_async,
    isolation_timeout,
    put_isolation_context,
    verify_test_isolation,
)
from supertester.otp import call, whereis
from supertester.processes import setup_isolated_genserver
from supertester.supervision import wait_for_supervision_tree_ready
from supertester.testing import failure_of, run_inner

TICK = 1e-6


class TestModes(unittest.IsolatedAsyncioTestCase):
    async def test_the_context_says_its_mode(self) -> None:
        """Every mode of isolation is named in the tags of its context."""
        for mode in Isolation:
            with self.subTest(mode=mode.value):
                async with isolate(mode) as context:
                    self.assertEqual(context.mode, mode)
                    self.assertEqual(context.tags["mode"], mode)

    def test_only_contamination_detection_runs_alone(self) -> None:
        """Tests may run side by side, except where process-global state is compared."""
        allowed = {mode.value: isolation_allows_async(mode) for mode in Isolation}
        self.assertEqual(
            allowed, {"basic": True, "registry": True, "full_isolation": True, "contamination_detection": False}
        )

    def test_each_mode_bounds_its_cleanup(self) -> None:
        """The cleanup of a test may take 5, 10, 15 or 30 seconds, by its mode."""
        self.assertEqual([isolation_timeout(mode) for mode in Isolation], [5.0, 10.0, 15.0, 30.0])

    def test_an_unknown_mode_is_refused(self) -> None:
        """A misspelt mode is refused, and the message lists the modes."""
        with self.assertRaisesRegex(UsageError, "full_isolation"):
            isolate("ful_isolation")


class TestIsolate(unittest.IsolatedAsyncioTestCase):
    """The isolated world of a test, without a test case."""

    async def test_servers_end_with_the_block(self) -> None:
        """What is started inside `isolate` is stopped at its end."""
        async with isolate("registry") as context:
            counter = await setup_isolated_genserver(Counter, "anywhere", init_args=(5,))
            self.assertEqual(await counter.call("value"), 5)
            self.assertEqual([info.pid for info in context.processes], [counter])
        self.assertFalse(counter.is_alive())

    async def test_two_tests_at_once_do_not_see_each_other(self) -> None:
        """Two isolated tests run side by side, each with a server of the same name."""

        async def count_from(start: int, met: asyncio.Barrier) -> object:
            async with isolate("registry"):
                await Counter.start_link(start, name="counter")
                await met.wait()  # Both counters are there now.
                return await call("counter", ("add", 1))

        met = asyncio.Barrier(2)
        self.assertEqual(await asyncio.gather(count_from(10, met), count_from(20, met)), [11, 21])
        self.assertIsNone(whereis("counter"))

    async def test_what_is_left_running_is_an_error(self) -> None:
        """A server started without a link to the test, and never stopped, is a leak; the message names it."""
        with self.assertRaisesRegex(IsolationFailure, "Counter.*was left running"):
            async with isolate("registry"):
                await Counter.start(5)


class TestSleeps(unittest.TestCase):
    """A test that sleeps guesses; here it fails."""

    @allow_sleep(reason="a sleep is what this test is about")
    def test_a_sleep_fails_the_test_and_is_named_by_its_line(self) -> None:
        """The failure says where the test slept, and for how long."""

        async def body(case: IsolatedTestCase) -> None:
            counter = await case.setup_isolated_genserver(Counter)
            counter.cast(("add", 1))
            await asyncio.sleep(TICK)
            case.assertEqual(await counter.call("value"), 1)

        self.assertIn("in body sleeps for 1e-06 s (asyncio.sleep); wait for the condition", failure_of(body))

    def test_a_sleep_with_a_reason_is_allowed(self) -> None:
        """Where there is no condition to wait for, the test says why it sleeps."""

        class Slow(IsolatedTestCase):
            @allow_sleep(reason="a planted sleep")
            def test(self) -> None:
                time.sleep(TICK)

        self.assertTrue(run_inner(Slow("test")).wasSuccessful())


class TestLeaks(IsolatedTestCase):
    """What a test leaves behind fails it, unless it is allowed with a reason."""

    def test_a_thread_left_running_is_named(self) -> None:
        """A thread that outlives its test is a leak; the failure names it and the line that started it."""
        over = threading.Event()
        self.addCleanup(over.set)

        def forget(_: IsolatedTestCase) -> None:
            threading.Thread(target=over.wait, name="pump").start()

        report = failure_of(forget)
        self.assertRegex(report, r"thread 'pump' \(started at .*test_isolation\.py:\d+ in forget\) was left running")

    @allow_leak("timers", match="*print", reason="shows how a leak that is known is allowed")
    async def test_a_known_leak_is_allowed(self) -> None:
        """A timer is left scheduled, and the test says why that is no failure."""
        asyncio.get_running_loop().call_later(60, print)


class TestContext(IsolatedTestCase):
    async def test_the_context_can_be_fetched_and_put(self) -> None:
        """A helper finds the context of the running test, and can be given another or none."""
        context = fetch_isolation_context()
        self.assertIs(context, self.isolation)
        self.assertIsNone(put_isolation_context(None))
        self.assertIsNone(fetch_isolation_context())
        self.assertIs(put_isolation_context(context), context)

    async def test_processes_and_cleanups_can_be_added(self) -> None:
        """A process that was started elsewhere is tracked, and a cleanup added, by hand."""
        counter = await Counter.start(5)
        self.isolation.track_process(counter, module=Counter)
        self.isolation.add_cleanup(self.assertTrue, counter.is_alive())
        summary = self.isolation.summary()
        self.assertIn("Counter", summary)
        self.assertIn("cleanup", summary)

    async def test_isolation_can_be_verified(self) -> None:
        """A test is well isolated so far while every tracked process lives."""
        counter = await self.setup_isolated_genserver(Counter)
        self.assertTrue(verify_test_isolation(self.isolation))
        await counter.stop()
        self.assertFalse(verify_test_isolation(self.isolation))
        self.assertTrue(verify_test_isolation(None))

    async def test_each_test_has_an_id_of_its_own(self) -> None:
        """The test id contains the name of the test."""
        self.assertIn("test_each_test_has_an_id_of_its_own", self.isolation.test_id)

    async def test_an_empty_supervisor_is_ready(self) -> None:
        """A supervision tree can be waited for; one without children is ready at once."""
        supervisor = await self.setup_isolated_supervisor(Supervisor, init_args=([],))
        self.assertIs(await wait_for_supervision_tree_ready(supervisor, timeout=0), supervisor)


@tag(alone="compares the state of the process")
class TestContaminationDetection(IsolatedTestCase, isolation="contamination_detection", contamination=["echo_lab"]):
    """The strictest mode; tests in it run alone."""

    async def test_what_a_test_changes_is_named_and_restored(self) -> None:
        """A test that changes the process fails, and the next one finds it as it was."""
        before = sys.getswitchinterval()

        def body(case: IsolatedTestCase) -> None:
            sys.setswitchinterval(0.25)
            case.assertEqual(sys.getswitchinterval(), 0.25)

        report = failure_of(body, isolation="contamination_detection")
        self.assertRegex(report, "the switch interval was .* before the test and is 0.25 after it; restored")
        self.assertEqual(sys.getswitchinterval(), before)

    async def test_the_mode_is_in_the_tags(self) -> None:
        """A test that looks for contamination says so, and may take 30 seconds to clean up."""
        self.assertEqual(self.isolation.mode, Isolation.CONTAMINATION_DETECTION)
        self.assertFalse(isolation_allows_async(self.isolation.mode))
        self.assertEqual(isolation_timeout(self.isolation.mode), 30.0)
        self.cleanup_on_exit(lambda: self.assertEqual(self.isolation.mode, "contamination_detection"))
