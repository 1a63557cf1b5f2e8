"""Streams of an explored program stay in memory, and everything that a network can delay, a schedule can."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
import unittest

from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Fifo
from supertester.schedule.virtual_loop import Deadlock
from tests.schedule.exploring import SECOND, Anyhow, Last, Scripted, explored, explored_anyhow


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


class TestStreams(unittest.TestCase):
    def test_carry_lines_there_and_back_in_every_schedule(self) -> None:
        async def client(port, name):
            reader, writer = await asyncio.open_connection("localhost", port)
            for number in range(3):
                writer.write(f"{name} {number}\n".encode())
            writer.write_eof()
            found = await reader.read()
            writer.close()
            await writer.wait_closed()
            return found

        async def main():
            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                return await asyncio.gather(client(port, "a"), client(port, "b"))

        expected = [b"A 0\nA 1\nA 2\n", b"B 0\nB 1\nB 2\n"]
        for seed in range(50):
            loop = ExploringLoop(Anyhow(seed))
            self.assertEqual(loop.run(main()), expected)
            self.assertEqual((loop.unhandled, loop.left), ([], ()))

    def test_each_piece_is_a_choice_of_its_own_and_pieces_of_one_direction_keep_their_order(self) -> None:
        async def main():
            got: list[bytes] = []

            async def serve(reader, writer):
                while piece := await reader.read(100):
                    got.append(piece)
                writer.close()

            server = await asyncio.start_server(serve, "localhost", 80)
            _, writer = await asyncio.open_connection("localhost", 80)
            for piece in (b"a", b"b", b"c"):
                writer.write(piece)
                await asyncio.sleep(0)
            writer.close()
            await asyncio.sleep(SECOND)
            server.close()
            return b"|".join(got)

        found = set(explored_anyhow(main, 100))
        self.assertGreater(found, {b"a|b|c", b"abc"})
        self.assertEqual({each.replace(b"|", b"") for each in found}, {b"abc"})

    def test_lanes_say_which_way_they_go(self) -> None:
        async def main():
            server = await asyncio.start_server(echo, "localhost", 80)
            reader, writer = await asyncio.open_connection("localhost", 80)
            writer.write(b"x\n")
            await reader.readline()
            writer.close()
            server.close()

        loop = ExploringLoop(Fifo())
        seen = []
        loop.before_step = lambda lane: seen.append((lane.kind, lane.label))
        loop.run(main())
        for label in ("connection to 127.0.0.1:80", "client 1 -> 127.0.0.1:80", "127.0.0.1:80 -> client 1"):
            self.assertIn(("delivery", label), seen)

    def test_back_pressure_holds_up_who_writes_too_much(self) -> None:
        async def main():
            log: list[str] = []
            begin = asyncio.Event()

            async def serve(reader, writer):
                await begin.wait()
                log.append("begins to read")
                log.append(str(len(await reader.read())))
                writer.close()

            async with await asyncio.start_server(serve, "localhost", 80, limit=1000):
                _, writer = await asyncio.open_connection("localhost", 80)
                asyncio.get_running_loop().call_later(5, begin.set)
                for _ in range(100):
                    writer.write(b"x" * 1000)
                    await writer.drain()
                log.append(f"has written at {asyncio.get_running_loop().time():g} s")
                writer.close()
                await writer.wait_closed()
                await asyncio.sleep(SECOND)
            return log

        self.assertEqual(explored(main()), ["begins to read", "has written at 5 s", "100000"])

    def test_a_write_to_somebody_who_has_gone_is_a_reset(self) -> None:
        async def main():
            async def leave(_reader, writer):
                writer.close()

            await asyncio.start_server(leave, "localhost", 80)
            reader, writer = await asyncio.open_connection("localhost", 80)
            self.assertEqual(await reader.read(), b"")
            writer.write(b"is anybody there?")
            try:
                for _ in range(5):
                    await asyncio.sleep(SECOND)
                    await writer.drain()
            finally:
                writer.close()

        with self.assertRaisesRegex(ConnectionResetError, r"reset|lost"):
            explored(main())

    def test_nobody_listening_is_a_refusal(self) -> None:
        async def main():
            server = await asyncio.start_server(echo, "localhost", 80)
            server.close()
            await asyncio.open_connection("localhost", 80)

        with self.assertRaisesRegex(ConnectionRefusedError, r"Connect call failed \('127.0.0.1', 80\)"):
            explored(main())

    def test_a_server_that_closes_before_it_accepts_resets(self) -> None:
        async def main():
            server = await asyncio.start_server(echo, "localhost", 80)
            connecting = asyncio.create_task(asyncio.open_connection("localhost", 80))
            await asyncio.sleep(0)
            server.close()
            reader, writer = await connecting
            try:
                return await reader.read()
            finally:
                writer.close()

        found = {type(each) for each in explored_anyhow(main, 100)}
        self.assertEqual(found, {ConnectionRefusedError, ConnectionResetError, Deadlock})

    def test_a_connection_that_is_given_up_is_closed(self) -> None:
        async def main():
            ended = []

            async def serve(reader, writer):
                ended.append(await reader.read())
                writer.close()

            async with await asyncio.start_server(serve, "localhost", 80):
                task = asyncio.create_task(asyncio.open_connection("localhost", 80))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()[1].close()
                await asyncio.sleep(SECOND)
            return ended

        for found in explored_anyhow(main, 100):
            self.assertIn(found, ([], [b""]))

    def test_handlers_have_the_context_of_their_server(self) -> None:
        variable = contextvars.ContextVar("variable", default="nobody")

        async def main():
            async def serve(reader, writer):
                writer.write(variable.get().encode())
                writer.close()

            variable.set("server")
            await asyncio.start_server(serve, "localhost", 80)
            variable.set("client")
            reader, writer = await asyncio.open_connection("localhost", 80)
            writer.close()
            return await reader.read()

        self.assertIn(explored(main()), {b"server", b""})

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "needs Unix sockets")
    def test_paths_are_addresses_too(self) -> None:
        async def main():
            async with await asyncio.start_unix_server(echo, "/no/such/path") as server:
                reader, writer = await asyncio.open_unix_connection("/no/such/path")
                writer.write(b"hello\n")
                found = await reader.readline()
                writer.close()
                await writer.wait_closed()
                self.assertEqual(server.sockets[0].getsockname(), "/no/such/path")
            with self.assertRaises(FileNotFoundError):
                await asyncio.open_unix_connection("/no/such/path")
            with self.assertRaisesRegex(ValueError, "path"):
                await asyncio.open_unix_connection(None)
            with self.assertRaisesRegex(ValueError, "path"):
                await asyncio.start_unix_server(echo, None)
            return found

        self.assertEqual(explored(main()), b"HELLO\n")


class TestAddresses(unittest.TestCase):
    def test_can_be_taken_once(self) -> None:
        async def main():
            await asyncio.start_server(echo, "localhost", 80)
            await asyncio.start_server(echo, "db.internal", 80)
            await asyncio.start_server(echo, None, 81)
            for host, port in (("127.0.0.1", 80), (None, 80), ("localhost", 81)):
                with self.assertRaisesRegex(
                    OSError, r"error while attempting to bind on address .*: address already in use"
                ):
                    await asyncio.start_server(echo, host, port)
            for host, port in (("db.internal", 80), ("anything", 81)):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()

        explored(main())

    def test_ports_are_found_where_none_is_asked_for(self) -> None:
        async def main():
            servers = [await asyncio.start_server(echo, ["localhost", "db.internal"], 0) for _ in range(2)]
            return [sock.getsockname()[1] for server in servers for sock in server.sockets]

        self.assertEqual(explored(main()), [49152, 49153, 49154, 49155])

    def test_bad_ones_are_refused(self) -> None:
        async def main():
            with self.assertRaisesRegex(ValueError, "host and port was not specified"):
                await asyncio.open_connection()
            with self.assertRaisesRegex(ValueError, "Neither host/port nor sock"):
                await asyncio.start_server(echo)
            with self.assertRaisesRegex(UsageError, "needs the number of a port, got port='http'"):
                await asyncio.open_connection("localhost", "http")
            with self.assertRaisesRegex(OverflowError, "port must be 0-65535, got 65536"):
                await asyncio.open_connection("localhost", 65536)

        explored(main())


class Noting(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, keeps_open=False):
        self.log = []
        self.keeps_open = keeps_open

    def connection_made(self, transport):
        self.transport = transport
        self.log.append("made")

    def data_received(self, data):
        self.log.append(data)

    def eof_received(self):
        self.log.append("eof")
        return self.keeps_open

    def connection_lost(self, exc):
        self.log.append(f"lost {exc!r}")

    def pause_writing(self):
        self.log.append("pause")

    def resume_writing(self):
        self.log.append("resume")


class Buffered(asyncio.BufferedProtocol):
    """Takes what arrives in a small buffer."""

    def __init__(self, size=2):
        self.buffer = bytearray(size)
        self.log = []

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        self.log.append(bytes(self.buffer[:nbytes]))

    def connection_lost(self, exc):
        self.log.append(repr(exc))


async def connected(client, served):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: served, "localhost", 80)
    await loop.create_connection(lambda: client, "localhost", 80)
    await asyncio.sleep(SECOND)
    return server


class TestTransports(unittest.TestCase):
    def test_tell_their_protocols_everything(self) -> None:
        async def main():
            client, served = Noting(), Noting(keeps_open=True)
            await connected(client, served)
            client.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
            client.transport.write(b"")
            client.transport.write_eof()
            client.transport.write_eof()
            await asyncio.sleep(SECOND)
            served.transport.write(b"answer")
            served.transport.close()
            served.transport.write(b"ignored")
            self.assertTrue(served.transport.is_closing())
            await asyncio.sleep(SECOND)
            return client.log, served.log

        self.assertEqual(
            explored(main()), (["made", b"answer", "eof", "lost None"], ["made", b"abc", "eof", "lost None"])
        )

    def test_can_be_paused_and_given_another_protocol(self) -> None:
        async def main():
            client, served = Noting(), Noting()
            await connected(client, served)
            other = Noting()
            served.transport.pause_reading()
            served.transport.pause_reading()
            self.assertFalse(served.transport.is_reading())
            for piece in (b"a", b"b"):
                client.transport.write(piece)
            await asyncio.sleep(SECOND)
            served.transport.set_protocol(other)
            self.assertIs(served.transport.get_protocol(), other)
            self.assertEqual(client.transport.get_write_buffer_size(), 2)
            served.transport.resume_reading()
            served.transport.resume_reading()
            await asyncio.sleep(SECOND)
            client.transport.abort()
            await asyncio.sleep(SECOND)
            return client.log, served.log, other.log

        self.assertEqual(explored(main()), (["made", "lost None"], ["made"], [b"a", b"b", "eof", "lost None"]))

    def test_hold_up_who_writes_too_much(self) -> None:
        async def main():
            client, served = Noting(), Noting()
            await connected(client, served)
            client.transport.set_write_buffer_limits(high=2, low=1)
            client.transport.write(b"abc")
            self.assertEqual(client.log, ["made", "pause"])
            await asyncio.sleep(SECOND)
            return client.log

        self.assertEqual(explored(main()), ["made", "pause", "resume"])

    def test_fill_the_buffers_of_those_that_have_some(self) -> None:
        async def main():
            client, served, empty = Noting(), Buffered(), Buffered(0)
            await connected(client, served)
            client.transport.write(b"abc")
            await asyncio.sleep(SECOND)
            served.connection_lost = lambda _: None
            client.peer = client.transport.peer
            client.peer.set_protocol(empty)
            client.transport.write(b"abc")
            await asyncio.sleep(SECOND)
            return served.log, empty.log

        self.assertEqual(explored(main()), ([b"ab", b"c"], ["RuntimeError('get_buffer() returned an empty buffer')"]))

    def test_know_their_addresses(self) -> None:
        async def main():
            client, served = Noting(), Noting()
            await connected(client, served)
            own, other = client.transport, served.transport
            self.assertEqual(own.get_extra_info("peername"), ("127.0.0.1", 80))
            self.assertEqual(own.get_extra_info("sockname"), other.get_extra_info("peername"))
            sock = own.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.assertEqual((sock.family, sock.type, sock.getsockopt(0, 0)), (socket.AF_INET, socket.SOCK_STREAM, 0))
            self.assertEqual(sock.getpeername(), ("127.0.0.1", 80))
            self.assertIsNone(own.get_extra_info("ssl_object"))
            self.assertEqual(repr(own), "<MemoryTransport ('127.0.0.1', 49152) to ('127.0.0.1', 80) open>")
            own.close()
            self.assertIn("closing", repr(own))
            await asyncio.sleep(SECOND)
            self.assertIn("closed", repr(own))

        explored(main())

    def test_refuse_what_makes_no_sense(self) -> None:
        async def main():
            client, served = Noting(), Noting()
            server = await connected(client, served)
            with self.assertRaisesRegex(TypeError, "must be a bytes-like object, not 'str'"):
                client.transport.write("text")
            self.assertTrue(client.transport.can_write_eof())
            client.transport.write_eof()
            with self.assertRaisesRegex(RuntimeError, "write_eof"):
                client.transport.write(b"more")
            with self.assertRaisesRegex(OSError, "not connected"):
                server.sockets[0].getpeername()

        explored(main())

    def test_a_protocol_that_cannot_be_made_closes_the_connection(self) -> None:
        def fail():
            raise LookupError("no protocol")

        async def main():
            loop = asyncio.get_running_loop()
            await loop.create_server(fail, "localhost", 80)
            client = Noting()
            await loop.create_connection(lambda: client, "localhost", 80)
            await asyncio.sleep(SECOND)
            self.assertEqual([repr(each["exception"]) for each in loop.unhandled], ["LookupError('no protocol')"])
            return client.log

        self.assertEqual(explored(main()), ["made", "eof", "lost None"])


class TestServers(unittest.TestCase):
    def test_serve_when_told_to(self) -> None:
        async def main():
            server = await asyncio.start_server(echo, "localhost", 80, start_serving=False)
            self.assertFalse(server.is_serving())
            with self.assertRaises(ConnectionRefusedError):
                await asyncio.open_connection("localhost", 80)
            task = asyncio.create_task(server.serve_forever())
            await asyncio.sleep(SECOND)
            _, writer = await asyncio.open_connection("localhost", 80)
            writer.close()
            await writer.wait_closed()
            task.cancel()
            await asyncio.wait([task])
            self.assertFalse(server.is_serving())

        explored(main(), Last())

    @unittest.skipIf(sys.version_info < (3, 13), "close_clients() is new in Python 3.13")
    def test_close_their_clients(self) -> None:
        async def main():
            server = await asyncio.start_server(echo, "localhost", 80)
            reader, writer = await asyncio.open_connection("localhost", 80)
            await asyncio.sleep(SECOND)
            server.close()
            server.close_clients()
            await server.wait_closed()
            found = await reader.read()
            writer.close()
            return found

        self.assertEqual(explored(main()), b"")

    def test_what_waits_for_data_for_ever_is_named(self) -> None:
        async def main():
            await asyncio.start_server(echo, "localhost", 80)
            reader, _writer = await asyncio.open_connection("localhost", 80)
            await reader.readline()

        with self.assertRaisesRegex(
            Deadlock, r"(?s)everything waits for ever.*main\) waits for StreamReader.readuntil"
        ):
            explored(main(), Scripted())
