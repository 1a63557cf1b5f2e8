"""Waiting for processes, ending them, and checks of them. `tests/test_isolated_starts.py` is about starting them."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.errors import UsageError, WaitTimeout
from supertester.otp import (
    KILL,
    KILLED,
    SHUTDOWN,
    GenServer,
    Pid,
    register,
    start_child,
    terminate_child,
    whereis,
    which_children,
)
from supertester.otp import DynamicSupervisor as Dynamic
from supertester.processes import (
    check_always,
    check_eventually,
    check_process_alive,
    check_process_dead,
    check_process_restarted,
    cleanup_processes,
    monitor_process_lifecycle,
    wait_for_process_death,
    wait_for_process_restart,
)
from tests.otp.support import Probe, RuntimeCase, parked
from tests.subjects import Busy, Counter, Jumping, Stubborn, counter_spec, team


class Case(RuntimeCase):
    runtime_options = {"history": 4}  # noqa: RUF012


class InAHurry(RuntimeCase):
    """Time jumps to whatever is waited for."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.rt.clock = self.clock = Jumping()


class TestDeath(Case):
    async def test_gives_the_reason_also_long_after(self) -> None:
        server = await self.start(Counter)
        server.exit(KILL)
        self.assertEqual([await wait_for_process_death(server, 0) for _ in range(2)], [KILLED, KILLED])

    async def test_is_waited_for_while_time_stands_still(self) -> None:
        server = await self.start(Counter)
        waiting = self.background(wait_for_process_death(server))
        await self.still_pending(waiting)
        server.cast(("stop", "enough"))
        self.assertEqual(await waiting, "enough")

    async def test_of_a_name_that_is_free_again_is_that_of_its_last_owner(self) -> None:
        server = await self.start(Counter, name="it")
        server.exit(KILL)
        self.assertEqual(await wait_for_process_death("it"), KILLED)

    async def test_of_a_name_that_nobody_ever_had_is_a_mistake(self) -> None:
        with self.misuse("no process is or was registered as 'nobody'"):
            await wait_for_process_death("nobody")
        await (await self.start(Counter)).stop()
        with self.misuse("'nobody'"):
            await wait_for_process_death("nobody")

    async def test_says_what_the_survivor_did(self) -> None:
        server = await self.start(Counter)
        await server.call("value")
        with self.assertRaises(WaitTimeout) as caught:
            await wait_for_process_death(server, 0)
        self.assertEqual(
            str(caught.exception),
            f"timed out after 0 s waiting for the death of {server!r}; last seen: it is alive\n  1. call 'value'",
        )
        self.assertTrue(server.is_alive())

    async def test_leaves_no_callback_behind(self) -> None:
        server: Any = await self.start(Counter)
        with self.assertRaises(WaitTimeout):
            await wait_for_process_death(server, 0)
        self.assertFalse(server.callbacks)

    async def test_takes_no_nonsense(self) -> None:
        server = await self.start(Counter)
        with self.misuse("timeout must be 0 or more seconds, got timeout=-1"):
            await wait_for_process_death(server, -1)
        with self.misuse("no reference to a process"):
            await wait_for_process_death(None)


class TestRestart(Case):
    async def test_gives_the_new_process_while_time_stands_still(self) -> None:
        supervisor = await team("a")
        first = whereis("a")
        assert first is not None
        first.exit(KILL)
        second = await wait_for_process_restart("a", first)
        self.assertIs(second, whereis("a"))
        self.assertIsNot(second, first)
        self.assertTrue(supervisor.is_alive())

    async def test_takes_a_function_and_a_named_pid(self) -> None:
        await team("a")
        first = whereis("a")
        assert first is not None
        first.exit(KILL)
        second = await wait_for_process_restart(first, first)
        self.assertIs(await wait_for_process_restart(lambda: whereis("a"), first), second)

    async def test_waits_until_it_has_started(self) -> None:
        gate = asyncio.Event()

        class Slow(GenServer):
            async def init(self) -> Any:
                await gate.wait()

        first = await self.start(Counter, name="it")
        first.exit(KILL)
        start = self.background(self.start(Slow, name="it"))
        waiting = self.background(wait_for_process_restart("it", first))
        await self.still_pending(waiting)
        gate.set()
        self.assertIs(await waiting, await start)

    async def test_does_not_count_one_that_dies_before_it_answers(self) -> None:
        first = await self.start(Counter, name="it")
        first.exit(KILL)
        second = await self.start(Probe, name="it")
        gate = asyncio.Event()
        second.cast(parked(gate))
        waiting = self.background(wait_for_process_restart("it", first))
        await self.still_pending(waiting)
        second.exit(KILL)
        await self.still_pending(waiting)
        third = await self.start(Counter, name="it")
        self.assertIs(await waiting, third)

    async def test_leaves_a_plain_server_and_its_supervisor_as_they_are(self) -> None:
        # A probe that crashes what it looks at would use up the supervisor's restarts.
        await team("a", max_restarts=1)
        first = whereis("a")
        assert first is not None
        first.exit(KILL)
        second: Any = await wait_for_process_restart("a", first)
        self.assertEqual((second.handled, second.is_alive()), (0, True))

    async def test_leaves_no_callback_behind(self) -> None:
        server: Any = await self.start(Counter, name="it")
        with self.assertRaises(WaitTimeout):
            await wait_for_process_restart("it", server, 0)
        self.assertEqual((self.rt.on_spawn, server.callbacks or {}), ([], {}))

    async def test_says_who_had_the_name_last(self) -> None:
        first = await self.start(Counter, name="it")
        with self.assertRaisesRegex(WaitTimeout, r"^timed out after 0 s .* as 'it'; last seen: still <Pid \d+ Counter"):
            await wait_for_process_restart("it", first, 0)
        first.exit(KILL)
        with self.assertRaisesRegex(WaitTimeout, r"no process is registered as 'it'\n  1\. exit KILLED"):
            await wait_for_process_restart("it", first, 0)
        second = await self.start(Busy, name="it")
        second.cast("work")
        with self.assertRaisesRegex(WaitTimeout, r"Busy 'it'>, which does not answer"):
            await wait_for_process_restart("it", first, 0)
        second.exit(KILL)
        with self.assertRaisesRegex(WaitTimeout, r"Busy 'it' dead: KILLED>, which is dead"):
            await wait_for_process_restart(lambda: second, first, 0)

    async def test_of_a_pid_without_a_name_will_never_happen(self) -> None:
        server = await self.start(Counter)
        with self.misuse("is one process for ever and has no name"):
            await wait_for_process_restart(server, server)
        with self.misuse("original_pid must be the Pid of the process before the restart, got None"):
            await wait_for_process_restart("it", None)  # type: ignore[arg-type]


class TestRestartInAHurry(InAHurry):
    async def test_a_name_that_is_given_later_is_found_by_looking(self) -> None:
        first = await self.start(Counter, name="it")
        first.exit(KILL)
        second = await self.start(Counter)
        waiting = self.background(wait_for_process_restart("it", first, 1.0))
        for _ in range(8):
            await asyncio.sleep(0)
        register(second, "it")
        self.assertIs(await waiting, second)

    async def test_ends_with_its_timeout(self) -> None:
        first = await self.start(Counter, name="it")
        with self.assertRaisesRegex(WaitTimeout, "timed out after 3 s"):
            await wait_for_process_restart("it", first, 3.0)
        self.assertGreaterEqual(self.clock.time(), 3.0)


class TestMonitor(Case):
    async def test_gives_the_reason_as_often_as_it_is_awaited(self) -> None:
        server = await self.start(Counter)
        monitor = await monitor_process_lifecycle(server)
        self.assertIs(monitor.pid, server)
        self.assertIsNone(monitor.reason)
        self.assertEqual(repr(monitor), f"<monitor of {server!r}>")
        server.exit(KILL)
        self.assertEqual([await monitor, await monitor, monitor.reason], [KILLED] * 3)

    async def test_of_the_dead_knows_the_reason_too(self) -> None:
        server = await self.start(Counter)
        server.exit(KILL)
        self.assertEqual(await (await monitor_process_lifecycle(server)), KILLED)

    async def test_of_nobody_is_a_mistake(self) -> None:
        with self.misuse("no process is or was registered as 'nobody'"):
            await monitor_process_lifecycle("nobody")


class TestCleanup(Case):
    async def test_stops_all_and_is_not_disturbed_by_the_dead(self) -> None:
        first, second = await self.start(Counter, name="first"), await self.start(Counter)
        await cleanup_processes(["first", second, "nobody"])
        await cleanup_processes([first, second])
        self.assertEqual([first.exit_reason, second.exit_reason], [SHUTDOWN, SHUTDOWN])

    async def test_stops_a_supervisor_before_its_children(self) -> None:
        supervisor = await team("a", "b")
        children = [row.pid for row in await which_children(supervisor)]
        events: list[Any] = []
        supervisor.server.listeners.append(events.append)
        await cleanup_processes([*children, supervisor])
        self.assertEqual([event.kind for event in events], ["terminated", "terminated"])
        self.assertEqual([child.exit_reason for child in children], [SHUTDOWN, SHUTDOWN])

    async def test_ends_what_its_ancestor_did_not_end(self) -> None:
        parent = await self.start(Probe)
        child: Pid = await parent.call(lambda _: Counter.start())
        await cleanup_processes([parent, child])
        self.assertEqual(child.exit_reason, SHUTDOWN)

    async def test_takes_a_list(self) -> None:
        server = await self.start(Counter)
        for given in (server, "name"):
            with self.misuse("takes a list of processes"):
                await cleanup_processes(given)  # type: ignore[arg-type]
        with self.misuse("timeout must be 0 or more"):
            await cleanup_processes([server], timeout=-1)


class TestCleanupInAHurry(InAHurry):
    async def test_kills_what_does_not_stop(self) -> None:
        busy, other = await self.start(Busy), await self.start(Counter)
        busy.cast("work")
        await cleanup_processes([other, busy])
        self.assertEqual([busy.exit_reason, other.exit_reason], [KILLED, SHUTDOWN])


class TestChecksOfLife(Case):
    async def test_pass_for_what_is_as_it_should_be(self) -> None:
        server = await self.start(Counter, name="it")
        for reference in (server, "it", lambda: server):
            self.assertIsNone(await check_process_alive(reference))
        server.exit(KILL)
        for reference in (server, "it"):
            self.assertIsNone(await check_process_dead(reference))

    async def test_wait_for_what_is_about_to_happen(self) -> None:
        alive = self.background(check_process_alive("it", within=1.0))
        await self.still_pending(alive)
        server = await self.start(Counter, name="it")
        self.assertIsNone(await alive)
        dead = self.background(check_process_dead(server, within=1.0))
        await self.still_pending(dead)
        server.exit(KILL)
        self.assertIsNone(await dead)

    async def test_say_how_it_died(self) -> None:
        server = await self.start(Counter)
        await server.call("value")
        server.exit(KILL)
        self.assertEqual(
            str(await check_process_alive(server)), f"{server!r} is dead\n  1. call 'value'\n  2. exit KILLED"
        )

    async def test_say_that_nobody_has_the_name(self) -> None:
        self.assertEqual(str(await check_process_alive("nobody")), "no process is registered as 'nobody'")

    async def test_say_what_the_living_did(self) -> None:
        server = await self.start(Stubborn)
        server.exit(SHUTDOWN)
        await server.call("value")
        found = await check_process_dead(server)
        self.assertRegex(str(found), r"^<Pid \d+ Stubborn> is alive\n  1\. info Exit\(.*\n  2\. call 'value'$")

    async def test_refuse_durations_that_are_none(self) -> None:
        for check in (check_process_alive, check_process_dead):
            with self.misuse("within must be 0 or more seconds"):
                await check("it", within=-1)


class TestChecksInAHurry(InAHurry):
    async def test_say_how_long_they_waited(self) -> None:
        server = await self.start(Counter, name="it")
        self.assertIn("is alive within 2 s", str(await check_process_dead(server, within=2.0)))
        self.assertIn("registered as 'x' within 2 s", str(await check_process_alive("x", within=2.0)))
        self.assertIn(
            "'it' was not restarted within 2 s: still", str(await check_process_restarted("it", server, within=2.0))
        )

    async def test_eventually_looks_again_and_again(self) -> None:
        looks = iter([0, 0, 0, 0, 0, 0, 7])
        self.assertIsNone(await check_eventually(lambda: next(looks)))

    async def test_eventually_bears_with_assertions_that_fail_at_first(self) -> None:
        looks = iter(range(9))

        def look() -> bool:
            self.assertGreater(next(looks), 5)
            return True

        self.assertIsNone(await check_eventually(look))

    async def test_always_finds_what_becomes_untrue(self) -> None:
        looks = iter([1, 1, 1, 1, 1, 0])

        async def holds() -> int:
            return next(looks)

        self.assertRegex(str(await check_always(holds, during=9.0)), r"holds was not true after .* s; it gave 0")

    async def test_always_passes_for_what_stays_true(self) -> None:
        self.assertIsNone(await check_always(lambda: True, during=5.0))
        self.assertGreaterEqual(self.clock.time(), 5.0)


class TestRestarted(Case):
    async def test_passes_for_a_successor(self) -> None:
        await team("a")
        first = whereis("a")
        assert first is not None
        first.exit(KILL)
        self.assertIsNone(await check_process_restarted("a", first, within=1.0))
        self.assertIsNone(await check_process_restarted("a", first))

    async def test_says_who_has_the_name(self) -> None:
        server = await self.start(Counter, name="it")
        self.assertEqual(str(await check_process_restarted("it", server)), f"'it' was not restarted: still {server!r}")
        server.exit(KILL)
        self.assertIn("no process is registered as 'it'", str(await check_process_restarted("it", server)))

    async def test_needs_a_reference_that_can_have_a_successor(self) -> None:
        server = await self.start(Counter)
        with self.misuse("is one process for ever"):
            await check_process_restarted(server, server)

    async def test_a_child_without_a_name_is_found_by_a_function(self) -> None:
        pool = await Dynamic.start_link()
        first = await start_child(pool, counter_spec("x"))

        async def rows() -> list[Any]:
            return [row.pid for row in await which_children(pool)]

        newest = first

        def current() -> Pid:
            return newest

        first.exit(KILL)
        [newest] = await rows()
        self.assertIsNone(await check_process_restarted(current, first))
        await terminate_child(pool, newest)


class TestConditions(Case):
    async def test_are_looked_at_once_without_time(self) -> None:
        looks: list[int] = []
        found = await check_eventually(lambda: looks.append(1), within=0)
        self.assertEqual(looks, [1])
        self.assertRegex(str(found), r"<lambda> was not true; last seen: None$")
        self.assertRegex(str(await check_always(lambda: 0, during=0)), r"<lambda> was not true after 0 s; it gave 0$")
        self.assertIsNone(await check_always(lambda: 1, during=0))

    async def test_show_failed_assertions_and_deaths(self) -> None:
        server = await self.start(Counter)
        server.exit(KILL)

        async def look() -> None:
            self.assertEqual(1, 2)

        expected = (
            rf"look was not true.* AssertionError\('1 != 2'\)\n  1\. death of <Pid {server.id} Counter dead: KILLED>$"
        )
        self.assertRegex(str(await check_eventually(look, within=0)), expected)
        self.assertRegex(str(await check_always(look, during=0)), expected)

    async def test_other_errors_end_the_wait(self) -> None:
        def look() -> None:
            raise OSError("planted")

        with self.assertRaisesRegex(OSError, "planted"):
            await check_eventually(look)

    async def test_must_be_functions(self) -> None:
        with self.misuse("a condition must be callable, got True"):
            await check_eventually(True)  # type: ignore[arg-type]
        with self.misuse("during must be 0 or more seconds, got during=-1"):
            await check_always(lambda: True, during=-1)

    async def test_an_unfinished_look_is_named(self) -> None:
        gate = asyncio.Event()
        self.assertIn("an unfinished look", str(await check_eventually(gate.wait, within=0)))


class TestUsageErrors(Case):
    async def test_are_told_from_findings(self) -> None:
        with self.assertRaises(UsageError) as caught:
            await wait_for_process_death("nobody")
        self.assertEqual(caught.exception.reason, "noproc")
