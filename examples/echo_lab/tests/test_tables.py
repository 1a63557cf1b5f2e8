"""`self.tables`: shared objects of the program, of which each test sees a copy of its own."""

from __future__ import annotations

import asyncio
import unittest

from echo_lab.guestbook import GUESTS, Clerk, greeting, sign

from supertester import IsolatedTestCase, UsageError, tag
from supertester.isolation import isolate

TABLE = "echo_lab.guestbook:GUESTS"
CACHE = "echo_lab.guestbook:greeting"


class TestCreate(IsolatedTestCase):
    def test_a_table_of_the_tests_own(self) -> None:
        """A created table is of the kind that was asked for, and is in the summary of the test."""
        names = self.tables.create("set", name="names", copy_from=["ada", "ada"])
        self.assertEqual(names, {"ada"})
        self.assertIn("table names (set)", self.isolation.summary())

    def test_an_unknown_mirror_is_refused(self) -> None:
        """Asking for a mirror that nobody made says how to make it."""
        with self.assertRaisesRegex(UsageError, "is not mirrored in this test"):
            self.tables.mirror_of(TABLE)

    def test_a_table_for_a_block(self) -> None:
        """A table can be there for a block only."""
        with self.tables.with_table() as plain, self.tables.with_table("list", name="seen") as named:
            plain["a"] = 1
            named.append("a")
            self.assertIn("seen", self.tables.created)
        self.assertEqual(dict(self.tables.created), {})


class TestMirror(IsolatedTestCase, tables=[TABLE]):
    """The class mirrors the guestbook for each of its tests."""

    async def test_the_program_sees_the_copy(self) -> None:
        """A server of the test writes into the copy, which was empty at first."""
        clerk = await self.setup_isolated_genserver(Clerk)
        self.assertEqual(await clerk.call(("sign", "ada", "hello")), "Thank you, ada")
        self.assertEqual(await clerk.call("count"), 1)
        self.assertEqual(self.tables.mirror_of(TABLE), {"ada": ["hello"]})

    def test_every_test_begins_anew(self) -> None:
        """Nothing of another test is there, and nothing of the program."""
        self.assertEqual(GUESTS, {})

    @tag(tables=[CACHE])
    def test_a_tag_mirrors_for_one_test(self) -> None:
        """A cached function gets a fresh cache."""
        sign("ada", "hello")
        self.assertEqual(greeting.cache_info().currsize, 1)


class TestMirrorWithData(IsolatedTestCase):
    def test_the_copy_begins_with_the_data(self) -> None:
        """With its data the copy is full, and changing it leaves the table alone."""
        guests = self.tables.mirror(TABLE, include_data=True)
        self.assertIs(self.tables.mirror_of(TABLE), guests)
        sign("EchoLab", "and closed")
        self.assertEqual(guests, {"EchoLab": ["opened today", "and closed"]})


class TestInject(IsolatedTestCase):
    def test_something_else_is_seen_until_it_is_restored(self) -> None:
        """What is written goes into what was injected; after the restore the table is what it was."""
        mine: dict[str, list[str]] = {}
        restore = self.tables.inject("echo_lab.guestbook", "GUESTS", mine)
        sign("ada", "hello")
        self.assertEqual(mine, {"ada": ["hello"]})
        restore()
        self.assertEqual(list(GUESTS), ["EchoLab"])


class TestContext(unittest.IsolatedAsyncioTestCase):
    """Tables without a test case."""

    async def test_the_context_has_the_tables(self) -> None:
        """The context of a block makes tables and mirrors, and tells of them."""
        async with isolate("full_isolation") as context:
            tables = context.feature("tables")
            tables.create("list", name="seen")
            guests = tables.mirror(TABLE)
            sign("ada", "hello")
            self.assertEqual(guests, {"ada": ["hello"]})
            self.assertIn("table seen (list)", context.summary())
            self.assertIn(TABLE, context.summary())
        self.assertEqual(list(GUESTS), ["EchoLab"])


class TestSideBySide(unittest.IsolatedAsyncioTestCase):
    async def test_two_tests_at_once_see_their_own(self) -> None:
        """Two isolated pieces of work write into one guestbook and do not meet."""

        async def work(name: str, other: asyncio.Event, mine: asyncio.Event) -> list[str]:
            async with isolate("full_isolation") as context:
                context.feature("tables").mirror(TABLE)
                sign(name, "hello")
                mine.set()
                await other.wait()
                return list(GUESTS)

        first, second = asyncio.Event(), asyncio.Event()
        seen = await asyncio.gather(work("ada", second, first), work("bob", first, second))
        self.assertEqual(seen, [["ada"], ["bob"]])
        self.assertEqual(list(GUESTS), ["EchoLab"])
