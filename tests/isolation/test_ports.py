import asyncio
import errno
import importlib.util
import ipaddress
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase, tag
from supertester.errors import Unsupported, UsageError
from supertester.isolation.port_registry import PortRegistry
from supertester.isolation.ports import Ports, ReservedPort, _bound
from supertester.testing import failure_of, inner_case, run_inner
from tests.alone import alone
from tests.project.support import ROOT

NEEDS_FILELOCK = unittest.skipUnless(importlib.util.find_spec("filelock"), "filelock is not installed")


def bind_error(port: ReservedPort, *, reuse: bool) -> int | None:
    """Bind the number of *port*, and return the number of the error, if any."""
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if port.kind == "tcp" else socket.SOCK_DGRAM) as sock:
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(port.address)
        except OSError as error:
            return error.errno
    return None


def refusing(number: int, message: str) -> Any:
    """Return a class that the operating system makes no object of."""
    return mock.Mock(side_effect=OSError(number, message))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(port: ReservedPort) -> bytes:
    reader, writer = await asyncio.open_connection(*port.address)
    writer.write(b"hello\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


class Small(unittest.TestCase):
    """A registry in a folder of its own, and ports that use it."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "ports"
        self.registry = PortRegistry(self.folder)
        self.ports = Ports(self.registry)
        self.addCleanup(self.ports.close)


class TestHeld(Small):
    def test_nobody_else_can_have_it(self) -> None:
        for host in ("127.0.0.1", "::1", "0.0.0.0", "localhost"):
            for kind in ("tcp", "udp"):
                with self.subTest(host=host, kind=kind):
                    port = self.ports.reserve(host, kind=kind)
                    self.assertEqual(port.host, "127.0.0.1" if host == "localhost" else host)
                    self.assertEqual((port.kind, port.address), (kind, (port.host, port.number)))
                    self.assertEqual(bind_error(port, reuse=True), errno.EADDRINUSE)
                    self.assertEqual(bind_error(port, reuse=False), errno.EADDRINUSE)

    def test_each_is_another(self) -> None:
        reserved = [self.ports.reserve().number for _ in range(200)]
        self.assertEqual(len(set(reserved)), 200)

    @alone("until it runs its program, a process that another test starts holds a copy of every socket")
    def test_a_server_takes_the_socket_and_can_be_started_again(self) -> None:
        async def main() -> list[bytes]:
            port, answers = self.ports.reserve(), []
            server = await asyncio.start_server(echo, sock=port.socket)
            async with server:
                answers.append(await ask(port))
            async with await asyncio.start_server(echo, *port.address):
                answers.append(await ask(port))
            return answers

        self.assertEqual(asyncio.run(main()), [b"hello\n"] * 2)

    def test_a_datagram_endpoint_takes_the_socket(self) -> None:
        port = self.ports.reserve(kind="udp")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", port.address)
        self.assertEqual(port.socket.recv(10), b"hello")

    @unittest.skipIf(os.name == "nt", "descriptors are not passed this way on Windows")
    def test_a_child_takes_the_descriptor(self) -> None:
        code = (
            "import socket, sys\n"
            "server = socket.socket(fileno=int(sys.argv[1]))\n"
            "server.listen()\n"
            "print('listening', flush=True)\n"
            "server.accept()[0].sendall(b'from the child')\n"
        )
        port = self.ports.reserve()
        number = port.fileno()
        with subprocess.Popen(
            [sys.executable, "-c", code, str(number)], pass_fds=[number], stdout=subprocess.PIPE
        ) as child:
            port.close()
            assert child.stdout is not None
            self.assertEqual(child.stdout.readline(), b"listening\n")
            with socket.create_connection(port.address) as client:
                self.assertEqual(client.recv(100), b"from the child")

    def test_a_closed_one_has_no_socket(self) -> None:
        with self.ports.reserve() as port:
            self.assertIn("(held)", repr(port))
        self.assertIn(f"tcp 127.0.0.1 {port.number} (closed)", repr(port))
        with self.assertRaisesRegex(UsageError, f"socket of port {port.number} has been given up; reserve another"):
            _ = port.socket

    def test_needs_no_filelock(self) -> None:
        self.registry._package = "filelock_that_is_not_installed"
        port = self.ports.reserve()
        self.assertIsInstance(port.socket, socket.socket)
        with self.assertRaisesRegex(UsageError, r"giving a port's number away needs .*'supertester\[ports\]'"):
            port.release_to()
        self.assertIn("(held)", repr(port))
        self.ports.close()

    def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "kind must be one of tcp, udp, got kind='sctp'"):
            self.ports.reserve(kind="sctp")
        with self.assertRaisesRegex(UsageError, "'127.0.0.1' or '::1', got host='example.org'"):
            self.ports.reserve("example.org")
        with self.assertRaisesRegex(TypeError, "host must be a string such as '127.0.0.1', got host=8080; the system"):
            self.ports.reserve(8080)  # type: ignore[arg-type]
        with self.assertRaisesRegex(Unsupported, "this machine has no address '192.0.2.1'"):
            self.ports.reserve("192.0.2.1")
        self.ports._most = 1
        self.ports.reserve()
        with self.assertRaisesRegex(UsageError, "this test has reserved 1 ports"):
            self.ports.reserve()

    def test_none_is_reserved_after_the_end(self) -> None:
        self.ports.close()
        with self.assertRaisesRegex(UsageError, "the test has ended, and nothing would release a port"):
            self.ports.reserve()

    def test_what_the_operating_system_refuses_is_said(self) -> None:
        address = ipaddress.ip_address("::1")
        with self.assertRaisesRegex(Unsupported, "this machine has no address '::1': not supported"):
            _bound(address, "tcp", refusing(errno.EAFNOSUPPORT, "not supported"))
        with self.assertRaisesRegex(OSError, "too many"):
            _bound(address, "tcp", refusing(errno.EMFILE, "too many"))


@NEEDS_FILELOCK
class TestGivenAway(Small):
    def test_a_server_that_reuses_addresses_can_bind_it_and_nobody_else(self) -> None:
        for host in ("127.0.0.1", "::1", "0.0.0.0"):
            with self.subTest(host=host):
                port = self.ports.reserve(host)
                self.assertEqual(port.release_to(), port.number)
                self.assertIn("(given away)", repr(port))
                # The operating system chooses no number that could not be bound like this.
                self.assertEqual(bind_error(port, reuse=False), errno.EADDRINUSE)
                self.assertIsNone(bind_error(port, reuse=True))
                self.assertEqual(port.release_to(), port.number)

    def test_although_a_child_was_forked_with_the_socket(self) -> None:
        for host in ("127.0.0.1", "::1"):
            with self.subTest(host=host):
                port = self.ports.reserve(host)
                with port._held.dup():  # As in the child: it is closed only with all its duplicates.
                    port.release_to()
                    self.assertEqual(bind_error(port, reuse=False), errno.EADDRINUSE)
                    self.assertIsNone(bind_error(port, reuse=True))

    @alone("until it runs its program, a process that another test starts holds a copy of every socket")
    def test_for_a_server_that_does_not_reuse_addresses(self) -> None:
        port = self.ports.reserve()
        port.release_to(time_wait=False)
        self.assertIsNone(bind_error(port, reuse=False))

    @alone("until it runs its program, a process that another test starts holds a copy of every socket")
    def test_of_a_socket_that_has_become_a_server(self) -> None:
        async def main() -> int:
            port = self.ports.reserve()
            async with await asyncio.start_server(echo, sock=port.socket):
                pass
            return port.release_to()  # Its server has closed it.

        self.assertGreater(asyncio.run(main()), 0)
        port = self.ports.reserve()
        port.socket.listen()
        self.assertEqual(port.release_to(), port.number)
        self.assertIsNone(bind_error(port, reuse=False))  # It was simply closed.

    def test_a_child_takes_the_number(self) -> None:
        code = (
            "import socket, sys\n"
            "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
            "print('listening', flush=True)\n"
            "server.accept()[0].sendall(b'from the child')\n"
        )
        port = self.ports.reserve()
        arguments = [sys.executable, "-c", code, str(port.release_to())]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            self.assertEqual(child.stdout.readline(), b"listening\n")
            with socket.create_connection(port.address) as client:
                self.assertEqual(client.recv(100), b"from the child")

    def test_it_is_promised_until_the_end(self) -> None:
        port = self.ports.reserve(kind="udp")
        self.assertFalse(self.registry.holds("udp", port.number))
        port.release_to()
        self.assertTrue(self.registry.holds("udp", port.number))
        self.assertFalse(self.registry.holds("tcp", port.number))
        self.ports.close()
        self.assertEqual(self.registry.rows(), [])

    def test_a_number_that_was_promised_to_another_is_not_reserved(self) -> None:
        """The operating system gives the number again, as nothing holds it."""
        again = socket.socket()
        again.bind(("127.0.0.1", 0))
        promised = again.getsockname()[1]
        self.registry.add("tcp", promised)
        given = [again]
        bound = self.ports._bound
        self.ports._bound = lambda *args: given.pop() if given else bound(*args)  # type: ignore[method-assign]
        port = self.ports.reserve()
        self.assertNotEqual(port.number, promised)
        self.assertEqual((given, again.fileno()), ([], -1))
        port.close()

    def test_when_all_are_promised_to_others_it_says_so(self) -> None:
        self.registry.holds = lambda *_: True  # type: ignore[method-assign]
        self.ports._attempts = 3
        with self.assertRaisesRegex(OSError, "3 ports in a row were promised to others"):
            self.ports.reserve()


@NEEDS_FILELOCK
class TestRegistry(Small):
    def rows(self, *rows: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "ports.json").write_text(json.dumps(rows), encoding="utf-8")

    def test_entries_of_processes_that_are_gone_are_dropped(self) -> None:
        code = (
            "import pathlib, sys\n"
            "from supertester.isolation.port_registry import PortRegistry\n"
            "PortRegistry(pathlib.Path(sys.argv[1])).add('tcp', 7)\n"
            "print('added', flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(self.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        ) as child:
            assert child.stdout is not None
            self.assertEqual(child.stdout.readline(), b"added\n")
            self.registry.add("tcp", 8)
            self.assertEqual([row["number"] for row in self.registry.rows()], [7, 8])
            child.kill()
        self.registry.add("tcp", 9)
        self.assertEqual([row["number"] for row in self.registry.rows()], [8, 9])

    @tag(layer="system")
    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_other_threads_may_fork_meanwhile(self) -> None:
        code = (
            "import os, pathlib, sys, threading\n"
            "from supertester.isolation.port_registry import PortRegistry\n"
            "registry, done = PortRegistry(pathlib.Path(sys.argv[1])), threading.Event()\n"
            "def register():\n"
            "    while not done.is_set():\n"
            "        with registry._locked():\n"
            "            pass\n"
            "registry.add('tcp', 8)\n"
            "def fork():\n"
            "    for _ in range(30):\n"
            "        child = os.fork()\n"
            "        if not child:\n"
            "            os._exit(0)\n"
            "        os.waitpid(child, 0)\n"
            "registering = threading.Thread(target=register)\n"
            "forking = [threading.Thread(target=fork) for _ in range(2)]\n"
            "for thread in (registering, *forking):\n"
            "    thread.start()\n"
            "for thread in forking:\n"
            "    thread.join()\n"
            "done.set()\n"
            "registering.join()\n"
        )
        command = [sys.executable, "-W", "ignore", "-c", code, str(self.folder)]
        done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_others_may_fork_meanwhile_in_ways_of_their_own(self) -> None:
        code = (
            "import os, pathlib, subprocess, sys, threading\n"
            "from supertester.isolation.port_registry import PortRegistry\n"
            "first, is_forking, is_about_to = [1], threading.Event(), threading.Event()\n"
            "def meanwhile():\n"
            "    while first:\n"
            "        first.pop()\n"
            "        is_forking.set()\n"
            "        is_about_to.wait()\n"
            "os.register_at_fork(before=meanwhile)\n"  # Such hooks run in reverse order.
            "PortRegistry(pathlib.Path(sys.argv[1])).add('tcp', 8)\n"
            "thread = threading.Thread(target=subprocess.run, args=[['true']], kwargs={'preexec_fn': int})\n"
            "thread.start()\n"
            "is_forking.wait()\n"
            "is_about_to.set()\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "thread.join()\n"
        )
        command = [sys.executable, "-W", "ignore", "-c", code, str(self.folder)]
        done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_others_may_have_begun_to_fork_before(self) -> None:
        for before, meanwhile in (
            ("pass", "port_registry._hook_forks()"),
            (
                "port_registry.import_before_threads()",
                "port_registry.PortRegistry(pathlib.Path(sys.argv[1])).add('tcp', 8)",
            ),
        ):
            with self.subTest(meanwhile=meanwhile):
                code = (
                    "import os, pathlib, subprocess, sys, threading\n"
                    "from supertester.isolation import port_registry\n"
                    f"{before}\n"
                    "is_forking, is_done = threading.Event(), threading.Event()\n"
                    "def pause():\n"
                    "    is_forking.set()\n"
                    "    is_done.wait()\n"
                    "os.register_at_fork(before=pause)\n"
                    "thread = threading.Thread(target=subprocess.run, args=[['true']], kwargs={'preexec_fn': int})\n"
                    "thread.start()\n"
                    "is_forking.wait()\n"
                    f"{meanwhile}\n"
                    "is_done.set()\n"
                    "thread.join()\n"
                )
                command = [sys.executable, "-W", "ignore", "-c", code, str(self.folder)]
                done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_later_process_with_the_same_number_is_another(self) -> None:
        self.rows({"kind": "tcp", "number": 7, "pid": os.getpid(), "started": 12.5, "token": "x"})
        self.registry.add("tcp", 8)
        self.assertEqual([row["number"] for row in self.registry.rows()], [8])

    def test_a_process_that_may_not_be_looked_at_is_there(self) -> None:
        import psutil

        guarded, process = -7, psutil.Process

        def look_at(pid: int) -> Any:
            if pid == guarded:
                raise psutil.AccessDenied(pid)
            return process(pid)

        self.rows({"kind": "tcp", "number": 7, "pid": guarded, "started": 12.5, "token": "x"})
        with mock.patch("psutil.Process", look_at):
            self.registry.remove({"another"})
        self.assertEqual([row["number"] for row in self.registry.rows()], [7])

    def test_nonsense_in_the_file_is_dropped(self) -> None:
        for content in ("{", "{}", "[1, {}]", '[{"pid": [], "started": 1.5}]', '[{"pid": -7, "started": 1.5}]'):
            with self.subTest(content=content):
                self.folder.mkdir(exist_ok=True)
                (self.folder / "ports.json").write_text(content, encoding="utf-8")
                self.assertFalse(self.registry.holds("tcp", 1))
                token = self.registry.add("tcp", 8)
                self.assertEqual([row["number"] for row in self.registry.rows()], [8])
                self.registry.remove({token})

    def test_a_lock_that_is_never_let_go_is_reported(self) -> None:
        import filelock

        self.folder.mkdir()
        self.registry._patience = 0
        with (
            filelock.FileLock(self.folder / "ports.lock"),
            self.assertRaisesRegex(TimeoutError, "another process has held .*ports.lock for 0 s"),
        ):
            self.registry.add("tcp", 8)

    @unittest.skipUnless(hasattr(os, "getuid"), "there are no user numbers here")
    def test_a_folder_of_another_user_is_refused(self) -> None:
        self.registry._user = os.getuid() + 1
        with self.assertRaisesRegex(PermissionError, "belongs to another user"):
            self.registry.add("tcp", 8)

    @tag(layer="system")
    def test_processes_that_reserve_many_at_once_never_get_the_same(self) -> None:
        code = (
            "import json, pathlib, sys\n"
            "from supertester.isolation.port_registry import PortRegistry\n"
            "from supertester.isolation.ports import Ports\n"
            "ports = Ports(PortRegistry(pathlib.Path(sys.argv[1])))\n"
            "print('ready', flush=True)\n"
            "sys.stdin.readline()\n"
            "found = []\n"
            "for kind in ('tcp', 'udp') * 15:\n"
            "    found.append((kind, ports.reserve(kind=kind).number))\n"
            "    found.append((kind, ports.reserve(kind=kind).release_to(time_wait=False)))\n"
            "print(json.dumps(found), flush=True)\n"
            "sys.stdin.readline()\n"
            "ports.close()\n"
        )
        children = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", code, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for _ in range(4)
        ]
        for child in children:
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)

        def tell(child: Any) -> None:
            child.stdin.write("\n")
            child.stdin.flush()

        def hear(child: Any) -> str:
            line: str = child.stdout.readline()
            return line

        self.assertEqual([hear(child) for child in children], ["ready\n"] * 4)
        for child in children:
            tell(child)
        found = [tuple(each) for child in children for each in json.loads(hear(child))]
        self.assertEqual(len(found), 240)
        self.assertEqual(len(set(found)), 240)
        for child in children:
            tell(child)
            child.communicate()
            self.assertEqual(child.returncode, 0)
        self.assertEqual(self.registry.rows(), [])


class TestOfATest(IsolatedTestCase):
    async def test_it_has_ports(self) -> None:
        port = self.ports.reserve()
        async with await asyncio.start_server(echo, sock=port.socket):
            self.assertEqual(await ask(port), b"hello\n")

    @NEEDS_FILELOCK
    async def test_what_the_registry_logs_is_not_what_the_test_logs(self) -> None:
        text = self.logs.capture_isolated_text("DEBUG", lambda: self.ports.reserve().release_to())
        self.assertEqual(text, "")

    @alone("until it runs its program, a process that another test starts holds a copy of every socket")
    @NEEDS_FILELOCK
    def test_they_are_released_at_its_end(self) -> None:
        ports: list[ReservedPort] = []

        def body(case: Any) -> None:
            ports.extend(case.ports.reserve() for _ in range(2))
            ports[0].release_to(time_wait=False)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual([bind_error(port, reuse=False) for port in ports], [None, None])
        self.assertFalse(PortRegistry().holds("tcp", ports[0].number))

    @NEEDS_FILELOCK
    def test_tests_at_once_have_different_ones(self) -> None:
        barrier = threading.Barrier(3)
        seen: list[int] = []

        def body(case: Any) -> None:
            barrier.wait()
            seen.extend(case.ports.reserve().number for _ in range(30))
            seen.extend(case.ports.reserve().release_to() for _ in range(3))
            barrier.wait()

        threads = [threading.Thread(target=lambda: run_inner(inner_case(body))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(seen), len(set(seen))), (99, 99))

    def test_lesser_modes_have_none_unless_asked(self) -> None:
        self.assertIn("feature 'ports' is off in mode 'basic'", failure_of(lambda case: case.ports, isolation="basic"))
        self.assertEqual(
            run_inner(inner_case(lambda case: case.ports.reserve() and None, isolation="basic", ports=True)).report, ""
        )
        with self.assertRaisesRegex(TypeError, "ports must be True or False, got ports=80"):
            inner_case(lambda case: None, ports=80)
