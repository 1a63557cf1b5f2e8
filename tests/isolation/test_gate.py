import asyncio
import threading
import unittest
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from supertester.errors import UsageError, WaitTimeout
from supertester.isolation import gate, isolate
from supertester.testing import inner_case, run_inner

__alone__ = "runs tests that wait until no other one runs"

ALONE = "contamination_detection"


def report_of(body: Callable[[Any], Any], mode: str = "full_isolation") -> str:
    return run_inner(inner_case(body, isolation=mode, contamination=False)).report


class TestGate(unittest.TestCase):
    def setUp(self) -> None:
        self.pool = ThreadPoolExecutor(4)
        self.addCleanup(self.pool.shutdown)
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.addCleanup(self.go_on.set)
        self.order: list[str] = []

    def stays(self) -> Callable[[Any], None]:
        def stays(case: Any) -> None:
            self.order.append("stays")
            self.begun.set()
            case.assertTrue(self.go_on.wait(10))
            self.order.append("goes")

        return stays

    def notes(self, what: str) -> Callable[[Any], None]:
        return lambda case: self.order.append(what)

    def waiting_alone(self) -> bool:
        return any(each.test_id not in gate.running for each in list(gate._alone))

    def until(self, condition: Callable[[], bool]) -> None:
        with gate._changed:
            self.assertTrue(gate._changed.wait_for(condition, 10))

    def test_a_test_that_runs_alone_waits_for_those_that_run(self) -> None:
        running = self.pool.submit(report_of, self.stays())
        self.assertTrue(self.begun.wait(10))
        alone = self.pool.submit(report_of, lambda case: self.order.append("alone"), ALONE)
        self.until(self.waiting_alone)
        self.go_on.set()
        self.assertEqual([running.result(10), alone.result(10)], ["", ""])
        self.assertEqual(self.order, ["stays", "goes", "alone"])

    def test_one_that_another_waits_for_begins_before_those_that_wait_to_run_alone(self) -> None:
        met = threading.Barrier(2, timeout=10)

        def meets(case: Any) -> None:
            self.begun.set()
            met.wait()

        with mock.patch.object(gate, "_COURTESY", 0.001):
            first = self.pool.submit(report_of, meets)
            self.assertTrue(self.begun.wait(10))
            alone = self.pool.submit(report_of, self.notes("alone"), ALONE)
            self.until(self.waiting_alone)
            second = self.pool.submit(report_of, meets)
            self.assertEqual([each.result(10) for each in (first, second, alone)], [""] * 3)
        self.assertEqual(self.order, ["alone"])

    def test_others_wait_for_a_test_that_runs_alone(self) -> None:
        courtesy = mock.patch.object(gate, "_COURTESY", 0.001)  # It ends with what it is for.
        courtesy.start()
        self.addCleanup(courtesy.stop)
        alone = self.pool.submit(report_of, self.stays(), ALONE)
        self.assertTrue(self.begun.wait(10))
        others = [
            self.pool.submit(report_of, lambda case: self.order.append("other"), mode) for mode in ("basic", ALONE)
        ]
        self.until(self.waiting_alone)
        self.go_on.set()
        self.assertEqual([each.result(10) for each in (alone, *others)], [""] * 3)
        self.assertEqual(self.order, ["stays", "goes", "other", "other"])

    def test_an_inner_test_of_a_test_that_runs_alone_runs(self) -> None:
        def body(case: Any) -> None:
            for mode in (ALONE, "full_isolation"):
                case.assertEqual(report_of(self.notes(mode), mode), "")

        self.assertEqual(report_of(body, ALONE), "")
        self.assertEqual(self.order, [ALONE, "full_isolation"])

    def test_an_inner_test_may_run_alone_in_one_that_need_not(self) -> None:
        def body(case: Any) -> None:
            case.assertEqual(report_of(lambda case: self.order.append("alone"), ALONE), "")

        self.assertEqual(report_of(body), "")
        self.assertEqual(self.order, ["alone"])

    def test_an_inner_test_runs_although_somebody_waits_to_be_alone(self) -> None:
        def body(case: Any) -> None:
            self.begun.set()
            self.until(self.waiting_alone)
            for mode in ("full_isolation", ALONE):
                case.assertEqual(report_of(lambda case: self.order.append("inner"), mode), "")

        outer = self.pool.submit(report_of, body)
        self.assertTrue(self.begun.wait(10))
        alone = self.pool.submit(report_of, lambda case: self.order.append("alone"), ALONE)
        self.assertEqual([outer.result(10), alone.result(10)], ["", ""])
        self.assertEqual(self.order, ["inner", "inner", "alone"])

    def test_two_tests_at_once_may_each_have_an_inner_one_that_runs_alone(self) -> None:
        met = threading.Barrier(2, timeout=10)
        inside: list[int] = []

        def inner(case: Any) -> None:
            inside.append(1)
            case.assertEqual(len(inside), 1)
            inside.pop()

        def body(case: Any) -> None:
            met.wait()
            case.assertEqual(report_of(inner, ALONE), "")

        self.assertEqual(list(self.pool.map(report_of, [body, body])), ["", ""])

    def test_waiting_ends_with_the_names_of_those_that_do_not(self) -> None:
        running = self.pool.submit(report_of, self.stays())
        self.assertTrue(self.begun.wait(10))
        with mock.patch.object(gate, "_PATIENCE", 0.001):
            report = report_of(lambda case: None, ALONE)
        self.assertRegex(report, "has to run alone, and no test ended for 0.001 s; still there: .*stays")
        self.go_on.set()
        self.assertEqual(running.result(10), "")
        self.assertEqual(gate._alone, [])
        self.assertTrue(issubclass(WaitTimeout, AssertionError))

    def test_nobody_stays_behind_at_the_gate(self) -> None:
        for mode in ("full_isolation", ALONE):
            self.assertIn("ZeroDivisionError", report_of(lambda case: 1 / 0, mode))
        self.assertEqual(gate._alone, [])

    def test_one_that_cannot_begin_does_not_stay(self) -> None:
        async def main() -> None:
            with mock.patch("supertester.isolation.features.FeatureSet.enter_early", side_effect=OSError("no")):
                async with isolate(ALONE):
                    self.fail("it began")

        with self.assertRaisesRegex(OSError, "no"):
            asyncio.run(main())
        self.assertEqual(gate._alone, [])


class TestLooking(unittest.TestCase):
    def test_at_those_that_run_copes_with_one_that_begins_meanwhile(self) -> None:
        class Looked:
            test_id = "a"

            @property
            def outer(self) -> None:
                gate.running[f"more-{len(gate.running)}"] = mock.Mock()

        with (
            mock.patch.object(gate, "running", {"a": Looked(), "b": mock.Mock(outer=None, test_id="b")}),
            mock.patch.object(gate, "_alone", [mock.Mock(test_id="waits")]),
            mock.patch.object(gate, "_COURTESY", 0),
            gate._changed,
        ):
            self.assertTrue(gate._is_stuck())


class TestGateOfOneLoop(unittest.IsolatedAsyncioTestCase):
    """Where waiting would stop the event loop, and with it what is waited for."""

    async def begin_beside(self, first: str, second: str) -> None:
        met = asyncio.Barrier(2)
        done = asyncio.Event()

        async def one() -> None:
            async with isolate(first):
                await met.wait()
                await done.wait()

        async def other() -> None:
            await met.wait()
            try:
                async with isolate(second):
                    pass
            finally:
                done.set()

        await asyncio.gather(one(), other())

    async def test_tests_of_one_loop_are_refused_at_once(self) -> None:
        with self.assertRaisesRegex(UsageError, "has to run alone, and its event loop already runs anonymous"):
            await self.begin_beside("full_isolation", ALONE)
        with self.assertRaisesRegex(UsageError, "cannot run beside a test that has to run alone, and its event loop"):
            await self.begin_beside(ALONE, "full_isolation")
        self.assertEqual(gate._alone, [])

    async def test_one_inside_the_other_runs(self) -> None:
        async with isolate(ALONE), isolate("full_isolation"), isolate(ALONE) as context:
            self.assertIs(context.outer.outer.outer, None)  # type: ignore[union-attr]
