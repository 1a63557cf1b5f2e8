"""What cannot be explored says so where it is called."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from typing import Any

from supertester._core.exploring import served_by_nobody
from supertester.errors import UsageError
from supertester.schedule.entropy import controlled_entropy
from tests.schedule.exploring import explored


async def nobody(*_):
    """Serve nobody."""


def calls(loop):
    """Return calls that must be refused, by the name that the error has to give them."""
    sock = object()
    return {
        "loop.add_reader()": lambda: loop.add_reader(0, print),
        "loop.remove_reader()": lambda: loop.remove_reader(0),
        "loop.add_writer()": lambda: loop.add_writer(0, print),
        "loop.remove_writer()": lambda: loop.remove_writer(0),
        "loop.add_signal_handler()": lambda: loop.add_signal_handler(signal.SIGTERM, print),
        "loop.remove_signal_handler()": lambda: loop.remove_signal_handler(signal.SIGTERM),
        "loop.sock_recv()": lambda: loop.sock_recv(sock, 1),
        "loop.sock_recv_into()": lambda: loop.sock_recv_into(sock, bytearray(1)),
        "loop.sock_recvfrom()": lambda: loop.sock_recvfrom(sock, 1),
        "loop.sock_recvfrom_into()": lambda: loop.sock_recvfrom_into(sock, bytearray(1)),
        "loop.sock_sendall()": lambda: loop.sock_sendall(sock, b""),
        "loop.sock_sendto()": lambda: loop.sock_sendto(sock, b"", ("localhost", 80)),
        "loop.sock_connect()": lambda: loop.sock_connect(sock, ("localhost", 80)),
        "loop.sock_accept()": lambda: loop.sock_accept(sock),
        "loop.sock_sendfile()": lambda: loop.sock_sendfile(sock, sock),
        "loop.sendfile()": lambda: loop.sendfile(sock, sock),
        "loop.start_tls()": lambda: loop.start_tls(sock, sock, sock),
        "loop.getaddrinfo()": lambda: loop.getaddrinfo("localhost", 80),
        "loop.getnameinfo()": lambda: loop.getnameinfo(("localhost", 80)),
        "loop.connect_accepted_socket()": lambda: loop.connect_accepted_socket(print, sock),
        "loop.create_datagram_endpoint()": lambda: loop.create_datagram_endpoint(print),
        "loop.connect_read_pipe()": lambda: loop.connect_read_pipe(print, sock),
        "loop.connect_write_pipe()": lambda: loop.connect_write_pipe(print, sock),
        "loop.subprocess_exec()": lambda: asyncio.create_subprocess_exec("true"),
        "loop.subprocess_shell()": lambda: asyncio.create_subprocess_shell("true"),
        "loop.create_connection(ssl=...)": lambda: asyncio.open_connection("localhost", 80, ssl=True),
        "loop.create_connection(sock=...)": lambda: asyncio.open_connection(sock=sock),
        "loop.create_server(ssl=...)": lambda: asyncio.start_server(nobody, "localhost", 80, ssl=sock),
        "loop.create_server(sock=...)": lambda: asyncio.start_server(nobody, sock=sock),
        "loop.create_unix_connection(sock=...)": lambda: asyncio.open_unix_connection(sock=sock),
        "loop.create_unix_server(sock=...)": lambda: asyncio.start_unix_server(nobody, sock=sock),
    }


def direct_calls():
    """Return calls past the loop that must be refused, by the name that the error has to give them."""
    return {
        "threading.Thread.start()": lambda: threading.Thread(target=print).start(),
        "threading.Condition.wait()": lambda: threading.Event().wait(),
        "signal.signal()": lambda: signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM)),
        "os.system()": lambda: os.system("true"),
        "os.posix_spawn()": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "os.fork()": lambda: os.fork() or os._exit(0),
        "subprocess.Popen()": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "multiprocessing.Process.start()": lambda: multiprocessing.Process(target=print).start(),
        "socket.getaddrinfo()": lambda: socket.getaddrinfo("localhost", 80),
        "socket.connect()": connect,
    }


def connect():
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 80))


class TestEscapes(unittest.TestCase):
    def check(self, error: UsageError, name: str) -> None:
        self.assertTrue(str(error).startswith(f"{name} cannot be explored ({__file__}:"), error)
        self.assertRegex(str(error), r"\): .{30}")

    def test_of_the_loop_are_refused_where_they_are_called(self) -> None:
        async def main():
            for name, call in calls(asyncio.get_running_loop()).items():
                with self.subTest(name), self.assertRaises(UsageError) as caught:
                    await call()
                self.check(caught.exception, name)

        explored(main())

    def test_past_the_loop_are_refused_in_steps_and_jobs(self) -> None:
        async def main():
            for name, call in direct_calls().items():
                with self.subTest(name), self.assertRaises(UsageError) as caught:
                    call()
                self.check(caught.exception, name)
                with self.subTest(name), self.assertRaises(UsageError) as caught:
                    await asyncio.to_thread(call)
                self.check(caught.exception, name)

        with controlled_entropy():
            explored(main())

    def test_waits_that_end_by_themselves_are_none(self) -> None:
        async def main():
            return threading.Event().wait(0), threading.Semaphore(0).acquire(timeout=0)

        with controlled_entropy():
            self.assertEqual(explored(main()), (False, False))

    def test_waits_that_nobody_can_end_are_refused_although_they_have_a_timeout(self) -> None:
        waits: dict[str, Any] = {
            "event": lambda: threading.Event().wait(0.01),
            "queue": lambda: queue.Queue[Any]().get(timeout=0.01),
            "semaphore": lambda: threading.Semaphore(0).acquire(timeout=0.01),
            "barrier": lambda: threading.Barrier(2).wait(0.01),
        }

        async def main():
            for name, call in waits.items():
                with self.subTest(name), self.assertRaises(UsageError) as caught:
                    call()
                self.assertIn("threading.Condition.wait() cannot be explored (", str(caught.exception))
                self.assertIn("nobody can end the wait", str(caught.exception))

        with controlled_entropy():
            explored(main())

    def test_what_belongs_to_nobodys_schedule_is_free(self) -> None:
        ran = threading.Event()

        async def main():
            with served_by_nobody():
                thread = threading.Thread(target=ran.set)
                thread.start()
                thread.join()
                now = time.time()
            return now, time.time()

        with controlled_entropy():
            real, virtual = explored(main())
        self.assertTrue(ran.is_set())
        self.assertGreater(real, virtual)

    def test_past_the_loop_others_are_free(self) -> None:
        ran = threading.Event()
        with controlled_entropy():
            thread = threading.Thread(target=ran.set)
            thread.start()
            thread.join()
            self.assertTrue(socket.getaddrinfo("127.0.0.1", 80))
        self.assertTrue(ran.is_set())
