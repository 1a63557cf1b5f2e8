"""Operations compared with each other and with what they were; no statement about how long anything takes."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from supertester.errors import UsageError
from supertester.performance import Interval, Rounds, Verdict, benchmark, compare_performance, probe_regression
from supertester.performance.baseline import Baseline, fingerprint, load_baseline, save_baseline
from supertester.performance.judging import probe_performance
from supertester.performance.sampling import Sample, Sampler, ratios
from tests.alone import alone
from tests.performance.frugal import frugal

FEW = Rounds(first=10, most=10)


def work() -> int:
    return sum(range(100))


def twice() -> int:
    return work() + work()


def three_calls() -> int:
    return twice()


async def waits() -> int:
    await asyncio.sleep(0)
    return 1


@alone("counts the calls of the process, as it is no isolated test")
class TestComparing(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        frugal(self)

    async def test_has_all_with_ratios_to_the_first(self) -> None:
        found = await compare_performance({"one": work, "two": twice, "async": waits}, rounds=FEW)
        self.assertEqual(list(found), ["one", "two", "async"])
        self.assertEqual([found[name].reductions for name in ("one", "two")], [1, 3])
        self.assertEqual(found["two"].result, 9_900)
        self.assertEqual((found.ratios["one"].low, found.ratios["one"].high), (1.0, 1.0))
        self.assertFalse(found.differ("one"))
        self.assertRegex(str(found).splitlines()[2], r"two +\S+ us +\S+ +\S+ and \S+ +3 +\d+")
        self.assertEqual(json.loads(json.dumps(found.to_dict()))["reference"], "one")

    async def test_is_interleaved(self) -> None:
        order: list[str] = []
        sampler = Sampler({name: lambda name=name: order.append(name) for name in "ab"})  # type: ignore[misc]
        await sampler.take(3, 0.0, fewest=3)
        self.assertEqual("".join(order), "abbaab")

    def test_ratios_are_those_of_a_round(self) -> None:
        own, reference = [Sample(4, 1), Sample(9, 1)], [Sample(2, 1), Sample(3, 4)]
        self.assertEqual(ratios(own, reference, "time_us"), [2, 3])
        self.assertEqual(ratios(own, reference, "cpu_us"), [1, 0.25])

    async def test_nonsense_is_refused(self) -> None:
        for call in (
            lambda: compare_performance({"one": work}, rounds=5),  # type: ignore[arg-type]
            lambda: probe_regression(work, work, rounds=5),  # type: ignore[arg-type]
            lambda: probe_performance(work, max_time_ms=1, rounds=5),  # type: ignore[arg-type]
        ):
            message = r"^rounds must be Rounds\(\.\.\.\), such as Rounds\(most=20\), got rounds=5$"
            with self.assertRaisesRegex(TypeError, message):
                await call()
        with self.assertRaisesRegex(UsageError, "there is nothing to compare"):
            await compare_performance({})
        with self.assertRaisesRegex(TypeError, "operations must be a mapping"):
            await compare_performance([work])  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "an operation must be callable"):
            await compare_performance({"a": 3})  # type: ignore[dict-item]


@alone("counts the calls of the process, as it is no isolated test")
class TestBenchmarks(unittest.IsolatedAsyncioTestCase):
    async def test_are_of_single_runs(self) -> None:
        runs: list[int] = []
        found = await benchmark(lambda: runs.append(1), warmup=5, iterations=200)
        self.assertEqual(len(runs), 205)
        assert found.p95 is not None
        assert found.p99 is not None
        self.assertEqual(
            sorted([found.min, found.median, found.p95, found.p99, found.max]),
            [found.min, found.median, found.p95, found.p99, found.max],
        )
        self.assertTrue(found.min <= found.mean <= found.max)
        self.assertIsNone((await benchmark(waits, warmup=0, iterations=50)).p99)

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "iterations must be 1 or more, got iterations=0"):
            await benchmark(work, iterations=0)
        with self.assertRaisesRegex(TypeError, "warmup must be a whole number"):
            await benchmark(work, warmup=1.5)  # type: ignore[arg-type]


@alone("counts the calls of the process, as it is no isolated test")
class TestRegressions(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "baselines" / "speed.json"
        frugal(self)

    async def test_more_calls_are_one_whatever_the_times_are(self) -> None:
        found = await probe_regression(twice, work, rounds=FEW)
        self.assertIs(found.verdict, Verdict.FAIL)
        self.assertEqual(found.evidence, ("reductions is 3, it was 1: 3 times as many",))
        self.assertEqual(found.result, 9_900)

    async def test_times_many_times_the_baseline_are_one(self) -> None:
        for by in ("cpu", "time"):
            found = await probe_regression(lambda: sum(range(100_000)), lambda: sum(range(100)), by=by)
            self.assertIs(found.verdict, Verdict.FAIL)
            self.assertRegex(
                found.evidence[0], rf"{by} is \S+ times that of the baseline, .*exceeded maximum of 1.1 times"
            )

    async def test_what_is_far_within_the_limit_is_none(self) -> None:
        found = await probe_regression(lambda: sum(range(100)), lambda: sum(range(100_000)))
        self.assertIs(found.verdict, Verdict.PASS)

    async def test_a_baseline_is_recorded_on_request_and_compared_with(self) -> None:
        missing = await probe_regression(work, self.path, name="work")
        self.assertIs(missing.verdict, Verdict.INCONCLUSIVE)
        self.assertRegex(
            missing.evidence[0], r"has no baseline of 'work' for this machine .*; record one with update=True"
        )
        self.assertFalse(self.path.exists())
        recorded = await probe_regression(work, self.path, name="work", update=True, rounds=FEW)
        self.assertIs(recorded.verdict, Verdict.PASS)
        self.assertIs((await probe_regression(work, self.path, name="work", tolerance=1_000)).verdict, Verdict.PASS)
        more_calls = await probe_regression(twice, self.path, name="work")
        self.assertIs(more_calls.verdict, Verdict.FAIL)
        self.assertEqual(more_calls.evidence, ("reductions is 3, it was 1: 3 times as many",))

    async def test_other_machines_are_not_compared(self) -> None:
        with mock.patch.dict(os.environ, {"SUPERTESTER_MACHINE": "the fast one", "SUPERTESTER_UPDATE_BASELINES": "1"}):
            await probe_regression(work, self.path, rounds=FEW)
        found = await probe_regression(work, self.path)
        self.assertIs(found.verdict, Verdict.INCONCLUSIVE)
        self.assertIn("it has those of the fast one; CPython", found.evidence[0])

    def test_baselines_of_others_are_kept(self) -> None:
        interval = Interval(1, 2, 3, 10, 0.998)
        baseline = Baseline(interval, interval, 7)
        with mock.patch.dict(os.environ, {"SUPERTESTER_MACHINE": "other"}):
            save_baseline(self.path, "a", baseline)
            other = fingerprint()
        save_baseline(self.path, "a", baseline)
        save_baseline(self.path, "b", baseline)
        self.assertEqual(load_baseline(self.path, "a"), (baseline, sorted([fingerprint(), other])))
        self.assertEqual(load_baseline(self.path, "b")[1], [fingerprint()])

    async def test_files_that_are_none_are_refused(self) -> None:
        self.path.parent.mkdir()
        for text, words in (("{", "is no file of baselines: "), ("{}", "is no file of baselines of format 1")):
            self.path.write_text(text, encoding="utf-8")
            with self.assertRaisesRegex(UsageError, words):
                await probe_regression(work, self.path)
        broken = {"format": 1, "baselines": {"work": {fingerprint(): {}}}}
        self.path.write_text(json.dumps(broken), encoding="utf-8")
        with self.assertRaisesRegex(UsageError, "the baseline of 'work' in .* cannot be read"):
            await probe_regression(work, self.path)

    async def test_nonsense_is_refused(self) -> None:
        for options, error, words in (
            ({"by": "luck"}, UsageError, "by must be 'cpu' or 'time', got by='luck'"),
            ({"tolerance": -1}, UsageError, "tolerance must be 0 or more"),
            ({"tolerance": "1"}, TypeError, "tolerance must be a number"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                await probe_regression(work, work, **options)  # type: ignore[arg-type]
