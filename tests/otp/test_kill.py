"""A kill cannot be swallowed, and what asyncio does inside handlers goes on working (rules 5, 10 and 33)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys as python
from collections.abc import Callable
from typing import Any

from supertester.otp import (
    KILL,
    KILLED,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Pid,
    Runtime,
    Stop,
    exit,
    monitor,
    process_info,
    sys,
    until_idle,
    whereis,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, asynchronous, one_turn, parked, raising, returning
from tests.recent import Recent


class Resistance:
    """Ways to resist a cancellation: each waits for a gate that never opens, and writes down what it can still do."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered: list[Any] = []
        self.diary: list[str] = []

    async def wait(self) -> None:
        self.entered.append(None)
        await self.gate.wait()

    async def swallow(self, _: Any) -> str:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.diary.append("swallowed")
        await self.wait()
        self.diary.append("went on")
        return "a reply"

    async def swallow_everything(self, _: Any) -> str:
        for _ in range(50):
            try:
                await self.wait()
            except BaseException:  # noqa: BLE001
                self.diary.append("swallowed")
        self.diary.append("went on")
        return "a reply"

    async def await_in_finally(self, _: Any) -> str:
        try:
            await self.wait()
        finally:
            await one_turn()
            self.diary.append("went on")
        return "a reply"

    async def wait_again_in_finally(self, _: Any) -> str:
        try:
            await self.wait()
        finally:
            await self.gate.wait()
            self.diary.append("went on")
        return "a reply"

    async def return_all_the_same(self, _: Any) -> str:
        with contextlib.suppress(BaseException):
            await self.wait()
        return "a reply"

    async def await_a_task_that_resists(self, _: Any) -> Any:
        self.task = asyncio.get_running_loop().create_task(self.swallow_everything(None))
        return await self.task

    async def await_a_shielded_task(self, _: Any) -> Any:
        self.task = asyncio.get_running_loop().create_task(self.wait())
        return await asyncio.shield(self.task)

    async def gather_tasks_that_resist(self, _: Any) -> Any:
        return await asyncio.gather(self.swallow_everything(None), self.swallow(None))

    async def resist_in_a_task_group(self, _: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.swallow(None))
            await self.wait()

    async def resist_in_a_timeout(self, _: Any) -> Any:
        for _ in range(50):
            with contextlib.suppress(BaseException):
                async with asyncio.timeout(3_600):
                    await self.wait()

    async def wait_in_an_async_generator(self, _: Any) -> Any:
        async def numbers() -> Any:
            while True:
                await self.wait()
                yield 1

        async for _ in numbers():
            self.diary.append("went on")


WAYS = [name for name in vars(Resistance) if not name.startswith("_") and name != "wait"]


class KillCase(RuntimeCase):
    async def asyncSetUp(self) -> None:
        self.unraisable: list[str] = []
        self.addCleanup(setattr, python, "unraisablehook", python.unraisablehook)
        python.unraisablehook = lambda seen: self.unraisable.append(str(seen.exc_value))
        await super().asyncSetUp()
        self.resistances: list[Resistance] = []
        self.recent = Recent()
        self.others = asyncio.all_tasks()
        self.addAsyncCleanup(self.tidy_up)

    async def tidy_up(self) -> None:
        """Let the tasks that the handlers made themselves run to their end: they are not the runtime's business."""
        for resistance in self.resistances:
            resistance.gate.set()
        mine = self.others | self.rt.tasks | {asyncio.current_task()}
        await self.turn_until(lambda: asyncio.all_tasks() <= mine, "the tasks of the handlers end")
        self.resistances.clear()
        self.recent.collect()
        await one_turn()
        self.noise = [str(context.get("exception") or context["message"]) for context in self.loop_errors]
        self.loop_errors.clear()  # One test is about them.
        self.recent = Recent()

    def resistance(self) -> Resistance:
        self.resistances.append(Resistance())
        return self.resistances[-1]

    async def occupied(self, server: Pid, way: str) -> Resistance:
        """Return what *server* is busy with."""
        resistance = self.resistance()
        server.cast(getattr(resistance, way))
        await self.turn_until(lambda: resistance.entered, "the handler waits")
        return resistance


class KillsThatCannotBeSwallowed(KillCase):
    async def test_rule_05_no_handler_can_resist_a_kill(self) -> None:
        for way in WAYS:
            for reason, result in ((KILL, KILLED), ("boom", "boom")):
                with self.subTest(way, reason=reason):
                    server = await self.start(Probe, diary := [], name="server")
                    await self.occupied(server, way)
                    ref = monitor(server)
                    exit(server, reason)
                    self.assertEqual((False, result, None), (server.is_alive(), server.exit_reason, whereis("server")))
                    self.assertEqual(Down(ref, server, result), await self.root.receive())
                    await self.turn_until(lambda: not self.rt.tasks, "the task of the process ends")
                    self.assertEqual([], diary)

    async def test_rule_05_a_handler_that_resisted_is_never_stepped_again(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                server = await self.start()
                resistance = await self.occupied(server, way)
                exit(server, KILL)
                await self.turn_until(lambda: not self.rt.tasks, "the task of the process ends")
                resistance.gate.set()
                for _ in range(50):
                    await one_turn()
                if not hasattr(resistance, "task") and "tasks" not in way and "group" not in way:
                    self.assertNotIn("went on", resistance.diary)

    async def test_rule_05_the_caller_of_a_handler_that_resists_fails_at_once(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                server, resistance = await self.start(), self.resistance()
                calling = self.background(server.call(getattr(resistance, way)))
                await self.turn_until(lambda r=resistance: r.entered, "the handler waits")
                exit(server, KILL)
                with self.exits(KILLED):
                    await calling

    async def test_rule_05_a_supervisor_restarts_a_child_that_resisted(self) -> None:
        await self.supervise(self.child("a", []), max_restarts=100)
        for way in WAYS:
            with self.subTest(way):
                child = whereis("a")
                await self.occupied(child, way)
                exit(child, KILL)
                await until_idle()
                self.assertNotIn(whereis("a"), (child, None))
                self.assertEqual("echo", await whereis("a").call("echo"))

    async def test_rule_27_a_child_that_resists_is_killed_at_its_deadline(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                supervisor = await self.supervise(self.child("a", [], shutdown=1.0))
                child = whereis("a")
                await self.occupied(child, way)
                stopping = self.background(supervisor.stop())
                await self.still_pending(stopping)
                self.clock.advance(1.0)
                await stopping
                self.assertEqual(KILLED, child.exit_reason)

    async def test_rule_33_closing_the_runtime_ends_what_resists(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                async with Runtime() as runtime:
                    server = await self.start()
                    await self.occupied(server, way)
                    self.assertEqual([], await runtime.close())
                    self.assertEqual((KILLED, []), (server.exit_reason, list(runtime.tasks)))

    async def test_rule_16_a_terminate_that_resists_is_killed_too(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                server, resistance = await self.start(), self.resistance()
                await server.call(lambda me, r=resistance, way=way: setattr(me, "on_terminate", getattr(r, way)))
                server.cast(returning(Stop("enough")))
                await self.turn_until(lambda r=resistance: r.entered, "terminate waits")
                exit(server, KILL)
                self.assertEqual(KILLED, server.exit_reason)
                await self.turn_until(lambda: not self.rt.tasks, "the task of the process ends")

    async def test_rule_12_an_init_that_resists_is_killed_too(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                resistance = self.resistance()
                starting = self.background(self.start(Resisting, getattr(resistance, way), name="server"))
                await self.turn_until(lambda r=resistance: r.entered, "init waits")
                exit("server", KILL)
                with self.does_not_start(KILLED):
                    await starting
                await self.turn_until(lambda: not self.rt.tasks, "the task of the process ends")

    async def test_rule_05_a_kill_makes_no_noise_then_or_later(self) -> None:
        for way in WAYS:
            with self.subTest(way):
                self.unraisable.clear()
                await self.kill_one_that_resists(way)
                await self.tidy_up()
                self.assertEqual(([], []), (self.noise, self.unraisable))
        gc.collect()  # What one of the ways made may have become garbage only now.
        self.recent = Recent()
        await self.tidy_up()
        self.assertEqual(([], []), (self.noise, self.unraisable))

    async def kill_one_that_resists(self, way: str) -> None:
        async with Runtime():
            server = await self.start()
            await self.occupied(server, way)
            exit(server, KILL)

    async def test_rule_05_the_finally_of_a_killed_handler_runs(self) -> None:
        server, diary, gate = await self.start(), [], asyncio.Event()

        async def tidy(_: Any) -> None:
            try:
                await gate.wait()
            finally:
                diary.append("tidied")

        server.cast(tidy)
        await self.turn_until(lambda: process_info(server).current_function, "the handler waits")
        await one_turn()
        await one_turn()
        exit(server, KILL)
        await self.turn_until(lambda: diary, "the finally block runs")
        self.assertEqual(["tidied"], diary)

    async def test_rule_05_an_async_context_manager_of_a_killed_handler_does_not_hold_it_up(self) -> None:
        server, lock, gate = await self.start(), asyncio.Lock(), asyncio.Event()

        async def hold(_: Any) -> None:
            async with lock:
                await gate.wait()

        server.cast(hold)
        await self.turn_until(lock.locked, "the lock is taken")
        exit(server, KILL)
        self.assertEqual(KILLED, server.exit_reason)
        await self.turn_until(lambda: not lock.locked(), "the lock is free")

    async def test_rule_05_a_handler_killed_before_its_first_step_never_runs(self) -> None:
        server, resistance = await self.start(), self.resistance()
        server.cast(resistance.swallow)
        exit(server, KILL)
        await until_idle()
        self.assertEqual(([], []), (resistance.entered, resistance.diary))


class Resisting(Probe):
    def init(self, how: Callable[[Any], Any]) -> Any:  # type: ignore[override]
        return how(self)


class KillsThatAsyncServersCannotSwallow(Asynchronous, KillsThatCannotBeSwallowed):
    pass


class ForeignCancellation(KillCase):
    """Somebody cancels the task of a process."""

    async def task_of(self, server: Pid, handler: Callable[[Any], Any]) -> asyncio.Task[Any]:
        """Let *server* run *handler* and return the task in which it does."""
        tasks: list[Any] = []

        async def with_task(me: Any) -> Any:
            tasks.append(asyncio.current_task())
            return await handler(me)

        server.cast(with_task)
        await self.turn_until(lambda: tasks, "the handler runs")
        for _ in range(3):
            await one_turn()
        return tasks[0]

    async def test_rule_10_cancelling_the_task_of_a_busy_process_is_killing_it(self) -> None:
        server = await self.start_link(Probe, diary := [])
        task = await self.task_of(server, parked(asyncio.Event()))
        task.cancel()
        self.assertEqual(KILLED, await self.dead(server))
        self.assertEqual(Exit(server, KILLED), await self.root.receive())
        self.assertEqual([], diary)

    async def test_rule_10_cancelling_the_task_of_a_busy_process_fails_its_callers(self) -> None:
        server = await self.start()
        task = await self.task_of(server, parked(asyncio.Event()))
        calling = self.background(server.call("queued"))
        await self.still_pending(calling)
        task.cancel()
        with self.exits(KILLED):
            await calling

    async def test_rule_10_cancelling_the_task_of_an_idle_process_is_killing_it(self) -> None:
        server = await asynchronous(Probe).start()
        task = await server.call(lambda _: asyncio.current_task())
        await until_idle()
        self.assertFalse(task.done())
        task.cancel()
        self.assertEqual(KILLED, await self.dead(server))

    async def test_rule_23_a_child_whose_task_is_cancelled_is_restarted(self) -> None:
        await self.supervise(self.child("a", []))
        child = whereis("a")
        (await self.task_of(child, parked(asyncio.Event()))).cancel()
        await self.dead(child)
        await until_idle()
        self.assertNotIn(whereis("a"), (child, None))


class AsyncioInsideHandlers(KillCase):
    """What cancels tasks on purpose goes on working in handlers."""

    async def ask(self, handler: Callable[[], Any]) -> Any:
        async def run(_: Any) -> Any:
            return await handler()

        server = await self.start()
        result = await server.call(run)
        self.assertEqual("echo", await server.call("echo"))
        return result

    async def test_rule_10_a_timeout_inside_a_handler(self) -> None:
        async def handler() -> str:
            try:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "timed out"
            return "not reached"

        self.assertEqual("timed out", await self.ask(handler))

    async def test_rule_10_nested_timeouts_inside_a_handler(self) -> None:
        async def handler() -> list[str]:
            diary = []
            try:
                async with asyncio.timeout(3_600):
                    try:
                        async with asyncio.timeout(0):
                            await asyncio.Event().wait()
                    except TimeoutError:
                        diary.append("inner")
                    diary.append("between")
            except TimeoutError:
                diary.append("outer")
            return diary

        self.assertEqual(["inner", "between"], await self.ask(handler))

    async def test_rule_10_wait_for_inside_a_handler(self) -> None:
        async def handler() -> str:
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0)
            except TimeoutError:
                return "timed out"
            return "not reached"

        self.assertEqual("timed out", await self.ask(handler))

    async def test_rule_10_a_task_group_inside_a_handler(self) -> None:
        async def give(value: int) -> int:
            await one_turn()
            return value

        async def handler() -> list[int]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(give(n)) for n in range(3)]
            return [task.result() for task in tasks]

        self.assertEqual([0, 1, 2], await self.ask(handler))

    async def test_rule_10_a_failing_task_group_inside_a_handler(self) -> None:
        async def fail() -> None:
            await one_turn()
            raise ValueError("broken")

        async def handler() -> str:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail())
                    group.create_task(asyncio.Event().wait())
                    await asyncio.Event().wait()
            except ExceptionGroup as errors:
                return str(errors.exceptions[0])
            return "not reached"

        self.assertEqual("broken", await self.ask(handler))

    async def test_rule_10_gather_and_shield_inside_a_handler(self) -> None:
        async def give(value: int) -> int:
            await one_turn()
            return value

        async def handler() -> Any:
            return await asyncio.gather(give(1), asyncio.shield(give(2))), await asyncio.shield(give(3))

        self.assertEqual(([1, 2], 3), await self.ask(handler))

    async def test_rule_10_awaiting_a_cancelled_task_inside_a_handler(self) -> None:
        async def handler() -> str:
            task = asyncio.get_running_loop().create_task(asyncio.Event().wait())
            await one_turn()
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                return "cancelled"
            return "not reached"

        self.assertEqual("cancelled", await self.ask(handler))

    async def test_rule_10_queues_locks_and_threads_inside_a_handler(self) -> None:
        async def handler() -> list[Any]:
            queue: asyncio.Queue[int] = asyncio.Queue(1)

            async def fill() -> None:
                for number in range(3):
                    await queue.put(number)

            task = asyncio.get_running_loop().create_task(fill())
            got: list[Any] = [await queue.get() for _ in range(3)]
            await task
            async with asyncio.Lock():
                got.append(await asyncio.to_thread(lambda: "thread"))
            return got

        self.assertEqual([0, 1, 2, "thread"], await self.ask(handler))

    async def test_rule_10_async_generators_inside_a_handler(self) -> None:
        async def numbers() -> Any:
            for number in range(3):
                await one_turn()
                yield number

        async def handler() -> list[int]:
            return [number async for number in numbers()]

        self.assertEqual([0, 1, 2], await self.ask(handler))

    async def test_rule_10_a_timeout_inside_a_handler_around_a_call(self) -> None:
        other = await self.start()
        await sys.suspend(other)

        async def handler() -> str:
            try:
                async with asyncio.timeout(0):
                    await other.call("x")
            except TimeoutError:
                return "timed out"
            return "not reached"

        self.assertEqual("timed out", await self.ask(handler))

    async def test_rule_13_a_cancelled_error_that_leaves_a_handler_is_no_normal_end(self) -> None:
        server = await self.start()
        with self.assertRaises(Exception) as caught:
            await server.call(raising(asyncio.CancelledError()))
        self.assertIn(caught.exception.reason, (KILLED, Crash(asyncio.CancelledError())))
        self.assertFalse(server.is_alive())

    async def test_rule_13_an_exception_of_an_awaited_task_is_the_servers_crash(self) -> None:
        error = ValueError("broken")

        async def fail() -> None:
            raise error

        async def handler(_: Any) -> None:
            await asyncio.get_running_loop().create_task(fail())

        server = await self.start()
        with self.exits(Crash(error)):
            await server.call(handler)

    async def test_rule_27_a_timeout_inside_terminate(self) -> None:
        server, diary = await self.start_link(Probe, trap=True), []

        async def last_words(_: Any) -> None:
            try:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                diary.append("timed out")

        await server.call(lambda me: setattr(me, "on_terminate", last_words))
        exit(server, SHUTDOWN)
        self.assertEqual(SHUTDOWN, await self.dead(server))
        self.assertEqual(["timed out"], diary)


class AsyncioInsideHandlersOfAsyncServers(Asynchronous, AsyncioInsideHandlers):
    pass
