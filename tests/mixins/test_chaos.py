"""`ChaosMixin` is a thin cover: each function of `supertester.chaos` is a method with the same options."""

from __future__ import annotations

import inspect
import unittest
from typing import Any

from supertester import ChaosMixin, chaos
from supertester.otp import whereis
from supertester.testing import inner_case, run_inner
from tests.subjects import Counter, team


class TestTheMixin(unittest.TestCase):
    def test_has_no_state_and_no_fixtures(self) -> None:
        fixtures = {"__init__", "setUp", "asyncSetUp", "tearDown", "asyncTearDown"}
        self.assertEqual(fixtures & set(vars(ChaosMixin)), set())

    def test_covers_every_function_with_its_options(self) -> None:
        renamed = {
            "check_cancellation_safe": "assert_cancellation_safe",
            "check_faults_delivered": "assert_faults_delivered",
            "probe_chaos_resilience": "assert_chaos_resilient",
            "probe_recovery": "assert_recovers",
        }
        for name in chaos.__all__:
            function = getattr(chaos, name)
            if not inspect.isfunction(function) or name == "journaled":
                continue
            with self.subTest(name=name):
                method = getattr(ChaosMixin, renamed.get(name, name))
                theirs, ours = (
                    {key: each.default for key, each in inspect.signature(thing).parameters.items()}
                    for thing in (function, method)
                )
                self.assertEqual(theirs, {key: value for key, value in ours.items() if key not in ("self", "msg")})

    def test_its_methods_work(self) -> None:
        async def body(case: Any) -> None:
            pool = await team("a", "b", max_restarts=100)
            server = await Counter.start_link()
            for fault in (
                case.drop(server, match="x"),
                case.duplicate(server, match="x"),
                case.delay(server, 5, match="x"),
                case.reorder(server, match="x"),
                case.inject_random_failures(server, failure_rate=0),
            ):
                with fault:
                    case.assertEqual(await server.call("value"), 0)
            async with case.pause(server), case.corrupt_state(server, lambda state: state):
                await case.resume(server)
                case.assertEqual(await server.call("value"), 0)
            async with case.consume_memory(0.5, limit_mb=1), case.simulate_resource_exhaustion("tables", count=1):
                case.assertEqual(await server.call("value"), 0)
            case.assertTrue((await case.kill_random_worker(pool)).died)
            case.assertIn(None, [whereis("a"), whereis("b")])

        result = run_inner(inner_case(body, ChaosMixin))
        self.assertEqual(result.report, "")
