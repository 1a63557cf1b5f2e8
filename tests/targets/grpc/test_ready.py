"""A gRPC server is ready when its health service says so, and not because its port can be reached."""

from __future__ import annotations

import socket
import unittest
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import StartFailed, UsageError, WaitTimeout
from supertester.mixins.services import ServiceAssertions
from supertester.targets import check_grpc_ready, grpc_server, probe_grpc_health
from supertester.targets.grpc.address import address_of
from supertester.testing import failure_of
from tests.targets.grpc.programs import HAS_GRPC, WHY, started


class TestAddresses(unittest.TestCase):
    def test_forms(self) -> None:
        class Proxy:
            address = ("::1", 7)

        self.assertEqual(address_of("host:1"), "host:1")
        self.assertEqual(address_of(7), "127.0.0.1:7")
        self.assertEqual(address_of(Proxy()), "[::1]:7")

    def test_nonsense(self) -> None:
        with self.assertRaisesRegex(UsageError, "a port must be from 1 to 65535, got 70000"):
            address_of(70_000)
        with self.assertRaisesRegex(TypeError, "an address must be .*, got None"):
            address_of(None)


@unittest.skipUnless(HAS_GRPC, WHY)
class TestReady(ServiceAssertions, IsolatedTestCase):
    async def test_a_real_server(self) -> None:
        process, port = await started()
        found = await self.wait_for_grpc_ready(port, process=process)
        self.assertTrue(found.is_ready and found)
        self.assertEqual(str(found), f"127.0.0.1:{port} is SERVING")
        await self.assert_grpc_ready(port)

    async def test_one_that_comes_up_later(self) -> None:
        server = grpc_server({"/echo.Echo/Say": lambda request, _: request})
        server.health.not_serving()
        with self.assertRaisesRegex(
            WaitTimeout,
            r"timed out after [\d.]+ s waiting for 'echo.Echo' of the gRPC server at "
            rf"127.0.0.1:{server.port} to be ready; "
            rf"last seen: 'echo.Echo' of 127.0.0.1:{server.port} is NOT_SERVING",
        ):
            for timeout in (0, 0.1, 1, 10):  # One look may not be done in no time.
                try:
                    await self.wait_for_grpc_ready(server, service="echo.Echo", timeout=timeout)
                except WaitTimeout as error:
                    if "NOT_SERVING" in str(error):
                        raise
        server.health.serving("echo.Echo")
        await self.wait_for_grpc_ready(server, service="echo.Echo")
        self.assertIsNotNone(await check_grpc_ready(server))

    async def test_whose_process_ends_nobody_waits_for(self) -> None:
        process, port = await started()
        process.kill()
        await process.wait()
        with self.assertRaisesRegex(StartFailed, r"(?s)ended with signal SIGKILL before it was ready.*\| port"):
            await self.wait_for_grpc_ready(port, process=process, timeout=60)


@unittest.skipUnless(HAS_GRPC, WHY)
class TestNotReady(unittest.TestCase):
    def fails(self, prepare: Any, words: str, **options: Any) -> None:
        async def body(case: Any) -> None:
            await case.assert_grpc_ready(await prepare(case), **options)

        self.assertRegex(failure_of(body, ServiceAssertions), rf"the gRPC server is not ready: {words}")

    def test_nothing_listens(self) -> None:
        async def prepare(case: Any) -> int:
            return int(case.ports.reserve().number)

        self.fails(prepare, r"127.0.0.1:\d+ gave no answer: it cannot be reached, .*\(UNAVAILABLE: .*refused")

    def test_something_else_listens(self) -> None:
        async def prepare(case: Any) -> tuple[str, int]:
            listening = socket.create_server(("127.0.0.1", 0))
            case.addCleanup(listening.close)
            host, port = listening.getsockname()
            return host, port

        self.fails(prepare, "127.0.0.1:.* it does not answer: .*DEADLINE_EXCEEDED", timeout=1.0)

    def test_it_says_that_it_is_not(self) -> None:
        async def prepare(case: Any) -> int:
            return (await started("ill"))[1]

        self.fails(prepare, r"127.0.0.1:\d+ is NOT_SERVING")

    def test_it_is_suspended(self) -> None:
        async def prepare(case: Any) -> int:
            process, port = await started()
            await case.assert_grpc_ready(port)
            process.suspend()
            with socket.create_connection(("127.0.0.1", port)):
                return port

        self.fails(prepare, r"127.0.0.1:\d+ gave no answer: it does not answer: it hangs, is susp", timeout=2.0)

    def test_it_has_no_health_service(self) -> None:
        async def prepare(case: Any) -> int:
            return (await started("no-health"))[1]

        self.fails(prepare, r"127.0.0.1:\d+ gave no answer: it has no health service \(UNIMPLEMENTED")

    def test_it_does_not_know_the_service(self) -> None:
        async def prepare(case: Any) -> Any:
            return grpc_server({})

        self.fails(prepare, "'other' of 127.*: its health service does not know the service", service="other")


@unittest.skipUnless(HAS_GRPC, WHY)
class TestHealthOfOtherServers(IsolatedTestCase):
    async def test_it_can_be_added_to_any(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        from supertester.targets import GrpcHealth

        server = grpc.server(ThreadPoolExecutor(2))
        health = GrpcHealth.of(server, "echo.Echo")
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, 0)
        self.assertTrue((await probe_grpc_health(port, service="echo.Echo")).is_ready)
        health.not_serving("echo.Echo")
        found = await probe_grpc_health(port, service="echo.Echo")
        self.assertEqual((found.status, bool(found)), ("NOT_SERVING", False))
        self.assertTrue((await probe_grpc_health(port)).is_ready)
