"""Scenarios whose functions raise, return or swallow what nobody expects; and subjects of every kind."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from supertester._core.mismatch import Mismatch
from supertester.errors import UsageError
from supertester.harness import Scenario, run_scenario, simple_genserver_scenario
from supertester.linear import check_linearizable
from supertester.otp import IGNORE, KILL, GenServer, whereis
from tests.clocks import time_stands_still_until
from tests.otp.support import RuntimeCase
from tests.subjects import Counter


class Interruption(BaseException):
    """As test frameworks raise to end a test."""


class Ignoring(GenServer):
    def init(self) -> Any:
        return IGNORE


def raising(error: BaseException) -> Any:
    def function(*_: Any) -> None:
        raise error

    return function


async def deaf(*_: Any) -> None:
    """End when cancelled, as if nothing were."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


class Case(RuntimeCase):
    async def fails(self, scenario: Scenario, *error: Any) -> Any:
        report = await run_scenario(scenario)
        assert report.error is not None, report
        self.assertEqual(report.error[: len(error)], error)
        return report


class TestExceptions(Case):
    async def test_of_any_kind_are_the_outcome_of_an_operation(self) -> None:
        for error in (Interruption("planted"), asyncio.CancelledError(), SystemExit(3)):
            for mode in ("tasks", "threads"):
                with self.subTest(error=error, mode=mode):
                    script = [raising(error), "value"]
                    report = await run_scenario(simple_genserver_scenario(Counter, script, 2, mode=mode))
                    self.assertEqual([None] * 2, [event.outcome.error for event in report.events if event.step == 2])
                    self.assertEqual([error] * 2, [event.outcome.error for event in report.events if event.step == 1])

    async def test_a_thread_that_is_told_to_stop_is_not_lost(self) -> None:
        error = KeyboardInterrupt()
        report = await run_scenario(simple_genserver_scenario(Counter, [raising(error), "value"], 1, mode="threads"))
        self.assertEqual([error, None], [event.outcome.error for event in report.events])

    async def test_leave_nobody_cancelled(self) -> None:
        await run_scenario(simple_genserver_scenario(Counter, [raising(Interruption())], 2))
        task = asyncio.current_task()
        assert task is not None
        self.assertEqual(0, task.cancelling())

    async def test_of_the_cleanup_are_reported(self) -> None:
        for error in (SystemExit(3), asyncio.CancelledError(), TimeoutError()):
            with self.subTest(error=error):
                scenario = simple_genserver_scenario(Counter, ["value"], 1, cleanup=raising(error))
                await self.fails(scenario, "cleanup_failed", error, None)

    async def test_are_reported_also_while_a_cancelled_task_ends(self) -> None:
        reports: list[Any] = []
        begun = asyncio.Event()
        scenarios = [
            simple_genserver_scenario(Counter, ["value"], 1, **{name: raising(asyncio.CancelledError())})
            for name in ("invariant", "cleanup")
        ]

        async def work() -> None:
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                reports.extend([await run_scenario(scenario) for scenario in scenarios])

        working = asyncio.create_task(work())
        await begun.wait()
        working.cancel()
        await asyncio.wait([working])
        self.assertEqual(["invariant_failed", "cleanup_failed"], [report.error[0] for report in reports])

    async def test_a_call_of_what_is_no_server_is_the_outcome_of_the_operation(self) -> None:
        report = await run_scenario(Scenario(lambda: [1], [["value"]]))
        self.assertIsInstance(report.events[0].outcome.error, TypeError)

    async def test_threads_that_cannot_be_started_fail_the_run(self) -> None:
        start, here = threading.Thread.start, threading.get_ident()

        def refuse(thread: threading.Thread) -> None:
            if thread.name == "scenario thread 2" and threading.get_ident() == here:
                raise RuntimeError("can't start new thread")
            start(thread)

        threading.Thread.start = refuse  # type: ignore[method-assign]
        try:
            report = await self.fails(
                simple_genserver_scenario(Counter, ["value"], 2, mode="threads"), "thread_failure"
            )
        finally:
            threading.Thread.start = start  # type: ignore[method-assign]
        self.assertIsInstance(report.error[1], RuntimeError)


class TestDeadline(Case):
    async def test_holds_also_for_what_swallows_it(self) -> None:
        for name, word in (("invariant", "invariant_failed"), ("chaos", "chaos_failed")):
            with self.subTest(name=name):
                scenario = simple_genserver_scenario(Counter, ["value"], 1, timeout_ms=1500, **{name: deaf})
                await self.fails(scenario, word, "timeout")
        begun = threading.Event()

        async def operation(_: Any) -> None:
            begun.set()
            await deaf()

        with time_stands_still_until(begun):
            scenario = simple_genserver_scenario(Counter, [operation], 1, timeout_ms=20)
            await self.fails(scenario, "thread_failure", "timeout")

    async def test_names_the_setup_also_if_that_kept_the_loop_busy(self) -> None:
        async def setup() -> Any:
            until = time.monotonic() + 0.01
            while time.monotonic() < until:
                pass
            return await Counter.start_link()

        await self.fails(Scenario(setup, [["value"]], timeout_ms=5), "setup_failed", "timeout")


class TestInvariant(Case):
    async def test_fails_by_what_a_check_returns(self) -> None:
        scenario = simple_genserver_scenario(Counter, ["value"], 1, invariant=lambda *_: Mismatch("it is 1"))
        await self.fails(scenario, "invariant_failed", "it is 1")

    async def test_fails_by_a_history_that_is_not_linearizable(self) -> None:
        def once(_: Any, context: Any) -> Any:
            return check_linearizable(context["history"], "counter")

        scenario = simple_genserver_scenario(Counter, ["value"], 1, init_args=(5,), invariant=once)
        report = await self.fails(scenario, "invariant_failed")
        self.assertIn("value() -> 5, but no more than 0 increments were ever called", report.error[1])
        self.assertTrue((await run_scenario(simple_genserver_scenario(Counter, ["value"], 1, invariant=once))).ok)


class TestSubjects(Case):
    async def test_one_that_ignored_its_start_is_none(self) -> None:
        await self.fails(Scenario(Ignoring.start_link, [["value"]]), "invalid_setup_return", IGNORE)

    async def test_one_that_goes_by_name_is_stopped(self) -> None:
        async def setup() -> str:
            await Counter.start_link(name="counter")
            return "counter"

        report = await run_scenario(Scenario(setup, [["value", ("cast", ("add", 1))]]))
        self.assertEqual((True, 0), (report.ok, report.metrics["operation_errors"]))
        self.assertIsNone(whereis("counter"))

    async def test_one_that_can_be_called_is_not_called_at_the_end(self) -> None:
        called: list[int] = []
        report = await run_scenario(Scenario(lambda: lambda: called.append(1), [[lambda _: None]]))
        self.assertTrue(report.ok)
        self.assertEqual([], called)

    async def test_one_without_a_mailbox_cannot_be_observed(self) -> None:
        async def dead() -> Any:
            counter = await Counter.start()
            counter.exit(KILL)
            return counter

        for setup in (dead, object):
            report = await self.fails(Scenario(setup, [["value"]], mailbox={}), "setup_failed")
            self.assertIn("has no mailbox to observe", report.error[1])


class TestOptions(Case):
    def test_of_measurements_are_checked_at_once(self) -> None:
        with self.assertRaisesRegex(TypeError, "unknown option 'sampling' of mailbox; the options are sampling_int"):
            Scenario(Counter.start_link, [["value"]], mailbox={"sampling": 3})
        with self.assertRaisesRegex(TypeError, "unknown bound 'max_tim_ms'"):
            Scenario(Counter.start_link, [["value"]], performance_expectations={"max_tim_ms": 3})
        with self.assertRaisesRegex(UsageError, "max_time_ms must be 0 or more"):
            Scenario(Counter.start_link, [["value"]], performance_expectations={"max_time_ms": -3})

    def test_one_operation_is_a_script_of_one(self) -> None:
        for operation in ("value", ("call", "value")):
            self.assertEqual(((("call", "value"),),) * 2, simple_genserver_scenario(Counter, operation, 2).threads)
        self.assertEqual(((("call", 1), ("call", 2)),) * 2, simple_genserver_scenario(Counter, iter([1, 2]), 2).threads)
