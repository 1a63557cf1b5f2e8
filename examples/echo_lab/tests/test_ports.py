"""`self.ports`: ports that nobody else has."""

from __future__ import annotations

import asyncio
import socket

from echo_lab import Counter

from supertester import IsolatedTestCase
from supertester.isolation import isolate
from supertester.otp import Pid


async def serve(counter: Pid, sock: socket.socket) -> asyncio.Server:
    """Let clients add to *counter* over the network, a number per line."""

    async def add(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        value = await counter.call(("add", int(await reader.readline())))
        writer.write(b"%d\n" % value)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(add, sock=sock)


async def ask(address: tuple[str, int], number: int) -> int:
    """Add *number* to the counter that is served at *address*."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"%d\n" % number)
    answer = int(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer


class TestPorts(IsolatedTestCase):
    async def test_a_server_takes_the_socket(self) -> None:
        """The socket that holds the port is the one that the server listens on: nobody can come in between."""
        port = self.ports.reserve()
        counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
        async with await serve(counter, port.socket):
            self.assertEqual(await ask(port.address, 2), 7)

    async def test_nobody_listens_until_the_server_does(self) -> None:
        """A port that is only reserved refuses connections, as that of a server that is down does."""
        port = self.ports.reserve()
        with self.assertRaises(ConnectionRefusedError):
            await ask(port.address, 2)

    async def test_tests_at_once_have_different_ports(self) -> None:
        """Two isolated tests serve side by side."""

        async def count_from(start: int, met: asyncio.Barrier) -> int:
            async with isolate() as context:
                port = context.feature("ports").reserve()
                async with await serve(await Counter.start_link(start), port.socket):
                    await met.wait()
                    return await ask(port.address, 1)

        met = asyncio.Barrier(2)
        self.assertEqual(await asyncio.gather(count_from(10, met), count_from(20, met)), [11, 21])
