"""The process of the tests is killed, again and again: none of its workers outlives it for long."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path

from supertester.targets import find_marked
from tests.support.gate import Gate
from tests.support.pools import PoolCase

__tags__ = {"layer": "stress", "load": True, "chaos": True}

ROUNDS = 20
SOON = 1.0
UNITTEST = ("-m", "unittest")


class TestKilledTests(PoolCase, timeout=None):
    async def killed(self, victim: str, program: tuple[str, ...] = UNITTEST) -> str:
        """Kill a process that runs the test *victim*, once its workers are there, and return the mark of all."""
        mark = uuid.uuid4().hex
        with Gate() as gate:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *program, f"tests.support.victims.TestVictim.{victim}"),
                cwd=Path(__file__).parents[2],
                env={**os.environ, "WORKER_POOL_MARK": mark, "WORKER_POOL_GATE": str(gate.args["port"])},
            )
            try:
                await asyncio.to_thread(gate.await_calls, 1)
            finally:
                process.kill()
                await process.wait()
        return mark

    async def check_nobody_is_left(self, victim: str, *, program: tuple[str, ...] = UNITTEST) -> None:
        for _ in range(ROUNDS):
            await self.assert_no_orphans(await self.killed(victim, program), within=SOON)

    async def test_with_idle_workers(self) -> None:
        await self.check_nobody_is_left("test_with_idle_workers")

    async def test_with_busy_workers(self) -> None:
        await self.check_nobody_is_left("test_with_busy_workers")

    async def test_while_workers_are_replaced(self) -> None:
        await self.check_nobody_is_left("test_while_workers_are_replaced")

    async def test_in_a_process_of_a_runner_that_is_killed(self) -> None:
        runner = ("-m", "supertester", "-j", "2", "--history", str(self.tmp_path))
        await self.check_nobody_is_left("test_with_busy_workers", program=runner)

    async def test_workers_without_a_lifeline_are_found(self) -> None:
        mark = await self.killed("test_with_workers_without_a_lifeline")
        with self.assertRaisesRegex(AssertionError, "1 process is left"):
            await self.assert_no_orphans(mark, within=0.5)
        for process in find_marked(mark):
            process.kill()
        await self.assert_no_orphans(mark, within=20.0)
