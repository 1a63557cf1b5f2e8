"""Rules 31 and 32: dynamic supervisors, automatic shutdown, partitions, tasks, agents and registries."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.errors import CallExit, UsageError
from supertester.otp import (
    IGNORE,
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Agent,
    ChildSpec,
    Crash,
    Down,
    DynamicSupervisor,
    Exit,
    PartitionSupervisor,
    Pid,
    Registry,
    Shutdown,
    Stop,
    Supervisor,
    SupervisorSpec,
    Task,
    call,
    cast,
    count_children,
    exit,
    intensity_left,
    monitor,
    process_info,
    self_pid,
    send,
    start_child,
    stop,
    terminate_child,
    until_idle,
    whereis,
    which_children,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, one_turn, parked


class Rule31DynamicSupervisors(RuntimeCase):
    async def pool(self, **options: Any) -> Pid:
        return await DynamicSupervisor.start_link(**options)

    async def add(self, pool: Pid, label: str = "a", diary: list[Any] | None = None, **options: Any) -> Pid:
        return await start_child(pool, self.child(label, [] if diary is None else diary, **options))

    async def pids(self, pool: Any) -> set[Any]:
        return {row.pid for row in await which_children(pool)}

    async def test_rule_31_children_are_added_and_found_without_ids(self) -> None:
        pool = await self.pool(name="pool")
        self.assertEqual([], await which_children("pool"))
        first, second = await self.add(pool, "a"), await self.add(pool, "b")
        rows = await which_children(pool)
        self.assertEqual({first, second}, {row.pid for row in rows})
        self.assertEqual({"undefined"}, {row.id for row in rows})
        self.assertEqual({"worker"}, {row.type for row in rows})
        self.assertEqual({"specs": 2, "active": 2, "supervisors": 0, "workers": 2}, await count_children(pool))

    async def test_rule_31_the_same_specification_may_be_started_many_times(self) -> None:
        pool = await self.pool()
        spec = ChildSpec("same", self.flavour(Probe))
        pids = {await start_child(pool, spec) for _ in range(5)}
        self.assertEqual(pids, await self.pids(pool))

    async def test_rule_31_one_child_ends_and_is_restarted_without_touching_the_others(self) -> None:
        pool = await self.pool()
        first, second = await self.add(pool, "a"), await self.add(pool, "b")
        await self.end(first, KILLED)
        self.assertEqual({whereis("a"), second}, await self.pids(pool))
        self.assertNotIn(whereis("a"), (first, None))

    async def test_rule_31_the_restart_types_hold(self) -> None:
        for restart, reason, left in (
            ("permanent", NORMAL, 1),
            ("transient", "boom", 1),
            ("transient", NORMAL, 0),
            ("transient", Shutdown("term"), 0),
            ("temporary", "boom", 0),
            ("temporary", KILLED, 0),
        ):
            with self.subTest(restart=restart, reason=reason):
                pool = await self.pool()
                await self.end(await self.add(pool, restart=restart), reason)
                self.assertEqual(left, (await count_children(pool))["specs"])
                self.assertEqual(left, (await count_children(pool))["active"])
                await pool.stop()

    async def test_rule_31_one_intensity_holds_for_all_children(self) -> None:
        pool = await self.pool(max_restarts=3)
        for label in "abcd":
            await self.add(pool, label)
        for label in "abc":
            await self.end(whereis(label), KILLED)
        self.assertEqual(0, intensity_left(pool))
        await self.end(whereis("d"), KILLED)
        self.assertEqual(SHUTDOWN, pool.exit_reason)
        self.assertEqual([None] * 4, [whereis(label) for label in "abcd"])

    async def test_rule_31_the_window_of_the_intensity_is_inclusive(self) -> None:
        for wait, alive in ((5.0, False), (5.001, True)):
            with self.subTest(wait=wait):
                pool = await self.pool(max_restarts=1, max_seconds=5.0)
                await self.add(pool)
                await self.end(whereis("a"), KILLED)
                self.clock.advance(wait)
                await self.end(whereis("a"), KILLED)
                self.assertEqual(alive, pool.is_alive())
                if alive:
                    await pool.stop()

    async def test_rule_31_a_full_supervisor_refuses(self) -> None:
        pool = await self.pool(max_children=2)
        first, _ = await self.add(pool, "a"), await self.add(pool, "b")
        with self.refused("max_children") as caught:
            await self.add(pool, "c", diary := [])
        self.assertIn("2", str(caught.exception))
        self.assertEqual([], diary)
        await terminate_child(pool, first)
        self.assertTrue((await self.add(pool, "c")).is_alive())

    async def test_rule_31_a_supervisor_for_no_children_refuses_all(self) -> None:
        pool = await self.pool(max_children=0)
        with self.refused("max_children"):
            await self.add(pool)

    async def test_rule_31_children_are_terminated_by_pid_and_then_not_found(self) -> None:
        pool = await self.pool()
        child, other = await self.add(pool, "a", diary := []), await self.add(pool, "b")
        self.assertIsNone(await terminate_child(pool, child))
        self.assertEqual(SHUTDOWN, child.exit_reason)
        self.assertEqual([("a", "start"), ("a", "terminate", SHUTDOWN)], diary)
        self.assertEqual({other}, await self.pids(pool))
        with self.refused("not_found"):
            await terminate_child(pool, child)

    async def test_rule_31_a_pid_of_somebody_else_is_not_found_and_not_harmed(self) -> None:
        pool, stranger = await self.pool(), await self.start()
        with self.refused("not_found"):
            await terminate_child(pool, stranger)
        self.assertTrue(stranger.is_alive())

    async def test_rule_31_the_old_pid_of_a_restarted_child_is_not_found(self) -> None:
        pool = await self.pool()
        before = await self.add(pool)
        await self.end(before, KILLED)
        with self.refused("not_found"):
            await terminate_child(pool, before)
        await terminate_child(pool, whereis("a"))

    async def test_rule_31_a_child_that_takes_too_long_to_stop_is_killed(self) -> None:
        pool = await self.pool()
        child = await self.add(pool, shutdown=2.0)
        await child.call(lambda me: setattr(me, "on_terminate", parked(asyncio.Event())))
        stopping = self.background(terminate_child(pool, child))
        await self.still_pending(stopping)
        self.clock.advance(2.0)
        await stopping
        self.assertEqual(KILLED, child.exit_reason)

    async def test_rule_31_a_child_that_does_not_start_is_not_kept(self) -> None:
        pool = await self.pool(max_children=1)
        with self.does_not_start("no"):
            await start_child(pool, ChildSpec("a", self.flavour(Refusing), ("no",)))
        self.assertIs(IGNORE, await start_child(pool, ChildSpec("a", self.flavour(Ignoring))))
        self.assertEqual([], await which_children(pool))
        self.assertTrue((await self.add(pool)).is_alive())

    async def test_rule_31_a_child_that_can_never_start_again_gets_four_inits_in_all(self) -> None:
        pool, attempts = await self.pool(), []
        child = await start_child(pool, ChildSpec("a", self.flavour(OnlyOnce), (attempts,)))
        await self.end(child, KILLED)
        self.assertEqual(4, len(attempts))
        self.assertEqual(SHUTDOWN, pool.exit_reason)

    async def test_rule_31_a_stopped_supervisor_stops_its_children(self) -> None:
        pool, diary = await self.pool(), []
        children = [await self.add(pool, label, diary) for label in "abc"]
        await pool.stop()
        self.assertEqual([SHUTDOWN] * 3, [child.exit_reason for child in children])
        self.assertEqual(3, sum(entry[1] == "terminate" for entry in diary))

    async def test_rule_31_a_killed_supervisor_takes_its_children_along(self) -> None:
        pool = await self.pool()
        child = await self.add(pool, trap=False)
        exit(pool, KILL)
        self.assertEqual(KILLED, child.exit_reason)

    async def test_rule_31_what_makes_no_sense_is_refused_and_nothing_is_started(self) -> None:
        for options, shown in (
            ({"max_children": -1}, "-1"),
            ({"max_children": "many"}, "'many'"),
            ({"max_restarts": -1}, "-1"),
            ({"max_seconds": 0}, "0"),
            ({"strategy": "one_for_all"}, "strategy"),
            ({"colour": "green"}, "colour"),
        ):
            with self.subTest(options), self.misuse(shown):
                await self.pool(**options)
        pool = await self.pool()
        for nonsense in (Probe, None, "a"):
            with self.subTest(spec=nonsense), self.misuse(repr(nonsense)):
                await start_child(pool, nonsense)

    async def test_rule_31_it_works_as_a_child(self) -> None:
        await self.supervise(ChildSpec("pool", DynamicSupervisor, kwargs={"name": "pool", "max_restarts": 0}))
        before = whereis("pool")
        await self.add(before)
        await self.end(whereis("a"), KILLED)
        self.assertNotIn(whereis("pool"), (before, None))
        self.assertEqual([], await which_children("pool"))


class Refusing(Probe):
    def init(self, reason: Any) -> Any:  # type: ignore[override]
        return Stop(reason)


class Ignoring(Probe):
    def init(self) -> Any:  # type: ignore[override]
        return IGNORE


class OnlyOnce(Probe):
    def init(self, attempts: list[Any]) -> Any:  # type: ignore[override]
        attempts.append(None)
        return super().init() if len(attempts) == 1 else Stop("never again")


class Rule31DynamicSupervisorsOfAsyncChildren(Asynchronous, Rule31DynamicSupervisors):
    pass


class Rule32AutoShutdown(RuntimeCase):
    async def family(self, auto_shutdown: str, **restarts: str) -> tuple[Pid, list[Any]]:
        """Return a supervisor of a and b, which are significant, and c, which is not."""
        diary: list[Any] = []
        children = [
            self.child(label, diary, restart=restarts.get(label, "transient"), significant=True) for label in "ab"
        ]
        supervisor = await self.supervise(*children, self.child("c", diary), auto_shutdown=auto_shutdown)
        diary.clear()
        return supervisor, diary

    async def test_rule_32_the_normal_end_of_any_significant_child_shuts_down(self) -> None:
        for reason in (NORMAL, SHUTDOWN, Shutdown("term")):
            with self.subTest(reason=reason):
                supervisor, diary = await self.family("any_significant")
                await self.end(whereis("a"), reason)
                self.assertEqual(SHUTDOWN, supervisor.exit_reason)
                ends = [("c", "terminate", SHUTDOWN), ("b", "terminate", SHUTDOWN)]
                self.assertEqual([("a", "terminate", reason), *ends], diary)

    async def test_rule_32_the_normal_end_of_all_significant_children_shuts_down(self) -> None:
        supervisor, diary = await self.family("all_significant")
        await self.end(whereis("a"), NORMAL)
        self.assertTrue(supervisor.is_alive())
        await self.end(whereis("b"), NORMAL)
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)
        self.assertEqual(("c", "terminate", SHUTDOWN), diary[-1])

    async def test_rule_32_a_crash_of_a_transient_child_is_a_restart_and_no_shutdown(self) -> None:
        for auto_shutdown in ("any_significant", "all_significant"):
            with self.subTest(auto_shutdown):
                supervisor, _ = await self.family(auto_shutdown)
                for label in "ab":
                    await self.end(whereis(label), KILLED)
                self.assertTrue(supervisor.is_alive())
                await supervisor.stop()

    async def test_rule_32_any_end_of_a_temporary_significant_child_counts(self) -> None:
        supervisor, _ = await self.family("any_significant", a="temporary")
        await self.end(whereis("a"), KILLED)
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)
        supervisor, _ = await self.family("all_significant", a="temporary", b="temporary")
        await self.end(whereis("a"), "boom")
        self.assertTrue(supervisor.is_alive())
        await self.end(whereis("b"), KILLED)
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_32_the_end_of_another_child_shuts_nothing_down(self) -> None:
        for auto_shutdown in ("any_significant", "all_significant"):
            with self.subTest(auto_shutdown):
                supervisor, _ = await self.family(auto_shutdown)
                await self.end(whereis("c"), NORMAL)
                self.assertTrue(supervisor.is_alive())
                self.assertTrue(whereis("c").is_alive())
                await supervisor.stop()

    async def test_rule_32_terminating_a_significant_child_shuts_nothing_down(self) -> None:
        for auto_shutdown in ("any_significant", "all_significant"):
            with self.subTest(auto_shutdown):
                supervisor, _ = await self.family(auto_shutdown)
                for label in "ab":
                    await terminate_child(supervisor, label)
                await until_idle()
                self.assertTrue(supervisor.is_alive())
                await supervisor.stop()

    async def test_rule_32_a_common_restart_of_significant_children_shuts_nothing_down(self) -> None:
        children = [self.child("a", [], restart="transient", significant=True), self.child("b", [])]
        supervisor = await self.supervise(*children, strategy="one_for_all", auto_shutdown="any_significant")
        await self.end(whereis("b"), KILLED)
        self.assertTrue(supervisor.is_alive())

    async def test_rule_32_an_automatic_shutdown_is_a_normal_end_for_the_outer_supervisor(self) -> None:
        child = self.child("a", [], restart="transient", significant=True)
        inner = ChildSpec("inner", Supervisor, ([child],), {"auto_shutdown": "any_significant"}, restart="transient")
        outer = await self.supervise(inner)
        await self.end(whereis("a"), NORMAL)
        self.assertEqual({"inner": "undefined"}, await self.rows(outer))

    async def test_rule_32_a_subclass_may_ask_for_it(self) -> None:
        child = self.child("a", [], restart="temporary", significant=True)

        class Family(Supervisor):
            def init(self) -> Any:  # type: ignore[override]
                return SupervisorSpec([child], auto_shutdown="all_significant")

        supervisor = await Family.start_link()
        await self.end(whereis("a"), "boom")
        self.assertEqual(SHUTDOWN, supervisor.exit_reason)

    async def test_rule_32_significance_that_makes_no_sense_is_refused(self) -> None:
        with self.misuse("permanent"):
            ChildSpec("a", Probe, significant=True)
        significant = self.child("a", [], restart="transient", significant=True)
        with self.misuse("'a'", "never"):
            await self.supervise(significant)
        supervisor = await self.supervise()
        with self.misuse("'a'"):
            await start_child(supervisor, significant)
        self.assertEqual({}, await self.rows(supervisor))


class Rule32AutoShutdownOfAsyncChildren(Asynchronous, Rule32AutoShutdown):
    pass


class Rule32PartitionSupervisors(RuntimeCase):
    async def partitioned(self, count: int = 4, **options: Any) -> Pid:
        spec = ChildSpec("any", self.flavour(Probe))
        return await PartitionSupervisor.start_link(spec, partitions=count, **options)

    async def test_rule_32_there_are_as_many_partitions_as_asked_for(self) -> None:
        supervisor = await self.partitioned(4, name="parts")
        rows = await self.rows(supervisor)
        self.assertEqual([0, 1, 2, 3], list(rows))
        self.assertEqual(4, len(set(rows.values())))
        self.assertEqual(4, PartitionSupervisor.partitions("parts"))

    async def test_rule_32_a_key_has_always_the_same_partition(self) -> None:
        supervisor = await self.partitioned()
        rows = await self.rows(supervisor)
        for key in ("alice", ("tuple", 1), 3.5, None, b"bytes"):
            with self.subTest(key=key):
                pid = PartitionSupervisor.whereis(supervisor, key)
                self.assertIn(pid, rows.values())
                self.assertEqual(pid, PartitionSupervisor.whereis(supervisor, key))

    async def test_rule_32_an_integer_is_taken_modulo_the_partitions(self) -> None:
        supervisor = await self.partitioned(3)
        rows = await self.rows(supervisor)
        self.assertEqual(
            [rows[n % 3] for n in range(9)], [PartitionSupervisor.whereis(supervisor, n) for n in range(9)]
        )

    async def test_rule_32_keys_spread_over_all_partitions(self) -> None:
        supervisor = await self.partitioned(4)
        seen = {PartitionSupervisor.whereis(supervisor, f"key {n}") for n in range(200)}
        self.assertEqual(set((await self.rows(supervisor)).values()), seen)

    async def test_rule_32_a_partition_that_ends_is_restarted_alone(self) -> None:
        supervisor = await self.partitioned(3)
        before = await self.rows(supervisor)
        await self.end(before[1], KILLED)
        after = await self.rows(supervisor)
        self.assertEqual((before[0], before[2]), (after[0], after[2]))
        self.assertEqual(after[1], PartitionSupervisor.whereis(supervisor, 1))
        self.assertNotEqual(before[1], after[1])

    async def test_rule_32_a_number_of_partitions_that_makes_no_sense_is_refused(self) -> None:
        for count in (0, -1, 1.5, "two"):
            with self.subTest(partitions=count), self.misuse(repr(count)):
                await self.partitioned(count)

    async def test_rule_32_a_partition_of_something_else_is_refused(self) -> None:
        for other in (await self.start(), await self.supervise()):
            with self.assertRaises((UsageError, TypeError)):
                PartitionSupervisor.whereis(other, "key")


class Rule32Tasks(RuntimeCase):
    async def test_rule_32_a_task_is_awaited_for_its_result(self) -> None:
        async def slowly(a: int, b: int) -> int:
            await one_turn()
            return a + b

        self.assertEqual(3, await Task.async_(slowly, 1, 2))
        self.assertEqual(6, await Task.async_(sum, [1, 2, 3]))
        task = await self.made(Task.async_(slowly, 1, 2))
        self.assertEqual(3, await task.result(timeout=1.0))

    async def test_rule_32_a_task_is_a_process_linked_to_its_starter(self) -> None:
        gate = asyncio.Event()
        task = await self.made(Task.async_(parked(gate, "done"), None))
        self.assertIsInstance(task.pid, Pid)
        self.assertTrue(task.pid.is_alive())
        self.assertIn(self.root, process_info(task.pid).links)
        self.assertEqual(self.root, process_info(task.pid).parent)
        gate.set()
        self.assertEqual("done", await task)
        self.assertEqual(NORMAL, await self.dead(task.pid))

    async def test_rule_32_inside_a_task_the_current_process_is_the_task(self) -> None:
        task = await self.made(Task.async_(self_pid))
        self.assertEqual(task.pid, await task)

    async def test_rule_32_a_task_that_fails_fails_its_awaiter(self) -> None:
        error = ValueError("broken")

        async def fail() -> None:
            raise error

        task = await self.made(Task.async_(fail))
        with self.exits(Crash(error)) as caught:
            await task
        self.assertIs(error, caught.exception.__cause__)
        self.assertEqual(Exit(task.pid, Crash(error)), await self.root.receive())

    async def test_rule_32_a_task_that_is_killed_fails_its_awaiter(self) -> None:
        task = await self.made(Task.async_(parked(asyncio.Event()), None))
        exit(task.pid, KILL)
        with self.exits(KILLED):
            await task

    async def test_rule_32_a_task_that_takes_too_long_times_out(self) -> None:
        task = await self.made(Task.async_(parked(asyncio.Event()), None))
        waiting = self.background(task.result(2.0))
        await self.still_pending(waiting)
        self.clock.advance(2.0)
        with self.exits(TIMEOUT):
            await waiting

    async def test_rule_32_a_task_started_without_waiting_gives_its_pid(self) -> None:
        done: list[Any] = []
        linked, bare = await Task.start_link(done.append, 1), await Task.start(done.append, 2)
        self.assertEqual([NORMAL, NORMAL], [await self.dead(linked), await self.dead(bare)])
        self.assertEqual([1, 2], done)
        self.assertEqual([Exit(linked, NORMAL)], self.root.messages)

    async def test_rule_32_starting_a_task_does_not_wait_for_it(self) -> None:
        gate = asyncio.Event()
        pid = await Task.start(gate.wait)
        self.assertTrue(pid.is_alive())
        gate.set()
        self.assertEqual(NORMAL, await self.dead(pid))

    async def test_rule_32_a_task_can_be_supervised(self) -> None:
        runs: list[Any] = []

        async def work(label: str) -> None:
            runs.append(label)
            if len(runs) == 1:
                raise ValueError("the first time")

        supervisor = await self.supervise(ChildSpec("work", Task.start_link, (work, "label"), restart="transient"))
        await until_idle()
        self.assertEqual((["label", "label"], {"work": "undefined"}), (runs, await self.rows(supervisor)))

    async def made(self, task: Any) -> Any:
        """Return the `Task`, whether making one is awaited or not."""
        return await task if asyncio.iscoroutine(task) else task


class Rule32Agents(RuntimeCase):
    async def test_rule_32_an_agent_holds_a_value_or_what_a_function_makes(self) -> None:
        for initial, value in ((5, 5), (dict, {}), (lambda: [1], [1]), (None, None)):
            agent = await Agent.start_link(initial)
            self.assertEqual(value, await Agent.get(agent, lambda state: state))

    async def test_rule_32_an_agent_is_read_and_updated_with_functions(self) -> None:
        agent = await Agent.start_link(5, name="agent")
        self.assertEqual(6, await Agent.get("agent", lambda state: state + 1))
        await Agent.update("agent", lambda state: state + 1)
        self.assertEqual(6, await Agent.get(agent, lambda state: state))
        self.assertEqual("old 6", await Agent.get_and_update(agent, lambda state: (f"old {state}", state * 2)))
        Agent.cast(agent, lambda state: state + 1)
        self.assertEqual(13, await Agent.get(lambda: agent, lambda state: state))

    async def test_rule_32_the_functions_run_in_the_agent(self) -> None:
        agent = await Agent.start_link(0)
        self.assertEqual(agent, await Agent.get(agent, lambda _: self_pid()))

    async def test_rule_32_updates_do_not_get_lost(self) -> None:
        agent = await Agent.start_link(0)
        await asyncio.gather(*(Agent.update(agent, lambda state: state + 1) for _ in range(100)))
        self.assertEqual(100, await Agent.get(agent, lambda state: state))

    async def test_rule_32_a_function_that_fails_ends_the_agent(self) -> None:
        error = ValueError("broken")

        def fail(_: Any) -> None:
            raise error

        agent = await Agent.start_link(0)
        with self.exits(Crash(error)):
            await Agent.get(agent, fail)
        self.assertEqual(Crash(error), agent.exit_reason)

    async def test_rule_32_an_agent_can_be_stopped_and_supervised(self) -> None:
        agent = await Agent.start_link(0)
        await stop(agent)
        self.assertEqual(NORMAL, agent.exit_reason)
        await self.supervise(ChildSpec("agent", Agent, (7,), {"name": "agent"}))
        await Agent.update("agent", lambda _: 8)
        await self.end(whereis("agent"), KILLED)
        self.assertEqual(7, await Agent.get("agent", lambda state: state))


class Rule32Registries(RuntimeCase):
    async def test_rule_32_a_process_registers_itself_under_keys_with_values(self) -> None:
        registry = await Registry.start_link("unique", name="registry")
        server = await self.start()
        await server.call(lambda _: Registry.register("registry", "key", "value") and None)
        await server.call(lambda _: Registry.register(registry, ("other", 1)) and None)
        self.assertEqual([(server, "value")], Registry.lookup(registry, "key"))
        self.assertEqual([(server, None)], Registry.lookup("registry", ("other", 1)))
        self.assertEqual({"key", ("other", 1)}, set(Registry.keys(registry, server)))
        self.assertEqual(2, Registry.count(registry))
        self.assertEqual(server, Registry.whereis(registry, "key"))

    async def test_rule_32_an_unknown_key_has_nobody(self) -> None:
        registry = await Registry.start_link("unique")
        self.assertEqual([], Registry.lookup(registry, "key"))
        self.assertIsNone(Registry.whereis(registry, "key"))
        self.assertEqual([], list(Registry.keys(registry, self.root)))
        self.assertEqual(0, Registry.count(registry))

    async def test_rule_32_a_unique_key_has_one_owner(self) -> None:
        registry = await Registry.start_link("unique")
        first, second = await self.start(), await self.start()
        Registry.register(registry, "key", pid=first)
        with self.refused(("already_registered", first)) as caught:
            Registry.register(registry, "key", pid=second)
        self.assertIn("'key'", str(caught.exception))
        self.assertEqual([(first, None)], Registry.lookup(registry, "key"))

    async def test_rule_32_a_duplicate_key_has_any_number_of_owners(self) -> None:
        registry = await Registry.start_link("duplicate")
        servers = [await self.start() for _ in range(3)]
        for number, server in enumerate(servers):
            Registry.register(registry, "topic", number, pid=server)
        expected = list(zip(servers, range(3), strict=True))
        self.assertEqual(expected, Registry.lookup(registry, "topic"))
        seen: list[Any] = []
        Registry.dispatch(registry, "topic", seen.extend)
        self.assertEqual(expected, seen)
        Registry.dispatch(registry, "nothing", seen.extend)
        self.assertEqual(3, len(seen))

    async def test_rule_32_entries_vanish_with_their_owner_before_anybody_hears_of_it(self) -> None:
        registry = await Registry.start_link("duplicate")
        server, other, seen = await self.start(), await self.start(), []
        server.on_exit(lambda _: seen.append(Registry.lookup(registry, "key")))
        for pid in (server, other):
            Registry.register(registry, "key", pid=pid)
        server.on_exit(lambda _: seen.append(Registry.lookup(registry, "key")))
        exit(server, KILL)
        self.assertEqual([(other, None)], Registry.lookup(registry, "key"))
        self.assertEqual([[(other, None)]] * 2, seen)

    async def test_rule_32_an_entry_can_be_taken_back(self) -> None:
        registry = await Registry.start_link("unique")
        Registry.register(registry, "key")
        self.assertEqual([(self.root, None)], Registry.lookup(registry, "key"))
        Registry.unregister(registry, "key")
        self.assertEqual([], Registry.lookup(registry, "key"))
        Registry.unregister(registry, "key")
        Registry.register(registry, "key")

    async def test_rule_32_a_key_of_a_registry_serves_as_a_name(self) -> None:
        registry = await Registry.start_link("unique", name="registry")
        for owner in ("registry", registry):
            name = Registry.via(owner, ("room", 1))
            server = await self.start(Probe, diary := [], name=name)
            self.assertEqual(server, whereis(name))
            self.assertEqual(server, await call(name, lambda me: me.pid))
            cast(name, 1)
            send(name, 2)
            await until_idle()
            self.assertEqual([("cast", 1), ("info", 2)], diary)
            self.assertEqual(server, process_info(name).pid)
            self.assertEqual(server, Registry.whereis(registry, ("room", 1)))
            with self.does_not_start(("already_started", server)):
                await self.start(Probe, name=Registry.via(registry, ("room", 1)))
            ref = monitor(name)
            exit(name, KILL)
            self.assertEqual(Down(ref, name, KILLED), await self.root.receive())
            self.assertIsNone(whereis(name))

    async def test_rule_32_an_unknown_key_as_a_name_is_an_unknown_name(self) -> None:
        registry = await Registry.start_link("unique")
        name = Registry.via(registry, "nobody")
        self.assertIsNone(whereis(name))
        cast(name, 1)
        with self.assertRaises(LookupError):
            send(name, 1)
        with self.assertRaises(CallExit):
            await call(name, 1)

    async def test_rule_32_a_supervised_child_keeps_its_key(self) -> None:
        registry = await Registry.start_link("unique")
        name = Registry.via(registry, "worker")
        await self.supervise(ChildSpec("worker", self.flavour(Probe), kwargs={"name": name}))
        before = whereis(name)
        await self.end(before, KILLED)
        self.assertNotIn(whereis(name), (before, None))

    async def test_rule_32_a_registry_can_be_supervised_and_loses_its_entries_with_its_life(self) -> None:
        await self.supervise(ChildSpec("registry", Registry, ("unique",), {"name": "registry"}))
        server = await self.start()
        Registry.register("registry", "key", pid=server)
        await self.end(whereis("registry"), KILLED)
        self.assertEqual([], Registry.lookup("registry", "key"))
        Registry.register("registry", "key", pid=server)
        self.assertEqual(server, Registry.whereis("registry", "key"))

    async def test_rule_32_registries_do_not_know_of_each_other(self) -> None:
        one, other = await Registry.start_link("unique"), await Registry.start_link("unique")
        Registry.register(one, "key")
        self.assertEqual([], Registry.lookup(other, "key"))
        Registry.register(other, "key")

    async def test_rule_32_what_makes_no_sense_is_refused_and_shown(self) -> None:
        with self.misuse("'some'"):
            await Registry.start_link("some")
        server = await self.start()
        with self.assertRaises((UsageError, TypeError)):
            Registry.lookup(server, "key")
        with self.assertRaises((UsageError, LookupError)) as caught:
            Registry.register("no registry", "key")
        self.assertIn("'no registry'", str(caught.exception))
        registry = await Registry.start_link("unique")
        with self.assertRaises((UsageError, TypeError)):
            Registry.register(registry, ["unhashable"])
        dead = await self.start()
        exit(dead, KILL)
        with self.assertRaises((UsageError, CallExit)):
            Registry.register(registry, "key", pid=dead)
        self.assertEqual(0, Registry.count(registry))
