"""A worker process: it becomes ready, answers, refuses, and says why it does not start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc
from worker_pool import ToolError, Worker, WorkerLost, WorkerStartError, wire

from supertester import IsolatedTestCase
from tests.support.contract import WorkerContract
from tests.support.pools import PoolCase

HOME = Path(__file__).parents[2]


class TestRealWorker(WorkerContract, IsolatedTestCase):
    """The contract that the mock keeps, kept by a process."""

    def start(self) -> Any:
        return Worker("w", 1, run_id=self.id())


class TestReadiness(PoolCase):
    def test_when_it_is_ready_its_server_listens_and_the_channel_is_connected(self) -> None:
        worker = self.ready_worker()
        self.assertEqual(worker.call(wire.request("ping", {}, None), 10.0)["pid"], worker.pid)
        with socket.create_connection(("127.0.0.1", worker.port)) as connection:
            self.assertNotEqual(connection.getsockname(), connection.getpeername())

    def test_it_is_the_process_that_the_system_shows(self) -> None:
        worker = self.ready_worker()
        self.assertIn(self.id(), psutil.Process(worker.pid).cmdline())

    def test_a_worker_that_dies_at_the_start_says_why(self) -> None:
        with self.assertRaisesRegex(WorkerStartError, r"ended with status 1; it said: no module named 'torch'"):
            self.worker("dies").await_ready(20.0)

    def test_a_worker_that_says_nothing_is_given_up_at_the_deadline(self) -> None:
        with self.assertRaisesRegex(WorkerStartError, r"was not ready within 0.3 s; it said: \(nothing\)"):
            self.worker("is mute").await_ready(0.3)

    def test_a_worker_whose_health_service_does_not_serve_is_not_ready(self) -> None:
        with self.assertRaisesRegex(WorkerStartError, "said that it was ready, and is not healthy"):
            self.worker("is not serving").await_ready(20.0)

    def test_a_worker_at_whose_address_somebody_else_listens_is_not_ready(self) -> None:
        port = self.ports.reserve()
        port.socket.listen()  # It accepts, and says nothing.
        found = ""
        for seconds in (1.0, 4.0, 16.0):  # On a busy machine it takes a while until the worker has begun at all.
            with self.assertRaises(WorkerStartError) as caught:
                self.worker(dial=lambda _: f"127.0.0.1:{port.number}").await_ready(seconds)
            found = str(caught.exception)
            if "was not ready within" not in found:
                break
        self.assertIn("said that it was ready, and is not healthy", found)

    def test_a_program_that_does_not_exist(self) -> None:
        """By then it has opened pipes and a file; one that it left open would fail this test, as it would any."""
        with self.assertRaisesRegex(WorkerStartError, "cannot be started: .*No such file"):
            self.worker(command=["/nowhere/python"])


class TestImports(PoolCase):
    """A worker is ready as soon as it has imported what it needs, so it imports no more."""

    SPARED = ("argparse", "asyncio.events", "google.protobuf", "grpc.aio._call", "subprocess", "worker_pool.pool")

    def imported(self, *program: str) -> set[str]:
        """Return the modules that a worker has imported which has answered a call and a stream."""
        worker = self.ready_worker(command=[sys.executable, "-X", "importtime", *program])
        worker.call(wire.request("ping", {}, None), 10.0)
        self.assertEqual(list(worker.stream(wire.request("counts", {"n": 2}, None), 10.0)), [0, 1])
        with suppress(ToolError):
            worker.call(wire.request("fly", {}, None), 10.0)
        lines = os.pread(worker._errors.fileno(), 1 << 20, 0).decode().splitlines()
        return {line.rpartition("|")[2].strip() for line in lines}

    def test_a_worker_imports_nothing_that_it_does_not_use(self) -> None:
        imported = self.imported("-m", "worker_pool")
        self.assertIn("grpc", imported)
        self.assertEqual(imported & set(self.SPARED), set())

    def test_one_that_imports_the_pool_is_found(self) -> None:
        program = "import sys, worker_pool.pool, worker_pool.server; worker_pool.server.serve(sys.argv[1:])"
        self.assertEqual(self.imported("-c", program) & set(self.SPARED), set(self.SPARED) - {"argparse"})

    def test_a_module_that_is_spared_is_there_when_it_is_used(self) -> None:
        program = """
from worker_pool.later import loaded_when_used
with loaded_when_used("colorsys"):
    import colorsys
print("ONE_SIXTH" in object.__getattribute__(colorsys, "__dict__"), colorsys.ONE_SIXTH)
"""
        done = subprocess.run([sys.executable, "-c", program], cwd=HOME, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, f"False {1 / 6}\n")


class TestHealth(PoolCase):
    async def test_a_frozen_worker_is_not_healthy_and_one_that_goes_on_is(self) -> None:
        worker = self.ready_worker()
        await self.frozen(worker)
        self.assertFalse(worker.is_healthy(0.2))
        worker.kill(18)
        self.assertTrue(worker.is_healthy(10.0))

    async def test_a_second_channel_to_a_frozen_worker_does_not_look_good_either(self) -> None:
        worker = self.ready_worker()
        await self.frozen(worker)
        with (
            grpc.insecure_channel(f"127.0.0.1:{worker.port}", options=wire.CLIENT_OPTIONS) as channel,
            self.assertRaises(grpc.RpcError) as caught,
        ):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=0.2)
        # Whether it has accepted the connection is up to the system; nobody answers on it.
        self.assertIn(caught.exception.code(), {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE})

    def test_a_service_that_it_does_not_know_has_no_health(self) -> None:
        worker = self.ready_worker()
        with (
            grpc.insecure_channel(f"127.0.0.1:{worker.port}", options=wire.CLIENT_OPTIONS) as channel,
            self.assertRaises(grpc.RpcError) as caught,
        ):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="other"), timeout=10.0)
        self.assertIs(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_a_worker_all_of_whose_threads_are_busy_is_healthy(self) -> None:
        worker = self.ready_worker(threads=1)
        stream = worker.stream(wire.request("counts", {"n": 2, "gap": 60}, None), 60.0)
        self.assertEqual(next(stream), 0)
        self.assertTrue(worker.is_healthy(10.0))
        stream.close()


class Counting(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Counts calls by their method."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.calls.append(details.method)
        return continuation(details, request)


class TestCommands(PoolCase):
    def test_interceptors_see_every_call(self) -> None:
        counting = Counting()
        worker = self.ready_worker(interceptors=[counting])
        for _ in range(3):
            worker.call(wire.request("ping", {}, None), 10.0)
        self.assertEqual(counting.calls.count(wire.EXECUTE), 3)

    def test_status_codes(self) -> None:
        """What the wire says, below the errors that the pool makes of it."""
        worker = self.ready_worker()
        with grpc.insecure_channel(f"127.0.0.1:{worker.port}", options=wire.CLIENT_OPTIONS) as channel:
            execute = channel.unary_unary(wire.EXECUTE)
            for tool, args, timeout, code in (
                ("fly", {}, 10.0, grpc.StatusCode.UNIMPLEMENTED),
                ("slow", {"seconds": "x"}, 10.0, grpc.StatusCode.INVALID_ARGUMENT),
                ("slow", {"seconds": 60}, 0.1, grpc.StatusCode.DEADLINE_EXCEEDED),
                ("initialize_session", {}, 10.0, grpc.StatusCode.INVALID_ARGUMENT),
            ):
                with self.subTest(tool=tool, code=code), self.assertRaises(grpc.RpcError) as caught:
                    execute(wire.request(tool, args, None), timeout=timeout)
                self.assertIs(caught.exception.code(), code)
            worker.kill()
            with self.assertRaises(grpc.RpcError) as caught:
                execute(wire.request("ping", {}, None), timeout=10.0)
            self.assertIs(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_a_tool_that_fails_does_not_harm_the_worker(self) -> None:
        worker = self.ready_worker()
        with self.assertRaisesRegex(ToolError, "INTERNAL: OverflowError"):
            worker.call(wire.request("slow", {"seconds": 1e300}, None), 10.0)
        self.assertEqual(worker.call(wire.request("ping", {}, None), 10.0)["pid"], worker.pid)

    def test_a_worker_killed_during_a_call(self) -> None:
        worker = self.ready_worker()
        stream = worker.stream(wire.request("counts", {"n": 5, "gap": 60}, None), 60.0)
        self.assertEqual(next(stream), 0)
        worker.kill()
        with self.assertRaises(WorkerLost):
            next(stream)
