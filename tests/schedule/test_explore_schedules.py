"""`explore_schedules` finds planted bugs, shrinks them, says why they happen, and replays them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import unittest
import weakref
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.schedule import (
    ExplorationReport,
    FailingSchedule,
    Strategy,
    explore_schedules,
    replay_schedule,
    watch_invariant,
)
from supertester.schedule.strategies import Auto, RandomWalk
from tests.schedule import planted


def explored(program: Any, **options: Any) -> ExplorationReport:
    return explore_schedules(program, **{"seed": 1, "database": False, **options})


def failing(program: Any, **options: Any) -> FailingSchedule:
    report = explored(program, **options)
    assert report.failing is not None, report
    return report.failing


class TestVerdicts(unittest.TestCase):
    def test_a_correct_program_passes(self) -> None:
        report = explored(planted.correct, schedules=50)
        self.assertTrue(report.ok)
        self.assertIsNone(report.error)
        self.assertRegex(str(report), r"planted\.correct passed under 50 schedules \(by auto, seed 1, \d+\.\d\d s\)")

    def test_an_exception(self) -> None:
        found = failing(planted.lost_update)
        self.assertEqual((found.kind, found.sentence, found.switches), ("exception", "AssertionError: 1 of 3", 1))

    def test_a_deadlock_names_the_circle_and_who_holds_what(self) -> None:
        found = failing(planted.deadlock)
        self.assertEqual((found.kind, found.switches), ("deadlock", 1))
        title, save, spend, therefore, *others = found.waits
        self.assertEqual(title, "deadlock: these wait for each other, in a circle:")
        pattern = r"  {} waits for the Lock {} at planted\.py:\d+, which {} holds since planted\.py:\d+"
        self.assertRegex(save, pattern.format("save", "savings", "spend"))
        self.assertRegex(spend, pattern.format("spend", "checking", "save"))
        self.assertEqual((therefore, len(others)), ("and therefore:", 1))
        self.assertIn("  deadlock waits for", others[0])

    def test_five_philosophers_need_no_more_than_three_switches(self) -> None:
        found = failing(planted.philosophers)
        self.assertEqual(found.kind, "deadlock")
        self.assertLessEqual(found.switches, 3)
        self.assertEqual(len([line for line in found.waits if "which philosopher#" in line]), 5)

    def test_a_lost_wakeup_is_told_from_a_deadlock(self) -> None:
        found = failing(planted.lost_wakeup)
        self.assertEqual(found.waits[0], "lost wake-up: nobody is left who could wake these:")
        self.assertTrue(any("consumer waits for the Event arrived at planted.py" in line for line in found.waits))

    def test_a_livelock_has_a_limit_of_steps(self) -> None:
        found = failing(planted.livelock, step_limit=50)
        self.assertEqual(found.kind, "livelock")
        self.assertIn("no end within 50 steps", found.sentence)

    def test_a_task_that_is_left_running(self) -> None:
        found = failing(planted.leak)
        self.assertEqual(found.kind, "leak")
        self.assertIn("the schedule ended, and 1 of its tasks had not:\n  forgotten waits for", str(found.error))
        self.assertTrue(explored(planted.leak, schedules=5, leaks="ignore").ok)

    def test_a_background_task_that_failed_unseen(self) -> None:
        found = failing(planted.forgotten_failure)
        self.assertEqual(found.sentence, "LookupError: nobody will hear of this")
        self.assertEqual(found.error.__notes__, ["in the background task worker, whose result nobody asked for"])

    def test_an_invariant_that_the_program_registers(self) -> None:
        found = failing(planted.pool_with_invariant)
        self.assertEqual(found.kind, "invariant")
        self.assertEqual(found.sentence, "InvariantViolated: invariant 'no more out than there are' does not hold")

    def test_an_invariant_from_outside(self) -> None:
        pools: list[planted.Pool] = []

        async def program() -> None:
            pools[:] = [planted.Pool(1)]
            await asyncio.gather(*(pools[0].checkout() for _ in range(2)))

        def never_too_many() -> bool:
            return all(pool.out <= pool.size for pool in pools)

        found = failing(program, invariant=never_too_many)
        self.assertIn("never_too_many' does not hold", found.sentence)

    def test_an_invariant_that_raises_shows_what(self) -> None:
        async def program() -> None:
            watch_invariant(lambda: 1 // 0, name="sane")

        self.assertIn("invariant 'sane' does not hold: ZeroDivisionError", failing(program).sentence)

    def test_an_exception_group_is_told_by_what_is_in_it(self) -> None:
        async def program() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(planted.lost_update())

        self.assertEqual(failing(program).switches, 1)


class TestSwitches(unittest.TestCase):
    def test_one_switch_is_enough_for_what_comes_late(self) -> None:
        self.assertEqual(failing(planted.late_message).switches, 1)

    def test_who_polls_gives_way_without_a_switch(self) -> None:
        self.assertLessEqual(failing(planted.polling).switches, 2)


class TestReport(unittest.TestCase):
    maxDiff = None

    def test_it_can_be_understood_without_the_library(self) -> None:
        report = explored(planted.lost_update)
        text = str(report)
        for pattern in (
            r"^this schedule of tests\.schedule\.planted\.lost_update fails: AssertionError: [12] of 3\n",
            r"\n  found     by \w+, schedule \d+ of 1000, seed 1\n",
            r"\n  shrunk    from \d+ to 1 forced switch in \d+ replays, \d+\.\d\d s; none with fewer fails\n",
            r"\n  feasible  only if some await takes longer: asyncio's own order passes, ",
            r"\n  switch    deposit has to stand still at planted\.py:\d+ while deposit_later goes on\n",
            (
                r"\n  conflict  `balance`: deposit_later writes it at planted\.py:\d+, after deposit read it at "
                r"planted\.py:\d+ and before deposit writes it at planted\.py:\d+\n"
            ),
            r"\n  what happens, by time in seconds \(! marks a forced switch: somebody else was to go on\):\n",
            r"\n    0\.000  ! .*for _ in range\(3\):\n",
            r"\n    0\.000 .*\d+: seen = balance\n",
            r"\n  replay with: SUPERTESTER_REPLAY=s1\.[\w-]+, in the environment of the same program$",
        ):
            with self.subTest(pattern):
                self.assertRegex(text, pattern)

    def test_a_message_of_many_lines_is_told_as_a_whole_and_once(self) -> None:
        async def program() -> None:
            raise LookupError("\n".join(map(str, range(30))))

        report = explored(program)
        self.assertIn("fails: LookupError: 0\n    1\n    2\n", str(report))
        self.assertIn("\n    20\n    ... 9 more lines\n  found ", str(report))
        self.assertIn("fails: LookupError: 0\n  found ", report.note)

    def test_an_assertion_without_words_is_told_by_its_line(self) -> None:
        async def program() -> None:
            assert [] == [1]

        self.assertEqual(failing(program).sentence, "AssertionError: assert [] == [1]")

    def test_it_says_when_asyncio_itself_fails(self) -> None:
        found = failing(planted.pool)
        self.assertEqual(found.feasible, "fifo")
        self.assertEqual(found.feasibility, "yes, asyncio's own order fails in the same way")

    def test_it_says_when_timers_in_another_order_do(self) -> None:
        async def program() -> None:
            order: list[int] = []

            async def after(seconds: float, number: int) -> None:
                await asyncio.sleep(seconds)
                order.append(number)

            await asyncio.gather(after(1, 1), after(1, 2))
            assert order == [1, 2]

        found = failing(program)
        self.assertEqual(found.feasible, "io")
        self.assertRegex(
            found.feasibility, r"^yes, where timers, messages, I/O or jobs come in another order \(schedule \d+ of"
        )
        assert found.feasible_token is not None
        self.assertFalse(replay_schedule(program, found.feasible_token).ok)
        self.assertFalse(explored(program, level="io").ok)

    def test_level_io_leaves_tasks_in_their_order(self) -> None:
        self.assertTrue(explored(planted.lost_update, level="io", schedules=50).ok)

    def test_it_is_ready_for_json(self) -> None:
        report = explored(planted.deadlock)
        found = json.loads(json.dumps(report.to_dict()))
        assert report.failing is not None
        self.assertEqual(found["failing"]["token"], report.failing.token)
        self.assertEqual(found["failing"]["kind"], "deadlock")
        self.assertEqual({row["lane"] for row in found["failing"]["rows"]}, {"save", "spend"})
        self.assertEqual(sum(row["forced"] for row in found["failing"]["rows"]), 1)

    def test_a_program_that_always_fails_needs_no_switch(self) -> None:
        async def program() -> None:
            raise LookupError("always")

        found = failing(program)
        self.assertEqual((found.switches, found.feasible), (0, "fifo"))


class TestReplay(IsolatedTestCase):
    def test_a_token_replays_the_very_failure(self) -> None:
        for program in (planted.lost_update, planted.deadlock, planted.pool, planted.lost_wakeup):
            found = failing(program)
            for _ in range(5):
                again = replay_schedule(program, found.token).failing
                assert again is not None
                self.assertEqual((again.sentence, again.swimlane), (found.sentence, found.swimlane))

    def test_the_environment_asks_for_one_schedule(self) -> None:
        token = failing(planted.lost_update).token
        with self.config(os.environ, SUPERTESTER_REPLAY=token):
            report = explored(planted.lost_update, schedules=500)
        assert report.failing is not None
        self.assertEqual((report.schedules, report.failing.found_by), (1, "replay"))
        self.assertIn("\n  found     replayed from a token\n", str(report))

    def test_a_token_of_another_program_names_the_step(self) -> None:
        token = failing(planted.philosophers).token
        with self.assertRaisesRegex(
            UsageError, r"does not fit .*planted\.pool: at choice \d+ .*; it was made for another test"
        ):
            replay_schedule(planted.pool, token)

    def test_a_program_that_has_changed_is_told(self) -> None:
        is_changed: list[bool] = []

        async def program() -> None:
            await (asyncio.sleep(0) if is_changed else planted.lost_update())

        token = failing(program).token
        is_changed.append(True)
        changed = (
            r"it ended after 0 choices, and lane 0\.\d had not come to its turn \d, .*; the program has changed since"
        )
        with self.assertRaisesRegex(UsageError, changed):
            replay_schedule(program, token)

    def test_a_program_that_was_repaired_passes(self) -> None:
        is_repaired: list[bool] = []

        async def program() -> None:
            lock, balance = asyncio.Lock(), 0

            async def deposit(turns: int) -> None:
                nonlocal balance
                for _ in range(turns):
                    await asyncio.sleep(0)
                if is_repaired:
                    await lock.acquire()
                seen = balance
                await asyncio.sleep(0)
                balance = seen + 1

                if is_repaired:
                    lock.release()

            await asyncio.gather(deposit(0), deposit(3))
            assert balance == 2

        token = failing(program).token
        is_repaired.append(True)
        self.assertTrue(replay_schedule(program, token).ok)

    def test_random_numbers_come_from_the_token(self) -> None:
        async def program() -> None:
            raise LookupError(str(random.random()))

        first = failing(program, seed=5)
        again = replay_schedule(program, first.token).failing
        assert again is not None
        self.assertEqual(again.sentence, first.sentence)
        self.assertNotEqual(failing(program, seed=6).sentence, first.sentence)


class TestSaved(IsolatedTestCase):
    def test_a_failure_is_tried_first_the_next_time_and_dropped_when_it_is_gone(self) -> None:
        broken = [True]

        async def program() -> None:
            if broken[0]:
                await planted.lost_update()

        first = explored(program, database=self.tmp_path).failing
        assert first is not None
        assert first.saved is not None
        self.assertIn(f"saved in {first.saved}", str(explored(program, database=self.tmp_path)))
        second = explored(program, database=self.tmp_path)
        assert second.failing is not None
        self.assertEqual((second.failing.found_by, second.failing.token, second.schedules), ("saved", first.token, 0))
        broken[0] = False
        self.assertTrue(explored(program, database=self.tmp_path, schedules=5).ok)
        self.assertFalse(first.saved.exists())

    def test_a_saved_schedule_has_the_random_numbers_that_it_was_found_with(self) -> None:
        async def program() -> None:
            number = random.random()
            if number < 0.5:
                raise LookupError(str(number))

        seed = next(seed for seed in range(20) if not explored(program, seed=seed, schedules=1).ok)
        passing = next(seed for seed in range(20) if explored(program, seed=seed, schedules=1).ok)
        first = explored(program, seed=seed, database=self.tmp_path).failing
        second = explored(program, seed=passing, database=self.tmp_path).failing
        assert first is not None
        assert second is not None
        self.assertEqual((second.found_by, second.sentence), ("saved", first.sentence))


class TestDeterminism(unittest.TestCase):
    def test_state_that_outlives_a_schedule_is_found(self) -> None:
        seen: list[int] = []

        async def program() -> None:
            seen.append(1)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(len(seen) % 7)))

        report = explored(program)
        self.assertFalse(report.ok)
        assert report.divergence is not None
        self.assertRegex(report.divergence, r"the same choices led to another schedule the second time: at choice \d+ ")
        self.assertIn("state that outlives a schedule", str(report.error))

    def test_a_failure_that_does_not_come_again_is_shown_with_that(self) -> None:
        calls: list[int] = []

        async def program() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise LookupError("only once")

        report = explored(program)
        assert report.divergence is not None
        self.assertIn("the first time it failed with LookupError('only once')", report.divergence)

    def test_schedules_leave_nothing_behind(self) -> None:
        made: list[weakref.ref[planted.Pool]] = []

        async def program() -> None:
            pool = planted.Pool(1)
            made.append(weakref.ref(pool))
            await pool.checkout()

        self.assertTrue(explored(program, schedules=20).ok)
        self.assertLessEqual(sum(each() is not None for each in made), 1)


class TestBadInput(IsolatedTestCase):
    def test_numbers(self) -> None:
        for options, message in (
            ({"schedules": 0}, "schedules must be 1 or more, got schedules=0"),
            ({"seconds": 0}, "^seconds must be more than 0 seconds, got seconds=0$"),
            ({"seconds": -1}, "^seconds must be more than 0 seconds, got seconds=-1$"),
            ({"seconds": float("inf")}, "^seconds must be finite, got seconds=inf; None is no limit$"),
            ({"seed": -1}, "seed must be 0 or more, got seed=-1"),
            ({"step_limit": 0}, "step_limit must be 1 or more"),
            ({"level": "byte"}, "level must be one of io, await, got level='byte'"),
            ({"leaks": "warn"}, "leaks must be one of fail, ignore"),
            ({"strategy": "rundom"}, r"unknown strategy 'rundom' \(did you mean 'random'\?\); the known ones are"),
        ):
            with self.subTest(options), self.assertRaisesRegex(UsageError, message):
                explored(planted.correct, **options)

    def test_types(self) -> None:
        for options, message in (
            ({"schedules": "many"}, "schedules must be an integer, got schedules='many'"),
            ({"schedules": True}, "schedules must be an integer"),
            ({"faults": 1}, r"faults must be Faults\(...\), such as Faults\(kill=1\), got faults=1"),
            ({"complete": 1}, "complete must be True or False"),
            ({"invariant": 5}, "invariant must be a function without arguments"),
            ({"strategy": 5}, "strategy must be a name or a Strategy"),
            ({"database": 5}, "database must be a folder, True or False"),
        ):
            with self.subTest(options), self.assertRaisesRegex(TypeError, message):
                explored(planted.correct, **options)

    def test_what_is_explored(self) -> None:
        for program in (lambda: 5, planted.Pool(2).checkout(), "program"):
            with self.subTest(program), self.assertRaisesRegex(TypeError, "an async function, got"):
                explored(program)
            if asyncio.iscoroutine(program):
                program.close()

    def test_real_io_is_refused_where_it_is_called(self) -> None:
        async def program() -> None:
            with socket.socket() as sock:
                await asyncio.get_running_loop().sock_recv(sock, 1)

        with self.assertRaisesRegex(UsageError, "sock_recv"):
            explored(program)

    async def test_a_running_loop_is_in_the_way(self) -> None:
        with self.assertRaisesRegex(UsageError, "explore_schedules.. runs an event loop of its own.*`def` instead of"):
            explored(planted.correct)

    def test_an_invariant_elsewhere_would_not_be_looked_after(self) -> None:
        with self.assertRaisesRegex(UsageError, "watch_invariant.. works while schedules are explored"):
            watch_invariant(lambda: True)
        with self.assertRaisesRegex(TypeError, "takes a function without arguments, got True"):
            watch_invariant(True)  # type: ignore[arg-type]

    def test_an_async_invariant_is_refused_because_it_would_never_be_looked_at(self) -> None:
        async def never_holds() -> bool:
            return False

        async def never_yields() -> AsyncIterator[bool]:
            yield False

        class Never:
            async def __call__(self) -> bool:
                return False

        message = r"got invariant=.*, which is async; nothing can be awaited between two steps of a schedule"
        for invariant in (never_holds, never_yields, partial(never_holds), Never()):
            with self.subTest(invariant):
                with self.assertRaisesRegex(TypeError, f"^invariant must be a plain function .*{message}"):
                    explored(planted.correct, invariant=invariant)

                async def program() -> None:
                    watch_invariant(invariant)  # noqa: B023 - called before the next one

                with self.assertRaisesRegex(TypeError, r"^watch_invariant\(\) takes a plain function .*which is async"):
                    explored(program)

    def test_an_invariant_that_returns_something_to_await_is_refused(self) -> None:
        async def never_holds() -> bool:
            return False

        message = r"lambda>' returned <coroutine object .*>, and nothing can be awaited between two steps"
        with self.assertRaisesRegex(TypeError, message):
            explored(planted.correct, invariant=lambda: never_holds())  # noqa: PLW0108 - an async function is refused

        async def program() -> None:
            watch_invariant(asyncio.get_running_loop().create_future, name="sane")

        with self.assertRaisesRegex(TypeError, "invariant 'sane' returned <Future "):
            explored(program)

    def test_an_unknown_option_of_a_replay(self) -> None:
        with self.assertRaisesRegex(TypeError, r"unknown option 'step_limt' of replay_schedule\(\) \(did you mean"):
            replay_schedule(planted.correct, "s1.", step_limt=5)


class TestBudget(unittest.TestCase):
    def test_time_runs_out(self) -> None:
        report = explored(planted.correct, schedules=10**9, seconds=0.05)
        self.assertTrue(report.ok)
        self.assertLess(report.schedules, 10**9)

    def test_a_strategy_may_have_nothing_left(self) -> None:
        class Twice(Strategy):
            name = "twice"

            def begin(self, random: random.Random, number: int) -> bool:
                return number < 2

        report = explored(planted.correct, strategy=Twice())
        self.assertEqual((report.schedules, report.exhausted, report.ok), (2, True, True))
        self.assertIn("passed under 2 schedules, and no other can differ (by twice", str(report))

    def test_complete_fails_where_schedules_are_left(self) -> None:
        for options, remedy in (
            ({"schedules": 3}, "allow more with schedules="),
            ({"seconds": 1e-9}, "allow more time with seconds="),
        ):
            with self.subTest(options):
                report = explored(planted.correct, complete=True, strategy="bounded", **options)
                self.assertFalse(report.ok)
                pattern = r"^not all schedules of .*correct were run: \d passed, and there are more; "
                self.assertRegex(str(report), pattern + remedy)

    def test_complete_takes_no_strategy_that_never_knows_whether_a_schedule_is_left(self) -> None:
        class Drawing(Strategy):
            name = "drawing"

        for strategy in ("random", "fifo", "pos", "pct:3", "sticky:0.9", RandomWalk(), Auto(), Drawing()):
            name = strategy if isinstance(strategy, str) else strategy.name
            with (
                self.subTest(name),
                self.assertRaisesRegex(
                    UsageError,
                    r"^complete=True needs a strategy that knows when no schedule is left, which are 'auto', 'dpor' "
                    rf"and 'bounded', got strategy='{name}'; choose one of them, or leave complete= out$",
                ),
            ):
                explored(planted.correct, strategy=strategy, complete=True)

    def test_complete_takes_a_strategy_of_ones_own_that_ends(self) -> None:
        class Once(Strategy):
            def begin(self, random: random.Random, number: int) -> bool:
                return number < 1

        self.assertTrue(explored(planted.correct, strategy=Once(), complete=True).ok)
