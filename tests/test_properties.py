"""Strategies for scenarios: what they draw, and that a failure shrinks to its smallest script."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from supertester import IsolatedTestCase
from supertester.errors import UsageError
from supertester.harness import Scenario, from_property_config, run_scenario
from supertester.otp import GenServer
from supertester.properties import concurrent_scenario, genserver_operation_sequence

quick = settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))


LIMIT = 600.0
"""Seconds; to shrink a failure takes as long as the machine is busy."""


class Register(GenServer):
    """Holds a number; "double" reads it, lets others run, and writes: an update can be lost."""

    lets_others_run = True

    def init(self) -> int:
        return 1

    def handle_call(self, request: Any, sender: Any) -> Any:
        match request:
            case "get":
                return self.state
            case ("set", value):
                self.state = value
        return None


async def double(register: Any) -> None:
    await register.call(("set", 2 * await register.call("get")))


class TestSequences(IsolatedTestCase, timeout=LIMIT):
    @quick
    @given(genserver_operation_sequence(["a", ("cast", "b")], min_length=2, max_length=3))
    def test_are_normalized(self, sequence: list[Any]) -> None:
        self.assertIn(len(sequence), (2, 3))
        self.assertLessEqual(set(sequence), {("call", "a"), ("cast", "b")})

    @quick
    @given(genserver_operation_sequence([st.integers().map(lambda n: ("add", n))], default_operation="cast"))
    def test_may_be_made_of_strategies(self, sequence: list[Any]) -> None:
        self.assertTrue(all(kind == "cast" and message[0] == "add" for kind, message in sequence))

    @quick
    @given(genserver_operation_sequence(st.sampled_from(["a", "b"]), min_length=7))
    def test_have_at_least_as_many_as_wanted(self, sequence: list[Any]) -> None:
        self.assertEqual(len(sequence), 7)

    def test_nonsense_is_refused(self) -> None:
        cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
            ([], {}, UsageError, r"nothing to choose from, got operations=\[\]"),
            ("ab", {}, TypeError, "must be a list of operations or a strategy, got operations='ab'"),
            (["a"], {"min_length": -1}, UsageError, "min_length must be 0 or more, got min_length=-1"),
            (["a"], {"min_length": 3, "max_length": 2}, UsageError, "max_length must be min_length=3 or more"),
            (["a"], {"max_length": 1.5}, TypeError, "max_length must be an integer"),
            (["a"], {"default_operation": "shout"}, UsageError, "must be 'call' or 'cast', got 'shout'"),
        ]
        for operations, options, error, message in cases:
            with self.subTest(options), self.assertRaisesRegex(error, message):
                genserver_operation_sequence(operations, **options)
        with self.assertRaisesRegex(UsageError, "min_threads must be 1 or more"):
            concurrent_scenario(operations=["a"], min_threads=0)
        with self.assertRaisesRegex(TypeError, r"concurrent_scenario\(\) has no option 'min_thread'"):
            concurrent_scenario(operations=["a"], min_thread=3)
        with self.assertRaisesRegex(UsageError, "max_ops_per_thread must be min_ops_per_thread=1 or more"):
            concurrent_scenario(operations=["a"], max_ops_per_thread=0)


class TestScenarios(IsolatedTestCase, timeout=LIMIT):
    @quick
    @given(concurrent_scenario(operations=["get", ("set", 3)], max_threads=3, timeout_ms=4000))
    def test_run(self, config: dict[str, Any]) -> None:
        self.assertIn(len(config["thread_scripts"]), (2, 3))
        scenario = from_property_config(Register, config)
        self.assertIsInstance(scenario, Scenario)
        self.assertEqual(scenario.timeout_ms, 4000)
        report = asyncio.run(run_scenario(scenario))
        self.assertTrue(report.ok, report)

    def test_a_planted_bug_shrinks_to_the_smallest_script(self) -> None:
        """Two callers that double at the same time lose an update; nothing smaller does."""

        def loses_an_update(config: dict[str, Any]) -> bool:
            doubled = sum(script.count(("custom", double)) for script in config["thread_scripts"])

            async def invariant(register: Any, context: Any) -> bool:
                return bool(await register.call("get") == 2**doubled)

            scenario = from_property_config(Register, config, invariant=invariant)
            return not asyncio.run(run_scenario(scenario)).ok

        found = find(
            concurrent_scenario(operations=["get", double]),
            loses_an_update,
            settings=settings(max_examples=200, deadline=None, database=None, derandomize=True),
        )
        self.assertEqual(found["thread_scripts"], [[("custom", double)], [("custom", double)]])

    def test_a_sound_server_has_no_such_script(self) -> None:
        def fails(config: dict[str, Any]) -> bool:
            return not asyncio.run(run_scenario(from_property_config(Register, config, max_errors=0))).ok

        with self.assertRaises(NoSuchExample):
            find(
                concurrent_scenario(operations=["get", ("set", 5)]),
                fails,
                settings=settings(max_examples=30, deadline=None, database=None),
            )
