"""Processes that a piece of code left running."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.leaks import check_no_process_leaks, watched_processes
from supertester.otp import (
    KILL,
    ChildSpec,
    DynamicSupervisor,
    GenServer,
    Supervisor,
    exit,
    start_child,
    until_idle,
    whereis,
)
from tests.otp.support import Probe, RuntimeCase, parked
from tests.subjects import Counter, Jumping, counter_spec, team


class Case(RuntimeCase):
    runtime_options = {"history": 4}  # noqa: RUF012

    async def quiet(self, fn: Any) -> None:
        """Fail if *fn* leaks."""
        self.assertIsNone(await check_no_process_leaks(fn, grace=0))

    async def found(self, fn: Any) -> str:
        return str(await check_no_process_leaks(fn, grace=0))


class TestLeaks(Case):
    async def test_what_ended_is_none(self) -> None:
        async def stops() -> None:
            server = await Counter.start()
            await server.stop()

        await self.quiet(stops)
        await self.quiet(lambda: None)

    async def test_what_ran_before_is_none(self) -> None:
        server = await Counter.start()
        await self.quiet(lambda: server.call("value"))

    async def test_what_still_runs_is_shown_with_its_starter_and_its_messages(self) -> None:
        async def leaks() -> None:
            await (await Counter.start(name="it")).call("value")
            await Counter.start()

        self.assertRegex(
            await self.found(leaks),
            r"^2 processes were left running\n"
            r"  1\. <Pid \d+ Counter 'it'>, started by <Pid \d+ root>; last messages: call 'value'\n"
            r"  2\. <Pid \d+ Counter>, started by <Pid \d+ root>$",
        )

    async def test_through_an_outer_supervisor_is_found(self) -> None:
        pool = await DynamicSupervisor.start_link()
        self.assertRegex(
            await self.found(lambda: start_child(pool, counter_spec("x"))),
            r"^1 process was left running\n  1\. <Pid \d+ Counter 'x'>, started by <Pid \d+ DynamicSupervisor>$",
        )

    async def test_through_an_outer_server_is_found(self) -> None:
        server = await self.start(Probe)
        self.assertIn("Counter", await self.found(lambda: server.call(lambda _: Counter.start())))

    async def test_a_tree_is_found_with_all_its_branches(self) -> None:
        self.assertIn("3 processes", await self.found(lambda: team("a", "b")))

    async def test_nesting_finds_it_in_each_block_it_is_in(self) -> None:
        async with watched_processes(grace=0) as outer:
            async with watched_processes(grace=0) as inner:
                await Counter.start()
            await Counter.start()
        self.assertEqual((len(inner.left), len(outer.left)), (1, 2))

    async def test_errors_pass_unchanged_and_nothing_stays_installed(self) -> None:
        supervisor: Any = await team("a")

        def fails() -> None:
            raise OSError("planted")

        with self.assertRaisesRegex(OSError, "planted"):
            await check_no_process_leaks(fails)
        await self.quiet(lambda: None)
        self.assertEqual((self.rt.on_spawn, supervisor.server.listeners), ([], []))

    async def test_takes_a_function(self) -> None:
        with self.misuse("must be callable, got 3"):
            await check_no_process_leaks(3)  # type: ignore[arg-type]
        with self.misuse("grace must be 0 or more"):
            await check_no_process_leaks(lambda: None, grace=-1)


class TestSuccessors(Case):
    """What a supervisor restarts took the place of something that was there before."""

    @staticmethod
    def killing(*names: str) -> Any:
        async def kill() -> None:
            for name in names:
                exit(name, KILL)
                await until_idle()

        return kill

    async def test_are_no_leaks(self) -> None:
        await team("a", "b", strategy="one_for_all", max_restarts=9)
        await self.quiet(self.killing("a", "a", "b"))

    async def test_of_a_whole_tree_are_no_leaks(self) -> None:
        inner = ChildSpec("inner", Supervisor, ([counter_spec("a")],), {"name": "inner"})
        await Supervisor.start_link([inner])
        await self.quiet(self.killing("inner"))

    async def test_of_a_leak_are_leaks(self) -> None:
        pool = await DynamicSupervisor.start_link()

        async def leaks() -> None:
            await start_child(pool, counter_spec("a"))
            await self.killing("a")()

        self.assertRegex(await self.found(leaks), r"1 process was left running\n  1\. <Pid \d+ Counter 'a'>")
        self.assertIsNotNone(whereis("a"))


class TestGrace(Case):
    async def test_what_is_ending_is_waited_for_while_time_stands_still(self) -> None:
        gate = asyncio.Event()

        class Slow(GenServer):
            async def terminate(self, reason: Any) -> None:
                await gate.wait()

        async def ending() -> None:
            server = await Slow.start()
            self.background(server.stop())
            await asyncio.sleep(0)

        checking = self.background(check_no_process_leaks(ending))
        await self.still_pending(checking)
        gate.set()
        self.assertIsNone(await checking)

    async def test_ends(self) -> None:
        self.rt.clock = Jumping()
        self.assertIn("1 process", str(await check_no_process_leaks(Counter.start, grace=2.0)))
        self.assertGreaterEqual(self.rt.clock.time(), 2.0)

    async def test_nothing_is_waited_for_where_nothing_runs(self) -> None:
        async with watched_processes() as leaks:
            server = await self.start(Probe)
            server.cast(parked(asyncio.Event()))
            server.exit(KILL)
        self.assertIsNone(leaks.check())
        self.assertIsNone(self.clock.next_timer())
