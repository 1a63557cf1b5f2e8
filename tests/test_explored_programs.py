"""Programs and scenarios that Hypothesis draws, each under many schedules: both shrink."""

from __future__ import annotations

import asyncio
import os
import re
import unittest
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from supertester import GenServer, HarnessMixin, IsolatedTestCase, Scenario, explore
from supertester._core.examples import is_draft, is_example
from supertester.errors import UsageError
from supertester.programs import Program, Step, explore_program, replay_program, told
from supertester.properties import concurrent_scenario
from supertester.schedule import Faults, explore_schedules
from supertester.state_machines import ConcurrentStateMachine, rule
from supertester.testing import inner_case, run_inner

quick = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


class Cell(GenServer):
    """A number; "get" and "set" are two calls, between which another may come."""

    def init(self) -> int:
        return 0

    def handle_call(self, request: Any, sender: Any) -> Any:
        if request == "get":
            return self.state
        kind, value = request
        self.state = value if kind == "set" else self.state + value
        return self.state


class Total:
    def __init__(self) -> None:
        self.total = 0

    def add(self, n: int) -> int:
        self.total += n
        return self.total

    def late_add(self, n: int) -> int:
        return self.add(n)


class Adder(ConcurrentStateMachine):
    model = Total
    settings = quick
    explore: ClassVar[Any] = {"schedules": 30, "database": False}

    async def setup(self) -> Any:
        return await Cell.start_link()

    @rule(n=st.integers(1, 3))
    async def add(self, cell: Any, n: int) -> Any:
        return await cell.call(("add", n))


class RareLoss(Adder):
    """Loses what is added between its two calls, which asyncio's own order never lets happen."""

    @rule(n=st.integers(1, 3))
    async def add(self, cell: Any, n: int) -> Any:
        return await cell.call(("set", await cell.call("get") + n))

    @rule(n=st.integers(1, 3))
    async def late_add(self, cell: Any, n: int) -> Any:
        for _ in range(12):
            await asyncio.sleep(0)
        return await cell.call(("add", n))


LIMIT = 300
"""Seconds: much is run, which takes its time beside other tests."""
RARE = Program(RareLoss, branches=[[Step("add", (1,))], [Step("late_add", (1,))]])


class TestExplorePrograms(IsolatedTestCase, timeout=LIMIT):
    def test_a_loss_that_needs_another_order_is_found_and_explained(self) -> None:
        self.assertTrue(explore_program(RARE, schedules=1, strategy="fifo", database=False).ok)
        report = explore_program(RARE, schedules=500, seed=1, database=False)
        assert report.failing is not None
        self.assertIn(report.failing.feasible, ("io", "await"))
        self.assertIn(report.failing.switches, (1, 2))
        text = told(report)
        for part in (
            "RareLoss is not linearizable\nthe program:\n  branch 1: add(1)\n  branch 2: late_add(1)\nwhat happened",
            "no order of these operations is one of a Total\n",
            "it happens under this schedule:\n  found     by ",
            "branch 2",
            f"  replay with: replay_program({RARE!r}, {report.failing.token!r})",
        ):
            self.assertIn(part, text)
        # The model is asked when the schedule is over.
        self.assertNotIn("self.total", text)

    def test_the_token_replays_it(self) -> None:
        failing = explore_program(RARE, schedules=500, seed=1, database=False).failing
        assert failing is not None
        again = replay_program(RARE, failing.token)
        self.assertIn("RareLoss is not linearizable", told(again))
        self.assertIn("replayed from a token", told(again))
        other = Program(RareLoss, branches=[[Step("add", (1,))], [Step("add", (1,))]])
        with self.assertRaisesRegex(UsageError, "the replay token does not fit .*RareLoss"):
            replay_program(other, failing.token)

    def test_a_sound_program_passes(self) -> None:
        report = explore_program(Program(Adder, branches=[[Step("add", (1,))]] * 3), schedules=30, database=False)
        self.assertTrue(report.ok)
        self.assertRegex(told(report), r"passed under \d+ schedules")

    def test_faults_are_choices_of_the_schedule(self) -> None:
        class MayDie(Adder):
            unanswered = "pending"

        program = Program(MayDie, branches=[[Step("add", (1,))], [Step("add", (1,))]])
        self.assertTrue(explore_program(program, schedules=60, faults=Faults(kill=1), database=False).ok)
        strict = Program(Adder, branches=[[Step("add", (1,))], [Step("add", (1,))]])
        report = explore_program(strict, schedules=200, faults=Faults(kill=1), database=False)
        self.assertIn("got no answer", told(report))

    def test_what_makes_no_sense(self) -> None:
        with self.assertRaisesRegex(TypeError, r"explore_program\(\) takes a Program, got 3"):
            explore_program(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, r"unknown option 'schedule' of explore_program\(\) \(did you mean"):
            explore_program(RARE, schedule=3)
        with self.assertRaisesRegex(TypeError, r"replay_program\(\) takes a Program, got 3"):
            replay_program(3, "")  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "schedules must be 1 or more, got schedules=-3"):
            type("Negative", (Adder,), {"explore": -3}).as_test_case()  # type: ignore[attr-defined]
        with self.assertRaisesRegex(TypeError, r"unknown option 'schedule' of Wrong\.explore"):
            type("Wrong", (Adder,), {"explore": {"schedule": 3}}).as_test_case()  # type: ignore[attr-defined]

    async def test_an_async_test_is_told_to_be_a_plain_one(self) -> None:
        with self.assertRaisesRegex(UsageError, "`def` instead of `async def`"):
            explore_program(RARE)

    def test_the_mixin_fails_with_both_reports(self) -> None:
        def body(case: Any) -> None:
            case.explore_program(RARE, schedules=500, seed=1, database=False, msg="money is lost")

        [(_, text)] = run_inner(inner_case(body, HarnessMixin)).failures
        self.assertIn("RareLoss is not linearizable", text)
        self.assertIn("it happens under this schedule:", text)
        self.assertIn(" : money is lost", text)


class TestMachines(unittest.TestCase):
    def test_the_program_and_its_schedule_shrink(self) -> None:
        [(_, text)] = run_inner(RareLoss.as_test_case()).failures
        found = re.search(r"program=(Program\(.*\)),\n", text)
        assert found is not None, text
        program = eval(found[1], {"Program": Program, "Step": Step, "RareLoss": RareLoss})
        self.assertEqual([1, 1], sorted(map(len, program.branches)))
        self.assertEqual({(1,)}, {step.args for branch in program.branches for step in branch})
        self.assertRegex(text, r"shrunk    from \d+ to [012] forced switch(es)? in \d+ replays")
        self.assertIn("it happens under this schedule:", text)

    def test_a_sound_machine_passes(self) -> None:
        class Sound(Adder):
            settings = settings(quick, max_examples=10)
            explore = 5

        self.assertEqual(["start", "success", "stop"], run_inner(Sound.as_test_case()).kinds)


async def add_one(cell: Any) -> None:
    await cell.call(("set", await cell.call("get") + 1))


async def add_one_late(cell: Any) -> None:
    for _ in range(12):
        await asyncio.sleep(0)
    await cell.call(("add", 1))


def scenario_of(case: Any, config: Any) -> Scenario:
    count = sum(map(len, config["thread_scripts"]))

    async def is_sum(cell: Any, context: Any) -> bool:
        return bool(await cell.call("get") == count)

    scenario: Scenario = case.from_property_config(Cell, config, invariant=is_sum)
    return scenario


class TestScenarios(IsolatedTestCase, timeout=LIMIT):
    def test_the_scenario_and_its_schedule_shrink(self) -> None:
        explained: list[bool] = []

        @quick
        @given(config=concurrent_scenario(operations=[("custom", add_one_late), ("custom", add_one)], max_threads=3))
        def body(case: Any, config: Any) -> None:
            try:
                case.explore_scenario(scenario_of(case, config), schedules=30, database=False)
            except AssertionError as error:
                explained.append("\n  shrunk " in str(error))
                self.assertNotEqual(explained[-1], "\n  not shrunk and not explained, because" in str(error))
                raise

        [(_, text)] = run_inner(inner_case(body, HarnessMixin)).failures
        self.assertEqual(2, text.count("[normalized(('custom', add_one"))
        self.assertRegex(text, r"shrunk    from \d+ to [012] forced switch")
        self.assertIn("what happens, by time in seconds", text)
        # What Hypothesis only looks at on its way is not shrunk and explained.
        self.assertEqual([False] * (len(explained) - 1) + [True], explained)

    def test_a_token_is_that_of_one_example(self) -> None:
        scripts = [[("custom", add_one)], [("custom", add_one)]]
        report = self.failing_scenario(scripts)
        seen: list[Any] = []

        @settings(quick, max_examples=20)
        @given(scripts=st.sampled_from([scripts, scripts[:1], scripts * 2]))
        def body(case: Any, scripts: Any) -> None:
            try:
                case.explore_scenario(Scenario(Cell.start_link, scripts, invariant=is_two), database=False)
            finally:
                seen.append(scripts)

        with self.config(os.environ, SUPERTESTER_REPLAY=report):
            [(_, text)] = run_inner(inner_case(body, HarnessMixin)).failures
        self.assertIn("replayed from a token", text)
        self.assertGreater(len({len(each) for each in seen}), 1)  # The others pass: nothing of them is run.

    def failing_scenario(self, scripts: Any) -> str:
        def body(case: Any) -> None:
            case.explore_scenario(Scenario(Cell.start_link, scripts, invariant=is_two), database=False)

        [(_, text)] = run_inner(inner_case(body, HarnessMixin)).failures
        found = re.search(r"SUPERTESTER_REPLAY=(\S+),", text)
        assert found is not None
        return found[1]


class TestSchedulesInExamples(IsolatedTestCase, timeout=LIMIT):
    def test_a_function_is_explored_within_each_example(self) -> None:
        texts: list[str] = []

        @quick
        @given(count=st.integers(1, 4))
        def body(case: Any, count: int) -> None:
            async def raced() -> None:
                total = 0

                async def add() -> None:
                    nonlocal total
                    seen = total
                    await asyncio.sleep(0)
                    total = seen + 1

                await asyncio.gather(*(add() for _ in range(count)))
                assert total == count

            report = explore_schedules(raced, schedules=20, database=False)
            texts.append(str(report))
            case.assertTrue(report.ok, report)

        [(_, text)] = run_inner(inner_case(body)).failures
        self.assertIn("count=2", text)
        self.assertIn("\n  shrunk ", texts[-1])
        self.assertFalse(any("\n  shrunk " in each for each in texts[:-1]))

    def test_a_test_is_given_or_explored(self) -> None:
        async def body(case: Any, number: int) -> None: ...

        message = "@explore and @given cannot be on one test; explore within each example: write a plain test with"
        with self.assertRaisesRegex(TypeError, message):
            explore(given(number=st.integers())(body))
        [(_, text)] = run_inner(inner_case(quick(given(number=st.integers())(explore(body))))).errors
        self.assertIn(message, text)


async def is_two(cell: Any, context: Any) -> bool:
    return bool(await cell.call("get") == 2)


class TestExamples(unittest.TestCase):
    def test_only_the_one_that_is_shown_is_no_draft(self) -> None:
        self.assertFalse(is_example() or is_draft())
        drafts: list[tuple[bool, bool]] = []

        @quick
        @given(number=st.integers(0, 100))
        def check(number: int) -> None:
            drafts.append((is_example(), is_draft()))
            assert number < 10

        with self.assertRaises(AssertionError):
            check()
        self.assertEqual((True, False), drafts[-1])
        self.assertEqual({(True, True)}, set(drafts[:-1]))


if __name__ == "__main__":
    unittest.main()
