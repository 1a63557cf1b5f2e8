"""``clock="virtual"``: hours pass at once, and work outside is waited for."""

from __future__ import annotations

import asyncio

from echo_lab import WorkerSupervisor

from supertester import IsolatedTestCase, OTPAssertions
from supertester.otp import KILL, whereis

HOUR = 3600


class TestVirtualTime(OTPAssertions, IsolatedTestCase, clock="virtual"):
    async def test_failures_that_are_far_apart_do_not_end_the_supervisor(self) -> None:
        """Only failures within the window of the supervisor count, and the window passes at once."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)
        for _ in range(10):
            killed = whereis("worker_a")
            assert killed is not None
            killed.exit(KILL)
            await self.clock.advance(HOUR)
        await self.assert_all_children_alive(workers)
        self.assertEqual(self.clock.time(), 10 * HOUR)

    async def test_a_timeout_waits_for_real_work(self) -> None:
        """A job in a thread never times out because the machine is slow."""
        numbers = await asyncio.wait_for(asyncio.to_thread(sorted, range(100_000, 0, -1)), timeout=1e-6)
        self.assertEqual(numbers[0], 1)
