"""Streams: each chunk as it is made, the end, and everything that can go wrong in between."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
from worker_pool import CallTimeout, Stream, WorkerLost, WorkerPool, wire

from tests.support.pools import PoolCase
from tests.support.strange import strange

CHUNKS = [0, 1, 2, 3, 4]


class TestStreams(PoolCase):
    async def stream(self, tool: str = "counts", timeout: float = 30.0, **args: Any) -> Stream:
        """Return a stream from a pool of one worker, which also has tools that stream badly."""
        self.one = await self.started(1, command=strange(""))
        stream: Stream = self.one.execute_stream(tool, args, timeout=timeout)
        return stream

    async def test_five_chunks_in_order(self) -> None:
        await self.assert_streaming_response(await self.stream(n=5), CHUNKS)

    async def test_chunks_come_when_they_are_made_and_not_at_the_end(self) -> None:
        await self.assert_streaming_response(await self.stream(n=5, gap=0.25), CHUNKS, min_gap=0.05)

    async def test_chunks_that_come_all_at_once_are_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "5 chunks came in a burst"):
            await self.assert_streaming_response(await self.stream("burst", n=5, gap=0.05), CHUNKS, min_gap=0.5)

    async def test_a_missing_chunk_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, r"the stream ended after 4 of 5 chunks, missing \[4\]"):
            await self.assert_streaming_response(await self.stream(n=4), CHUNKS)

    async def test_a_chunk_too_many_is_found_and_the_stream_is_cancelled(self) -> None:
        with self.assertRaisesRegex(AssertionError, "a chunk too many came after the 5 expected: 5"):
            await self.assert_streaming_response(await self.stream(n=1_000_000), CHUNKS)
        await self.assert_producers_stopped()

    async def test_another_order_is_found(self) -> None:
        with self.assertRaisesRegex(AssertionError, "the chunks came in another order"):
            await self.assert_streaming_response(await self.stream("shuffled", n=5), CHUNKS)

    async def test_a_stall_is_found_and_the_stream_is_cancelled(self) -> None:
        with self.assertRaisesRegex(AssertionError, "the stream stalled: chunk 2 of 5 did not come within 1 s"):
            await self.assert_streaming_response(await self.stream(n=5, gap=60), CHUNKS, chunk_timeout=1.0)
        await self.assert_producers_stopped()

    async def test_a_worker_that_dies_at_the_third_chunk(self) -> None:
        """What was sent before arrives, and then the error."""
        stream = await self.stream("stuck", n=3)
        [worker] = self.one.workers()

        def kill_at_three(number: int) -> None:
            if number == 3:
                os.kill(worker.pid, signal.SIGKILL)

        await self.assert_streaming_response(stream, [0, 1, 2], ends_with=WorkerLost, after_each=kill_at_three)
        await self.replaced(self.one, worker)

    async def test_a_stream_that_only_ends_is_not_one_that_breaks(self) -> None:
        with self.assertRaisesRegex(AssertionError, "expected it to break with WorkerLost"):
            await self.assert_streaming_response(await self.stream(n=3), [0, 1, 2], ends_with=WorkerLost)

    async def test_the_deadline_is_for_all_of_it(self) -> None:
        await self.assert_streaming_response(await self.stream(n=5, gap=60, timeout=1.0), [0], ends_with=CallTimeout)

    async def assert_producers_stopped(self) -> None:
        """Fail unless the worker makes no chunks any more, as it says itself, and is free for others."""
        await self.assert_eventually(lambda: self.one.execute("stats")["open_streams"] == 0, within=5.0)


class TestAbandonment(PoolCase):
    async def test_closing_a_stream_stops_the_producer_and_frees_the_worker(self) -> None:
        pool = await self.started(1, threads=1)
        stream = pool.execute_stream("counts", {"n": 5, "gap": 60})
        self.assertEqual(next(stream), 0)
        stream.close()
        self.assertEqual(list(stream), [])
        await self.assert_eventually(lambda: pool.execute("stats")["open_streams"] == 0, within=5.0)

    async def test_one_that_is_forgotten_is_closed(self) -> None:
        pool = await self.started(1, threads=1)
        self.assertEqual(next(pool.execute_stream("counts", {"n": 5, "gap": 60})), 0)
        self.assertEqual(pool.execute("ping", timeout=20.0)["status"], "pong")

    async def test_a_producer_that_does_not_care_is_found(self) -> None:
        pool = await self.started(1, threads=2, command=strange(""))
        stream = pool.execute_stream("heedless", {"n": 5, "gap": 60})
        self.assertEqual(next(stream), {"count": 0, "padding": ""})
        stream.close()
        with self.assertRaises(AssertionError):
            await self.assert_eventually(lambda: self.producers(pool) == 0, within=0.2)

    def producers(self, pool: WorkerPool) -> int:
        streams: int = pool.execute("stats")["open_streams"]
        return streams


class TestBackpressure(PoolCase):
    """A reader that is slow lets the producer wait, instead of letting chunks pile up in the worker."""

    CHUNKS = 100_000
    SIZE = 10_000

    async def growth(self, tool: str, chunks: int) -> int:
        """Return by how many bytes a worker grows whose stream of a gigabyte nobody reads on."""
        pool = await self.started(1, command=strange(""))
        [worker] = pool.workers()
        pool.execute("ping")
        process = psutil.Process(worker.pid)
        before = process.memory_info().rss
        stream = pool.execute_stream(tool, {"n": chunks, "size": self.SIZE}, timeout=60.0)
        next(stream)
        processor = [-1.0]

        def is_at_rest() -> bool:
            """Say whether it did nothing since the last look, a tenth of a second ago."""
            used = worker.call(wire.request("processor_time", {}, None), 20.0)
            at_rest = used["seconds"] - processor[-1] < 0.02
            processor.append(used["seconds"])
            return at_rest

        await self.assert_eventually(is_at_rest, within=30.0)
        grown = process.memory_info().rss - before
        stream.close()
        return grown

    async def test_the_worker_does_not_grow(self) -> None:
        self.assertLess(await self.growth("counts", self.CHUNKS), 20_000_000)

    async def test_one_that_produces_without_looking_does(self) -> None:
        self.assertGreater(await self.growth("heedless", 3_000), 20_000_000)
