"""Verdicts, on samples that are made up."""

from __future__ import annotations

import json
import random
import unittest

from supertester.errors import UsageError
from supertester.performance import Interval, Judged, Rounds, Verdict
from supertester.performance.statistics import median_interval
from supertester.performance.verdict import Disturbance, cautious, judge, looks, overall


def judged_in_looks(chance: random.Random, true: float, limit: float) -> Verdict:
    """Judge noisy samples as it is done with measured ones: more of them while the limit is within the interval."""
    samples: list[float] = []
    verdict = Verdict.INCONCLUSIVE
    for count in looks(Rounds()):
        while len(samples) < count:
            samples.append(true * (1 + chance.expovariate(5)) / 1.1386)  # Its median is the true one.
        verdict = judge(median_interval(samples), limit)
        if verdict is not Verdict.INCONCLUSIVE:
            break
    return verdict


class TestVerdicts(unittest.TestCase):
    def test_on_a_limit_that_is_the_truth_are_hardly_ever_a_failure(self) -> None:
        chance = random.Random(7341)
        verdicts = [judged_in_looks(chance, 100, 100) for _ in range(1_000)]
        self.assertLess(verdicts.count(Verdict.FAIL), 10)
        self.assertGreater(verdicts.count(Verdict.INCONCLUSIVE), 900)

    def test_on_what_is_a_fifth_too_slow_are_a_failure(self) -> None:
        chance = random.Random(7341)
        verdicts = [judged_in_looks(chance, 120, 100) for _ in range(1_000)]
        self.assertGreaterEqual(verdicts.count(Verdict.FAIL), 950)

    def test_on_what_is_within_the_limit_pass(self) -> None:
        chance = random.Random(7341)
        verdicts = [judged_in_looks(chance, 80, 100) for _ in range(1_000)]
        self.assertGreaterEqual(verdicts.count(Verdict.PASS), 950)

    def test_do_not_blame_the_operation_for_a_busy_machine(self) -> None:
        interval = Interval(110, 115, 120, 10, 0.998)
        self.assertIs(judge(interval, 100), Verdict.FAIL)
        self.assertIs(judge(interval, 100, slowdown=1.05), Verdict.FAIL)
        self.assertIs(judge(interval, 100, slowdown=1.2), Verdict.INCONCLUSIVE)
        self.assertIs(judge(interval, 120, slowdown=2), Verdict.PASS)

    def test_on_too_few_samples_keep_a_distance(self) -> None:
        few = median_interval([110.0, 112.0, 111.0])
        self.assertIs(judge(cautious(few), 109), Verdict.INCONCLUSIVE)
        self.assertIs(judge(cautious(few), 100), Verdict.FAIL)
        enough = median_interval([110.0] * 10)
        self.assertIs(cautious(enough), enough)

    def test_together_are_the_worst(self) -> None:
        passed, failed, unsure = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
        self.assertIs(overall([passed, failed, unsure]), failed)
        self.assertIs(overall([passed, unsure]), unsure)
        self.assertIs(overall([passed]), passed)

    def test_are_json(self) -> None:
        judged = Judged(Verdict.FAIL, ("too slow",), result=object(), details={"time_ms": 3})
        self.assertEqual(json.loads(json.dumps(judged.to_dict()))["verdict"], "fail")
        self.assertEqual(str(judged.mismatch), "too slow")
        self.assertIsNone(Judged(Verdict.INCONCLUSIVE, ()).mismatch)


class TestTheReference(unittest.TestCase):
    def test_is_at_its_best_at_least_once(self) -> None:
        disturbance = Disturbance()
        for _ in range(3):
            disturbance.look()
        self.assertGreaterEqual(disturbance.of_wall(), 1.0)
        self.assertGreaterEqual(disturbance.of_cpu(), 1.0)


class TestRounds(unittest.TestCase):
    def test_that_make_no_sense_are_refused(self) -> None:
        for wrong, error, words in (
            ({"first": 0}, UsageError, "first must be 1 or more rounds, got first=0"),
            ({"warmup": -1}, UsageError, "warmup must be 0 or more"),
            ({"most": 1.5}, TypeError, "most must be a whole number"),
            ({"first": 20, "most": 10}, UsageError, "most=10 rounds are fewer than the first 20"),
        ):
            with self.subTest(wrong=wrong), self.assertRaisesRegex(error, words):
                Rounds(**wrong)  # type: ignore[arg-type]
