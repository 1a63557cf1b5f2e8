"""`MockPort`: real clients talk to it as to their worker, and what was not agreed on fails the test."""

from __future__ import annotations

import asyncio
import os
import threading
import unittest
from collections.abc import Callable
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError, WaitTimeout
from supertester.targets import MockPort, Wire
from supertester.testing import failure_of, inner_case, run_inner
from tests.targets.stdio.clients import BlockingClient


class MockCase(IsolatedTestCase):
    def client(self, mock: MockPort, **options: Any) -> BlockingClient:
        client = BlockingClient(*(() if options.get("argv") else mock.pipes()), **options)
        self.addCleanup(client.close)
        return client


class TestAnswers(MockCase):
    def test_as_expected(self) -> None:
        mock = MockPort()
        made = mock.expect_command("create", {"id": "p1"}, args={"signature": "q -> a"})
        mock.expect_command("create", {"id": "p2"}, args={"signature": "a -> q"}, fields={"id": 2})
        mock.expect_command("delete", error={"kind": "busy"})
        client = self.client(mock)
        self.assertEqual(client.call("create", {"signature": "q -> a"}), {"id": "p1"})
        self.assertEqual(client.call("create", {"signature": "a -> q"}), {"id": "p2"})
        with self.assertRaisesRegex(RuntimeError, "busy"):
            client.call("delete")
        self.assertEqual((made.count, made.received[0].args), (1, {"signature": "q -> a"}))
        self.assertEqual([each.command for each in mock.history()], ["create", "create", "delete"])
        self.assertIn("2. 'create' {'signature': 'a -> q'}: {'id': 'p2'}", mock.report())
        self.assertEqual(repr(mock), "<MockPort MockPort, 3 commands received>")

    def test_one_after_the_other_for_the_same_command(self) -> None:
        mock = MockPort()
        mock.expect_command("next", 1)
        mock.expect_command("next", 2, times=2)
        client = self.client(mock)
        self.assertEqual([client.call("next") for _ in range(3)], [1, 2, 2])

    def test_answers_can_be_computed(self) -> None:
        mock = MockPort()
        mock.expect_command("add", lambda received: received.args["a"] + received.args["b"])
        self.assertEqual(self.client(mock).call("add", {"a": 1, "b": 2}), 3)

    def test_byte_by_byte(self) -> None:
        mock = MockPort(write_size=1)
        mock.expect_command("echo", "x" * 300)
        self.assertEqual(self.client(mock).call("echo"), "x" * 300)

    def test_more_than_a_pipe_holds(self) -> None:
        mock = MockPort()
        mock.expect_command("echo", lambda received: received.args)
        self.assertEqual(self.client(mock).call("echo", "x" * 1_000_000), "x" * 1_000_000)

    def test_health(self) -> None:
        mock = MockPort()
        health = mock.healthy()
        client = self.client(mock)
        self.assertEqual([client.call("ping") for _ in range(2)], [{"status": "ok"}] * 2)
        mock.unhealthy()
        with self.assertRaisesRegex(RuntimeError, "unhealthy"):
            client.call("ping")
        mock.healthy(response="again")
        self.assertEqual(client.call("ping"), "again")
        self.assertEqual(health.count, 2)

    def test_what_is_allowed_need_not_come(self) -> None:
        mock = MockPort()
        mock.allow_command("stats", {})
        self.assertIsNone(mock.check())

    def test_lines(self) -> None:
        mock = MockPort(Wire(framing="lines", command="method", args="params", success=None))
        mock.expect_command("add", 3, args=[1, 2])
        reading, writing = mock.pipes()
        os.write(writing, b'{"id": "a", "method": "add", "params": [1, 2]}\n')
        self.assertEqual(os.read(reading, 99), b'{"id":"a","result":3}\n')
        os.close(reading)
        os.close(writing)

    def test_a_client_that_starts_its_worker(self) -> None:
        mock = MockPort()
        mock.expect_command("echo", 1, times=2)
        for _ in range(2):
            client = self.client(mock, argv=mock.argv)
            self.assertEqual(client.call("echo"), 1)
            client.close()
            assert client.process is not None
            self.assertEqual(client.process.returncode, 0)

    def test_a_stranger_is_not_served(self) -> None:
        import socket

        mock = MockPort()
        host, port = mock.argv[4:6]
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b"x" * 99)
            with self.assertRaises(ConnectionError):
                stranger.settimeout(60)
                if not stranger.recv(1):
                    raise ConnectionError
        self.assertEqual(mock.history(), [])


class TestFaults(MockCase):
    async def test_silence_and_a_late_reply(self) -> None:
        mock = MockPort()
        silence = mock.simulate_timeout("ping")
        mock.expect_command("ping", 2)
        client = self.client(mock)
        with self.assertRaises(TimeoutError):
            client.call("ping", timeout=0.01)
        await mock.wait_for_command("ping")
        mock.reply_late(silence, 1)
        self.assertEqual(client.call("ping"), 2)
        self.assertEqual(client.received[1]["result"], 1)
        self.assertIn("1. 'ping' None: late, 1", mock.report())
        with self.assertRaisesRegex(UsageError, "no 'ping' waits for a late reply"):
            mock.reply_late(silence)

    def test_slow(self) -> None:
        mock = MockPort()
        mock.expect_command("ping", 1, delay_ms=30)
        client = self.client(mock)
        self.assertEqual(client.call("ping"), 1)

    def test_crash_in_the_middle_of_an_answer(self) -> None:
        for after in (0, 3, 9):
            mock = MockPort()
            mock.simulate_crash("ping", "pong", after_bytes=after)
            reading, writing = mock.pipes()
            os.write(writing, mock._wire.encode({"id": 1, "command": "ping"}))
            with os.fdopen(reading, "rb") as answers:
                self.assertEqual(answers.read(), mock._wire.encode(mock._wire.success_of(1, "pong"))[:after])
            os.close(writing)
            self.assertRegex(mock.report(), rf"1\. 'ping' None: crash after {after} of \d+ bytes")

    def test_a_started_worker_that_crashes(self) -> None:
        mock = MockPort()
        mock.simulate_crash("ping")
        client = self.client(mock, argv=mock.argv)
        with self.assertRaises(EOFError):
            client.call("ping")
        assert client.process is not None
        self.assertEqual(client.process.wait(60), 1)

    def test_garbage(self) -> None:
        mock = MockPort()
        mock.simulate_garbage("ping", b"?!")
        reading, writing = mock.pipes()
        os.write(writing, mock._wire.encode({"id": 1, "command": "ping"}))
        self.assertEqual(os.read(reading, 99), b"?!")
        os.close(reading)
        os.close(writing)

    def test_replies_in_another_order(self) -> None:
        mock = MockPort(Wire(framing="lines"), seed=1)
        mock.expect_command("a", None, times=7)
        for order in ("reversed", "shuffled"):
            numbers = [1, 2, 3]
            mock.reorder_replies(3, order)
            reading, writing = mock.pipes()
            os.write(writing, b"".join(b'{"id":%d,"command":"a"}\n' % number for number in numbers))
            with os.fdopen(reading, "rb") as answers:
                found = [int(answers.readline().split(b":")[1].split(b",")[0]) for _ in numbers]
            self.assertEqual(sorted(found), numbers)
            self.assertNotEqual(found, numbers)
            os.close(writing)
        reading, writing = mock.pipes()
        os.write(writing, b'{"id":4,"command":"a"}\n')
        self.assertIn(b'"id":4', os.read(reading, 99))
        os.close(reading)
        os.close(writing)


def broken(expect: Callable[[MockPort], object], *commands: str, **options: Any) -> str:
    """Return how a test fails whose client sends *commands*."""

    async def body(case: Any) -> None:
        mock = MockPort(Wire(framing="lines"), **options)
        expect(mock)
        reading, writing = mock.pipes()
        for number, command in enumerate(commands):
            os.write(writing, mock._wire.encode({"id": number, "command": command, "args": {"n": number}}))
            os.read(reading, 9999)
        os.close(reading)
        os.close(writing)

    return failure_of(body)


class TestFailures(unittest.TestCase):
    def test_a_command_that_did_not_come(self) -> None:
        report = broken(lambda mock: [mock.expect_command(each, times=2) for each in ("ping", "stop")], "ping", "ping")
        self.assertRegex(
            report,
            r"AssertionError: MockPort: the commands were not as expected:\n  - 'stop' came 0 times, expected 2\n"
            r"received, and what was done:\n  1\. 'ping' {'n': 0}: None\n  2\. 'ping'",
        )

    def test_none_came(self) -> None:
        self.assertIn(
            "  - 'stop' with args {'a': 1} with session 's' came 0 times, expected 1\nnothing was received",
            broken(lambda mock: mock.expect_command("stop", args={"a": 1}, fields={"session": "s"})),
        )

    def test_a_command_that_nobody_expected(self) -> None:
        report = broken(lambda mock: mock.expect_command("ping"), "ping", "stop")
        self.assertIn("  - 'stop' {'n': 1} came, no more was expected\n", report)
        self.assertIn("2. 'stop' {'n': 1}: refused", report)
        self.assertIn("  - 'ping' {'n': 0} came, nothing was expected\n", broken(lambda mock: None, "ping"))

    def test_other_arguments(self) -> None:
        self.assertIn(
            "  - 'ping' {'n': 0} came, expected were 'ping' with args {'n': 5}\n",
            broken(lambda mock: mock.expect_command("ping", args={"n": 5}), "ping"),
        )

    def test_another_order(self) -> None:
        expect = lambda mock: [mock.expect_command(each) for each in ("a", "b")]  # noqa: E731
        self.assertIn("  - 'b' {'n': 0} came, expected next 'a'\n", broken(expect, "b", "a", "b", ordered=True))
        self.assertIn("'b' {'n': 2} came, no more was expected", broken(expect, "b", "a", "b"))

    def test_no_json(self) -> None:
        async def body(case: Any) -> None:
            reading, writing = MockPort().pipes()
            os.write(writing, b"\0\0\0\2??")
            case.assertEqual(os.read(reading, 9), b"")
            os.close(reading)
            os.close(writing)

        self.assertIn("  - the client broke the protocol: not JSON", failure_of(body))

    def test_replies_that_were_held_back(self) -> None:
        async def body(case: Any) -> None:
            mock = MockPort(Wire(framing="lines"))
            mock.expect_command("a")
            mock.reorder_replies(3)
            reading, writing = mock.pipes()
            os.write(writing, b'{"id":1,"command":"a"}\n')
            await mock.wait_for_command("a")
            os.close(reading)
            os.close(writing)

        self.assertIn("1 replies were held back, to be reordered when 2 more commands come", failure_of(body))

    def test_a_response_that_fails(self) -> None:
        self.assertIn(
            "the response to 'a' raised ZeroDivisionError('division by zero')",
            broken(lambda mock: mock.expect_command("a", lambda _: 1 / 0), "a"),
        )

    def test_a_response_that_waits_holds_up_nobody_who_looks(self) -> None:
        gate = threading.Event()

        async def body(case: Any) -> None:
            mock = MockPort()
            mock.expect_command("a", lambda _: gate.wait(60))
            client = BlockingClient(*mock.pipes())
            case.addCleanup(client.close)
            asked = asyncio.ensure_future(asyncio.to_thread(client.call, "a"))
            await mock.wait_for_command("a")
            gate.set()
            case.assertTrue(await asked)

        self.assertEqual(run_inner(inner_case(body)).kinds, ["start", "success", "stop"])

    def test_a_response_that_never_comes(self) -> None:
        gate = threading.Event()
        mock = MockPort(Wire(framing="lines"))
        mock.expect_command("a", lambda _: gate.wait(60))
        reading, writing = mock.pipes()
        os.write(writing, b'{"id":1,"command":"a"}\n')
        asyncio.run(mock.wait_for_command("a"))
        assert mock._server is not None
        mock._server.patience = 0.01
        with self.assertRaisesRegex(AssertionError, "a function that was to give a response has not returned"):
            mock.close()
        gate.set()
        mock._server.patience = 60
        self.assertTrue(mock._server.close())
        os.close(reading)
        os.close(writing)

    def test_after_the_end_nothing_is_sent_any_more(self) -> None:
        mock = MockPort(Wire(framing="lines"))
        silence = mock.simulate_timeout("a")
        with mock:
            reading, writing = mock.pipes()
            os.write(writing, b'{"id":1,"command":"a"}\n')
            asyncio.run(mock.wait_for_command("a"))
        mock.reply_late(silence, 1)
        self.assertEqual(os.read(reading, 9), b"")
        os.close(reading)
        os.close(writing)

    def test_what_was_written_last_counts(self) -> None:
        for _ in range(20):
            with MockPort(Wire(framing="lines")) as mock:
                mock.simulate_timeout("goodbye", times=2)
                reading, writing = mock.pipes()
                os.write(writing, b'{"id":1,"command":"goodbye"}\n{"id":2,"command":"goodbye"}\n')
            os.close(reading)
            os.close(writing)

    def test_a_crash_that_would_be_none(self) -> None:
        self.assertRegex(
            broken(lambda mock: mock.simulate_crash("a", after_bytes=999), "a"),
            r"'a': a crash after 999 bytes of an answer of \d+ is none",
        )

    def test_history_is_shown_by_other_failures(self) -> None:
        async def body(case: Any) -> None:
            mock = MockPort()
            mock.allow_command("a", 1)
            client = BlockingClient(*mock.pipes())
            case.addCleanup(client.close)
            client.call("a")
            case.fail("other")

        self.assertRegex(failure_of(body), r"(?s)other.*MockPort: received, and what was done:\n\s*1\. 'a' None: 1")

    def test_outside_of_a_test_a_block_checks(self) -> None:
        with self.assertRaisesRegex(AssertionError, "'a' came 0 times, expected 1"), MockPort() as mock:
            mock.expect_command("a")
        with self.assertRaisesRegex(KeyError, "mine"), MockPort() as mock:
            mock.expect_command("a")
            raise KeyError("mine")
        mock.close()
        with self.assertRaisesRegex(UsageError, "MockPort is closed"):
            mock.pipes()

    def test_a_good_test_passes(self) -> None:
        async def body(case: Any) -> None:
            MockPort().healthy()

        self.assertEqual(run_inner(inner_case(body)).kinds, ["start", "success", "stop"])


class TestMisuse(IsolatedTestCase):
    async def test_nonsense_is_refused(self) -> None:
        mock = MockPort()
        calls: list[tuple[Callable[[], object], type[Exception], str]] = [
            (lambda: MockPort(write_size=0), UsageError, "write_size must be 1 or more, got write_size=0"),
            (lambda: mock.expect_command(7), TypeError, "command must be a string, got command=7"),  # type: ignore[arg-type]
            (lambda: mock.expect_command("a", times=0), UsageError, "times must be 1 or more, got times=0"),
            (lambda: mock.expect_command("a", 1, error=2), UsageError, "a reply has a response or an error"),
            (lambda: mock.expect_command("a", object()), TypeError, "not JSON serializable"),
            (lambda: mock.expect_command("a", delay_ms=-1), UsageError, "delay_ms must be 0 or more milliseconds"),
            (lambda: mock.simulate_crash("a", after_bytes=-1), UsageError, "after_bytes must be 0 or more"),
            (lambda: mock.reorder_replies(0), UsageError, "count must be 1 or more, got count=0"),
            (lambda: mock.reorder_replies(2, "sorted"), UsageError, "order must be 'reversed' or 'shuffled'"),
        ]
        for call, error, words in calls:
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                call()
        mock.reorder_replies(2)
        with self.assertRaisesRegex(UsageError, "2 replies are to be reordered already"):
            mock.reorder_replies(2)
        with self.assertRaisesRegex(
            WaitTimeout, "waiting for MockPort to receive 'a' 2 times; last seen: MockPort: not"
        ):
            await mock.wait_for_command("a", count=2, timeout=0)
