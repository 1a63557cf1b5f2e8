"""JSON on a pipe, however it is cut."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supertester import IsolatedTestCase
from supertester.errors import UsageError
from supertester.targets import ProtocolViolation, Wire

MESSAGES = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3), max_size=4)


class TestWire(IsolatedTestCase, timeout=600.0):
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(messages=MESSAGES, size=st.integers(1, 30), framing=st.sampled_from(["length", "lines"]))
    def test_messages_come_out_as_they_went_in(
        self, messages: list[dict[str, object]], size: int, framing: str
    ) -> None:
        wire = Wire(framing=framing)
        data = b"".join(map(wire.encode, messages))
        decoder, found = wire.decoder(), []
        for start in range(0, len(data), size):
            found += decoder.feed(data[start : start + size])
        self.assertEqual(found, messages)
        self.assertEqual(decoder.pending, 0)

    def test_what_is_none(self) -> None:
        for framing, data, words in (
            ("length", b"\0\0\0\x02{]", r"not JSON \(.*\): b'\{\]'"),
            ("length", b"\0\0\0\x02[]", r"not a JSON object: b'\[\]'"),
            ("length", b"\xff\xff\xff\xff", "a frame of 4294967295 bytes was announced, the limit is 99"),
            ("lines", b"x" * 100, "a line has 100 bytes, the limit is 99: b'xxxxx.*' ..."),
            ("lines", b"\xff\n", "not JSON"),
            ("lines", b"[" * 98 + b"\n", "not JSON"),
        ):
            with self.subTest(data=data), self.assertRaisesRegex(ProtocolViolation, words):
                Wire(framing=framing, limit=99).decoder().feed(data)

    def test_a_message_that_is_deeper_than_can_be_read(self) -> None:
        with self.assertRaisesRegex(ProtocolViolation, "not JSON"):
            Wire(framing="lines").decoder().feed(b"[" * 200_000 + b"]" * 200_000 + b"\n")

    def test_nonsense_is_refused(self) -> None:
        for options, error, words in (
            ({"framing": "xml"}, UsageError, "framing must be 'length' or 'lines', got framing='xml'"),
            ({"limit": 0}, UsageError, "limit must be from 1 to 4294967295 bytes, got limit=0"),
            ({"limit": "much"}, TypeError, "limit must be a number of bytes"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(error, words):
                Wire(**options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "a message of 10 bytes is longer than the limit of 9"):
            Wire(limit=9).encode({"a": 1234})

    def test_success_without_a_field_for_it(self) -> None:
        wire = Wire(success=None)
        self.assertEqual(wire.success_of(1, 2), {"id": 1, "result": 2})
        self.assertTrue(wire.succeeded(wire.success_of(1, 2)))
        self.assertFalse(wire.succeeded(wire.failure_of(1, "no")))
