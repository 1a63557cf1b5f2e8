"""Scenarios: built, run and reported; each way in which one can fail."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from supertester._core.outcome import Outcome
from supertester.case import IsolatedTestCase
from supertester.errors import UsageError, WaitTimeout
from supertester.harness import (
    Scenario,
    chaos_inject_crash,
    chaos_kill_children,
    check_implements,
    check_success_rate,
    default_invariant,
    from_property_config,
    run_concurrently,
    run_in_threads,
    run_scenario,
    run_with_performance,
    simple_genserver_scenario,
)
from supertester.mixins.harness import HarnessMixin
from supertester.otp import NOPROC, TIMEOUT, Supervisor, process_info
from supertester.scenarios.operations import normalized, script
from supertester.telemetry import emission
from tests.alone import alone
from tests.clocks import time_stands_still_until
from tests.otp.support import RuntimeCase, one_turn
from tests.subjects import Busy, Counter, counter_spec

ADD = ("cast", ("add", 1))


class TestOperations(RuntimeCase):
    def test_are_made_of_bare_terms(self) -> None:
        def custom(subject: Any) -> None: ...

        for given, wanted in (
            ("value", ("call", "value")),
            (("add", 1), ("call", ("add", 1))),
            (("cast", 1), ("cast", 1)),
            (custom, ("custom", custom)),
            (("custom", custom), ("custom", custom)),
            (Counter, ("call", Counter)),
        ):
            self.assertEqual(normalized(given), wanted)
        self.assertEqual(normalized("reset", "cast"), ("cast", "reset"))
        with self.assertRaisesRegex(TypeError, "takes a function of the subject, got 3"):
            normalized(("custom", 3))

    def test_what_is_no_list_is_a_script_of_one(self) -> None:
        self.assertEqual(script("value"), (("call", "value"),))
        self.assertEqual(script(("add", 1)), (("call", ("add", 1)),))
        self.assertEqual(script([("add", 1), "value"]), (("call", ("add", 1)), ("call", "value")))
        self.assertEqual(script(script(["a", "b"])), (("call", "a"), ("call", "b")))
        self.assertEqual(script([]), ())


class TestScenario(RuntimeCase):
    async def test_nonsense_is_refused_with_the_value_and_the_remedy(self) -> None:
        cases: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({"setup": 3}, TypeError, "setup must be a function, got setup=3"),
            ({"threads": []}, UsageError, r"needs at least one thread, got threads=\[\]"),
            ({"threads": "value"}, TypeError, "threads must be a list of scripts, got threads='value'"),
            ({"timeout_ms": 0}, UsageError, "timeout_ms must be more than 0 milliseconds, got timeout_ms=0"),
            (
                {"call_timeout_ms": -1},
                UsageError,
                "call_timeout_ms must be more than 0 milliseconds, got call_timeout_ms=-1",
            ),
            ({"timeout_ms": "1"}, TypeError, "timeout_ms must be a number of milliseconds"),
            ({"invariant": True}, TypeError, "invariant must be a function"),
            ({"chaos": []}, TypeError, "chaos must be a function"),
            ({"mailbox": []}, TypeError, "mailbox must be a mapping"),
            ({"metadata": None}, TypeError, "metadata must be a mapping"),
            ({"performance_expectations": 5}, TypeError, "performance_expectations must be a mapping"),
            ({"max_errors": -1}, UsageError, "max_errors must be 0 or more"),
            ({"max_errors": 1.5}, TypeError, "max_errors must be an integer or None"),
            ({"mode": "fibers"}, UsageError, "mode must be one of tasks, threads, got mode='fibers'"),
            ({"default_operation": "custom"}, UsageError, "default_operation must be 'call' or 'cast'"),
            ({"invarient": print}, TypeError, "unexpected keyword argument 'invarient'"),
        ]
        for options, error, message in cases:
            given: dict[str, Any] = {"setup": Counter.start_link, "threads": ["value"], **options}
            with self.subTest(options), self.assertRaisesRegex(error, message):
                Scenario(given.pop("setup"), given.pop("threads"), **given)

    async def test_builders_refuse_nonsense_too(self) -> None:
        for count, error in ((0, UsageError), (1.5, TypeError), (True, TypeError)):
            with self.assertRaisesRegex(error, f"got thread_count={count}"):
                simple_genserver_scenario(Counter, ["value"], count)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "unknown option 'invarient' of a scenario; the options are init_args"):
            simple_genserver_scenario(Counter, ["value"], 1, invarient=print)
        with self.assertRaisesRegex(UsageError, r"a config needs thread_scripts, got only \['timeout_ms'\]"):
            from_property_config(Counter, {"timeout_ms": 3})
        with self.assertRaisesRegex(TypeError, r"run_scenario\(\) takes a Scenario, got 3"):
            await run_scenario(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "needs at least one bound"):
            await run_with_performance(simple_genserver_scenario(Counter, ["value"], 1))

    async def test_a_scenario_can_be_changed(self) -> None:
        scenario = replace(Scenario(Counter.start_link, [["value", ADD]]), timeout_ms=1)
        self.assertEqual(scenario.threads, ((("call", "value"), ADD),))

    async def test_what_options_say_wins_over_a_config(self) -> None:
        config = {"thread_scripts": [["value"]], "timeout_ms": 1000, "metadata": {"a": 1, "b": 1}}
        scenario = from_property_config(Counter, config, timeout_ms=2000, metadata={"b": 2})
        self.assertEqual(scenario.timeout_ms, 2000)
        self.assertEqual(scenario.metadata, {"module": "Counter", "a": 1, "b": 2})


class TestRuns(RuntimeCase):
    async def test_all_threads_do_all_they_should(self) -> None:
        seen: list[Any] = []

        async def invariant(subject: Any, context: Any) -> bool:
            seen.append(context)
            return bool(await subject.call("value") == 20)

        scenario = simple_genserver_scenario(Counter, [ADD] * 5, 4, invariant=invariant, metadata={"why": "test"})
        report = await run_scenario(scenario)
        self.assertIsNone(report.error)
        self.assertTrue(report.ok)
        self.assertEqual([each.thread for each in report.threads], [1, 2, 3, 4])
        self.assertEqual([event.step for event in report.threads[2].events], [1, 2, 3, 4, 5])
        self.assertEqual({event.outcome for event in report.events}, {Outcome("ok")})
        self.assertEqual(report.metadata["why"], "test")
        self.assertEqual(report.metadata["thread_count"], 4)
        metrics = {"total_operations": 20, "thread_count": 4, "operation_errors": 0, "mailbox_observed": False}
        self.assertEqual({name: report.metrics[name] for name in metrics}, metrics)
        self.assertEqual(seen[0]["events"], report.events)

    async def test_one_global_order(self) -> None:
        report = await run_scenario(simple_genserver_scenario(Counter, ["value"] * 5, 4))
        responses = [event.response_ns for event in report.events]
        self.assertEqual(responses, sorted(responses))
        began = [operation.invoked for operation in report.history]
        self.assertEqual(began, sorted(began))
        self.assertTrue(all(0 <= event.invocation_ns <= event.response_ns for event in report.events))

    async def test_threads_begin_together(self) -> None:
        meeting = asyncio.Barrier(3)

        async def meet(_: Any) -> int:
            return await meeting.wait()

        report = await run_scenario(Scenario(Counter.start_link, [[meet]] * 3))
        self.assertEqual(sorted(event.outcome.value for event in report.events), [0, 1, 2])

    async def test_real_threads_begin_together(self) -> None:
        meeting = threading.Barrier(3)
        names: list[str] = []

        def meet(_: Any) -> int:
            names.append(threading.current_thread().name)
            return meeting.wait(10)

        async def on_the_loop(subject: Any) -> Any:
            return await subject.call("value")

        scenario = Scenario(Counter.start_link, [[meet, ADD, "value", on_the_loop]] * 3, mode="threads")
        report = await run_scenario(scenario)
        self.assertTrue(report.ok, report)
        self.assertEqual(sorted(names), ["scenario thread 1", "scenario thread 2", "scenario thread 3"])
        self.assertEqual([event.outcome.value for event in report.events if event.step == 2], ["ok"] * 3)
        self.assertEqual(report.metrics["operation_errors"], 0)

    async def test_the_context_of_the_setup(self) -> None:
        async def setup() -> Any:
            return await Counter.start_link(), {"key": "value"}

        seen: list[Any] = []
        scenario = Scenario(
            setup,
            ["value"],
            invariant=lambda _, context: seen.append(context["key"]),
            cleanup=lambda _, context: seen.append(context["key"]),
        )
        report = await run_scenario(scenario)
        self.assertEqual((seen, report.context), (["value", "value"], {"key": "value"}))

    async def test_the_subject_is_stopped_by_default(self) -> None:
        subjects: list[Any] = []

        async def setup() -> Any:
            subjects.append(await Counter.start())
            return subjects[0]

        await run_scenario(Scenario(setup, ["value"]))
        self.assertIsNotNone(subjects[0].exit_reason)

    async def test_errors_are_counted_and_do_not_stop_a_thread(self) -> None:
        def fail(_: Any) -> None:
            raise OSError("planted")

        report = await run_scenario(Scenario(Counter.start_link, [[fail, "crash", "value", ADD]]))
        errors = [event.outcome.error for event in report.events]
        self.assertIsInstance(errors[0], OSError)
        self.assertEqual(errors[2:], [NOPROC, NOPROC])
        self.assertTrue(report.ok)
        self.assertEqual((report.metrics["operation_errors"], report.threads[0].errors), (4, 4))
        self.assertIn("4 of 4 operations failed", str(report))

    async def test_an_outcome_of_a_custom_operation_is_its_outcome(self) -> None:
        report = await run_scenario(Scenario(Counter.start_link, [[lambda _: Outcome(error="full")]]))
        self.assertEqual(report.events[0].outcome, Outcome(error="full"))

    async def test_a_custom_operation_may_cancel_itself_or_exit(self) -> None:
        async def cancel(_: Any) -> None:
            raise asyncio.CancelledError

        def leave(_: Any) -> None:
            raise SystemExit(3)

        for mode in ("tasks", "threads"):
            report = await run_scenario(Scenario(Counter.start_link, [[cancel, leave, "value"]], mode=mode))
            kinds = [type(event.outcome.error).__name__ for event in report.events]
            self.assertEqual(kinds, ["CancelledError", "SystemExit", "NoneType"], report)

    async def test_calls_have_a_timeout_of_their_own(self) -> None:
        scenario = simple_genserver_scenario(Counter, ["silence"], 1, call_timeout_ms=10)
        running = asyncio.create_task(run_scenario(scenario))
        while not self.clock.next_timer():
            await one_turn()
        self.clock.advance(0.01)
        report = await running
        self.assertEqual(report.events[0].outcome, Outcome(error=TIMEOUT))

    async def test_the_mailbox_is_observed(self) -> None:
        scenario = simple_genserver_scenario(
            Counter, [lambda subject: [subject.cast(("add", 1)) for _ in range(7)]], 1, mailbox={}
        )
        report = await run_scenario(scenario)
        self.assertEqual((report.mailbox.initial_size, report.mailbox.max_size), (0, 7))
        self.assertTrue(report.metrics["mailbox_observed"])

    async def test_a_subject_that_dies_under_observation_is_no_error_of_the_run(self) -> None:
        report = await run_scenario(simple_genserver_scenario(Counter, ["crash"], 1, mailbox={"sampling_interval": 1}))
        self.assertTrue(report.ok)
        self.assertEqual(report.mailbox.final_size, 0)

    @alone("counts the calls of the process, as it is no isolated test")
    async def test_performance_is_measured(self) -> None:
        report = await run_with_performance(simple_genserver_scenario(Counter, ["value"], 2), max_reductions=10_000)
        self.assertTrue(report.ok)
        self.assertGreater(report.performance.reductions, 0)

    async def test_chaos_runs_beside_the_threads(self) -> None:
        report = await run_scenario(simple_genserver_scenario(Counter, ["value"], 2, chaos=chaos_inject_crash()))
        self.assertTrue(report.ok)
        assert report.chaos is not None
        self.assertTrue(report.chaos["result"].fired)

    async def test_hooks_of_chaos(self) -> None:
        supervisor = await Supervisor.start_link([counter_spec("a")], max_restarts=10)
        report = await chaos_kill_children(kill_rate=1, duration_ms=0)(supervisor, {})
        self.assertEqual(report.killed, 0)
        injection = await chaos_inject_crash(("random", 0.0))(supervisor, {})
        self.assertFalse(injection.fired)
        self.assertTrue(default_invariant(supervisor, {}))

    async def test_cost_is_linear(self) -> None:
        report = await run_scenario(simple_genserver_scenario(Counter, ["value"], 2_000, timeout_ms=60_000))
        self.assertEqual(report.metrics["total_operations"], 2_000)

    async def test_the_report_as_json_and_text(self) -> None:
        scenario = simple_genserver_scenario(
            Counter, ["value", ADD], 2, chaos=chaos_inject_crash(("random", 0.0)), mailbox={}
        )
        report = await run_scenario(replace(scenario, performance_expectations={"max_reductions": 10**9}))
        data = json.loads(json.dumps(report.to_dict()))
        self.assertEqual((data["ok"], len(data["events"]), data["events"][0]["operation"]), (True, 4, "call('value')"))
        self.assertIn("threads 1 to 2: call('value'), cast(('add', 1))", report.program)
        self.assertIn("thread 1, step 1: call('value') -> 0", str(report))

    @alone("hears the events of the process")
    async def test_events_come_in_pairs(self) -> None:
        heard: list[Any] = []
        listener = heard.append
        emission.add_listener(listener)
        self.addCleanup(emission.remove_listener, listener)
        await run_scenario(simple_genserver_scenario(Counter, ["value"], 1, chaos=lambda *_: None, mailbox={}))

        def fail(*_: Any) -> None:
            raise OSError("planted")

        await run_scenario(simple_genserver_scenario(Counter, ["value"], 1, chaos=fail))
        names = [event.name.removeprefix("supertester.") for event in heard]
        first = ["concurrent.scenario.start", "chaos.start", "chaos.stop", "concurrent.mailbox.sample"]
        self.assertEqual(names[:5], [*first, "concurrent.scenario.stop"])
        self.assertEqual(
            names[5:], ["concurrent.scenario.start", "chaos.start", "chaos.stop", "concurrent.scenario.stop"]
        )
        self.assertEqual(heard[4].measurements["status"], "ok")
        self.assertEqual(heard[8].measurements["status"], "error")
        self.assertEqual(heard[0].metadata["scenario_id"], heard[4].metadata["scenario_id"])


class TestTimeouts(IsolatedTestCase, clock="virtual"):
    async def test_of_chaos(self) -> None:
        async def stuck(*_: Any) -> None:
            await asyncio.Event().wait()

        report = await run_scenario(simple_genserver_scenario(Counter, ["value"], 1, chaos=stuck, timeout_ms=1_000))
        assert report.error is not None
        self.assertEqual(report.error[:2], ("chaos_failed", "timeout"))


class TestFailures(RuntimeCase):
    async def fails(self, scenario: Scenario, *error: Any) -> Any:
        report = await run_scenario(scenario)
        self.assertFalse(report.ok)
        assert report.error is not None
        self.assertEqual(report.error[: len(error)], error)
        self.assertIn(f"the scenario failed: {error[0]}", str(report))
        return report

    def scenario(self, operations: Any = "value", **options: Any) -> Scenario:
        return simple_genserver_scenario(Counter, script(operations), 1, **options)

    async def test_of_the_setup(self) -> None:
        async def fail() -> None:
            raise OSError("planted")

        report = await self.fails(self.scenario(setup=fail), "setup_failed")
        self.assertIsInstance(report.error[1], OSError)
        await self.fails(self.scenario(setup=lambda: None), "invalid_setup_return", None)
        forever = asyncio.Event().wait
        await self.fails(self.scenario(setup=forever, timeout_ms=1), "setup_failed", "timeout")

    async def test_of_the_invariant(self) -> None:
        def fail(*_: Any) -> None:
            raise AssertionError("planted")

        def leave(*_: Any) -> None:
            raise SystemExit(3)

        for invariant, reason in (
            (lambda *_: False, "returned_false"),
            (lambda *_: Outcome(error="lost"), "lost"),
        ):
            await self.fails(self.scenario(invariant=invariant), "invariant_failed", reason)
        for invariant in (fail, leave):
            report = await self.fails(self.scenario(invariant=invariant), "invariant_failed")
            self.assertIsInstance(report.error[1], (AssertionError, SystemExit))
        for invariant in (lambda *_: None, lambda *_: 0, lambda *_: Outcome(1)):
            self.assertTrue((await run_scenario(self.scenario(invariant=invariant))).ok)

    async def test_of_the_deadline(self) -> None:
        for mode in ("tasks", "threads"):
            begun = threading.Event()

            async def stuck(_: Any, begun: threading.Event = begun) -> None:
                begun.set()
                await asyncio.Event().wait()

            with self.subTest(mode), time_stands_still_until(begun):
                scenario = self.scenario([stuck], timeout_ms=20, mode=mode)
                report = await self.fails(scenario, "thread_failure", "timeout")
                self.assertIn("thread 1 in step 1: custom(", report.error[2])

    async def test_of_the_deadline_in_a_real_thread_that_cannot_be_ended(self) -> None:
        begun, gate = threading.Event(), threading.Event()
        self.addCleanup(gate.set)

        def stuck(_: Any) -> None:
            begun.set()
            gate.wait(10)

        with time_stands_still_until(begun):
            scenario = self.scenario([stuck], timeout_ms=20, mode="threads")
            report = await self.fails(scenario, "thread_failure", "timeout")
        self.assertIn("thread 1 in step 1: custom(", report.error[2])
        gate.set()
        for thread in threading.enumerate():
            if thread.name.startswith("scenario thread"):
                thread.join(10)

    async def test_of_too_many_errors(self) -> None:
        await self.fails(self.scenario("crash", max_errors=0), "too_many_errors", 1, "at most 0 allowed")
        self.assertTrue((await run_scenario(self.scenario("crash", max_errors=1))).ok)

    async def test_of_chaos(self) -> None:
        def fail(*_: Any) -> None:
            raise OSError("planted")

        report = await self.fails(self.scenario(chaos=fail), "chaos_failed")
        self.assertIsInstance(report.error[1], OSError)

    async def test_of_performance(self) -> None:
        scenario = self.scenario(performance_expectations={"max_reductions": 0}, timeout_ms=60_000)
        report = await self.fails(scenario, "performance_failed")
        self.assertRegex(report.error[1], r"reductions is \d+, exceeded maximum of 0")

    async def test_of_the_cleanup(self) -> None:
        def fail(*_: Any) -> None:
            raise OSError("planted")

        report = await self.fails(self.scenario(cleanup=fail), "cleanup_failed")
        self.assertEqual(report.error[2], None)
        report = await self.fails(self.scenario(cleanup=fail, invariant=lambda *_: False), "cleanup_failed")
        self.assertEqual(report.error[2], ("invariant_failed", "returned_false"))

    async def test_the_cleanup_runs_whatever_fails(self) -> None:
        def fail(*_: Any) -> None:
            raise OSError("planted")

        cleaned: list[str] = []
        for name, options in (
            ("invariant", {"invariant": fail}),
            ("chaos", {"chaos": fail}),
            ("deadline", {"operations": [lambda _: asyncio.Event().wait()], "timeout_ms": 20}),
        ):
            given: dict[str, Any] = {**options, "cleanup": lambda *_, name=name: cleaned.append(name)}
            await run_scenario(self.scenario(given.pop("operations", "value"), **given))
        self.assertEqual(cleaned, ["invariant", "chaos", "deadline"])

    async def test_the_cleanup_runs_when_the_run_is_cancelled(self) -> None:
        cleaned = asyncio.Event()
        begun = asyncio.Event()

        async def stuck(_: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(run_scenario(self.scenario([stuck], cleanup=lambda *_: cleaned.set())))
        await begun.wait()
        running.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await running
        self.assertTrue(cleaned.is_set())

    async def test_a_busy_subject_is_killed_by_the_cleanup(self) -> None:
        subjects: list[Any] = []

        async def setup() -> Any:
            subjects.append(await Busy.start())
            subjects[0].cast("work")
            return subjects[0]

        running = asyncio.create_task(run_scenario(Scenario(setup, [[lambda _: None]])))
        while not running.done():
            await one_turn()
            if self.clock.next_timer() is not None:
                self.clock.advance(1.0)
        self.assertTrue((await running).ok)
        self.assertIsNone(process_info(subjects[0]))


class TestHistory(RuntimeCase):
    async def test_is_what_the_checker_takes(self) -> None:
        async def push(_: Any) -> str:
            return "pushed"

        report = await run_scenario(Scenario(Counter.start_link, [["value", ("find", 3), ADD, push, "crash"]]))
        found = [(each.process, each.name, each.args, each.result, each.pending) for each in report.history]
        wanted = [
            (1, "value", (), 0, False),
            (1, "find", (3,), ("echo", ("find", 3)), False),
            (1, "add", (1,), None, False),
            (1, "push", (), "pushed", False),
        ]
        self.assertEqual(found[:4], wanted)
        self.assertTrue(found[4][4])


variable: ContextVar[str] = ContextVar("variable")


class TestRunConcurrently(RuntimeCase):
    async def test_results_are_in_order_and_exceptions_are_kept(self) -> None:
        async def odd(number: int) -> int:
            await asyncio.sleep(0)
            if number % 2:
                raise OSError(number)
            return number

        outcomes = await run_concurrently(4, odd)
        self.assertEqual([outcome.value for outcome in outcomes], [0, None, 2, None])
        self.assertIsInstance(outcomes[1].error, OSError)
        self.assertEqual([each.value for each in await run_concurrently(2, lambda: "same")], ["same", "same"])

    async def test_calls_start_together(self) -> None:
        barrier = asyncio.Barrier(5)
        outcomes = await run_concurrently(5, barrier.wait)
        self.assertEqual(sorted(outcome.unwrap() for outcome in outcomes), [0, 1, 2, 3, 4])

    async def test_one_that_does_not_end_is_named_and_cancelled(self) -> None:
        cancelled: list[int] = []

        async def maybe(number: int) -> None:
            try:
                if number == 1:
                    await asyncio.Event().wait()
            finally:
                cancelled.append(number)

        with self.assertRaisesRegex(WaitTimeout, r"1 of 3 calls did not end within 0.01 s: \[1\]"):
            await run_concurrently(3, maybe, timeout=0.01)
        self.assertEqual(sorted(cancelled), [0, 1, 2])

    async def test_a_call_that_cancels_itself(self) -> None:
        async def cancel() -> None:
            raise asyncio.CancelledError

        [outcome] = await run_concurrently(1, cancel)
        self.assertIsInstance(outcome.error, asyncio.CancelledError)
        [outcome] = await run_concurrently(1, sys.exit)
        self.assertIsInstance(outcome.error, SystemExit)

    async def test_functions_that_cannot_take_a_number(self) -> None:
        def named(*, name: str = "it") -> str:
            return name

        for fn, value in ((named, "it"), (int, 0)):
            self.assertEqual([value], [outcome.value for outcome in await run_concurrently(1, fn)])

    async def test_nonsense_is_refused(self) -> None:
        for n, fn, error, message in (
            (0, print, UsageError, "needs at least one call, got n=0"),
            (1.5, print, TypeError, "takes a number of calls, got n=1.5"),
            (1, 3, TypeError, "takes a function, got fn=3"),
        ):
            with self.assertRaisesRegex(error, message):
                await run_concurrently(n, fn)  # type: ignore[arg-type]


class TestRunInThreads(RuntimeCase):
    async def test_results_are_in_order_and_exceptions_are_kept(self) -> None:
        def odd(number: int) -> int:
            if number % 2:
                raise OSError(number)
            return number

        outcomes = await run_in_threads(4, odd)
        self.assertEqual([outcome.value for outcome in outcomes], [0, None, 2, None])
        self.assertIsInstance(outcomes[1].error, OSError)
        self.assertEqual([each.value for each in await run_in_threads(2, lambda: "same")], ["same", "same"])
        [outcome] = await run_in_threads(1, sys.exit)
        self.assertIsInstance(outcome.error, SystemExit)

    async def test_all_block_at_the_same_time(self) -> None:
        barrier = threading.Barrier(40)
        outcomes = await run_in_threads(40, lambda: barrier.wait(5))
        self.assertEqual(sorted(outcome.unwrap() for outcome in outcomes), list(range(40)))

    async def test_what_runs_in_them_belongs_to_the_caller(self) -> None:
        variable.set("mine")
        outcomes = await run_in_threads(2, variable.get)
        self.assertEqual([outcome.value for outcome in outcomes], ["mine", "mine"])

    async def test_one_that_does_not_end_is_named(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)
        with self.assertRaisesRegex(WaitTimeout, r"1 of 3 calls did not end within 3 s: \[1\]"):
            await run_in_threads(3, lambda number: number == 1 and over.wait(), timeout=3.0)

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, r"run_in_threads\(\) needs at least one call, got n=0"):
            await run_in_threads(0, print)


class TestSuccessRate(RuntimeCase, HarnessMixin):
    OUTCOMES = (*[Outcome(1)] * 14, *[Outcome(error=OSError("gone"))] * 5, Outcome(error="noproc"))

    async def test_enough(self) -> None:
        self.assertIsNone(check_success_rate(self.OUTCOMES, 0.7))
        self.assertIsNone(check_success_rate([Outcome()], 1))
        self.assert_success_rate(self.OUTCOMES, 0.7)

    async def test_too_few(self) -> None:
        found = check_success_rate(self.OUTCOMES, 0.75, evidence=["the cable was cut"])
        assert found is not None
        expected = "14 of 20 succeeded (70.000%), expected at least 75.000%: 5 OSError, 1 'noproc'"
        self.assertEqual(found.message, expected)
        self.assertEqual(found.history[0], "call 14: OSError('gone')")
        self.assertEqual(found.history[-2:], ("call 19: 'noproc'", "the cable was cut"))
        with self.assertRaisesRegex(AssertionError, "14 of 20 succeeded"):
            self.assert_success_rate(self.OUTCOMES, 0.75)

    async def test_the_first_failures_are_shown(self) -> None:
        found = check_success_rate([Outcome(error="no")] * 30, 1)
        assert found is not None
        self.assertEqual((len(found.history), found.history[-1]), (21, "and 10 more"))

    async def test_nonsense_is_refused(self) -> None:
        for outcomes, at_least, error, message in (
            ([], 0.5, UsageError, "there are no outcomes"),
            ([Outcome(1)], 75, UsageError, "at_least must be from 0 to 1, got at_least=75"),
            ([Outcome(1)], "75%", TypeError, "at_least must be a number from 0 to 1, got at_least='75%'"),
        ):
            with self.assertRaisesRegex(error, message):
                check_success_rate(outcomes, at_least)  # type: ignore[arg-type]


class Storage:
    def read(self, key: str) -> Any: ...
    async def write(self, key: str, value: Any, *, force: bool = False) -> None: ...


class TestImplements(RuntimeCase):
    def test_what_does(self) -> None:
        class Good:
            def read(self, key: str, default: Any = None) -> Any: ...
            async def write(self, key: str, value: Any, **options: Any) -> None: ...

        self.assertIsNone(check_implements(Good, Storage))
        self.assertIsNone(check_implements(Good, ["read", "write"]))
        self.assertIsNone(check_implements(Good, {"read": lambda self, key: None}))

    def test_each_way_not_to(self) -> None:
        class Bad:
            read = 3

            def write(self, key: str, value: Any) -> None: ...

        found = str(check_implements(Bad, Storage))
        self.assertIn("Bad does not implement Storage:\n  read is 3, not a method\n  write(self, key", found)
        self.assertIn(": is plain, expected async", found)
        self.assertIn("cannot be called as write(self, key, value, force=...)", found)
        self.assertIn("close is missing", str(check_implements(Bad, ["close"])))

    def test_nonsense_is_refused(self) -> None:
        class Empty: ...

        for cls, protocol, error in ((3, Storage, TypeError), (Storage, 3, TypeError), (Storage, Empty, UsageError)):
            with self.assertRaises(error):
                check_implements(cls, protocol)  # type: ignore[arg-type]
