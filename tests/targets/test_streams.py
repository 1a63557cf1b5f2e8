"""`assert_streaming_response`: every way in which a stream can go wrong, plain and async."""

from __future__ import annotations

import asyncio
import itertools
import threading
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.mixins.services import ServiceAssertions
from supertester.targets import grpc_channel, grpc_server
from supertester.testing import failure_of
from tests.targets.grpc.programs import HAS_GRPC, WHY, started

FIVE = [b"1", b"2", b"3", b"4", b"5"]


class WorkerLost(Exception):
    pass


async def as_async(chunks: list[Any]) -> AsyncIterator[Any]:
    for each in chunks:
        await asyncio.sleep(0)
        if isinstance(each, Exception):
            raise each
        yield each


def plain(chunks: list[Any]) -> Iterator[Any]:
    for each in chunks:
        if isinstance(each, Exception):
            raise each
        yield each


class Hanging:
    """Yields chunks and then waits for ever, or until it is cancelled."""

    def __init__(self, chunks: list[Any]) -> None:
        self.cancelled = threading.Event()
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for each in self._chunks:
            return each
        self.cancelled.wait(60)
        raise RuntimeError("cancelled")

    def cancel(self) -> None:
        self.cancelled.set()


class TestGoodStreams(ServiceAssertions, IsolatedTestCase):
    async def test_pass(self) -> None:
        for make in (plain, as_async):
            await self.assert_streaming_response(make(FIVE), FIVE)
            await self.assert_streaming_response(make([]), [])
            await self.assert_streaming_response(make([{"n": 1}, {"n": 2}]), [1, 2], key=lambda chunk: chunk["n"])
            await self.assert_streaming_response(make([1, WorkerLost()]), [1], ends_with=WorkerLost)

    async def test_in_step_with_the_sender(self) -> None:
        may_go = asyncio.Event()

        async def sender() -> AsyncIterator[int]:
            for number in range(1, 4):
                yield number
                await may_go.wait()
                may_go.clear()

        seen: list[int] = []

        async def go_on(number: int) -> None:
            seen.append(number)
            may_go.set()

        await self.assert_streaming_response(sender(), [1, 2, 3], after_each=go_on)
        self.assertEqual(seen, [1, 2, 3])

    async def test_an_endless_one_is_not_read_for_ever(self) -> None:
        def endless() -> Iterator[int]:
            while True:
                yield 1

        with self.assertRaisesRegex(AssertionError, "a chunk too many"):
            await self.assert_streaming_response(endless(), [1])

    async def test_an_endless_one_is_read_up_to_the_first_chunk_too_many(self) -> None:
        def endless() -> Iterator[int]:
            for _ in sent:
                yield 1

        async def async_endless() -> AsyncIterator[int]:
            for _ in sent:
                yield 1

        for make in (endless, async_endless):
            sent = itertools.count()
            with self.assertRaisesRegex(AssertionError, "a chunk too many"):
                await self.assert_streaming_response(make(), [1, 1])
            self.assertEqual(next(sent), 3)

    async def test_generators_are_closed_when_they_go_wrong(self) -> None:
        closed = []

        def numbers() -> Iterator[int]:
            try:
                yield from itertools.count()
            finally:
                closed.append("plain")

        async def async_numbers() -> AsyncIterator[int]:
            try:
                for number in itertools.count():
                    await asyncio.sleep(0)
                    yield number
            finally:
                closed.append("async")

        for stream in (numbers(), async_numbers()):
            with self.assertRaisesRegex(AssertionError, "a chunk too many"):
                await self.assert_streaming_response(stream, [0])
        self.assertEqual(closed, ["plain", "async"])

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(
            TypeError, "stream must be something to iterate over, plain or async, got stream=7"
        ):
            await self.assert_streaming_response(7, [])
        with self.assertRaisesRegex(ValueError, "chunk_timeout must be 0 or more seconds"):
            await self.assert_streaming_response([], [], chunk_timeout=-1)


class TestBadStreams(unittest.TestCase):
    def fails(self, make: Callable[[], Any], words: str, expected: Any = FIVE, **options: Any) -> None:
        async def body(case: Any) -> None:
            await case.assert_streaming_response(make(), expected, **options)

        report = failure_of(body, ServiceAssertions)
        self.assertRegex(report, words)
        self.assertNotRegex(report, "left running")

    def both(self, chunks: list[Any], words: str, **options: Any) -> None:
        for make in (plain, as_async):
            with self.subTest(make=make):
                self.fails(lambda make=make: make(chunks), words, **options)  # type: ignore[misc]

    def test_the_last_chunk_is_missing(self) -> None:
        self.both(
            FIVE[:4], r"the stream ended after 4 of 5 chunks, missing \[b'5'\]\n  1\. b'1' after 0\.\d+ s\n  2\. b"
        )

    def test_a_chunk_too_many(self) -> None:
        self.both(
            [*FIVE, b"6"], r"a chunk too many came after the 5 expected: b'6', and the stream was cancelled\n  1\."
        )

    def test_another_order(self) -> None:
        self.both(
            [*FIVE[:3], b"5", b"4"], r"the chunks came in another order, expected \[b'1', .*b'5'\]\n  1\. b'1' after"
        )

    def test_another_chunk(self) -> None:
        self.both([*FIVE[:3], b"x", b"5"], r"chunk 4 was b'x', expected b'4'\n")
        self.both([*FIVE[:3], b"x"], r"chunk 4 was b'x', expected b'4'\n")
        self.both([*FIVE[:3], b"x", b"4", b"5"], r"chunk 4 was b'x', expected b'4'\n")

    def test_a_stall_is_cancelled(self) -> None:
        stream = Hanging(FIVE[:2])
        self.fails(lambda: stream, r"the stream stalled: chunk 3 of 5 did not come within 2 s", chunk_timeout=2.0)
        self.assertTrue(stream.cancelled.is_set())

        async def silent() -> AsyncIterator[bytes]:
            yield b"1"
            await asyncio.Event().wait()

        self.fails(silent, "chunk 2 of 5 did not come within 1 s, and it was cancelled\n  1. b'1'", chunk_timeout=1)

    def test_the_end_does_not_come(self) -> None:
        self.fails(lambda: Hanging(FIVE), "all 5 chunks came, but not the end of the stream", chunk_timeout=2.0)

    def test_a_reader_that_cannot_be_cancelled_is_said_so(self) -> None:
        stream = Hanging([])
        self.addCleanup(stream.cancelled.set)

        async def body(case: Any) -> None:
            await case.assert_streaming_response(iter(stream.__next__, None), FIVE, chunk_timeout=0.01)

        self.assertIn("; its reader does not come back, as it cannot be cancelled", failure_of(body, ServiceAssertions))

    def test_in_a_burst(self) -> None:
        self.both(
            FIVE, r"5 chunks came in a burst, within 0\.\d+ s, expected 9 s or more between two of them", min_gap=9
        )

    def test_a_burst_that_waits_for_its_reader(self) -> None:
        may_go = asyncio.Event

        async def collected() -> AsyncIterator[int]:
            chunks = []
            for number in range(3):
                chunks.append(number)
                await may_go().wait()  # For a chunk that nobody has been given.
            for each in chunks:
                yield each

        self.fails(
            collected,
            "chunk 1 of 3 did not come within 0.05 s, and it was cancelled; if the sender goes on only when a ch",
            expected=[0, 1, 2],
            chunk_timeout=0.05,
            after_each=lambda number: None,
        )

    def test_it_breaks(self) -> None:
        self.both(
            [*FIVE[:3], WorkerLost("w1")], r"the stream broke after 3 of 5 chunks: WorkerLost\('w1'\)\n  1\. b'1'"
        )
        self.both(
            [KeyError()], "broke after 0 of 5 chunks, expected it to end with WorkerLost: KeyE", ends_with=WorkerLost
        )

    def test_it_breaks_too_early_or_not_at_all(self) -> None:
        self.both([b"1", WorkerLost()], "the stream ended after 1 of 5 chunks, missing", ends_with=WorkerLost)
        self.both(
            FIVE, "the stream ended after its 5 chunks, expected it to break with WorkerLost", ends_with=WorkerLost
        )


@unittest.skipUnless(HAS_GRPC, WHY)
class TestStreamsOfGrpc(ServiceAssertions, IsolatedTestCase):
    async def test_of_a_real_server(self) -> None:
        _, port = await started()
        await self.assert_streaming_response(grpc_channel(port).unary_stream("/echo.Echo/Count")(b"5"), FIVE)
        aio = self.grpc_aio_channel(port)
        await self.assert_streaming_response(aio.unary_stream("/echo.Echo/Count")(b"5"), FIVE)

    async def test_in_step(self) -> None:
        may_go = threading.Semaphore(1)

        def count(request: bytes, context: Any) -> Iterator[bytes]:
            for each in FIVE:
                may_go.acquire()
                yield each

        server = grpc_server({"/a.A/Count": count})
        for channel in (grpc_channel(server), self.grpc_aio_channel(server)):
            stream = channel.unary_stream("/a.A/Count")(b"")
            await self.assert_streaming_response(stream, FIVE, after_each=lambda _: may_go.release())

    async def test_a_worker_that_is_killed_in_the_middle(self) -> None:
        process, port = await started()
        stream = grpc_channel(port).unary_stream("/echo.Echo/CountAndHang")(b"3")
        await self.assert_streaming_response(
            stream, FIVE[:3], ends_with="UNAVAILABLE", after_each=lambda number: process.kill() if number == 3 else None
        )

    async def test_a_stall_is_cancelled(self) -> None:
        _, port = await started()
        stream = grpc_channel(port).unary_stream("/echo.Echo/CountAndHang")(b"0")
        with self.assertRaisesRegex(AssertionError, "chunk 1 of 5 did not come within 0.05 s, and it was cancelled"):
            await self.assert_streaming_response(stream, FIVE, chunk_timeout=0.05)
        self.assertTrue(stream.cancelled())


@unittest.skipUnless(HAS_GRPC, WHY)
class TestStreamsOfGrpcFail(unittest.TestCase):
    def test_for_a_worker_that_is_killed(self) -> None:
        async def body(case: Any) -> None:
            process, port = await started()
            stream = grpc_channel(port).unary_stream("/echo.Echo/CountAndHang")(b"3")
            await case.assert_streaming_response(
                stream, FIVE, after_each=lambda number: process.kill() if number == 3 else None
            )

        self.assertRegex(failure_of(body, ServiceAssertions), "the stream broke after 3 of 5 chunks: UNAVAILABLE: ")

    def test_for_another_status(self) -> None:
        async def body(case: Any) -> None:
            _, port = await started()
            stream = grpc_channel(port).unary_stream("/echo.Echo/Nothing")(b"3")
            await case.assert_streaming_response(stream, [], ends_with="UNAVAILABLE")

        self.assertRegex(
            failure_of(body, ServiceAssertions),
            "broke after 0 of 0 chunks, expected it to end with UNAVAILABLE: UNIMPLEMENTED: ",
        )
