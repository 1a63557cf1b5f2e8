"""What the test case has for its tests, and that a test class may use the names for something else."""

import asyncio
import inspect
import unittest
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.mixins.fixtures import FeatureAttribute
from supertester.otp import Agent, Supervisor
from supertester.processes import setup_isolated_genserver
from supertester.testing import failure_of, inner_case, run_inner

NAMES = ("logs", "telemetry", "tables", "ports", "environment", "tmp_path")


class TestFeatureAttributes(unittest.TestCase):
    def test_are_the_features_of_the_running_test(self) -> None:
        def body(case: Any) -> None:
            for name in NAMES[:-1]:
                case.assertIs(getattr(case, name), case.isolation.feature(name))
            case.assertIs(case.tmp_path, case.environment.tmp_path)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_give_way_to_what_a_test_sets(self) -> None:
        class Inner(IsolatedTestCase):
            def setUp(self) -> None:
                for name in NAMES:
                    setattr(self, name, [name])

            def test(self) -> None:
                for name in NAMES:
                    self.assertEqual(getattr(self, name), [name])

        self.assertEqual(run_inner(Inner("test")).report, "")

    def test_are_described_on_the_class(self) -> None:
        for name in NAMES:
            attribute = getattr(IsolatedTestCase, name)
            self.assertIsInstance(attribute, FeatureAttribute)
            self.assertTrue(attribute.__doc__)


class TestServersOfTheTest(unittest.TestCase):
    def test_have_the_name_of_the_test_or_the_one_that_is_given(self) -> None:
        async def body(case: Any) -> None:
            for given, expected in (((), "_test_"), (("",), "_test_"), (("own",), "_own_")):
                agent = await case.setup_isolated_genserver(Agent, *given, init_args=(5,))
                case.assertIn(expected, agent.name)
            agent = await case.setup_isolated_genserver(Agent, test_name="own", init_args=(5,))
            case.assertIn("_own_", agent.name)
            supervisor = await case.setup_isolated_supervisor(Supervisor, init_args=([],))
            case.assertIn("_test_", supervisor.name)

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_have_the_signature_and_the_help_of_the_function(self) -> None:
        method = IsolatedTestCase.setup_isolated_genserver
        self.assertEqual(method.__doc__, setup_isolated_genserver.__doc__)
        self.assertEqual(
            [*inspect.signature(method).parameters],
            ["self", *inspect.signature(setup_isolated_genserver).parameters],
        )
        self.assertTrue(asyncio.iscoroutinefunction(method))
        bound = inspect.signature(IsolatedTestCase("run").setup_isolated_genserver)
        self.assertEqual(bound, inspect.signature(setup_isolated_genserver))

    def test_refuse_unknown_options_and_are_to_be_awaited(self) -> None:
        async def unknown(case: Any) -> None:
            await case.setup_isolated_genserver(Agent, strategy="one_for_one")

        async def forgotten(case: Any) -> None:
            case.setup_isolated_genserver(Agent, init_args=(5,))

        self.assertIn("unknown option 'strategy'", failure_of(unknown))
        self.assertRegex(failure_of(forgotten), r"setup_isolated_genserver' was never awaited \(.*in forgotten")
