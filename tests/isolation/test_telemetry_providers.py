"""The application's own providers of OpenTelemetry, each in a fresh interpreter: a process can set them once only."""

from __future__ import annotations

import os
import unittest
from unittest import mock

from tests.project.support import run_python
from tests.test_telemetry import APPLICATION

__tags__ = {"layer": "system"}

MODULE = """
import unittest
from opentelemetry import _logs, metrics, trace
from supertester import IsolatedTestCase

tracer = trace.get_tracer("app")
orders = metrics.get_meter("app").create_counter("orders")
level = metrics.get_meter("app").create_observable_gauge("level", [lambda _: [metrics.Observation(3)]])
logger = _logs.get_logger("app")

def work(name):
    with tracer.start_as_current_span(name) as span:
        span.add_event("step")
    orders.add(1, {"of": name})
    logger.emit(_logs.LogRecord(event_name="said", body=name))

def exported():
    points = [
        (metric.name, sum(point.value for point in metric.data.data_points))
        for found in reader.get_metrics_data().resource_metrics
        for scope in found.scope_metrics
        for metric in scope.metrics
    ]
    spans_seen = [span.name for span in spans.get_finished_spans()]
    return spans_seen, [each.log_record.body for each in logs.get_finished_logs()], points

async def check(case, name):
    case.assertEqual([event.name for event in case.telemetry.flush()], ["step", name, "orders", "said"])
"""
RUN = """
result = unittest.main(exit=False, verbosity=0).result
assert result.wasSuccessful() and result.testsRun
"""


class TestProvidersOfTheApplication(unittest.TestCase):
    def test_that_were_set_before_the_first_test(self) -> None:
        code = (
            MODULE
            + APPLICATION
            + (
                "class Test(IsolatedTestCase):\n"
                "    async def test(self):\n"
                "        work('a')\n"
                "        await check(self, 'a')\n"
                "        self.assertIs(trace.get_tracer_provider(), tracer_provider)\n"
                "work('outside')\n" + RUN + "work('after')\nprint(exported())"
            )
        )
        self.assertEqual(
            run_python(code).splitlines()[-1],
            "(['outside', 'a', 'after'], ['outside', 'a', 'after'], [('orders', 3), ('level', 3)])",
        )

    def test_that_are_set_by_a_test(self) -> None:
        later = "\n".join("        " + line for line in APPLICATION.splitlines() if "import" not in line)
        imports = "\n".join(line for line in APPLICATION.splitlines() if "import" in line)
        code = (
            MODULE
            + imports
            + (
                "\nclass Test(IsolatedTestCase, telemetry=True):\n"
                "    async def test(self):\n"
                "        global spans, logs, reader\n"
                "        work('a')\n"
                "        await check(self, 'a')\n"
                f"{later}\n"
                "        work('b')\n"
                "        await check(self, 'b')\n"
                "        self.assertIs(trace.get_tracer_provider(), tracer_provider)\n"
                "        self.assertTrue(metrics.get_meter_provider().force_flush())\n"
                "        metrics.get_meter('app').create_up_down_counter('later').add(1)\n"
                "        await self.assert_telemetry('later', timeout=0)\n" + RUN + "work('after')\nprint(exported())"
            )
        )
        self.assertEqual(
            run_python(code).splitlines()[-1],
            "(['b', 'after'], ['b', 'after'], [('orders', 2), ('level', 3), ('later', 1)])",
        )

    def test_after_uninstall_everything_is_as_without_us(self) -> None:
        code = (
            MODULE
            + APPLICATION.split("spans, reader =")[0]
            + (
                "from supertester import uninstall\n"
                "class Test(IsolatedTestCase):\n"
                "    async def test(self):\n"
                "        work('a')\n"
                "        await check(self, 'a')\n" + RUN + "uninstall()\n"
                "with tracer.start_as_current_span('a') as span: print(span.is_recording())\n"
                "spans, reader =" + APPLICATION.split("spans, reader =")[1] + "work('b')\nprint(exported())"
            )
        )
        self.assertEqual(run_python(code).splitlines()[-2:], ["False", "(['b'], ['b'], [('orders', 1), ('level', 3)])"])

    def test_an_sdk_that_is_disabled_stays_disabled(self) -> None:
        code = MODULE + (
            "class Test(IsolatedTestCase, telemetry=True):\n"
            "    async def test(self):\n"
            "        with tracer.start_as_current_span('a') as span: self.assertFalse(span.is_recording())\n"
            "        await self.refute_telemetry('a', timeout=0)\n" + RUN
        )
        with mock.patch.dict(os.environ, {"OTEL_SDK_DISABLED": "true"}):
            run_python(code)
