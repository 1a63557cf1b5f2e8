"""`network_proxy`: without toxics nobody notices it; with one, that is what happens. Time is virtual."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.chaos import NetworkFault, NetworkProxy, add_latency, journaled, network_proxy, run_chaos_suite
from supertester.errors import UsageError
from supertester.mixins.chaos import ChaosMixin
from supertester.otp import GenServer

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
PLENTY = 64 << 20
"""More than all buffers between two programs hold."""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, and then the end."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


class Case(ChaosMixin, IsolatedTestCase, clock="virtual"):
    @asynccontextmanager
    async def behind(self, serve: Serve = echo) -> AsyncIterator[NetworkProxy]:
        """Let *serve* be a server behind a proxy."""
        serving: set[asyncio.Task[Any]] = set()

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            serving.add(task)
            try:
                await serve(reader, writer)
            except (OSError, asyncio.CancelledError):
                pass  # Some of the faults are about that; and asyncio complains of handlers that are cancelled.
            finally:
                writer.close()
                serving.discard(task)

        server = await asyncio.start_server(one, "127.0.0.1", 0)
        try:
            async with self.network_proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
                yield proxy
        finally:
            for _ in range(3):  # Who is closed between taking a connection and serving it leaves it open for ever.
                await asyncio.sleep(0)
            server.close()
            for task in list(serving):
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    @asynccontextmanager
    async def client(self, proxy: NetworkProxy) -> AsyncIterator[Streams]:
        reader, writer = await asyncio.open_connection(*proxy.address)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def ask(self, streams: Streams, data: bytes = b"ping") -> bytes:
        streams[1].write(data)
        return await streams[0].readexactly(len(data))

    async def served(self, proxy: NetworkProxy, streams: Streams) -> None:
        """Wait until the proxy has connected *streams* to the server."""
        self.assertEqual(await self.ask(streams, b"?"), b"?")

    def now(self) -> float:
        return asyncio.get_running_loop().time()


class TestNothingWrong(Case):
    async def test_any_bytes_in_any_chunks_come_back(self) -> None:
        """What a socket could not take at first is sent again after some real time, in which virtual time stands."""
        chance = random.Random(11)
        async with self.behind() as proxy, self.client(proxy) as streams:
            for size in (1, 2, 1_000, 65_535, 65_536, 65_537, 1_000_000):
                data = chance.randbytes(size)
                reading = asyncio.ensure_future(streams[0].readexactly(size))
                start = 0
                while start < size:
                    end = start + chance.choice((1, 7, 4_096, 100_000))
                    streams[1].write(data[start:end])
                    await streams[1].drain()
                    start = end
                self.assertEqual(await reading, data)

    async def test_each_direction_ends_by_itself(self) -> None:
        async def says_goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.read()
            writer.write(b"all of " + asked)

        async with self.behind(says_goodbye) as proxy, self.client(proxy) as (reader, writer):
            writer.write(b"it")
            writer.write_eof()
            self.assertEqual(await reader.read(), b"all of it")

    async def test_a_server_may_end_first(self) -> None:
        received = asyncio.get_running_loop().create_future()

        async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write_eof()
            received.set_result(await reader.read())

        async with self.behind(ends) as proxy, self.client(proxy) as (reader, writer):
            self.assertEqual(await reader.read(), b"")
            writer.write(b"still here")
            writer.write_eof()
            self.assertEqual(await received, b"still here")

    async def test_who_does_not_read_holds_up_who_writes(self) -> None:
        go = asyncio.Event()
        read = asyncio.get_running_loop().create_future()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await go.wait()
            read.set_result(len(await reader.read()))

        async with self.behind(slow) as proxy, self.client(proxy) as (_, writer):
            writer.write(bytes(PLENTY))
            drained = asyncio.ensure_future(writer.drain())
            await self.wait_for_proxy_to_be_full(proxy)
            self.assertFalse(drained.done())
            go.set()
            await drained
            writer.write_eof()
            self.assertEqual(await read, PLENTY)

    async def wait_for_proxy_to_be_full(self, proxy: NetworkProxy) -> None:
        """Go on until the proxy has carried nothing for a while of virtual time, which passes when nothing moves."""
        carried = -1
        while carried != (carried := self.carried(proxy)) or not carried:
            await asyncio.get_running_loop().advance(1)  # type: ignore[attr-defined]

    def carried(self, proxy: NetworkProxy) -> int:
        return sum(link.carried for each in proxy._serving.values() if each is not None for link in each.links)

    async def test_what_is_under_way_is_bounded(self) -> None:
        async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1 << 18):
                pass
            writer.write(b"!")

        async with self.behind(sink) as proxy, self.client(proxy) as (reader, writer):
            most = 0
            for _ in range(64):
                writer.write(bytes(1 << 20))
                await writer.drain()
                waiting = [link._under_way.qsize() for each in proxy._serving.values() if each for link in each.links]
                most = max([most, *waiting])
            writer.write_eof()
            self.assertEqual(await reader.read(), b"!")
            self.assertLessEqual(most, 16)

    async def test_a_reset_by_the_server_is_one(self) -> None:
        async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            made = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

        async with self.behind(resets) as proxy, self.client(proxy) as streams:
            with self.assertRaises(ConnectionResetError):
                await self.ask(streams)

    async def test_a_server_that_is_not_there_resets(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            async with network_proxy(*bound.getsockname()) as proxy, self.client(proxy) as streams:
                with self.assertRaises(ConnectionResetError):
                    await self.ask(streams)

    async def test_many_clients_at_once(self) -> None:
        async with self.behind() as proxy:

            async def one(number: int) -> bytes:
                async with self.client(proxy) as streams:
                    return await self.ask(streams, str(number).encode())

            answers = await asyncio.gather(*(one(number) for number in range(50)))
            self.assertEqual(answers, [str(number).encode() for number in range(50)])

    async def test_it_ends_with_the_test_and_breaks_off_what_is_left(self) -> None:
        async with self.behind() as proxy:
            async with self.client(proxy) as streams:
                await self.served(proxy, streams)
                self.assertEqual(proxy.connections, 1)
                await proxy.cleanup()
                await proxy.cleanup()
                self.assertEqual(proxy.connections, 0)
                self.assertEqual(await streams[0].read(), b"")
            with self.assertRaises(ConnectionRefusedError):
                await asyncio.open_connection(*proxy.address)

    async def test_who_connects_just_when_it_hangs_up_is_not_left_hanging(self) -> None:
        """A server of asyncio that is closed between accepting a connection and serving it forgets the connection."""
        for turns in range(8):
            for ends in ("by a toxic", "by cleanup"):
                with self.subTest(turns=turns, ends=ends):
                    async with self.behind() as proxy:
                        with socket.create_connection(proxy.address) as client:
                            client.setblocking(False)
                            for _ in range(turns):
                                await asyncio.sleep(0)
                            if ends == "by a toxic":
                                proxy.down()
                            else:
                                await proxy.cleanup()
                            self.assertEqual(await self.last(client), b"")

    async def last(self, client: socket.socket) -> bytes:
        """Return what *client* receives before the end, or before a reset."""
        try:
            async with asyncio.timeout(60):
                return await asyncio.get_running_loop().sock_recv(client, 1)
        except ConnectionResetError:
            return b""

    async def test_who_waits_for_a_server_that_does_not_answer_is_not_left_hanging(self) -> None:
        with socket.socket() as silent, socket.socket() as other:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            other.connect(silent.getsockname())  # Nobody else finds room.
            proxy = await network_proxy(*silent.getsockname())
            async with self.client(proxy) as (reader, _):
                for _ in range(8):
                    await asyncio.sleep(0)
                await proxy.cleanup()
                with self.assertRaises(ConnectionResetError):
                    await reader.read()

    async def test_one_that_cannot_accept_hangs_up_and_says_why(self) -> None:
        async with self.behind() as proxy:
            full = mock.Mock(accept=mock.Mock(side_effect=OSError(errno.EMFILE, "planted")))
            with self.assertRaisesRegex(OSError, "planted"):
                proxy._accept(full)
            with self.assertRaises(ConnectionRefusedError):
                await asyncio.open_connection(*proxy.address)
            with proxy.down():
                pass
            async with self.client(proxy) as streams:  # It listens again.
                self.assertEqual(await self.ask(streams), b"ping")


class TestToxics(Case):
    async def test_latency(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with proxy.latency(2_000):
                began = self.now()
                await self.ask(streams)
                self.assertAlmostEqual(self.now() - began, 2, delta=0.5)
            began = self.now()
            await self.ask(streams)
            self.assertLess(self.now() - began, 1)

    async def test_latency_is_not_paid_once_for_each_chunk(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            proxy.latency(10_000, direction="both")
            began = self.now()
            await self.ask(streams, bytes(500_000))
            self.assertAlmostEqual(self.now() - began, 20, delta=9)

    async def test_jitter_is_from_the_seed_and_keeps_the_order(self) -> None:
        async def times() -> list[float]:
            found = []
            async with self.behind() as proxy, self.client(proxy) as streams:
                proxy._random.seed(5)
                await self.served(proxy, streams)
                proxy.latency(10_000, jitter=9_000)
                for number in range(5):
                    began = self.now()
                    self.assertEqual(await self.ask(streams, b"%d" % number), b"%d" % number)
                    found.append(round(self.now() - began))
            return found

        found = await times()
        self.assertGreater(len(set(found)), 1)
        self.assertTrue(all(0 <= each <= 20 for each in found), found)
        self.assertEqual(await times(), found)

    async def test_bandwidth(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            proxy.bandwidth(1_000)
            began = self.now()
            await self.ask(streams, bytes(20_000))
            self.assertAlmostEqual(self.now() - began, 20, delta=2)

    async def test_slow_close(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            proxy.slow_close(30_000)
            await self.ask(streams)
            streams[1].write_eof()
            began = self.now()
            self.assertEqual(await streams[0].read(), b"")
            self.assertAlmostEqual(self.now() - began, 30, delta=5)

    async def test_timeout_loses_data_and_closes(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            proxy.timeout(30_000)
            began = self.now()
            streams[1].write(b"lost")
            self.assertEqual(await streams[0].read(), b"")
            self.assertAlmostEqual(self.now() - began, 30, delta=5)

    async def test_timeout_of_0_never_closes(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with proxy.timeout():
                streams[1].write(b"lost")
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(streams[0].read(1), 1_000)
            self.assertEqual(await self.ask(streams, b"back"), b"back")

    async def test_reset_peer(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            began = self.now()
            proxy.reset_peer(5_000)
            with self.assertRaises(ConnectionResetError):
                await streams[0].read(1)
            self.assertAlmostEqual(self.now() - began, 5, delta=2)

    async def test_a_reset_that_is_removed_in_time_does_not_happen(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with proxy.reset_peer(5_000):
                pass
            await asyncio.get_running_loop().advance(10)  # type: ignore[attr-defined]
            self.assertEqual(await self.ask(streams), b"ping")

    async def test_slicer(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as (reader, writer):
            proxy.slicer(10, variation=5, delay_ms=1_000)
            writer.write(bytes(range(200)))
            writer.write_eof()
            pieces = []
            while piece := await reader.read(1_000):
                pieces.append(piece)
            self.assertEqual(b"".join(pieces), bytes(range(200)))
            self.assertTrue(all(5 <= len(piece) <= 15 for piece in pieces[:-1]), pieces)

    async def test_limit_data(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as (reader, writer):
            proxy.limit_data(7)
            writer.write(b"0123456789")
            self.assertEqual(await reader.read(), b"0123456")
        async with self.behind() as proxy:
            proxy.limit_data(7)
            for _ in range(2):  # Each connection has its own limit.
                async with self.client(proxy) as streams:
                    self.assertEqual(await self.ask(streams, b"0123456"), b"0123456")
                    self.assertEqual(await streams[0].read(), b"")

    async def test_down_refuses_and_resets(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with proxy.down(), proxy.down():
                with self.assertRaises(ConnectionResetError):
                    await streams[0].read(1)
                with self.assertRaises(ConnectionRefusedError):
                    await asyncio.open_connection(*proxy.address)
            async with self.client(proxy) as again:
                self.assertEqual(await self.ask(again), b"ping")

    async def test_down_refuses_also_while_another_process_has_inherited_the_socket(self) -> None:
        async with self.behind() as proxy:
            assert proxy._listening is not None
            inherited = proxy._listening.dup()
            self.addCleanup(inherited.close)
            with proxy.down(), self.assertRaises(ConnectionRefusedError):
                await asyncio.open_connection(*proxy.address)
            for _ in range(20):  # Nobody is taken in by the one that nobody reads.
                async with self.client(proxy) as streams:
                    self.assertEqual(await self.ask(streams), b"ping")

    async def test_partly_down(self) -> None:
        async with self.behind() as proxy:
            proxy.down(toxicity=0.5)

            async def lives() -> bool:
                async with self.client(proxy) as streams:
                    try:
                        return await self.ask(streams) == b"ping"
                    except (OSError, asyncio.IncompleteReadError):
                        return False

            self.assertEqual({await lives() for _ in range(60)}, {True, False})

    async def test_a_partition_holds_everything_until_it_heals(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            toxic = proxy.partition()
            streams[1].write(b"one")
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(reading := asyncio.ensure_future(streams[0].readexactly(3))), 60)
            toxic.remove()
            self.assertEqual(await reading, b"one")

    async def test_corrupt(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with proxy.corrupt(1.0):
                found = await self.ask(streams, bytes(1_000))
                self.assertNotIn(0, found)
            with proxy.corrupt(0.1):
                found = await self.ask(streams, bytes(10_000))
                self.assertTrue(700 < sum(byte != 0 for byte in found) < 1_300)
            self.assertEqual(await self.ask(streams, bytes(10)), bytes(10))

    async def test_directions(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            for direction, seconds in (("upstream", 10), ("downstream", 10), ("both", 20)):
                with proxy.latency(10_000, direction=direction) as toxic:
                    began = self.now()
                    await self.ask(streams)
                    self.assertAlmostEqual(self.now() - began, seconds, delta=4, msg=direction)
                    self.assertEqual(toxic.hits, 2 if direction == "both" else 1)

    async def test_toxicity_is_the_share_of_connections(self) -> None:
        async with self.behind() as proxy:
            never, perhaps = proxy.latency(1, toxicity=0.0), proxy.latency(0, toxicity=0.5)
            for _ in range(40):
                async with self.client(proxy) as streams:
                    await self.ask(streams)
            self.assertEqual(never.hits, 0)
            self.assertTrue(5 < perhaps.hits < 35, perhaps.hits)

    async def test_several_act_one_after_the_other(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            proxy.corrupt(1.0)
            proxy.latency(5_000)
            began = self.now()
            self.assertNotIn(0, await self.ask(streams, bytes(100)))
            self.assertGreaterEqual(self.now() - began, 4.9)
            self.assertEqual([toxic.name for toxic in proxy.toxics], ["corrupt", "latency"])

    async def test_one_that_holds_data_back_for_long_lets_go_when_it_is_removed(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            toxic = proxy.latency(10_000_000)
            asking = asyncio.ensure_future(self.ask(streams))
            await asyncio.get_running_loop().advance(60)  # type: ignore[attr-defined]
            toxic.remove()
            began = self.now()
            self.assertEqual(await asking, b"ping")
            self.assertLess(self.now() - began, 60)


class TestUse(Case):
    async def test_a_fault_of_a_suite_with_its_journal(self) -> None:
        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with journaled() as journal:
                fault = {"type": "fault", "fault": NetworkFault("latency", {"ms": 5}), "duration_ms": 10}
                report = await run_chaos_suite(proxy, [fault])
            self.assertEqual((report.passed, report.failed), (1, 0), report)
            self.assertEqual([event.fault for event in journal.events][:1], ["latency"])
            self.assertEqual(proxy.toxics, ())

    async def test_latency_by_one_name_for_proxies_and_servers(self) -> None:
        class Counter(GenServer):
            def handle_call(self, message: Any, sender: Any) -> Any:
                return message

        async with self.behind() as proxy, self.client(proxy) as streams:
            await self.served(proxy, streams)
            with self.add_latency(proxy, 9_000):
                began = self.now()
                await self.ask(streams)
                self.assertGreaterEqual(self.now() - began, 8.9)
        server = await Counter.start_link()
        with add_latency(server, 3_000):
            began = self.now()
            await server.call("late")
            self.assertGreaterEqual(self.now() - began, 2.9)

    async def test_nonsense_is_refused(self) -> None:
        idle = network_proxy("127.0.0.1", 1)
        for use, message in (
            (lambda: idle.port, "the proxy has no port yet: await it"),
            (idle.down, "the proxy does not listen: down can be put on once it is awaited"),
            (
                lambda: network_proxy("127.0.0.1", 70_000),
                "port must be from 1 to 65535, got upstream_port=70000",
            ),
            (lambda: NetworkFault("lag"), "unknown toxic 'lag'; the known ones are latency, bandwidth"),
        ):
            with self.assertRaisesRegex(UsageError, message):
                use()
        with self.assertRaisesRegex(TypeError, "upstream_host must be a string, got upstream_host=None"):
            network_proxy(None, 1)  # type: ignore[arg-type]
        async with self.behind() as proxy:
            for use, message in (
                (lambda: proxy.latency(-1), "ms must be"),
                (
                    lambda: proxy.latency(1, direction="sideways"),
                    "direction must be 'upstream', 'downstream' or 'both'",
                ),
                (lambda: proxy.latency(1, toxicity=2), "toxicity must be from 0 to 1, got toxicity=2"),
                (lambda: proxy.bandwidth(0), "rate must be more than 0 bytes per second"),
                (lambda: proxy.slicer(3, variation=3), "variation must be less than size=3, got variation=3"),
                (lambda: proxy.limit_data(0), "size must be 1 or more"),
                (lambda: proxy.corrupt(1.5), "rate must be from 0 to 1"),
            ):
                with self.assertRaisesRegex(UsageError, message):
                    use()
            self.assertEqual(proxy.toxics, ())
