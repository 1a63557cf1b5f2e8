"""Supervisors seen from outside."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.errors import UsageError, WaitTimeout
from supertester.otp import (
    KILL,
    ChildSpec,
    Continue,
    DynamicSupervisor,
    GenServer,
    Stop,
    Supervisor,
    start_child,
    sys,
    terminate_child,
    whereis,
    which_children,
)
from supertester.supervision import (
    check_all_children_alive,
    check_child_count,
    check_supervisor_strategy,
    get_active_child_count,
    wait_for_supervision_tree_ready,
    wait_for_supervisor_restart,
    wait_for_supervisor_stabilization,
)
from tests.otp.support import RuntimeCase
from tests.subjects import Counter, counter_spec, team


class Gated(GenServer):
    """Starts only when its gate opens; from the second time on."""

    async def init(self, gate: asyncio.Event, starts: list[int]) -> Any:
        starts.append(1)
        if len(starts) > 1:
            await gate.wait()


class Restless(GenServer):
    """Crashes as soon as it runs, so many times."""

    def init(self, left: list[int]) -> Any:
        return Continue(None, state=left)

    def handle_continue(self, arg: Any) -> Any:
        return Stop("restless") if self.state and self.state.pop() else None


class Failing(GenServer):
    """Starts once, and then no more until allowed."""

    def init(self, allowed: list[bool]) -> Any:
        return None if allowed[0] else Stop("not yet")


class Case(RuntimeCase):
    runtime_options = {"history": 4}  # noqa: RUF012

    async def gated(self) -> tuple[Any, asyncio.Event]:
        gate = asyncio.Event()
        spec = ChildSpec("slow", Gated, (gate, []), {"name": "slow"})
        return await Supervisor.start_link([counter_spec("a"), spec], name="team"), gate


class TestReadiness(Case):
    async def test_is_given_with_the_pid_at_once(self) -> None:
        for wait in (wait_for_supervision_tree_ready, wait_for_supervisor_stabilization, wait_for_supervisor_restart):
            supervisor = await team("a", "b", name="team")
            for reference in (supervisor, "team", lambda supervisor=supervisor: supervisor):
                self.assertIs(await wait(reference, 0), supervisor)
            await supervisor.stop()
            empty = await Supervisor.start_link([])
            self.assertIs(await wait(empty, 0), empty)

    async def test_is_waited_for_while_time_stands_still(self) -> None:
        supervisor, gate = await self.gated()
        whereis("slow").exit(KILL)  # type: ignore[union-attr]
        waits = [
            self.background(wait(supervisor))
            for wait in (
                wait_for_supervision_tree_ready,
                wait_for_supervisor_restart,
                wait_for_supervisor_stabilization,
            )
        ]
        for wait in waits:
            await self.still_pending(wait)
        gate.set()
        self.assertEqual([await wait for wait in waits], [supervisor] * 3)
        self.assertIsNone(await check_all_children_alive(supervisor))

    async def test_includes_the_supervisors_below(self) -> None:
        gate = asyncio.Event()
        inner = ChildSpec("inner", Supervisor, ([ChildSpec("slow", Gated, (gate, []), {"name": "slow"})],))
        outer = await Supervisor.start_link([inner])
        self.assertIs(await wait_for_supervision_tree_ready(outer, 0), outer)
        whereis("slow").exit(KILL)  # type: ignore[union-attr]
        with self.assertRaises(WaitTimeout):
            await wait_for_supervision_tree_ready(outer, 0)
        gate.set()
        self.assertIs(await wait_for_supervision_tree_ready(outer), outer)

    async def test_does_not_wait_for_what_was_terminated_on_purpose(self) -> None:
        supervisor = await team("a", "b")
        await terminate_child(supervisor, "a")
        self.assertIs(await wait_for_supervision_tree_ready(supervisor, 0), supervisor)
        self.assertIs(await wait_for_supervisor_stabilization(supervisor, 0), supervisor)

    async def test_names_the_child_that_cannot_start(self) -> None:
        allowed = [True]
        picky = ChildSpec("picky", Failing, (allowed,), {"name": "picky"})
        inner = ChildSpec("inner", Supervisor, ([picky],), {"max_restarts": 10**6})
        supervisor = await Supervisor.start_link([inner])
        allowed[0] = False
        whereis("picky").exit(KILL)  # type: ignore[union-attr]
        waiting = self.background(wait_for_supervision_tree_ready(supervisor, 1.0))
        await self.still_pending(waiting)
        with self.assertRaisesRegex(WaitTimeout, r"last seen: child 'picky' of <Pid \d+ Supervisor> is restarting"):
            await wait_for_supervision_tree_ready(supervisor, 0)
        allowed[0] = True
        self.assertIs(await waiting, supervisor)

    async def test_ends_with_the_supervisor(self) -> None:
        supervisor, _ = await self.gated()
        whereis("slow").exit(KILL)  # type: ignore[union-attr]
        waiting = self.background(wait_for_supervision_tree_ready(supervisor))
        await self.still_pending(waiting)
        supervisor.exit(KILL)
        with self.assertRaisesRegex(WaitTimeout, r"dead: KILLED> died, so its children will never be ready\n  1\."):
            await waiting

    async def test_of_the_dead_the_unknown_and_others_is_a_mistake(self) -> None:
        supervisor = await team()
        supervisor.exit(KILL)
        server = await self.start(Counter)
        for wait in (wait_for_supervision_tree_ready, wait_for_supervisor_stabilization):
            for wrong, words in ((supervisor, "is dead"), ("nobody", "'nobody'"), (server, "is no supervisor")):
                with self.misuse(words):
                    await wait(wrong)
        with self.misuse("is dead"):
            await wait_for_supervisor_restart(supervisor)
        with self.misuse("timeout must be 0 or more"):
            await wait_for_supervisor_restart("nobody", -1)

    async def test_leaves_no_callback_behind(self) -> None:
        supervisor, gate = await self.gated()
        whereis("slow").exit(KILL)  # type: ignore[union-attr]
        with self.assertRaises(WaitTimeout):
            await wait_for_supervision_tree_ready(supervisor, 0)
        self.assertEqual(self.rt.on_spawn, [])
        gate.set()


class TestRestart(Case):
    async def test_of_the_supervisor_itself_is_waited_for_by_name(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([counter_spec("a")],), {"name": "inner"})
        await Supervisor.start_link([inner])
        first = whereis("inner")
        assert first is not None
        first.exit(KILL)
        second = await wait_for_supervisor_restart("inner")
        self.assertIsNot(second, first)
        self.assertIsNone(await check_child_count(second, 1))

    async def test_says_that_nobody_has_the_name(self) -> None:
        with self.assertRaisesRegex(WaitTimeout, "last seen: no process is registered as 'nobody'"):
            await wait_for_supervisor_restart("nobody", 0)

    async def test_of_another_server_is_a_mistake(self) -> None:
        await self.start(Counter, name="it")
        with self.assertRaisesRegex(UsageError, "is no supervisor"):
            await wait_for_supervisor_restart("it")


class TestStability(Case):
    async def test_comes_after_the_last_of_a_series_of_crashes(self) -> None:
        crashes = [1, 1]
        spec = ChildSpec("x", Restless, (crashes,))
        supervisor = await Supervisor.start_link([spec, ChildSpec("below", Supervisor, ([],))])
        await wait_for_supervisor_stabilization(supervisor)
        self.assertEqual(crashes, [])
        self.assertIsNone(await check_all_children_alive(supervisor))

    async def test_never_comes_to_one_that_gives_up(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("x", Restless, ([1] * 9,))])
        with self.assertRaisesRegex(WaitTimeout, "dead: SHUTDOWN> died"):
            await wait_for_supervisor_stabilization(supervisor)


class TestChecks(Case):
    async def test_count(self) -> None:
        supervisor = await team("a", "b")
        self.assertEqual(await get_active_child_count(supervisor), 2)
        self.assertIsNone(await check_child_count(supervisor, 2))
        await terminate_child(supervisor, "a")
        self.assertEqual(await get_active_child_count(supervisor), 1)
        self.assertRegex(
            str(await check_child_count(supervisor, 2)),
            r"^<Pid \d+ Supervisor> runs 1 children, expected 2\n  1\. 'a' is 'undefined'\n  2\. 'b' is <Pid ",
        )
        self.assertIsNone(await check_child_count(await DynamicSupervisor.start_link(), 0))

    async def test_count_of_the_dead_the_unknown_and_others(self) -> None:
        supervisor = await team()
        supervisor.exit(KILL)
        for wrong in (supervisor, "nobody", await self.start(Counter)):
            with self.assertRaises(UsageError):
                await get_active_child_count(wrong)
        self.assertRegex(str(await check_child_count(supervisor, 0)), r"dead: KILLED> is dead\n  1\. exit KILLED$")
        self.assertEqual(str(await check_child_count("nobody", 0)), "no process is registered as 'nobody'")

    async def test_count_takes_a_number(self) -> None:
        supervisor = await team()
        for wrong in (True, 1.0, -1):
            with self.misuse("a count of children must be"):
                await check_child_count(supervisor, wrong)  # type: ignore[arg-type]

    async def test_all_alive(self) -> None:
        supervisor = await team("a", "b")
        self.assertIsNone(await check_all_children_alive(supervisor))
        await terminate_child(supervisor, "b")
        self.assertRegex(
            str(await check_all_children_alive(supervisor)),
            r"^not all children of <Pid \d+ Supervisor> are alive: 'b'\n  1\. 'a' is <Pid ",
        )
        self.assertEqual(str(await check_all_children_alive("nobody")), "no process is registered as 'nobody'")

    async def test_one_that_is_being_restarted_is_not_alive(self) -> None:
        allowed = [True]
        supervisor = await Supervisor.start_link(
            [ChildSpec("picky", Failing, (allowed,), {"name": "picky"})], max_restarts=10**6
        )
        allowed[0] = False
        whereis("picky").exit(KILL)  # type: ignore[union-attr]
        self.assertRegex(str(await check_all_children_alive(supervisor)), "'picky' is 'restarting'")
        allowed[0] = True

    async def test_a_child_that_died_a_moment_ago_is_seen_restarted(self) -> None:
        supervisor = await team("a")
        [row] = await which_children(supervisor)
        row.pid.exit(KILL)  # type: ignore[union-attr]
        self.assertIsNone(await check_all_children_alive(supervisor))

    async def test_strategy(self) -> None:
        supervisor = await team("a", strategy="rest_for_one")
        self.assertIsNone(await check_supervisor_strategy(supervisor, "rest_for_one"))
        self.assertRegex(
            str(await check_supervisor_strategy(supervisor, "one_for_all")),
            r"^the strategy of <Pid \d+ Supervisor> is 'rest_for_one', expected 'one_for_all'",
        )
        pool = await DynamicSupervisor.start_link()
        await start_child(pool, counter_spec("b"))
        self.assertIsNone(await check_supervisor_strategy(pool, "one_for_one"))
        self.assertEqual(
            str(await check_supervisor_strategy("nobody", "one_for_one")), "no process is registered as 'nobody'"
        )
        with self.misuse("a strategy must be one of 'one_for_one', 'one_for_all', 'rest_for_one', got 'all'"):
            await check_supervisor_strategy(supervisor, "all")
        server = await self.start(Counter)
        with self.misuse("is no supervisor"):
            await check_supervisor_strategy(server, "one_for_one")

    async def test_a_supervisor_that_does_not_answer(self) -> None:
        supervisor = await team("a")
        await sys.suspend(supervisor)
        checking = self.background(check_all_children_alive(supervisor))
        await self.still_pending(checking)
        self.clock.advance(5.0)
        self.assertIn("did not tell its children: TIMEOUT", str(await checking))
        await sys.resume(supervisor)
