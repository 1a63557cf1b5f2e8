"""`supertester.properties`: Hypothesis chooses what callers do."""

from __future__ import annotations

from typing import Any

from echo_lab import Counter
from hypothesis import given, settings

from supertester import HarnessMixin, IsolatedTestCase
from supertester.properties import concurrent_scenario, genserver_operation_sequence

OPERATIONS = ["value", ("add", 1)]


class TestProperties(HarnessMixin, IsolatedTestCase):
    @settings(max_examples=20, deadline=None)
    @given(genserver_operation_sequence(OPERATIONS, max_length=4))
    def test_sequences_are_normalized(self, sequence: list[Any]) -> None:
        """Each operation is a pair that begins with its kind."""
        self.assertLessEqual({kind for kind, _ in sequence}, {"call", "cast"})

    @settings(max_examples=10, deadline=None)
    @given(concurrent_scenario(operations=OPERATIONS, max_threads=3))
    def test_scenarios_are_explored(self, config: dict[str, Any]) -> None:
        """Each scenario runs under many schedules."""

        async def counted(counter: Any, context: Any) -> bool:
            added = sum(event.operation == ("call", ("add", 1)) for event in context["events"])
            return bool(await counter.call("value") == added)

        scenario = self.from_property_config(Counter, config, invariant=counted)
        self.explore_scenario(scenario, schedules=10, database=False)

    @settings(max_examples=20, deadline=None)
    @given(concurrent_scenario(operations=OPERATIONS, max_threads=3))
    async def test_scenarios_run(self, config: dict[str, Any]) -> None:
        """Whatever callers do, no increment is lost."""
        self.assertLessEqual({"thread_scripts", "timeout_ms", "call_timeout_ms", "metadata", "mailbox"}, config.keys())
        increments = sum(script.count(("call", ("add", 1))) for script in config["thread_scripts"])

        async def counted(counter: Any, _context: Any) -> bool:
            return bool(await counter.call("value") == increments)

        await self.run_scenario(self.from_property_config(Counter, config, invariant=counted))
