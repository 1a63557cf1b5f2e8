"""What child processes do reaches the test that started them; and nothing else does."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import unittest
import warnings
from typing import Any
from unittest import mock

from opentelemetry import trace

from supertester import telemetry
from supertester.case import IsolatedTestCase
from supertester.isolation.telemetry import receiver
from supertester.telemetry import TEST_ID, TelemetryEvent, channel
from supertester.testing import inner_case, run_inner
from tests.joining import join_and_close
from tests.project.support import ROOT, run_python

__tags__ = {"layer": "system"}

tracer = trace.get_tracer("tests.children")

CHILD = """
from supertester import telemetry
assert telemetry.connect() and telemetry.connect()
from opentelemetry import _logs, metrics, trace
with trace.get_tracer("child").start_as_current_span("child.work", attributes={"n": 1}) as span:
    span.add_event("child.step")
metrics.get_meter("child").create_counter("child.count").add(2)
_logs.get_logger("child").emit(_logs.LogRecord(event_name="child.said", body="hello"))
telemetry.emit("chaos.start", {"n": 1}, {"what": {1, 2}})
"""


def work(name: str) -> None:
    """Be a child that is started anew."""
    telemetry.connect()
    work_as_it_is(name)


def work_as_it_is(name: str) -> None:
    """Be a child that is forked, and connected by itself."""
    with tracer.start_as_current_span(name):
        telemetry.emit("chaos.stop", {}, {"of": name})


def work_and_fork(name: str) -> None:
    telemetry.connect()
    forked = multiprocessing.get_context("fork").Process(target=work_as_it_is, args=(f"{name}.forked",))
    forked.start()
    work_as_it_is(name)
    forked.join()


def start_program(code: str, **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, **options)


class TestChildren(IsolatedTestCase):
    async def test_a_program(self) -> None:
        with start_program(CHILD) as child:
            self.assertEqual(child.wait(30), 0)
        seen = [(event.name, event.kind) for event in self.telemetry.events]
        self.assertEqual(
            seen,
            [
                ("child.step", "span_event"),
                ("child.work", "span"),
                ("child.count", "metric"),
                ("child.said", "log"),
                ("supertester.chaos.start", "event"),
            ],
        )
        await self.assert_telemetry("child.work", {"n": 1, TEST_ID: self.isolation.test_id}, timeout=0)
        await self.assert_telemetry("supertester.chaos.start", {"what": "{1, 2}"}, timeout=0)
        self.assertEqual([span["name"] for span in self.telemetry.snapshot()], ["child.work"])

    async def test_processes_of_every_start_method(self) -> None:
        for method, target in (("fork", work_as_it_is), ("spawn", work_as_it_is), ("forkserver", work)):
            with self.subTest(method=method):
                child = multiprocessing.get_context(method).Process(target=target, args=(method,))
                child.start()
                await self.assert_telemetry(method, timeout=30)
                join_and_close(child)
                await self.assert_telemetry_count("supertester.chaos.stop", 1, timeout=0)
                self.telemetry.flush()

    async def test_a_fork_of_a_child_that_is_started_anew(self) -> None:
        child = multiprocessing.get_context("spawn").Process(target=work_and_fork, args=("child",))
        child.start()
        await self.assert_telemetry_count("child*", 2, timeout=30)
        join_and_close(child)

    async def test_a_fork_of_a_fork_and_its_program(self) -> None:
        def outer() -> None:
            inner = multiprocessing.get_context("fork").Process(target=work_as_it_is, args=("inner",))
            inner.start()
            inner.join()
            with start_program(CHILD) as program:
                program.wait(30)
            work_as_it_is("outer")

        child = multiprocessing.get_context("fork").Process(target=outer)
        child.start()
        join_and_close(child)
        for name in ("inner", "child.work", "outer"):
            await self.assert_telemetry_count(name, 1, timeout=0)

    async def test_a_child_that_is_killed_has_sent_what_it_did(self) -> None:
        code = CHILD + "print('done', flush=True)\nimport signal; signal.pause()"
        with start_program(code) as child:
            assert child.stdout is not None
            self.assertEqual(child.stdout.readline(), b"done\n")
            os.kill(child.pid, signal.SIGKILL)
            child.wait(30)
        await self.assert_telemetry_count("child.*", 4, timeout=0)

    async def test_a_program_that_is_configured_by_its_environment(self) -> None:
        code = (
            "from supertester.telemetry.exporters import ParentSpanExporter, ParentLogExporter\n"
            "from opentelemetry.sdk.trace import TracerProvider\n"
            "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
            "from opentelemetry.sdk._logs import LoggerProvider\n"
            "from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor\n"
            "from opentelemetry import _logs\n"
            "spans, logs = TracerProvider(), LoggerProvider()\n"
            "spans.add_span_processor(BatchSpanProcessor(ParentSpanExporter()))\n"
            "logs.add_log_record_processor(SimpleLogRecordProcessor(ParentLogExporter()))\n"
            "with spans.get_tracer('child').start_as_current_span('exported') as span: span.add_event('step')\n"
            "logs.get_logger('child').emit(_logs.LogRecord(body='hello', event_name='said'))\n"
            "spans.force_flush()\n"
        )
        with start_program(code) as child:
            self.assertEqual(child.wait(30), 0)
        self.assertEqual({event.name for event in self.telemetry.events}, {"said", "step", "exported"})
        await self.assert_telemetry("exported", {TEST_ID: self.isolation.test_id}, timeout=0)

    def test_what_listens_is_no_leak_of_the_first_test_that_needs_it(self) -> None:
        code = (
            "import subprocess, sys, threading, unittest\n"
            "from supertester import IsolatedTestCase\n"
            "def is_there(): return 'supertester-telemetry' in [each.name for each in threading.enumerate()]\n"
            "class Test(IsolatedTestCase):\n"
            "    def test(self):\n"
            "        self.assertFalse(is_there())\n"
            "        subprocess.run([sys.executable, '-c', ''], check=True)\n"
            "        self.assertTrue(is_there())\n"
            "    async def test_too(self):\n"
            "        subprocess.run([sys.executable, '-c', ''], check=True)\n"
            "        self.assertTrue(is_there())\n"
            "unittest.main()\n"
        )
        run_python(code)

    def test_forks_find_no_thread_to_be_warned_of(self) -> None:
        code = (
            "import multiprocessing, os, threading, unittest\n"
            "from supertester import IsolatedTestCase, telemetry\n"
            "def work(): telemetry.emit('chaos.start')\n"
            "class Test(IsolatedTestCase, telemetry=True):\n"
            "    async def test(self):\n"
            "        child = multiprocessing.get_context('fork').Process(target=work)\n"
            "        child.start(); child.join(); child.close()\n"
            "        if (pid := os.fork()) == 0: work(); os._exit(0)\n"
            "        os.waitpid(pid, 0)\n"
            "        await self.assert_telemetry_count('supertester.chaos.start', 2, timeout=0)\n"
            "        self.assertEqual(threading.active_count(), 2)\n"
            "import warnings; warnings.simplefilter('error')\n"
            "unittest.main(warnings='error')\n"
        )
        run_python(code)

    def test_a_child_of_a_test_without_telemetry_gets_no_address(self) -> None:
        def body(case: Any) -> None:
            with start_program("import os; print('SUPERTESTER_TELEMETRY' in os.environ)") as child:
                assert child.stdout is not None
                case.assertEqual(child.stdout.read(), b"False\n")

        self.assertEqual(run_inner(inner_case(body, telemetry=False)).report, "")


class TestConnections(IsolatedTestCase):
    """The parent's end, met by a child that does as it should not."""

    def connect(self) -> socket.socket:
        name, _, self.secret = receiver.address().partition(":")
        connection = channel._connected(name, 60)
        self.addCleanup(connection.close)
        return connection

    def greeting(self, **changes: Any) -> bytes:
        return json.dumps({"secret": self.secret, "test_id": self.telemetry.test_id, **changes}).encode() + b"\n"

    def test_who_does_not_know_the_secret_is_refused(self) -> None:
        for wrong in (b'{"secret": "x", "test_id": "y"}\n', b"hello\n", b"[]\n", b"x" * 5000):
            connection = self.connect()
            connection.sendall(wrong)
            self.assertTrue(is_refused(connection))
        self.assertEqual(self.telemetry.events, [])

    def test_what_is_no_event_ends_the_connection_and_nothing_else(self) -> None:
        good = channel.encoded(TelemetryEvent("good"))
        for wrong in (b"nonsense\n", b"{}\n", b'{"name": 1, "measurements": 3, "metadata": {}, "kind": "x"}\n'):
            connection = self.connect()
            connection.sendall(self.greeting() + good + wrong)
            self.assertTrue(is_refused(connection))
        self.assertEqual([event.name for event in self.telemetry.events], ["good"] * 3)

    def test_a_line_without_end_is_given_up(self) -> None:
        connection = self.connect()
        connection.sendall(self.greeting())
        try:
            for _ in range(64):
                connection.sendall(b"x" * (1 << 16))
            self.assertTrue(is_refused(connection))
        except OSError:
            pass  # It was closed while it was sending.
        self.assertEqual(self.telemetry.events, [])

    async def test_a_record_without_a_test_belongs_to_none(self) -> None:
        connection = self.connect()
        connection.sendall(self.greeting(test_id="") + channel.encoded(TelemetryEvent("orphan")))
        await self.refute_telemetry("orphan", timeout=0)
        self.assertIn("orphan", [stray.name for stray in self.telemetry.strays()])

    def test_a_connection_ends_with_its_test(self) -> None:
        kept: list[socket.socket] = []

        def body(case: Any) -> None:
            self.secret = receiver.address().partition(":")[2]
            connection = self.connect()
            connection.sendall(self.greeting(test_id=case.telemetry.test_id) + channel.encoded(TelemetryEvent("a")))
            case.assertEqual(len(case.telemetry.events), 1)
            kept.append(connection)

        self.assertEqual(run_inner(inner_case(body, leaks={"descriptors": "ignore"})).report, "")
        self.assertTrue(is_refused(kept[0]))

    def test_a_sender_whose_test_has_ended_drops_what_it_is_given(self) -> None:
        sender = channel.Sender(receiver.address(), "gone")
        sender.send(TelemetryEvent("a"))
        sender.send(TelemetryEvent("long", {}, {"text": "x" * (channel.LONGEST_LINE + 1)}))
        sender.close()
        sender.send(TelemetryEvent("b"))
        self.assertEqual(self.telemetry.events, [])

    def test_what_was_sent_has_arrived_however_much_it_is(self) -> None:
        listener, name = channel.listen()
        self.addCleanup(listener.close)
        sender = channel.Sender(f"{name}:secret", "a")
        self.addCleanup(sender.close)
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        connection.settimeout(0)
        sent = channel.encoded(TelemetryEvent("a", {}, {"text": "x" * 3000}))
        connection.recv(4096)
        for _ in range(20):
            sender.send(TelemetryEvent("a", {}, {"text": "x" * 3000}))
        self.assertEqual(len(connection.recv(1 << 20)), 20 * len(sent))

    def test_a_sender_gives_up_a_parent_that_takes_nothing_and_says_so(self) -> None:
        listener, name = channel.listen()
        self.addCleanup(listener.close)
        sender = channel.Sender(f"{name}:secret", "a", patience=0.05)
        event = TelemetryEvent("a", {}, {"text": "x" * 100_000})
        with self.assertWarnsRegex(RuntimeWarning, r"is lost from now on: none was taken for 0\.05 s; a h"):
            for _ in range(1_000):
                sender.send(event)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sender.send(event)

    def test_many_threads_send_whole_lines(self) -> None:
        sender = channel.Sender(receiver.address(), self.telemetry.test_id)

        def send(of: int) -> None:
            for n in range(50):
                sender.send(TelemetryEvent("a", {"n": n}, {"of": of, "text": "x" * 3000}))

        threads = [threading.Thread(target=send, args=(of,)) for of in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sender.close()
        events = self.telemetry.events
        for of in range(4):
            self.assertEqual(
                [event.measurements["n"] for event in events if event.metadata["of"] == of], list(range(50))
            )


class TestLooks(IsolatedTestCase):
    """How long the parent reads before it looks, with a receiver of its own."""

    def listen(self, **options: Any) -> receiver._Receiver:
        listening = receiver._Receiver(**options)
        self.addCleanup(listening.close)
        return listening

    def connect(self, listening: receiver._Receiver, test_id: str) -> channel.Sender:
        sender = channel.Sender(listening.address, test_id)
        self.addCleanup(sender.close)
        return sender

    def endless(self, listening: receiver._Receiver) -> channel.Sender:
        """Return a sender by which there is always one event more: each that is read sends the next one."""
        sender = self.connect(listening, self.telemetry.test_id)

        def next_one(event: TelemetryEvent) -> TelemetryEvent:
            sender.send(event)
            return event

        self.telemetry.attach("endless", transform=next_one)
        sender.send(TelemetryEvent("endless"))
        return sender

    def test_a_look_does_not_wait_for_the_end_of_a_child_that_sends_without_end(self) -> None:
        listening = self.listen(most_underway=1 << 14)
        endless = self.endless(listening)
        listening.drain()
        self.assertEqual(self.telemetry.events[0].name, "endless")
        self.assertIsNotNone(endless._socket)

    def test_the_connection_of_a_child_that_sends_without_end_ends_with_its_test(self) -> None:
        listening = self.listen(most_underway=1 << 14)
        self.endless(listening)
        listening.drain()  # By now it is connected.
        listening.forget(self.telemetry.test_id)
        listening.drain()
        self.assertEqual(listening.connections, set())

    def test_a_look_that_gives_up_says_so(self) -> None:
        listening = self.listen(patience=0)
        entered, leave = threading.Event(), threading.Event()
        self.addCleanup(leave.set)

        def stuck(event: TelemetryEvent) -> TelemetryEvent:
            entered.set()
            leave.wait()
            return event

        self.telemetry.attach("stuck", transform=stuck)
        self.connect(listening, self.telemetry.test_id).send(TelemetryEvent("stuck"))
        entered.wait()
        with self.assertWarnsRegex(RuntimeWarning, r"may be missing: it was not read within 0 s; a handler of"):
            listening.drain()

    def test_nobody_waits_for_a_receiver_that_is_closed(self) -> None:
        listening = self.listen()
        look = receiver._Look()
        listening._stop()
        listening._waiting.append(look)
        listening.close()
        self.assertTrue(look.done.is_set())


def is_refused(connection: socket.socket) -> bool:
    """Wait until the other end closes the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


class TestWithoutAParent(unittest.TestCase):
    def test_there_is_nothing_to_connect_to(self) -> None:
        for address in ("", "nonsense", "1:", "x:y", "1:secret", "@:y", "@nobody:secret"):
            with self.subTest(address=address), mock.patch.dict(os.environ, {channel.ADDRESS: address}):
                self.assertIsNone(channel.sender_from_environment())

    def test_uninstall_ends_the_thread_and_closes_all(self) -> None:
        code = (
            "import os, threading, warnings\n"
            "from supertester.isolation import uninstall\n"
            "from supertester.isolation.telemetry import receiver\n"
            "before = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else None\n"
            "receiver.address()\n"
            "print([each.name for each in threading.enumerate()][1:])\n"
            "uninstall()\n"
            "print(threading.active_count())\n"
            "print(before is None or before == len(os.listdir('/proc/self/fd')))\n"
            "receiver.drain(); receiver.forget('a')\n"
            "receiver.address(); uninstall()\n"
        )
        self.assertEqual(run_python(code).splitlines(), ["['supertester-telemetry']", "1", "True"])
