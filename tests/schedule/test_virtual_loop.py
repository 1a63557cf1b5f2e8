import asyncio
import heapq
import math
import random
import signal
import threading
import time
import unittest
from typing import Any

from supertester.errors import UsageError
from supertester.schedule import Deadlock, VirtualClock, VirtualLoop
from tests.alone import alone
from tests.schedule.support import DAY, HOUR, Gate, here, run

MANY_LEAPS = 100_000
"""Takes far longer than the 10 ms of real time of a timer."""


class TestTime(unittest.TestCase):
    def test_begins_at_0_and_leaps_over_waiting(self) -> None:
        async def main() -> list[float]:
            times = [here().time()]
            await asyncio.sleep(HOUR)
            times.append(here().time())
            return times

        self.assertEqual(run(main()), [0, HOUR])

    def test_stands_still_while_code_runs(self) -> None:
        async def main() -> float:
            deadline = time.monotonic() + 0.01
            while time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0)
            return here().time()

        self.assertEqual(run(main()), 0)

    def test_many_sleepers_wake_in_order(self) -> None:
        async def main() -> list[float]:
            order: list[float] = []

            async def sleeper(seconds: float) -> None:
                await asyncio.sleep(seconds)
                order.append(seconds)
                self.assertEqual(here().time(), seconds)

            await asyncio.gather(*(sleeper(seconds) for seconds in random.Random(1).sample(range(DAY), 200)))
            return order

        order = run(main())
        self.assertEqual(order, sorted(order))

    def test_far_away_timers_are_reached_at_once(self) -> None:
        async def main() -> float:
            await asyncio.sleep(1000 * DAY)
            return here().time()

        self.assertEqual(run(main()), 1000 * DAY)

    def test_timeouts_strike_in_virtual_time(self) -> None:
        async def main() -> tuple[float, float]:
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(asyncio.sleep(DAY), HOUR)
            first = here().time()
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(HOUR):
                    await asyncio.Event().wait()
            return first, here().time()

        self.assertEqual(run(main()), (HOUR, 2 * HOUR))

    def test_cancelled_timers_hold_nothing_up(self) -> None:
        async def main() -> float:
            here().call_later(DAY, self.fail).cancel()
            await asyncio.sleep(HOUR)
            return here().time()

        self.assertEqual(run(main()), HOUR)

    def test_holds_in_debug_mode(self) -> None:
        self.assertEqual(run(asyncio.sleep(HOUR, "done"), debug=True), "done")

    def test_loops_in_several_threads_have_a_time_each(self) -> None:
        started = threading.Barrier(3)
        times: list[float] = []

        async def main(seconds: float) -> None:
            started.wait(60)
            await asyncio.sleep(seconds)
            times.append(here().time())

        threads = [threading.Thread(target=lambda n=n: run(main(n * HOUR))) for n in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(times), [HOUR, 2 * HOUR, 3 * HOUR])

    def test_goes_with_real_time_from_then_on(self) -> None:
        async def main() -> None:
            await asyncio.sleep(HOUR)
            here().go_with_real_time()
            began, now = time.monotonic(), here().time()
            self.assertGreaterEqual(now, HOUR)
            await VirtualClock(here()).advance(0.01)
            self.assertGreaterEqual(time.monotonic() - began, 0.009)
            self.assertGreaterEqual(here().time() - now, 0.009)

        run(main())


class TestAdvancing(unittest.TestCase):
    def test_runs_what_becomes_due_in_order_and_to_its_end(self) -> None:
        async def main() -> None:
            clock, seen = VirtualClock(here()), list[tuple[str, float]]()

            async def worker(name: str, seconds: float) -> None:
                while True:
                    await asyncio.sleep(seconds)
                    await asyncio.sleep(0)
                    seen.append((name, clock.time()))

            tasks = [asyncio.create_task(worker("a", 2)), asyncio.create_task(worker("b", 3))]
            await clock.advance(6)
            self.assertEqual(clock.time(), 6)
            self.assertEqual(seen, [("a", 2), ("b", 3), ("a", 4), ("b", 6), ("a", 6)])
            for task in tasks:
                task.cancel()

        run(main())

    def test_by_0_lets_what_is_ready_come_to_rest(self) -> None:
        async def main() -> bool:
            async def quick() -> None:
                for _ in range(20):
                    await asyncio.sleep(0)

            task = asyncio.create_task(quick())
            await VirtualClock(here()).advance(0)
            return task.done()

        self.assertTrue(run(main()))

    def test_by_several_at_once_each_by_its_own(self) -> None:
        async def main() -> list[float]:
            clock, times = VirtualClock(here()), list[float]()

            async def advance(seconds: float) -> None:
                await clock.advance(seconds)
                times.append(clock.time())

            await asyncio.gather(advance(5), advance(1), advance(1))
            return times

        self.assertEqual(run(main()), [1, 1, 5])

    def test_that_is_cancelled_holds_nothing_up(self) -> None:
        async def main() -> float:
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(here().advance(DAY), 1)
            await asyncio.sleep(HOUR)
            return here().time()

        self.assertEqual(run(main()), HOUR + 1)

    def test_waits_for_outside_work(self) -> None:
        async def main() -> None:
            gate = Gate(here())
            job = asyncio.create_task(asyncio.wait_for(asyncio.to_thread(gate.wait), 1))
            await asyncio.sleep(0)
            await here().advance(10)
            self.assertTrue(job.result())

        run(main())

    def test_refuses_nonsense(self) -> None:
        async def main() -> None:
            for seconds, error, text in (
                (-1, UsageError, "seconds must be 0 or more seconds, got seconds=-1"),
                (math.nan, UsageError, "got seconds=nan"),
                (math.inf, UsageError, "time has no end to advance to, got seconds=inf"),
                ("1", TypeError, "seconds must be a number of seconds, got seconds='1'"),
            ):
                nonsense: Any = seconds
                with self.assertRaisesRegex(error, text):
                    await here().advance(nonsense)

        run(main())


class TestWaitingForEver(unittest.TestCase):
    def test_is_reported_with_what_each_task_waits_for(self) -> None:
        async def main() -> None:
            lock, queue, event = asyncio.Lock(), asyncio.Queue[int](), asyncio.Event()
            await lock.acquire()

            async def locked() -> None:
                async with lock:
                    pass

            async def fed() -> None:
                await queue.get()

            async def told() -> None:
                await event.wait()

            async def joined() -> None:
                await asyncio.gather(one, two)

            one = asyncio.create_task(locked(), name="one")
            two = asyncio.create_task(fed(), name="two")
            three = asyncio.create_task(told(), name="three")
            four = asyncio.create_task(joined(), name="four")
            await asyncio.sleep(HOUR)
            await asyncio.shield(four)
            self.fail(f"{three} went on")

        with self.assertRaises(Deadlock) as caught:
            run(main())
        report = str(caught.exception)
        self.assertIn("everything waits for ever (at 3600 s of virtual time): nothing is ready to run", report)
        for text in (
            r"task 'one' \(.*locked\) waits for Lock.acquire\(\) at .*test_virtual_loop.py:\d+ in locked",
            r"task 'two' \(.*fed\) waits for Queue.get\(\) at .* in fed",
            r"task 'three' \(.*told\) waits for Event.wait\(\) at .* in told",
            r"task 'four' \(.*joined\) waits for task 'one' \(.*locked\) and task 'two' \(.*fed\) at .* in joined",
            r"task 'Task-\d+' \(.*main\) waits for .* at .* in main",
        ):
            self.assertRegex(report, text)

    def test_names_the_task_that_is_waited_for(self) -> None:
        async def main() -> None:
            async def inner() -> None:
                await here().create_future()

            await asyncio.create_task(inner(), name="inner")

        with self.assertRaises(Deadlock) as caught:
            run(main())
        self.assertRegex(str(caught.exception), r"main\) waits for task 'inner' \(.*inner\) at ")
        self.assertRegex(str(caught.exception), r"task 'inner' \(.*inner\) waits for a future that nobody sets at ")

    def test_a_timer_at_infinity_is_none(self) -> None:
        with self.assertRaises(Deadlock):
            run(asyncio.sleep(math.inf))

    def test_leaves_a_loop_that_can_be_used(self) -> None:
        async def main() -> None:
            await here().create_future()

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            with self.assertRaises(Deadlock):
                runner.run(main())
            self.assertEqual(runner.run(asyncio.sleep(HOUR, "done")), "done")

    def test_can_be_left_to_somebody_else(self) -> None:
        async def main() -> str:
            future = here().create_future()
            here().on_deadlock = lambda: future.set_result("found out")
            return str(await future)

        self.assertEqual(run(main()), "found out")

    def test_somebody_who_does_nothing_does_not_hide_it(self) -> None:
        async def main() -> None:
            here().on_deadlock = lambda: None
            await here().create_future()

        with self.assertRaises(Deadlock):
            run(main())

    @alone("sets a handler of a signal")
    def test_is_not_assumed_where_a_signal_may_come(self) -> None:
        async def main() -> str:
            future = here().create_future()
            here().add_signal_handler(signal.SIGUSR1, future.set_result, "came")
            Gate(here(), lambda: signal.raise_signal(signal.SIGUSR1))
            return str(await future)

        self.assertEqual(run(main()), "came")


class TestTheClockOnTheWall(unittest.TestCase):
    def test_fires_while_time_leaps(self) -> None:
        async def main() -> None:
            fired = asyncio.Event()
            here().wall.call_later(0.01, fired.set)
            for _ in range(MANY_LEAPS):
                if fired.is_set():
                    return
                await asyncio.sleep(HOUR)
            self.fail("it never fires")

        run(main())

    def test_fires_in_order_unless_cancelled(self) -> None:
        async def main() -> list[int]:
            fired: list[int] = []
            wall, done = here().wall, here().create_future()
            timers = [wall.call_later(n / 1000, lambda n=n: fired.append(n)) for n in (3, 1, 2)]  # type: ignore[misc]
            timers[2].cancel()
            timers[2].cancel()
            wall.call_later(0.004, lambda: done.set_result(None))
            here().on_deadlock = None
            while not done.done():  # noqa: ASYNC110
                await asyncio.sleep(HOUR)
            # The first may have been set so much earlier than the second that it comes before it.
            order[:] = [n for _, n in sorted([(timers[0].when, 3), (timers[1].when, 1)])]
            return fired

        order: list[int] = []
        self.assertEqual(run(main()), order)


# Parity -------------------------------------------------------------------------------------------------------------


class Program:
    """A random program of sleeps, timeouts, queues, locks and timers, which writes down what happens."""

    def __init__(self, seed: int, unit: float) -> None:
        self.random = random.Random(seed)
        self.unit = unit
        self.events: list[tuple[str, int, int]] = []
        self.serial = 0

    async def main(self) -> list[tuple[str, int, int]]:
        self.queue: asyncio.Queue[int] = asyncio.Queue(1)
        self.lock = asyncio.Lock()
        plans = [[self.step(task) for _ in range(4)] for task in range(4)]
        await asyncio.wait_for(asyncio.gather(*(self.play(task, plan) for task, plan in enumerate(plans))), None)
        return self.events

    def step(self, task: int) -> tuple[str, float, float]:
        self.serial += 1
        kind = self.random.choice(["sleep", "timeout", "lock", "put", "get", "timer", "yield"])
        ticks = self.random.randrange(1, 6) + self.serial * 0.13 + task * 0.031
        return kind, ticks * self.unit, self.random.randrange(1, 6) * 1.07 * self.unit

    async def play(self, task: int, plan: list[tuple[str, float, float]]) -> None:
        for number, (kind, first, second) in enumerate(plan):
            self.events.append((f"{kind} begins", task, number))
            try:
                await self.do(kind, first, second, task)
            except TimeoutError:
                self.events.append(("timed out", task, number))
            self.events.append((f"{kind} ends", task, number))

    async def do(self, kind: str, first: float, second: float, task: int) -> None:
        if kind == "sleep":
            await asyncio.sleep(first)
        elif kind == "timeout":
            await asyncio.wait_for(asyncio.sleep(first), second)
        elif kind == "lock":
            async with asyncio.timeout(first), self.lock:
                await asyncio.sleep(second)
        elif kind == "put":
            await asyncio.wait_for(self.queue.put(task), first)
        elif kind == "get":
            await asyncio.wait_for(self.queue.get(), first)
        elif kind == "timer":
            asyncio.get_running_loop().call_later(first, self.events.append, ("fired", task, 0))
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(0)


class ScriptedLoop(asyncio.SelectorEventLoop):
    """Asyncio's own loop, whose clock is set forward by hand to the next timer: the reference."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__()

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        loop: Any = self
        while loop._scheduled and loop._scheduled[0]._cancelled:
            heapq.heappop(loop._scheduled)._scheduled = False
            loop._timer_cancelled_count -= 1
        if not loop._ready and loop._scheduled:
            self.now = max(self.now, loop._scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]


class TestParity(unittest.TestCase):
    def test_random_programs_do_the_same_as_on_asyncios_own_loop_with_a_scripted_clock(self) -> None:
        for seed in range(100):
            with asyncio.Runner(loop_factory=ScriptedLoop) as runner:
                expected = runner.run(Program(seed, HOUR).main())
            self.assertEqual(run(Program(seed, HOUR).main()), expected, f"seed {seed}")

    def test_a_program_does_the_same_each_time(self) -> None:
        self.assertEqual(run(Program(7, 1.0).main()), run(Program(7, HOUR).main()))
