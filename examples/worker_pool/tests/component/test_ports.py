"""Ports: nobody is given one that another has, and two servers never share one in silence."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from worker_pool import wire

from tests.support.pools import PoolCase

LEASES = """
import asyncio, sys
from supertester.isolation import isolate

async def main():
    async with isolate() as context:
        print(*[context.feature("ports").reserve().number for _ in range(25)], flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


class TestPorts(PoolCase):
    def test_workers_choose_their_own(self) -> None:
        """So none has to be found beforehand: the system gives each server a free one, and it tells which."""
        workers = [self.ready_worker() for _ in range(3)]
        self.assertEqual(len({worker.port for worker in workers}), 3)

    def test_the_port_of_a_worker_cannot_be_had_by_another_server(self) -> None:
        worker = self.ready_worker()
        self.assert_port_exclusive(worker.port)

    def test_a_server_that_shares_its_port_is_found(self) -> None:
        """What gRPC does unless it is told not to: a second server on the same port, and no error."""
        with ThreadPoolExecutor(1) as threads:
            server = grpc.server(threads, options=(("grpc.so_reuseport", 1),))
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                with self.assertRaises(AssertionError):
                    self.assert_port_exclusive(port)
            finally:
                server.stop(None).wait()

    def test_the_option_of_the_worker_is_what_prevents_it(self) -> None:
        self.assertIn(("grpc.so_reuseport", 0), wire.SERVER_OPTIONS)

    def test_ports_reserved_by_two_processes_are_all_different(self) -> None:
        processes = [
            subprocess.Popen([sys.executable, "-c", LEASES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        try:
            numbers = [int(number) for each in processes if each.stdout for number in each.stdout.readline().split()]
        finally:
            for process in processes:
                process.communicate()
        self.assertEqual((len(numbers), len(set(numbers))), (50, 50))
