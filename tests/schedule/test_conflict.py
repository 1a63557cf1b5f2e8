"""The report names the two accesses that are in each other's way, from the source alone."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

from supertester import GenServer
from supertester.schedule import explore_schedules

SHARED: dict[str, int] = {"count": 0}


def conflicts(program: Any, **options: Any) -> list[str]:
    report = explore_schedules(program, **{"seed": 1, "database": False, **options})
    assert report.failing is not None, report
    return list(report.failing.conflicts)


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Guarded:
    """Nothing of it may be called to explain a failure."""

    def __init__(self) -> None:
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)

    @property
    def doubled(self) -> int:
        raise AssertionError("called")


class TestConflicts(unittest.TestCase):
    def test_attributes_in_slots(self) -> None:
        async def program() -> None:
            box = Slotted()

            async def increment() -> None:
                seen = box.value
                await asyncio.sleep(0)
                box.value = seen + 1

            await asyncio.gather(increment(), increment())
            assert box.value == 2

        [text] = conflicts(program)
        self.assertRegex(text, r"^`box\.value`: increment#\d writes it at .*, after increment#\d read it at ")

    def test_items_of_a_dict(self) -> None:
        async def program() -> None:
            SHARED["count"] = 0

            async def increment() -> None:
                seen = SHARED["count"]
                await asyncio.sleep(0)
                SHARED["count"] = seen + 1

            await asyncio.gather(increment(), increment())
            assert SHARED["count"] == 2

        [text] = conflicts(program)
        self.assertTrue(text.startswith("`SHARED['count']`: increment#"), text)

    def test_containers_that_methods_change(self) -> None:
        async def program() -> None:
            seats = ["window"]

            async def book() -> None:
                if seats:
                    await asyncio.sleep(0)
                    seats.pop()

            await asyncio.gather(book(), book())

        [text] = conflicts(program)
        self.assertRegex(
            text, r"^`seats`: book#\d writes it at .*, after book#\d read it at .* and before book#\d writes"
        )

    def test_a_store_after_an_await_in_the_same_line(self) -> None:
        async def program() -> None:
            box = Slotted()

            async def slow(value: int) -> int:
                await asyncio.sleep(0)
                return value

            async def increment() -> None:
                box.value = await slow(box.value) + 1

            await asyncio.gather(increment(), increment())
            assert box.value == 2

        [text] = conflicts(program)
        self.assertTrue(text.startswith("`box.value`: increment#"), text)

    def test_nothing_of_the_users_is_called_to_find_it(self) -> None:
        async def program() -> None:
            box = Guarded()

            async def increment() -> None:
                seen = box.count
                await asyncio.sleep(0)
                box.count = seen + 1
                if box.count > 1000:
                    assert box.doubled or box.missing

            await asyncio.gather(increment(), increment())
            assert box.count == 2

        self.assertTrue(conflicts(program)[0].startswith("`box.count`: "))

    def test_where_no_switch_is_forced_there_may_be_one_too(self) -> None:
        async def program() -> None:
            box = Slotted()
            turn = asyncio.Event()

            async def first() -> None:
                seen = box.value
                await turn.wait()
                box.value = seen + 1

            async def second() -> None:
                box.value += 1
                turn.set()

            await asyncio.gather(first(), second())
            assert box.value == 2

        [text] = conflicts(program)
        self.assertRegex(
            text, r"^`box\.value`: second writes it at .*, after first read it at .* and before first writes"
        )


class Account(GenServer):
    def init(self) -> int:
        return 0

    def handle_call(self, request: Any, sender: Any) -> int:
        if request != "balance":
            self.state = request
        return self.state


class TestServers(unittest.TestCase):
    def test_a_server_acts_in_the_name_of_who_called_it(self) -> None:
        async def program() -> None:
            account = await Account.start_link()

            async def deposit() -> None:
                await account.call(await account.call("balance") + 1)

            async with asyncio.TaskGroup() as group:
                group.create_task(deposit(), name="ann")
                group.create_task(deposit(), name="ben")
            balance = await account.call("balance")
            assert balance == 2, balance

        [text] = conflicts(program, leaks="ignore")
        self.assertRegex(
            text,
            r"^`self\.state`: (ann|ben) writes it at test_conflict\.py:\d+, after (ann|ben), by Account#1, read it at "
            r"test_conflict\.py:\d+ and before (ann|ben), by Account#1, writes it at ",
        )

    def test_the_swimlane_says_whose_message_it_handles(self) -> None:
        async def program() -> None:
            account = await Account.start_link()
            async with asyncio.TaskGroup() as group:
                group.create_task(account.call(1), name="ann")
                group.create_task(account.call(2), name="ben")
            balance = await account.call("balance")
            assert balance == 2, balance

        report = explore_schedules(program, seed=1, database=False, leaks="ignore")
        assert report.failing is not None
        shown = [line for line in report.failing.swimlane if "(for " in line]
        self.assertEqual([line.rpartition("(for ")[2] for line in shown], ["ben)", "ann)", "program)"])
        self.assertTrue(report.failing.conflicts[0].startswith("`self.state`: ben writes it at "))
