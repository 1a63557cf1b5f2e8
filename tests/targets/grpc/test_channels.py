"""Channels that end with the test and share nothing, servers of the test, and what calls fail with."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import unittest
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.errors import StartFailed, UsageError
from supertester.mixins.chaos import ChaosMixin
from supertester.mixins.services import ServiceAssertions
from supertester.targets import GrpcChannels, grpc_aio_channel, grpc_channel, grpc_server
from supertester.testing import failure_of
from tests.alone import alone
from tests.targets.grpc.programs import HAS_GRPC, WHY, started

if HAS_GRPC:
    import grpc

ROOT = Path(__file__).parents[3]
SAY = "/echo.Echo/Say"


def say(request: bytes, context: Any) -> bytes:
    return request


async def call(channel: Any, request: bytes, *, timeout: float = 60, method: str = SAY) -> Any:
    """Call without holding up the loop, which may have a proxy to run."""
    return await asyncio.to_thread(channel.unary_unary(method), request, timeout=timeout)


@unittest.skipUnless(HAS_GRPC, WHY)
class TestChannels(ServiceAssertions, IsolatedTestCase):
    async def test_calls(self) -> None:
        server = grpc_server({SAY: say})
        channel = self.grpc_channel(server)
        self.assertEqual(channel.unary_unary(SAY)(b"a"), b"a")
        self.assertEqual(channel.unary_unary(SAY).with_call(b"b")[0], b"b")
        self.assertEqual(channel.unary_unary(SAY).future(b"c").result(), b"c")
        self.assertRegex(repr(channel), r"<GrpcChannel 127.0.0.1:\d+, open>")
        aio = self.grpc_aio_channel(server)
        self.assertEqual(await aio.unary_unary(SAY)(b"d"), b"d")

    async def test_interceptors(self) -> None:
        seen: list[str] = []

        class Noting(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
            def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
                seen.append(details.method)
                return continuation(details, request)

        channel = grpc_channel(grpc_server({SAY: say}), interceptors=[Noting()])
        self.assertEqual((channel.unary_unary(SAY)(b"a"), seen), (b"a", [SAY]))

    async def test_closed_they_fail_in_the_way_of_grpc(self) -> None:
        server = grpc_server({SAY: say})
        channel = grpc_channel(server)
        method = channel.unary_unary(SAY)
        channel.close()
        channel.close()
        for fails in (lambda: method(b""), lambda: method.with_call(b""), lambda: method.future(b"")):
            with self.assert_rpc_error("CANCELLED", details=f"the channel to .* is closed, {SAY} cannot") as caught:
                fails()
            self.assertIsInstance(caught.error, grpc.RpcError)
        aio = grpc_aio_channel(server)
        await aio.close()
        with self.assert_rpc_error("CANCELLED"):
            await aio.unary_unary(SAY)(b"")

    async def test_blocks(self) -> None:
        with grpc_server({SAY: say}) as server, grpc_channel(server) as channel:
            self.assertEqual(await call(channel, b"a"), b"a")
            async with grpc_aio_channel(server) as aio:
                self.assertEqual(await aio.unary_unary(SAY)(b"d"), b"d")
        self.assertTrue(channel.is_closed and aio.is_closed and server.is_closed)

    async def test_a_server_that_has_come_back_is_reached_at_once(self) -> None:
        process, port = await started()
        self.assertEqual(await call(grpc_channel(port), b"a"), b"a")
        process.kill()
        await process.wait()
        with self.assert_rpc_error("UNAVAILABLE"):
            await call(grpc_channel(port), b"a")
        await started(port=port)
        self.assertEqual(await call(grpc_channel(port), b"a"), b"a")

    async def test_one_for_each_generation(self) -> None:
        server = grpc_server({SAY: say})
        channels = GrpcChannels()
        first = SimpleNamespace(id="w1", generation=1, address=server.address)
        channel = channels.to(first)
        self.assertIs(channels.to(first), channel)
        second = SimpleNamespace(identity=SimpleNamespace(id="w1", generation=2), address=server.address)
        other = channels.to(second)
        self.assertEqual((channel.is_closed, other.is_closed), (True, False))
        self.assertEqual(await call(other, b"a"), b"a")
        with self.assert_rpc_error("CANCELLED"):
            await call(channel, b"a")
        channels.forget("w1")
        channels.forget("w1")
        self.assertTrue(other.is_closed)

    async def test_one_for_each_generation_of_aio(self) -> None:
        server = grpc_server({SAY: say})
        channels = GrpcChannels(lambda worker: server, grpc_aio_channel)
        first = channels.to(SimpleNamespace(id="w1", generation=1))
        self.assertEqual(await first.unary_unary(SAY)(b"a"), b"a")
        second = channels.to(SimpleNamespace(id="w1", generation=2))
        with self.assert_rpc_error("CANCELLED"):
            await first.unary_unary(SAY)(b"a")
        self.assertEqual(await second.unary_unary(SAY)(b"a"), b"a")

    def test_they_end_with_the_test(self) -> None:
        made: list[Any] = []

        async def body(case: Any) -> None:
            made.append(grpc_server({SAY: say}))
            made.append(case.grpc_channel(made[0]))
            made.append(case.grpc_aio_channel(made[0]))
            case.fail("planted")

        self.assertIn("planted", failure_of(body, ServiceAssertions))
        self.assertTrue(all(each.is_closed for each in made))

    async def test_the_threads_of_a_server_end_with_it(self) -> None:
        threads: list[threading.Thread] = []

        def note(request: bytes, context: Any) -> bytes:
            threads.append(threading.current_thread())
            return request

        server = grpc_server({SAY: note})
        with grpc_server({SAY: note}) as other:
            for each in (server, other):
                self.assertEqual(await call(grpc_channel(each), b"a"), b"a")
        await server.stop()
        for thread in threads:
            await asyncio.to_thread(thread.join, 60)
        self.assertEqual([each.is_alive() for each in threads], [False, False], (server, other))

    def test_a_function_that_does_not_return_is_told(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)
        held: list[Any] = []

        async def body(case: Any) -> None:
            def hang(request: bytes, context: Any) -> bytes:
                over.wait()
                return request

            held.append(grpc_server({SAY: hang}))
            with suppress(grpc.RpcError):
                await call(grpc_channel(held[0]), b"a", timeout=1)

        with mock.patch("supertester.isolation.leaks.watch._DYING", 0.05):
            report = failure_of(body, ServiceAssertions)
        self.assertRegex(
            report,
            r"1\. ThreadPoolExecutor \(created at .*test_channels\.py:\d+ in body\) was shut down, but what it does "
            r"has not ended: thread 'supertester-grpc_0', now at .*test_channels\.py:\d+ in hang\n",
        )


@unittest.skipUnless(HAS_GRPC, WHY)
class TestServers(ServiceAssertions, IsolatedTestCase):
    async def test_their_port_is_their_own(self) -> None:
        server = grpc_server({})
        self.assert_port_exclusive(server.port)
        with self.assertRaisesRegex(
            StartFailed, rf"gRPC server did not start: .*port {server.port} of 127.0.0.1 is in"
        ):
            grpc_server({}, port=server.port)
        await server.stop()
        await server.stop()
        self.assertRegex(repr(server), r"<GrpcServer 127.0.0.1:\d+, stopped>")

    async def test_streams_and_handlers(self) -> None:
        def count(request: bytes, context: Any) -> Any:
            yield from (bytes([number]) for number in request)

        total = grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests))
        channel = grpc_channel(grpc_server({"/a.A/Count": count, "/b.B/Total": total}))
        self.assertEqual(list(channel.unary_stream("/a.A/Count")(b"\1\2")), [b"\1", b"\2"])
        self.assertEqual(channel.stream_unary("/b.B/Total")(iter([b"a", b"b"])), b"ab")

    async def test_a_response_that_is_not_bytes_fails_the_call_at_once(self) -> None:
        def stream(request: bytes, context: Any) -> Any:
            yield b"1"
            yield None if request else "2"

        def absent(request: bytes, context: Any) -> None:
            context.set_code(grpc.StatusCode.NOT_FOUND)

        class Own(bytes): ...

        server = grpc_server(
            {SAY: lambda *_: "text", "/a.A/S": stream, "/a.A/N": absent, "/a.A/Own": lambda *_: Own(b"x")}
        )
        channel = self.grpc_channel(server)
        with self.assert_rpc_error("INTERNAL", details=f"{SAY} must return bytes, .* for a stream; got 'text'"):
            await call(channel, b"")
        for request, got in ((b"", "'2'"), (b"1", "None")):
            chunks = channel.unary_stream("/a.A/S")(request, timeout=60)
            self.assertEqual(next(chunks), b"1")
            with self.assert_rpc_error("INTERNAL", details=f"/a.A/S must yield bytes; got {got}"):
                next(chunks)
        with self.assert_rpc_error("NOT_FOUND"):
            await call(channel, b"", method="/a.A/N")
        self.assertEqual(await call(channel, b"", method="/a.A/Own"), b"x")

    async def test_nonsense_is_refused(self) -> None:
        async def later(request: bytes, context: Any) -> bytes:
            return request

        with self.assertRaisesRegex(UsageError, "a method must be named like '/echo.Echo/Say', got 'Say'"):
            grpc_server({"Say": say})
        with self.assertRaisesRegex(TypeError, "/a/B must be a plain function of .request, context., got .*later"):
            grpc_server({"/a/B": later})
        with self.assertRaisesRegex(UsageError, "workers must be 1 or more, got workers=0"):
            grpc_server({}, workers=0)


@unittest.skipUnless(HAS_GRPC, WHY)
class TestSharedPorts(unittest.TestCase):
    def test_two_servers_on_one_port_are_noticed(self) -> None:
        async def body(case: Any) -> None:
            _, port = await started("share")
            await started("share", port=port)
            case.assert_port_exclusive(port)

        self.assertRegex(
            failure_of(body, ServiceAssertions),
            r"port \d+ of 127.0.0.1 can be had by a second server as well, because SO_REUSEPORT .*'grpc.so_reuseport'",
        )

    @alone("another test may get the port")
    def test_a_port_that_nobody_has(self) -> None:
        async def body(case: Any) -> None:
            with case.ports.reserve() as port:
                pass
            case.assert_port_exclusive(port.number)

        self.assertRegex(failure_of(body, ServiceAssertions), r"nobody listens on port \d+ of 127.0.0.1")


@unittest.skipUnless(HAS_GRPC, WHY)
class TestErrors(ServiceAssertions, IsolatedTestCase):
    async def test_of_a_real_server(self) -> None:
        process, port = await started()
        channel = grpc_channel(port)
        with self.assert_rpc_error("INVALID_ARGUMENT", details="^cannot say that$"):
            await call(channel, b"invalid")
        with self.assert_rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED):
            await call(channel, b"slow", timeout=0.05)
        with self.assert_rpc_error("UNIMPLEMENTED"):
            await call(channel, b"", method="/echo.Echo/Sing")
        process.kill()
        await process.wait()
        with self.assert_rpc_error("UNAVAILABLE") as caught:
            await call(channel, b"a")
        self.assertEqual(caught.error.code(), grpc.StatusCode.UNAVAILABLE)


@unittest.skipUnless(HAS_GRPC, WHY)
class TestErrorsFail(unittest.TestCase):
    def fails(self, status: str, raising: Any, **options: Any) -> str:
        async def body(case: Any) -> None:
            with case.assert_rpc_error(status, **options):
                if raising is not None:
                    raise raising

        return failure_of(body, ServiceAssertions)

    def error(self, code: str) -> Any:
        class Failed(grpc.RpcError):  # type: ignore[misc]
            def code(self) -> Any:
                return grpc.StatusCode[code]

            def details(self) -> str:
                return "so there"

        return Failed()

    def test_nothing_failed(self) -> None:
        self.assertIn("the call succeeded, expected it to fail with UNAVAILABLE", self.fails("UNAVAILABLE", None))

    def test_another_status(self) -> None:
        report = self.fails("UNAVAILABLE", self.error("INTERNAL"), msg="oh")
        self.assertIn("the call failed with INTERNAL, expected UNAVAILABLE: so there : oh", report)

    def test_other_details(self) -> None:
        report = self.fails("INTERNAL", self.error("INTERNAL"), details="never")
        self.assertIn(
            "the call failed with INTERNAL, but its details are 'so there', expected something like 'nev", report
        )

    def test_a_channel_that_is_closed(self) -> None:
        for error in (
            ValueError("Cannot invoke RPC on closed channel!"),
            ValueError("Cannot invoke RPC: Channel closed!"),
        ):
            report = self.fails("UNAVAILABLE", error)
            self.assertIn("gRPC reports that as a ValueError, which is no grpc.RpcError", report)

    def test_anything_else_is_raised(self) -> None:
        self.assertIn("KeyError: 'other'", self.fails("UNAVAILABLE", KeyError("other")))

    def test_an_unknown_status(self) -> None:
        self.assertIn("a status must be one of OK, CANCELLED", self.fails("GONE", None))


@unittest.skipUnless(HAS_GRPC, WHY)
class TestNetworkFaults(ServiceAssertions, ChaosMixin, IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        _, self.port = await started()
        self.proxy = await self.network_proxy("127.0.0.1", self.port)

    async def test_of_unary_calls(self) -> None:
        channel = self.grpc_channel(self.proxy)
        self.assertEqual(await call(channel, b"a"), b"a")
        with self.proxy.latency(5_000, direction="downstream"), self.assert_rpc_error("DEADLINE_EXCEEDED"):
            await call(channel, b"a", timeout=0.05)
        with self.proxy.down(), self.assert_rpc_error("UNAVAILABLE"):
            await call(self.grpc_channel(self.proxy), b"a")
        self.assertEqual(await call(self.grpc_channel(self.proxy), b"a"), b"a")

    async def test_of_streams(self) -> None:
        channel = self.grpc_channel(self.proxy)
        stream = channel.unary_stream("/echo.Echo/CountAndHang")(b"3")

        def reset(number: int) -> None:
            if number == 3:
                self.proxy.reset_peer()

        await self.assert_streaming_response(stream, [b"1", b"2", b"3"], ends_with="UNAVAILABLE", after_each=reset)

    async def test_a_partition_stalls_a_stream(self) -> None:
        stream = self.grpc_channel(self.proxy).unary_stream("/echo.Echo/CountAndHang")(b"1")
        await self.assert_streaming_response(
            stream, [b"1"], ends_with="CANCELLED", after_each=lambda _: stream.cancel()
        )
        with self.proxy.partition():
            stream = self.grpc_channel(self.proxy).unary_stream("/echo.Echo/Count")(b"1")
            with self.assertRaisesRegex(AssertionError, "the stream stalled: chunk 1 of 1 did not come within 0.05 s"):
                await self.assert_streaming_response(stream, [b"1"], chunk_timeout=0.05)


FORKING = """
import asyncio, os, threading, unittest
from supertester import IsolatedTestCase
from supertester.isolation import isolate
from supertester.targets import grpc_server, grpc_channel

class Test(IsolatedTestCase):
    def fork(self):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

    def test_after(self):
        with grpc_server({}) as server:
            grpc_channel(server).close()
        self.fork()

    def test_while(self):
        grpc_channel(grpc_server({}))
        self.fork()

    def test_beside_another(self):
        is_open, is_over = threading.Event(), threading.Event()

        async def neighbour():
            async with isolate("basic"):
                grpc_channel(grpc_server({}))
                is_open.set()
                await asyncio.to_thread(is_over.wait)

        thread = threading.Thread(target=asyncio.run, args=[neighbour()])
        thread.start()
        self.assertTrue(is_open.wait(60))
        self.fork()
        is_over.set()
        thread.join()

unittest.main(verbosity=2)
"""


POLLING = """
import unittest
from concurrent.futures import ThreadPoolExecutor
import grpc.aio
from supertester import IsolatedTestCase

class Test(IsolatedTestCase):
    async def test(self):
        global kept
        kept = grpc.server(ThreadPoolExecutor(2)), grpc.aio.insecure_channel("127.0.0.1:1")
        await kept[1].close()

unittest.main()
"""


def ran_alone(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@unittest.skipUnless(HAS_GRPC, WHY)
class TestInAProcessOfItsOwn(unittest.TestCase):
    def test_what_grpc_polls_with_is_no_leak_of_the_test_that_used_it_first(self) -> None:
        ran = ran_alone(POLLING)
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_forks_are_noticed_while_channels_of_the_test_are_open(self) -> None:
        ran = ran_alone(FORKING)
        self.assertEqual(re.findall(r"^(?:FAIL|ERROR): (\w+)", ran.stderr, re.MULTILINE), ["test_while"], ran.stderr)
        self.assertRegex(
            ran.stderr,
            r"a process was forked while gRPC was in use \(<GrpcChannel .*open>, <GrpcServer .*running>\): in ",
        )
        self.assertRegex(ran.stderr, r"Ran 3 tests .*\n\nFAILED \(failures=1\)")
