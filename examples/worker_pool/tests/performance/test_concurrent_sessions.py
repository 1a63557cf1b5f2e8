"""A hundred sessions at once: each has its own variables, and its own worker."""

from __future__ import annotations

from collections import Counter
from typing import Any

from worker_pool import WorkerPool

from tests.support.broken_pools import Mixed
from tests.support.pools import POOL_SIZE, PoolCase


def life(pool: WorkerPool, number: int) -> tuple[list[Any], set[int]]:
    """Live the life of a session, and return what it has read and which processes served it."""
    session = f"session-{number}"
    answers = [pool.execute("initialize_session", session=session, timeout=60.0)]
    for step in range(5):
        args = {"name": "x", "value": [number, step]}
        answers.append(pool.execute("set_variable", args, session=session, timeout=60.0))
        answers.append(pool.execute("get_variable", {"name": "x"}, session=session, timeout=60.0))
    return [answer["value"] for answer in answers[2::2]], {answer["pid"] for answer in answers}


class TestSessions(PoolCase):
    async def lives(self, **options: Any) -> tuple[WorkerPool, list[Any]]:
        pool = await self.started(threads=8, queue_timeout=60.0, **options)
        outcomes = await self.run_in_threads(100, lambda number: life(pool, number), timeout=110.0)
        return pool, [outcome.unwrap() for outcome in outcomes]

    async def test_a_hundred_sessions_do_not_disturb_each_other(self) -> None:
        pool, lives = await self.lives()
        self.assertEqual([read for read, _ in lives], [[[n, step] for step in range(5)] for n in range(100)])
        self.assertEqual({len(pids) for _, pids in lives}, {1})
        shares = Counter(pool.sessions().values())
        self.assertEqual((sum(shares.values()), len(shares)), (100, POOL_SIZE))

    async def test_sessions_that_are_mixed_up_are_found(self) -> None:
        pool, _ = await self.lives(cls=Mixed)
        self.assertLess(len(pool.sessions()), 100)
        pool.execute("set_variable", {"name": "x", "value": "of 8"}, session="session-8")
        found = pool.execute("get_variable", {"name": "x"}, session="session-9")["value"]
        self.assertNotEqual(found, [9, 4])
