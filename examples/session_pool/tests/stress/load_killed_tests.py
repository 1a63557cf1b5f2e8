"""The process of the tests is killed, again and again: none of its workers outlives it for long."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path

from supertester import ServiceAssertions
from tests.support import PATIENCE, PoolCase

ROUNDS = 20
SOON = 1.0


class TestKilledTests(ServiceAssertions, PoolCase, timeout=600):
    async def killed(self, victim: str) -> None:
        mark = uuid.uuid4().hex
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "unittest", f"tests.victims.TestVictim.{victim}"),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "SESSION_POOL_MARK": mark},
        )
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            self.assertEqual(line, b"ready\n")
        finally:
            process.kill()
            await process.wait()
        await self.assert_no_orphans(mark, within=SOON)

    async def test_with_idle_workers(self) -> None:
        for _ in range(ROUNDS):
            await self.killed("test_with_idle_workers")

    async def test_with_busy_workers(self) -> None:
        for _ in range(ROUNDS):
            await self.killed("test_with_busy_workers")

    async def test_while_workers_are_replaced(self) -> None:
        for _ in range(ROUNDS):
            await self.killed("test_while_workers_are_replaced")
