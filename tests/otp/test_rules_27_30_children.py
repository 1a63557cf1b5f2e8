"""Rules 27 to 30: stopping children, looking at them, changing them, and supervisors that are stopped or killed."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from supertester.otp import (
    BRUTAL_KILL,
    IGNORE,
    INFINITY,
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    Exit,
    GenServer,
    Pid,
    Shutdown,
    Stop,
    Supervisor,
    count_children,
    delete_child,
    exit,
    get_childspec,
    get_tree,
    intensity_left,
    link,
    process_info,
    restart_child,
    send,
    start_child,
    strategy,
    terminate_child,
    until_idle,
    whereis,
    which_children,
)
from tests.otp.support import Asynchronous, Child, Probe, RuntimeCase, parked


class StoppingCase(RuntimeCase):
    async def stubborn(self, label: str) -> asyncio.Event:
        """Let the child *label* wait in terminate until the returned event is set."""
        gate = asyncio.Event()
        await whereis(label).call(lambda me: setattr(me, "on_terminate", parked(gate)))
        return gate


class Rule27StoppingAChild(StoppingCase):
    async def test_rule_27_a_child_that_traps_terminates_with_shutdown(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        child = whereis("a")
        await terminate_child(supervisor, "a")
        self.assertEqual(SHUTDOWN, child.exit_reason)
        self.assertEqual([("a", "start"), ("a", "terminate", SHUTDOWN)], diary)

    async def test_rule_27_a_child_that_does_not_trap_ends_with_shutdown_without_terminate(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := [], trap=False))
        child = whereis("a")
        await terminate_child(supervisor, "a")
        self.assertEqual(SHUTDOWN, child.exit_reason)
        self.assertEqual([("a", "start")], diary)

    async def test_rule_27_a_child_that_takes_too_long_is_killed(self) -> None:
        for shutdown in (5.0, 0.05):
            with self.subTest(shutdown=shutdown):
                supervisor = await self.supervise(self.child("a", diary := [], shutdown=shutdown))
                child, gate = whereis("a"), await self.stubborn("a")
                stopping = self.background(terminate_child(supervisor, "a"))
                await self.turn_until(lambda d=diary: len(d) == 2, "terminate runs")
                await self.still_pending(stopping)
                self.clock.advance(shutdown - 0.01)
                await self.still_pending(stopping)
                self.assertTrue(child.is_alive())
                self.clock.advance(0.01)
                self.assertIsNone(await stopping)
                self.assertEqual(KILLED, child.exit_reason)
                gate.set()
                await supervisor.stop()

    async def test_rule_27_a_worker_has_five_seconds_unless_told_otherwise(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        child, _ = whereis("a"), await self.stubborn("a")
        stopping = self.background(terminate_child(supervisor, "a"))
        await self.still_pending(stopping)
        self.assertEqual(5.0, self.clock.next_timer())
        self.clock.advance(4.99)
        await self.still_pending(stopping)
        self.clock.advance(0.01)
        await stopping
        self.assertEqual(KILLED, child.exit_reason)

    async def test_rule_27_brutal_kill_kills_at_once(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := [], shutdown=BRUTAL_KILL))
        child = whereis("a")
        await terminate_child(supervisor, "a")
        self.assertEqual(KILLED, child.exit_reason)
        self.assertEqual([("a", "start")], diary)

    async def test_rule_27_infinity_waits_for_ever(self) -> None:
        supervisor = await self.supervise(self.child("a", [], shutdown=INFINITY))
        child, gate = whereis("a"), await self.stubborn("a")
        stopping = self.background(terminate_child(supervisor, "a"))
        await self.still_pending(stopping)
        self.clock.advance(1e9)
        await self.still_pending(stopping)
        self.assertTrue(child.is_alive())
        gate.set()
        await stopping
        self.assertEqual(SHUTDOWN, child.exit_reason)

    async def test_rule_27_the_deadline_holds_for_a_child_that_is_busy_in_a_handler(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := [], shutdown=2.0))
        child = whereis("a")
        child.cast(parked(asyncio.Event()))
        stopping = self.background(terminate_child(supervisor, "a"))
        await self.still_pending(stopping)
        self.clock.advance(2.0)
        await stopping
        self.assertEqual((KILLED, [("a", "start")]), (child.exit_reason, diary))

    async def test_rule_27_a_child_stays_linked_until_it_is_dead(self) -> None:
        supervisor = await self.supervise(self.child("a", [], shutdown=INFINITY))
        gate = await self.stubborn("a")
        stopping = self.background(terminate_child(supervisor, "a"))
        await self.still_pending(stopping)
        self.assertIn(supervisor, process_info("a").links)
        self.assertIn(whereis("a"), process_info(supervisor).links)
        gate.set()
        await stopping

    async def test_rule_27_a_child_that_is_being_stopped_does_not_outlive_a_killed_supervisor(self) -> None:
        supervisor = await self.supervise(self.child("a", [], shutdown=INFINITY))
        child, gate = whereis("a"), asyncio.Event()
        child.cast(parked(gate))
        stopping = self.background(terminate_child(supervisor, "a"))
        await self.still_pending(stopping)
        exit(supervisor, KILL)
        with self.exits(KILLED):
            await stopping
        gate.set()
        self.assertEqual(SHUTDOWN, await self.dead(child))

    async def test_rule_27_the_three_ways_together_in_reverse_order(self) -> None:
        diary: list[Any] = []
        supervisor = await self.supervise(
            self.child("a", diary, shutdown=INFINITY),
            self.child("b", diary, shutdown=BRUTAL_KILL),
            self.child("c", diary, shutdown=0.05),
        )
        children = [whereis(label) for label in "abc"]
        ends: list[str] = []
        for child in children:
            child.on_exit(lambda pid: ends.append(pid.name))
        patient, _ = await self.stubborn("a"), await self.stubborn("c")
        stopping = self.background(supervisor.stop(SHUTDOWN))
        await self.turn_until(lambda: ("c", "terminate", SHUTDOWN) in diary, "c is being stopped")
        await self.still_pending(stopping)
        self.assertEqual([], ends)
        self.clock.advance(0.05)
        await self.turn_until(lambda: ("a", "terminate", SHUTDOWN) in diary, "a is being stopped")
        self.assertEqual(["c", "b"], ends)
        self.clock.advance(0.1)
        await self.still_pending(stopping)
        patient.set()
        await stopping
        self.assertEqual(["c", "b", "a"], ends)
        self.assertEqual([SHUTDOWN, KILLED, KILLED], [child.exit_reason for child in children])

    async def test_rule_27_a_child_that_ends_with_another_reason_while_it_is_stopped_is_stopped_all_the_same(
        self,
    ) -> None:
        supervisor = await self.supervise(self.child("a", []))
        child, error = whereis("a"), ValueError("in terminate")

        def fail(_: Any) -> None:
            raise error

        await child.call(lambda me: setattr(me, "on_terminate", fail))
        await terminate_child(supervisor, "a")
        self.assertEqual(Crash(error), child.exit_reason)
        self.assertEqual(({"a": "undefined"}, 3), (await self.rows(supervisor), intensity_left(supervisor)))

    async def test_rule_27_a_supervisor_as_a_child_has_all_the_time_it_needs(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([self.child("a", [], shutdown=INFINITY)],))
        supervisor = await self.supervise(inner)
        child, gate = whereis("a"), await self.stubborn("a")
        stopping = self.background(supervisor.stop())
        await self.still_pending(stopping)
        self.clock.advance(1e6)
        await self.still_pending(stopping)
        gate.set()
        await stopping
        self.assertEqual(SHUTDOWN, child.exit_reason)


class Rule27StoppingAnAsyncChild(Asynchronous, Rule27StoppingAChild):
    pass


class Rule28LookingAtChildren(RuntimeCase):
    async def test_rule_28_children_are_shown_newest_first(self) -> None:
        supervisor = await self.supervise(self.child("a", []), self.child("b", []))
        await start_child(supervisor, self.child("c", []))
        rows = await which_children(supervisor)
        self.assertEqual(["c", "b", "a"], [row.id for row in rows])
        self.assertEqual([whereis(label) for label in "cba"], [row.pid for row in rows])

    async def test_rule_28_a_row_has_id_pid_type_and_modules(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([],))
        odd = dataclasses.replace(self.child("odd", []), modules=["one", "two"])
        supervisor = await self.supervise(self.child("a", []), inner, odd)
        rows = {row.id: row for row in await which_children(supervisor)}
        self.assertEqual(("worker", [self.flavour(Child)]), (rows["a"].type, list(rows["a"].modules)))
        self.assertEqual(("supervisor", [Supervisor]), (rows["inner"].type, list(rows["inner"].modules)))
        self.assertEqual(["one", "two"], list(rows["odd"].modules))
        id, pid, type, _ = rows["a"]
        self.assertEqual(("a", whereis("a"), "worker"), (id, pid, type))

    async def test_rule_28_a_child_without_a_process_is_undefined(self) -> None:
        supervisor = await self.supervise(self.child("a", []), self.child("b", [], restart="transient"))
        await terminate_child(supervisor, "a")
        await self.end(whereis("b"), NORMAL)
        self.assertEqual({"a": "undefined", "b": "undefined"}, await self.rows(supervisor))

    async def test_rule_28_children_are_counted(self) -> None:
        supervisor = await self.supervise(
            self.child("a", []),
            self.child("b", [], restart="transient"),
            ChildSpec("inner", Supervisor, ([],)),
        )
        self.assertEqual({"specs": 3, "active": 3, "supervisors": 1, "workers": 2}, await count_children(supervisor))
        await self.end(whereis("b"), NORMAL)
        self.assertEqual({"specs": 3, "active": 2, "supervisors": 1, "workers": 2}, await count_children(supervisor))
        await delete_child(supervisor, "b")
        self.assertEqual({"specs": 2, "active": 2, "supervisors": 1, "workers": 1}, await count_children(supervisor))

    async def test_rule_28_an_empty_supervisor_has_nothing_to_show(self) -> None:
        supervisor = await self.supervise()
        self.assertEqual([], await which_children(supervisor))
        self.assertEqual({"specs": 0, "active": 0, "supervisors": 0, "workers": 0}, await count_children(supervisor))

    async def test_rule_28_a_tree_shows_children_of_children(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([self.child("b", []), self.child("c", [])],), {"name": "inner"})
        supervisor = await self.supervise(self.child("a", []), inner)
        await terminate_child("inner", "c")
        tree = await get_tree(supervisor)
        self.assertEqual(supervisor, tree.pid)
        nodes = {node.id: node for node in tree.children}
        self.assertEqual({"a", "inner"}, set(nodes))
        self.assertEqual((whereis("a"), []), (nodes["a"].pid, list(nodes["a"].children)))
        self.assertEqual(whereis("inner"), nodes["inner"].pid)
        self.assertEqual({"b": whereis("b"), "c": "undefined"}, {node.id: node.pid for node in nodes["inner"].children})

    async def test_rule_28_a_tree_shows_dynamic_supervisors_too(self) -> None:
        supervisor = await self.supervise(ChildSpec("pool", DynamicSupervisor, kwargs={"name": "pool"}))
        worker = await start_child("pool", ChildSpec("any", self.flavour(Probe)))
        [pool] = (await get_tree(supervisor)).children
        self.assertEqual([worker], [node.pid for node in pool.children])

    async def test_rule_28_the_strategy_can_be_asked_for(self) -> None:
        for how in ("one_for_one", "one_for_all", "rest_for_one"):
            self.assertEqual(how, strategy(await self.supervise(strategy=how)))
        self.assertEqual("one_for_one", strategy(await DynamicSupervisor.start_link()))

    async def test_rule_28_what_is_left_of_the_intensity_can_be_asked_for(self) -> None:
        supervisor = await self.supervise(self.child("a", []), max_restarts=2, max_seconds=5.0, name="sup")
        self.assertEqual(2, intensity_left("sup"))
        await self.end(whereis("a"), KILLED)
        self.assertEqual(1, intensity_left(lambda: supervisor))
        self.clock.advance(6.0)
        self.assertEqual(2, intensity_left(supervisor))

    async def test_rule_28_looking_changes_nothing(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        before = await self.rows(supervisor)
        for function in (which_children, count_children, get_tree):
            await function(supervisor)
        strategy(supervisor)
        intensity_left(supervisor)
        self.assertEqual((before, [("a", "start")]), (await self.rows(supervisor), diary))

    async def test_rule_28_only_a_supervisor_can_be_asked_and_another_server_is_not_harmed(self) -> None:
        server = await self.start(Hostile)
        for function in (which_children, count_children, get_tree, strategy, intensity_left):
            with self.subTest(function.__name__), self.misuse(repr(server)):
                result = function(server)
                await result
        for function in (terminate_child, restart_child, delete_child, get_childspec):
            with self.subTest(function.__name__), self.misuse(repr(server)):
                await function(server, "a")
        with self.misuse(repr(server)):
            await start_child(server, self.child("a", []))
        self.assertTrue(server.is_alive())

    async def test_rule_28_a_dead_or_unknown_supervisor_exits_noproc(self) -> None:
        supervisor = await self.supervise(name="sup")
        await supervisor.stop()
        for target in (supervisor, "sup", "nobody"):
            for function in (which_children, count_children, get_tree):
                with self.subTest(function.__name__, target=target), self.exits(NOPROC):
                    await function(target)
            with self.exits(NOPROC):
                await terminate_child(target, "a")


class Hostile(GenServer):
    def handle_call(self, request: Any, sender: Any) -> Any:
        raise AssertionError(f"handle_call saw {request!r}")


class Rule28LookingAtAsyncChildren(Asynchronous, Rule28LookingAtChildren):
    pass


class Rule29ChangingChildren(RuntimeCase):
    async def test_rule_29_start_child_starts_links_and_keeps_a_child(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        child = await start_child(supervisor, self.child("b", diary))
        self.assertEqual([("a", "start"), ("b", "start")], diary)
        self.assertEqual(whereis("b"), child)
        self.assertIn(supervisor, process_info(child).links)
        await self.end(child, KILLED)
        self.assertTrue((await self.rows(supervisor))["b"].is_alive())

    async def test_rule_29_an_id_that_runs_is_already_started(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        with self.refused(("already_started", whereis("a"))):
            await start_child(supervisor, self.child("a", diary))
        self.assertEqual([("a", "start")], diary)

    async def test_rule_29_an_id_that_does_not_run_is_already_present(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []))
        await terminate_child(supervisor, "a")
        with self.refused("already_present"):
            await start_child(supervisor, self.child("a", diary))
        self.assertEqual([("a", "start"), ("a", "terminate", SHUTDOWN)], diary)

    async def test_rule_29_a_child_that_does_not_start_is_not_kept(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        error = ValueError("broken")

        def broken(*_: Any, **__: Any) -> Any:
            raise error

        for spec, reason in (
            (ChildSpec("b", self.flavour(Refusing), ("no",)), "no"),
            (ChildSpec("b", self.flavour(Refusing), (NORMAL,)), NORMAL),
            (ChildSpec("b", broken), Crash(error)),
            (ChildSpec("b", self.flavour(Probe), kwargs={"name": "a"}), ("already_started", whereis("a"))),
        ):
            with self.subTest(reason=reason):
                with self.does_not_start(reason):
                    await start_child(supervisor, spec)
                self.assertEqual(["a"], list(await self.rows(supervisor)))
        self.assertEqual(3, intensity_left(supervisor))

    async def test_rule_29_a_child_that_ignores_is_kept_as_undefined_unless_temporary(self) -> None:
        supervisor = await self.supervise()
        cls = self.flavour(Ignoring)
        self.assertIs(IGNORE, await start_child(supervisor, ChildSpec("a", cls)))
        self.assertIs(IGNORE, await start_child(supervisor, ChildSpec("b", cls, restart="temporary")))
        self.assertEqual({"a": "undefined"}, await self.rows(supervisor))

    async def test_rule_29_start_child_takes_child_specifications_only(self) -> None:
        supervisor = await self.supervise()
        for nonsense in (Probe, "a", None, {"id": "a"}):
            with self.subTest(spec=nonsense), self.misuse(repr(nonsense)):
                await start_child(supervisor, nonsense)
        self.assertEqual({}, await self.rows(supervisor))

    async def test_rule_29_terminate_child_keeps_the_specification(self) -> None:
        for restart in ("permanent", "transient"):
            with self.subTest(restart=restart):
                supervisor = await self.supervise(self.child("a", diary := [], restart=restart))
                self.assertIsNone(await terminate_child(supervisor, "a"))
                await until_idle()
                self.assertEqual({"a": "undefined"}, await self.rows(supervisor))
                self.assertEqual([("a", "start"), ("a", "terminate", SHUTDOWN)], diary)
                await supervisor.stop()

    async def test_rule_29_terminate_child_removes_a_temporary_child(self) -> None:
        supervisor = await self.supervise(self.child("a", [], restart="temporary"))
        await terminate_child(supervisor, "a")
        self.assertEqual({}, await self.rows(supervisor))
        with self.refused("not_found"):
            await terminate_child(supervisor, "a")

    async def test_rule_29_terminating_a_child_that_does_not_run_is_no_error(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        await terminate_child(supervisor, "a")
        self.assertIsNone(await terminate_child(supervisor, "a"))
        self.assertEqual({"a": "undefined"}, await self.rows(supervisor))

    async def test_rule_29_restart_child_starts_a_terminated_child_again(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []), self.child("b", []))
        before = whereis("a")
        await terminate_child(supervisor, "a")
        after = await restart_child(supervisor, "a")
        self.assertNotEqual(before, after)
        self.assertEqual(["a", "b"], list(await self.rows(supervisor)))
        self.assertEqual(after, (await self.rows(supervisor))["a"])
        self.assertEqual(3, intensity_left(supervisor))
        self.assertEqual(("a", "start"), diary[-1])

    async def test_rule_29_restart_child_refuses_a_child_that_runs(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        before = whereis("a")
        with self.refused("running"):
            await restart_child(supervisor, "a")
        self.assertEqual(before, whereis("a"))

    async def test_rule_29_restart_child_that_fails_leaves_the_child_undefined(self) -> None:
        trouble: list[Any] = []
        supervisor = await self.supervise(ChildSpec("a", self.flavour(Moody), (trouble,)))
        await terminate_child(supervisor, "a")
        trouble.append("no")
        with self.does_not_start("no"):
            await restart_child(supervisor, "a")
        self.assertEqual({"a": "undefined"}, await self.rows(supervisor))
        trouble.clear()
        self.assertTrue((await restart_child(supervisor, "a")).is_alive())
        self.assertEqual(3, intensity_left(supervisor))

    async def test_rule_29_delete_child_forgets_a_terminated_child(self) -> None:
        supervisor = await self.supervise(self.child("a", []), self.child("b", []))
        await terminate_child(supervisor, "a")
        self.assertIsNone(await delete_child(supervisor, "a"))
        self.assertEqual(["b"], list(await self.rows(supervisor)))
        self.assertTrue((await start_child(supervisor, self.child("a", []))).is_alive())

    async def test_rule_29_delete_child_refuses_a_child_that_runs(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        with self.refused("running"):
            await delete_child(supervisor, "a")
        self.assertTrue(whereis("a").is_alive())

    async def test_rule_29_an_unknown_id_is_not_found(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        for function in (terminate_child, restart_child, delete_child, get_childspec):
            with self.subTest(function.__name__):
                with self.refused("not_found") as caught:
                    await function(supervisor, "missing")
                self.assertIn("'missing'", str(caught.exception))

    async def test_rule_29_refusals_say_which_child(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        for refused in (restart_child(supervisor, "a"), delete_child(supervisor, "a")):
            with self.misuse("'a'"):
                await refused

    async def test_rule_29_the_specification_of_a_child_can_be_asked_for(self) -> None:
        supervisor = await self.supervise(spec := self.child("a", [], restart="transient"))
        self.assertEqual(spec, await get_childspec(supervisor, "a"))

    async def test_rule_29_a_supervisor_survives_messages_that_it_does_not_know(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        send(supervisor, "what is this")
        await until_idle()
        self.assertEqual({"a": whereis("a")}, await self.rows(supervisor))

    async def test_rule_29_a_child_started_later_obeys_the_strategy(self) -> None:
        supervisor = await self.supervise(self.child("a", diary := []), strategy="rest_for_one")
        await start_child(supervisor, self.child("b", diary))
        diary.clear()
        await self.end(whereis("a"), KILLED)
        self.assertEqual([("b", "terminate", SHUTDOWN), ("a", "start"), ("b", "start")], diary)


class Refusing(Probe):
    def init(self, reason: Any) -> Any:  # type: ignore[override]
        return Stop(reason)


class Ignoring(Probe):
    def init(self) -> Any:  # type: ignore[override]
        return IGNORE


class Moody(Probe):
    def init(self, trouble: list[Any]) -> Any:  # type: ignore[override]
        return Stop(trouble[0]) if trouble else super().init()


class Rule29ChangingAsyncChildren(Asynchronous, Rule29ChangingChildren):
    pass


class Rule30TheEndOfASupervisor(StoppingCase):
    async def test_rule_30_a_supervisor_traps_exits(self) -> None:
        self.assertTrue(process_info(await self.supervise()).trap_exit)
        self.assertTrue(process_info(await DynamicSupervisor.start_link()).trap_exit)

    async def test_rule_30_a_killed_supervisor_takes_its_children_along(self) -> None:
        diary: list[Any] = []
        supervisor = await self.supervise(self.child("a", diary, trap=False), self.child("b", diary))
        plain, trapping = whereis("a"), whereis("b")
        exit(supervisor, KILL)
        await until_idle()
        self.assertEqual((KILLED, KILLED), (plain.exit_reason, trapping.exit_reason))
        self.assertEqual([("b", "terminate", KILLED)], [entry for entry in diary if entry[1] != "start"])

    async def test_rule_30_a_killed_supervisor_takes_the_whole_tree_along(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([self.child("a", [], trap=False)],), {"name": "inner"})
        supervisor = await self.supervise(inner)
        tree = [supervisor, whereis("inner"), whereis("a")]
        exit(supervisor, KILL)
        await until_idle()
        self.assertEqual([False] * 3, [pid.is_alive() for pid in tree])

    async def test_rule_30_a_shutdown_by_somebody_else_is_ignored(self) -> None:
        owner, stranger = await self.start(), await self.start()
        supervisor = await owner.call(lambda _: Supervisor.start_link([self.child("a", [])]))
        exit(supervisor, SHUTDOWN)
        exit(supervisor, "boom")
        await stranger.call(lambda _: exit(supervisor, SHUTDOWN))
        await until_idle()
        self.assertTrue(supervisor.is_alive())
        self.assertEqual({"a": whereis("a")}, await self.rows(supervisor))

    async def test_rule_30_a_shutdown_by_the_parent_stops_the_children_in_reverse(self) -> None:
        for reason in (SHUTDOWN, Shutdown("term"), "boom"):
            with self.subTest(reason=reason):
                diary: list[Any] = []
                supervisor = await self.supervise(*(self.child(label, diary) for label in "abc"))
                diary.clear()
                exit(supervisor, reason)
                self.assertEqual(reason, await self.dead(supervisor))
                self.assertEqual([(label, "terminate", SHUTDOWN) for label in "cba"], diary)
                self.assertEqual(Exit(supervisor, reason), await self.root.receive())

    async def test_rule_30_the_death_of_the_parent_stops_the_children_in_reverse(self) -> None:
        owner, diary = await self.start(), []
        supervisor = await owner.call(lambda _: Supervisor.start_link([self.child(label, diary) for label in "abc"]))
        diary.clear()
        exit(owner, "boom")
        self.assertEqual("boom", await self.dead(supervisor))
        self.assertEqual([(label, "terminate", SHUTDOWN) for label in "cba"], diary)

    async def test_rule_30_stopping_a_supervisor_stops_the_children_in_reverse(self) -> None:
        supervisor = await self.supervise(*(self.child(label, diary := []) for label in "a"))
        await start_child(supervisor, self.child("b", diary))
        diary.clear()
        await supervisor.stop()
        self.assertEqual([("b", "terminate", SHUTDOWN), ("a", "terminate", SHUTDOWN)], diary)
        self.assertEqual(NORMAL, supervisor.exit_reason)

    async def test_rule_30_an_inner_supervisor_that_gives_up_is_restarted_and_counts_one(self) -> None:
        outer, before = await self.nested("permanent")
        for _ in range(2):
            await self.end(whereis("a"), KILLED)
        self.assertEqual(SHUTDOWN, before.exit_reason)
        after = whereis("inner")
        self.assertNotIn(after, (before, None))
        self.assertTrue(whereis("a").is_alive())
        self.assertEqual(2, intensity_left(outer))
        self.assertEqual(1, intensity_left(after))

    async def test_rule_30_an_inner_supervisor_that_gives_up_ends_normally_if_transient(self) -> None:
        outer, before = await self.nested("transient")
        for _ in range(2):
            await self.end(whereis("a"), KILLED)
        self.assertEqual(SHUTDOWN, before.exit_reason)
        self.assertEqual({"inner": "undefined"}, await self.rows(outer))
        self.assertEqual(3, intensity_left(outer))

    async def test_rule_30_giving_up_climbs_the_tree(self) -> None:
        outer, _ = await self.nested("permanent", max_restarts=1)
        for _ in range(4):  # Twice two crashes: the inner one gives up twice, the outer one the second time.
            self.assertTrue(outer.is_alive())
            await self.end(whereis("a"), KILLED)
        self.assertEqual(SHUTDOWN, outer.exit_reason)
        self.assertEqual((None, None), (whereis("inner"), whereis("a")))

    async def test_rule_30_a_crash_in_one_subtree_leaves_the_other_alone(self) -> None:
        inners = [ChildSpec(f"inner {label}", Supervisor, ([self.child(label, [])],)) for label in "ab"]
        await self.supervise(*inners)
        other = whereis("b")
        await self.end(whereis("a"), KILLED)
        self.assertEqual(other, whereis("b"))

    async def test_rule_30_an_unlinked_stranger_that_dies_is_no_child(self) -> None:
        supervisor = await self.supervise(self.child("a", []), max_restarts=0)
        stranger = await self.start()
        await stranger.call(lambda _: link(supervisor))
        exit(stranger, "boom")
        await until_idle()
        self.assertTrue(supervisor.is_alive())
        self.assertEqual({"a": whereis("a")}, await self.rows(supervisor))

    async def nested(self, restart: str, **options: Any) -> tuple[Pid, Pid]:
        inner = ChildSpec(
            "inner", Supervisor, ([self.child("a", [])],), {"name": "inner", "max_restarts": 1}, restart=restart
        )
        return await self.supervise(inner, **options), whereis("inner")


class Rule30TheEndOfASupervisorOfAsyncChildren(Asynchronous, Rule30TheEndOfASupervisor):
    pass
