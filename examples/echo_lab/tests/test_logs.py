"""`self.logs`: what a test logs, by levels of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from echo_lab import Counter
from echo_lab.rooms import Room

from supertester import IsolatedTestCase, UsageError, WaitTimeout, tag
from supertester.isolation import isolate
from supertester.testing import failure_of

ROOMS = logging.getLogger("echo_lab.rooms")


class TestLevels(IsolatedTestCase, logs=True):
    """The level of a test is its own: no logger is changed."""

    async def test_logs_are_isolated_from_the_beginning(self) -> None:
        """A test has its logs for itself, and no level of its own until it sets one."""
        self.assertTrue(self.logs.isolated)
        self.assertIsNone(self.logs.level)

    async def test_the_whole_of_it_in_one_flow(self) -> None:
        """Set a level, change it for a block, capture what a function logs, and restore the level."""
        self.logs.isolate_level("INFO")
        room = await self.setup_isolated_genserver(Room, init_args=("tea",))
        self.assertIn("room 'tea' opens", self.logs.text)
        with self.logs.with_level("NONE"):
            await self.setup_isolated_genserver(Room, init_args=("silence",))
        self.assertNotIn("silence", self.logs.text)
        text, heard = await self.logs.capture_isolated("DEBUG", lambda: room.call(("say", "hello")))
        self.assertEqual((text, heard), ("DEBUG:echo_lab.rooms:in room 'tea': hello\n", "tea: hello"))
        self.assertEqual(await self.logs.capture_isolated_text("ERROR", lambda: room.call(("say", "again"))), "")
        text, _ = await self.logs.with_level_and_capture("DEBUG", lambda: room.call(("say", "bye")))
        self.assertIn("bye", text)
        self.assertEqual(self.logs.level, "INFO")
        self.logs.restore_level()
        self.assertFalse(self.logs.isolated)
        self.assertIsNone(self.logs.level)

    @tag(logger_level="DEBUG")
    async def test_a_tag_sets_the_level(self) -> None:
        """The tag `logger_level` is the level of the test from its beginning."""
        self.assertEqual(self.logs.level, "DEBUG")
        self.assertTrue(ROOMS.isEnabledFor(logging.DEBUG))

    async def test_an_unknown_level_is_refused(self) -> None:
        """A level that does not exist is refused, and the message lists the levels."""
        with self.assertRaisesRegex(UsageError, "choose one of NOTSET, DEBUG, .*CRITICAL, .*NONE"):
            self.logs.isolate_level("VERBOSE")


class TestRecords(IsolatedTestCase):
    """The records of a test are those of all that it started."""

    async def test_those_of_servers_and_threads(self) -> None:
        """A capture has what servers log, and what threads log."""
        with self.logs.capture("INFO", "echo_lab") as captured:
            await self.setup_isolated_genserver(Room, init_args=("tea",))
            thread = threading.Thread(target=ROOMS.info, args=("from a thread",))
            thread.start()
            thread.join()
        self.assertEqual([record.getMessage() for record in captured.records], ["room 'tea' opens", "from a thread"])

    async def test_wait_until_something_is_logged(self) -> None:
        """The room logs that a member is gone; the test waits for exactly that."""
        room = await self.setup_isolated_genserver(Room, init_args=("tea",))
        member = await self.setup_isolated_genserver(Counter)
        await room.call(("join", member))
        member.exit("tired")
        record = await self.logs.wait_for("is gone: 'tired'")
        self.assertEqual(record.levelname, "WARNING")

    async def test_a_wait_in_vain_shows_what_was_logged(self) -> None:
        """When the time is up, the failure shows the last records."""
        ROOMS.warning("something else")
        with self.assertRaisesRegex(WaitTimeout, "WARNING:echo_lab.rooms:something else"):
            await self.logs.wait_for("never", timeout=0)

    async def test_two_tests_at_once_log_for_themselves(self) -> None:
        """Two isolated tests log side by side; each sees its own records alone."""

        async def log_as(name: str, met: asyncio.Barrier) -> str:
            async with isolate(tags={"logger_level": "INFO"}) as context:
                await met.wait()
                await Room.start_link(name)
                await met.wait()
                text: str = context.feature("logs").text
                return text

        met = asyncio.Barrier(2)
        texts = await asyncio.gather(log_as("a", met), log_as("b", met))
        self.assertEqual(texts, [f"INFO:echo_lab.rooms:room {name!r} opens\n" for name in "ab"])

    async def test_assert_logs_sees_the_same_records(self) -> None:
        """`assertLogs` works as in `unittest`, and leaves the logger alone."""
        with self.logs.capture("INFO") as captured, self.assertLogs("echo_lab", "INFO") as seen:
            await self.setup_isolated_genserver(Room, init_args=("tea",))
        self.assertEqual(captured.text.splitlines(), seen.output)
        with self.assertNoLogs("echo_lab"):
            await self.setup_isolated_genserver(Counter)

    async def test_a_failure_shows_the_last_records(self) -> None:
        """Without any preparation, the report of a failing test ends with what it logged."""

        async def body(case: Any) -> None:
            ROOMS.warning("the tea is cold")
            case.fail("no tea")

        report = await asyncio.to_thread(failure_of, body)
        self.assertIn("log records of this test:\n  WARNING:echo_lab.rooms:the tea is cold", report)
