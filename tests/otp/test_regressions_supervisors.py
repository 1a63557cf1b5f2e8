"""Regressions of supervisors: starts that fail in unusual ways, and what the code of users may do inside."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

from supertester.errors import StartFailed
from supertester.otp import (
    BRUTAL_KILL,
    KILL,
    KILLED,
    SHUTDOWN,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    PartitionSupervisor,
    Pid,
    Registry,
    Shutdown,
    Supervisor,
    SupervisorSpec,
    count_children,
    delete_child,
    start_child,
    terminate_child,
    until_idle,
    which_children,
)
from tests.otp.support import Asynchronous, Child, Probe, RuntimeCase, one_turn


class Bounded(RuntimeCase):
    async def soon(self, awaitable: Any) -> Any:
        """Return the result of *awaitable*, which needs neither time nor a thread to get it."""
        task = self.background(awaitable)
        await self.turn_until(task.done, "it is done")
        return await task


async def slow_child(*args: Any) -> Pid:
    """Start a `Child`, after a turn of the loop."""
    await one_turn()
    return await Child.start_link(*args)


async def use_a_timeout() -> str:
    """Let a timeout expire; return what became of it."""
    try:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timed out"
    return "went on"


async def use_a_task_group() -> str:
    """Let a task of a group fail; return what became of it."""

    async def fail() -> None:
        raise ValueError("broken")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()
    except ExceptionGroup:
        return "failed"
    return "went on"


class OwnCodeRegressions(Bounded):
    """The coroutines of a subclass run in the supervisor's task, never in the caller's."""

    async def test_an_async_init_may_use_timeouts_and_task_groups(self) -> None:
        for use, expected in ((use_a_timeout, "timed out"), (use_a_task_group, "failed")):
            with self.subTest(use.__name__):
                seen: list[Any] = []

                class Own(Supervisor):
                    async def init(self, use: Any = use, seen: Any = seen) -> Any:
                        seen.append(asyncio.current_task())
                        seen.append(await use())
                        return SupervisorSpec([])

                supervisor = await Own.start_link()
                self.assertEqual(expected, seen[1])
                self.assertIsNot(asyncio.current_task(), seen[0])
                self.assertIsNotNone(seen[0])
                self.assertEqual([], await which_children(supervisor))

    async def test_other_async_callbacks_may_use_timeouts_and_task_groups(self) -> None:
        for use, expected in ((use_a_timeout, "timed out"), (use_a_task_group, "failed")):
            with self.subTest(use.__name__):
                seen: list[Any] = []

                async def note(use: Any = use, seen: Any = seen) -> None:
                    seen.append((asyncio.current_task() is not None, await use()))

                class Own(Supervisor):
                    async def handle_call(self, request: Any, sender: Any, note: Any = note) -> Any:
                        return await note() if request == "use" else await super().handle_call(request, sender)

                    async def handle_cast(self, message: Any, note: Any = note) -> None:
                        await note()

                    async def terminate(self, reason: Any, note: Any = note) -> None:
                        await note()
                        await super().terminate(reason)

                supervisor = await Own.start_link([self.child("a", diary := [])])
                await supervisor.call("use")
                supervisor.cast("use")
                self.assertEqual(["a"], list(await self.rows(supervisor)))
                await supervisor.stop()
                self.assertEqual([(True, expected)] * 3, seen)
                self.assertEqual([("a", "start"), ("a", "terminate", SHUTDOWN)], diary)

    async def test_a_handle_info_of_ones_own_may_await_the_one_that_restarts(self) -> None:
        for kind, start in (("at once", Child), ("in time", slow_child)):
            with self.subTest(kind):
                seen: list[Any] = []
                diary: list[Any] = []

                class Own(Supervisor):
                    async def handle_info(self, message: Any, seen: Any = seen) -> Any:
                        seen.append(type(message).__name__)
                        return await super().handle_info(message)

                spec = ChildSpec("a", start, (diary, "a"))
                supervisor = await Own.start_link([spec], max_restarts=1)
                first = (await self.rows(supervisor))["a"]
                first.exit(KILL)
                await until_idle()
                second = (await self.rows(supervisor))["a"]
                self.assertIsNot(second, first)
                self.assertTrue(second.is_alive())
                second.exit(KILL)
                await until_idle()
                self.assertEqual(supervisor.exit_reason, SHUTDOWN)
                self.assertEqual(seen, ["Exit", "Exit"])
                self.assertEqual(diary, [("a", "start"), ("a", "start")])

    async def test_an_async_start_function_may_use_timeouts_and_task_groups(self) -> None:
        async def start() -> Any:
            self.assertEqual(("timed out", "failed"), (await use_a_timeout(), await use_a_task_group()))
            return await self.start_link()

        supervisor = await self.supervise(ChildSpec("first", start))
        await start_child(supervisor, ChildSpec("second", start))
        self.assertEqual(2, (await count_children(supervisor))["active"])

    async def test_a_supervisor_that_dies_before_it_starts_a_child_leaves_no_coroutine_behind(self) -> None:
        async def start() -> Any:
            return await self.start_link()

        for turns in range(5):
            supervisor = await Supervisor.start([])
            asking = self.background(start_child(supervisor, ChildSpec("child", start)))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                for _ in range(turns):
                    await one_turn()
                supervisor.exit(KILL)
                await asyncio.wait([asking])
                await self.turn_until(lambda: not self.rt.tasks, "its task has ended")
            self.assertEqual([], [str(each.message) for each in caught])


class StartRegressions(Bounded):
    async def test_a_generator_of_children_starts_them_all(self) -> None:
        supervisor = await Supervisor.start_link(self.child(label, []) for label in "abc")
        self.assertEqual(["a", "b", "c"], list(await self.rows(supervisor)))

    async def test_a_generator_of_children_starts_them_all_in_a_subclass(self) -> None:
        class Own(Supervisor):
            pass

        supervisor = await Own.start_link((self.child(label, []) for label in "abc"), strategy="one_for_all")
        self.assertEqual(["a", "b", "c"], list(await self.rows(supervisor)))

    def impossible(self) -> list[ChildSpec]:
        """Return children whose start refuses its arguments, each in another way."""
        return [
            ChildSpec("keys", Registry, args=("bogus",)),
            ChildSpec("name", self.flavour(Probe), kwargs={"name": []}),
            ChildSpec("via", self.flavour(Probe), kwargs={"name": Registry.via("nope", "key")}),
            ChildSpec("timeout", self.flavour(Probe), kwargs={"timeout": "bad"}),
            ChildSpec("negative", self.flavour(Probe), kwargs={"timeout": -1}),
        ]

    async def test_a_child_whose_start_refuses_its_arguments_is_not_kept(self) -> None:
        for cls in (Supervisor, DynamicSupervisor):
            supervisor = await cls.start_link()
            before = set(self.rt.processes)
            for spec in self.impossible():
                with self.subTest(spec.id, supervisor=cls.__name__):
                    with self.assertRaises(StartFailed) as caught:
                        await self.soon(start_child(supervisor, spec))
                    self.assertIsInstance(caught.exception.reason, Crash)
                    self.assertEqual([], await which_children(supervisor))
                    self.assertEqual(before, set(self.rt.processes))
            self.assertTrue(supervisor.is_alive())

    async def test_siblings_of_a_child_whose_start_refuses_its_arguments_are_stopped_in_reverse(self) -> None:
        for spec in self.impossible():
            with self.subTest(spec.id):
                with self.assertRaises(StartFailed) as caught:
                    await self.soon(self.supervise(self.child("a", diary := []), self.child("b", diary), spec))
                reason = caught.exception.reason
                self.assertIsInstance(reason, Shutdown)
                self.assertIn(f"'failed_to_start_child', {spec.id!r}, Crash(", repr(reason))
                stopped = [("b", "terminate", SHUTDOWN), ("a", "terminate", SHUTDOWN)]
                self.assertEqual([("a", "start"), ("b", "start"), *stopped], diary)
                self.assertEqual([self.root], list(self.rt.processes))

    async def test_a_restart_that_refuses_its_arguments_counts_as_a_failed_restart(self) -> None:
        registry = await Registry.start("unique", name="registry")
        spec = ChildSpec("child", self.flavour(Probe), kwargs={"name": Registry.via("registry", "child")})
        supervisor = await self.supervise(spec, max_restarts=3)
        child = (await self.rows(supervisor))["child"]
        registry.exit(KILL)
        child.exit(KILL)
        await until_idle()
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_a_cancellation_out_of_a_start_is_a_failed_start(self) -> None:
        async def cancelled() -> Any:
            raise asyncio.CancelledError

        def plainly_cancelled() -> Any:
            raise asyncio.CancelledError

        for cls in (Supervisor, DynamicSupervisor):
            supervisor = await cls.start_link()
            for start in (cancelled, plainly_cancelled):
                with self.subTest(start.__name__, supervisor=cls.__name__):
                    with self.assertRaises(StartFailed) as caught:
                        await self.soon(start_child(supervisor, ChildSpec("child", start)))
                    self.assertIsInstance(caught.exception.reason.exception, asyncio.CancelledError)
                    self.assertTrue(supervisor.is_alive())
                    self.assertEqual([], await which_children(supervisor))

    async def test_a_start_function_that_returns_a_dead_process_has_failed(self) -> None:
        async def start() -> Any:
            pid = await self.start()
            pid.exit(KILL)
            return pid

        supervisor = await self.supervise()
        with self.does_not_start(KILLED):
            await self.soon(start_child(supervisor, ChildSpec("child", start)))
        self.assertEqual([], await which_children(supervisor))
        self.assertTrue(supervisor.is_alive())

    async def test_a_restart_that_returns_the_same_dead_process_uses_up_the_restarts(self) -> None:
        shared = await self.start()
        supervisor = await self.supervise(ChildSpec("child", lambda: shared))
        shared.exit(KILL)
        await until_idle()
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_two_children_cannot_be_the_same_process(self) -> None:
        shared = await self.start()
        supervisor = await self.supervise(ChildSpec("first", lambda: shared))
        with self.does_not_start(("already_started", shared)):
            await self.soon(start_child(supervisor, ChildSpec("second", lambda: shared)))
        self.assertEqual({"first": shared}, await self.rows(supervisor))
        self.assertTrue(shared.is_alive())


class StartRegressionsWithAsyncServers(Asynchronous, StartRegressions):
    pass


class DynamicRegressions(Bounded):
    async def pool_of(self, *labels: str, **options: Any) -> tuple[Pid, list[Pid], list[Any]]:
        """Start a pool of children that hang in their `terminate` until they are killed."""

        class Hanging(Child):
            async def terminate(self, reason: Any) -> None:
                self.note("terminate", reason)
                await asyncio.Event().wait()

        diary: list[Any] = []
        pool = await DynamicSupervisor.start_link()
        specs = [ChildSpec("any", Hanging, (diary, label), **options) for label in labels]
        pids = [await start_child(pool, spec) for spec in specs]
        diary.clear()
        return pool, pids, diary

    async def test_a_dynamic_supervisor_stops_its_children_at_once(self) -> None:
        pool, pids, diary = await self.pool_of("a", "b", "c")
        stopping = self.background(pool.stop())
        await self.turn_until(lambda: len(diary) == len(pids), "all are asked to end")
        self.assertEqual({(label, "terminate", SHUTDOWN) for label in "abc"}, set(diary))
        await self.still_pending(stopping)
        self.clock.advance(5.0)
        await self.soon(stopping)
        self.assertEqual([KILLED] * 3, [pid.exit_reason for pid in pids])

    async def test_each_child_of_a_dynamic_supervisor_has_its_own_time_to_end(self) -> None:
        pool, pids, diary = await self.pool_of("a", "b")
        other = await start_child(pool, ChildSpec("any", Child, (diary, "killed"), shutdown=BRUTAL_KILL))
        stopping = self.background(pool.stop())
        await self.turn_until(lambda: not other.is_alive(), "it is killed")
        self.clock.advance(4.0)
        await self.still_pending(stopping)
        self.assertTrue(all(pid.is_alive() for pid in pids))
        self.clock.advance(1.0)
        await self.soon(stopping)
        self.assertEqual(KILLED, other.exit_reason)
        self.assertNotIn(("killed", "terminate", SHUTDOWN), diary)


class PartitionRegressions(Bounded):
    async def test_a_partition_that_has_ended_for_good_is_nobody(self) -> None:
        spec = ChildSpec("any", self.flavour(Probe), restart="temporary")
        parts = await PartitionSupervisor.start_link(spec, partitions=3)
        before = [PartitionSupervisor.whereis(parts, number) for number in range(3)]
        await self.end(before[0], KILLED)
        self.assertEqual([None, *before[1:]], [PartitionSupervisor.whereis(parts, number) for number in range(3)])
        self.assertEqual(3, PartitionSupervisor.partitions(parts))
        for pid in before[1:]:
            await self.end(pid, KILLED)
        self.assertEqual([None] * 3, [PartitionSupervisor.whereis(parts, key) for key in (0, 5, "alice")])

    async def test_the_other_keys_stay_where_they_are_when_a_partition_is_deleted(self) -> None:
        parts = await PartitionSupervisor.start_link(ChildSpec("any", self.flavour(Probe)), partitions=4)
        keys = [f"key {number}" for number in range(20)]
        before = {key: PartitionSupervisor.whereis(parts, key) for key in keys}
        gone = PartitionSupervisor.whereis(parts, 2)
        await terminate_child(parts, 2)
        await delete_child(parts, 2)
        expected = {key: None if pid is gone else pid for key, pid in before.items()}
        self.assertEqual(expected, {key: PartitionSupervisor.whereis(parts, key) for key in keys})
