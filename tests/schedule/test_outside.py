import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from supertester.schedule import Deadlock, VirtualLoop
from tests.alone import alone
from tests.schedule.support import DAY, HOUR, MOMENT, Gate, here, run

T = TypeVar("T")

SOON = MOMENT / 10
"""Virtual seconds that end before a `MOMENT` of real ones does."""
READ = "import sys; sys.exit(len(sys.stdin.read()))"


class TestJobs(unittest.TestCase):
    def test_hold_time_up_until_they_are_done(self) -> None:
        async def main() -> float:
            self.assertTrue(await asyncio.wait_for(asyncio.to_thread(Gate(here()).wait), SOON))
            stood = here().time()
            await asyncio.sleep(HOUR)
            self.assertEqual(here().time(), HOUR + stood)
            return stood

        self.assertEqual(run(main()), 0)

    def test_of_an_executor_of_ones_own(self) -> None:
        async def main() -> bool:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                job = here().run_in_executor(pool, Gate(here()).wait)
                return await asyncio.wait_for(job, SOON)

        self.assertTrue(run(main()))

    def test_that_fail_hold_it_up_no_longer(self) -> None:
        async def main() -> None:
            def fail() -> None:
                raise OSError("planted")

            with self.assertRaises(OSError):
                await asyncio.to_thread(fail)
            await asyncio.sleep(HOUR)
            await here().create_future()

        with self.assertRaises(Deadlock):
            run(main())

    def test_are_waited_for_without_any_timer(self) -> None:
        async def main() -> bool:
            return await asyncio.to_thread(Gate(here()).wait)

        self.assertTrue(run(main()))

    def test_names_what_holds_time_up(self) -> None:
        async def main() -> tuple[str, str]:
            described: list[str] = []
            here().wall.call_later(MOMENT / 2, lambda: described.append(here_loop.describe_time()))
            here_loop = here()
            await asyncio.to_thread(Gate(here()).wait)
            return described[0], here().describe_time()

        held, free = run(main())
        self.assertEqual(held, "its clock stands at 0 s, held up by jobs of executors")
        self.assertEqual(free, "its clock stands at 0 s")


class TestChildProcesses(unittest.TestCase):
    def check(self, wait: Callable[[asyncio.subprocess.Process], Any], **options: Any) -> None:
        async def main() -> Any:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-S", "-c", READ, stdin=subprocess.PIPE, **options
            )
            assert child.stdin is not None
            stdin = child.stdin
            Gate(here(), stdin.close)  # It cannot end before.
            result = await asyncio.wait_for(wait(child), SOON)
            self.assertEqual(child.returncode, 0)
            await asyncio.sleep(DAY)
            return result, here().time()

        _, time = run(main())
        self.assertEqual(time, DAY)

    def test_hold_time_up_for_who_waits_for_their_end(self) -> None:
        self.check(lambda child: child.wait())

    def test_hold_time_up_for_who_waits_for_what_they_write(self) -> None:
        async def communicate(child: asyncio.subprocess.Process) -> Any:
            assert child.stdout is not None
            child.stdin = None  # It is closed by another.
            return await child.communicate()

        self.check(communicate, stdout=subprocess.PIPE)


class TestSockets(unittest.TestCase):
    def test_with_both_ends_in_the_loop_do_not_hold_time_up(self) -> None:
        async def main() -> float:
            async with connected(echo) as (reader, writer):
                for _ in range(10):
                    writer.write(b"hello\n")
                    self.assertEqual(await asyncio.wait_for(reader.readline(), 2 * HOUR), b"hello\n")
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(reader.readline(), DAY)
                return here().time()

        self.assertEqual(run(main()), 10 * HOUR + DAY)

    def test_lose_nothing_that_is_larger_than_a_buffer(self) -> None:
        size = 5_000_000

        async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(size))
            await writer.drain()
            writer.close()

        async def main() -> int:
            async with connected(send) as (reader, _):
                return len(await asyncio.wait_for(reader.read(-1), SOON))

        self.assertEqual(run(main()), size)

    def test_that_nobody_reads_from_hold_nothing_up(self) -> None:
        deaf: list[asyncio.StreamWriter] = []

        async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            deaf.append(writer)

        async def main() -> float:
            async with connected(ignore) as (_, writer):
                writer.write(bytes(20_000_000))
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(writer.drain(), DAY)
                writer.transport.abort()
                deaf[0].transport.abort()
                return here().time()

        self.assertEqual(run(main()), DAY)

    def test_of_the_file_system_do_not_either(self) -> None:
        async def main(path: str) -> float:
            async with connected_by(path) as (reader, writer):
                writer.write(b"hello\n")
                self.assertEqual(await reader.readline(), b"hello\n")
            return here().time()

        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run(main(f"{folder}/socket")), HOUR)

    def test_that_the_loop_is_given_do_not_either(self) -> None:
        async def main() -> float:
            with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
                listening.setblocking(False)
                client.setblocking(False)

                async def serve() -> None:
                    accepted, _ = await here().sock_accept(listening)
                    with accepted:
                        await asyncio.sleep(HOUR)
                        await here().sock_sendall(accepted, b"hello")

                serving = asyncio.create_task(serve())
                await here().sock_connect(client, listening.getsockname())
                self.assertEqual(await here().sock_recv(client, 100), b"hello")
                await serving
                return here().time()

        self.assertEqual(run(main()), HOUR)

    def test_in_a_pair_do_not_either(self) -> None:
        async def main() -> float:
            one, other = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=one)
            with other:
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(reader.readline(), HOUR)
                writer.close()
                await writer.wait_closed()
            return here().time()

        self.assertEqual(run(main()), HOUR)

    async def hear_from_elsewhere(self, listening: socket.socket, connecting: Any) -> bytes:
        reader, writer = await connecting
        accepted, _ = listening.accept()
        with accepted:
            self.assertIn(f"a socket connected to {listening.getsockname()!r}", here().describe_time())
            Gate(here(), lambda: accepted.sendall(b"hello\n"))
            answer: bytes = await asyncio.wait_for(reader.readline(), SOON)
            writer.close()
            await writer.wait_closed()
            return answer

    def test_with_the_other_end_elsewhere_hold_time_up(self) -> None:
        async def main() -> bytes:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                return await self.hear_from_elsewhere(listening, asyncio.open_connection(*listening.getsockname()))

        self.assertEqual(run(main()), b"hello\n")

    def test_of_the_file_system_with_the_other_end_elsewhere_hold_time_up(self) -> None:
        async def main(path: str) -> bytes:
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path)
                listening.listen()
                return await self.hear_from_elsewhere(listening, asyncio.open_unix_connection(path))

        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run(main(f"{folder}/socket")), b"hello\n")

    def test_of_the_file_system_whose_end_comes_late_hold_time_up(self) -> None:
        """A process that is just being started holds a copy of every socket, until it runs its program."""

        async def main(path: str) -> float:
            async with connected_by(path) as (reader, writer):
                writer.write(b"hello\n")
                self.assertEqual(await reader.readline(), b"hello\n")
                copy = os.dup(writer.get_extra_info("socket").fileno())
                writer.close()
                await writer.wait_closed()
                Gate(here(), lambda: os.close(copy))
            return here().time()

        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run(main(f"{folder}/socket")), HOUR)

    def test_that_listen_do_not_keep_a_deadlock_from_being_found(self) -> None:
        async def main() -> None:
            async with await asyncio.start_server(echo, "127.0.0.1", 0):
                await here().create_future()

        with self.assertRaises(Deadlock):
            run(main())

    def test_of_datagrams_do_not_hold_time_up_if_the_peer_is_here(self) -> None:
        async def main() -> float:
            server, _ = await here().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
            address = server.get_extra_info("sockname")
            client, asking = await here().create_datagram_endpoint(Asking, remote_addr=address)
            client.sendto(b"hello")
            self.assertEqual(await asking.answer, b"hello")
            client.close()
            server.close()
            return here().time()

        self.assertEqual(run(main()), HOUR)

    def test_of_datagrams_hold_time_up_if_the_peer_is_elsewhere(self) -> None:
        async def main() -> bytes:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind(("127.0.0.1", 0))
                client, asking = await here().create_datagram_endpoint(Asking, remote_addr=server.getsockname())
                client.sendto(b"hello")

                def answer() -> None:
                    data, address = server.recvfrom(100)
                    server.sendto(data, address)

                Gate(here(), answer)
                found = await asyncio.wait_for(asking.answer, SOON)
                client.close()
                return found

        self.assertEqual(run(main()), b"hello")


class TestOtherDescriptors(unittest.TestCase):
    def test_hold_time_up(self) -> None:
        async def main() -> bytes:
            reading, writing = os.pipe()
            arrived = here().create_future()
            here().add_reader(reading, lambda: arrived.done() or arrived.set_result(os.read(reading, 10)))
            self.assertIn(f"descriptor {reading}, a pipe", here().describe_time())
            Gate(here(), lambda: os.write(writing, b"hello"))
            try:
                return bytes(await asyncio.wait_for(arrived, SOON))
            finally:
                here().remove_reader(reading)
                os.close(reading)
                os.close(writing)

        self.assertEqual(run(main()), b"hello")

    def test_pipes_with_both_ends_in_the_loop_do_not(self) -> None:
        async def main() -> float:
            reading, writing = os.pipe()
            with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as sink:
                reader = asyncio.StreamReader()
                output, _ = await here().connect_write_pipe(asyncio.Protocol, sink)
                input_, _ = await here().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(reader.readline(), HOUR)
                output.write(b"hello\n")
                self.assertEqual(await reader.readline(), b"hello\n")
                output.close()
                self.assertEqual(await reader.read(), b"")
                input_.close()
                await asyncio.sleep(0)
            return here().time()

        self.assertEqual(run(main()), HOUR)


class TestThreads(unittest.TestCase):
    def test_can_call_at_any_time(self) -> None:
        async def main() -> str:
            loop, answer = here(), here().create_future()
            gate = Gate(loop)
            thread = threading.Thread(
                target=lambda: gate.wait() and loop.call_soon_threadsafe(answer.set_result, "called")
            )
            loop.outside.sources.append(lambda: ["thread"] if thread.is_alive() else [])
            thread.start()
            called = await asyncio.wait_for(answer, SOON)
            thread.join()
            return str(called)

        self.assertEqual(run(main()), "called")

    def test_that_end_without_a_word_hold_time_up_no_longer(self) -> None:
        async def main() -> float:
            thread = threading.Thread(target=Gate(here()).wait)
            here().outside.sources.append(lambda: ["thread"] if thread.is_alive() else [])
            thread.start()
            await asyncio.sleep(DAY)
            thread.join()
            return here().time()

        self.assertEqual(run(main()), DAY)


def run_impatiently(main: Coroutine[Any, Any, T]) -> T:
    async def impatient() -> T:
        here().patience = here().long_patience = 0.01
        return await main

    return run(impatient())


class TestPatience(unittest.TestCase):
    def test_is_short_for_jobs_that_wait_for_the_loop_themselves(self) -> None:
        async def main() -> float:
            loop = here()

            async def slow() -> float:
                await asyncio.sleep(SOON)
                return loop.time()

            return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(slow(), loop).result(60))

        self.assertGreaterEqual(run_impatiently(main()), SOON)

    def test_has_an_end_for_child_processes_that_nobody_waits_for(self) -> None:
        async def main() -> None:
            child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", READ, stdin=subprocess.PIPE)
            self.assertTrue(here().outside.is_possible())
            self.assertFalse(here().outside.is_expected())
            self.assertIn(f"child process {child.pid}", here().describe_time())
            await asyncio.sleep(SOON)
            assert child.stdin is not None
            child.stdin.close()
            await child.wait()

        run_impatiently(main())

    def test_has_an_end_for_descriptors(self) -> None:
        async def main() -> float:
            reading, writing = os.pipe()
            here().add_reader(reading, lambda: None)
            try:
                await asyncio.sleep(SOON)
            finally:
                here().remove_reader(reading)
                os.close(reading)
                os.close(writing)
            return here().time()

        self.assertGreaterEqual(run_impatiently(main()), SOON)

    def test_has_an_end_for_jobs_as_well(self) -> None:
        async def main() -> float:
            stop = threading.Event()
            job = here().run_in_executor(None, stop.wait)
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(job), SOON)
            stop.set()
            await job
            return here().time()

        self.assertGreaterEqual(run_impatiently(main()), SOON)

    @alone("has three moments for what takes one")
    def test_begins_anew_when_something_happens(self) -> None:
        async def main() -> VirtualLoop:
            one, other = socket.socketpair()
            reading, writing = os.pipe()
            here().add_reader(reading, lambda: None)  # What holds time up, and never comes.
            reader, writer = await asyncio.open_connection(sock=one)
            with other:
                for number in range(4):
                    Gate(here(), lambda: other.sendall(b"hello\n"))
                    here().patience = 3 * MOMENT
                    self.assertEqual(await asyncio.wait_for(reader.readline(), SOON), b"hello\n", number)
                writer.close()
                await writer.wait_closed()
            here().remove_reader(reading)
            os.close(reading)
            os.close(writing)
            return here()

        run(main())


# What serves and asks -------------------------------------------------------------------------------------------------


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        await asyncio.sleep(HOUR)
        writer.write(line)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def connected(serve: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def connected_by(path: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await echo(reader, writer)
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_unix_server(serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()
        await ended.wait()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asyncio.get_running_loop().call_later(HOUR, self.transport.sendto, data, addr)


class Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answer.set_result(data)
