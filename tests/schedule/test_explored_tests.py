"""``@explore`` on the tests of `IsolatedTestCase`: each schedule is a whole test."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import time
import unittest
import uuid
from typing import Any

from supertester import GenServer, IsolatedTestCase, explore, tag
from supertester.errors import UsageError
from supertester.otp import INFINITY
from supertester.schedule import watch_invariant
from supertester.testing import RecordingResult, run_inner
from tests.project.support import ROOT
from tests.schedule.planted import Pool, deadlock

HOUR = 3600
quick = explore(schedules=100, seed=1, database=False)


class Counter(GenServer):
    def init(self) -> int:
        return 0

    def handle_call(self, request: Any, sender: Any) -> int:
        self.state += 1
        return self.state


def outcome(cls: type[unittest.TestCase]) -> RecordingResult:
    return run_inner(cls)


def detail(cls: type[unittest.TestCase]) -> str:
    [event] = [event for event in outcome(cls).events if event.kind in ("failure", "error")]
    return event.detail


class TestFailures(unittest.TestCase):
    def test_the_failure_has_the_users_traceback_and_the_report(self) -> None:
        class Inner(IsolatedTestCase):
            @quick
            async def test_checkout(self) -> None:
                pool = Pool(2)
                await asyncio.gather(*(pool.checkout() for _ in range(3)))
                self.assertLessEqual(pool.out, 2)

        text = detail(Inner)
        self.assertIn("self.assertLessEqual(pool.out, 2)", text)
        self.assertNotRegex(text, r'File ".*supertester/(case|schedule|isolation)')
        self.assertIn("\nAssertionError: 3 not less than or equal to 2\nthis schedule of tests.", text)
        self.assertRegex(text, r"\n  conflict  `self\.out`: checkout#\d writes it at planted\.py:\d+, after checkout#")
        command = r"PYTHONHASHSEED=\d+ SUPERTESTER_REPLAY=s1\.[\w-]+ python -m unittest tests\..*test_checkout"
        self.assertRegex(text, rf"\n  replay with: {command}")
        self.assertNotIn("SUPERTESTER_SEED", text)

    def test_a_deadlock_of_the_body_ends_the_schedule_cleanly(self) -> None:
        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                await deadlock()

        text = detail(Inner)
        self.assertIn("Deadlock: everything waits for ever", text)
        self.assertIn("deadlock: these wait for each other, in a circle:", text)
        self.assertNotIn("left running", text)

    def test_a_deadlock_of_servers_says_who_waits_for_whose_reply(self) -> None:
        class Caller(GenServer):
            def init(self) -> None: ...

            async def handle_call(self, request: Any, sender: Any) -> Any:
                return await request[0].call(request[1:], timeout=INFINITY)

        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                one, other = await Caller.start_link(), await Caller.start_link()
                await one.call([other, one], timeout=INFINITY)

        text = detail(Inner)
        self.assertRegex(text, r"process <Pid 1 .*> waits for the reply of <Pid 2 .*> to \[<Pid 1 .*>\] at ")
        self.assertRegex(text, r"\n    Caller#1 waits for the reply of Caller#2 to \[<Pid 1 .*>\] at test_expl")

    def test_a_leaked_task_is_a_failure_of_the_schedule(self) -> None:
        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                self.task = asyncio.create_task(asyncio.Event().wait())

        text = detail(Inner)
        self.assertIn("was left running", text)
        self.assertIn("0 forced switches", text)

    def test_a_subtest_that_fails_fails_the_schedule(self) -> None:
        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                for number in range(3):
                    with self.subTest(number=number):
                        self.assertLess(number, 2)

        self.assertIn("AssertionError: 2 not less than 2", detail(Inner))

    def test_what_fails_in_the_set_up_or_a_cleanup_is_explored_too(self) -> None:
        class Inner(IsolatedTestCase):
            async def asyncSetUp(self) -> None:
                self.pool = Pool(1)
                await asyncio.gather(self.pool.checkout(), self.pool.checkout())
                self.addCleanup(self.assertLessEqual, self.pool.out, 1)

            @quick
            async def test(self) -> None: ...

        self.assertIn("AssertionError: 2 not less than or equal to 1", detail(Inner))

    def test_what_cannot_be_explored_is_an_error_without_a_schedule(self) -> None:
        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                await asyncio.create_subprocess_exec("true")

        text = detail(Inner)
        self.assertRegex(text, r"UsageError: .*cannot be explored \(.*test_explored_tests\.py:\d+ in test\)")
        self.assertNotIn("forced switch", text)


class TestLife(unittest.TestCase):
    def test_each_schedule_is_a_new_instance_with_its_fixtures(self) -> None:
        calls: list[str] = []
        instances: list[Any] = []

        class Inner(IsolatedTestCase):
            def setUp(self) -> None:
                instances.append(self)
                calls.append("setUp")
                self.addCleanup(calls.append, "cleanup")

            async def asyncSetUp(self) -> None:
                calls.append("asyncSetUp")

            @explore(schedules=3, strategy="random", database=False)
            async def test(self) -> None:
                self.assertFalse(hasattr(self, "seen"))
                self.seen = True
                calls.append("test")

            async def asyncTearDown(self) -> None:
                calls.append("asyncTearDown")

            def tearDown(self) -> None:
                calls.append("tearDown")

        self.assertEqual(outcome(Inner).kinds, ["start", "success", "stop"])
        once = ["setUp", "asyncSetUp", "test", "asyncTearDown", "tearDown", "cleanup"]
        self.assertEqual(calls, once * 4)  # one schedule is run twice, to see whether it is the same again
        self.assertEqual(len({id(each) for each in instances}), 4)

    def test_each_schedule_has_a_world_of_its_own(self) -> None:
        seen: list[tuple[Any, Any]] = []

        class Inner(IsolatedTestCase):
            @explore(schedules=5, database=False)
            async def test(self) -> None:
                counter = await Counter.start_link(name="counter")
                values = await asyncio.gather(counter.call("next"), counter.call("next"))
                self.assertEqual(sorted(values), [1, 2])
                seen.append((self.isolation.runtime, asyncio.get_running_loop()))

        self.assertEqual(outcome(Inner).kinds, ["start", "success", "stop"])
        self.assertEqual(len({id(runtime) for runtime, _ in seen}), 6)
        self.assertEqual(len({id(loop) for _, loop in seen}), 6)

    def test_time_is_virtual(self) -> None:
        class Inner(IsolatedTestCase):
            @explore(schedules=5, database=False)
            async def test(self) -> None:
                rung: list[float] = []
                asyncio.get_running_loop().call_later(60, rung.append, 60)
                await self.clock.advance(60)
                self.assertEqual((rung, self.clock.time()), ([60], 60))
                await asyncio.sleep(HOUR)  # no sleep that a test fails for
                self.assertEqual(self.clock.time(), HOUR + 60)

        self.assertEqual(outcome(Inner).kinds, ["start", "success", "stop"])

    def test_time_and_chance_are_the_same_in_the_fixtures_of_every_schedule(self) -> None:
        seen: list[list[object]] = []

        class Inner(IsolatedTestCase):
            def look(self) -> None:
                seen[-1] += [time.time(), os.urandom(4), uuid.uuid4(), random.random()]

            def setUp(self) -> None:
                seen.append([])
                self.look()
                self.addCleanup(self.look)

            @explore(schedules=3, database=False)
            async def test(self) -> None:
                self.look()
                await asyncio.sleep(HOUR)

            def tearDown(self) -> None:
                self.look()

        self.assertEqual(outcome(Inner).kinds, ["start", "success", "stop"])
        self.assertEqual([len(each) for each in seen], [16] * 4)
        self.assertEqual([each == seen[0] for each in seen], [True] * 4)

    def test_skipping_ends_the_exploration(self) -> None:
        calls: list[int] = []

        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                calls.append(1)
                self.skipTest("not today")

        result = outcome(Inner)
        self.assertEqual([reason for _, reason in result.skipped], ["not today"])
        self.assertEqual(len(calls), 1)

    def test_an_expected_failure_is_one(self) -> None:
        class Inner(IsolatedTestCase):
            @unittest.expectedFailure
            @quick
            async def test_around(self) -> None:
                self.assertEqual(1, 2)

            @quick
            @unittest.expectedFailure
            async def test_inside(self) -> None:
                self.assertEqual(1, 2)

        self.assertEqual(outcome(Inner).kinds, ["start", "expected_failure", "stop"] * 2)

    def test_a_skipped_test_is_not_explored(self) -> None:
        class Inner(IsolatedTestCase):
            @unittest.skip("gone")
            @quick
            async def test(self) -> None:
                raise AssertionError

        self.assertIn("skip", outcome(Inner).kinds)

    def test_a_bare_decorator_is_one_without_options(self) -> None:
        calls: list[int] = []

        class Inner(IsolatedTestCase):
            @explore
            async def test(self) -> None:
                calls.append(1)

        self.assertEqual(outcome(Inner).kinds, ["start", "success", "stop"])
        self.assertEqual(len(calls), 1001)

    def test_the_timeout_of_the_class_is_for_all_schedules(self) -> None:
        class Inner(IsolatedTestCase, timeout=0.2):
            @explore(schedules=10**9, database=False)
            async def test(self) -> None: ...

        text = detail(Inner)
        self.assertRegex(text, r"TestTimeout: \d+ of 1000000000 schedules passed within the timeout of 0.2 s, ")


class TestMisuse(unittest.TestCase):
    def test_a_plain_test(self) -> None:
        with self.assertRaisesRegex(TypeError, "@explore takes an async test, got .*nothing to interleave"):

            @explore
            def test(self: Any) -> None: ...  # type: ignore[type-var]

    def test_options(self) -> None:
        with self.assertRaisesRegex(TypeError, r"unknown option 'schedule' of @explore \(did you mean 'schedules'\?\)"):
            explore(schedule=5)
        with self.assertRaisesRegex(UsageError, "schedules must be 1 or more, got schedules=0"):
            explore(schedules=0)

    def test_an_async_invariant(self) -> None:
        async def never_holds() -> bool:
            return False

        with self.assertRaisesRegex(TypeError, "invariant must be a plain function without arguments, got invariant="):
            explore(invariant=never_holds)

        class Inner(IsolatedTestCase):
            @quick
            async def test(self) -> None:
                watch_invariant(never_holds)

        self.assertIn("Misfit: watch_invariant() takes a plain function without arguments, got ", detail(Inner))
        self.assertNotIn("replay with", detail(Inner))

    def test_another_kind_of_test_case(self) -> None:
        class Inner(unittest.IsolatedAsyncioTestCase):
            @quick
            async def test(self) -> None: ...

        self.assertIn("UsageError: @explore on ", detail(Inner))
        self.assertIn("needs a method of IsolatedTestCase", detail(Inner))


SCRIPT = """
import unittest
from supertester import IsolatedTestCase, explore
from tests.schedule.planted import lost_update

class BankTest(IsolatedTestCase):
    @explore(schedules=200)
    async def test_deposits(self):
        await lost_update()

    @explore(schedules=200)
    async def test_nothing(self):
        pass

if __name__ == "__main__":
    unittest.main()
"""


@tag(layer="system")
class TestCommand(IsolatedTestCase):
    def test_the_printed_command_replays_the_failure_in_another_process(self) -> None:
        (self.tmp_path / "test_bank.py").write_text(SCRIPT)
        first = self.run_tests("test_bank.BankTest.test_deposits")
        self.assertIn("saved in .supertester/failures/test_bank.BankTest.test_deposits-", first)
        [found] = re.findall(r"PYTHONHASHSEED=(\d+) SUPERTESTER_REPLAY=(\S+) python -m unittest (\S+)", first)
        again = self.run_tests(found[2], PYTHONHASHSEED=found[0], SUPERTESTER_REPLAY=found[1])
        self.assertIn("found     replayed from a token", again)
        self.assertEqual(re.findall("AssertionError: .*", again), re.findall("AssertionError: .*", first))
        other = self.run_tests("test_bank.BankTest.test_nothing", SUPERTESTER_REPLAY=found[1])
        self.assertIn("UsageError: the replay token does not fit test_bank.BankTest.test_nothing: ", other)
        self.assertIn("it was made for another test", other)
        self.assertIn("in an earlier run, which had saved it", self.run_tests("test_bank.BankTest.test_deposits"))

    def run_tests(self, name: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "unittest", name],
            cwd=self.tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr
