"""The program that has the pool is killed; its workers end, idle or busy, by themselves."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from supertester.targets import LineReady, find_marked, start_process
from tests.support.pools import PoolCase

HOME = Path(__file__).parents[2]


class TestParentKilled(PoolCase):
    TIMES = 1

    async def killed(self, state: str, *plant: str) -> str:
        """Kill a program with a pool, and return the id of its run."""
        program = await start_process(
            [sys.executable, "-m", "tests.support.application", state, "2", *plant],
            ready=LineReady(r"^\{"),
            env={"PYTHONPATH": os.pathsep.join([str(HOME), *sys.path])},
            cwd=HOME,
            timeout=60.0,
        )
        said = json.loads(program.find(r"^\{.*$").group())
        self.assertEqual(sorted(said["pids"]), [process.pid for process in find_marked(said["run_id"])])
        program.send_signal(signal.SIGKILL)  # To it alone: nobody may help its workers to end.
        await program.wait()
        return str(said["run_id"])

    async def test_idle(self) -> None:
        for _ in range(self.TIMES):
            await self.assert_no_orphans(await self.killed("idle"), within=5.0)

    async def test_busy(self) -> None:
        for _ in range(self.TIMES):
            await self.assert_no_orphans(await self.killed("busy"), within=5.0)

    async def test_without_a_lifeline_they_live_on(self) -> None:
        run_id = await self.killed("busy", "has no lifeline")
        with self.assertRaisesRegex(AssertionError, f"2 processes are left with '{run_id}'"):
            await self.assert_no_orphans(run_id, within=0.2)
        for process in find_marked(run_id):
            process.kill()
        await self.assert_no_orphans(run_id, within=20.0)
