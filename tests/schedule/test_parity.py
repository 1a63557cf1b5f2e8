"""Without anybody asking for another, an exploring loop keeps asyncio's own order."""

from __future__ import annotations

import unittest

from benchmarks import determinism
from benchmarks.parity import differences
from benchmarks.parity_programs import Program
from supertester.schedule.entropy import controlled_entropy
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Fifo
from tests.schedule.exploring import Anyhow, Last


def scheduled(program, strategy):
    """Return the steps of *program*, how it ended, and what there was to choose from."""
    loop = ExploringLoop(strategy, timer_first=1)
    try:
        loop.run(program.main())
        ended = "ended"
    except Exception as error:  # noqa: BLE001 part of what is compared
        ended = repr(error)
    return program.log, ended, [(count, lane.path) for count, lane in loop.choices], loop.steps


class OneOfThirty(Fifo):
    """Keeps the order, but for one choice of thirty."""

    def __init__(self) -> None:
        self.count = 0

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        self.count += 1
        return min(len(runnable) - 1, self.count % 30 == 0)


class TestParity(unittest.TestCase):
    def test_random_programs_take_the_same_steps_as_on_asyncio(self) -> None:
        self.assertEqual([], differences(range(10_000, 10_120)))

    def test_another_order_would_be_noticed(self) -> None:
        self.assertGreater(len(differences(range(10_000, 10_030), Last())), 15)

    def test_so_would_one_choice_of_thirty(self) -> None:
        self.assertGreater(len(differences(range(10_000, 10_030), OneOfThirty())), 5)


class TestDeterminism(unittest.TestCase):
    def test_a_schedule_of_a_random_program_is_the_same_again(self) -> None:
        with controlled_entropy():
            for seed in range(150):
                first, again = (scheduled(Program(seed), Anyhow(seed)) for _ in range(2))
                self.assertEqual(first, again, f"program {seed}")

    def test_a_schedule_is_the_same_in_every_process(self) -> None:
        expected = {name: {determinism.run_once(name)} for name in determinism.PROGRAMS}
        self.assertEqual(determinism.outcomes(2), expected)
