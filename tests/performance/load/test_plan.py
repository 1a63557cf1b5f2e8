"""When operations are due, and what becomes of them in the timeline and in the reports of several machines."""

from __future__ import annotations

import itertools
import json
import unittest
from typing import Any

from supertester.errors import UsageError
from supertester.performance.load import Histogram, LoadPlan, LoadReport, Timeline


def report(**changed: Any) -> LoadReport:
    values: dict[str, Any] = {
        "users": 2, "rate": 5, "duration": 10, "operations": 100, "succeeded": 99, "errors": {"OSError": 1},
        "error_samples": ("OSError: planted",), "elapsed": 10.0, "latency": Histogram(), "service": Histogram(),
        "lag": Histogram(), "check": Histogram(), "valid": True, "invalid_reason": "", "own_cpu": 0.1,
        "foreign_cpu": None, "timeline": Timeline(),
    }  # fmt: skip
    return LoadReport(**{**values, **changed})


def latencies(*milliseconds: float) -> Histogram:
    made = Histogram()
    for value in milliseconds:
        made.record(int(value * 1e6))
    return made


class TestPlans(unittest.TestCase):
    def test_users_are_spread_and_keep_their_rate(self) -> None:
        plan = LoadPlan(users=4, rate=10, duration=2)
        due = sorted(itertools.chain.from_iterable(plan.due(number) for number in plan.numbers))
        self.assertEqual(len(due), 80)
        self.assertEqual({later - sooner for sooner, later in itertools.pairwise(due)}, {25_000_000})

    def test_users_begin_one_after_the_other_in_the_ramp(self) -> None:
        plan = LoadPlan(users=4, rate=10, duration=2, ramp_up=1)
        first = [next(plan.due(number)) for number in plan.numbers]
        self.assertEqual([at // 1_000_000 for at in first], [0, 275, 550, 825])

    def test_random_users_are_the_same_for_the_same_seed(self) -> None:
        plans = [LoadPlan(users=50, rate=20, duration=5, phase="random", seed=seed) for seed in (1, 1, 2)]
        due = [[list(plan.due(number)) for number in plan.numbers] for plan in plans]
        self.assertEqual(due[0], due[1])
        self.assertNotEqual(due[0], due[2])
        self.assertTrue(4_600 < sum(map(len, due[0])) < 5_400)

    def test_the_shares_of_machines_are_the_whole(self) -> None:
        plan = LoadPlan(users=5, rate=3, duration=2)
        shares = plan.shares(2)
        self.assertEqual([list(share.numbers) for share in shares], [[0, 2, 4], [1, 3]])
        shared = sorted(at for share in shares for number in share.numbers for at in share.due(number))
        self.assertEqual(shared, sorted(at for number in plan.numbers for at in plan.due(number)))
        for machines in (3, 4):
            message = f"there are only 2 users for {machines} machines, got machines={machines}; use fewer machines"
            with self.subTest(machines), self.assertRaisesRegex(UsageError, message):
                LoadPlan(users=2, rate=1, duration=1).shares(machines)
        with self.assertRaisesRegex(TypeError, "machines must be a whole number, got machines=1.5"):
            LoadPlan(users=2, rate=1, duration=1).shares(1.5)  # type: ignore[arg-type]

    def test_nonsense_is_refused(self) -> None:
        good = {"users": 1, "rate": 1, "duration": 1}
        for wrong, error, words in (
            ({"users": 0}, UsageError, "users must be at least 1, got users=0"),
            ({"users": 1.5}, TypeError, "users must be a whole number"),
            ({"rate": 0}, UsageError, "rate must be more than 0, and not infinite, got rate=0"),
            ({"rate": float("inf")}, UsageError, "rate must be more than 0, and not infinite, got rate=inf"),
            (
                {"duration": float("inf")},
                UsageError,
                "duration must be more than 0, and not infinite, got duration=inf",
            ),
            ({"ramp_up": -1}, UsageError, "ramp_up must be 0 or more, and not infinite, got ramp_up=-1"),
            ({"ramp_up": 2}, UsageError, "ramp_up=2 is longer than duration=1"),
            ({"rate": "1"}, TypeError, "rate must be a number, got rate='1'"),
            ({"phase": "full"}, UsageError, "phase must be 'spread' or 'random'"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                LoadPlan(**{**good, **wrong})  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "at least 1 machine"):
            LoadPlan(**good).shares(0)  # type: ignore[arg-type]


class TestTimelines(unittest.TestCase):
    def test_what_ended_before_the_beginning_is_of_the_first_part(self) -> None:
        # The first operation ends long before the rest begins where it is slow to find out what the generator can do.
        for ends in ([-5.0], [-5.0, -3.0], [-5.0, 0.5], [-2.0, 2.5]):
            with self.subTest(ends):
                one, batch = Timeline(), Timeline()
                for end in ends:
                    one.note(end, True, 3.0)
                batch.note_successes([int(end * 1e9) for end in ends], [3_000_000] * len(ends))
                self.assertEqual(batch, one)
                self.assertEqual(sum(slot.succeeded for slot in one.slots), len(ends))
                self.assertEqual(one.slots[0].succeeded, sum(end < 1 for end in ends))
                batch.note_successes([-4_000_000_000], [1])
                self.assertEqual(batch.slots[0].succeeded, one.slots[0].succeeded + 1)

    def test_hours_fit_into_the_memory_of_minutes(self) -> None:
        timeline = Timeline()
        for second in range(7_200):
            timeline.note(second, ok=second % 10 != 0, latency_ms=second)
        self.assertLessEqual(len(timeline.slots), 600)
        self.assertEqual(timeline.interval, 16.0)
        self.assertEqual(sum(slot.succeeded for slot in timeline.slots), 6_480)
        self.assertEqual(sum(slot.failed for slot in timeline.slots), 720)
        self.assertEqual(timeline.slots[-1].max_ms, 7_199)

    def test_events_are_bounded(self) -> None:
        timeline = Timeline()
        for number in range(2_000):
            timeline.mark(number, "kill")
        self.assertEqual(len(timeline.events), 1_000)

    def test_events_are_of_a_known_kind(self) -> None:
        timeline = Timeline()
        timeline.mark(1.0, "kill", "fault")
        self.assertEqual(timeline.to_dict()["events"], [[1.0, "kill", "fault"]])
        with self.assertRaisesRegex(UsageError, "is one of event, fault, recovery, got kind='death'"):
            timeline.mark(2.0, "kill", "death")

    def test_of_several_machines_add_up(self) -> None:
        one, other = Timeline(), Timeline(interval=2.0)
        for second in range(4):
            one.note(second, ok=True, latency_ms=1)
        other.note(3, ok=False, latency_ms=9)
        other.mark(0.5, "kill")
        one.add(other)
        self.assertEqual([(slot.succeeded, slot.failed, slot.max_ms) for slot in one.slots], [(2, 0, 1), (2, 1, 9)])
        self.assertEqual(one.events, [(0.5, "kill", "event")])


class TestReports(unittest.TestCase):
    def test_of_several_machines_are_one(self) -> None:
        one = report(latency=latencies(*range(1, 61)))
        other = report(
            latency=latencies(*range(61, 101)), errors={"OSError": 2, "KeyError": 1}, valid=False,
            invalid_reason="too slow", foreign_cpu=1.5,
        )  # fmt: skip
        both = LoadReport.merged([one, other])
        self.assertEqual((both.users, both.operations, both.errors), (4, 200, {"OSError": 3, "KeyError": 1}))
        self.assertFalse(both.valid)
        self.assertEqual((both.invalid_reason, both.foreign_cpu), ("too slow", 1.5))
        assert both.p99_ms is not None
        self.assertAlmostEqual(both.p99_ms, 99, delta=0.1)
        with self.assertRaisesRegex(UsageError, "nothing to merge"):
            LoadReport.merged([])

    def test_are_text_and_json(self) -> None:
        shown = report(latency=latencies(*range(1, 101)), valid=False, invalid_reason="the generator is slow")
        self.assertIn("100 operations, 99.000% succeeded, 9.9 per second", str(shown))
        self.assertIn("p50 50, p95 95, p99 99", str(shown))
        self.assertIn("p99.9 -, max 100", str(shown))
        self.assertIn("errors: 1 OSError\ninvalid: the generator is slow", str(shown))
        data = json.loads(json.dumps(shown.to_dict()))
        self.assertEqual(Histogram.from_dict(data["latency"]), shown.latency)
        self.assertEqual(data["p99_9_ms"], None)
