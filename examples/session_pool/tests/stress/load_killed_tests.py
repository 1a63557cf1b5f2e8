"""The process of the tests is killed, again and again: none of its workers outlives it for long."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path

from supertester import ServiceAssertions
from tests.support import PATIENCE, Gate, PoolCase

ROUNDS = 20
SOON = 1.0
UNITTEST = ("-m", "unittest")


class TestKilledTests(ServiceAssertions, PoolCase, timeout=600):
    async def killed(self, victim: str, program: tuple[str, ...] = UNITTEST) -> tuple[str, Gate]:
        """Kill a process that runs the test *victim*, once its workers are there; return its mark, and the gate."""
        mark, gate = uuid.uuid4().hex, self.gate()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *program, f"tests.victims.TestVictim.{victim}"),
            cwd=Path(__file__).parents[2],
            env={**os.environ, "SESSION_POOL_MARK": mark, "SESSION_POOL_GATE": str(gate.args["port"])},
        )
        try:
            await asyncio.to_thread(gate.wait_for, timeout=PATIENCE)
        finally:
            process.kill()
            await process.wait()
        return mark, gate

    async def check_nobody_is_left(self, victim: str, *, program: tuple[str, ...] = UNITTEST) -> None:
        for _ in range(ROUNDS):
            mark, gate = await self.killed(victim, program)
            await self.assert_no_orphans(mark, within=SOON)
            gate.close()

    async def test_with_idle_workers(self) -> None:
        await self.check_nobody_is_left("test_with_idle_workers")

    async def test_with_busy_workers(self) -> None:
        await self.check_nobody_is_left("test_with_busy_workers")

    async def test_while_workers_are_replaced(self) -> None:
        await self.check_nobody_is_left("test_while_workers_are_replaced")

    async def test_in_a_process_of_a_runner_that_is_killed(self) -> None:
        runner = ("-m", "supertester", "-j", "2", "--history", str(self.tmp_path))
        await self.check_nobody_is_left("test_with_busy_workers", program=runner)

    async def test_a_busy_worker_without_a_lifeline_is_found(self) -> None:
        mark, gate = await self.killed("test_with_a_worker_without_a_lifeline")
        with self.assertRaisesRegex(AssertionError, "1 process is left"):
            await self.assert_no_orphans(mark, within=0.5)
        gate.close()  # Now it reads on, and finds that there is nobody.
        await self.assert_no_orphans(mark, within=PATIENCE)
