"""`PerformanceMixin`: what is measured, and each assertion in a test that has to fail for it."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import json
import sys
import threading
import time
import unittest
import warnings
from collections import deque
from collections.abc import Callable
from contextvars import Context
from functools import partial
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.chaos import drop, duplicate
from supertester.errors import UsageError
from supertester.mixins.performance import PerformanceMixin
from supertester.otp import KILL, GenServer
from supertester.performance import InconclusiveWarning, Judged, Verdict
from supertester.performance.reductions import counting
from supertester.testing import inner_case, run_inner
from tests.alone import alone
from tests.performance.frugal import frugal
from tests.project.support import run_python
from tests.subjects import Busy, Counter


class Case(PerformanceMixin, IsolatedTestCase):
    """A test as users write it."""


class Worker(GenServer):
    def handle_call(self, request: Any, sender: Any) -> Any:
        return [work() for _ in range(request)]


def work() -> None: ...


async def mixed(server: Any) -> list[int]:
    def generate() -> Any:
        work()
        yield 1
        work()
        yield 2

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if sys.version_info >= (3, 12):  # Before, a thread that ran already is not seen.
        await asyncio.to_thread(work)
    await server.call(3)
    return list(generate())


class TestMeasuring(Case):
    def setUp(self) -> None:
        super().setUp()
        frugal(self)

    async def test_reductions_are_counted_beside_a_profiler_which_goes_on(self) -> None:
        wanted = (await self.measure_operation(work)).reductions
        profiler = cProfile.Profile()
        profiler.enable()
        try:
            reductions = (await self.measure_operation(work)).reductions
            time.monotonic()
        finally:
            profiler.disable()
        self.assertEqual(wanted, reductions)
        self.assertTrue(any("monotonic" in str(entry.code) for entry in profiler.getstats()))

    async def test_reductions_inside_and_around_overlapping_measurements(self) -> None:
        with counting() as first:
            first.active = True
            with counting() as second:
                second.active = True
                before = first.calls, second.calls
                work()
                inside = first.calls, second.calls
            after = first.calls
            work()
            outside = first.calls
        self.assertEqual((before[0] + 1, before[1] + 1), inside)
        self.assertEqual(after + 1, outside)

    async def test_reductions_are_the_calls_in_all_tasks_and_threads_and_always_the_same(self) -> None:
        server = await Worker.start_link()
        await self.measure_operation(lambda: mixed(server))  # It also makes the executor of the loop.
        first = await self.measure_operation(lambda: mixed(server))
        again = await self.measure_operation(lambda: mixed(server))
        self.assertEqual(first.result, [1, 2])
        self.assertEqual(again.reductions, first.reductions)
        more = await self.measure_operation(lambda: [work() for _ in range(100)])
        fewer = await self.measure_operation(lambda: [work() for _ in range(50)])
        self.assertEqual(more.reductions - fewer.reductions, 50)

    async def test_what_the_garbage_collector_calls_is_no_reduction(self) -> None:
        class Litter:
            def __init__(self) -> None:
                self.me = self

        class Loud(Litter):
            def __del__(self) -> None:
                finalized.append(work())

        def throw_away(kind: type[Litter]) -> None:
            kind()
            gc.collect()

        finalized: list[Any] = []
        quiet, loud = [await self.measure_operation(lambda kind=kind: throw_away(kind)) for kind in (Litter, Loud)]
        self.assertTrue(finalized)
        self.assertEqual(loud.reductions, quiet.reductions)

    async def test_neighbours_do_not_count(self) -> None:
        stop = threading.Event()
        begun = threading.Event()

        def neighbour() -> None:
            while not stop.is_set():
                work()
                begun.set()

        # Started by nobody's test: the identity of this one is not inherited.
        thread = threading.Thread(target=neighbour)
        Context().run(threading.Thread.start, thread)
        from supertester.context import current_context

        self.assertIsNotNone(current_context.get())
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        begun.wait(10)
        alone = await self.measure_operation(lambda: [work() for _ in range(10)])
        self.assertLess(alone.reductions, 10_000)

    @alone("measures processor time")
    async def test_processor_time_is_that_of_all_threads_of_the_test_and_of_no_others(self) -> None:
        cpu = await self.cpu_of_a_thread(belongs=True)
        self.assertGreaterEqual(cpu, 20_000)
        if sys.platform == "linux":
            cpu = await self.cpu_of_a_thread(belongs=False)
            self.assertLess(cpu, 20_000)

    async def cpu_of_a_thread(self, *, belongs: bool) -> float:
        """Return the processor time of an operation that lets a thread compute for 20 ms, and does nothing itself."""
        go, done, end = threading.Event(), threading.Event(), threading.Event()

        def compute() -> None:
            for _ in range(2):  # The operation runs twice.
                go.wait(10)
                go.clear()
                until = time.thread_time() + 0.02
                while time.thread_time() < until:
                    work()
                done.set()
            end.wait(10)

        def operation() -> None:
            done.clear()
            go.set()
            done.wait(10)

        thread = threading.Thread(target=compute)
        if belongs:
            thread.start()
        else:
            Context().run(threading.Thread.start, thread)
            thread.__dict__.pop("_supertester", None)
        try:
            return (await self.measure_operation(operation)).cpu_us
        finally:
            end.set()
            thread.join()

    async def test_what_can_run_only_once(self) -> None:
        runs: list[int] = []
        await self.measure_operation(lambda: runs.append(1), once=True)
        self.assertEqual(len(runs), 1)

        def not_again() -> None:
            runs.append(1)
            if len(runs) > 2:
                raise OSError("again")

        with self.assertRaises(OSError) as caught:
            await self.measure_operation(not_again)
        self.assertIn("once=True", caught.exception.__notes__[0])
        runs.clear()
        await self.assert_performance(lambda: runs.append(1), once=True, max_time_ms=10**6, max_reductions=5)
        self.assertEqual(len(runs), 1)

    @alone("measures the memory of the process")
    async def test_memory_that_is_kept(self) -> None:
        kept = await self.measure_operation(lambda: bytearray(1_000_000))
        self.assertGreaterEqual(kept.memory_bytes, 1_000_000)
        given_back = await self.measure_operation(lambda: len(bytearray(1_000_000)))
        self.assertLess(given_back.memory_bytes, 100_000)
        self.assertGreaterEqual(given_back.peak_memory_bytes, 1_000_000)

    @alone("measures the memory of the process")
    async def test_what_counting_allocates_is_not_counted(self) -> None:
        async def answers() -> None: ...

        def nothing() -> None: ...

        functions: list[Callable[[], Any]] = [
            lambda: None,
            nothing,
            answers,
            lambda: [nothing() for _ in range(300)] and None,
        ]
        if sys.version_info < (3, 12):
            for fn in functions:
                await self.measure_operation(fn)  # There it takes memory once to count a function.
        for number, fn in enumerate(functions):
            with self.subTest(number):
                # The least, because threads that earlier tests have left may allocate too.
                self.assertEqual(min([(await self.measure_operation(fn)).memory_bytes for _ in range(3)]), 0)
                await self.assert_performance(fn, max_memory_bytes=100)
        compared = await self.compare_performance({str(number): fn for number, fn in enumerate(functions)})
        self.assertLessEqual(max(each.memory_bytes for each in compared.values()), 100)

    @unittest.skipUnless(find_spec("hypothesis"), "needs Hypothesis")
    async def test_hypothesis_which_listens_to_the_collector_is_not_counted(self) -> None:
        source = """
import asyncio, gc, hypothesis
from supertester.performance import measure_operation

test = hypothesis.given(hypothesis.strategies.none())(lambda _: None)
hypothesis.settings(database=None)(test)()
fn = lambda: None
print(len(gc.callbacks), min([asyncio.run(measure_operation(fn)).memory_bytes for _ in range(3)]))
"""
        self.assertEqual(await asyncio.to_thread(run_python, source), "1 0\n")

    @alone("measures the memory of the process")
    async def test_what_is_kept_is_counted_to_the_byte(self) -> None:
        kept = [(await self.measure_operation(lambda: bytes(1_000))).memory_bytes for _ in range(3)]
        self.assertIn(sys.getsizeof(bytes(1_000)), kept)

    @unittest.skipIf(sys.version_info < (3, 12), "there it takes memory once to count a function")
    async def test_functions_are_ready_to_be_counted_from_the_first_one_on(self) -> None:
        source = """
import asyncio
from supertester.performance import compare_performance, measure_operation

found = asyncio.run({})
print([each.memory_bytes for each in (found.values() if isinstance(found, dict) else [found])])
"""
        for call, expected in (
            ("measure_operation(lambda: None)", "[0]\n"),
            ("compare_performance({'one': lambda: None, 'other': lambda: None})", "[0, 0]\n"),
        ):
            with self.subTest(call):
                self.assertEqual(await asyncio.to_thread(run_python, source.format(call)), expected)

    async def test_json(self) -> None:
        measurement = await self.measure_operation(work)
        self.assertEqual(json.loads(json.dumps(measurement.to_dict()))["result"], "None")
        self.assert_expectations(
            measurement, max_reductions=1, max_memory_bytes=10**9, max_time_ms=10**6, max_cpu_ms=10**6
        )

    async def test_what_it_returns(self) -> None:
        self.assertEqual(await self.assert_performance(lambda: 55, max_reductions=10), 55)
        bounds = {"max_reductions": 10, "max_memory_bytes": 10**9, "max_time_ms": 10**6, "max_cpu_ms": 10**6}
        self.assertEqual(await self.assert_performance(lambda: 55, **bounds), 55)


class TestMailboxes(Case):
    async def test_the_maximum_is_exact(self) -> None:
        server = await Counter.start_link()

        async def burst() -> None:
            for _ in range(3):
                server.cast(("add", 1))
            await server.call("value")

        report = await self.measure_mailbox_growth(server, burst)
        self.assertEqual((report.initial_size, report.max_size, report.final_size), (0, 4, 0))
        self.assertGreaterEqual(report.avg_size, 0.0)
        self.assertEqual(report.histogram, {1: 1, 2: 1, 3: 1, 4: 1})
        self.assertGreaterEqual(report.max_age_ms, report.avg_age_ms)
        self.assertGreater(report.avg_age_ms, 0)
        self.assertEqual(json.loads(json.dumps(report.to_dict()))["histogram"], {"1": 1, "2": 1, "3": 1, "4": 1})
        self.assertIs((await self.assert_mailbox_stable(server, during=burst, max_size=4)).result, None)

    async def test_queues_are_looked_at_before_and_after_and_meanwhile(self) -> None:
        async def fill(queue: Any) -> str:
            for number in range(4):
                queue.put_nowait(number)
            loop = asyncio.get_running_loop()
            looked = loop.create_future()
            loop.call_later(0.002, looked.set_result, None)  # The look that was due before comes first.
            await looked
            for _ in range(2):
                queue.get_nowait()
            return "filled"

        for queue in (asyncio.Queue[int](), SimpleQueue[int]()):
            queue.put_nowait(0)
            report = await self.measure_mailbox_growth(queue, partial(fill, queue), sampling_interval=1)
            self.assertEqual((report.initial_size, report.max_size, report.final_size), (1, 5, 3))
            self.assertEqual((report.result, report.histogram, report.max_age_ms), ("filled", {}, 0.0))
            self.assertTrue(1 <= report.avg_size <= 5, report)
            self.assertEqual((await self.assert_mailbox_stable(queue, during=work, max_size=3)).max_size, 3)

    async def test_what_waits_before_and_after(self) -> None:
        server = await Busy.start_link()
        server.cast("works on this")
        await asyncio.sleep(0)
        server.cast("waiting")
        report = await self.measure_mailbox_growth(server, lambda: server.cast("more"))
        self.assertEqual((report.initial_size, report.max_size, report.final_size), (1, 2, 2))
        server.exit(KILL)

    async def test_what_is_lost_on_the_way_never_waits_and_what_is_doubled_does_twice(self) -> None:
        server = await Counter.start_link()

        async def faults() -> None:
            with drop(server):
                server.cast(("add", 1))

        self.assertEqual(0, (await self.measure_mailbox_growth(server, faults)).max_size)
        with duplicate(server):
            report = await self.measure_mailbox_growth(server, lambda: server.cast(("add", 1)))
        self.assertEqual((2, 2), (report.max_size, report.final_size))

    async def test_how_long_messages_wait(self) -> None:
        server = await Busy.start_link()
        server.cast("works on this")
        await asyncio.sleep(0)
        clock = server.runtime.clock

        async def wait() -> float:
            server.cast("waits")
            began = clock.time()
            await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.02)
            return (clock.time() - began) * 1000

        report = await self.measure_mailbox_growth(server, wait)
        self.assertGreaterEqual(report.max_age_ms, report.result)
        self.assertEqual((report.avg_age_ms, report.histogram), (0.0, {1: 1}))
        server.exit(KILL)

    async def test_the_messages_that_a_failure_shows_are_as_before(self) -> None:
        server = await Counter.start_link()
        server.cast(("add", 1))
        await server.call("value")
        await self.measure_mailbox_growth(server, lambda: server.call("value"))
        self.assertIs(type(server.record), deque)
        self.assertEqual([message for _, message in server.recent_messages], [("add", 1), "value", "value"])

    async def test_an_exception_is_raised_and_the_observation_ends(self) -> None:
        server = await Counter.start_link()

        def fail() -> None:
            raise OSError("planted")

        with self.assertRaisesRegex(OSError, "planted"):
            await self.measure_mailbox_growth(server, fail)
        self.assertIsNone(server.interceptors)

    async def test_nonsense_is_refused(self) -> None:
        server = await Counter.start_link()
        with self.assertRaisesRegex(UsageError, "sampling_interval must be more than 0 milliseconds"):
            await self.measure_mailbox_growth(server, work, sampling_interval=0)
        with self.assertRaisesRegex(UsageError, "sampling_interval must be more than 0 milliseconds, got .*=-1"):
            await self.measure_mailbox_growth(server, work, sampling_interval=-1)
        with self.assertRaisesRegex(TypeError, "sampling_interval must be a number of milliseconds, got .*='1'"):
            await self.measure_mailbox_growth(server, work, sampling_interval="1")  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "measure_mailbox_growth: no process is registered as 'nobody'"):
            await self.measure_mailbox_growth("nobody", work)
        for wrong, error in ((-1, UsageError), (1.5, TypeError)):
            with self.assertRaisesRegex(error, f"got max_size={wrong}"):
                await self.assert_mailbox_stable(server, during=work, max_size=wrong)  # type: ignore[arg-type]


class TestAssertionsFail(unittest.TestCase):
    def setUp(self) -> None:
        frugal(self)

    def fails(self, body: Callable[[Any], Any], *patterns: str) -> None:
        result = run_inner(inner_case(body, Case))
        self.assertEqual([kind for kind in result.kinds if kind not in ("start", "stop")], ["failure"], result.report)
        for pattern in patterns:
            self.assertRegex(result.report, pattern)

    @alone("measures the memory of the process")
    def test_bounds(self) -> None:
        async def body(case: Case) -> None:
            bounds = {"max_reductions": 1, "max_memory_bytes": 0}
            await case.assert_performance(lambda: [work(), work(), bytearray(10**6)][2], **bounds, msg="the search")

        self.fails(
            body, r"reductions is \d+, exceeded maximum of 1; memory_bytes is \S+, exceeded maximum of 0 : the search"
        )

    def test_times(self) -> None:
        async def slow() -> None:
            await asyncio.sleep(0)

        async def body(case: Case) -> None:
            await case.assert_performance(slow, max_time_ms=0.0001, msg="the search")

        self.fails(body, r"time_ms is .* in \d+ runs \(\d\d\.\d% sure\), exceeded maximum of 0.0001 : the search")

        async def computing(case: Case) -> None:
            await case.assert_performance(lambda: sum(range(1_000)), max_cpu_ms=0)

        self.fails(computing, r"cpu_ms is .*, exceeded maximum of 0")

    def test_what_cannot_be_told_follows_the_policy(self) -> None:
        unsure = Judged(Verdict.INCONCLUSIVE, ("time_ms is 3, cannot be told from 3",), result=55)

        def settled(policy: str) -> Any:
            async def probe(*_: Any, **__: Any) -> Judged:
                return unsure

            async def body(case: Case) -> None:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    found = await case.assert_performance(work, max_time_ms=3, on_inconclusive=policy, msg="the search")
                case.assertEqual(found, 55)
                case.assertIs(caught[0].category, InconclusiveWarning)
                case.assertIn("test_performance.py", caught[0].filename)

            with mock.patch("supertester.performance.probe_performance", probe):
                return run_inner(inner_case(body, Case))

        skipped = settled("skip")
        self.assertEqual(skipped.events[1].kind, "skip")
        self.assertEqual(skipped.events[1].detail, "inconclusive: time_ms is 3, cannot be told from 3")
        self.assertIn("inconclusive: time_ms is 3, cannot be told from 3 : the search", settled("fail").report)
        self.assertEqual(settled("warn").report, "")
        self.assertIn("on_inconclusive must be one of skip, fail, warn, got 'pass'", settled("pass").report)

    @alone("measures the memory of the process")
    def test_leaks(self) -> None:
        kept: list[bytes] = []

        async def body(case: Case) -> None:
            report = await case.assert_no_memory_leak(50, lambda: bytes(100))
            case.assertFalse(report.leaking)
            await case.assert_no_memory_leak(50, lambda: kept.append(bytes(10_000)), msg="the search")

        self.fails(
            body, r"memory leak detected: 10\d\d\d bytes a run, growing over \d rounds", r"test_performance.py:\d+"
        )

    def test_regressions(self) -> None:
        async def body(case: Case) -> None:
            case.assertEqual(set(await case.compare_performance({"a": work, "b": work})), {"a", "b"})
            case.assertEqual((await case.benchmark(work, iterations=5)).iterations, 5)
            case.assertIsNone(await case.assert_no_regression(work, lambda: sum(range(10_000))))
            await case.assert_no_regression(lambda: [work(), work()], lambda: work(), msg="the search")  # noqa: PLW0108

        self.fails(body, "reductions is 3, it was 2: 1.5 times as many : the search")

    def test_mailboxes(self) -> None:
        async def body(case: Case) -> None:
            server = await Counter.start_link(name="it")
            await case.assert_mailbox_stable(
                server, during=lambda: [server.cast(("add", 1)) for _ in range(5)], max_size=4
            )

        self.fails(
            body,
            r"mailbox size exceeded maximum: <Pid 2 Counter 'it'> had 5 > 4 messages \(initial 0, final 5, .*, waited",
        )

    def test_queues(self) -> None:
        async def body(case: Case) -> None:
            queue = asyncio.Queue[int]()
            await case.assert_mailbox_stable(queue, during=lambda: queue.put_nowait(1), max_size=0)

        self.fails(
            body, r"mailbox size exceeded maximum: <Queue .*> had 1 > 0 messages \(initial 0, final 1, average .*\)"
        )

    def test_nonsense(self) -> None:
        async def body(case: Case) -> None:
            measurement = await case.measure_operation(work)
            for bounds, error, message in (
                ({}, UsageError, "there is nothing to check; give one of max_time_ms"),
                ({"max_tiem_ms": 1}, TypeError, "unknown bound 'max_tiem_ms'; the known ones are max_time_ms"),
                ({"max_time_ms": "1"}, TypeError, "max_time_ms must be a number, got max_time_ms='1'"),
                ({"max_time_ms": -1}, UsageError, "max_time_ms must be 0 or more"),
            ):
                with case.assertRaisesRegex(error, message):
                    case.assert_expectations(measurement, **bounds)  # type: ignore[arg-type]
            with case.assertRaisesRegex(TypeError, "an operation must be callable, got 3"):
                await case.measure_operation(3)  # type: ignore[arg-type]

        self.assertEqual(run_inner(inner_case(body, Case)).report, "")
