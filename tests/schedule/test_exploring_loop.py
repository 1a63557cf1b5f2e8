"""`ExploringLoop` runs a program as asyncio does, or as a strategy wants."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import math
import unittest

from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop, Livelock
from supertester.schedule.strategies import Fifo, Strategy
from supertester.schedule.virtual_loop import Deadlock
from tests.schedule.exploring import SECOND, Last, Scripted, explored


async def client(log, name, times=2):
    for number in range(times):
        log.append(f"{name}{number}")
        await asyncio.sleep(0)


class TestRunning(unittest.TestCase):
    def test_time_leaps(self) -> None:
        self.assertEqual(explored(asyncio.sleep(3600 * SECOND, "an hour later")), "an hour later")

    def test_errors_come_out(self) -> None:
        async def main():
            raise LookupError("here")

        with self.assertRaisesRegex(LookupError, "here"):
            explored(main())

    def test_runs_under_a_runner(self) -> None:
        with asyncio.Runner(loop_factory=lambda: ExploringLoop(Fifo())) as runner:
            self.assertEqual(runner.run(asyncio.sleep(5 * SECOND, "first")), "first")
            self.assertEqual(runner.run(asyncio.sleep(5 * SECOND, "second")), "second")
            self.assertEqual(runner.get_loop().time(), 10)

    def test_runs_until_a_future_is_done(self) -> None:
        loop = ExploringLoop(Fifo())
        future = loop.create_future()
        loop.call_later(2, future.set_result, "done")
        self.assertEqual(loop.run_until_complete(future), "done")
        loop.close()

    def test_runs_until_it_is_stopped(self) -> None:
        loop = ExploringLoop(Fifo())
        log: list[str] = []
        loop.call_soon(log.append, "first")
        loop.call_soon(loop.stop)
        loop.call_soon(log.append, "same round")
        loop.call_soon(lambda: loop.call_soon(log.append, "next round"))
        loop.run_forever()
        self.assertEqual(log, ["first", "same round"])
        loop.close()

    def test_being_stopped_before_the_end_is_an_error(self) -> None:
        async def main():
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0)
            await asyncio.sleep(SECOND)

        with self.assertRaisesRegex(RuntimeError, "stopped before Future completed"):
            explored(main())

    def test_refuses_to_run_when_closed_or_inside_another(self) -> None:
        loop = ExploringLoop(Fifo())
        loop.close()
        with self.assertRaisesRegex(RuntimeError, "closed"):
            loop.run_forever()

        async def main():
            inner = ExploringLoop(Fifo())
            with self.assertRaisesRegex(RuntimeError, "another loop is running"):
                inner.run_forever()
            inner.close()

        explored(main())

    def test_interrupts_come_out_at_once(self) -> None:
        async def main():
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            explored(main())

    def test_what_is_cancelled_at_the_end_still_ends_as_in_asyncio(self) -> None:
        log = []

        async def child():
            try:
                await asyncio.Event().wait()
            finally:
                log.append("ended")

        async def main():
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
            task.cancel()

        for strategy in (Fifo(), Last()):
            loop = ExploringLoop(strategy)
            loop.run(main())
            self.assertEqual(loop.left, ())
        self.assertEqual(log, ["ended"])  # The other schedule cancels it before it has begun.

    def test_debug_mode_is_what_was_asked_for(self) -> None:
        loop = ExploringLoop(Fifo())
        self.assertFalse(loop.get_debug())
        loop.set_debug(True)
        self.assertTrue(loop.get_debug())
        self.assertEqual(loop.run(asyncio.sleep(SECOND, 2)), 2)


class TestBadInput(unittest.TestCase):
    def test_is_refused_with_its_value(self) -> None:
        for options, message in (
            ({"step_limit": 0}, "step_limit must be at least 1, got step_limit=0"),
            ({"time_limit": 0}, "time_limit must be more than 0 seconds, got time_limit=0"),
            ({"time_limit": math.nan}, "time_limit must be more than 0 seconds, got time_limit=nan"),
            ({"timer_first": -1}, "timer_first must be at least 0, got timer_first=-1"),
        ):
            with self.subTest(options), self.assertRaisesRegex(UsageError, message):
                ExploringLoop(Fifo(), **options)
        with self.assertRaisesRegex(TypeError, r"needs a Strategy, such as Fifo\(\), got 'fifo'"):
            ExploringLoop("fifo")  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'steps'"):
            ExploringLoop(Fifo(), steps=5)  # type: ignore[call-arg]


class TestTimers(unittest.TestCase):
    def test_fire_in_the_order_of_their_times_and_then_of_their_setting(self) -> None:
        log: list[str] = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.call_later(0.3, log.append, "0.3")
            loop.call_later(0.1, lambda: loop.call_later(0.2, log.append, "0.1 + 0.2"))
            loop.call_at(0.2, log.append, "0.2")
            loop.call_later(9, log.append, "never").cancel()
            await asyncio.sleep(SECOND)

        explored(main())
        self.assertEqual(log, ["0.2", "0.3", "0.1 + 0.2"])

    def test_two_that_are_due_together_can_come_in_either_order(self) -> None:
        async def main():
            log: list[int] = []
            loop = asyncio.get_running_loop()
            loop.call_later(1, log.append, 1)
            loop.call_later(1, log.append, 2)
            await asyncio.sleep(2 * SECOND)
            return log

        self.assertEqual(explored(main()), [1, 2])
        self.assertEqual(explored(main(), Last()), [2, 1])

    def test_of_no_time_come_after_what_is_ready(self) -> None:
        log: list[str] = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.call_later(0, log.append, "timer")
            loop.call_soon(log.append, "soon")
            await asyncio.sleep(0)
            log.append("task")
            await asyncio.sleep(0)

        explored(main())
        self.assertEqual(log, ["soon", "task", "timer"])

    def test_many_cancelled_ones_are_cleared_away(self) -> None:
        async def main():
            loop = asyncio.get_running_loop()
            for _ in range(1000):
                loop.call_later(60, print).cancel()
            self.assertLess(len(loop._timers), 300)
            await asyncio.sleep(120 * SECOND)

        explored(main())

    def test_can_be_cancelled_when_due_but_not_yet_run(self) -> None:
        log: list[str] = []

        async def main():
            loop = asyncio.get_running_loop()
            handles: list[asyncio.TimerHandle] = []
            loop.call_later(1, lambda: [handle.cancel() for handle in handles])
            handles.append(loop.call_later(1, log.append, "cancelled"))
            await asyncio.sleep(2 * SECOND)

        explored(main())
        self.assertEqual(log, [])

    def test_never_is_a_deadlock(self) -> None:
        with self.assertRaisesRegex(Deadlock, r"'Task-1' \(sleep\)"):
            explored(asyncio.sleep(math.inf))

    def test_need_a_time(self) -> None:
        loop = ExploringLoop(Fifo())
        with self.assertRaisesRegex(TypeError, "delay"):
            loop.call_later(None, print)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "when"):
            loop.call_at(None, print)  # type: ignore[arg-type]
        loop.close()


class TestLanes(unittest.TestCase):
    def test_the_strategy_chooses_who_runs(self) -> None:
        async def main():
            log: list[str] = []
            await asyncio.gather(client(log, "a"), client(log, "b"))
            return " ".join(log)

        self.assertEqual(explored(main()), "a0 b0 a1 b1")
        strategy = Scripted("client#2", "client#2")
        self.assertEqual(explored(main(), strategy), "b0 b1 a0 a1")
        self.assertEqual(strategy.offered[0], ["client#1", "client#2"])
        self.assertEqual(strategy.currents[:2], [None, "client#2"])

    def test_callbacks_of_one_task_keep_their_order(self) -> None:
        async def main():
            log: list[int] = []
            for number in range(5):
                asyncio.get_running_loop().call_soon(log.append, number)
            await asyncio.sleep(0)
            return log

        self.assertEqual(explored(main(), Last()), [0, 1, 2, 3, 4])

    def test_a_cancelled_callback_is_no_choice(self) -> None:
        async def other():
            asyncio.get_running_loop().call_soon(print).cancel()

        async def main():
            task = asyncio.create_task(other())
            handles = [asyncio.get_running_loop().call_soon(log.append, number) for number in range(3)]
            handles[1].cancel()
            handles[0].cancel()
            await task

        log: list[int] = []
        strategy = Scripted()
        explored(main(), strategy)
        self.assertEqual(log, [2])
        self.assertEqual(strategy.offered, [["other#1", "main"]])

    def test_have_the_same_paths_in_every_order(self) -> None:
        async def grandchild():
            await asyncio.sleep(SECOND)

        async def child():
            await asyncio.gather(grandchild(), grandchild())

        async def main():
            await asyncio.gather(child(), child())

        def paths(strategy):
            loop = ExploringLoop(strategy)
            seen = set()
            loop.before_step = lambda lane: seen.add((lane.kind, lane.path))
            loop.run(main())
            return seen

        expected = {("task", (0,))}
        for number in range(2):
            expected |= {("task", (0, number))}
            expected |= {("task", (0, number, inner)) for inner in range(2)}
            expected |= {("timer", (0, number, inner, 0)) for inner in range(2)}
        self.assertEqual(paths(Fifo()), expected)
        self.assertEqual(paths(Last()), expected)

    def test_say_what_they_are(self) -> None:
        async def named():
            await asyncio.sleep(0)

        async def main():
            loop = asyncio.get_running_loop()
            tasks = [asyncio.create_task(client([], "")) for _ in range(2)]
            tasks.append(asyncio.create_task(named(), name="the boss"))
            self.assertEqual([loop.lane_of(task).label for task in tasks], ["client#1", "client#2", "the boss"])
            self.assertEqual(loop.lane.label, "main")
            self.assertEqual(repr(loop.lane), "<Lane 0 main>")
            await asyncio.gather(*tasks)

        explored(main())

    def test_objects_can_have_lanes_of_their_own(self) -> None:
        class Mailbox:
            schedule_lane = "mailbox"

            def __init__(self, name):
                self.name = name
                self.schedule_label = f"mailbox {name}"

            def deliver(self, what):
                log.append(f"{self.name}{what}")

        async def main():
            loop = asyncio.get_running_loop()
            boxes = Mailbox("a"), Mailbox("b")
            for number in range(3):
                loop.call_soon(boxes[0].deliver, number)
                loop.call_soon(boxes[1].deliver, number)
            lane = loop.lane_of(boxes[1])
            self.assertEqual((lane.kind, lane.label, lane.path), ("mailbox", "mailbox b", (0, 1)))
            self.assertEqual(len(lane.queue), 3)
            await asyncio.sleep(0)
            return log

        log: list[str] = []
        self.assertEqual(explored(main()), ["a0", "b0", "a1", "b1", "a2", "b2"])
        log.clear()
        self.assertEqual(explored(main(), Last()), ["b0", "b1", "b2", "a0", "a1", "a2"])

    def test_are_chosen_by_age_after_their_head_has_run(self) -> None:
        async def main():
            log: list[str] = []
            loop = asyncio.get_running_loop()

            async def other():
                log.append("other")

            loop.call_soon(log.append, "first")
            task = asyncio.create_task(other())
            loop.call_soon(log.append, "second")
            await task
            return log

        self.assertEqual(explored(main()), ["first", "other", "second"])

    def test_the_strategy_learns_of_each_new_one_if_it_wants(self) -> None:
        class Curious(Strategy):
            def __init__(self):
                self.seen = []

            def created(self, lane, parent):
                self.seen.append((lane.path, lane.kind, parent.path))

        async def main():
            await asyncio.create_task(asyncio.sleep(SECOND))

        strategy = Curious()
        explored(main(), strategy)
        self.assertEqual(strategy.seen, [((0,), "task", ()), ((0, 0), "task", (0,)), ((0, 0, 0), "timer", (0, 0))])

    def test_choices_and_steps_are_noted(self) -> None:
        async def main():
            await asyncio.gather(client([], "a", 1), client([], "b", 1))

        loop = ExploringLoop(Fifo())
        loop.run(main())
        self.assertEqual([(count, lane.path) for count, lane in loop.choices], [(2, (0, n % 2)) for n in range(5)])
        self.assertEqual(loop.steps, 9)

    def test_steps_can_be_watched(self) -> None:
        loop = ExploringLoop(Fifo())
        log = []
        loop.before_step = lambda lane: log.append((loop.steps, lane.label, loop.time()))
        loop.after_step = lambda: log.append("after")
        loop.run(asyncio.sleep(SECOND))
        self.assertEqual(log, [(1, "sleep", 0), "after", (2, "timer 1 s", 1), "after", (3, "sleep", 1), "after"])

    def test_an_error_of_a_watcher_ends_the_schedule(self) -> None:
        def fail():
            raise AssertionError("the invariant is broken")

        loop = ExploringLoop(Fifo())
        loop.after_step = fail
        with self.assertRaisesRegex(AssertionError, "the invariant is broken"):
            loop.run(asyncio.sleep(SECOND))
        self.assertEqual(loop.steps, 1)

    def test_context_variables_are_those_of_whoever_scheduled(self) -> None:
        variable = contextvars.ContextVar("variable", default="outside")

        async def main():
            log: list[str] = []
            variable.set("set")
            asyncio.get_running_loop().call_soon(lambda: log.append(variable.get()))
            asyncio.get_running_loop().call_later(1, lambda: log.append(variable.get()))
            context = contextvars.Context()
            asyncio.get_running_loop().call_soon(lambda: log.append(variable.get()), context=context)
            await asyncio.sleep(2 * SECOND)
            return log

        self.assertEqual(explored(main()), ["set", "outside", "set"])


class TestNoEnd(unittest.TestCase):
    def test_waiting_for_ever_is_a_deadlock_that_says_who_waits_for_what(self) -> None:
        async def holder(first, second):
            async with first:
                await asyncio.sleep(0)
                async with second:
                    pass

        async def main():
            locks = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(holder(*locks), holder(*reversed(locks)))

        with self.assertRaises(Deadlock) as caught:
            explored(main())
        lines = str(caught.exception).splitlines()
        self.assertEqual(
            lines[0], "everything waits for ever (at 0 s of virtual time): nothing is ready to run and no timer is set"
        )
        self.assertRegex(lines[1], r"task 'Task-1' \(.*main\) waits for task 'Task-2' .* and task 'Task-3'")
        self.assertRegex(lines[2], r"task 'Task-2' \(.*holder\) waits for Lock.acquire\(\) at .*test_exploring_loop.py")
        self.assertEqual(len(lines), 4)

    def test_no_end_is_a_livelock(self) -> None:
        async def main():
            for _ in itertools.count():
                await asyncio.sleep(0)

        with self.assertRaisesRegex(
            Livelock,
            r"no end within 100 steps \(`step_limit`\), at 0 s of virtual time; nobody else could run than main\n .*",
        ):
            explored(main(), step_limit=100)

    def test_who_was_busiest_in_it_is_named(self) -> None:
        async def poll():
            for _ in itertools.count():
                await asyncio.sleep(0)

        async def main():
            await asyncio.gather(poll(), poll())

        with self.assertRaisesRegex(Livelock, r"time; the last 100 choices fell on poll#\d \(50\), poll#\d \(50\)\n"):
            explored(main(), step_limit=1000)

    def test_no_end_of_time_is_one_too(self) -> None:
        async def main():
            for _ in itertools.count():
                await asyncio.sleep(60 * SECOND)

        with self.assertRaisesRegex(
            Livelock, r"no end within 600 s of virtual time \(`time_limit`\): .* fire at 660 s\n .*main"
        ):
            explored(main(), time_limit=600)
