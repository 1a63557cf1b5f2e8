"""What happens to workers is told in the order in which it happens."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from worker_pool import PoolError

from supertester.targets import find_marked
from supertester.testing import run_inner
from tests.support.pools import PoolCase


class TestEvents(PoolCase):
    def told(self, id: str = "worker-0") -> list[tuple[str, int]]:
        """Return what was told of a worker: what happened, and of which generation."""
        return [
            (event.name.removeprefix("pool.worker_"), event.metadata["generation"])
            for event in self.telemetry.events
            if event.metadata.get("id") == id
        ]

    async def test_started_ready_down_started_ready_down(self) -> None:
        pool = await self.started(1)
        [old] = pool.workers()
        os.kill(old.pid, signal.SIGKILL)
        await self.replaced(pool, old)
        await asyncio.to_thread(pool.close)
        expected = [(what, generation) for generation in (1, 2) for what in ("started", "ready", "down")]
        self.assertEqual(self.told(), expected)
        self.assertEqual(self.telemetry.events[-1].name, "pool.worker_down")

    async def test_events_have_the_process_and_how_it_ended(self) -> None:
        pool = await self.started(1)
        [worker] = pool.workers()
        await asyncio.to_thread(pool.close)
        started = await self.assert_telemetry("pool.worker_started", timeout=0)
        down = await self.assert_telemetry("pool.worker_down", timeout=0)
        self.assertEqual({started.metadata["pid"], down.metadata["pid"]}, {worker.pid})
        self.assertEqual((down.metadata["status"], down.metadata["sessions_lost"]), (0, 0))

    async def test_two_pools_do_not_hear_of_each_other(self) -> None:
        heard: dict[str, list[dict[str, Any]]] = {"one": [], "two": []}
        pools = [
            self.pool(1, on_event=lambda _, details, name=name: heard[name].append(details)) for name in ("one", "two")
        ]
        for pool in pools:
            await asyncio.to_thread(pool.start)
        pids = [{details["pid"] for details in each} for each in heard.values()]
        self.assertEqual(pids, [{pool.workers()[0].pid} for pool in pools])

    def test_a_listener_that_fails_is_the_end_of_the_pool_and_leaves_nothing(self) -> None:
        """Nobody would mind its workers otherwise. That a thread has raised fails the test, though all else is well."""
        run_ids: list[str] = []

        def listen(name: str, _: dict[str, Any]) -> None:
            if name == "worker_down":
                raise ZeroDivisionError("planted")

        class Inner(PoolCase):
            async def test(self) -> None:
                pool = await self.started(2, on_event=listen)
                run_ids.append(pool.run_id)
                os.kill(pool.workers()[0].pid, signal.SIGKILL)
                await self.assert_eventually(lambda: pool.over is not None, within=20.0)
                with self.assertRaisesRegex(PoolError, "nobody minds worker-0 any more: ZeroDivisionError"):
                    pool.execute("ping")

        result = run_inner(Inner("test"))
        self.assertIn("ZeroDivisionError: planted", result.report)
        self.assertEqual(find_marked(run_ids[0]), [])

    async def test_a_different_order_is_found(self) -> None:
        """A pool that tells of the end of a worker after the beginning of the next one."""
        pool = await self.started(1)
        [old] = pool.workers()
        held: list[tuple[str, dict[str, Any]]] = []
        tell = pool._on_event

        def late(name: str, details: dict[str, Any]) -> None:
            if name == "worker_down":
                held.append((name, details))
            else:
                tell(name, details)
                while name == "worker_ready" and held:
                    tell(*held.pop())

        pool._on_event = late
        os.kill(old.pid, signal.SIGKILL)
        await self.assert_telemetry("pool.worker_down", timeout=20.0)
        self.assertEqual(self.told(), [("started", 1), ("ready", 1), ("started", 2), ("ready", 2), ("down", 1)])
