"""`JsonPort`: many calls at once to a real program, and everything that it can do wrong."""

from __future__ import annotations

import asyncio
import sys
import threading
import unittest
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import StartFailed
from supertester.mixins.services import ServiceAssertions
from supertester.targets import (
    JsonPort,
    MockPort,
    PortClosed,
    PortTimeout,
    ProtocolViolation,
    RemoteError,
    Wire,
    start_json_port,
)
from supertester.testing import failure_of
from tests.targets.stdio.clients import WORKER, BlockingClient


def worker() -> list[str]:
    return [sys.executable, "-c", WORKER]


class TestCalls(IsolatedTestCase):
    async def test_to_a_program(self) -> None:
        port = await start_json_port(worker())
        self.assertEqual(await port.call("echo", {"a": [1, "ä"]}), {"a": [1, "ä"]})
        self.assertEqual(await port.call("session", session="s-1"), "s-1")
        with self.assertRaisesRegex(RemoteError, r"command 'nonsense' failed: \{'kind': 'unknown'\}") as raised:
            await port.call("nonsense")
        self.assertEqual(raised.exception.error, {"kind": "unknown"})
        self.assertRegex(repr(port), "<JsonPort python.*, 0 calls under way>")

    async def test_much_at_once(self) -> None:
        async with await start_json_port(worker()) as port:
            values = ["x" * 10_000 + str(number) for number in range(30)]  # More than both pipes hold.
            self.assertEqual(await asyncio.gather(*(port.call("echo", each) for each in values)), values)
        self.assertTrue(port.is_closed)
        assert port.process is not None
        self.assertFalse(port.process.is_alive())

    async def test_no_answer(self) -> None:
        port = await start_json_port(worker())
        with self.assertRaisesRegex(PortTimeout, r"no answer to 'silent' within 0.01 s\noutput of python"):
            await port.call("silent", timeout=0.01)
        self.assertEqual(await port.call("echo", 1), 1)
        self.assertEqual(port.calls_under_way, 0)

    async def test_late_replies_are_dropped_and_counted(self) -> None:
        mock = MockPort()
        silence = mock.simulate_timeout("ping")
        mock.expect_command("ping", "in time")
        port = JsonPort(*mock.pipes())
        with self.assertRaisesRegex(PortTimeout, "no answer to 'ping' within 0.01 s$"):
            await port.call("ping", timeout=0.01)
        await mock.wait_for_command("ping")
        mock.reply_late(silence, "late")
        self.assertEqual(await port.call("ping"), "in time")
        self.assertEqual(port.late_replies, 1)

    async def test_the_second_of_two_answers_is_one(self) -> None:
        port = await start_json_port(worker())
        self.assertEqual(await port.call("twice"), 1)
        self.assertEqual(await port.call("echo", 1), 1)
        self.assertEqual(port.late_replies, 1)

    async def test_the_program_ends(self) -> None:
        port = await start_json_port(worker())
        others = asyncio.create_task(port.call("silent"))
        with self.assertRaisesRegex(PortClosed, r"(?s)the other side .*\noutput .*exit status 7\):\n  \| dying"):
            await port.call("die")
        with self.assertRaises(PortClosed):
            await others
        with self.assertRaisesRegex(PortClosed, "(?s)the other side .*exit status 7"):
            await port.call("echo")

    async def test_in_the_middle_of_an_answer(self) -> None:
        mock = MockPort()
        mock.simulate_crash("ping", "pong", after_bytes=9)
        port = JsonPort(*mock.pipes())
        with self.assertRaisesRegex(PortClosed, "has ended in the middle of a frame, after 9 bytes of it"):
            await port.call("ping")

    async def test_what_was_not_agreed_on(self) -> None:
        for command, words in (
            ("garbage", "a frame of 4294967295 bytes"),
            ("stranger", "an answer to 999, which nobody"),
        ):
            port = await start_json_port(worker())
            with self.assertRaisesRegex(ProtocolViolation, words):
                await port.call(command)
            with self.assertRaisesRegex(ProtocolViolation, words):
                await port.call("echo")

    async def test_closed(self) -> None:
        mock = MockPort(Wire(framing="lines"))
        mock.simulate_timeout("ping")
        port = JsonPort(*mock.pipes(), Wire(framing="lines"))
        waiting = asyncio.create_task(port.call("ping"))
        await mock.wait_for_command("ping")
        await port.close()
        await port.close()
        for call in (waiting, port.call("ping")):
            with self.assertRaisesRegex(PortClosed, "the port was closed"):
                await call

    async def test_who_reads_no_more(self) -> None:
        mock = MockPort()
        mock.simulate_crash("ping")
        port = JsonPort(*mock.pipes())
        with self.assertRaisesRegex(PortClosed, "the other side (has ended|reads no more)"):
            await asyncio.gather(port.call("ping"), port.call("ping", "x" * 1_000_000))

    async def test_what_cannot_be_started(self) -> None:
        with self.assertRaises(StartFailed):
            await start_json_port(["/nowhere/nowhere"])


class TestCorrelation(ServiceAssertions, IsolatedTestCase):
    async def test_of_tasks(self) -> None:
        for shuffle in (True, False):
            mock = MockPort()
            await self.assert_correlated(JsonPort(*mock.pipes()), 500, mock=mock, shuffle=shuffle)

    async def test_of_threads(self) -> None:
        mock = MockPort()
        client = BlockingClient(*mock.pipes())
        self.addCleanup(client.close)
        await self.assert_correlated(client, 50, mock=mock, shuffle=False)

    async def test_with_a_real_worker(self) -> None:
        port = await start_json_port(worker())
        await self.assert_correlated(port, 500)
        await self.assert_correlated(lambda number: number, 3)

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, r"port must have a method call\(\), or be a function, got port=7"):
            await self.assert_correlated(7)
        with self.assertRaisesRegex(ValueError, "count must be 1 or more, got count=0"):
            await self.assert_correlated(print, 0)


class TestCorrelationFails(unittest.TestCase):
    def test_for_a_client_that_mixes_up_its_answers(self) -> None:
        async def body(case: Any) -> None:
            mock = MockPort()
            client = BlockingClient(*mock.pipes(), mixes_up=True)
            case.addCleanup(client.close)
            await case.assert_correlated(client, 20, mock=mock, shuffle=False)

        report = failure_of(body, ServiceAssertions)
        self.assertRegex(
            report, r"\d+ of 20 concurrent callers did not get their own answer\n  1\. the caller of \d+ got {'v"
        )

    def test_for_many_no_more_are_shown_than_can_be_read(self) -> None:
        async def body(case: Any) -> None:
            await case.assert_correlated(lambda number: number + 1, 12)

        report = failure_of(body, ServiceAssertions)
        self.assertRegex(
            report, r"12 of 12 concurrent .*\n  1\. the caller of 0 got 1\n(.*\n)*  11\. \.\.\. and 2 more"
        )

    def test_for_one_that_does_not_answer(self) -> None:
        async def body(case: Any) -> None:
            async def never(number: int) -> None:
                await asyncio.Event().wait()

            await case.assert_correlated(never, 2, timeout=0.01)

        self.assertIn("2 concurrent calls were not all answered within 0.01 s", failure_of(body, ServiceAssertions))

    def test_for_a_blocking_one_that_does_not_answer_and_holds_up_the_end_of_nothing(self) -> None:
        over = threading.Event()
        threads: list[threading.Thread] = []
        self.addCleanup(over.set)

        def never(number: int) -> None:
            threads.append(threading.current_thread())
            over.wait()

        async def body(case: Any) -> None:
            await case.assert_correlated(never, 2, timeout=1)

        self.assertIn("2 concurrent calls were not all answered within 1 s", failure_of(body, ServiceAssertions))
        self.assertEqual([thread.daemon for thread in threads], [True, True])
