from __future__ import annotations

import unittest
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.measure import Compared, Figure, Measured, Spread, Subject, Verdict, measure
from benchmarks.report import as_data, quantity, summary, table


def giving(values: Iterable[float]) -> Callable[[int], float]:
    left = iter(values)
    return lambda units: next(left)


def nothing() -> None: ...


def figure(*subjects: Subject, **more: Any) -> Figure:
    return Figure(**{"name": "f", "title": "t", "unit": "u", "subjects": subjects, "reference": "old", **more})


class TestMeasuring(unittest.TestCase):
    def test_rounds_are_interleaved_and_every_second_one_is_reversed(self) -> None:
        order: list[str] = []

        def noting(name: str) -> Subject:
            def run(units: int) -> float:
                order.append(name)
                return 1.0

            return Subject(name=name, units=1, run=run)

        found = measure(figure(noting("old"), noting("new")), 3, before_each=lambda: order.append("-"))
        self.assertEqual("".join(order), "-old-new-new-old-old-new")
        self.assertEqual({name: len(samples) for name, samples in found.samples.items()}, {"old": 3, "new": 3})

    def test_no_sample_pays_for_garbage_from_before(self) -> None:
        class Garbage:
            def __init__(self) -> None:
                self.cycle = self

        left = weakref.ref(Garbage())
        found = measure(figure(Subject(name="s", units=1, run=lambda _: float(left() is None))), 1)
        self.assertEqual(found.samples, {"s": [1.0]})

    def test_a_sample_is_the_mean_of_its_repetitions(self) -> None:
        self.assertEqual(Subject(name="s", units=7, repeat=2, run=giving([1.0, 3.0])).sample(), 2.0)

    def test_a_smaller_figure_keeps_its_reference_and_names_its_sizes(self) -> None:
        sizes = [
            Subject(name=name, named_by_units=True, units=units, repeat=repeat, run=float)
            for name, units, repeat in (("1,000", 1_000, 50), ("10,000", 10_000, 5))
        ]
        small = figure(*sizes, reference="1,000").smaller(10)
        self.assertEqual(
            [(each.name, each.units, each.repeat) for each in small.subjects], [("100", 100, 5), ("1,000", 1_000, 1)]
        )
        self.assertEqual(small.reference, "100")


class TestComparing(unittest.TestCase):
    def test_every_way_to_compare(self) -> None:
        cases = ((Compared.SPEED, 2.0), (Compared.COST, 0.5), (Compared.ADDED, -2.0), (Compared.ALONE, 2.0))
        for compared, expected in cases:
            with self.subTest(compared=compared):
                self.assertEqual(compared.between(4.0, 2.0), expected)
        self.assertTrue(Compared.SPEED.good(2.0, 1.8))
        self.assertFalse(Compared.COST.good(2.0, 1.8))

    def test_ratios_are_taken_within_a_round(self) -> None:
        found = Measured(figure(), {"old": [1.0, 10.0, 100.0], "new": [0.5, 5.0, 50.0]})
        self.assertEqual(found.comparison("new"), Spread(2.0, 2.0, 2.0))
        self.assertIsNone(found.comparison("old"))

    def test_the_spread_is_that_of_the_quartiles(self) -> None:
        self.assertEqual(Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]), Spread(2.0, 3.0, 4.0))
        self.assertEqual(Spread.of([3.0]), Spread(3.0, 3.0, 3.0))

    def test_a_verdict_needs_both_quartiles(self) -> None:
        def verdict(*new: float, **more: Any) -> Verdict | None:
            subject = Subject(name="new", units=1, run=float, goal=2.0)
            return Measured(figure(subject, **more), {"old": [4.0] * len(new), "new": list(new)}).verdict(subject)

        self.assertIs(verdict(1.0, 1.1, 1.2), Verdict.MET)
        self.assertIs(verdict(3.0, 3.1, 3.2), Verdict.MISSED)
        self.assertIs(verdict(1.0, 2.0, 3.0), Verdict.UNSURE)
        self.assertIs(verdict(9.0, compared=Compared.COST), Verdict.MISSED)
        self.assertIs(verdict(6.0, compared=Compared.ADDED), Verdict.MET)

    def test_without_its_reference_a_figure_has_costs_and_no_verdict(self) -> None:
        subject = Subject(name="new", units=1, run=float, goal=2.0)
        found = Measured(figure(subject), {"new": [1.0]})
        self.assertEqual(found.cost("new").median, 1.0)
        self.assertIsNone(found.verdict(subject))
        self.assertIn("no reference", "\n".join(table(found)))


class TestShowing(unittest.TestCase):
    def setUp(self) -> None:
        subjects = [
            Subject(name="old", units=1, run=giving([4e-6] * 3)),
            Subject(name="new", units=1, run=giving([2e-6] * 3), goal=1.8),
            Subject(name="slow", units=1, run=giving([8e-6] * 3), goal=1.8),
        ]
        self.found = measure(figure(*subjects), 3, before_each=nothing)

    def test_the_table_has_a_line_for_each_subject(self) -> None:
        _, old, new, slow, end = table(self.found)
        self.assertRegex(old, r"^  old +4 µs +±0% +reference$")
        self.assertRegex(new, r"^  new +2 µs +±0% +2\.00x +2\.00x to 2\.00x +≥ 1\.80x +met$")
        self.assertRegex(slow, r"0\.50x .* missed$")
        self.assertEqual(end, "")

    def test_the_summary_names_what_is_missed(self) -> None:
        self.assertEqual(summary([self.found]), "1 of 2 targets met\nmissed: f (slow)")

    def test_the_data_hold_every_sample(self) -> None:
        [data] = as_data([self.found])["figures"]
        new = data["subjects"][1]
        self.assertEqual(new["samples"], [2e-6] * 3)
        self.assertEqual((new["verdict"], new["comparison"]["median"]), ("met", 2.0))

    def test_quantities_have_fitting_units(self) -> None:
        shown = [quantity(value) for value in (2.5, 0.1234, 45e-6, 45e-9, -45e-6)]
        self.assertEqual(shown, ["2.5 s", "123 ms", "45 µs", "45 ns", "-45 µs"])
        self.assertEqual(quantity(1800, "bytes"), "1,800 B")


if __name__ == "__main__":
    unittest.main()
