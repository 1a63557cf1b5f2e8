"""Loads that are run: what is done, counted and noted. How fast it goes is not asserted."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.mixins.performance import PerformanceMixin
from supertester.performance.load import LoadPlan, judge_load, run_load, run_plan
from supertester.performance.load.progress import Progress
from supertester.performance.load.recorder import Recorder
from supertester.performance.verdict import Verdict
from supertester.testing import inner_case, run_inner
from tests.performance.load.test_plan import latencies, report

SHORT = {"users": 4, "rate": 50, "duration": 0.2}


class Case(PerformanceMixin, IsolatedTestCase):
    """A test as users write it."""


class TestLoads(Case):
    async def test_async_operations(self) -> None:
        done: list[int] = []

        async def operation(user: int) -> None:
            await asyncio.sleep(0)
            done.append(user)

        found = await self.run_load(operation, **SHORT)  # type: ignore[arg-type]
        self.assertEqual((found.operations, found.succeeded, len(done)), (40, 40, 40))
        self.assertEqual({user: done.count(user) for user in range(4)}, {0: 10, 1: 10, 2: 10, 3: 10})
        self.assertEqual((found.latency.count, found.service.count), (40, 40))
        self.assertGreaterEqual(found.check.count, 1)
        self.assertGreater(found.own_cpu, 0)
        self.assertEqual(sum(slot.succeeded for slot in found.timeline.slots), 40)

    async def test_plain_operations_run_in_threads(self) -> None:
        threads: set[int] = set()
        done: list[int] = []
        all_begun = threading.Barrier(SHORT["users"])  # type: ignore[arg-type]

        def operation(user: int) -> None:
            threads.add(threading.get_ident())
            if user not in done:
                all_begun.wait(60)
            done.append(user)

        found = await self.run_load(operation, **SHORT)  # type: ignore[arg-type]
        self.assertEqual((found.operations, found.succeeded, len(done)), (40, 40, 40), found.error_samples)
        self.assertGreaterEqual(len(threads), 4)
        self.assertNotIn(threading.get_ident(), threads)

    async def test_the_first_may_take_long_and_be_async_all_the_same(self) -> None:
        begun = threading.Event()
        count = 0

        async def operation() -> None:
            nonlocal count
            count += 1

        def late(user: int) -> Any:
            if user == 0 and count == 0:
                begun.wait(60)
            else:
                begun.set()
            return operation()

        found = await self.run_load(late, **SHORT)  # type: ignore[arg-type]
        self.assertEqual((found.operations, found.succeeded, count), (40, 40, 40), found.error_samples)

    async def test_a_lambda_that_returns_a_coroutine_is_async(self) -> None:
        threads: list[int] = []

        async def operation() -> None:
            threads.append(threading.get_ident())

        found = await self.run_load(lambda: operation(), **SHORT)  # type: ignore[arg-type]  # noqa: PLW0108
        self.assertEqual(found.succeeded, 40)
        self.assertEqual(threads, [threading.get_ident()] * 40)

    async def test_errors_are_counted_by_kind_with_a_few_tracebacks(self) -> None:
        count = iter(range(40))

        async def operation() -> None:
            number = next(count)
            if number % 4 == 0:
                raise OSError(f"planted {number}")
            if number == 7:
                raise KeyError("other")

        found = await self.run_load(operation, **SHORT)  # type: ignore[arg-type]
        self.assertEqual(found.errors, {"OSError": 10, "KeyError": 1})
        self.assertEqual(found.success_rate, 29 / 40)
        self.assertEqual(len(found.error_samples), 5)
        self.assertIn("OSError: planted 0", found.error_samples[0])

    async def test_what_never_ends_is_an_error(self) -> None:
        async def hangs() -> None:
            await asyncio.get_running_loop().create_future()

        found = await self.run_load(hangs, **SHORT, deadline=0)  # type: ignore[arg-type]
        self.assertEqual((found.operations, found.errors), (40, {"NotFinished": 40}))

        go = threading.Event()
        self.addCleanup(go.set)
        found = await self.run_load(lambda user: user == 0 or go.wait(10), **SHORT, deadline=0)  # type: ignore[arg-type]
        go.set()
        self.assertEqual(found.operations, 40)
        self.assertGreaterEqual(found.errors["NotFinished"], 30)  # More, if the machine left the first user no time.

    async def test_a_wait_for_the_user_counts_as_latency(self) -> None:
        """The first operation takes until nearly all are due; the others wait, and that is not omitted."""
        first = True

        async def operation() -> None:
            nonlocal first
            if first:
                first = False
                await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.2)

        found = await run_load(operation, users=1, rate=100, duration=0.2)
        self.assertEqual(found.operations, 20)
        # Service says that one was slow; from due to end, at least half were.
        assert found.p50_ms is not None
        service = found.service.value_at(50)
        assert service is not None
        self.assertGreater(found.latency.value_at(50) or 0, service)
        self.assertGreater(found.p50_ms, 80)

    async def test_a_generator_that_is_too_slow_says_so(self) -> None:
        async def nothing() -> None: ...

        found = await run_load(nothing, users=100, rate=100_000, duration=0.01, deadline=0)
        self.assertFalse(found.valid)
        self.assertRegex(found.invalid_reason, "the generator, not the system, is too slow for this load")
        self.assertIn("NotFinished", found.errors)

    async def test_chaos_is_in_the_timeline(self) -> None:
        async def chaos(mark: Any) -> Any:
            mark("half of the network is gone")
            return SimpleNamespace(journal=[SimpleNamespace(at_ms=50, fault="kill", target="db")])

        async def nothing() -> None: ...

        found = await self.run_load(nothing, **SHORT, chaos=chaos)  # type: ignore[arg-type]
        self.assertEqual(
            [event[1:] for event in found.timeline.events],
            [("half of the network is gone", "event"), ("kill db", "fault")],
        )

        def fails() -> None:
            raise OSError("planted")

        with self.assertRaisesRegex(OSError, "planted"):
            await self.run_load(nothing, **SHORT, chaos=fails)  # type: ignore[arg-type]

    async def test_a_share_of_a_plan(self) -> None:
        users: list[int] = []

        async def operation(user: int) -> None:
            users.append(user)

        share = LoadPlan(users=4, rate=50, duration=0.1).shares(2)[1]
        found = await run_plan(share, operation)
        self.assertEqual((found.users, found.operations, set(users)), (2, 10, {1, 3}))

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "an operation must be callable"):
            await self.run_load(3, **SHORT)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "chaos must be a function, plain or async, got chaos=5"):
            await self.run_load(print, **SHORT, chaos=5)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "deadline must be 0 or more"):
            await self.run_load(print, **SHORT, deadline=-1)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "spead"):
            await self.run_load(print, **SHORT, spead=1)  # type: ignore[arg-type]


class TestThreadsLeftBehind(unittest.TestCase):
    def test_end_in_silence_when_the_loop_is_closed(self) -> None:
        go = threading.Event()
        threads: list[threading.Thread] = []

        def hangs() -> None:
            threads.append(threading.current_thread())
            if len(threads) > 1:  # The first one is in a thread of the executor.
                go.wait(10)

        with mock.patch("threading.excepthook") as raised:
            found = asyncio.run(run_load(hangs, users=1, rate=50, duration=0.1, deadline=0))
            go.set()
            for thread in threads:
                thread.join()
        self.assertEqual(found.errors, {"NotFinished": 4})
        raised.assert_not_called()


class TestProgress(unittest.TestCase):
    def test_is_lines_where_there_is_no_terminal(self) -> None:
        recorder, stream = Recorder(), io.StringIO()
        recorder.note(0, 0, 5_000_000, None)
        progress = Progress(recorder, 100, stream)
        for elapsed in (1, 10, 15, 19, 20, 100, 200):
            progress.update(elapsed)
        progress.close()
        self.assertEqual(
            stream.getvalue().splitlines(),
            [f"load: {elapsed} of 100 s, 1 operations, 0 failed" for elapsed in (10, 20, 100)],
        )

    def test_is_a_bar_on_a_terminal_if_rich_is_installed(self) -> None:
        bar = mock.MagicMock()
        fakes = {"rich": mock.MagicMock(), "rich.console": mock.MagicMock(), "rich.progress": mock.MagicMock()}
        fakes["rich.progress"].Progress.return_value = bar
        stream = io.StringIO()
        stream.isatty = lambda: True  # type: ignore[method-assign]
        with mock.patch.dict(sys.modules, fakes):
            progress = Progress(Recorder(), 10, stream)
            progress.update(5)
            progress.close()
        bar.update.assert_called_once_with(mock.ANY, completed=5, description="0 operations, 0 failed")
        bar.stop.assert_called_once_with()
        with mock.patch.dict(sys.modules, {"rich": None, "rich.console": None, "rich.progress": None}):
            Progress(Recorder(), 10, stream).update(5)
        self.assertIn("load: 5 of 10 s", stream.getvalue())


class TestJudging(unittest.TestCase):
    def test_bounds_that_are_kept(self) -> None:
        found = judge_load(
            report(latency=latencies(*range(1, 1_001))), min_success_rate=0.99, max_p95_ms=960, min_throughput=9,
        )  # fmt: skip
        self.assertIs(found.verdict, Verdict.PASS)

    def test_bounds_that_are_not(self) -> None:
        found = judge_load(report(latency=latencies(*range(1, 101))), min_success_rate=0.999, max_p95_ms=50)
        self.assertIs(found.verdict, Verdict.FAIL)
        self.assertEqual(found.evidence[0], "success_rate is 0.99, expected at least 0.999")
        self.assertRegex(found.evidence[1], r"p95_ms is 95\.\d+, exceeded maximum of 50")
        self.assertEqual(found.evidence[-1], "OSError: planted")

    def test_latencies_of_an_invalid_load_are_neither_good_nor_bad(self) -> None:
        invalid = report(latency=latencies(*range(1, 101)), valid=False, invalid_reason="the generator is slow")
        for bound in (1, 1_000):
            found = judge_load(invalid, max_p95_ms=bound)
            self.assertIs(found.verdict, Verdict.INCONCLUSIVE)
            self.assertEqual(found.evidence[-1], "the generator is slow")
        self.assertIs(judge_load(invalid, min_success_rate=1).verdict, Verdict.FAIL)
        self.assertIs(judge_load(invalid, min_success_rate=0.5).verdict, Verdict.PASS)

    def test_a_percentile_of_too_few_operations_is_not_known(self) -> None:
        found = judge_load(report(latency=latencies(1, 2, 3)), max_p99_ms=10)
        self.assertIs(found.verdict, Verdict.INCONCLUSIVE)
        self.assertEqual(found.evidence, ("p99_ms cannot be known from 100 operations",))

    def test_nonsense_is_refused(self) -> None:
        for bounds, error, words in (
            ({}, UsageError, "there is nothing to check; give one of min_success_rate"),
            ({"max_p42_ms": 1}, TypeError, "unknown bound 'max_p42_ms'"),
            ({"max_p95_ms": -1}, UsageError, "max_p95_ms must be 0 or more"),
            ({"max_p95_ms": "1"}, TypeError, "max_p95_ms must be a number"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                judge_load(report(), **bounds)  # type: ignore[arg-type]

    def test_in_a_test(self) -> None:
        def body(case: Case) -> None:
            good = report(latency=latencies(*range(1, 101)))
            case.assert_load(good, min_success_rate=0.9)
            case.assert_load(good, max_p99_ms=10, msg="the search")

        self.assertRegex(run_inner(inner_case(body, Case)).report, r"p99_ms is 99\.\d+, exceeded maximum of 10\n")

        def invalid(case: Case) -> None:
            case.assert_load(
                report(latency=latencies(*range(1, 101)), valid=False, invalid_reason="slow"), max_p95_ms=1
            )

        self.assertEqual(run_inner(inner_case(invalid, Case)).events[1].kind, "skip")
