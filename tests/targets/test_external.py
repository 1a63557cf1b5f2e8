"""Programs in processes of their own: ready when the test goes on, gone when it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import tempfile
import threading
import unittest
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from unittest import mock

import psutil

from supertester._core.clock import ManualClock
from supertester._core.waiting import wait_until
from supertester.case import IsolatedTestCase
from supertester.errors import StartFailed, UsageError, WaitTimeout
from supertester.targets import (
    ExternalProcess,
    FdReady,
    GrpcReady,
    HttpReady,
    LineReady,
    PortReady,
    start_process,
    with_python_server,
)
from supertester.targets.looks import Looks
from supertester.targets.readiness import Answer
from supertester.testing import failure_of, inner_case, run_inner
from tests.alone import alone
from tests.targets.programs import BUSY_FAMILY, DEAF, ECHO, FAMILY, program

LISTEN = """
import socket, sys
server = socket.socket(fileno=int(sys.argv[1])) if len(sys.argv) > 1 else socket.create_server(("127.0.0.1", 0))
server.listen()
print("listening on", server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    connection.close()
"""

UNLIKE_HTTP_AT_FIRST = """
import socket, sys
server = socket.socket(fileno=int(sys.argv[1]))
server.listen()
for answer in (b"x" * 200_000, b"", b"SSH-2.0 200\\r\\n", b"HTTP/1.0 200 OK\\r\\n\\r\\n"):
    connection, _ = server.accept()
    try:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1_000):
            pass
    except OSError:
        pass  # Who asked has heard enough; it is ENOTCONN that tells so to a shutdown.
    print("answered", answer[:4], flush=True)
"""

HEALTH = """
import sys
import grpc
from concurrent.futures import ThreadPoolExecutor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
states = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(states, server)
server.add_insecure_port("127.0.0.1:" + sys.argv[1])
states.set("it", health_pb2.HealthCheckResponse.NOT_SERVING)
server.start()
print("not serving", flush=True)
print("serving", flush=True)
states.set("it", health_pb2.HealthCheckResponse.SERVING)
"""


def print_and_wait(word: str) -> None:
    """Be a server, in another process."""
    print("served", word)
    sys.stdin.read()


def gone(pid: int) -> bool:
    """Say whether nothing runs under this number; a zombie has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Seeing:
    """A readiness that always finds the same."""

    def __init__(self, found: Any) -> None:
        self.found = found
        self.looks = 0

    async def look(self, process: ExternalProcess, /) -> Any:
        self.looks += 1
        return self.found


class TestReadiness(IsolatedTestCase):
    async def test_a_line(self) -> None:
        process = await start_process(program("print('ready on 17')"), ready=LineReady(r"ready on \d+"))
        self.assertEqual(process.find(r"ready on (\d+)").group(1), "17")
        self.assertTrue(process.is_alive())

    async def test_a_line_among_the_errors(self) -> None:
        process = await start_process(program("import sys\nprint('up', file=sys.stderr)"), ready=LineReady("^up$"))
        self.assertEqual(process.output.strip(), "up")

    async def test_a_port(self) -> None:
        port = self.ports.reserve()
        process = await start_process(
            [*program(LISTEN, forever=False), str(port.fileno())], ready=PortReady(port.number), pass_fds=[port]
        )
        port.close()
        self.assertIn(f"listening on {port.number}", (await process.wait_for_output("listening.*\n")).group())

    async def test_a_descriptor(self) -> None:
        source = "import os\nos.write(int(os.environ['SUPERTESTER_READY_FD']), b'!')"
        self.assertTrue((await start_process(program(source), ready=FdReady())).is_alive())
        process = await start_process(
            program(source.replace("SUPERTESTER_READY_FD", "NOTIFY_FD")), ready=FdReady("NOTIFY_FD")
        )
        self.assertTrue(process.is_alive())

    @unittest.skipUnless(find_spec("filelock"), "needs the extra ports")
    async def test_an_answer_over_http(self) -> None:
        port = self.ports.reserve()
        argv = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", str(port.release_to())]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "here").write_text("it is")
            process = await start_process(argv, cwd=folder, ready=HttpReady(port.number, "/here"), name="files")
            await process.wait_for_output('"GET /here HTTP/1.0" 200')
            last = r"other to be ready .*status=418.*last seen: it runs; it answered HTTP 200 OK, and 418 is wanted\n"
            other = HttpReady(port.number, "/here", status=418)  # Of the one that runs: to start takes its time.
            with self.assertRaisesRegex(WaitTimeout, last):
                await start_process(program(), ready=other, name="other", timeout=2.0)
            await process.stop()

    @unittest.skipUnless(find_spec("filelock"), "needs the extra ports")
    async def test_what_was_seen_last_is_told(self) -> None:
        nobody = self.ports.reserve()
        number = nobody.release_to()
        cases: list[tuple[Any, str, float]] = [
            (HttpReady(number), f"nobody listens at 127.0.0.1:{number} ", 2.0),
            (PortReady(number), f"nobody listens at 127.0.0.1:{number} ", 2.0),
            (Seeing(Answer("")), r"\n", 0.5),
            (Seeing(None), r"\n", 0.5),
            (Seeing(Answer("no cake")), r"no cake\n", 0.5),
        ]
        if find_spec("grpc_health"):
            cases.append((GrpcReady(number), f"127.0.0.1:{number} gave no answer: it cannot be reached", 2.0))
        for ready, text, timeout in cases:
            with self.subTest(ready=ready), self.assertRaisesRegex(WaitTimeout, f"last seen: it runs(; )?{text}"):
                await start_process(program(), ready=ready, timeout=timeout)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            ready = HttpReady(silent.getsockname()[1])
            with self.assertRaisesRegex(WaitTimeout, r"it runs; the last look has had no answer for \d+(\.\d+)? s\n"):
                await start_process(program(), ready=ready, timeout=1.0)

    async def test_what_a_look_found_is_said_in_words(self) -> None:
        for line, text in (
            (b"", "it closed the connection unanswered"),
            (b"SSH-2.0 200\r\n", r"it answered b'SSH-2.0 200\r\n', which is no HTTP"),
            (b"HTTP/1.1 503 Slow\r\n", "it answered HTTP 503 Slow, and 200 is wanted"),
        ):
            found = HttpReady(1)._answer(line)
            self.assertEqual((str(found), bool(found)), (text, False))
        self.assertTrue(HttpReady(1)._answer(b"HTTP/1.1 200\r\n"))

    async def test_who_has_answered_is_asked_less_and_less_often_whatever_it_writes(self) -> None:
        async def looks_at(found: Any) -> list[float]:
            clock, ready, at = ManualClock(), Seeing(found), []
            looks = Looks(ready, clock.time)
            for tick in range(200):  # As often as something is written.
                clock.advance(1 / 16)
                before = ready.looks
                await looks.look(cast(ExternalProcess, None), at_once=tick == 198)
                if ready.looks > before:
                    at.append(clock.time())
            return at

        for often in (False, Answer("nobody", is_heard=False)):
            self.assertEqual(len(await looks_at(often)), 200)
        at = await looks_at(Answer("no"))
        pauses = [after - before for before, after in pairwise(at)]
        self.assertEqual((pauses[0], pauses[-4]), (1 / 16, 1 / 2))
        self.assertEqual(pauses[:-2], sorted(pauses[:-2]))
        self.assertIn(199 / 16, at)
        self.assertLess(len(at), 40)

    async def test_what_is_no_answer_over_http_is_none(self) -> None:
        port = self.ports.reserve()
        process = await start_process(
            [*program(UNLIKE_HTTP_AT_FIRST), str(port.fileno())], ready=HttpReady(port.number), pass_fds=[port]
        )
        port.close()
        await process.wait_for_output(r"b'xxxx'(.*\n)*.*b''(.*\n)*.*b'SSH-'(.*\n)*.*b'HTTP'")

    @unittest.skipUnless(find_spec("grpc_health"), "needs the extra grpc")
    async def test_a_health_service_of_grpc(self) -> None:
        with self.assertRaisesRegex(WaitTimeout, r"(?s)to be ready \(GrpcReady\(port=.*\| not serving"):
            port = self.ports.reserve()
            await start_process(
                [*program(HEALTH), str(port.release_to())], ready=GrpcReady(port.number, "never"), timeout=2
            )
        port = self.ports.reserve()
        process = await start_process(
            [*program(HEALTH), str(port.release_to())], ready=GrpcReady(port.number, "it"), timeout=60
        )
        self.assertIn("not serving\n", (await process.wait_for_output(r"^(.*\n)*serving$")).group())

    async def test_one_of_your_own(self) -> None:
        class Marked:
            async def look(self, process: ExternalProcess, /) -> bool:
                return "b" in process.output

        process = await start_process(program("print('a')\nprint('b')"), ready=Marked())
        self.assertIn("b", process.output)

    async def test_without_any_it_need_only_start(self) -> None:
        self.assertTrue((await start_process(program())).is_alive())

    async def test_who_ends_first_was_never_ready(self) -> None:
        with self.assertRaisesRegex(
            StartFailed,
            r"(?ms)start: it ended with exit status 3 before it was ready\noutput of .*^ *\| sorry$",
        ) as raised:
            await start_process(program("print('sorry')\nraise SystemExit(3)"), ready=LineReady("never"))
        self.assertEqual(raised.exception.kind, "program")

    async def test_last_words_count(self) -> None:
        process = await start_process(program("print('ready')", forever=False), ready=LineReady("ready"))
        self.assertEqual(await process.wait(), 0)

    async def test_who_takes_too_long_is_killed_and_shown(self) -> None:
        with self.assertRaisesRegex(
            WaitTimeout, r"(?s)timed out after 3 s waiting for .* to be ready \(LineReady.*\| still thinking"
        ):
            await start_process(
                program("print('still thinking')"), ready=LineReady("never"), timeout=3.0, name="thinker"
            )

    async def test_what_does_not_exist(self) -> None:
        with self.assertRaisesRegex(StartFailed, "program named 'nowhere' did not start: .*No such file"):
            await start_process(["/nowhere/nowhere"], ready=LineReady("never"))

    async def test_nonsense_is_refused(self) -> None:
        for arguments, options, error, words in (
            (("ls -l",), {}, TypeError, "argv must be a list of strings"),
            (([],), {}, UsageError, "argv must have the program at least"),
            ((["x"],), {"ready": "soon"}, TypeError, "ready must be a readiness such as LineReady"),
            ((["x"],), {"timeout": -1}, UsageError, "timeout must be 0 or more seconds"),
            ((["x"],), {"grace": "long"}, TypeError, "grace must be a number of seconds"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                await start_process(*arguments, **options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "port must be from 1 to 65535, got port=0"):
            PortReady(0)
        with self.assertRaisesRegex(UsageError, "path must begin with '/'"):
            HttpReady(1, "x")


class TestProcesses(IsolatedTestCase):
    async def test_talk(self) -> None:
        async with await start_process(program(ECHO, forever=False)) as process:
            process.stdin.write(b"hello\n")
            self.assertEqual((await process.wait_for_output("echo (.*)")).group(1), "hello")
            process.stdin.close()
            await process.wait()
        self.assertEqual((process.returncode, process.outcome), (0, "exit status 0"))

    async def test_environment_and_folder(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = "import os\nprint(os.environ['GREETING'], os.environ['SUPERTESTER_TEST_ID'], os.getcwd())"
            process = await start_process(
                program(source, forever=False), env={"GREETING": "hi"}, cwd=folder, ready=LineReady("hi")
            )
            await process.wait()
            self.assertEqual(process.output.split(), ["hi", self.isolation.test_id, folder])

    async def test_its_output_elsewhere(self) -> None:
        with tempfile.TemporaryFile() as file:
            source = "import sys\nprint('out')\nprint('err', file=sys.stderr)"
            process = await start_process(program(source), stdout=file, ready=LineReady("err"))
            self.assertEqual(process.output, "err\n")
            file.seek(0)
            self.assertEqual(file.read(), b"out\n")

    async def test_how_it_ended(self) -> None:
        process = await start_process(program())
        process.kill()
        self.assertEqual(await process.wait(), -signal.SIGKILL)
        self.assertEqual(process.outcome, "signal SIGKILL")
        self.assertRegex(repr(process), r"<ExternalProcess python.* \d+, signal SIGKILL>")

    async def test_its_last_words_are_there_when_it_has_ended(self) -> None:
        source = "import sys\nsys.stderr.write('x' * 300_000 + 'last words')"
        for _ in range(5):
            process = await start_process(program(source, forever=False))
            self.assertEqual(await process.wait(60), 0)
            self.assertTrue(process.output.endswith("last words"))

    @alone("lets no time for last words")
    async def test_its_last_words_are_there_however_slow_its_reader_is(self) -> None:
        process = await start_process(program("print('last words', input())", forever=False))
        may_read = threading.Event()
        self.addCleanup(may_read.set)
        keep = process._output._keep

        def keep_late(data: bytes) -> None:
            may_read.wait(60)
            keep(data)

        with (
            mock.patch.object(process._output, "_keep", keep_late),
            mock.patch("supertester.targets.external._LAST_WORDS", 0.0),
        ):
            process.stdin.write(b"indeed\n")
            waiting = asyncio.create_task(process.wait(60))
            await wait_until(lambda: not process.is_alive(), "its end", timeout=60)
            for _ in range(10):
                await asyncio.sleep(0)
            self.assertFalse(waiting.done())
            may_read.set()
            await waiting
        self.assertEqual(process.output, "last words indeed\n")

    async def test_who_holds_its_output_open_is_not_waited_for(self) -> None:
        process = await start_process(program(FAMILY), ready=LineReady("family"))
        process.send_signal(signal.SIGKILL)
        self.assertEqual(await process.wait(), -signal.SIGKILL)

    async def test_who_does_not_end_is_said_so(self) -> None:
        process = await start_process(program("print('busy')"), ready=LineReady("busy"), name="worker")
        with self.assertRaisesRegex(
            WaitTimeout, r"(?s)waiting for worker to end; last seen: output of worker.*\| busy"
        ):
            await process.wait(timeout=0.01)
        with self.assertRaisesRegex(WaitTimeout, r"(?s)waiting for worker to write 'never'.*\| busy"):
            await process.wait_for_output("never", timeout=0.01)
        with self.assertRaisesRegex(AssertionError, r"(?s)worker has not written anything like 'never'.*\| busy"):
            process.find("never")

    async def test_suspended_and_resumed(self) -> None:
        process = await start_process(program(ECHO, forever=False))
        process.suspend()
        process.stdin.write(b"late\n")
        self.assertEqual(process.output, "")
        process.resume()
        await process.wait_for_output("echo late")

    async def test_once_suspend_returns_all_stand_still(self) -> None:
        process = await start_process(program(BUSY_FAMILY, forever=False), ready=LineReady("family"))
        child = int(process.find(r"family (\d+)").group(1))
        both = [psutil.Process(process.pid), psutil.Process(child)]
        for _ in range(50):
            process.suspend()
            self.assertEqual([each.status() for each in both], ["stopped", "stopped"])
            process.resume()

    @alone("replaces, for all, what suspends processes")
    async def test_who_cannot_be_suspended_is_named(self) -> None:
        process = await start_process(program())
        moving = [psutil.Process(process.pid)]
        self.enterContext(mock.patch("supertester.targets.external.stand_still", return_value=moving))
        with self.assertRaisesRegex(WaitTimeout, rf"python does not stand still within 5 s .*pid={process.pid}"):
            process.suspend()

    async def test_who_has_ended_stands_still(self) -> None:
        process = await start_process(program("pass", forever=False))
        await process.wait()
        process.suspend()

    async def test_measured(self) -> None:
        process = await start_process(program("print('up')"), ready=LineReady("up"))
        measured = process.measured()
        self.assertGreater(measured.memory_info().rss, 0)
        self.assertGreaterEqual(measured.num_fds(), 3)

    async def test_much_output_never_holds_it_up_and_only_the_end_is_kept(self) -> None:
        source = "for number in range(3_000): print('line', number, 'x' * 1_000)\nprint('done')"
        process = await start_process(program(source), ready=LineReady("^done$"), timeout=60)
        self.assertLess(len(process.output), 1_100_000)
        self.assertRegex(process.output, r"^\[\d+ bytes before this were dropped\]\n")
        self.assertIn("line 2999 xxx", process.output)
        self.assertRegex(process.report(), r"\| \.\.\. \d+ lines before")

    async def test_by_the_case(self) -> None:
        process = await self.start_process(program("print('up')"), ready=LineReady("up"), name="mine")
        self.assertEqual(process.name, "mine")

    async def test_a_server_that_is_a_function(self) -> None:
        async with with_python_server(print_and_wait, "hello", ready=LineReady("^served hello$")) as server:
            self.assertEqual(server.name, "print_and_wait")
        self.assertFalse(server.is_alive())
        with self.assertRaisesRegex(KeyError, "mine"):
            async with with_python_server(print_and_wait, "hello", ready=LineReady("^served")) as server:
                raise KeyError("mine")
        self.assertFalse(server.is_alive())
        for function in (lambda: None, self.test_by_the_case):
            with self.assertRaisesRegex(
                UsageError, r"test_external.* cannot be found in another process; use a function"
            ):
                with_python_server(function)

    @unittest.skipUnless(find_spec("filelock"), "needs the extra ports")
    async def test_a_server_in_python(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "service.py"
            path.write_text(LISTEN)
            process = await with_python_server(path, ready=LineReady("listening"))
            self.assertEqual(process.name, "service.py")
            with socket.create_connection(("127.0.0.1", int(process.find(r"on (\d+)").group(1)))):
                pass
            await process.stop()
        port = self.ports.reserve()
        process = await with_python_server(
            "http.server", "--bind", "127.0.0.1", str(port.release_to()), ready=HttpReady(port.number)
        )
        self.assertEqual(process.name, "http.server")


class TestTheEnd(IsolatedTestCase):
    async def test_asked_first(self) -> None:
        source = (
            "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(4)))\nprint('up')"
        )
        process = await start_process(program(source), ready=LineReady("up"))
        await process.stop()
        self.assertEqual((process.returncode, process.output.split()), (4, ["up", "bye"]))
        await process.stop()

    async def test_killed_when_it_does_not_listen(self) -> None:
        process = await start_process(program(DEAF), ready=LineReady("deaf"), grace=0.05)
        await process.stop()
        self.assertEqual(process.outcome, "signal SIGKILL")
        self.assertIn("ended with signal SIGKILL, as it had not ended 0.05 s after it was asked to", process.report())

    async def test_a_suspended_one(self) -> None:
        process = await start_process(program("print('up')"), ready=LineReady("up"))
        process.suspend()
        await process.stop()
        self.assertEqual(process.outcome, "signal SIGTERM")

    async def test_with_all_that_it_has_started(self) -> None:
        process = await start_process(program(FAMILY), ready=LineReady("family"))
        child, stranger = (int(number) for number in process.find(r"family (\d+) (\d+)").groups())
        self.assertEqual({each.pid for each in process.children()}, {child, stranger})
        await process.stop()
        self.assertTrue(gone(child) and gone(stranger))

    async def test_kill_takes_the_family(self) -> None:
        process = await start_process(program(FAMILY), ready=LineReady("family"))
        process.kill()
        await process.wait()
        await process.stop()
        self.assertEqual(process.children(), [])


class TestInATest(unittest.TestCase):
    def test_it_ends_with_the_test(self) -> None:
        seen: list[ExternalProcess] = []

        async def body(case: Any) -> None:
            seen.append(await start_process(program(FAMILY), ready=LineReady("family")))

        result = run_inner(inner_case(body))
        self.assertEqual(result.kinds, ["start", "success", "stop"], result.report)
        self.assertEqual(seen[0].outcome, "signal SIGTERM")
        self.assertTrue(all(gone(int(pid)) for pid in seen[0].find(r"family (\d+) (\d+)").groups()))

    def test_a_failure_shows_what_it_said(self) -> None:
        async def body(case: Any) -> None:
            await start_process(program("print('the disk is full')"), ready=LineReady("disk"), name="database")
            case.fail("no answer")

        self.assertRegex(
            failure_of(body), r"(?s)no answer.*output of database \(pid \d+, runs\):\n\s*\| the disk is full"
        )
