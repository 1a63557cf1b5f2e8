"""Frames that come in pieces, late, too long, or not at all."""

from __future__ import annotations

import struct
from functools import partial

from session_pool import PortClosed, PortTimeout, ProtocolViolation, PythonPort

from supertester.targets.stdio import MockPort, check_correlated
from tests.support import PATIENCE, TROUBLE, PoolCase


class TestFrames(PoolCase):
    def connect(self, mock: MockPort) -> PythonPort:
        """Return a port with a process at the other end that passes on what *mock* says."""
        mock.healthy()
        port = PythonPort.spawn("frames", argv=mock.argv)
        self.addCleanup(port.close)
        return port

    async def test_frames_may_come_byte_by_byte(self) -> None:
        mock = MockPort(write_size=1)
        self.assertIsNone(await check_correlated(self.connect(mock), 10, mock=mock))

    async def test_a_late_answer_is_dropped_and_the_next_call_gets_its_own(self) -> None:
        mock = MockPort()
        port = self.connect(mock)
        silence = mock.simulate_timeout("slow")
        with self.assertRaises(PortTimeout):
            port.call("slow", timeout=0.1)
        await mock.wait_for_command("slow", timeout=PATIENCE)
        mock.reply_late(silence, "late")
        mock.expect_command("echo", "in time")
        self.assertEqual(port.call("echo"), "in time")
        self.assertEqual(port.late, 1)

    def check_violation(self, data: bytes, why: str) -> None:
        mock = MockPort()
        port = self.connect(mock)
        mock.simulate_timeout("slow")
        slow = self.begin(partial(port.call, "slow"))
        mock.simulate_garbage("speak", data)
        with self.assertRaisesRegex(ProtocolViolation, why):
            port.call("speak")
        self.assertIn(type(slow.exception(5)), {ProtocolViolation})
        self.assertFalse(port.alive)

    def test_a_frame_that_is_too_long_ends_all_calls(self) -> None:
        self.check_violation(struct.pack(">I", 17 << 20), "a frame of 17825792 bytes; 16777216 are allowed")

    def test_a_frame_without_json_ends_all_calls(self) -> None:
        self.check_violation(struct.pack(">I", 4) + b"oops", "b'oops' is no answer")

    def test_an_answer_to_nothing_ends_all_calls(self) -> None:
        body = b'{"id": 99, "success": true, "result": null}'
        self.check_violation(struct.pack(">I", len(body)) + body, "answers the request 99, which nobody has made")

    def test_an_answer_that_breaks_off(self) -> None:
        mock = MockPort()
        port = self.connect(mock)
        mock.simulate_crash("echo", "a long answer", after_bytes=10)
        with self.assertRaisesRegex(PortClosed, "the worker ended with exit status 1"):
            port.call("echo")


class TestPrints(PoolCase):
    def check_print(self, *options: str) -> None:
        port = PythonPort.spawn("prints", argv=[*TROUBLE, *options])
        self.addCleanup(port.close)
        port.call("print", {"text": "loading model"}, timeout=5)
        self.assertEqual(port.call("ping")["status"], "ok")
        port.close()
        assert port.child is not None
        self.assertEqual(port.child.last_words.split("\n"), ["loading model", "loading model"])

    def test_what_a_command_prints_is_no_answer(self) -> None:
        self.check_print()

    def test_a_worker_that_lets_it_through_is_found(self) -> None:
        with self.assertRaises(ProtocolViolation):
            self.check_print("--without-redirection")
