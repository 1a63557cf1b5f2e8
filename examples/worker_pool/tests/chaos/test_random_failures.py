"""Half of all attempts fail, in one of three ways, and three out of four requests succeed all the same."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.failing import FailingWorker
from tests.support.pools import PoolCase
from tests.support.proxies import Proxies


class TestRandomFailures(PoolCase):
    async def requests(self, attempts: int, failure_rate: float = 0.5) -> tuple[list[Any], Any]:
        """Return what came of twenty requests at once to four workers, and the failures that were delivered.

        A worker has one call at a time, so that a failure hits the call that it is meant for and no other.
        """

        class Failing(FailingWorker):
            pass

        self.proxies = Proxies()
        pool = await self.started(4, start=Failing, dial=self.proxies.dial, max_restarts=1_000, threads=1)
        with self.inject_random_failures(pool, failure_rate=failure_rate, proxy_of=self.proxies.of) as failures:
            Failing.failures = failures
            outcomes = await self.run_in_threads(
                20, lambda: pool.execute("ping", timeout=1.0 * attempts, attempts=attempts), timeout=60.0
            )
        self.assertFalse(self.proxies.has_toxics())
        self.assertTrue(await asyncio.to_thread(pool.await_size, 4, 20.0))
        return outcomes, failures

    async def test_with_four_attempts_three_of_four_requests_succeed(self) -> None:
        outcomes, failures = await self.requests(attempts=4)
        self.assert_success_rate(outcomes, 0.75, evidence=failures.hits)
        self.assert_faults_delivered(failures.hits, exit=5, timeout=5, disconnect=5)

    async def test_with_one_attempt_they_do_not(self) -> None:
        """So it is the repetition that does it, and the assertion can fail."""
        outcomes, failures = await self.requests(attempts=1)
        with self.assertRaisesRegex(AssertionError, r"\d of 20 succeeded .*, expected at least 75.000%"):
            self.assert_success_rate(outcomes, 0.75, evidence=failures.hits)

    async def test_chaos_that_hits_nobody_is_found(self) -> None:
        outcomes, failures = await self.requests(attempts=4, failure_rate=0)
        self.assert_success_rate(outcomes, 1)
        with self.assertRaisesRegex(AssertionError, "no fault was delivered, so nothing was tried"):
            self.assert_faults_delivered(failures.hits)
