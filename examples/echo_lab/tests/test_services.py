"""Services for other programs: over pipes, mocked and real, and by gRPC."""

from __future__ import annotations

import sys
import unittest
from importlib.util import find_spec
from pathlib import Path

from echo_lab.gateway import ADD, COUNT, CounterLost, RemoteCounter

from supertester import ChaosMixin, IsolatedTestCase, ServiceAssertions
from supertester.targets import (
    ExternalProcess,
    LineReady,
    MockPort,
    PortClosed,
    RemoteError,
    Sessions,
    Wire,
    start_json_port,
    start_process,
)

LAB = Path(__file__).parents[1]
GATEWAY = [sys.executable, "-m", "echo_lab.gateway"]
LINES = Wire(framing="lines")


class TestMockedGateway(IsolatedTestCase):
    def setUp(self) -> None:
        self.gateway = MockPort(LINES)
        self.counter = RemoteCounter(*self.gateway.pipes())
        self.addCleanup(self.counter.close)

    def test_adds(self) -> None:
        """The mock answers what was expected; a test whose client asks for anything else fails."""
        self.gateway.expect_command("add", 5, args=2)
        self.assertEqual(self.counter.add(2), 5)

    def test_a_gateway_that_dies_in_the_middle_of_its_answer(self) -> None:
        """Five bytes come, and then nothing any more."""
        self.gateway.simulate_crash("add", 5, after_bytes=5)
        with self.assertRaises(CounterLost):
            self.counter.add(2)

    def test_garbage(self) -> None:
        """What comes is no JSON."""
        self.gateway.simulate_garbage("add", b"Segmentation fault\n")
        with self.assertRaisesRegex(CounterLost, "Segmentation fault"):
            self.counter.add(2)


class TestRealGateway(ServiceAssertions, IsolatedTestCase):
    async def test_a_worker_process(self) -> None:
        """Many callers at once, each given its own answer; an error is one of the call, and not of the connection."""
        port = await start_json_port(GATEWAY, wire=LINES, cwd=LAB)
        await self.assert_correlated(port, 100)
        with self.assertRaisesRegex(RemoteError, "command 'sub' failed: 'unknown'"):
            await port.call("sub", 1)
        self.assertEqual(await port.call("add", 5), 5)

    async def test_one_that_is_killed(self) -> None:
        """The next call says how the process ended."""
        port = await start_json_port(GATEWAY, wire=LINES, cwd=LAB)
        assert port.process is not None
        await port.call("add", 5)
        port.process.kill()
        with self.assertRaisesRegex(PortClosed, "ended with signal SIGKILL"):
            await port.call("add", 5)


@unittest.skipUnless(find_spec("grpc") and find_spec("grpc_health"), "needs the extra grpc of supertester")
class TestGrpcGateway(ServiceAssertions, ChaosMixin, IsolatedTestCase):
    async def started(self) -> tuple[ExternalProcess, int]:
        process = await start_process([*GATEWAY, "--grpc"], cwd=LAB, ready=LineReady(r"listening on \d+"), timeout=30)
        return process, int(process.find(r"on (\d+)").group(1))

    async def test_adds_and_counts(self) -> None:
        """Ready by its health, alone on its port, and each chunk of a stream as it should be."""
        process, port = await self.started()
        await self.wait_for_grpc_ready(port, process=process)
        self.assert_port_exclusive(port)
        channel = self.grpc_aio_channel(port)
        self.assertEqual(await channel.unary_unary(ADD)(b"3"), b"3")
        await self.assert_streaming_response(channel.unary_stream(COUNT)(b""), [b"1", b"2", b"3"])

    async def test_a_frozen_one_is_not_ready(self) -> None:
        """It could be connected to, but does not answer."""
        process, port = await self.started()
        process.suspend()
        with self.assertRaisesRegex(AssertionError, "it does not answer: it hangs, is suspended"):
            await self.assert_grpc_ready(port, timeout=0.2)

    async def test_a_network_that_is_down(self) -> None:
        """A call through a proxy fails with the status that callers have to be ready for."""
        _, port = await self.started()
        proxy = await self.network_proxy("127.0.0.1", port)
        with proxy.down(), self.assert_rpc_error("UNAVAILABLE"):
            await self.grpc_aio_channel(proxy).unary_unary(ADD)(b"3")

    async def test_all_that_was_added_is_taken_back(self) -> None:
        """What a test opens on a server is ended in one call, and the server asked whether anything is left."""
        _, port = await self.started()
        add = self.grpc_aio_channel(port).unary_unary(ADD)

        async def take() -> int:
            return int(await add(b"1"))

        async def give_back(_number: int) -> None:
            await add(b"-1")

        async def left() -> int:
            return int(await add(b"0"))

        sessions = Sessions(give_back, open=take, count=left)
        for _ in range(5):
            await sessions.open()
        report = await self.assert_all_sessions_ended(sessions)
        self.assertEqual((len(report.ended), report.left), (5, 0))
