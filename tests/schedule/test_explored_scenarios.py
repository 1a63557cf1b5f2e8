"""`explore_scenario` runs a scenario under many schedules."""

from __future__ import annotations

from typing import Any

from supertester import GenServer, HarnessMixin, IsolatedTestCase, Scenario
from supertester.errors import UsageError
from supertester.scenarios.explored import explore_scenario
from supertester.testing import inner_case, run_inner


class Till(GenServer):
    """Adds in two steps, between which others may come."""

    def init(self) -> int:
        return 0

    def handle_call(self, request: Any, sender: Any) -> int:
        if request == "value":
            return self.state
        self.state = request[1]
        return self.state


async def add_one(till: Any) -> None:
    await till.call(("set", await till.call("value") + 1))


async def is_two(till: Any, context: Any) -> bool:
    return await till.call("value") == 2


BROKEN = Scenario(Till.start_link, [[add_one], [add_one]], invariant=is_two)
CORRECT = Scenario(Till.start_link, [[add_one, add_one]], invariant=is_two)


class TestExploreScenario(IsolatedTestCase):
    def test_a_lost_update_between_two_calls_is_found_and_shrunk(self) -> None:
        report = explore_scenario(BROKEN, seed=1, database=False)
        failing = report.failing
        assert failing is not None
        self.assertEqual(failing.sentence, "ScenarioFailed: the scenario failed: invariant_failed returned_false")
        self.assertLessEqual(failing.switches, 2)
        self.assertIn("add_one", str(failing.error))
        self.assertIn("what happens, by time in seconds", str(report))

    def test_a_correct_one_passes(self) -> None:
        self.assertTrue(explore_scenario(CORRECT, schedules=20, database=False).ok)

    def test_the_mixin_fails_with_the_report(self) -> None:
        def body(case: Any) -> None:
            case.explore_scenario(BROKEN, seed=1, database=False, msg="the till loses money")

        [(_, text)] = run_inner(inner_case(body, HarnessMixin)).failures
        self.assertIn("this schedule of the scenario of ", text)
        self.assertRegex(text, r"Till\.start_link with custom\(.*add_one\); custom\(.*add_one\) fails: ScenarioFailed")
        self.assertIn("invariant_failed returned_false", text)
        self.assertIn(" : the till loses money", text)

    def test_the_mixin_returns_the_report(self) -> None:
        def body(case: Any) -> None:
            case.assertEqual(case.explore_scenario(CORRECT, schedules=5, database=False).schedules, 5)

        self.assertEqual(run_inner(inner_case(body, HarnessMixin)).kinds, ["start", "success", "stop"])

    async def test_an_async_test_is_told_to_be_a_plain_one(self) -> None:
        with self.assertRaisesRegex(UsageError, "runs an event loop of its own.*`def` instead of `async def`"):
            explore_scenario(CORRECT)

    def test_what_makes_no_sense(self) -> None:
        threads = Scenario(Till.start_link, [["value"]], mode="threads")
        with self.assertRaisesRegex(UsageError, "takes a scenario with mode='tasks', got mode='threads'"):
            explore_scenario(threads)
        fast = Scenario(Till.start_link, [["value"]], performance_expectations={"max_time_ms": 5})
        with self.assertRaisesRegex(UsageError, "takes no scenario with performance_expectations"):
            explore_scenario(fast)
        with self.assertRaisesRegex(TypeError, r"explore_scenario\(\) takes a Scenario, got 5"):
            explore_scenario(5)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "unknown option|unexpected keyword"):
            explore_scenario(CORRECT, schedule=5)
